//! A leaf's worker against real databases: copies under load, every kind of writer, restarts, pause.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use support::{PATIENCE, Pair, admin};
use testkit::wait_for;
use tokio::task::JoinHandle;

const ACC: &str = "create table acc (id bigint primary key, grp int not null, note text, v numeric);";

/// Writers that go on until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    async fn start(pair: &Pair, writers: i64) -> Result<Load> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for writer in 0..writers {
            let client = pair.root.connect().await?;
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let mut n: i64 = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let id = 1_000_000 * (writer + 1) + n;
                    client
                        .batch_execute(&format!(
                            "begin; insert into acc values ({id}, {n} % 7, 'writer {writer}', {n}.50); \
                             update acc set v = v + 1, note = 'seen' where id = {id} - 3; \
                             delete from acc where id = {id} - 11; commit"
                        ))
                        .await?;
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Ok(())
            }));
        }
        Ok(Load { stop, tasks })
    }

    async fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_copied_while_written_to_and_a_transaction_is_open_across_the_snapshot() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.on_root
        .batch_execute("insert into acc select g, g % 7, 'old ' || g, g from generate_series(1, 20000) g")
        .await?;
    let load = Load::start(&pair, 2).await?;
    // Open before the copy, committed long after: rows that the copied snapshot cannot have.
    let mut slow = pair.root.connect().await?;
    let worker = pair.worker("")?;
    // The capture trigger locks the table, so the transaction begins after it is on.
    pair.add("public.acc", "").await?;
    let open = slow.transaction().await?;
    open.batch_execute("insert into acc values (-1, 0, 'open across', 1); update acc set note = 'late' where id = 5; delete from acc where id = 6").await?;
    pair.until_state("public.acc", &["catching-up", "wanna-sync", "do-sync", "ok"]).await?;
    open.commit().await?;
    pair.until_state("public.acc", &["ok"]).await?;
    // The worker replays under load before the load ends.
    pair.until_caught_up().await?;
    load.finish().await?;
    pair.until_caught_up().await?;
    let rows = pair.assert_same("acc").await?;
    ensure!(rows > 20_000, "only {rows} rows");
    pair.until_no_copy_consumers().await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_every_kind_across_forced_rotations() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.add("public.acc", "").await?;
    pair.on_root.execute("select pgq.set_queue_config('q', 'rotation_period', '0 seconds')", &[]).await?;
    let worker = pair.worker("")?;
    pair.until_state("public.acc", &["ok"]).await?;
    let mut id = 0;
    for round in 0..6 {
        for level in ["read committed", "repeatable read", "serializable"] {
            let client = pair.root.connect().await?;
            id += 10;
            client.batch_execute(&format!("begin isolation level {level}; select 1")).await?;
            client.batch_execute(&format!("insert into acc values ({id}, {round}, '{level}', 1)")).await?;
            client
                .batch_execute(&format!(
                    "savepoint a; insert into acc values ({id} + 1, 0, 'gone', 1); rollback to a"
                ))
                .await?;
            client
                .batch_execute(&format!(
                    "savepoint b; insert into acc values ({id} + 2, 0, 'kept', 1); release b"
                ))
                .await?;
            pair.on_root.batch_execute("select pgq.maint_rotate_tables_step1('q')").await?;
            pair.on_root.batch_execute("select pgq.maint_rotate_tables_step2()").await?;
            // A transaction whose snapshot is older than a rotation may be told to try again; it must not lose anything.
            if let Err(e) =
                client.batch_execute(&format!("update acc set v = 2 where id = {id}; commit")).await
            {
                ensure!(e.code().map(|c| c.code()) == Some("40001"), "{e:?}");
                client.batch_execute("rollback").await?;
            }
            let name = format!("p{id}");
            client
                .batch_execute(&format!(
                    "begin; insert into acc values ({id} + 3, 0, 'prepared', 1); prepare transaction '{name}'"
                ))
                .await?;
            client
                .batch_execute(&format!(
                    "begin; insert into acc values ({id} + 4, 0, 'rolled back', 1); rollback"
                ))
                .await?;
            pair.until_caught_up().await?;
            let end = if round % 2 == 0 { "commit" } else { "rollback" };
            client.batch_execute(&format!("{end} prepared '{name}'")).await?;
        }
    }
    pair.until_caught_up().await?;
    let rows = pair.assert_same("acc").await?;
    ensure!(rows >= 9, "only {rows} rows");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_is_taken_up_again_in_every_state_it_was_killed_in() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.on_root
        .batch_execute(
            "insert into acc select g, g % 7, repeat('x', 100), g from generate_series(1, 60000) g",
        )
        .await?;
    let load = Load::start(&pair, 1).await?;
    pair.add("public.acc", "").await?;
    for states in [&["in-copy"][..], &["catching-up"], &["wanna-sync"], &["do-sync", "ok"]] {
        let worker = pair.worker("")?;
        let state = pair.until_state("public.acc", &[states, &["ok"][..]].concat()).await?;
        worker.kill().await;
        eprintln!("killed in {state}");
    }
    let worker = pair.worker("")?;
    pair.until_state("public.acc", &["ok"]).await?;
    load.finish().await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("acc").await? > 50_000);
    pair.until_no_copy_consumers().await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_and_double_nothing() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.both("create table log (at timestamptz default now(), n int)").await?;
    pair.both("create table other (id int primary key, v text)").await?;
    pair.on_root.batch_execute("insert into other select g, 'v' from generate_series(1, 30000) g").await?;
    let load = Load::start(&pair, 2).await?;
    pair.add("public.acc", "").await?;
    let mut pause: u64 = 40;
    for round in 0..14 {
        let worker = pair.worker("parallel_copies = 2")?;
        if round == 2 {
            pair.add("public.other", "").await?;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 13 + 57) % 400;
        worker.kill().await;
    }
    let worker = pair.worker("parallel_copies = 2")?;
    for table in ["public.acc", "public.other"] {
        pair.until_state(table, &["ok"]).await?;
    }
    load.finish().await?;
    pair.until_caught_up().await?;
    pair.assert_same("acc").await?;
    ensure!(pair.assert_same("other").await? == 30_000);
    pair.until_no_copy_consumers().await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_with_dependants_and_indexes_and_foreign_keys_come_back() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(
        "create table parent (id int primary key, v text unique); \
         create table child (id int primary key, p int references parent (id), w text); \
         create index child_w on child (w); comment on index child_w is 'kept';",
    )
    .await?;
    pair.on_root
        .batch_execute(
            "insert into parent select g, repeat(md5(g::text), 8) from generate_series(1, 40000) g; \
             insert into child select g, g, repeat(md5(g::text), 8) from generate_series(1, 40000) g",
        )
        .await?;
    let shape = "select string_agg(d, E'\\n' order by d) from ( \
         select pg_get_indexdef(indexrelid) || indisprimary as d from pg_index where indrelid in ('parent'::regclass, 'child'::regclass) \
         union all select conname || pg_get_constraintdef(oid) || convalidated from pg_constraint where conrelid in ('parent'::regclass, 'child'::regclass)) x";
    let before: String = pair.on_leaf.query_one(shape, &[]).await?.get(0);
    pair.add("public.parent", "").await?;
    pair.add("public.child", "").await?;
    let worker = pair.worker("")?;
    for table in ["public.parent", "public.child"] {
        pair.until_state(table, &["ok"]).await?;
    }
    wait_for("the foreign key to come back", PATIENCE, || async {
        let after: String = pair.on_leaf.query_one(shape, &[]).await?.get(0);
        Ok((after == before).then_some(()))
    })
    .await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("parent").await? == 40_000);
    pair.assert_same("child").await?;
    pair.on_root.batch_execute("truncate parent cascade; insert into parent values (1, 'new')").await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("parent").await? == 1);
    ensure!(pair.assert_same("child").await? == 0);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_key_replicates_its_inserts() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table history (at int, what text)").await?;
    let refused = pair.add("public.history", "").await.expect_err("a key is needed for more than inserts");
    ensure!(format!("{refused:?}").contains("Primary key"), "{refused:?}");
    pair.on_root.batch_execute("insert into history values (1, 'before')").await?;
    let inserts = "select * from londiste.local_add_table('q', 'public.history', array['tgflags=I'])";
    support::admin(&pair.on_root, inserts).await?;
    pair.add_on_leaf("public.history", "'tgflags=I'").await?;
    let worker = pair.worker("")?;
    pair.until_state("public.history", &["ok"]).await?;
    pair.on_root
        .batch_execute("insert into history select g / 2, null from generate_series(1, 100) g")
        .await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("history").await? == 101);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_is_acknowledged_and_a_paused_worker_stops_promptly() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.add("public.acc", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    support::admin(&pair.on_leaf, "select * from pgq_node.set_consumer_paused('q', 'leaf_w', true)").await?;
    wait_for("the acknowledgement", PATIENCE, || async {
        let sql = "select uptodate from pgq_node.local_state where consumer_name = 'leaf_w'";
        Ok(pair.on_leaf.query_one(sql, &[]).await?.get::<_, bool>(0).then_some(()))
    })
    .await?;
    pair.on_root.batch_execute("insert into acc values (1, 1, 'x', 1)").await?;
    worker.stop().await?;
    ensure!(
        pair.on_leaf.query("select 1 from acc", &[]).await?.is_empty(),
        "a paused worker has applied something"
    );
    support::admin(&pair.on_leaf, "select * from pgq_node.set_consumer_paused('q', 'leaf_w', false)").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    pair.assert_same("acc").await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_named_and_replay_goes_on_when_it_is_gone() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.add("public.acc", "'expect_sync'").await?;
    pair.on_leaf
        .batch_execute(
            "set session_replication_role = replica; insert into acc values (7, 0, 'in the way', 0)",
        )
        .await?;
    let worker = pair.worker("")?;
    pair.on_root.batch_execute("insert into acc select g, 0, 'x', g from generate_series(1, 20) g").await?;
    let error = wait_for("the error", PATIENCE, || async {
        let text = pair.errors().await?;
        Ok((text.contains("ev_id") && !text.contains("after it")).then_some(text))
    })
    .await?;
    ensure!(error.contains("public.acc") && error.contains("duplicate key"), "{error}");
    pair.on_leaf.batch_execute("delete from acc where note = 'in the way'").await?;
    pair.until_caught_up().await?;
    pair.assert_same("acc").await?;
    ensure!(pair.errors().await?.is_empty(), "the error stays");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_as_one_batch_and_what_is_before_an_error_is_kept() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table heap (id int primary key, note text)").await?;
    pair.add("public.heap", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    worker.stop().await?;
    let ticks = async |rows: std::ops::RangeInclusive<i32>| -> Result<()> {
        for id in rows {
            pair.on_root.execute("insert into heap values ($1, 'backlog')", &[&id]).await?;
            // A forced tick would look like two million events.
            let sees = "select exists (select 1 from pgq.tick t, heap h \
                 where h.id = $1 and txid_visible_in_snapshot(h.xmin::text::bigint, t.tick_snapshot))";
            wait_for("a tick that sees the row", PATIENCE, || async {
                Ok(pair.on_root.query_one(sees, &[&id]).await?.get::<_, bool>(0).then_some(()))
            })
            .await?;
        }
        Ok(())
    };
    ticks(1..=8).await?;
    let seen = "select count(distinct xmin::text) from heap where id <= 8";
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    pair.assert_same("heap").await?;
    let transactions: i64 = pair.on_leaf.query_one(seen, &[]).await?.get(0);
    ensure!(transactions == 1, "the backlog took {transactions} transactions");
    worker.stop().await?;

    pair.on_leaf
        .batch_execute("set session_replication_role = replica; insert into heap values (15, 'in the way')")
        .await?;
    ticks(11..=18).await?;
    let worker = pair.worker("")?;
    wait_for("the rows before the error", PATIENCE, || async {
        let kept: i64 =
            pair.on_leaf.query_one("select count(*) from heap where id between 11 and 14", &[]).await?.get(0);
        Ok((kept == 4).then_some(()))
    })
    .await?;
    wait_for("the error", PATIENCE, || async {
        Ok(pair.errors().await?.contains("insert into public.heap failed").then_some(()))
    })
    .await?;
    pair.on_leaf.execute("delete from heap where id = 15", &[]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("heap").await? == 16);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_missing_here_is_named_and_replay_goes_on_when_it_is_added() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.add("public.acc", "'expect_sync'").await?;
    let worker = pair.worker("")?;
    pair.on_root
        .batch_execute("insert into acc values (1, 1, 'before', 1); alter table acc add extra real")
        .await?;
    pair.on_root.batch_execute("insert into acc values (2, 1, 'after', 1, 0.25)").await?;
    let error = wait_for("the error", PATIENCE, || async {
        let text = pair.errors().await?;
        Ok(text.contains("extra").then_some(text))
    })
    .await?;
    ensure!(error.contains("public.acc"), "{error}");
    pair.on_leaf.batch_execute("alter table acc add extra real").await?;
    pair.until_caught_up().await?;
    pair.assert_same("acc").await?;
    // A type change behind the worker's back: the prepared statements must notice it.
    pair.both("alter table acc alter extra type double precision").await?;
    pair.on_root.batch_execute("insert into acc values (3, 1, 'precise', 1, 0.1234567890123456)").await?;
    pair.until_caught_up().await?;
    pair.assert_same("acc").await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_waits_for_columns_unless_they_are_not_to_come() -> Result<()> {
    let pair = Pair::new().await?;
    pair.on_root
        .batch_execute(
            "create table late (id int primary key, v text); insert into late select g, 'v' from generate_series(1, 50) g; \
             create table without (id int primary key, v text, w text); insert into without values (1, 'v', 'w'); \
             create table forced (id int primary key, v text, w text); insert into forced values (1, 'v', 'w')",
        )
        .await?;
    pair.on_leaf
        .batch_execute(
            "create table late (id int primary key, v text); create table without (id int primary key, v text); \
             create table forced (id int primary key, v text)",
        )
        .await?;
    // The root's script has run, its event has not come, and rows of the copy have what it made.
    pair.on_root.batch_execute("alter table late add column w int; update late set w = id").await?;
    pair.add("public.late", "").await?;
    admin(
        &pair.on_root,
        "select * from londiste.local_add_table('q', 'public.without', '{ignore=w}'::text[])",
    )
    .await?;
    pair.add_on_leaf("public.without", "").await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.forced')").await?;
    admin(&pair.on_leaf, "select * from londiste.global_add_table('q', 'public.forced')").await?;
    admin(
        &pair.on_leaf,
        "select * from londiste.local_add_table('q', 'public.forced', '{}'::text[], 'columns_differ=1')",
    )
    .await?;
    // One at a time: the one that waits holds up no other.
    let worker = pair.worker("parallel_copies = 1")?;
    for table in ["public.without", "public.forced"] {
        pair.until_state(table, &["ok"]).await?;
    }
    let refused = wait_for("the copy's complaint", PATIENCE, || async {
        let errors = pair.errors().await?;
        Ok(errors.contains("table public.late lacks columns").then_some(errors))
    });
    let refused = refused.await?;
    ensure!(refused.contains("that the copy's source has: \"w\""), "{refused}");
    ensure!(pair.state("public.late").await? != "ok");
    pair.on_leaf.batch_execute("alter table late add column w int").await?;
    pair.until_state("public.late", &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("late").await? == 50);
    worker.stop().await
}

/// Asks with `begin` for a copy of `acc`, whose gate is in place, and with `request` for something else when it has come to `state`.
async fn request_in(pair: &Pair, state: &str, begin: &str, request: &str) -> Result<()> {
    let before = loads(pair).await?;
    pair.on_leaf.batch_execute("select pg_advisory_lock(778)").await?;
    support::admin(&pair.on_leaf, begin).await?;
    wait_for("the load to begin", PATIENCE, || async { Ok((loads(pair).await? > before).then_some(())) })
        .await?;
    ensure!(pair.state("public.acc").await? == "in-copy");
    if state == "catching-up" {
        // A copy asks its source for batches, and stays in this state without an answer.
        pair.on_root.batch_execute("begin; lock table pgq.subscription in exclusive mode").await?;
        pair.on_leaf.batch_execute("select pg_advisory_unlock(778)").await?;
        pair.until_state("public.acc", &[state]).await?;
    }
    support::admin(&pair.on_leaf, request).await?;
    pair.on_leaf.batch_execute("select pg_advisory_unlock_all()").await?;
    Ok(pair.on_root.batch_execute("rollback").await?)
}

/// How many loads of `acc` have begun, also those that were rolled back.
async fn loads(pair: &Pair) -> Result<i64> {
    let sql = "select case when is_called then last_value else 0 end from loads";
    Ok(pair.on_leaf.query_one(sql, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_and_removal_under_way() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both(ACC).await?;
    pair.on_root
        .batch_execute("insert into acc select g, 0, repeat('y', 200), g from generate_series(1, 50000) g")
        .await?;
    pair.on_leaf
        .batch_execute(
            "create sequence loads; create function gate() returns trigger language plpgsql as \
               $$ begin perform nextval('public.loads'), pg_advisory_xact_lock_shared(778); return null; end $$; \
             create trigger gate before truncate on acc execute function gate(); alter table acc enable always trigger gate",
        )
        .await?;
    pair.add("public.acc", "").await?;
    let worker = pair.worker("")?;
    pair.until_state("public.acc", &["ok"]).await?;
    let resync = "select * from londiste.local_set_table_state('q', 'public.acc', null, null)";
    let remove = "select * from londiste.local_remove_table('q', 'public.acc')";
    for state in ["in-copy", "catching-up"] {
        let before = loads(&pair).await?;
        request_in(&pair, state, resync, resync).await?;
        // The copy that is under way ends before the one that was asked for begins.
        wait_for("the copy that was asked for", PATIENCE, || async {
            Ok((loads(&pair).await? > before + 1).then_some(()))
        })
        .await?;
        pair.until_state("public.acc", &["ok"]).await?;
        pair.until_caught_up().await?;
        ensure!(pair.assert_same("acc").await? == 50_000);
    }
    for state in ["in-copy", "catching-up"] {
        request_in(&pair, state, resync, remove).await?;
        pair.until_no_copy_consumers().await?;
        pair.until_caught_up().await?;
        pair.add_on_leaf("public.acc", "").await?;
        pair.until_state("public.acc", &["ok"]).await?;
    }
    ensure!(pair.assert_same("acc").await? == 50_000);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_not_rewritten_between_the_snapshot_and_the_copy() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table acc (id bigint primary key, v int)").await?;
    pair.on_root.batch_execute("insert into acc select g, g from generate_series(1, 300) g").await?;
    pair.add("public.acc", "").await?;
    // The copy has its snapshot, and waits for this one.
    let reader = pair.leaf.connect().await?;
    reader.batch_execute("begin; select count(*) from acc").await?;
    let worker = pair.worker("")?;
    let waits = "select count(*) from pg_locks where relation = 'acc'::regclass and not granted";
    let waiting = async |client: &tokio_postgres::Client, what: &str| {
        wait_for(what, PATIENCE, || async {
            let count: i64 = client.query_one(waits, &[]).await?.get(0);
            Ok((count == 1).then_some(()))
        })
        .await
    };
    waiting(&pair.on_leaf, "the copy to wait for the reader").await?;
    let altering = pair.root.connect().await?;
    let rewrite =
        tokio::spawn(async move { altering.batch_execute("alter table acc alter v type bigint").await });
    waiting(&pair.on_root, "the rewrite to wait for the copy").await?;
    reader.batch_execute("commit").await?;
    rewrite.await??;
    pair.until_state("public.acc", &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("acc").await? == 300);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_a_partitioned_table_are_there_after_the_copy_of_a_large_plain_one() -> Result<()> {
    let pair = Pair::new().await?;
    pair.on_root
        .batch_execute(
            "create table acc (id int primary key, v text); insert into acc select g, repeat('x', 300) from generate_series(1, 5000) g",
        )
        .await?;
    pair.on_leaf
        .batch_execute(
            "create table acc (id int primary key, v text) partition by hash (id); create index by_v on acc (v); \
             create table acc1 partition of acc for values with (modulus 2, remainder 0); \
             create table acc2 partition of acc for values with (modulus 2, remainder 1)",
        )
        .await?;
    pair.add("public.acc", "").await?;
    let worker = pair.worker("")?;
    pair.until_state("public.acc", &["ok"]).await?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("acc").await? == 5000);
    let valid = "select count(*) from pg_index where indrelid in ('acc'::regclass, 'acc1'::regclass, 'acc2'::regclass) and indisvalid";
    let valid: i64 = pair.on_leaf.query_one(valid, &[]).await?.get(0);
    ensure!(valid == 6, "{valid} valid indexes");
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_from_before_the_table_was_added_does_not_undo_that() -> Result<()> {
    let pair = Pair::new().await?;
    pair.both("create table kept (id int primary key); create table lost (id int primary key)").await?;
    for table in ["kept", "lost"] {
        let sql = format!("select * from londiste.local_add_table('q', 'public.{table}')");
        admin(&pair.on_root, &sql).await?;
    }
    // The event is on its way when the table is added here: the root has it again.
    admin(&pair.on_root, "select * from londiste.local_remove_table('q', 'public.kept')").await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.kept')").await?;
    let mark: String = pair
        .on_root
        .query_one(
            "select pg_sequence_last_value('pgq.event_1_id_seq')::text || '/' || txid_current_snapshot()::text || '/root'",
            &[],
        )
        .await?
        .get(0);
    for table in ["kept", "lost"] {
        admin(&pair.on_leaf, &format!("select * from londiste.global_add_table('q', 'public.{table}')"))
            .await?;
        let sql = format!(
            "select * from londiste.local_add_table('q', 'public.{table}', array['expect_sync'], 'added_at=' || replace(replace('{mark}', ':', '%3a'), '/', '%2f'))"
        );
        admin(&pair.on_leaf, &sql).await?;
    }
    // This one comes later.
    admin(&pair.on_root, "select * from londiste.local_remove_table('q', 'public.lost')").await?;
    pair.on_root.batch_execute("insert into kept values (1)").await?;
    let worker = pair.worker("")?;
    pair.until_caught_up().await?;
    ensure!(pair.assert_same("kept").await? == 1);
    ensure!(pair.state("public.kept").await? == "ok", "{}", pair.state("public.kept").await?);
    let local: Option<bool> = pair
        .on_leaf
        .query_opt("select local from londiste.table_info where table_name = 'public.lost'", &[])
        .await?
        .map(|row| row.get(0));
    ensure!(local != Some(true), "removed by the root, and still replicated");
    worker.stop().await
}
