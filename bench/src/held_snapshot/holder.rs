//! A transaction that does nothing but hold its snapshot.

use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use cluster::Cluster;
use tokio_postgres::NoTls;

/// The transaction, in a thread of its own.
pub struct Holder {
    thread: thread::JoinHandle<Result<()>>,
    stop: mpsc::Sender<()>,
}

impl Holder {
    /// Takes the snapshot.
    ///
    /// # Errors
    /// No connection.
    pub fn new(cluster: &Cluster, db: &str) -> Result<Self> {
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

    /// Ends the transaction.
    ///
    /// # Errors
    /// It had ended before.
    pub fn release(self) -> Result<()> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow::anyhow!("the holder of the snapshot panicked"))?
    }
}
