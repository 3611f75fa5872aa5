//! `compare` against real databases, under load.

mod support;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Result, ensure};
use londiste::apply::TableShape;
use londiste::apply::session::prepare_rows;
use londiste::compare;
use skytools::config::Config;
use skytools::service::Signals;
use support::Pair;
use tokio_postgres::Client;

async fn run(config: Config, tables: &[&str], count_only: bool) -> skytools::Result<ExitCode> {
    let args = compare::Args {
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        count_only,
        ..Default::default()
    };
    compare::command(config, args, Signals::manual()).await
}

fn same(code: ExitCode, number: u8) -> bool {
    format!("{code:?}") == format!("{:?}", ExitCode::from(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_counted_while_the_source_is_written_to() -> Result<()> {
    let pair = Pair::new().await?;
    for table in ["a", "b", "empty"] {
        pair.both(&format!(
            "create table {table} (id int primary key, v text, at timestamptz, f double precision)"
        ))
        .await?;
        pair.add(&format!("public.{table}"), "'expect_sync'").await?;
    }
    let worker = pair.worker("")?;
    let writer = pair.root.connect().await?;
    let load = tokio::spawn(async move {
        for n in 0.. {
            let sql = format!(
                "insert into a values ({n}, 'x', now(), 1.0/({n}+1)); insert into b values ({n}, null, now(), 'NaN')"
            );
            if writer.batch_execute(&sql).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    testkit::wait_for("some rows", support::PATIENCE, || async {
        let rows: i64 = pair.on_root.query_one("select count(*) from a", &[]).await?.get(0);
        Ok((rows > 50).then_some(()))
    })
    .await?;
    // Settings of the target's logins must not matter.
    pair.on_leaf.batch_execute(&format!("alter database {} set datestyle = 'German'; alter database {0} set extra_float_digits = -5; alter database {0} set timezone = 'Asia/Tokyo'", pair.leaf.name())).await?;
    ensure!(same(run(pair.config("lock_timeout = 90")?, &[], false).await?, 0), "tables under load differ");
    pair.on_leaf.batch_execute("set session_replication_role = replica; update a set f = f + 1e-12 where id = 3; delete from b where id = 5").await?;
    ensure!(same(run(pair.config("lock_timeout = 90")?, &[], false).await?, 2));
    ensure!(same(run(pair.config("lock_timeout = 90")?, &["public.a", "empty"], false).await?, 1));
    ensure!(same(run(pair.config("lock_timeout = 90")?, &[], true).await?, 1), "only b has another count");
    ensure!(
        same(run(pair.config("lock_timeout = 90")?, &["public.nosuch"], false).await?, 0),
        "an unknown table is a warning"
    );
    let own = "lock_timeout = 90\ncompare_sql = select count(1) as cnt, 7 as chksum from only _TABLE_";
    ensure!(same(run(pair.config(own)?, &["a"], false).await?, 0));
    load.abort();
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_end_is_an_error_with_a_hint_and_nothing_stays_locked() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table a (id int primary key)").await?;
    pair.add("public.a", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    let mut writer = pair.root.connect().await?;
    let open = writer.transaction().await?;
    open.batch_execute("insert into a values (1)").await?;
    let error = run(pair.config("lock_timeout = 1")?, &[], false).await.expect_err("the table is in use");
    ensure!(error.chain().contains("a in") || error.chain().contains("public.a"), "{}", error.chain());
    ensure!(error.hint_text().is_some());
    open.commit().await?;
    // The worker is stopped: the node cannot catch up.
    worker.stop().await?;
    let error = run(pair.config("lock_timeout = 1")?, &[], false).await.expect_err("the worker is down");
    ensure!(error.to_string().contains("lagging"), "{}", error.chain());
    pair.on_root.batch_execute("set lock_timeout = '60s'; insert into a values (2)").await?;
    Ok(())
}

/// A database of one encoding with rows, in a session as `compare` opens it.
async fn holding(encoding: &str, rows: &str) -> Result<(Client, TableShape)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let cluster = testkit::shared_cluster()?;
    let name = format!("compare_{}_{}", NUMBER.fetch_add(1, Relaxed), encoding.to_lowercase());
    cluster.psql(
        "postgres",
        &format!("create database {name} template template0 encoding '{encoding}' locale 'C'"),
    )?;
    let client = testkit::connect(&cluster.connstr(&name)).await?;
    client
        .batch_execute(&format!("create table t (id int primary key, v text); insert into t values {rows}"))
        .await?;
    prepare_rows(&client).await?;
    let shape = TableShape::require(&client, "public.t", "here").await?;
    Ok((client, shape))
}

/// Whether `compare` finds the same rows in two databases.
async fn agree(there: (&str, &str), here: (&str, &str)) -> Result<bool> {
    let (source, source_shape) = holding(there.0, there.1).await?;
    let (target, target_shape) = holding(here.0, here.1).await?;
    let pairing = compare::Pairing {
        table: "public.t".to_owned(),
        source: source_shape,
        target: target_shape,
        condition: Some("id > 0".to_owned()),
    };
    let query = compare::Query::new(false, None, None);
    let found = compare::compare_table(&source, &target, &pairing, &query).await?;
    ensure!(found.source.rows == Some(3) && found.source.checksum.is_some(), "{found:?}");
    Ok(found.is_identical())
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_are_compared_not_the_bytes_of_an_encoding() -> Result<()> {
    const ROWS: &str = "(1, 'caf\u{e9}'), (2, '\u{c3}\u{a9}'), (3, null), (0, 'not compared')";
    // What a reader who took the bytes of one for the other would see.
    const OTHER: &str = "(1, 'caf\u{c3}\u{a9}'), (2, '\u{e9}'), (3, null)";
    const KANJI: &str = "(1, '\u{3042}\u{6f22}'), (2, 'plain'), (3, '\u{5b57}')";
    let encodings = ["UTF8", "LATIN1", "SQL_ASCII"];
    for there in encodings {
        for here in encodings {
            ensure!(agree((there, ROWS), (here, ROWS)).await?, "equal rows differ: {there}, {here}");
            ensure!(!agree((there, ROWS), (here, OTHER)).await?, "other rows are equal: {there}, {here}");
        }
    }
    ensure!(agree(("EUC_JP", KANJI), ("UTF8", KANJI)).await?);
    ensure!(agree(("SQL_ASCII", KANJI), ("EUC_JP", KANJI)).await?);
    Ok(())
}
