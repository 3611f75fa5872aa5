//! Which names `add-table` can add, and keeping the node's list like that of its provider.

use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::Nodes;
use crate::command::expansion::Candidates;
use crate::command::register_filter::Filter;
use crate::command::session::{Session, call, or_hint};
use crate::command::{missing, pending_fkeys, sql};
use crate::settings::with_login_path;

/// On the root every table of the database that is not replicated yet; elsewhere every name of the provider's list
/// that the configuration admits.
pub(super) async fn candidates(session: &Session, nodes: &Nodes) -> Result<Candidates> {
    let local = nodes.local_tables.iter().filter(|t| t.local).map(|t| t.table_name.clone());
    let mut candidates = Candidates { open: Vec::new(), done: local.collect() };
    if nodes.is_root() {
        let missing = missing::load(&nodes.local, session.queue()).await?;
        candidates.open = missing.into_iter().filter(|(kind, _)| kind == "r").map(|(_, name)| name).collect();
        return Ok(candidates);
    }
    let filter = Filter::tables(session.config())?;
    for table in &nodes.source_tables {
        if !candidates.done.contains(&table.table_name) && filter.admits(&table.table_name) {
            candidates.open.push(table.table_name.clone());
        }
    }
    Ok(candidates)
}

/// Adds the next step to the error about names that are not available.
pub(super) fn explain(session: &Session, nodes: &Nodes, error: Error) -> Error {
    match &nodes.source {
        None => or_hint(error, || {
            format!(
                "no such table in this database; \"{}\" lists those that can be added",
                session.again("missing")
            )
        }),
        Some(source) => or_hint(error, || {
            format!(
                "node \"{}\" does not replicate it (or register_only_tables/register_skip_tables leaves it out): run \
             \"londiste INI add-table\" with the configuration of that node first",
                source.node
            )
        }),
    }
}

/// Enters the names that the provider has and this node lacks, and removes those that the provider has no more.
///
/// The worker does the same when it comes upon the events; this only shortens the wait. It is one transaction, and
/// it comes last, so that a failed table leaves no trace here.
pub(super) async fn follow_source(session: &Session, nodes: &mut Nodes) -> Result<()> {
    if nodes.source.is_none() {
        return Ok(());
    }
    let queue = session.queue();
    let filter = Filter::tables(session.config())?;
    let present = crate::TableRow::load_all(&*nodes.local, queue).await?;
    let tx = nodes.local.transaction().await?;
    for table in &nodes.source_tables {
        let name = &table.table_name;
        if filter.admits(name) && !present.iter().any(|t| t.table_name == *name) {
            tracing::info!("Table {name} info missing from subscriber, adding");
            call(&tx, sql::GLOBAL_ADD_TABLE, &[(&queue, Type::TEXT), (name, Type::TEXT)]).await?.log();
        }
    }
    for table in &present {
        let name = &table.table_name;
        if !nodes.source_tables.iter().any(|t| t.table_name == *name) {
            if table.local {
                tracing::warn!("Table {name}, which is replicated here, is gone on the provider, removing");
            } else {
                tracing::info!("Table {name} gone but exists on subscriber, removing");
            }
            let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                [(&queue, Type::TEXT), (name, Type::TEXT)];
            with_login_path(&tx, call(&tx, sql::GLOBAL_REMOVE_TABLE, &params)).await?.log();
            pending_fkeys::warn(&tx, table.dest()).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
