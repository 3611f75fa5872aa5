//! Cascades in which the original's programs and ours work together: the schema of Debian's extensions or ours,
//! Debian's pgqd or ours, the Python worker or ours. Real processes throughout; every test ends with a comparison
//! that uses neither side's code.

use anyhow::{Result, ensure};
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA};
use e2e::mixed::{Mixed, Side};
use e2e::pair::{LIMIT, QUEUE};
use testkit::wait_for;
use tokio_postgres::Client;

/// The demonstration's table of every type, with its awkward values.
const EVERY_TYPE: &str = include_str!("../../crates/demo/src/every_type.sql");

/// Its name, for SQL and as registered.
const EVERY_TYPE_SQL: &str = r#""Odd ""Schema"""."Every Type, née""#;
const EVERY_TYPE_NAME: &str = r#"Odd "Schema".Every Type, née"#;

/// What else the tests need.
const MORE: &str = "
    create table public.cut (id int primary key, note text);
    insert into public.cut select g, 'before' from generate_series(1, 1000) g;
    create table public.plain (id int primary key, v text);
    insert into public.plain select g, 'v' || g from generate_series(1, 1000) g;
    create sequence public.numbers increment by 3;";

/// Tables as registered, and for SQL.
const NAMES: [&str; 5] =
    ["public.acc", "public.Order \"Line\"", "public.cut", "public.plain", EVERY_TYPE_NAME];
const TABLES: [&str; 5] =
    ["public.acc", "public.\"Order \"\"Line\"\"\"", "public.cut", "public.plain", EVERY_TYPE_SQL];

/// The definition of the table of every type, without its rows.
fn every_type_definition() -> &'static str {
    EVERY_TYPE.split("\ninsert into").next().unwrap_or(EVERY_TYPE)
}

/// Changes rows of the table of every type in ways that need each column's text: updates that keep every value, a
/// copy of each row under a new key, deletes; with `keys` also keys that move to free ones, each to the one before it within
/// a statement, and two that are exchanged.
async fn touch_every_type(db: &Client, keys: bool) -> Result<()> {
    let generated = "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
        where attrelid = $1::text::regclass and attnum > 0 and not attisdropped and attgenerated = '' and attidentity = ''";
    let columns: String = db.query_one(generated, &[&EVERY_TYPE_SQL]).await?.get(0);
    let t = EVERY_TYPE_SQL;
    db.batch_execute(&format!(
        "insert into {t} (id, {columns}) select id + 1000, {columns} from {t} where id < 1000 and t_int4 is distinct from 20;
         delete from {t} where id = 1001"
    ))
    .await?;
    if keys {
        let moved =
            db.execute(&format!("update {t} set id = id - 1 where id between 1002 and 1005"), &[]).await?;
        ensure!(moved > 2, "{moved} keys");
        db.batch_execute(&format!(
            "update {t} set id = id + 5000 where id between 1006 and 1008;
             begin; update {t} set id = -1 where id = 1002; update {t} set id = 1002 where id = 1003; update {t} set id = 1003 where id = -1; commit;
             begin; update {t} set id = -1 where id = 2; update {t} set id = 2 where id = 3; update {t} set id = 3 where id = -1; commit"
        ))
        .await?;
    }
    db.batch_execute(&format!(
        "update {t} set t_int2 = coalesce(t_int2 / 2, 7) where t_int4 is distinct from 20;
         update {t} set \"Column \"\"q\"\" & ünïcode\" = 'changed ' || id where id % 2 = 0"
    ))
    .await?;
    Ok(())
}

/// Truncates in the middle of a transaction with other changes.
async fn cut(db: &Client) -> Result<()> {
    db.batch_execute(
        "begin; insert into public.cut values (-1, 'gone'); truncate public.cut;
         insert into public.cut select g, 'after' from generate_series(500, 510) g; commit;
         update public.cut set note = 'changed' where id = 505",
    )
    .await?;
    Ok(())
}

/// Waits until the leaf's sequence has a value that the root has not reached yet.
async fn wait_sequence(mixed: &Mixed) -> Result<()> {
    let (root, leaf) = (mixed.root.db().await?, mixed.leaf.db().await?);
    root.batch_execute("select setval('public.numbers', 1000000)").await?;
    wait_for("the published value of the sequence", LIMIT, || async {
        let value: i64 = leaf.query_one("select last_value from public.numbers", &[]).await?.get(0);
        ensure!(value >= 1_000_000, "at {value}");
        Ok(Some(()))
    })
    .await
}

/// A script with a header, in the notation that both sides read; `@acc@` is what the header calls the table.
const SCRIPT: &str = "--*-- Local-Table: acc,\n--*--    public.cut\n--*-- Need-Function: public.twice(1)\n\n\
    create table public.made_by_script as select 1 as one;\n\
    alter table @acc@ add column extra text default 'x;y';\n\
    insert into made_by_script select twice(id) from @public.cut@ where id = 505;\n";

/// Another that no leaf has the objects for.
const NOT_HERE: &str = "--*-- Need-Table: public.only_on_root\ninsert into public.only_on_root values (1);\n";

/// `execute` on the root; its effects on root and leaf.
async fn execute(mixed: &Mixed, root: Side) -> Result<()> {
    let function = "create function public.twice(int) returns int language sql as 'select $1 * 2'";
    mixed.root.psql(function)?;
    mixed.leaf.psql(function)?;
    mixed.root.psql("create table public.only_on_root (n int)")?;
    let script = mixed.root.write("change one.sql", SCRIPT)?;
    let not_here = mixed.root.write("root only.sql", NOT_HERE)?;
    mixed.root.run(root, &["execute", &script, &not_here]).await?;
    // The same file again is left out.
    mixed.root.run(root, &["execute", &script]).await?;
    mixed.root.psql("update public.acc set extra = 'after the script' where id % 7 = 0")?;
    mixed.wait_replayed().await?;
    for node in [&mixed.root, &mixed.leaf] {
        ensure!(
            node.psql("select string_agg(one::text, ' ' order by one) from public.made_by_script")?.trim()
                == "1 1010"
        );
    }
    ensure!(mixed.root.psql("select count(*) from public.only_on_root")?.trim() == "1");
    Ok(())
}

/// Every command of `side` that looks, asks or waits, against the leaf and its provider.
async fn look_around(mixed: &Mixed, side: Side) -> Result<()> {
    for node in [&mixed.root, &mixed.leaf] {
        let status = node.run(side, &["status"]).await?;
        ensure!(status.contains("root (root)") && status.contains("leaf (leaf)"), "{status}");
        ensure!(status.contains("Tables: 5/0/0") && !status.contains("ERR"), "{status}");
        let tables = node.run(side, &["tables"]).await?;
        ensure!(NAMES.iter().all(|name| tables.contains(name)), "{tables}");
        let sequences = node.run(side, &["seqs"]).await?;
        ensure!(sequences.contains("public.numbers"), "{sequences}");
        let members = node.run(side, &["members"]).await?;
        ensure!(members.contains("root") && members.contains("leaf"), "{members}");
        node.run(side, &["node-info"]).await?;
        node.run(side, &["node-status"]).await?;
        node.run(side, &["missing"]).await?;
        node.run(side, &["wait-sync"]).await?;
        node.run(side, &["check"]).await?;
        node.run(side, &["fkeys"]).await?;
    }
    mixed.leaf.run(side, &["wait-root"]).await?;
    mixed.leaf.run(side, &["pause"]).await?;
    let status = mixed.root.run(side, &["status"]).await?;
    ensure!(status.contains("PAUSED"), "{status}");
    mixed.leaf.run(side, &["resume"]).await?;
    mixed.wait_progress().await?;
    let compared = mixed.leaf.run(side, &["compare", "acc", "public.Order \"Line\"", "cut"]).await?;
    ensure!(compared.contains("checksum") && !compared.contains("do not match"), "{compared}");
    Ok(())
}

/// Whether the root captures updates of keys: only what is generated does.
fn changes_keys(root: Side, options: &[&str]) -> bool {
    root == Side::Ours && options.is_empty()
}

/// Has the tables added on the root, then under load on the leaf.
async fn add_tables(
    mixed: &Mixed,
    root: Side,
    root_options: &[&str],
    leaf: Side,
    leaf_options: &[&str],
) -> Result<()> {
    mixed.root.run(root, &[&["add-table"], &NAMES[..], root_options].concat()).await?;
    mixed.root.run(root, &["add-seq", "numbers"]).await?;
    let load = if changes_keys(root, root_options) {
        Load::start(&mixed.root.connstr(), 2)
    } else {
        Load::keeping_keys(&mixed.root.connstr(), 2)
    };
    // The names travel through the queue.
    wait_for("the leaf knows the names", LIMIT, || async {
        let db = mixed.leaf.db().await?;
        let known: i64 = db
            .query_one(
                "select (select count(*) from londiste.get_table_list($1)) + (select count(*) from londiste.get_seq_list($1))",
                &[&QUEUE],
            )
            .await?
            .get(0);
        ensure!(known == 6, "{known} names");
        Ok(Some(()))
    })
    .await?;
    mixed.leaf.run(leaf, &[&["add-table"], &NAMES[..], leaf_options].concat()).await?;
    mixed.leaf.run(leaf, &["add-seq", "numbers", "--create"]).await?;
    mixed.wait_in_sync().await?;
    let committed = load.stop(&mixed.root.db().await?).await?;
    ensure!(committed > 0, "there was no load");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_root_feeds_our_leaf() -> Result<()> {
    let mut mixed = Mixed::new(Side::Original, Side::Ours).await?;
    mixed.root.psql(&[SCHEMA, MORE, EVERY_TYPE].concat())?;
    mixed.start(Side::Original, Side::Ours).await?;
    add_tables(&mixed, Side::Original, &[], Side::Ours, &["--create"]).await?;
    let root = mixed.root.db().await?;
    touch_every_type(&root, false).await?;
    cut(&root).await?;
    execute(&mixed, Side::Original).await?;
    wait_sequence(&mixed).await?;
    mixed.wait_replayed().await?;
    assert_identical(&root, &mixed.leaf.db().await?, &TABLES).await?;
    look_around(&mixed, Side::Ours).await?;
    look_around(&mixed, Side::Original).await
}

/// `options` choose the kind of capture.
async fn our_root_feeds(leaf: Side, options: &[&str]) -> Result<Mixed> {
    let mut mixed = Mixed::new(Side::Ours, leaf).await?;
    mixed.root.psql(&[SCHEMA, MORE, EVERY_TYPE].concat())?;
    if leaf == Side::Original {
        // The Python copy reads and writes every column, which these do not allow.
        let without = format!("alter table {EVERY_TYPE_SQL} drop column t_generated, drop column t_always");
        mixed.root.psql(&without)?;
        // The Python program creates tables, but no types.
        mixed.leaf.psql(&[every_type_definition()].concat())?;
        mixed.leaf.psql(&without)?;
    }
    mixed.start(Side::Ours, leaf).await?;
    add_tables(&mixed, Side::Ours, options, leaf, &["--create"]).await?;
    let root = mixed.root.db().await?;
    touch_every_type(&root, changes_keys(Side::Ours, options)).await?;
    cut(&root).await?;
    execute(&mixed, Side::Ours).await?;
    wait_sequence(&mixed).await?;
    mixed.wait_replayed().await?;
    assert_identical(&root, &mixed.leaf.db().await?, &TABLES).await?;
    Ok(mixed)
}

/// Fails unless the root captures all tables by functions of this name.
fn ensure_captured_by(mixed: &Mixed, functions: &str) -> Result<()> {
    let sql = format!(
        "select count(*) from pg_trigger t join pg_proc p on p.oid = tgfoid
          where tgname = '_londiste_q' and p.proname ~ '^{functions}$' and p.pronamespace = 'pgq'::regnamespace"
    );
    ensure!(mixed.root.psql(&sql)?.trim() == "5", "not by {functions}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_root_feeds_a_python_leaf_by_default_capture() -> Result<()> {
    let mixed = our_root_feeds(Side::Original, &[]).await?;
    ensure_captured_by(&mixed, "_capture_[0-9]+")?;
    look_around(&mixed, Side::Ours).await?;
    look_around(&mixed, Side::Original).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_root_feeds_our_leaf_by_default_capture() -> Result<()> {
    let mixed = our_root_feeds(Side::Ours, &[]).await?;
    ensure_captured_by(&mixed, "_capture_[0-9]+")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_root_feeds_a_python_leaf_by_generic_triggers() -> Result<()> {
    // An expression of the user's is what only the generic trigger evaluates.
    let mixed = our_root_feeds(Side::Original, &["--trigger-arg=ev_extra4='generic'"]).await?;
    ensure_captured_by(&mixed, "logutriga")
}

/// Root, leaf and ticker start as the original; one process after the other is replaced by ours and back, on the
/// original's schema, while the application writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_replaced_one_at_a_time() -> Result<()> {
    let mut mixed = Mixed::new(Side::Original, Side::Original).await?;
    mixed.root.psql(&[SCHEMA, MORE].concat())?;
    mixed.start(Side::Original, Side::Original).await?;
    let names = &NAMES[..3];
    mixed.root.run(Side::Original, &[&["add-table"], names].concat()).await?;
    mixed.leaf.run(Side::Original, &["wait-root"]).await?;
    mixed.leaf.run(Side::Original, &[&["add-table"], names, &["--create"]].concat()).await?;
    mixed.wait_in_sync().await?;
    let load = Load::keeping_keys(&mixed.root.connstr(), 1);

    // The leaf's worker: asked to stop, then killed anywhere.
    mixed.wait_progress().await?;
    mixed.leaf.stop_worker(Side::Original).await?;
    mixed.leaf.start_worker(Side::Ours)?;
    mixed.wait_progress().await?;
    mixed.leaf.kill_worker().await?;
    mixed.leaf.start_worker(Side::Original)?;
    mixed.wait_progress().await?;
    mixed.leaf.kill_worker().await?;
    mixed.leaf.start_worker(Side::Ours)?;
    mixed.wait_progress().await?;
    // Each side's `-s` stops the other's worker.
    mixed.leaf.stop_worker(Side::Original).await?;
    mixed.leaf.start_worker(Side::Original)?;
    mixed.wait_progress().await?;
    mixed.leaf.stop_worker(Side::Ours).await?;
    mixed.leaf.start_worker(Side::Ours)?;

    // The ticker, there and back.
    mixed.start_pgqd(Side::Ours)?;
    mixed.wait_progress().await?;
    mixed.start_pgqd(Side::Original)?;
    mixed.wait_progress().await?;

    // The root's worker; it alone moves the global watermark.
    mixed.root.stop_worker(Side::Ours).await?;
    mixed.root.start_worker(Side::Ours)?;
    let root = mixed.root.db().await?;
    let watermark = || async {
        let sql = "select global_watermark from pgq_node.get_node_info($1)";
        Ok::<i64, anyhow::Error>(root.query_one(sql, &[&QUEUE]).await?.get(0))
    };
    let before = watermark().await?;
    wait_for("the global watermark moves", LIMIT, || async {
        Ok((watermark().await? > before).then_some(()))
    })
    .await?;

    load.stop(&root).await?;
    cut(&root).await?;
    mixed.wait_replayed().await?;
    assert_identical(&root, &mixed.leaf.db().await?, &TABLES[..3]).await
}

/// Python's worker and its copies are killed while a table is in `state`, and our worker goes on.
async fn our_worker_finishes_copies(mixed: &mut Mixed, table: &str, state: &str) -> Result<()> {
    mixed.leaf.run(Side::Original, &["add-table", table, "--create"]).await?;
    // The copy stands still in the middle of its transaction.
    let blocker = mixed.root.db().await?;
    blocker.batch_execute(&format!("begin; lock table public.{table} in access exclusive mode")).await?;
    let gate = mixed.leaf.db().await?;
    mixed.leaf.start_worker(Side::Original)?;
    let name = format!("public.{table}");
    {
        let db = mixed.leaf.db().await?;
        wait_for("Python's copy has begun", LIMIT, || async {
            // Its consumer is there: it is past the beginning.
            let sql = "select count(*) from pgq_node.local_state where consumer_name like '%.copy.%'";
            let now = mixed.leaf.state(&db, &name).await?;
            Ok((now == "in-copy" && db.query_one(sql, &[]).await?.get::<_, i64>(0) > 0).then_some(()))
        })
        .await?;
        if state != "in-copy" {
            // Whoever wants to leave that state has to wait.
            gate.batch_execute(&format!(
                "select pg_advisory_lock(778);
                 create function public.gate() returns trigger language plpgsql as $f$ begin
                   if exists (select from londiste.table_info where merge_state = '{state}') then
                     perform pg_catalog.pg_advisory_xact_lock_shared(778);
                   end if;
                   return null; end $f$;
                 create trigger gate before update on londiste.table_info for each statement execute function public.gate();
                 alter table londiste.table_info enable always trigger gate"
            ))
            .await?;
            blocker.batch_execute("rollback").await?;
            wait_for("Python's copy has its rows", LIMIT, || async {
                Ok((mixed.leaf.state(&db, &name).await? == state).then_some(()))
            })
            .await?;
        }
    }
    mixed.leaf.kill_worker().await?;
    blocker.batch_execute("rollback").await?;
    // The gate's session was ended with the others of the leaf.
    mixed.leaf.psql("drop function if exists public.gate() cascade")?;
    mixed.root.psql(&format!(
        "insert into public.{table} values (5001, 'while nobody copied'); delete from public.{table} where id = 7;
         update public.{table} set note = 'late' where id = 8"
    ))?;
    mixed.leaf.start_worker(Side::Ours)?;
    mixed.wait_in_sync().await?;
    mixed.root.psql(&format!("update public.{table} set note = 'after' where id % 2 = 0"))?;
    mixed.wait_replayed().await?;
    {
        let db = mixed.root.db().await?;
        let sql = "select count(*) from pgq.get_consumer_info($1) where consumer_name like '%.copy.%'";
        wait_for("the copies' consumers to go", LIMIT, || async {
            Ok((db.query_one(sql, &[&QUEUE]).await?.get::<_, i64>(0) == 0).then_some(()))
        })
        .await?;
    }
    assert_identical(&mixed.root.db().await?, &mixed.leaf.db().await?, &[&name]).await?;
    mixed.leaf.stop_worker(Side::Ours).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_worker_goes_on_with_copies_that_python_began() -> Result<()> {
    let mut mixed = Mixed::new(Side::Original, Side::Original).await?;
    for table in ["one", "two"] {
        mixed.root.psql(&format!(
            "create table public.{table} (id int primary key, note text); create index on public.{table} (note);
             insert into public.{table} select g, 'row ' || g from generate_series(1, 2000) g"
        ))?;
    }
    mixed.start(Side::Original, Side::Original).await?;
    mixed.leaf.stop_worker(Side::Original).await?;
    mixed.root.run(Side::Original, &["add-table", "one", "two"]).await?;
    our_worker_finishes_copies(&mut mixed, "one", "in-copy").await?;
    our_worker_finishes_copies(&mut mixed, "two", "catching-up").await
}

/// The other way: a copy that ours began and Python finishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_goes_on_where_our_worker_was_killed() -> Result<()> {
    let mut mixed = Mixed::new(Side::Original, Side::Original).await?;
    mixed.root.psql(&[SCHEMA, MORE].concat())?;
    mixed.start(Side::Original, Side::Original).await?;
    mixed.leaf.stop_worker(Side::Original).await?;
    mixed.leaf.start_worker(Side::Ours)?;
    mixed.root.run(Side::Original, &["add-table", "acc", "cut"]).await?;
    let load = Load::keeping_keys(&mixed.root.connstr(), 1);
    mixed.leaf.run(Side::Ours, &["add-table", "acc", "cut", "--create", "--wait-sync"]).await?;
    mixed.leaf.kill_worker().await?;
    mixed.leaf.start_worker(Side::Original)?;
    mixed.wait_progress().await?;
    load.stop(&mixed.root.db().await?).await?;
    mixed.wait_replayed().await?;
    assert_identical(&mixed.root.db().await?, &mixed.leaf.db().await?, &["public.acc", "public.cut"]).await
}
