//! Events that are about the cascade or the table list, not about rows.

use pgq::Event;
use pgq::cascade::{self, Reply};
use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::command::mark::Mark;
use crate::command::pending_fkeys;
use crate::command::register_filter::Filter;
use crate::settings::with_login_path;
use crate::table::{ADDED_AT, TableRow};

/// Which names enter this node's lists.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters {
    pub tables: Filter,
    pub sequences: Filter,
}

/// What an event has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that the rest of the batch depends on.
    None,
    /// The list of tables.
    Tables,
    /// That, the tables, and the session.
    Anything,
}

async fn call(client: &Client, statement: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<()> {
    Reply::from_row(&client.query_typed_one(statement, params).await?)?.log();
    Ok(())
}

fn field<'e>(event: &'e Event, name: &str, value: Option<&'e str>) -> Result<&'e str> {
    value.ok_or_else(|| {
        let kind = event.ev_type().unwrap_or("(none)");
        Error::data(format!("event {} of type {kind} has no {name}", event.id()))
    })
}

/// Whether the event is about the cascade or a sequence only: what is known of tables stays, and changes of rows may come
/// before or after it.
pub(super) fn leaves_tables(event: &Event) -> bool {
    event.ev_type().is_some_and(|kind| kind.starts_with("pgq.") || kind == "londiste.update-seq")
}

async fn remove_table(client: &Client, queue: &str, event: &Event, table: &str) -> Result<Effect> {
    let rows = TableRow::load_each(client, queue).await?;
    let row = rows.into_iter().flatten().find(|t| t.local && t.table_name == table);
    if let Some(row) = &row {
        if let Some(mark) = row.attrs.get(ADDED_AT) {
            let provider = cascade::load_node_info(client, queue).await?.and_then(|node| node.provider_node);
            if mark.parse::<Mark>()?.covers(event, provider.as_deref()) {
                tracing::info!(
                    table,
                    "the root removed the table before it was added here, and has added it again: it stays"
                );
                return Ok(Effect::None);
            }
        }
        tracing::warn!(table, "the root has removed the table: it is not replicated here any more");
    }
    let sql = "select ret_code, ret_note from londiste.global_remove_table($1, $2)";
    with_login_path(client, call(client, sql, &[(&queue, Type::TEXT), (&table, Type::TEXT)])).await?;
    if let Some(row) = row {
        pending_fkeys::warn(client, row.dest()).await?;
    }
    Ok(Effect::Tables)
}

/// Forgets a location. This node's own is left out: where a node is made again under the name of one that was just dropped, the
/// event is about its predecessor and lies behind the tick that the new node starts from.
async fn unregister_location(client: &Client, queue: &str, location: &str) -> Result<()> {
    let own = cascade::load_node_info(client, queue).await?.map(|node| node.node_name);
    if own.as_deref() == Some(location) {
        tracing::warn!(
            node = location,
            "the root says that a node of this name was dropped; this one goes on: if it is the one that was meant, stop its \
             worker and run drop-node here"
        );
        return Ok(());
    }
    cascade::unregister_location(client, queue, location).await?.log();
    Ok(())
}

/// Handles an event that is no row change and no EXECUTE, inside the batch's transaction on the target.
pub(super) async fn handle(client: &Client, queue: &str, event: &Event, filters: &Filters) -> Result<Effect> {
    let kind = event.ev_type().unwrap_or_default();
    if kind.starts_with("pgq.") {
        let of = field(event, "queue (ev_extra1)", event.extra1())?;
        if of != queue {
            return Err(Error::data(format!(
                "event {} of type {kind} belongs to queue \"{of}\", not \"{queue}\"",
                event.id()
            ))
            .hint("somebody has written a cascade event by hand; remove it from the event table"));
        }
    }
    let data = field(event, "data", event.data());
    match kind {
        "pgq.location-info" => {
            let dead = event.extra3().is_some_and(|t| matches!(t, "true" | "t"));
            cascade::register_location(client, queue, data?, event.extra2(), dead).await?.log();
            Ok(Effect::None)
        }
        "pgq.unregister-location" => {
            unregister_location(client, queue, data?).await?;
            Ok(Effect::None)
        }
        // A leaf holds no watermark of its own.
        "pgq.global-watermark" => Ok(Effect::None),
        "londiste.add-table" => {
            let table = data?;
            if filters.tables.admits(table) {
                let sql = "select ret_code, ret_note from londiste.global_add_table($1, $2)";
                call(client, sql, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await?;
            }
            Ok(Effect::Tables)
        }
        "londiste.remove-table" => {
            let table = data?;
            if filters.tables.admits(table) {
                return remove_table(client, queue, event, table).await;
            }
            Ok(Effect::Tables)
        }
        "londiste.update-seq" => {
            let name = field(event, "sequence (ev_extra1)", event.extra1())?;
            let value: i64 = data?.parse().map_err(|e| {
                Error::data(format!("event {}: the value of sequence {name} is no number", event.id())).with_source(e)
            })?;
            let sql = "select ret_code, ret_note from londiste.global_update_seq($1, $2, $3)";
            call(client, sql, &[(&queue, Type::TEXT), (&name, Type::TEXT), (&value, Type::INT8)]).await?;
            Ok(Effect::None)
        }
        "londiste.remove-seq" => {
            let name = data?;
            if filters.sequences.admits(name) {
                let sql = "select ret_code, ret_note from londiste.global_remove_seq($1, $2)";
                call(client, sql, &[(&queue, Type::TEXT), (&name, Type::TEXT)]).await?;
            }
            Ok(Effect::None)
        }
        other => Err(Error::data(format!("event {} has the unknown type \"{other}\"", event.id()))
            .hint("a worker applies only what Londiste's triggers and functions write; who else writes to this queue?")),
    }
}
