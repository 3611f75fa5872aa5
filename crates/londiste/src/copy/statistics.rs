//! ANALYZE of tables that were copied.
//!
//! It takes a good part of the time of a small table's copy, and nobody waits for it. So while other tables wait for
//! their rows it is left to the copy that ends last, which looks after what all of them have loaded.

use skytools::{Result, quote};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::split_name;
use crate::table::{MergeState, TableRow};

/// Of these tables those that autovacuum would analyze by its default settings.
const STALE: &str = "select t.name from unnest($1::text[]) as t(name) \
       join pg_catalog.pg_stat_all_tables s on s.relid = pg_catalog.to_regclass(t.name) \
      where s.n_mod_since_analyze > 50 + 0.1 * s.n_live_tup";

/// Analyzes the table, and what earlier copies have left, unless there are tables that still wait for their rows.
///
/// # Errors
/// Whatever the server reports; the other tables are left to autovacuum then.
pub async fn gather(target: &Client, queue: &str, table: &str) -> Result<()> {
    let rows = TableRow::load_all(target, queue).await?;
    let mut local = rows.iter().filter(|t| t.local);
    if local.clone().any(|t| matches!(t.merge_state, MergeState::Missing | MergeState::InCopy)) {
        tracing::debug!(table, "other tables wait for their rows: statistics are left to the last of them");
        return Ok(());
    }
    // The counters of the session that has loaded the table may not be there yet.
    if let Some(row) = local.find(|t| t.table_name == table) {
        target.batch_execute(&format!("analyze {}", quoted(row))).await?;
    }
    let others: Vec<String> = rows.iter().filter(|t| t.local && t.table_name != table).map(quoted).collect();
    for row in target.query_typed(STALE, &[(&others, Type::TEXT_ARRAY)]).await? {
        target.batch_execute(&format!("analyze {}", row.try_get::<_, &str>(0)?)).await?;
    }
    Ok(())
}

fn quoted(row: &TableRow) -> String {
    let (schema, table) = split_name(row.dest());
    format!("{}.{}", quote::ident(schema), quote::ident(table))
}
