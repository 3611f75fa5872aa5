//! Comparing replicated tables with their source.
//!
//! ```text
//!   source                         this node
//!   lock table in share mode
//!   tick T  ─────────────────────▶ worker completes T
//!   begin repeatable read          begin repeatable read     ← both snapshots hold the same rows
//!   unlock
//!   count, checksum                count, checksum           ← at the same time
//! ```

mod command;
mod freeze;
mod query;
mod session;

use skytools::{Error, Result};
use tokio_postgres::{Client, SimpleQueryMessage};

pub use command::{Args, command};
pub use query::Query;

use crate::apply::TableShape;
use crate::copy::Columns;

/// The answer of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Number of rows, when the query tells (`cnt`).
    pub rows: Option<i64>,
    /// Checksum, when the query tells (`chksum`) and there are rows.
    pub checksum: Option<String>,
    /// The answer as `compare_fmt` shows it; this is what is compared.
    pub text: String,
}

/// Both answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Name in the queue.
    pub table: String,
    /// The source's side.
    pub source: Side,
    /// This node's side.
    pub target: Side,
    /// Columns that only one side has; they were not compared.
    pub left_out: Vec<String>,
}

impl Comparison {
    /// Whether both sides gave the same answer.
    pub fn is_identical(&self) -> bool {
        self.source.text == self.target.text
    }
}

/// One table to compare.
#[derive(Debug, Clone)]
pub struct Pairing {
    /// Name in the queue.
    pub table: String,
    /// The table on the source.
    pub source: TableShape,
    /// The table on this node.
    pub target: TableShape,
    /// Which rows; all without a condition.
    pub condition: Option<String>,
}

/// Compares one table over two sessions that were prepared with
/// [`prepare_rows`](crate::apply::session::prepare_rows), in whatever snapshots they have.
///
/// # Errors
/// No common column; whatever the servers report.
pub async fn compare_table(
    source: &Client,
    target: &Client,
    pairing: &Pairing,
    query: &Query,
) -> Result<Comparison> {
    // A column that the target computes is compared as well, so the list is not that of a copy.
    let common: Vec<String> = pairing
        .source
        .columns
        .iter()
        .filter(|c| pairing.target.column(&c.name).is_some())
        .map(|c| c.name.clone())
        .collect();
    if common.is_empty() && !pairing.source.columns.is_empty() {
        return Err(Error::state(format!("table {} has no column in common with its source", pairing.table)));
    }
    let copied = Columns::common(&pairing.source, &pairing.target);
    let left_out: Vec<String> = copied
        .only_source
        .iter()
        .chain(&copied.only_target)
        .filter(|c| !common.contains(c))
        .cloned()
        .collect();
    if !left_out.is_empty() {
        tracing::warn!(
            table = pairing.table,
            columns = left_out.join(", "),
            "columns that only one side has are not compared"
        );
    }
    let condition = pairing.condition.as_deref();
    let (convert_there, convert_here) =
        if query.knows_encodings() { conversions(source, target).await? } else { (None, None) };
    let (there, here) = (
        query.statement(&pairing.source, &common, condition, convert_there),
        query.statement(&pairing.target, &common, condition, convert_here),
    );
    let (source, target) =
        futures_util::future::join(ask(source, &there, query), ask(target, &here, query)).await;
    Ok(Comparison {
        table: pairing.table.clone(),
        source: source.map_err(|e| e.context(format!("querying {} on the source", pairing.table)))?,
        target: target.map_err(|e| e.context(format!("querying {} on this node", pairing.table)))?,
        left_out,
    })
}

/// Into which encoding the source and this node put their rows before they are hashed.
async fn conversions(
    source: &Client,
    target: &Client,
) -> Result<(Option<&'static str>, Option<&'static str>)> {
    let (there, here) = futures_util::future::try_join(encoding(source), encoding(target)).await?;
    Ok((query::conversion(&there, &here), query::conversion(&here, &there)))
}

async fn encoding(client: &Client) -> Result<String> {
    let row = client.query_typed_one("select pg_catalog.current_setting('server_encoding')", &[]).await?;
    Ok(row.try_get(0)?)
}

async fn ask(client: &Client, sql: &str, query: &Query) -> Result<Side> {
    let messages = client.simple_query(sql).await?;
    let row = messages.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| Error::data("the comparing query returned no row"))?;
    let mut answer = Vec::with_capacity(row.len());
    for (i, column) in row.columns().iter().enumerate() {
        answer.push((column.name().to_owned(), row.try_get(i)?.map(str::to_owned)));
    }
    let value = |name: &str| answer.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.clone());
    Ok(Side {
        rows: value("cnt").and_then(|v| v.parse().ok()),
        checksum: value("chksum"),
        text: query.show(&answer),
    })
}
