//! The last step of a copy that was resumed: rows written since the first snapshot, wherever they are now.

use std::sync::Arc;

use skytools::Result;
use skytools::quote;
use tokio_postgres::Client;

use super::split::newer_than;
use crate::apply::TableShape;
use crate::copy::{Columns, Progress, transfer};
use crate::snapshot::Snapshot;

const STAGE: &str = "pg_temp.londiste_changed";

/// Replaces, by key, every row that the source has written since `first`, as the source's snapshot sees it. Part of the
/// caller's transaction on the target. Returns the number of rows.
///
/// # Errors
/// Whatever either server reports.
pub async fn replace(
    source: &Client,
    target: &Client,
    (there, here): (&TableShape, &TableShape),
    columns: &Columns,
    first: &Snapshot,
    progress: &Arc<Progress>,
) -> Result<u64> {
    let list = columns.list();
    target
        .batch_execute(&format!(
            "create temporary table londiste_changed on commit drop as select {list} from only {} with no data",
            here.sql
        ))
        .await?;
    let condition = newer_than(first);
    let rows = transfer(
        source,
        &columns.copy_out(there, Some(&condition)),
        target,
        &columns.copy_into(STAGE),
        progress,
    )
    .await?;
    // The target's primary key may have been built a moment ago, after `here` was read.
    let same = there.key.iter().map(|name| {
        let column = quote::ident(name);
        let (t, n) = (format!("t.{column}"), format!("n.{column}"));
        match here.column(name) {
            Some(c) => format!("{} {} {}", c.compared(&t), c.equals, c.compared(&n)),
            None => format!("{t} = {n}"),
        }
    });
    let same = same.collect::<Vec<_>>().join(" and ");
    let table = &here.sql;
    target
        .batch_execute(&format!(
            "analyze {STAGE}; \
             delete from only {table} t using {STAGE} n where {same}; \
             insert into {table} ({list}) overriding system value select {list} from {STAGE}"
        ))
        .await?;
    Ok(rows)
}
