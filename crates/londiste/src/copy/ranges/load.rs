//! The load by ranges: preparation, and the end.

use std::sync::Arc;
use std::time::Instant;

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::changed;
use super::split::split;
use super::store::{self, Ranges};
use super::suited::{self, SourceFacts};
use super::work::{Job, run};
use crate::apply::TableShape;
use crate::apply::session::{self, Role};
use crate::copy::dropped::{Stored, rebuild};
use crate::copy::load::{drop_fkeys_of_copy, lock, warn_about};
use crate::copy::loaded::{loaded, reset_meanwhile};
use crate::copy::{Columns, Progress, indexes, missing, source};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::table::TableRow;

/// One table to load.
pub struct RangeLoad<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The table as registered here.
    pub row: &'a TableRow,
    /// Node that is read.
    pub source_node: &'a str,
    /// Name of the table on the source.
    pub source_table: &'a str,
    /// Whether the table's handler wants only some of the rows.
    pub filtered: bool,
    /// Name that the connections go by.
    pub application: &'a str,
    /// Another session of the source.
    pub beside: &'a Client,
    /// What the target session may do.
    pub role: Role,
    /// Where to tell how far it has come.
    pub progress: &'a Arc<Progress>,
}

/// What is to be done, decided and stored.
pub(super) struct Prepared {
    pub here: TableShape,
    pub columns: Columns,
    /// All ranges; those to do have this attempt.
    pub ranges: Ranges,
    /// How many of them were loaded before.
    pub kept: usize,
}

/// Loads the table by ranges and stores `catching-up`. `false`: the table does not suit, or is too small; nothing was
/// changed then.
///
/// Both connections must be outside a transaction. On failure they must be dropped; ranges that were loaded stay so.
///
/// # Errors
/// A table missing on either side; no common columns; whatever the servers report.
pub async fn load(source: &Client, target: &Client, task: &RangeLoad<'_>) -> Result<bool> {
    let (queue, table) = (&task.settings.queue, &task.row.table_name);
    let begun = Instant::now();
    if !store::exists(target).await? {
        return Ok(false);
    }
    forget_recreated(target, queue, task.row).await?;
    let under_way = store::load(target, queue, table).await?;
    if under_way.is_none() && !wanted(source, task).await? {
        return Ok(false);
    }
    source::begin(source, task.beside, task.source_table).await?;
    let row = source
        .query_typed_one(
            "select pg_catalog.txid_current_snapshot()::text, pg_catalog.pg_export_snapshot()",
            &[],
        )
        .await?;
    let snapshot: Snapshot = row.try_get::<_, &str>(0)?.parse()?;
    let exported: String = row.try_get(1)?;
    source::settle(task.beside).await?;
    let there = TableShape::require(source, task.source_table, source::ON_SOURCE).await?;
    let facts = SourceFacts::load(source, &there, queue).await?;
    let prepared = match suited::precondition(task.row, task.filtered, &facts) {
        Some(why) => Err(why),
        None => prepare(target, task, &there, &facts).await?,
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            tracing::info!(
                table,
                reason = why,
                "the table is copied in one transaction: a copy that is interrupted begins anew"
            );
            source.batch_execute("rollback").await?;
            return Ok(false);
        }
    };
    let first = prepared.ranges.first_snapshot().cloned().unwrap_or_else(|| snapshot.clone());
    let (rows, bytes) = prepared.ranges.loaded();
    task.progress.restart(rows, bytes);
    run(source, &exported, &Job::new(task, (&there, &facts), &prepared, &snapshot, &first)).await?;

    let done = store::load(target, queue, table).await?.ok_or_else(|| reset_meanwhile(table))?;
    let mixed = done.list.iter().any(|r| r.snapshot.as_ref() != Some(&first));
    let loaded_in = begun.elapsed();
    let ddl = stored_ddl(target, queue, table).await?;
    if let Some(stored) = ddl.as_deref().and_then(Stored::parse) {
        let count = rebuild(task.settings, table, &stored, |step| !mixed || step.fits_mixed_rows()).await?;
        tracing::debug!(table, count, "built again what the copy had dropped");
    }
    target.batch_execute("begin").await?;
    target.batch_execute(session::AS_READ_LOCALLY).await?;
    store::hold(target, queue, table).await?;
    // A range may have come before a rewrite of the table here, and another after it.
    let here = TableShape::require(target, task.row.dest(), "on this node").await?;
    let columns = Columns::common(&there, &here);
    if suited::layout(target, &facts, &there, &here, &columns).await? != done.layout {
        return Err(Error::new(
            ErrorKind::Transient,
            format!("table {} was changed or rewritten during its copy", task.row.dest()),
        ));
    }
    if mixed {
        let both = (&there, &prepared.here);
        let rows = changed::replace(source, target, both, &prepared.columns, &first, task.progress).await?;
        tracing::info!(table, rows, "rows written since the first part of the copy");
        loaded(target, queue, table, &snapshot).await?;
    } else {
        store::forget(target, queue, table).await?;
        loaded(target, queue, table, &first).await?;
    }
    target.batch_execute("commit").await?;
    source.batch_execute("commit").await?;
    tracing::info!(
        table,
        rows = done.loaded().0,
        bytes = task.progress.bytes(),
        ranges = done.list.len(),
        ranges_kept = prepared.kept,
        load_seconds = loaded_in.as_secs_f64(),
        seconds = begun.elapsed().as_secs_f64(),
        "copy is complete"
    );
    Ok(true)
}

/// Whether the table is large enough, or wanted anyway. One that does not exist is reported by whoever reads it.
async fn wanted(source: &Client, task: &RangeLoad<'_>) -> Result<bool> {
    let name = suited::quoted(task.source_table);
    let bytes: Option<i64> = source
        .query_typed_one(
            "select pg_catalog.pg_relation_size(pg_catalog.to_regclass($1))",
            &[(&name, Type::TEXT)],
        )
        .await?
        .try_get(0)?;
    let bytes = bytes.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    Ok(task.settings.ranges.wants(&task.row.table_name, bytes))
}

/// A table that was dropped and created again has nothing of what was loaded, and its own indexes.
async fn forget_recreated(target: &Client, queue: &str, row: &TableRow) -> Result<()> {
    let Some(ranges) = store::load(target, queue, &row.table_name).await? else { return Ok(()) };
    let here = TableShape::require(target, row.dest(), "on this node").await?;
    if here.oid != ranges.target_oid {
        tracing::warn!(table = row.table_name, "the table was created again, its copy begins anew");
        target.batch_execute("begin").await?;
        store_ddl(target, queue, &row.table_name, None).await?;
        store::forget(target, queue, &row.table_name).await?;
        target.batch_execute("commit").await?;
    }
    Ok(())
}

async fn stored_ddl(target: &Client, queue: &str, table: &str) -> Result<Option<String>> {
    let row = target
        .query_typed_opt(
            "select dropped_ddl from londiste.table_info where queue_name = $1 and table_name = $2",
            &[(&queue, Type::TEXT), (&table, Type::TEXT)],
        )
        .await?;
    Ok(match row {
        Some(row) => row.try_get(0)?,
        None => None,
    })
}

/// Stores what has to come back.
pub(super) async fn store_ddl(target: &Client, queue: &str, table: &str, ddl: Option<&str>) -> Result<()> {
    let row = target
        .query_typed_one(
            "select ret_code, ret_note from londiste.local_set_table_struct($1, $2, $3)",
            &[(&queue, Type::TEXT), (&table, Type::TEXT), (&ddl, Type::TEXT)],
        )
        .await?;
    pgq::cascade::Reply::from_row(&row)?.log();
    Ok(())
}

/// Decides between going on and beginning anew, drops what is in the way, and commits. `Err` of the inner result: why the
/// table does not suit; nothing was changed then, except for foreign keys.
async fn prepare(
    target: &Client,
    task: &RangeLoad<'_>,
    there: &TableShape,
    facts: &SourceFacts,
) -> Result<std::result::Result<Prepared, String>> {
    let (queue, table) = (&task.settings.queue, &task.row.table_name);
    let dest = task.row.dest();
    drop_fkeys_of_copy(target, queue, table, dest, task.settings.lock_timeout).await?;
    target.batch_execute("begin").await?;
    store::hold(target, queue, table).await?;
    lock(target, dest, task.settings.lock_timeout).await?;
    let here = TableShape::require(target, dest, "on this node").await?;
    let columns = Columns::common(there, &here);
    // Tables of which events leave out columns are not copied by ranges.
    missing::refuse(task.row, &columns, there, &[])?;
    let before = stored_ddl(target, queue, table).await?;
    let mut ddl = match before.as_deref().map(Stored::parse) {
        None => Stored::new(&random_word(target).await?),
        Some(Some(stored)) => stored,
        Some(None) => {
            target.batch_execute("rollback").await?;
            return Ok(Err("what another copy has dropped is not back yet".to_owned()));
        }
    };
    let layout = suited::layout(target, facts, there, &here, &columns).await?;
    let stored = store::load(target, queue, table).await?;
    let had_some = stored.is_some();
    let kept = stored
        .filter(|r| r.layout == layout && r.source_node == task.source_node && r.first_snapshot().is_some());
    if had_some && kept.is_none() {
        tracing::info!(table, "the parts that were loaded do not serve any more, the copy begins anew");
    }
    let complete = kept.as_ref().is_some_and(|r| r.list.iter().all(|r| r.snapshot.is_some()));
    // While the key is away, the stored definition stands for it.
    let key = if here.key.is_empty() && ddl.has_key() { there.key.clone() } else { here.key.clone() };
    let mut dropped = 0;
    if !complete {
        let indexes = indexes::drop_simple(target, &here.sql, here.oid).await?;
        dropped = indexes.count();
        ddl.add(indexes.statements());
        if dropped > 0 {
            store_ddl(target, queue, table, ddl.text().as_deref()).await?;
        }
    }
    let refusal = match suited::refusal(target, there, &here, task.role, &key, &[]).await? {
        None => suited::unkeyed(&key, &columns),
        // Uniqueness may be back already when only the end is left to do.
        Some(_) if complete => None,
        other => other,
    };
    if let Some(why) = refusal {
        target.batch_execute("rollback").await?;
        return Ok(Err(why));
    }
    warn_about(&columns, dest);
    let kept_count = kept.as_ref().map_or(0, |r| r.list.iter().filter(|r| r.snapshot.is_some()).count());
    match &kept {
        Some(ranges) => {
            store::go_on(target, queue, table, ranges.attempt() + 1).await?;
        }
        None => {
            target.batch_execute(&format!("truncate only {}", here.sql)).await?;
            // The truncate has given it a new file.
            let layout = suited::layout(target, facts, there, &here, &columns).await?;
            let blocks = split(facts.bytes, facts.block, task.settings.ranges.range_bytes);
            store::begin(target, queue, table, task.source_node, &layout, here.oid, &blocks).await?;
        }
    }
    let ranges = store::load(target, queue, table).await?.ok_or_else(|| reset_meanwhile(table))?;
    target.batch_execute("commit").await?;
    tracing::info!(
        table,
        bytes = facts.bytes,
        ranges = ranges.list.len(),
        ranges_kept = kept_count,
        connections = task.settings.ranges.workers,
        indexes_dropped = dropped,
        format = ?columns.format,
        "copy by ranges begins"
    );
    Ok(Ok(Prepared { here, columns, ranges, kept: kept_count }))
}

async fn random_word(target: &Client) -> Result<String> {
    let sql = "select pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', '')";
    Ok(target.query_typed_one(sql, &[]).await?.try_get(0)?)
}
