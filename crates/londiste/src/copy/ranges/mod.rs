//! A copy by ranges of blocks: several connections under one exported snapshot, each range a transaction of its own.
//!
//! ```text
//!   source                                   target
//!   lock, snapshot S ── export ──┐           drop indexes, store their DDL, truncate, store the ranges   commit
//!   ctid range 1  (S) ───────────┼─ COPY ──▶ rows · range 1 is loaded with S                             commit
//!   ctid range 2  (S) ───────────┴─ COPY ──▶ rows · range 2 is loaded with S                             commit
//!        … killed, started again: the other ranges, with a new snapshot, only rows older than S …
//!   rows written since S ─────────── COPY ──▶ replace what was loaded of them                             commit
//! ```
//!
//! Killed anywhere, the copy goes on with the ranges that are not loaded. Why the outcome is right, although the ranges
//! are then of different snapshots: `docs/design/resumable-copy.md`.

mod changed;
mod explain;
mod load;
mod split;
mod store;
mod suited;
mod work;

use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

pub use explain::Explainer;
pub use load::{RangeLoad, load};
pub use store::{first_snapshot, forget, hold};

use super::load::restore_stored_ddl;
use crate::sync;
use crate::table::TableRow;

const RESERVE: &str =
    "select 1 from londiste.table_info where queue_name = $1 and table_name = $2 for update";
/// The rows are about to be copied again, so the deny trigger may let the truncate pass.
const SHOW_TOKEN: &str = "select pg_catalog.set_config('skytools.apply_token', pgq.apply_token($1), true)";
const HIDE_TOKEN: &str = "select pg_catalog.set_config('skytools.apply_token', '', true)";

/// Gives up a copy that has committed parts: the table is emptied, gets back what was dropped, and is at its beginning.
/// Part of the caller's transaction.
///
/// # Errors
/// Whatever the server reports.
pub async fn abandon(target: &Client, queue: &str, row: &TableRow) -> Result<()> {
    let table = row.table_name.as_str();
    let doing = |e: Error| e.context(format!("giving up the copy of table {table}"));
    target
        .query_typed(RESERVE, &[(&queue, Type::TEXT), (&table, Type::TEXT)])
        .await
        .map_err(|e| doing(e.into()))?;
    // Read again: the copy may have come further.
    let ddl: Option<String> = match target
        .query_typed_opt(
            "select dropped_ddl from londiste.table_info where queue_name = $1 and table_name = $2",
            &[(&queue, Type::TEXT), (&table, Type::TEXT)],
        )
        .await?
    {
        Some(stored) => stored.try_get(0)?,
        None => return Ok(()),
    };
    if let Some(ddl) = ddl {
        let sql = suited::quoted(row.dest());
        let exists: bool = target
            .query_typed_one("select pg_catalog.to_regclass($1) is not null", &[(&sql, Type::TEXT)])
            .await?
            .try_get(0)?;
        if exists {
            target.query_typed(SHOW_TOKEN, &[(&queue, Type::TEXT)]).await?;
            target.batch_execute(&format!("truncate only {sql}")).await.map_err(|e| doing(e.into()))?;
            target.query_typed(HIDE_TOKEN, &[]).await?;
            restore_stored_ddl(target, queue, table, &ddl).await?;
        } else {
            load::store_ddl(target, queue, table, None).await?;
        }
    }
    sync::set_missing(target, queue, table).await
}
