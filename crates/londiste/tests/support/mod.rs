//! Two databases as root and leaf of one queue, with a ticker in a loop and workers that can be killed.

#![allow(dead_code)] // every test program uses its part

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use skytools::config::Config;
use skytools::service::Signals;
use testkit::{TestDb, wait_for};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

pub const QUEUE: &str = "q";
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The last event number drawn.
const DRAWN: &str = "select pgq.seq_getval(queue_event_seq) from pgq.queue where queue_name = 'q'";
/// The first tick made after an event number was drawn.
const TICK_THAT_KNOWS: &str = "select t.tick_id from pgq.tick t, pgq.queue q \
     where q.queue_name = 'q' and t.tick_queue = q.queue_id and t.tick_event_seq >= $1 order by t.tick_id limit 1";

/// Root and leaf of queue `q`.
pub struct Pair {
    pub root: TestDb,
    pub leaf: TestDb,
    pub on_root: Client,
    pub on_leaf: Client,
    ticker: JoinHandle<()>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.ticker.abort();
    }
}

impl Pair {
    pub async fn new() -> Result<Pair> {
        let (root, leaf) = (testkit::database().await?, testkit::database().await?);
        let (on_root, on_leaf) = (root.connect().await?, leaf.connect().await?);
        let (r, l) = (root.connstr().to_owned(), leaf.connstr().to_owned());
        admin(&on_root, &format!("select * from pgq_node.register_location('q', 'root', $c${r}$c$, false)"))
            .await?;
        admin(
            &on_root,
            "select * from pgq_node.create_node('q', 'root', 'root', 'root_w', null, null, null)",
        )
        .await?;
        for setting in
            ["'ticker_max_lag', '100 ms'", "'ticker_idle_period', '1 hour'", "'ticker_max_count', '1000000'"]
        {
            on_root.execute(&format!("select pgq.set_queue_config('q', {setting})"), &[]).await?;
        }
        admin(&on_root, &format!("select * from pgq_node.register_location('q', 'leaf', $c${l}$c$, false)"))
            .await?;
        admin(&on_root, "select * from pgq_node.register_subscriber('q', 'leaf', 'leaf_w', null)").await?;
        for (name, location) in [("root", &r), ("leaf", &l)] {
            let sql =
                format!("select * from pgq_node.register_location('q', '{name}', $c${location}$c$, false)");
            admin(&on_leaf, &sql).await?;
        }
        let mark: i64 =
            on_root.query_one("select global_watermark from pgq_node.get_node_info('q')", &[]).await?.get(0);
        let sql = format!(
            "select * from pgq_node.create_node('q', 'leaf', 'leaf', 'leaf_w', 'root', {mark}, null)"
        );
        admin(&on_leaf, &sql).await?;
        let ticking = root.connect().await?;
        let ticker = tokio::spawn(async move {
            loop {
                if let Err(e) = ticking.batch_execute("select pgq.ticker()").await {
                    eprintln!("ticker: {e:?}");
                    return;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        Ok(Pair { root, leaf, on_root, on_leaf, ticker })
    }

    /// Runs the same SQL on both nodes.
    pub async fn both(&self, sql: &str) -> Result<()> {
        self.on_root.batch_execute(sql).await?;
        self.on_leaf.batch_execute(sql).await?;
        Ok(())
    }

    /// Registers a table on both nodes; the leaf copies it, unless `args` say otherwise.
    pub async fn add(&self, table: &str, leaf_args: &str) -> Result<()> {
        admin(&self.on_root, &format!("select * from londiste.local_add_table('q', '{table}')")).await?;
        self.add_on_leaf(table, leaf_args).await
    }

    pub async fn add_on_leaf(&self, table: &str, args: &str) -> Result<()> {
        admin(&self.on_leaf, &format!("select * from londiste.global_add_table('q', '{table}')")).await?;
        admin(
            &self.on_leaf,
            &format!("select * from londiste.local_add_table('q', '{table}', array[{args}]::text[])"),
        )
        .await
    }

    /// A configuration of the leaf's worker.
    pub fn config(&self, more: &str) -> Result<Config> {
        let text = format!(
            "[londiste]\njob_name = leaf_w\nqueue_name = q\ndb = {}\nloop_delay = 0.1\nexception_sleep = 0.5\n{more}\n",
            self.leaf.connstr()
        );
        Ok(Config::from_text(&text, &["londiste"], &[])?)
    }

    /// Starts the leaf's worker.
    pub fn worker(&self, more: &str) -> Result<Running> {
        Running::start(self.config(more)?)
    }

    /// The stored state of a table on the leaf, `-` for NULL.
    pub async fn state(&self, table: &str) -> Result<String> {
        let row = self
            .on_leaf
            .query_opt("select coalesce(merge_state, '-') from londiste.table_info where queue_name = 'q' and table_name = $1", &[&table])
            .await?;
        Ok(row.map_or_else(|| "(gone)".to_owned(), |r| r.get(0)))
    }

    pub async fn until_state(&self, table: &str, states: &[&str]) -> Result<String> {
        let what = format!("{table} to be {states:?}");
        let found = wait_for(&what, PATIENCE, || async {
            let state = self.state(table).await?;
            Ok(states.iter().any(|s| state.starts_with(s)).then_some(state))
        });
        match found.await {
            Ok(state) => Ok(state),
            Err(e) => bail!("{e:?}; it is {}; {}", self.state(table).await?, self.errors().await?),
        }
    }

    /// What consumers of the leaf complain about.
    pub async fn errors(&self) -> Result<String> {
        let rows = self.on_leaf.query(
            "select consumer_name, cur_error from pgq_node.local_state where cur_error is not null",
            &[],
        );
        let texts: Vec<String> = rows
            .await?
            .iter()
            .map(|r| format!("{}: {}", r.get::<_, String>(0), r.get::<_, String>(1)))
            .collect();
        Ok(texts.join("\n"))
    }

    /// Waits until the leaf has applied everything that is committed on the root now.
    pub async fn until_caught_up(&self) -> Result<()> {
        // Two ticks: the snapshot of the first may be older than this call.
        for _ in 0..2 {
            // Asked for once, and the tick must know it: a request left over would make the next tick look like two million
            // events.
            self.on_root.execute("select pgq.force_tick('q')", &[]).await?;
            let forced: i64 = self.on_root.query_one(DRAWN, &[]).await?.get(0);
            let tick = wait_for("a tick", PATIENCE, || async {
                Ok(self.on_root.query_opt(TICK_THAT_KNOWS, &[&forced]).await?.map(|row| row.get::<_, i64>(0)))
            })
            .await?;
            let what = format!("the leaf to reach tick {tick}");
            let reached = wait_for(&what, PATIENCE, || async {
                let sql = "select last_tick_id from pgq_node.local_state where consumer_name = 'leaf_w'";
                let at: i64 = self.on_leaf.query_one(sql, &[]).await?.get(0);
                Ok((at >= tick).then_some(()))
            });
            if let Err(e) = reached.await {
                bail!("{e:?}; {}", self.errors().await?);
            }
        }
        Ok(())
    }

    /// Fails unless both nodes have the same rows.
    pub async fn assert_same(&self, table: &str) -> Result<i64> {
        let sql = format!(
            "select count(*), coalesce(md5(string_agg(t::text, E'\\n' order by t::text collate \"C\")), '') from {table} t"
        );
        let (a, b) = (self.on_root.query_one(&sql, &[]).await?, self.on_leaf.query_one(&sql, &[]).await?);
        let (rows_a, rows_b): (i64, i64) = (a.get(0), b.get(0));
        ensure!(rows_a == rows_b, "{table}: {rows_a} rows on the root, {rows_b} on the leaf");
        ensure!(a.get::<_, String>(1) == b.get::<_, String>(1), "{table}: {rows_a} rows, but different ones");
        Ok(rows_a)
    }

    /// No copy consumer is left on either side.
    pub async fn until_no_copy_consumers(&self) -> Result<()> {
        wait_for("the copies' consumers to go", PATIENCE, || async {
            let there: i64 = self
                .on_root
                .query_one(
                    "select count(*) from pgq.get_consumer_info('q') where consumer_name like '%.copy.%'",
                    &[],
                )
                .await?
                .get(0);
            let here: i64 = self
                .on_leaf
                .query_one(
                    "select count(*) from pgq_node.local_state where consumer_name like '%.copy.%'",
                    &[],
                )
                .await?
                .get(0);
            Ok((there + here == 0).then_some(()))
        })
        .await
    }
}

/// Calls a function that answers with a code.
pub async fn admin(client: &Client, sql: &str) -> Result<()> {
    let row = client.query_one(sql, &[]).await?;
    let (code, note): (i32, String) = (row.get("ret_code"), row.get("ret_note"));
    ensure!(code < 300, "{sql}: {code} {note}");
    Ok(())
}

/// A worker that runs in this process.
pub struct Running {
    signals: Signals,
    task: JoinHandle<skytools::Result<std::process::ExitCode>>,
    /// Its own, so that it can be cut off as a whole.
    runtime: Option<Runtime>,
}

impl Running {
    pub fn start(config: Config) -> Result<Running> {
        if std::env::var_os("SHOW_LOG").is_some() {
            skytools::log::init_console("worker", 1);
        }
        let signals = Signals::manual();
        let runtime = Runtime::new()?;
        let task = runtime.spawn(londiste::worker::run(config, signals.clone()));
        Ok(Running { signals, task, runtime: Some(runtime) })
    }

    /// As `kill -9`: whatever it was doing is cut off, its sockets are closed. All of that is over on return, also for the
    /// tasks that it had started: aborting them would only ask them to end.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take();
        if let Err(error) = tokio::task::spawn_blocking(move || drop(runtime)).await {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// As SIGINT.
    pub async fn stop(mut self) -> Result<()> {
        self.signals.request_stop();
        tokio::time::timeout(PATIENCE, &mut self.task).await???;
        self.kill().await;
        Ok(())
    }

    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of a test that has ended: nobody looks any more.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
