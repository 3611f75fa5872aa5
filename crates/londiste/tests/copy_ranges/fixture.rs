//! Root and leaf with one table that is copied by ranges, and a gate that lets the copy stop where a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::places::built_program;
use testkit::{Process, wait_for};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use crate::support::{PATIENCE, Pair, Running};

/// Everything goes by ranges of 32 blocks, one connection.
pub const ONE: &str = "threaded_copy_tables = *\nthreaded_copy_pool_size = 1\ncopy_range_size = 256k";
pub const THREE: &str =
    "threaded_copy_tables = *\nthreaded_copy_pool_size = 3\ncopy_range_size = 256k\ncopy_index_memory = 8MB";

pub const TABLE: &str = "create table t (id bigint primary key, u int unique, v text not null, n numeric, \
        w int generated always as (length(v)) stored, x int, check (id <> 0)); \
     create index t_v on t (v); create index \"t odd\"\";\n\" on t (n) where n > 0; create unique index t_part on t (u, n) where v is not null";
pub const ROWS: usize = 20_000;

/// What a table has besides rows.
const OBJECTS: &str = "select coalesce(string_agg(x, E'\\n' order by x), '') from ( \
     select pg_get_indexdef(indexrelid) || indisvalid::text || indisprimary::text as x from pg_index where indrelid = 't'::regclass \
     union all select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass) o";

/// The ranges that a kill by [`Fixture::interrupted`] leaves loaded.
pub const BEFORE: i64 = 4;

/// Root and leaf, and table `t` in the middle of its way from one to the other.
pub struct Fixture {
    pub pair: Pair,
    /// A session of the leaf that holds the gate shut.
    pub keeper: Client,
}

impl Fixture {
    /// Nodes whose leaf notes in table `done` each range that is loaded. No table yet.
    pub async fn empty() -> Result<Fixture> {
        let pair = Pair::new().await?;
        pair.on_leaf
            .batch_execute(
                "create table done (range_nr int, attempt int, layout text); \
                 create function note() returns trigger language plpgsql as \
                   $$ begin insert into public.done values (new.range_nr, new.attempt, new.layout); return new; end $$; \
                 create trigger note after update on londiste.copy_range for each row \
                   when (old.snapshot is null and new.snapshot is not null) execute function note(); \
                 alter table londiste.copy_range enable always trigger note; \
                 create function gate() returns trigger language plpgsql as \
                   $$ begin perform pg_catalog.pg_advisory_xact_lock_shared(777); return new; end $$",
            )
            .await?;
        let keeper = pair.leaf.connect().await?;
        Ok(Fixture { pair, keeper })
    }

    /// Table `t` is filled on the root and waits for its copy on the leaf.
    pub async fn new() -> Result<Fixture> {
        let fixture = Fixture::empty().await?;
        fixture.pair.both(TABLE).await?;
        fixture
            .pair
            .on_root
            .batch_execute(&format!(
                "insert into t (id, u, v, n, x) select g, g, repeat('v', 60) || g, g / 7.0, g from generate_series(1, {ROWS}) g"
            ))
            .await?;
        fixture.pair.add("public.t", "").await?;
        Ok(fixture)
    }

    /// A copy that was killed after its first four ranges, and has left nothing behind but what it had committed.
    pub async fn interrupted() -> Result<Fixture> {
        let fixture = Fixture::new().await?;
        fixture.interrupt().await?;
        Ok(fixture)
    }

    /// Lets a copy begin and kills it after its first four ranges.
    pub async fn interrupt(&self) -> Result<()> {
        self.keeper.batch_execute("truncate done").await?;
        self.shut("londiste.copy_range", "new.snapshot is not null and new.range_nr = 5").await?;
        let worker = self.pair.worker(ONE)?;
        self.until_waiting(1).await?;
        worker.kill().await;
        self.open("londiste.copy_range").await?;
        for client in [&self.pair.on_root, &self.pair.on_leaf] {
            wait_for("the copy's sessions to end", PATIENCE, || async {
                let left = count(client, "select count(*) from pg_stat_activity where application_name like '%.copy.%' and datname = current_database()").await?;
                Ok((left == 0).then_some(()))
            })
            .await?;
        }
        let before = self.done("true").await?;
        ensure!(before == BEFORE, "{before} ranges loaded before the kill");
        Ok(())
    }

    /// From now on, whoever updates `table` so that the condition holds has to wait.
    pub async fn shut(&self, table: &str, condition: &str) -> Result<()> {
        self.keeper
            .batch_execute(&format!(
                "select pg_advisory_lock(777); create trigger a_gate before update on {table} for each row \
                 when ({condition}) execute function gate(); alter table {table} enable always trigger a_gate"
            ))
            .await?;
        Ok(())
    }

    /// Waits until that many sessions stand at the gate.
    pub async fn until_waiting(&self, sessions: i64) -> Result<()> {
        wait_for("sessions to wait at the gate", PATIENCE, || async {
            let sql =
                "select count(*) from pg_locks where locktype = 'advisory' and objid = 777 and not granted and database = (select oid from pg_database where datname = current_database())";
            Ok((count(&self.keeper, sql).await? >= sessions).then_some(()))
        })
        .await
    }

    pub async fn open(&self, table: &str) -> Result<()> {
        self.keeper.batch_execute("select pg_advisory_unlock_all()").await?;
        self.keeper.batch_execute(&format!("drop trigger a_gate on {table}")).await?;
        Ok(())
    }

    /// Number of loads of ranges so far for which the condition holds.
    pub async fn done(&self, condition: &str) -> Result<i64> {
        count(&self.keeper, &format!("select count(*) from done where {condition}")).await
    }

    /// No range was loaded twice.
    pub async fn assert_once(&self) -> Result<()> {
        let again = "select count(*) - count(distinct range_nr) from done";
        let again = count(&self.keeper, again).await?;
        ensure!(again == 0, "{again} ranges were loaded twice");
        Ok(())
    }

    /// Goes on with the copy up to its end; the table is the same on both sides then. Returns the number of rows.
    pub async fn resume(&self, config: &str) -> Result<i64> {
        let worker = self.pair.worker(config)?;
        let rows = self.until_equal().await?;
        worker.stop().await?;
        Ok(rows)
    }

    pub async fn until_loaded(&self) -> Result<()> {
        self.pair.until_state("public.t", &["catching-up", "wanna-sync", "do-sync", "ok"]).await.map(drop)
    }

    /// Waits until the table is handed over and caught up; it is the same on both sides then.
    pub async fn until_equal(&self) -> Result<i64> {
        self.pair.until_state("public.t", &["ok"]).await?;
        self.pair.until_caught_up().await?;
        self.assert_objects().await?;
        self.pair.assert_same("t").await
    }

    /// The table has its indexes and constraints, and nothing of the copy is left.
    pub async fn assert_objects(&self) -> Result<()> {
        let (a, b): (String, String) = (
            self.pair.on_root.query_one(OBJECTS, &[]).await?.get(0),
            self.pair.on_leaf.query_one(OBJECTS, &[]).await?.get(0),
        );
        ensure!(a == b, "objects differ:\n{a}\n--- leaf\n{b}");
        let left = count(&self.pair.on_leaf, "select (select count(*) from londiste.copy_range) + (select count(*) from londiste.table_info where dropped_ddl is not null)").await?;
        ensure!(left == 0, "{left} rows of an unfinished copy are left");
        Ok(())
    }

    /// Runs `londiste INI ARGS…` on the leaf; returns what it prints.
    pub async fn londiste(&self, args: &[&str]) -> Result<String> {
        let dir = tempfile::tempdir()?;
        let ini = dir.path().join("leaf.ini");
        let text =
            format!("[londiste]\njob_name = leaf_w\nqueue_name = q\ndb = {}\n", self.pair.leaf.connstr());
        std::fs::write(&ini, text)?;
        // Built with the tests of this crate.
        let program = built_program("examples/londiste", "londiste --example londiste")?;
        Process::command(program).args([ini.as_os_str()]).args(args).succeed(PATIENCE).await
    }

    pub fn worker(&self, config: &str) -> Result<Running> {
        self.pair.worker(config)
    }
}

pub async fn count(client: &Client, sql: &str) -> Result<i64> {
    Ok(client.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
}

/// Rows appear, change, vanish, come back, change their key, and hand unique values to one another.
pub async fn write_some(client: &Client, seed: i64) -> Result<()> {
    let rows = i64::try_from(ROWS)?;
    let id = |n: i64| 1 + (seed * 7919 + n * 104_729).rem_euclid(rows);
    let fresh = 1_000_000 + seed * 10;
    client
        .batch_execute(&format!(
            "update t set v = v || '.' where id = {a}; \
             delete from t where id = {b}; \
             insert into t values ({fresh}, {fresh}, 'new', 1.5); \
             begin; with gone as (delete from t where id = {c} returning *) \
               insert into t (id, u, v, n) select id + 5000000, u, v || 'moved', n from gone; commit; \
             begin; with gone as (delete from t where id = {d} returning *) select count(*) from gone; \
               insert into t values ({d}, null, 'back', null) on conflict do nothing; commit; \
             begin; update t set u = -u where id in ({e}, {f}); update t set v = 'swapped ' || v where id = {e}; commit; \
             update t set n = n where id between {a} and {a} + 20; \
             begin; savepoint s; delete from t where id = {f}; rollback to s; update t set n = 1.50 where id = {f}; commit",
            a = id(1), b = id(2), c = id(3), d = id(4), e = id(5), f = id(6),
        ))
        .await?;
    Ok(())
}

/// Writers of every isolation level, until told to stop. A statement that the isolation level refuses is tried later.
pub struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<u64>>>,
}

impl Writers {
    pub async fn start(pair: &Pair) -> Result<Writers> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for (nr, level) in ["read committed", "repeatable read", "serializable"].into_iter().enumerate() {
            let client = pair.root.connect().await?;
            client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await?;
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let (mut seed, mut done) = (i64::try_from(nr)?, 0);
                while !stop.load(Ordering::Relaxed) {
                    seed += 3;
                    match write_some(&client, seed).await {
                        Ok(()) => done += 1,
                        Err(_) => client.batch_execute("rollback").await?,
                    }
                    // As fast as the copy can follow on a busy machine, which is what the test is not about.
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                Ok(done)
            }));
        }
        Ok(Writers { stop, tasks })
    }

    pub async fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        for task in self.tasks {
            done += task.await??;
        }
        Ok(done)
    }
}
