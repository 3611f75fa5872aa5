//! Batches while somebody holds a snapshot: one client inserts two events, ticks, opens a batch and finishes it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use skytools::install::Module;
use tokio_postgres::{NoTls, Statement};

use crate::Settings;
use crate::ground;
use crate::harness::{Better, Comparison, Contender, Windows};
use crate::session::Session;

/// Loops made under the snapshot before the first window, in seconds of `--seconds`.
const HELD_BEFORE: u32 = 3;

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig_free")?;
    ground::original(&cluster, "orig_held")?;
    let ours = ground::ours(&cluster, "ours_free", &[Module::Pgq])?;
    ground::ours(&cluster, "ours_held", &[Module::Pgq])?;
    let windows = Windows::of(settings.rounds, settings.seconds);
    let before = Duration::from_secs(settings.seconds.into()) * HELD_BEFORE;
    let mut holders = Vec::new();
    let mut contenders = Vec::new();
    for (db, held, name, target) in [
        ("ours_free", false, &ours, None),
        ("ours_held", true, &ours, Some(0.95)),
        ("orig_free", false, &original, None),
        ("orig_held", true, &original, None),
    ] {
        cluster.psql(
            db,
            "select pgq.create_queue('q'), pgq.register_consumer('q', 'c');
             update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0'",
        )?;
        let client = Looping::open(&cluster, db)?;
        if held {
            // What a snapshot keeps from being removed, it keeps in its own database only.
            holders.push(Holder::new(&cluster, db)?);
            client.rate(before)?;
        }
        contenders.push(Contender {
            name: format!("{name}, {}", if held { "snapshot held" } else { "no snapshot held" }),
            target,
            measure: Box::new(move || client.rate(windows.length)),
        });
    }
    Comparison {
        title: format!(
            "insert two events, tick, open and finish the batch; snapshot held for {} s of loops and all windows",
            before.as_secs()
        ),
        unit: "loops/s",
        better: Better::Higher,
        reference: 0,
        contenders,
    }
    .run(windows.count, settings.json)?;
    holders.into_iter().try_for_each(Holder::release)
}

/// One client that goes round and round.
struct Looping {
    session: Session,
    insert: Statement,
    tick: Statement,
    next: Statement,
    finish: Statement,
}

impl Looping {
    fn open(cluster: &Cluster, db: &str) -> Result<Looping> {
        let session = Session::open(cluster, db)?;
        session.keep_to_processor(0)?;
        let prepare = |sql| session.runtime.block_on(session.connection.prepare(sql));
        Ok(Looping {
            insert: prepare("select pgq.insert_event('q', 'type', 'data')")?,
            tick: prepare("select pgq.ticker('q')")?,
            next: prepare("select pgq.next_batch('q', 'c')")?,
            finish: prepare("select pgq.finish_batch($1)")?,
            session,
        })
    }

    /// Loops per second. Vacuum comes first, so that without a snapshot nothing old is in the way.
    fn rate(&self, window: Duration) -> Result<f64> {
        self.session.execute("vacuum pgq.subscription")?;
        self.session.runtime.block_on(async {
            let client = &self.session.connection;
            let began = Instant::now();
            let mut count = 0_u32;
            while began.elapsed() < window {
                client.query(&self.insert, &[]).await?;
                client.query(&self.insert, &[]).await?;
                client.query(&self.tick, &[]).await?;
                let batch: Option<i64> = client.query_one(&self.next, &[]).await?.try_get(0)?;
                let batch = batch.context("no batch although a tick was made")?;
                let done: i32 = client.query_one(&self.finish, &[&batch]).await?.try_get(0)?;
                ensure!(done == 1, "batch {batch} was not there");
                count += 1;
            }
            Ok(f64::from(count) / began.elapsed().as_secs_f64())
        })
    }
}

/// A transaction that does nothing but hold its snapshot, in a thread of its own.
struct Holder {
    thread: thread::JoinHandle<Result<()>>,
    stop: mpsc::Sender<()>,
}

impl Holder {
    fn new(cluster: &Cluster, db: &str) -> Result<Self> {
        let connstr = cluster.connstr(db);
        let (stop, stopped) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(
                async {
                    let (client, connection) = tokio_postgres::connect(&connstr, NoTls).await?;
                    let task = tokio::spawn(connection);
                    client
                        .batch_execute(
                            "begin isolation level repeatable read; select count(*) from pgq.subscription",
                        )
                        .await?;
                    ready.send(())?;
                    // an error means that the owner has gone, which ends the hold as well
                    let held = tokio::task::spawn_blocking(move || stopped.recv());
                    held.await?.ok();
                    client.batch_execute("commit").await?;
                    drop(client);
                    task.await??;
                    anyhow::Ok(())
                },
            )
        });
        if is_ready.recv().is_err() {
            thread.join().map_err(|_| anyhow::anyhow!("the holder of the snapshot panicked"))??;
            anyhow::bail!("the holder of the snapshot ended");
        }
        Ok(Holder { thread, stop })
    }

    fn release(self) -> Result<()> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow::anyhow!("the holder of the snapshot panicked"))?
    }
}
