//! Batches while somebody holds a snapshot: one client inserts two events, ticks, opens a batch and finishes it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use skytools::install::Module;
use tokio_postgres::NoTls;

use crate::Settings;
use crate::ground;
use crate::harness::{Better, Comparison, Contender};

/// How many windows the snapshot has been held for when the measured one begins.
const HELD_BEFORE: u32 = 3;

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    for db in ["orig", "ours"] {
        cluster.psql(
            db,
            "select pgq.create_queue('q'), pgq.register_consumer('q', 'c');
             update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0'",
        )?;
    }
    let window = Duration::from_secs(settings.seconds.into());
    let free = |db: &'static str| {
        let cluster = &cluster;
        move || {
            cluster.psql(db, "vacuum")?;
            loops(cluster, db, window)
        }
    };
    let held = |db: &'static str| {
        let cluster = &cluster;
        move || {
            cluster.psql(db, "vacuum")?;
            let holder = Holder::new(cluster, db)?;
            loops(cluster, db, window * HELD_BEFORE)?;
            let rate = loops(cluster, db, window)?;
            holder.release()?;
            Ok(rate)
        }
    };
    Comparison {
        title: format!(
            "insert two events, tick, open and finish the batch; snapshot held for {} s before",
            HELD_BEFORE * settings.seconds
        ),
        unit: "loops/s",
        better: Better::Higher,
        reference: 0,
        contenders: vec![
            Contender::peer(format!("{ours}, no snapshot held"), free("ours")),
            Contender::ours(format!("{ours}, snapshot held"), 0.95, held("ours")),
            Contender::peer(format!("{original}, no snapshot held"), free("orig")),
            Contender::peer(format!("{original}, snapshot held"), held("orig")),
        ],
    }
    .run(settings.rounds, settings.json)
}

/// Loops per second of one client.
fn loops(cluster: &Cluster, db: &str, window: Duration) -> Result<f64> {
    let connstr = cluster.connstr(db);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (client, connection) = tokio_postgres::connect(&connstr, NoTls).await?;
        let task = tokio::spawn(connection);
        let insert = client.prepare("select pgq.insert_event('q', 'type', 'data')").await?;
        let tick = client.prepare("select pgq.ticker('q')").await?;
        let next = client.prepare("select pgq.next_batch('q', 'c')").await?;
        let finish = client.prepare("select pgq.finish_batch($1)").await?;
        let began = Instant::now();
        let mut count = 0_u32;
        while began.elapsed() < window {
            client.query(&insert, &[]).await?;
            client.query(&insert, &[]).await?;
            client.query(&tick, &[]).await?;
            let batch: Option<i64> = client.query_one(&next, &[]).await?.try_get(0)?;
            let batch = batch.context("no batch although a tick was made")?;
            let done: i32 = client.query_one(&finish, &[&batch]).await?.try_get(0)?;
            ensure!(done == 1, "batch {batch} was not there");
            count += 1;
        }
        let rate = f64::from(count) / began.elapsed().as_secs_f64();
        drop(client);
        task.await??;
        Ok(rate)
    })
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
