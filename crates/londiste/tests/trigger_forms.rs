//! Tables captured by statement, through a real worker: as sets and in order.

mod support;

use anyhow::{Result, ensure};
use support::{Pair, admin};

const TABLES: &[&str] = &["plain", "composed", "tree", "uniques"];

/// All sorts that are applied in ways of their own: `uniques` in order, because of what else must be unique.
const SCHEMA: &str = "
    create table plain (id int primary key, v text, d date);
    create table composed (k text, n numeric, v jsonb, primary key (k, n));
    create table tree (id int primary key, up int references tree on update cascade deferrable, v text);
    create table uniques (id int primary key, u int unique, v text)";

/// Each is compared when it has been applied.
const CHANGES: &[&str] = &[
    "insert into plain select g, 'v&=' || g, date '2024-02-01' + g from generate_series(1, 500) g;
     insert into composed select 'k''' || g, g * 1.10, format('{\"a\": %s}', g)::jsonb from generate_series(1, 500) g;
     insert into tree select g, nullif(g / 2, 0), 'v' from generate_series(1, 50) g;
     insert into uniques select g, g, 'v' from generate_series(1, 50) g",
    "update plain set v = null, d = d - 1 where id % 2 = 0; update composed set v = null where n > 100;
     update tree set v = null where id % 3 = 0; update uniques set u = -u, v = null where id % 3 = 0",
    // keys: of one row, of many, and through each other
    "update plain set id = 1000 where id = 7; update composed set k = 'x', n = n + 0.5 where k = 'k''7'; update tree set id = 1000 where id = 40;
     update uniques set id = 1000 where id = 7",
    "update plain set id = id + 2000 where id > 400; update composed set n = n * 2; update uniques set id = id + 2000, u = u + 2000 where id > 40",
    "cluster plain using plain_pkey; update plain set id = id - 1, v = 'moved'; update composed set n = n / 2, v = 'null'",
    // the foreign key changes rows as part of the statement
    "update tree set id = -1 where id = 1",
    // one after another in one transaction, so that a batch has all of it
    "begin; insert into plain values (0, 'new') on conflict do nothing; update plain set id = -id where id < 100; delete from plain where id between -50 and -10;
     insert into plain select g, 'again' from generate_series(-40, -20) g; update plain set id = id - 100000 where id < 0; commit",
    "begin; savepoint s; delete from plain; rollback to s; update plain set v = 'kept' where id < 0; commit;
     with gone as (delete from composed where n > 500 returning k, n) insert into plain select 5000 + row_number() over (), k from gone",
    "delete from tree where id > 30 and not exists (select from tree c where c.up = tree.id); truncate uniques; insert into uniques values (1, 1, 'first')",
];

async fn statement(pair: &Pair, table: &str) -> Result<()> {
    let sql =
        format!("select * from londiste.local_add_table('q', 'public.{table}', array['form=statement'])");
    admin(&pair.on_root, &sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn capture_by_statement_is_applied() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(SCHEMA).await?;
    pair.on_root.batch_execute("insert into plain values (-1000, 'copied')").await?;
    for table in TABLES {
        statement(&pair, table).await?;
        pair.add_on_leaf(&format!("public.{table}"), "").await?;
    }
    let worker = pair.worker("")?;
    for table in TABLES {
        pair.until_state(&format!("public.{table}"), &["ok"]).await?;
    }
    for sql in CHANGES {
        pair.on_root.batch_execute(sql).await.map_err(|e| anyhow::anyhow!("{sql}: {e:?}"))?;
        pair.until_caught_up().await?;
        for table in TABLES {
            pair.assert_same(table).await.map_err(|e| e.context(format!("after: {sql}")))?;
        }
    }
    ensure!(pair.assert_same("plain").await? > 400);
    worker.stop().await
}

/// What else is unique moves with the keys.
#[tokio::test(flavor = "multi_thread")]
async fn unique_values_move_with_keys() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(SCHEMA).await?;
    statement(&pair, "uniques").await?;
    pair.add_on_leaf("public.uniques", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.on_root.batch_execute("insert into uniques select g, g from generate_series(1, 10) g").await?;
    pair.on_root.batch_execute("update uniques set id = id - 1").await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("uniques").await? == 10);
    worker.stop().await
}
