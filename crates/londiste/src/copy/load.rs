//! The load: one transaction on the source, one on the target. Killed at any moment, it leaves nothing behind.

use std::time::{Duration, Instant};

use skytools::{Error, ErrorKind, Result, quote};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::loaded::loaded;
use super::transfer::{Columns, Progress, transfer};
use super::{indexes, missing, ranges, source};
use crate::apply::{TableShape, session};
use crate::settings::with_login_path;
use crate::snapshot::Snapshot;
use crate::table::TableRow;

/// Below this size an index is cheaper to fill than to drop and build.
const REBUILD_FROM_BYTES: i64 = 1 << 20;

const FIND_FKEYS: &str = "select from_table, fkey_name from londiste.find_table_fkeys($1)";
const DROP_FKEY: &str = "select londiste.drop_table_fkey($1, $2)";

/// One table to load.
pub struct Load<'a> {
    /// The queue.
    pub queue: &'a str,
    /// The table as registered here.
    pub row: &'a TableRow,
    /// Name of the table on the source.
    pub source_table: &'a str,
    /// Which rows; all without a condition.
    pub condition: Option<String>,
    /// How long to wait for the exclusive lock.
    pub lock_timeout: Duration,
    /// Another session of the source.
    pub beside: &'a Client,
    /// Where to tell how far it has come.
    pub progress: &'a Progress,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Rows.
    pub rows: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// The snapshot they were read with.
    pub snapshot: Snapshot,
}

/// Drops every foreign key from or to the table; each is recorded in `londiste.pending_fkeys` by the same statement.
///
/// Foreign keys come back when both tables are in step again. So this is part of a transaction in which the table cannot be removed,
/// or they would stay away. It locks the other tables too, which must not last as long as a load.
///
/// # Errors
/// [`ErrorKind::Transient`] when a table stayed locked for longer than `lock_timeout`.
pub async fn drop_fkeys(client: &Client, dest: &str, lock_timeout: Duration) -> Result<()> {
    let keys = client.query_typed(FIND_FKEYS, &[(&dest, Type::TEXT)]).await?;
    if keys.is_empty() {
        return Ok(());
    }
    set_lock_timeout(client, "set local", lock_timeout).await?;
    for key in keys {
        let (table, name): (&str, &str) = (key.try_get(0)?, key.try_get(1)?);
        client
            .query_typed(DROP_FKEY, &[(&table, Type::TEXT), (&name, Type::TEXT)])
            .await
            .map_err(|e| Error::from(e).context(format!("dropping foreign key {name} of {table}")))?;
        tracing::info!(table, fkey = name, "foreign key dropped until both tables are in step");
    }
    // What else is in the transaction waits for locks.
    set_lock_timeout(client, "set local", Duration::ZERO).await
}

/// As [`drop_fkeys`], in a transaction of its own that keeps the table in its copy.
///
/// # Errors
/// As there, and when the table was removed or is to be copied again. The connection must then be dropped.
pub(super) async fn drop_fkeys_of_copy(
    client: &Client,
    queue: &str,
    table: &str,
    dest: &str,
    lock_timeout: Duration,
) -> Result<()> {
    client.batch_execute("begin").await?;
    ranges::hold(client, queue, table).await?;
    drop_fkeys(client, dest, lock_timeout).await?;
    Ok(client.batch_execute("commit").await?)
}

async fn set_lock_timeout(client: &Client, command: &str, timeout: Duration) -> Result<()> {
    Ok(client.batch_execute(&format!("{command} lock_timeout = {}", timeout.as_millis())).await?)
}

/// Loads the table and stores `catching-up` with the snapshot; all of it or nothing.
///
/// Both connections must be outside a transaction. On failure they must be dropped.
///
/// # Errors
/// A table missing on either side; no common columns; whatever the servers report.
pub async fn load(source: &Client, target: &Client, task: &Load<'_>) -> Result<Loaded> {
    let dest = task.row.dest();
    let begun = Instant::now();
    source::begin(source, task.beside, task.source_table).await?;
    // The transaction has one snapshot, which the rows will be read with.
    let snapshot: Snapshot = source
        .query_typed_one("select pg_catalog.txid_current_snapshot()::text", &[])
        .await?
        .try_get::<_, &str>(0)?
        .parse()?;
    source::settle(task.beside).await?;
    let there = TableShape::require(source, task.source_table, source::ON_SOURCE).await?;
    let bytes: i64 = source
        .query_typed_one("select pg_catalog.pg_table_size($1::oid)", &[(&there.oid, Type::OID)])
        .await?
        .try_get(0)?;

    drop_fkeys_of_copy(target, task.queue, &task.row.table_name, dest, task.lock_timeout).await?;
    target.batch_execute("begin").await?;
    target.batch_execute(session::AS_READ_LOCALLY).await?;
    lock(target, dest, task.lock_timeout).await?;
    let here = TableShape::require(target, dest, "on this node").await?;
    let columns = Columns::common(&there, &here);
    missing::refuse(task.row, &columns, &there, &missing::ignored(source, task.queue, &there).await?)?;
    warn_about(&columns, dest);
    if columns.names.is_empty() && !there.columns.is_empty() {
        return Err(Error::state(format!(
            "table {dest} has no column in common with {} of the source",
            task.source_table
        ))
        .hint("compare the two definitions; is --dest-table right?"));
    }
    let dropped = if bytes >= REBUILD_FROM_BYTES {
        indexes::drop_simple(target, &here.sql, here.oid).await?
    } else {
        indexes::Dropped::default()
    };
    if !task.row.attrs.skip_truncate() {
        let only = if here.partitioned { "" } else { "only " };
        target.batch_execute(&format!("truncate {only}{}", here.sql)).await?;
    }
    tracing::info!(table = dest, bytes, indexes_dropped = dropped.count(), format = ?columns.format, "copy begins");
    let rows = transfer(
        source,
        &columns.copy_out(&there, task.condition.as_deref()),
        target,
        &columns.copy_in(&here),
        task.progress,
    )
    .await
    .map_err(|e| e.context(format!("copying table {dest}")))?;
    let loaded_in = begun.elapsed();
    dropped.rebuild(target).await?;
    if let Some(ddl) = &task.row.dropped_ddl {
        restore_stored_ddl(target, task.queue, &task.row.table_name, ddl).await?;
    }
    ranges::forget(target, task.queue, &task.row.table_name).await?;
    loaded(target, task.queue, &task.row.table_name, &snapshot).await?;
    target.batch_execute("commit").await?;
    source.batch_execute("commit").await?;
    let bytes = task.progress.bytes();
    tracing::info!(
        table = dest,
        rows,
        bytes,
        load_seconds = loaded_in.as_secs_f64(),
        seconds = begun.elapsed().as_secs_f64(),
        "copy is complete"
    );
    Ok(Loaded { rows, bytes, snapshot })
}

pub(super) async fn lock(target: &Client, dest: &str, lock_timeout: Duration) -> Result<()> {
    let (schema, table) = crate::apply::split_name(dest);
    let sql = format!("{}.{}", quote::ident(schema), quote::ident(table));
    set_lock_timeout(target, "set local", lock_timeout).await?;
    let locked = target.batch_execute(&format!("lock table only {sql} in access exclusive mode")).await;
    locked.map_err(|e| {
        let error = Error::from(e);
        match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!("table {dest} does not exist on this node"))
                .hint("create it, or add it with --create; the copy goes on by itself")
                .with_source(error),
            _ => error.context(format!("locking table {dest} for the copy")),
        }
    })?;
    set_lock_timeout(target, "set local", Duration::ZERO).await
}

pub(super) fn warn_about(columns: &Columns, dest: &str) {
    if !columns.only_source.is_empty() {
        tracing::warn!(
            table = dest,
            columns = columns.only_source.join(", "),
            "columns that exist only on the source are not copied"
        );
    }
    if !columns.only_target.is_empty() {
        tracing::warn!(
            table = dest,
            columns = columns.only_target.join(", "),
            "columns that exist only here get their defaults"
        );
    }
}

/// Runs DDL that another's copy has dropped and stored, and forgets it. Part of the caller's transaction.
///
/// # Errors
/// Whatever the server reports.
pub async fn restore_stored_ddl(target: &Client, queue: &str, table: &str, ddl: &str) -> Result<()> {
    with_login_path(target, async { Ok(target.batch_execute(ddl).await?) })
        .await
        .map_err(|e| e.context(format!("restoring the stored DDL of {table}")))?;
    let row = target
        .query_typed_one(
            "select ret_code, ret_note from londiste.local_set_table_struct($1, $2, null)",
            &[(&queue, Type::TEXT), (&table, Type::TEXT)],
        )
        .await?;
    pgq::cascade::Reply::from_row(&row)?.log();
    Ok(())
}
