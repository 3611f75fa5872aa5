//! The node that a table is copied from.

use pgq::cascade;
use pgq::tick::tick_now;
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result, quote};
use tokio_postgres::Client;

use super::sessions::Sessions;
use crate::apply::{TableShape, split_name};
use crate::settings::Settings;
use crate::table::{MergeState, TableRow};

/// Where a table is missing, in errors.
pub const ON_SOURCE: &str = "on the copy's source";

/// The copy's source, connected.
pub struct Source {
    /// Name of the node.
    pub node: String,
    /// Connect string of its database; none for the local one.
    pub location: Option<String>,
    /// Its database.
    pub connection: Connection,
}

/// Finds and opens the source: the worker's provider, the node that the table's attributes name, or (`?`) the
/// nearest node upwards that has the table.
///
/// # Errors
/// An unknown node; no node up to the root has the table; a node that cannot be reached.
pub async fn open(
    settings: &Settings,
    sessions: &Sessions,
    local: &Client,
    row: &TableRow,
    application: &str,
) -> Result<Source> {
    let worker = cascade::consumer_state(local, &settings.queue, &settings.consumer).await?;
    match row.attrs.copy_node() {
        None => {
            connect(settings, sessions, worker.provider_node, &worker.provider_location, application).await
        }
        Some("?") => {
            let mut source =
                connect(settings, sessions, worker.provider_node, &worker.provider_location, application)
                    .await?;
            let mut seen: Vec<String> = vec![worker.node_name];
            loop {
                let rows = TableRow::load_all(&*source.connection, &settings.queue).await?;
                if rows.iter().any(|t| t.local && t.table_name == row.table_name) {
                    return Ok(source);
                }
                let info = cascade::load_node_info(&*source.connection, &settings.queue).await?;
                seen.push(source.node.clone());
                let next = info.and_then(|i| i.provider_node.zip(i.provider_location));
                match next {
                    Some((node, location)) if !seen.contains(&node) => {
                        source = connect(settings, sessions, node, &location, application).await?;
                    }
                    _ => {
                        return Err(Error::not_found(format!(
                            "no node up to the root \"{}\" has table {}",
                            source.node, row.table_name
                        ))
                        .hint("add the table on the root first"));
                    }
                }
            }
        }
        Some(name) => {
            let members = cascade::queue_locations(local, &settings.queue).await?;
            let member = members.into_iter().find(|m| m.node == name).ok_or_else(|| {
                Error::not_found(format!(
                    "copy node \"{name}\" of table {} is no node of the queue",
                    row.table_name
                ))
                .hint(
                    "\"londiste INI members\" lists the nodes; \"resync --copy-node=NODE\" names another one",
                )
            })?;
            connect(settings, sessions, member.node, &member.connstr, application).await
        }
    }
}

/// Opens a node by the name under which this node knows it.
///
/// # Errors
/// An unknown node, or one that cannot be reached.
pub async fn reopen(
    settings: &Settings,
    sessions: &Sessions,
    local: &Client,
    node: &str,
    application: &str,
) -> Result<Source> {
    let members = cascade::queue_locations(local, &settings.queue).await?;
    let member = members.into_iter().find(|m| m.node == node).ok_or_else(|| {
        Error::not_found(format!("node \"{node}\" is no node of queue \"{}\" any more", settings.queue))
    })?;
    connect(settings, sessions, member.node, &member.connstr, application).await
}

async fn connect(
    settings: &Settings,
    sessions: &Sessions,
    node: String,
    location: &str,
    application: &str,
) -> Result<Source> {
    let connection = sessions.node(settings, &node, location, application).await?;
    Ok(Source { node, location: Some(location.to_owned()), connection })
}

/// Whether the table may be copied from there now: it is complete there.
///
/// # Errors
/// The table is not replicated there.
pub async fn is_complete(source: &Source, queue: &str, table: &str) -> Result<Option<String>> {
    let rows = TableRow::load_all(&*source.connection, queue).await?;
    match rows.into_iter().find(|t| t.local && t.table_name == table) {
        Some(row) if row.merge_state == MergeState::Ok => Ok(Some(row.dest().to_owned())),
        Some(_) => Ok(None),
        None => Err(Error::not_found(format!("table {table} is not replicated on node \"{}\"", source.node))
            .hint("add it there first, or copy from another node with --find-copy-node")),
    }
}

const BEGIN: &str = "begin transaction isolation level repeatable read read only";

/// Begins the transaction that rows are read in. The table, and its partitions, are locked against being rewritten before it takes its
/// snapshot: a rewrite that is committed between the two (ALTER of a type, say) leaves nothing that the snapshot could see, and the
/// table would be copied as empty.
///
/// `beside` is another session of the source, outside a transaction.
///
/// # Errors
/// There is no such table; whatever the server reports. The connections must then be dropped.
pub async fn begin(source: &Client, beside: &Client, table: &str) -> Result<()> {
    let (schema, name) = split_name(table);
    let sql = format!("{}.{}", quote::ident(schema), quote::ident(name));
    let doing = |e: Error| match e.kind() {
        ErrorKind::NotFound => TableShape::unknown(table, ON_SOURCE).with_source(e),
        _ => e.context(format!("locking table {table} on the copy's source")),
    };
    source.batch_execute(BEGIN).await?;
    let lock = format!("lock table {sql} in access share mode");
    let Err(error) = source.batch_execute(&lock).await.map_err(Error::from) else { return Ok(()) };
    if error.kind() != ErrorKind::Permission {
        return Err(doing(error));
    }
    // LOCK asks for a right on the whole table, reading for one on a column; but a query takes the snapshot before the lock. So the
    // other session keeps the lock until this one has it.
    source.batch_execute("rollback").await?;
    let read = format!("select null from {sql} limit 0");
    beside.batch_execute(&format!("begin; {read}")).await.map_err(|e| doing(e.into()))?;
    source.batch_execute(BEGIN).await?;
    source.batch_execute(&read).await.map_err(|e| doing(e.into()))?;
    Ok(beside.batch_execute("commit").await?)
}

/// Makes durable whatever is committed by now. With `synchronous_commit = off` the source could otherwise forget, in a
/// crash, transactions whose rows are copied already, and give their numbers to others.
///
/// # Errors
/// Whatever the server reports.
pub async fn settle(source: &Client) -> Result<()> {
    let sql = "begin; set local synchronous_commit = local; select pg_catalog.txid_current(); commit";
    Ok(source.batch_execute(sql).await?)
}

/// Asks for a tick, so that nobody waits for the idle tick of a queue without events; makes it at once where the login
/// may. Returns whether it was made.
///
/// A branch has its ticks made by its worker, so the request goes up to the root.
///
/// # Errors
/// A node on the way that cannot be reached.
pub async fn poke(settings: &Settings, node: &Client, application: &str) -> Result<bool> {
    let mut owned: Option<Connection> = None;
    // As deep as a cascade is ever built; providers in a circle end here too.
    for _ in 0..16 {
        let client: &Client = match &owned {
            Some(connection) => connection,
            None => node,
        };
        let info = cascade::load_node_info(client, &settings.queue).await?;
        let above = info
            .filter(|i| i.node_type == cascade::NodeType::Branch)
            .and_then(|i| i.provider_node.zip(i.provider_location));
        match above {
            Some((name, location)) => {
                owned = Some(settings.connect_node(&name, &location, application).await?)
            }
            // A tick of a root further up takes its time to come down.
            None => return Ok(tick_now(client, &settings.queue).await? && owned.is_none()),
        }
    }
    Ok(false)
}
