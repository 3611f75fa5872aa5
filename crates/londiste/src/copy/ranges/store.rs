//! `londiste.copy_range`: what is loaded already, and with which snapshot.

use std::time::Duration;

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::split::Blocks;
use crate::snapshot::Snapshot;

const EXISTS: &str = "select pg_catalog.to_regclass('londiste.copy_range') is not null";
const LOAD: &str = "select range_nr, first_block, end_block, attempt, snapshot, copied_rows, copied_bytes, source_node, layout, target_oid \
     from londiste.copy_range where queue_name = $1 and table_name = $2 order by range_nr";
const FORGET: &str = "delete from londiste.copy_range where queue_name = $1 and table_name = $2";
const BEGIN: &str = "insert into londiste.copy_range \
       (queue_name, table_name, range_nr, first_block, end_block, attempt, source_node, layout, target_oid) \
     select $1, $2, r.nr, r.first_block, r.end_block, 1, $5, $6, $7 \
       from unnest($3::int8[], $4::int8[]) with ordinality as r(first_block, end_block, nr)";
const GO_ON: &str = "update londiste.copy_range set attempt = $3 where queue_name = $1 and table_name = $2 and snapshot is null";
/// The attempt keeps out a session of an earlier one that the server still works for, the layout (with the table's
/// file) one that began before the copy was reset.
const FINISH: &str = "update londiste.copy_range set snapshot = $5, copied_rows = $6, copied_bytes = $7 \
     where queue_name = $1 and table_name = $2 and range_nr = $3 and attempt = $4 and layout = $8 \
       and snapshot is null";
/// Key share: waits for whoever removes or resets the table, and makes them wait for the end of the transaction.
const HOLD: &str = "select 1 from londiste.table_info \
     where queue_name = $1 and table_name = $2 and local and merge_state = 'in-copy' for key share";
/// Whoever waits for lockers of a row holds a lock on its place meanwhile.
const WAITED_FOR: &str = "select exists (select 1 from londiste.table_info t \
       join pg_catalog.pg_locks l on l.locktype = 'tuple' and l.relation = t.tableoid and l.pid <> pg_catalog.pg_backend_pid() \
        and t.ctid::text = pg_catalog.format('(%s,%s)', l.page, l.tuple) \
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()) \
     where t.queue_name = $1 and t.table_name = $2)";
/// How long a range leaves the table to whoever waits for it before it looks again.
const GIVE_WAY: Duration = Duration::from_millis(20);
const FIRST_SNAPSHOT: &str = "select snapshot from londiste.copy_range \
     where queue_name = $1 and table_name = $2 and snapshot is not null order by attempt limit 1";

/// One range of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Number, from 1.
    pub nr: i32,
    /// Its blocks.
    pub blocks: Blocks,
    /// The attempt that has loaded it, or may load it.
    pub attempt: i32,
    /// The snapshot with which it was read; `None`: not loaded.
    pub snapshot: Option<Snapshot>,
    /// Rows loaded.
    pub rows: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// A copy under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// In order of blocks; at least one.
    pub list: Vec<Range>,
    /// The node that is read.
    pub source_node: String,
    /// Files and columns of both tables when the copy began.
    pub layout: String,
    /// OID of the target table when the copy began.
    pub target_oid: u32,
}

impl Ranges {
    /// The earliest snapshot that a range was read with.
    pub fn first_snapshot(&self) -> Option<&Snapshot> {
        self.list.iter().filter(|r| r.snapshot.is_some()).min_by_key(|r| r.attempt)?.snapshot.as_ref()
    }

    /// The highest attempt.
    pub fn attempt(&self) -> i32 {
        self.list.iter().map(|r| r.attempt).max().unwrap_or(0)
    }

    /// Rows and bytes of the ranges that are loaded.
    pub fn loaded(&self) -> (u64, u64) {
        let done = || self.list.iter().filter(|r| r.snapshot.is_some());
        (done().map(|r| r.rows).sum(), done().map(|r| r.bytes).sum())
    }
}

/// Whether this database has the table at all: the original's schema has not.
///
/// # Errors
/// Whatever the server reports.
pub async fn exists(target: &Client) -> Result<bool> {
    Ok(target.query_typed_one(EXISTS, &[]).await?.try_get(0)?)
}

/// The copy under way, if there is one.
///
/// # Errors
/// Whatever the server reports; a snapshot that cannot be read.
pub async fn load(target: &Client, queue: &str, table: &str) -> Result<Option<Ranges>> {
    if !exists(target).await? {
        return Ok(None);
    }
    let mut found: Option<Ranges> = None;
    for row in target.query_typed(LOAD, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await? {
        let snapshot: Option<&str> = row.try_get(4)?;
        let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        let range = Range {
            nr: row.try_get(0)?,
            blocks: Blocks { first: row.try_get(1)?, end: row.try_get(2)? },
            attempt: row.try_get(3)?,
            snapshot: snapshot.map(str::parse).transpose()?,
            rows: number(row.try_get(5)?),
            bytes: number(row.try_get(6)?),
        };
        match &mut found {
            Some(ranges) => ranges.list.push(range),
            None => {
                found = Some(Ranges {
                    list: vec![range],
                    source_node: row.try_get(7)?,
                    layout: row.try_get(8)?,
                    target_oid: row.try_get(9)?,
                });
            }
        }
    }
    Ok(found)
}

/// Forgets the copy under way. Does nothing where there is none.
///
/// # Errors
/// Whatever the server reports.
pub async fn forget(target: &Client, queue: &str, table: &str) -> Result<()> {
    if exists(target).await? {
        target.execute_typed(FORGET, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await?;
    }
    Ok(())
}

/// Stores a new copy in place of whatever there was.
///
/// # Errors
/// Whatever the server reports.
pub async fn begin(
    target: &Client,
    queue: &str,
    table: &str,
    source_node: &str,
    layout: &str,
    target_oid: u32,
    blocks: &[Blocks],
) -> Result<()> {
    forget(target, queue, table).await?;
    let firsts: Vec<i64> = blocks.iter().map(|b| b.first).collect();
    let ends: Vec<Option<i64>> = blocks.iter().map(|b| b.end).collect();
    target
        .execute_typed(
            BEGIN,
            &[
                (&queue, Type::TEXT),
                (&table, Type::TEXT),
                (&firsts, Type::INT8_ARRAY),
                (&ends, Type::INT8_ARRAY),
                (&source_node, Type::TEXT),
                (&layout, Type::TEXT),
                (&target_oid, Type::OID),
            ],
        )
        .await?;
    Ok(())
}

/// Takes over what an earlier attempt has left.
///
/// # Errors
/// Whatever the server reports.
pub async fn go_on(target: &Client, queue: &str, table: &str, attempt: i32) -> Result<()> {
    target
        .execute_typed(GO_ON, &[(&queue, Type::TEXT), (&table, Type::TEXT), (&attempt, Type::INT4)])
        .await?;
    Ok(())
}

/// Keeps the table registered and in copy until the transaction ends.
///
/// # Errors
/// [`ErrorKind::Transient`] when it is not (any more).
pub async fn hold(target: &Client, queue: &str, table: &str) -> Result<()> {
    match target.query_typed_opt(HOLD, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await? {
        Some(_) => Ok(()),
        None => Err(void(table)),
    }
}

/// Begins a transaction that holds the table as [`hold`] does, after whoever waits to remove or reset it: several
/// connections that hold the row in turn would let nobody else have it before the copy is complete.
///
/// # Errors
/// As [`hold`].
pub async fn begin_held(target: &Client, queue: &str, table: &str) -> Result<()> {
    loop {
        target.batch_execute("begin").await?;
        hold(target, queue, table).await?;
        let waiting: bool = target
            .query_typed_one(WAITED_FOR, &[(&queue, Type::TEXT), (&table, Type::TEXT)])
            .await?
            .try_get(0)?;
        if !waiting {
            return Ok(());
        }
        target.batch_execute("rollback").await?;
        tokio::time::sleep(GIVE_WAY).await;
    }
}

/// Notes that a range is loaded, in the transaction that has loaded it.
///
/// # Errors
/// [`ErrorKind::Transient`] when somebody else has taken over, or the copy was reset.
pub async fn finish(
    target: &Client,
    queue: &str,
    table: &str,
    (range, layout): (&Range, &str),
    snapshot: &Snapshot,
    (rows, bytes): (u64, u64),
) -> Result<()> {
    let (rows, bytes) = (i64::try_from(rows).unwrap_or(i64::MAX), i64::try_from(bytes).unwrap_or(i64::MAX));
    let changed = target
        .execute_typed(
            FINISH,
            &[
                (&queue, Type::TEXT),
                (&table, Type::TEXT),
                (&range.nr, Type::INT4),
                (&range.attempt, Type::INT4),
                (&snapshot.to_string(), Type::TEXT),
                (&rows, Type::INT8),
                (&bytes, Type::INT8),
                (&layout, Type::TEXT),
            ],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(void(table)) }
}

fn void(table: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("table {table} was removed or reset while it was copied"))
}

/// The earliest snapshot of a copy whose rows are not of one snapshot; `None` for any other copy.
///
/// # Errors
/// Whatever the server reports.
pub async fn first_snapshot(target: &Client, queue: &str, table: &str) -> Result<Option<Snapshot>> {
    if !exists(target).await? {
        return Ok(None);
    }
    match target.query_typed_opt(FIRST_SNAPSHOT, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await? {
        Some(row) => Ok(Some(row.try_get::<_, &str>(0)?.parse()?)),
        None => Ok(None),
    }
}
