//! Rows from one server to another: COPY out of the source, COPY into the target, nothing in between but a small buffer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use skytools::{Result, quote};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::{Column, TableShape};

/// Small rows are joined until a message holds this much.
const CHUNK: usize = 64 << 10;

/// How values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Every column has the same built-in type on both sides: no conversion to text and back.
    Binary,
    /// The types' text forms.
    Text,
}

impl Format {
    fn option(self) -> &'static str {
        match self {
            Format::Binary => " with (format binary)",
            Format::Text => "",
        }
    }
}

/// Built-in types whose binary form holds an OID of another object, or that have none.
const NOT_BINARY: &[Type] = &[
    Type::REGPROC,
    Type::REGPROCEDURE,
    Type::REGOPER,
    Type::REGOPERATOR,
    Type::REGCLASS,
    Type::REGTYPE,
    Type::REGROLE,
    Type::REGNAMESPACE,
    Type::REGCONFIG,
    Type::REGCOLLATION,
    Type::REGDICTIONARY,
    Type::ACLITEM,
    Type::REGPROC_ARRAY,
    Type::REGPROCEDURE_ARRAY,
    Type::REGOPER_ARRAY,
    Type::REGOPERATOR_ARRAY,
    Type::REGCLASS_ARRAY,
    Type::REGTYPE_ARRAY,
    Type::REGROLE_ARRAY,
    Type::REGNAMESPACE_ARRAY,
    Type::REGCONFIG_ARRAY,
    Type::REGCOLLATION_ARRAY,
    Type::REGDICTIONARY_ARRAY,
    Type::ACLITEM_ARRAY,
];

/// OIDs below this are the same in every database.
const FIRST_USER_OID: u32 = 16_384;

fn is_binary(source: &Column, target: &Column) -> bool {
    if source.base_kind == 'e' && target.base_kind == 'e' {
        // The binary form of an enum is its label.
        return true;
    }
    source.base_oid == target.base_oid
        && source.base_oid < FIRST_USER_OID
        && matches!(source.base_kind, 'b' | 'r' | 'm')
        && !NOT_BINARY.iter().any(|t| t.oid() == source.base_oid)
}

/// The columns to copy: those that both tables have and that the target does not compute, in the source's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Raw names.
    pub names: Vec<String>,
    /// How their values travel.
    pub format: Format,
    /// Whether the source has to compute one of them, which plain COPY of a table refuses.
    pub computed_by_source: bool,
    /// Columns that only the source has (or that the target computes).
    pub only_source: Vec<String>,
    /// Columns that only the target has; they get their defaults.
    pub only_target: Vec<String>,
}

impl Columns {
    /// Compares two tables.
    pub fn common(source: &TableShape, target: &TableShape) -> Self {
        let mut columns = Columns {
            names: Vec::new(),
            format: Format::Binary,
            computed_by_source: false,
            only_source: Vec::new(),
            only_target: Vec::new(),
        };
        for column in &source.columns {
            match target.column(&column.name) {
                Some(there) if there.generated => {}
                Some(there) => {
                    if !is_binary(column, there) {
                        columns.format = Format::Text;
                    }
                    columns.computed_by_source |= column.generated;
                    columns.names.push(column.name.clone());
                }
                None => columns.only_source.push(column.name.clone()),
            }
        }
        let extra = target.columns.iter().filter(|c| !c.generated && source.column(&c.name).is_none());
        columns.only_target = extra.map(|c| c.name.clone()).collect();
        columns
    }

    pub(super) fn list(&self) -> String {
        self.names.iter().map(|name| quote::ident(name)).collect::<Vec<_>>().join(", ")
    }

    /// The statement for the source.
    pub fn copy_out(&self, source: &TableShape, condition: Option<&str>) -> String {
        let (list, table, option) = (self.list(), &source.sql, self.format.option());
        if condition.is_none() && !self.computed_by_source && !source.partitioned && !self.names.is_empty() {
            // Reads the table itself, never its children, and skips the executor.
            return format!("copy {table} ({list}) to stdout{option}");
        }
        let only = if source.partitioned { "" } else { "only " };
        let condition = condition.map_or_else(String::new, |c| format!(" where ({c})"));
        format!("copy (select {list} from {only}{table}{condition}) to stdout{option}")
    }

    /// The statement for the target.
    pub fn copy_in(&self, target: &TableShape) -> String {
        self.copy_into(&target.sql)
    }

    /// As [`Columns::copy_in`], into another table with these columns, by its quoted name.
    pub(super) fn copy_into(&self, table: &str) -> String {
        format!("copy {table} ({}) from stdin{}", self.list(), self.format.option())
    }
}

/// How far a transfer has come; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    bytes: AtomicU64,
    stuck: AtomicBool,
    whole: Option<Arc<Progress>>,
}

impl Progress {
    /// Rows sent so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes sent so far, in the format of the transfer.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it has failed for a reason that somebody has to correct, and nothing has been copied since.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    pub(super) fn set_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// The progress of a part; what it counts is counted in the whole too.
    pub(super) fn part_of(whole: &Arc<Progress>) -> Self {
        Progress { whole: Some(Arc::clone(whole)), ..Progress::default() }
    }

    /// Begins to count, after what earlier attempts have loaded for good.
    pub(super) fn restart(&self, rows: u64, bytes: u64) {
        self.rows.store(rows, Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn sent(&self, rows: u64, bytes: usize) {
        self.set_stuck(false);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.sent(rows, bytes);
        }
    }
}

/// Sends everything that `copy_out` returns into `copy_in`; returns the number of rows that the target took.
///
/// # Errors
/// Whatever either server reports; the target's transaction is then lost.
pub async fn transfer(
    source: &Client,
    copy_out: &str,
    target: &Client,
    copy_in: &str,
    progress: &Progress,
) -> Result<u64> {
    let out = source
        .copy_out(copy_out)
        .await
        .map_err(|e| skytools::Error::from(e).context("reading the source table"))?;
    let mut out = pin!(out);
    let sink = target.copy_in::<_, Bytes>(copy_in).await?;
    let mut sink = pin!(sink);
    let mut chunk = BytesMut::with_capacity(CHUNK + 4096);
    let mut rows = 0;
    while let Some(piece) = out.next().await {
        let piece = piece.map_err(|e| skytools::Error::from(e).context("reading the source table"))?;
        rows += 1;
        if piece.len() >= CHUNK {
            // A large row goes on without being copied once more.
            if !chunk.is_empty() {
                let full = chunk.split().freeze();
                progress.sent(0, full.len());
                sink.feed(full).await?;
            }
            progress.sent(rows, piece.len());
            rows = 0;
            sink.feed(piece).await?;
            continue;
        }
        chunk.extend_from_slice(&piece);
        if chunk.len() >= CHUNK {
            let full = chunk.split().freeze();
            progress.sent(rows, full.len());
            rows = 0;
            sink.feed(full).await?;
            chunk.reserve(CHUNK + 4096);
        }
    }
    progress.sent(rows, chunk.len());
    if !chunk.is_empty() {
        sink.feed(chunk.freeze()).await?;
    }
    Ok(sink.as_mut().finish().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, oid: u32, kind: char) -> Column {
        Column {
            name: name.to_owned(),
            type_oid: oid,
            base_oid: oid,
            base_kind: kind,
            type_sql: "x".to_owned(),
            full_type: "x".to_owned(),
            generated: false,
            identity_always: false,
            inexact: false,
            equals: "=".to_owned(),
            compared_as: None,
            listable: true,
        }
    }

    fn table(columns: Vec<Column>) -> TableShape {
        TableShape::from_parts("public.t", 1, false, columns, Vec::new())
    }

    #[test]
    fn binary_only_where_both_sides_mean_the_same_bytes() {
        let int = column("a", Type::INT4.oid(), 'b');
        let big = column("a", Type::INT8.oid(), 'b');
        let regclass = column("a", Type::REGCLASS.oid(), 'b');
        let citext = column("a", 17_000, 'b');
        assert!(is_binary(&int, &int));
        assert!(!is_binary(&int, &big));
        assert!(!is_binary(&regclass, &regclass));
        assert!(!is_binary(&citext, &citext));
        assert!(is_binary(&column("a", 16_400, 'e'), &column("a", 16_777, 'e')));
        assert!(!is_binary(&column("a", 16_400, 'c'), &column("a", 16_400, 'c')));
    }

    #[test]
    fn common_columns_leave_out_what_the_target_computes() {
        let mut computed = column("sum", Type::INT4.oid(), 'b');
        computed.generated = true;
        let source = table(vec![
            column("id", 23, 'b'),
            computed.clone(),
            column("old", 23, 'b'),
            column("g", 23, 'b'),
        ]);
        let mut g = column("g", 23, 'b');
        g.generated = true;
        let target = table(vec![column("new", 23, 'b'), g, column("sum", 23, 'b'), column("id", 23, 'b')]);
        let columns = Columns::common(&source, &target);
        assert_eq!(columns.names, ["id", "sum"]);
        assert_eq!(columns.only_source, ["old"]);
        assert_eq!(columns.only_target, ["new"]);
        assert!(columns.computed_by_source);
        assert!(columns.copy_out(&source, None).starts_with("copy (select "));
        assert!(columns.copy_in(&target).ends_with("from stdin with (format binary)"));
    }

    #[test]
    fn conditions_and_plain_tables() {
        let shape = table(vec![column("id", 23, 'b')]);
        let columns = Columns::common(&shape, &shape);
        assert!(
            columns.copy_out(&shape, None).contains("(id) to stdout")
                || columns.copy_out(&shape, None).contains("(\"id\") to stdout")
        );
        assert!(columns.copy_out(&shape, Some("id & 3 = 1")).contains(" where (id & 3 = 1)) to stdout"));
    }
}
