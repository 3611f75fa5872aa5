//! A tick at once, for somebody who waits for one and may make it: pgqd would make it within its period.

use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::sql;

/// Whether this login may do what pgqd does, and pgqd would do it: a branch gets its ticks from its provider.
const MAY_TICK: &str = "select pg_catalog.has_function_privilege('pgq.ticker(text)', 'execute') \
       and pg_catalog.has_table_privilege('pgq.tick', 'update') \
       and exists (select 1 from pgq.queue where queue_name = $1 and not queue_external_ticker and not queue_ticker_paused)";

/// The lock under which pgqd ticks; the same two numbers as there.
const PGQD_LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(1885827428, 1)";

/// Keeps out tickers that do not know that lock: their INSERT waits, and takes its snapshot after the wait.
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
    client.batch_execute(TABLE_LOCK).await?;
    let tick = client.query_typed_one(sql::TICKER, &[(&queue, Type::TEXT)]).await?;
    Ok(tick.try_get::<_, Option<i64>>(0)?.is_some())
}
