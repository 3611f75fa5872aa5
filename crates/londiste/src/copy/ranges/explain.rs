//! How a table would be copied, and why: what `tables --verbose` shows.

use std::collections::HashMap;
use std::sync::Arc;

use pgq::cascade::{self, NodeType};
use skytools::config::Config;
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;

use super::store;
use super::suited::{self, SourceFacts};
use crate::apply::TableShape;
use crate::apply::session::{self, Role};
use crate::copy::{Columns, Sessions, Source, indexes, source};
use crate::handler;
use crate::settings::{RangeSettings, Settings};
use crate::table::TableRow;

/// Looks at both sides of tables as their copies would, and changes nothing.
pub struct Explainer {
    settings: Arc<Settings>,
    local: Connection,
    role: Role,
    root: bool,
    /// By the node that the tables name, if they do.
    sources: HashMap<Option<String>, std::result::Result<Source, String>>,
}

impl Explainer {
    /// For the node of this configuration.
    ///
    /// # Errors
    /// A wrong key; the local database cannot be reached.
    pub async fn open(config: &Config) -> Result<Self> {
        let settings = Arc::new(Settings::read(config)?);
        let local = settings.connect_local(&settings.consumer).await?;
        let info = cascade::load_node_info(&*local, &settings.queue).await?;
        let root = info.is_some_and(|i| i.node_type == NodeType::Root);
        let role = match session::prepare_load(&*local, &settings.queue).await {
            Ok(role) => role,
            // Somebody who may only look is told what holds for a worker that may do least.
            Err(e) if e.kind() == ErrorKind::Permission => Role::Token,
            Err(e) => return Err(e),
        };
        Ok(Explainer { settings, local, role, root, sources: HashMap::new() })
    }

    /// One line: `by ranges`, or `whole: ` and why. `None` on the root, where nothing is copied.
    ///
    /// # Errors
    /// Whatever the local server reports; what keeps the source from telling is part of the line.
    pub async fn explain(&mut self, row: &TableRow) -> Result<Option<String>> {
        if self.root {
            return Ok(None);
        }
        let line = match self.reason(row).await {
            Ok(None) => "by ranges".to_owned(),
            Ok(Some(why)) => format!("whole: {why}"),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Permission) => {
                format!("unknown: {}", e.chain())
            }
            Err(e) => return Err(e),
        };
        Ok(Some(line))
    }

    async fn reason(&mut self, row: &TableRow) -> Result<Option<String>> {
        let queue = self.settings.queue.clone();
        if !store::exists(&self.local).await? {
            return Ok(Some("the schema here is older than copies by ranges".to_owned()));
        }
        if store::load(&self.local, &queue, &row.table_name).await?.is_some() {
            return Ok(None);
        }
        self.open_source(row).await;
        let local: &Client = &self.local;
        let here = TableShape::require(local, row.dest(), "on this node").await?;
        let there = match self.sources.get(&node_of(row)) {
            Some(Ok(source)) => source,
            Some(Err(why)) => return Err(Error::not_found(why.clone())),
            None => return Err(Error::new(ErrorKind::Internal, "the source was not opened")),
        };
        let name = source::is_complete(there, &queue, &row.table_name).await?;
        let there: &Client = &there.connection;
        let shape =
            TableShape::require(there, name.as_deref().unwrap_or(&row.table_name), source::ON_SOURCE).await?;
        let facts = SourceFacts::load(there, &shape, &queue).await?;
        let filtered = handler::build(row.attrs.handler())?.condition().is_some();
        if let Some(why) = suited::precondition(row, filtered, &facts) {
            return Ok(Some(why));
        }
        let dropped = indexes::simple_names(local, here.oid).await?;
        let suits = suited::refusal(local, &shape, &here, self.role, &here.key, &dropped).await?;
        if let Some(why) = suits.or_else(|| suited::unkeyed(&here.key, &Columns::common(&shape, &here))) {
            return Ok(Some(why));
        }
        Ok(too_small(&self.settings.ranges, &row.table_name, facts.bytes))
    }

    /// Opens the source of the table's copy, once for all tables that have the same; `?` may lead elsewhere each time.
    async fn open_source(&mut self, row: &TableRow) {
        let node = node_of(row);
        if !self.sources.contains_key(&node) || node.as_deref() == Some("?") {
            let opened =
                source::open(&self.settings, &Sessions::default(), &self.local, row, &self.settings.consumer)
                    .await;
            self.sources.insert(node, opened.map_err(|e| e.chain()));
        }
    }
}

fn node_of(row: &TableRow) -> Option<String> {
    row.attrs.copy_node().map(str::to_owned)
}

fn too_small(ranges: &RangeSettings, table: &str, bytes: u64) -> Option<String> {
    const MIB: u64 = 1 << 20;
    if ranges.wants(table, bytes) {
        return None;
    }
    Some(match ranges.from_bytes {
        0 => "copies by ranges are switched off (copy_ranges_from = 0)".to_owned(),
        from => format!("it has {} MiB, ranges begin at {} MiB (copy_ranges_from)", bytes / MIB, from / MIB),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_decides_last() {
        let mut ranges = RangeSettings {
            tables: vec!["public.b*".to_owned()],
            workers: 2,
            from_bytes: 128 << 20,
            range_bytes: 0,
            index_memory: None,
        };
        assert_eq!(too_small(&ranges, "public.big", 0), None);
        assert_eq!(too_small(&ranges, "public.a", 128 << 20), None);
        let why = too_small(&ranges, "public.a", 11 << 20).unwrap();
        assert_eq!(why, "it has 11 MiB, ranges begin at 128 MiB (copy_ranges_from)");
        ranges.from_bytes = 0;
        assert!(too_small(&ranges, "public.a", 1 << 40).unwrap().contains("switched off"));
    }
}
