//! The copy's place in the queue: a consumer on the source, and a row of `pgq_node.local_state` here.

use pgq::cascade;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::ranges;
use super::sessions::Sessions;
use super::source::{self, Source};
use crate::settings::Settings;
use crate::table::MergeState;

/// Where the copy stands after its registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// Registered on the source and here, at one place.
    Ready,
    /// The rows are loaded, but the place from which to catch up is gone.
    Lost,
}

/// Registers the copy on its source, and here. A place that exists already is never moved, except before anything was
/// loaded, when any place before the load is as good.
///
/// # Errors
/// Whatever the servers report.
pub async fn register(
    settings: &Settings,
    source: &Source,
    target: &Client,
    table: &str,
    state: MergeState,
) -> Result<Registered> {
    let (queue, consumer) = (&settings.queue, settings.copy_consumer(table));
    let here = local(target, queue, &consumer).await?;
    let there = last_tick(&source.connection, queue, &consumer).await?;
    let fresh = state == MergeState::InCopy;
    match (there, &here) {
        (Some(_), Some((node, _))) if *node == source.node && !fresh => return Ok(Registered::Ready),
        _ if !fresh => return Ok(Registered::Lost),
        // What was loaded so far can be caught up from here only.
        (Some(_), Some((node, _))) if *node == source.node => {}
        _ => ranges::forget(target, queue, table).await?,
    }
    source
        .connection
        .query_typed(pgq::sql::REGISTER_CONSUMER, &[(queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await?;
    let tick = last_tick(&source.connection, queue, &consumer).await?.ok_or_else(|| {
        Error::new(ErrorKind::Internal, format!("consumer {consumer} is registered and has no position"))
    })?;
    cascade::register_consumer(target, queue, &consumer, &source.node, tick).await?.log();
    Ok(Registered::Ready)
}

/// The node that the copy of a table reads from, and the tick up to which it has applied; `None` before it began.
///
/// # Errors
/// Whatever the server reports.
pub async fn local(target: &Client, queue: &str, consumer: &str) -> Result<Option<(String, i64)>> {
    match cascade::consumer_state(target, queue, consumer).await {
        Ok(state) => Ok(Some((state.provider_node, state.completed_tick))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

async fn last_tick(source: &Client, queue: &str, consumer: &str) -> Result<Option<i64>> {
    let rows = source
        .query_typed(
            "select last_tick from pgq.get_consumer_info($1, $2)",
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT)],
        )
        .await?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    })
}

/// Takes the copy's place away, on the source first: the row here is the reminder until that is done.
///
/// # Errors
/// Whatever the servers report.
pub async fn retire(settings: &Settings, source: &Client, target: &Client, table: &str) -> Result<()> {
    let (queue, consumer) = (&settings.queue, settings.copy_consumer(table));
    source
        .query_typed(pgq::sql::UNREGISTER_CONSUMER, &[(queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await?;
    cascade::unregister_consumer(target, queue, &consumer).await?.log();
    Ok(())
}

/// Takes away what copies have left that were killed between their last two steps: such a consumer would keep the
/// source from ever rotating its tables. Returns the tables concerned.
///
/// `active` are the tables that a copy is under way for.
///
/// # Errors
/// Whatever the local server reports; a source that cannot be reached is logged and tried again next time.
pub async fn sweep(settings: &Settings, target: &Client, active: &[String]) -> Result<Vec<String>> {
    let prefix = settings.copy_consumer("");
    let mut swept = Vec::new();
    for info in cascade::consumer_info(target, &settings.queue).await? {
        let Some(table) = info.consumer.strip_prefix(&prefix) else { continue };
        if active.iter().any(|t| t == table) {
            continue;
        }
        let cleaned = async {
            let node = source::reopen(
                settings,
                &Sessions::default(),
                target,
                &info.provider_node,
                &settings.consumer,
            )
            .await?;
            retire(settings, &node.connection, target, table).await
        };
        match cleaned.await {
            Ok(()) => {
                tracing::info!(table, "removed the registration of a copy that had ended");
                swept.push(table.to_owned());
            }
            Err(e) => tracing::warn!(
                table,
                error = e.chain(),
                "cannot remove the registration of a copy that had ended"
            ),
        }
    }
    Ok(swept)
}
