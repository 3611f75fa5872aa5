//! One run of `compare`: the nodes, their tables, and which can be compared.

use std::time::Instant;

use pgq::cascade::{self, NodeInfo, NodeType};
use skytools::db::Connection;
use skytools::{Error, Result};

use super::freeze::{self, Frozen, Local};
use super::{Comparison, Pairing, Query, compare_table};
use crate::apply::TableShape;
use crate::apply::session::prepare_rows;
use crate::copy::Source;
use crate::handler;
use crate::settings::Settings;
use crate::table::{MergeState, TableRow};

/// The local side, and the source that is open at the moment.
pub(super) struct Session<'a> {
    pub settings: &'a Settings,
    pub query: Query,
    pub force: bool,
    /// For positions and lists.
    pub local: Connection,
    pub node: NodeInfo,
}

/// Tables that have the same source.
pub(super) struct Group {
    pub source: Source,
    pub info: NodeInfo,
    pub pairings: Vec<Pairing>,
}

const APPLICATION: &str = "londiste compare";

impl<'a> Session<'a> {
    pub async fn open(settings: &'a Settings, query: Query, force: bool) -> Result<Self> {
        let local = settings.connect_local(APPLICATION).await?;
        let node = cascade::load_node_info(&*local, &settings.queue).await?.ok_or_else(|| {
            Error::not_found(format!("this database has no node of queue \"{}\"", settings.queue))
                .hint("create one with \"londiste INI create-leaf NAME --provider=CONNSTR\"")
        })?;
        Ok(Session { settings, query, force, local, node })
    }

    /// The nearest node upwards that has the table as a real one.
    async fn find_source(&self, table: &str) -> Result<(Source, NodeInfo, TableRow)> {
        let (mut name, mut location) = if self.node.node_type == NodeType::Root {
            (self.node.node_name.clone(), None)
        } else {
            match (&self.node.provider_node, &self.node.provider_location) {
                (Some(name), Some(location)) => (name.clone(), Some(location.clone())),
                _ => return Err(Error::state(format!("node \"{}\" has no provider", self.node.node_name))),
            }
        };
        let mut seen = Vec::new();
        loop {
            let connection = match &location {
                Some(location) => self.settings.connect_node(&name, location, APPLICATION).await?,
                None => self.settings.connect_local(APPLICATION).await?,
            };
            let info =
                cascade::load_node_info(&*connection, &self.settings.queue).await?.ok_or_else(|| {
                    Error::state(format!("node \"{name}\" has no queue \"{}\"", self.settings.queue))
                })?;
            let rows = TableRow::load_all(&*connection, &self.settings.queue).await?;
            if let Some(row) = rows.into_iter().find(|t| t.local && t.table_name == table)
                && handler::build(row.attrs.handler())?.needs_table()
            {
                return Ok((Source { node: name, location, connection }, info, row));
            }
            seen.push(name);
            match (info.provider_node.clone(), info.provider_location.clone()) {
                (Some(next), Some(at)) if !seen.contains(&next) => (name, location) = (next, Some(at)),
                _ => {
                    return Err(Error::not_found(format!(
                        "Found root and no source found for table {table}"
                    ))
                    .hint("add the table on the root"));
                }
            }
        }
    }

    /// Pairs tables with their sources. Names that cannot be compared are warned about and left out.
    pub async fn groups(&self, wanted: &[String]) -> Result<Vec<Group>> {
        let rows = TableRow::load_all(&*self.local, &self.settings.queue).await?;
        let names: Vec<String> = if wanted.is_empty() {
            rows.iter().filter(|t| t.local).map(|t| t.table_name.clone()).collect()
        } else {
            wanted.iter().map(|n| if n.contains('.') { n.clone() } else { format!("public.{n}") }).collect()
        };
        let mut groups: Vec<Group> = Vec::new();
        for name in names {
            let Some(row) = rows.iter().find(|t| t.local && t.table_name == name) else {
                tracing::warn!("Table not subscribed: {name}");
                continue;
            };
            if row.merge_state != MergeState::Ok {
                tracing::warn!("Table {name} not synced yet, no point: it is {}", row.merge_state);
                continue;
            }
            let handler = handler::build(row.attrs.handler())?;
            if !handler.needs_table() {
                continue;
            }
            let known = groups
                .iter()
                .position(|g| g.info.node_type == NodeType::Root || g.source.node == self.node.node_name);
            let there = match known {
                Some(at) => {
                    let rows =
                        TableRow::load_all(&*groups[at].source.connection, &self.settings.queue).await?;
                    rows.into_iter().find(|t| t.local && t.table_name == name).map(|row| (at, row))
                }
                None => None,
            };
            let (at, source_row) = match there {
                Some(found) => found,
                None => {
                    let (source, info, row) = self.find_source(&name).await?;
                    match groups.iter().position(|g| g.source.node == source.node) {
                        Some(at) => (at, row),
                        None => {
                            groups.push(Group { source, info, pairings: Vec::new() });
                            (groups.len() - 1, row)
                        }
                    }
                }
            };
            if source_row.merge_state != MergeState::Ok {
                tracing::warn!("Table {name} is not complete on node \"{}\" yet", groups[at].source.node);
                continue;
            }
            let source =
                TableShape::require(&*groups[at].source.connection, source_row.dest(), "on the source")
                    .await?;
            let target = TableShape::require(&*self.local, row.dest(), "on this node").await?;
            groups[at].pairings.push(Pairing { table: name, source, target, condition: handler.condition() });
        }
        Ok(groups)
    }

    /// Compares the tables of one source: all in one go when nobody is in the way, otherwise one after the other.
    pub async fn compare(&self, group: &Group, mut tell: impl FnMut(&Comparison)) -> Result<()> {
        let itself = group.source.node == self.node.node_name;
        if itself || !freeze::takes_writes(&group.info) {
            let all: Vec<&Pairing> = group.pairings.iter().collect();
            return self.compare_frozen(group, &all, None, &mut tell).await;
        }
        let shapes: Vec<&TableShape> = group.pairings.iter().map(|p| &p.source).collect();
        let lock = self.reopen(group).await?;
        if freeze::lock_all(&lock, &shapes).await? {
            let all: Vec<&Pairing> = group.pairings.iter().collect();
            return self.compare_frozen(group, &all, Some(lock), &mut tell).await;
        }
        tracing::info!("some tables are in use by long transactions, comparing one by one");
        for pairing in &group.pairings {
            let lock = self.reopen(group).await?;
            freeze::lock(&lock, &[&pairing.source], self.settings.lock_timeout).await?;
            self.compare_frozen(group, &[pairing], Some(lock), &mut tell).await?;
        }
        Ok(())
    }

    async fn reopen(&self, group: &Group) -> Result<Connection> {
        if group.source.node == self.node.node_name {
            return self.settings.connect_local(APPLICATION).await;
        }
        let members = cascade::queue_locations(&*self.local, &self.settings.queue).await?;
        let member = members.into_iter().find(|m| m.node == group.source.node).ok_or_else(|| {
            Error::not_found(format!("node \"{}\" is no member of the queue here", group.source.node))
        })?;
        self.settings.connect_node(&member.node, &member.connstr, APPLICATION).await
    }

    async fn compare_frozen(
        &self,
        group: &Group,
        pairings: &[&Pairing],
        lock: Option<Connection>,
        tell: &mut impl FnMut(&Comparison),
    ) -> Result<()> {
        let settings = self.settings;
        let (there, here) = (self.reopen(group).await?, settings.connect_local(APPLICATION).await?);
        prepare_rows(&*there).await?;
        prepare_rows(&*here).await?;
        let since = Instant::now();
        let local = Local {
            client: &self.local,
            queue: &settings.queue,
            patience: settings.lock_timeout,
            force: self.force,
        };
        let frozen = match lock {
            Some(lock) => {
                let tick = freeze::tick_after_now(&group.source.connection, &local, since).await?;
                freeze::until_applied(&local, tick, since).await?;
                Frozen::Locked(lock)
            }
            None if group.source.node == self.node.node_name => Frozen::NotNeeded,
            None => {
                let worker = self.reopen(group).await?;
                let (frozen, tick) = freeze::pause_branch(worker, &group.info, &local, since).await?;
                if let Err(e) = freeze::until_applied(&local, tick, since).await {
                    frozen.thaw(&settings.queue).await?;
                    return Err(e);
                }
                frozen
            }
        };
        let begin = "begin transaction isolation level repeatable read read only; select 1";
        let begun =
            futures_util::future::try_join(there.batch_execute(begin), here.batch_execute(begin)).await;
        tracing::debug!(seconds = since.elapsed().as_secs_f64(), "snapshots taken");
        frozen.thaw(&settings.queue).await?;
        begun?;
        for pairing in pairings {
            tell(&compare_table(&there, &here, pairing, &self.query).await?);
        }
        Ok(())
    }
}
