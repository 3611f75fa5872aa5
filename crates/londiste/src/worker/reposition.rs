//! Mending a lost position by hand: the provider's and the target's record of where the worker stands must agree.

use pgq::cascade;
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use crate::settings::Settings;

/// Which record is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reposition {
    /// The target's: the provider's position is moved to it.
    Rewind,
    /// The provider's: the target's is moved to it. Events between the two are lost or applied twice.
    Reset,
}

/// Moves one of the two records; returns the tick at which both now stand.
///
/// # Errors
/// The provider no longer has that tick; the worker is not registered; a server that cannot be reached.
pub async fn reposition(settings: &Settings, which: Reposition) -> Result<i64> {
    let (queue, consumer) = (&settings.queue, &settings.consumer);
    let target = settings.connect_local(consumer).await?;
    let state = cascade::consumer_state(&*target, queue, consumer).await?;
    let provider = settings.connect_node(&state.provider_node, &state.provider_location, consumer).await?;
    match which {
        Reposition::Rewind => {
            let tick = state.completed_tick;
            provider
                .query_typed(
                    pgq::sql::REGISTER_CONSUMER_AT,
                    &[(queue, Type::TEXT), (consumer, Type::TEXT), (&tick, Type::INT8)],
                )
                .await
                .map_err(|e| {
                    Error::from(e)
                        .context(format!("moving consumer {consumer} on node \"{}\" to tick {tick}", state.provider_node))
                        .hint("the provider has rotated that tick away; \"worker --reset\", then compare and resync the tables")
                })?;
            Ok(tick)
        }
        Reposition::Reset => {
            let row = provider
                .query_typed_opt(
                    "select last_tick from pgq.get_consumer_info($1, $2)",
                    &[(queue, Type::TEXT), (consumer, Type::TEXT)],
                )
                .await?
                .ok_or_else(|| {
                    Error::not_found(format!(
                        "consumer {consumer} is not registered on node \"{}\"",
                        state.provider_node
                    ))
                    .hint("subscribe the node again: drop-node and create-leaf")
                })?;
            let tick: i64 = row.try_get(0)?;
            cascade::set_consumer_completed(&*target, queue, consumer, tick).await?;
            Ok(tick)
        }
    }
}
