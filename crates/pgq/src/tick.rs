//! A tick at once, for somebody who waits for one and may make it: pgqd would make it within its period.
//!
//! [`OnDemand`] is for consumers that have nothing left to do, the functions for those that need a tick as a mark.

use skytools::{Error, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient};

use crate::sql;

/// Whether this login may do what pgqd does, and pgqd would do it: a branch gets its ticks from its provider.
const MAY_TICK: &str = "select pg_catalog.has_function_privilege('pgq.ticker(text)', 'execute') \
       and pg_catalog.has_table_privilege('pgq.tick', 'update') and pg_catalog.has_table_privilege('pgq.queue', 'update') \
       and exists (select 1 from pgq.queue where queue_name = $1 and not queue_external_ticker and not queue_ticker_paused)";

/// False also where the schema has no such function, as the original's.
const MAY_DEMAND: &str = "select coalesce(pg_catalog.has_function_privilege( \
     pg_catalog.to_regprocedure('pgq.tick_on_demand(text)')::pg_catalog.oid, 'execute'), false)";

/// Whether the session of a consumer gets ticks on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDemand(bool);

impl OnDemand {
    /// Nobody asks for any.
    pub const NEVER: OnDemand = OnDemand(false);

    /// Asks the server whether it has the function and the login may call it.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn of<C: GenericClient + Sync>(client: &C) -> Result<OnDemand> {
        Ok(OnDemand(client.query_typed_one(MAY_DEMAND, &[]).await?.try_get(0)?))
    }

    /// Whether [`OnDemand::look`] is of use.
    pub fn is_possible(self) -> bool {
        self.0
    }

    /// The newest tick of the queue; one made just now when events wait. `None` when it cannot be told.
    ///
    /// One cheap call outside of a transaction. Whoever knows how far it has come need not ask for a batch while no
    /// newer tick is there.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn look<C: GenericClient + Sync>(self, client: &C, queue: &str) -> Result<Option<i64>> {
        if !self.0 {
            return Ok(None);
        }
        let row = client
            .query_typed_one(sql::TICK_ON_DEMAND, &[(&queue, Type::TEXT)])
            .await
            .map_err(|e| Error::from(e).context(format!("looking for events of queue \"{queue}\"")))?;
        Ok(row.try_get(0)?)
    }
}

/// The lock under which pgqd ticks; the same two numbers as there.
const PGQD_LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(1885827428, 1)";

/// The foreign key of a tick wants this row, and must not wait for a rotation that waits for the table.
const QUEUE_LOCK: &str = "select 1 from pgq.queue where queue_name = $1 for key share nowait";

/// Keeps out tickers that do not know the lock of pgqd, as the original's: their INSERT waits, and takes its snapshot after
/// the wait.
const TABLE_LOCK: &str = "lock table pgq.tick in share row exclusive mode nowait";

/// Asks for a tick, and makes it if the login may and nobody else ticks at this moment. Returns whether it was made;
/// otherwise it comes with the next round of pgqd.
///
/// The numbers of ticks and their snapshots must have one order, so a tick is made under the locks that keep all other
/// tickers out. The client must be outside a transaction.
///
/// # Errors
/// Whatever the server reports about the request; a tick that is refused is only logged, for pgqd will report it.
pub async fn tick_now(client: &Client, queue: &str) -> Result<bool> {
    client.query_typed(sql::FORCE_TICK, &[(&queue, Type::TEXT)]).await?;
    tick_if_due(client, queue).await
}

/// As [`tick_now`], but makes a tick only when one is due by the settings of the queue.
///
/// # Errors
/// The connection is lost.
pub async fn tick_if_due(client: &Client, queue: &str) -> Result<bool> {
    let may = client.query_typed_one(MAY_TICK, &[(&queue, Type::TEXT)]).await?;
    if !may.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    // Each statement has a snapshot of its own, so that of the tick is taken under the locks.
    client.batch_execute("begin isolation level read committed").await?;
    let ticked = under_locks(client, queue).await;
    match ticked {
        Ok(ticked) => {
            client.batch_execute("commit").await?;
            Ok(ticked)
        }
        Err(e) if e.as_db_error().is_some() && !client.is_closed() => {
            client.batch_execute("rollback").await?;
            if e.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) {
                tracing::debug!(queue, error = Error::from(e).chain(), "cannot tick, pgqd will have to");
            }
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

async fn under_locks(client: &Client, queue: &str) -> std::result::Result<bool, tokio_postgres::Error> {
    if !client.query_typed_one(PGQD_LOCK, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(false);
    }
    client.query_typed(QUEUE_LOCK, &[(&queue, Type::TEXT)]).await?;
    client.batch_execute(TABLE_LOCK).await?;
    let tick = client.query_typed_one(sql::TICKER, &[(&queue, Type::TEXT)]).await?;
    Ok(tick.try_get::<_, Option<i64>>(0)?.is_some())
}
