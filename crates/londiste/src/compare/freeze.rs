//! Getting both sides to the same point: the source's tables stand still until this node has applied all that was
//! written to them, and a snapshot is taken on each side.
//!
//! On a root the tables are locked against writers (SHARE), so that nothing is under way; then a tick made after that
//! covers everything. A branch cannot be written to by users: there its worker is paused instead.

use std::time::{Duration, Instant};

use pgq::cascade::{self, NodeInfo, NodeType};
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::TableShape;

const POLL: Duration = Duration::from_millis(50);
/// Shorter than the server's default `deadlock_timeout`: when locking several tables collides with an application, we
/// are the one who gives way.
const SEVERAL: Duration = Duration::from_millis(500);

/// The local node's position, polled while waiting.
pub(super) struct Local<'a> {
    pub client: &'a Client,
    pub queue: &'a str,
    /// How long writers may be kept waiting.
    pub patience: Duration,
    /// Go on when that is exceeded.
    pub force: bool,
}

/// A source whose tables stand still as long as this lives.
pub(super) enum Frozen {
    /// Tables are locked in a transaction of this connection.
    Locked(Connection),
    /// The node's worker is paused; `resume` when it was running before.
    Paused { connection: Connection, worker: String, resume: bool },
    /// The node compares itself with itself.
    NotNeeded,
}

/// Tries to make all tables stand still at once; `None` when another session is in the way.
pub(super) async fn lock_all(connection: &Connection, tables: &[&TableShape]) -> Result<bool> {
    lock(connection, tables, SEVERAL).await.map(|()| true).or_else(|e| match e.kind() {
        ErrorKind::Transient => Ok(false),
        _ => Err(e),
    })
}

/// Locks tables against writers, in a new transaction. After a failure the transaction is over.
pub(super) async fn lock(connection: &Connection, tables: &[&TableShape], timeout: Duration) -> Result<()> {
    let names: Vec<String> =
        tables.iter().map(|t| format!("{}{}", if t.partitioned { "" } else { "only " }, t.sql)).collect();
    let sql = format!(
        "begin; set local lock_timeout = {}; lock table {} in share mode",
        timeout.as_millis(),
        names.join(", ")
    );
    if let Err(e) = connection.batch_execute(&sql).await {
        let error = Error::from(e);
        if !connection.is_closed() {
            connection.batch_execute("rollback").await?;
        }
        return Err(error
            .context(format!("locking {} against writers", names.join(", ")))
            .hint("a transaction (perhaps a prepared one) has written to the table and is still open; end it, or give a longer lock_timeout"));
    }
    Ok(())
}

async fn newest_tick(source: &Client, queue: &str) -> Result<i64> {
    let row = source.query_typed_one(pgq::sql::FORCE_TICK, &[(&queue, Type::TEXT)]).await?;
    row.try_get::<_, Option<i64>>(0)?
        .ok_or_else(|| Error::not_found(format!("queue \"{queue}\" has no ticks on the source")))
}

/// A tick that was begun after now: the first new one may have taken its snapshot before.
pub(super) async fn tick_after_now(source: &Client, local: &Local<'_>, since: Instant) -> Result<i64> {
    let mut newest = newest_tick(source, local.queue).await?;
    for _ in 0..2 {
        let before = newest;
        while newest <= before {
            patience(local, since, "no tick was made: is pgqd running for the root's database?")?;
            tokio::time::sleep(POLL).await;
            newest = newest_tick(source, local.queue).await?;
        }
    }
    Ok(newest)
}

fn patience(local: &Local<'_>, since: Instant, why: &str) -> Result<()> {
    if since.elapsed() <= local.patience || local.force {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Transient, format!("Consumer lagging too much, exiting: {why}"))
        .hint("wait until the lag is gone (\"londiste INI status\"), give a longer lock_timeout, or --force"))
}

/// Waits until the local worker has completed the tick.
pub(super) async fn until_applied(local: &Local<'_>, tick: i64, since: Instant) -> Result<()> {
    loop {
        let state = cascade::load_node_info(local.client, local.queue).await?;
        let at = state.and_then(|info| info.worker_last_tick);
        if at.is_some_and(|at| at >= tick) {
            return Ok(());
        }
        patience(local, since, &format!("the source is at tick {tick}, this node at {}", at.unwrap_or(0)))?;
        tokio::time::sleep(POLL).await;
    }
}

/// Pauses the worker of a branch and waits until it stands; returns the tick at which it does.
pub(super) async fn pause_branch(
    connection: Connection,
    info: &NodeInfo,
    local: &Local<'_>,
    since: Instant,
) -> Result<(Frozen, i64)> {
    let worker = info
        .worker_name
        .clone()
        .ok_or_else(|| Error::state(format!("node \"{}\" has no worker", info.node_name)))?;
    let was_paused = info.worker_paused;
    if !was_paused {
        cascade::set_consumer_paused(&*connection, local.queue, &worker, true).await?.log();
    }
    let waited = async {
        loop {
            let state = cascade::consumer_state(&*connection, local.queue, &worker).await?;
            if state.uptodate {
                return Ok(state.completed_tick);
            }
            patience(local, since, &format!("the worker of node \"{}\" does not answer", info.node_name))?;
            tokio::time::sleep(POLL).await;
        }
    };
    let outcome: Result<i64> = waited.await;
    let frozen = Frozen::Paused { connection, worker, resume: !was_paused };
    match outcome {
        Ok(tick) => Ok((frozen, tick)),
        Err(e) => {
            frozen.thaw(local.queue).await?;
            Err(e)
        }
    }
}

impl Frozen {
    /// Lets the source go on. A lock also goes with its connection.
    pub async fn thaw(self, queue: &str) -> Result<()> {
        match self {
            Frozen::Locked(connection) => Ok(connection.batch_execute("rollback").await?),
            Frozen::Paused { connection, worker, resume: true } => {
                cascade::set_consumer_paused(&*connection, queue, &worker, false).await?.log();
                Ok(())
            }
            Frozen::Paused { .. } | Frozen::NotNeeded => Ok(()),
        }
    }
}

/// Whether users can write to the tables of a node.
pub(super) fn takes_writes(info: &NodeInfo) -> bool {
    info.node_type == NodeType::Root
}
