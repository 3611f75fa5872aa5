//! Tables on their way whose rows a script has changed.
//!
//! A script changes rows on the root and here, each time at its place in the stream. The rows of a table that is being copied are
//! at another place: what the script did on the root may be in them already, and later changes, too. There is no order in which
//! both could be right, so such a table is copied again.

use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::apply::{TableShape, split_name};
use crate::table::{MergeState, TableRow};
use crate::{copy, sync};

/// Of the table and its partitions: those that this transaction has locked as INSERT, UPDATE, DELETE and MERGE do (if they meet no row
/// here, they may have met one on the root), the number of rows that it has changed, and the files they are in, which TRUNCATE exchanges.
/// NULL: the server does not count, or there is no such table.
const TOUCHED: &str = "select case when pg_catalog.current_setting('track_counts') operator(pg_catalog.=) 'on' then \
         (select pg_catalog.concat_ws(' ', pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(p.relid) \
                     operator(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(p.relid) \
                     operator(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(p.relid)), \
                 pg_catalog.string_agg(pg_catalog.pg_relation_filenode(p.relid)::text, ',' order by p.relid), 'written', \
                 pg_catalog.string_agg(l.relation::text, ',' order by l.relation)) \
            from (select r.oid as relid from pg_catalog.pg_class r where r.oid operator(pg_catalog.=) c.oid \
                  union select t.relid from pg_catalog.pg_partition_tree(c.oid) t) p \
            left join (select distinct k.relation from pg_catalog.pg_locks k \
                  where k.pid operator(pg_catalog.=) pg_catalog.pg_backend_pid() and k.locktype operator(pg_catalog.=) 'relation' \
                    and k.mode operator(pg_catalog.=) 'RowExclusiveLock') l on l.relation operator(pg_catalog.=) p.relid) end \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace \
    where n.nspname operator(pg_catalog.=) $1 and c.relname operator(pg_catalog.=) $2";

/// How things stand with the tables that are on their way.
pub(super) struct OnTheirWay<'a>(Vec<(&'a TableRow, Option<String>)>);

impl<'a> OnTheirWay<'a> {
    /// Before a script of the transaction `txid` runs.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn note(client: &Client, tables: &'a [TableRow], txid: i64) -> Result<Self> {
        let mut noted = Vec::new();
        for row in tables.iter().filter(|t| t.local && is_elsewhere(t, txid)) {
            noted.push((row, touched(client, row).await?));
        }
        Ok(OnTheirWay(noted))
    }

    /// Whether there are tables whose rows can be thrown away, because a copy will bring them all.
    pub fn can_be_emptied(&self) -> bool {
        self.emptied().next().is_some()
    }

    /// Throws these rows away: [`OnTheirWay::copy_changed_again`] will notice.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn empty(&self, client: &Client) -> Result<()> {
        for row in self.emptied() {
            let shape = TableShape::require(client, row.dest(), "on this node").await?;
            let only = if shape.partitioned { "" } else { "only " };
            client.batch_execute(&format!("truncate {only}{}", shape.sql)).await?;
        }
        Ok(())
    }

    fn emptied(&self) -> impl Iterator<Item = &'a TableRow> {
        let on_their_way = self.0.iter().map(|(row, _)| *row);
        on_their_way.filter(|row| row.merge_state.is_copying() && !row.attrs.skip_truncate())
    }

    /// After it: tables that it has changed are at their beginning again. Part of the caller's transaction.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn copy_changed_again(self, client: &Client, queue: &str, file: &str) -> Result<()> {
        for (row, before) in self.0 {
            let after = touched(client, row).await?;
            if before.is_some() && before == after {
                continue;
            }
            let table = row.table_name.as_str();
            // The script may have removed it.
            let Some(now) =
                TableRow::load_all(client, queue).await?.into_iter().find(|t| t.table_name == table)
            else {
                continue;
            };
            if row.attrs.skip_truncate() && row.merge_state != MergeState::InCopy {
                return Err(Error::state(format!(
                    "the script changes table {table}, which is on its way; it was added with --skip-truncate, so the rows that have come cannot be told from those that were there"
                ))
                .hint(format!(
                    "\"londiste INI remove-table {table}\"; the worker goes on; delete the rows that the copy has brought, and add the table again"
                )));
            }
            tracing::warn!(
                table,
                file,
                "the script of EXECUTE has changed the table, which is not in step yet: it is copied again"
            );
            if now.dropped_ddl.is_some() {
                copy::abandon(client, queue, &now).await?;
            } else {
                sync::set_missing(client, queue, table).await?;
            }
        }
        Ok(())
    }
}

/// Whether its rows are at another place of the stream than the worker that runs a script of that transaction.
fn is_elsewhere(row: &TableRow, txid: i64) -> bool {
    match row.merge_state {
        MergeState::Missing => false,
        MergeState::Ok => row.custom_snapshot.as_ref().is_some_and(|s| s.contains(txid)),
        MergeState::InCopy | MergeState::CatchingUp | MergeState::WannaSync(_) | MergeState::DoSync(_) => {
            true
        }
    }
}

async fn touched(client: &Client, row: &TableRow) -> Result<Option<String>> {
    let (schema, name) = split_name(row.dest());
    let found = client.query_typed_opt(TOUCHED, &[(&schema, Type::TEXT), (&name, Type::TEXT)]).await?;
    Ok(match found {
        Some(found) => found.try_get(0)?,
        None => None,
    })
}
