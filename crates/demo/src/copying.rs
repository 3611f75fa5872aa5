//! How far the initial copies are, as both servers tell it.

use std::collections::BTreeMap;

use skytools::Result;
use skytools::db::Connection;

use crate::stage::QUEUE;

/// One table on its way into the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCopy {
    /// `schema.table`.
    pub table: String,
    /// The state in `londiste.table_info`, `waiting` before the first.
    pub state: String,
    /// Rows copied so far.
    pub rows: u64,
    /// Rows of the source table when the load began.
    pub total: u64,
}

impl TableCopy {
    /// Whether the initial copy is behind this table.
    pub fn done(&self) -> bool {
        !matches!(self.state.as_str(), "waiting" | "in-copy")
    }

    /// Whether the table is handed over to replay.
    pub fn in_sync(&self) -> bool {
        self.state == "ok"
    }
}

const COUNT_SQL: &str = "
    select n.nspname || '.' || c.relname,
           (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::bigint
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not like 'pg\\_%'
       and n.nspname not in ('information_schema', 'pgq', 'pgq_ext', 'pgq_coop', 'pgq_node', 'londiste')";

const STATE_SQL: &str = "
    select t.table_name, coalesce(t.merge_state, 'waiting'), coalesce(p.tuples_processed, 0)
      from londiste.get_table_list($1) t
      left join pg_stat_progress_copy p
             on p.command = 'COPY FROM' and p.relid = londiste.find_table_oid(coalesce(t.dest_table, t.table_name))
     where t.local";

/// Rows of every table of the source.
///
/// # Errors
/// What the server says.
pub async fn totals(source: &Connection) -> Result<BTreeMap<String, u64>> {
    let rows = source.query(COUNT_SQL, &[]).await?;
    Ok(rows.iter().map(|r| (r.get(0), u64::try_from(r.get::<_, i64>(1)).unwrap_or_default())).collect())
}

/// The state of every table on the target.
///
/// # Errors
/// What the server says.
pub async fn look(target: &Connection, totals: &BTreeMap<String, u64>) -> Result<Vec<TableCopy>> {
    let rows = target.query(STATE_SQL, &[&QUEUE]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let table: String = row.get(0);
            TableCopy {
                total: totals.get(&table).copied().unwrap_or_default(),
                state: row.get(1),
                rows: u64::try_from(row.get::<_, i64>(2)).unwrap_or_default(),
                table,
            }
        })
        .collect())
}
