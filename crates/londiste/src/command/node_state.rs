//! What `status` shows of one node, and whether it is healthy.

use std::time::Duration;

use pgq::cascade::{self, ConsumerInfo, NodeInfo, NodeType};
use serde_json::{Value, json};
use skytools::db::{ConnectString, Connection};
use skytools::{Result, urlenc};
use tokio_postgres::types::Type;

use super::capture::Capture;
use super::lost_capture::Lost;
use super::sql;
use crate::{BadRow, MergeState, TableRow};

/// Everything that was read from one node; of a dead or unreachable one only the name.
pub struct NodeState {
    /// Name of the node.
    pub name: String,
    /// Service in its connect string.
    pub service: Option<String>,
    /// Whether it is tagged dead.
    pub dead: bool,
    /// Why it could not be read.
    pub failure: Option<String>,
    /// What it says.
    pub details: Option<Details>,
    /// How far it is behind; filled in when all nodes are known.
    pub lag: Option<Duration>,
}

/// What a node that answers says.
pub struct Details {
    /// The node itself.
    pub info: NodeInfo,
    /// Its tables.
    pub tables: Vec<TableRow>,
    /// How changes of its tables are captured; empty on a leaf.
    pub captures: Vec<Capture>,
    /// Tables of a leaf whose changes should be refused, and are not.
    pub unguarded: Vec<Lost>,
    /// Tables whose row cannot be understood.
    pub bad_tables: Vec<BadRow>,
    /// Consumers whose state it keeps.
    pub consumers: Vec<ConsumerInfo>,
    /// Seconds since 1970 of the tick of each consumer of its queue.
    pub positions: Vec<(String, f64)>,
    /// Age of the newest tick and the clock of the server, in seconds; `None` on a leaf.
    pub queue: Option<(Option<f64>, f64)>,
    /// Whether its worker may set the replica role; `None` when the node's schema cannot tell.
    pub replica_role: Option<bool>,
}

/// What is lost on a node whose worker may not set `session_replication_role`.
const WITHOUT_REPLICA_ROLE: &str =
    "Role: replica role not permitted, so triggers and foreign keys of this node act on replicated rows";

impl Details {
    /// Reads a node.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load(connection: &Connection, queue: &str, info: NodeInfo) -> Result<Self> {
        let param: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] = [(&queue, Type::TEXT)];
        let (mut tables, mut bad_tables) = (Vec::new(), Vec::new());
        for row in TableRow::load_each(&**connection, queue).await? {
            match row {
                Ok(row) => tables.push(row),
                Err(bad) => bad_tables.push(bad),
            }
        }
        let consumers = cascade::consumer_info(&**connection, queue).await?;
        // A leaf has no queue of its own, and asking for one may be an error.
        let (mut positions, mut clock) = (Vec::new(), None);
        if info.node_type != NodeType::Leaf {
            for row in connection.query_typed(sql::CONSUMER_LAGS, &param).await? {
                if let (Some(name), Some(time)) = (row.try_get(0)?, row.try_get(1)?) {
                    positions.push((name, time));
                }
            }
            if let Some(row) = connection.query_typed_opt(sql::QUEUE_LAG, &param).await? {
                clock = Some((row.try_get(0)?, row.try_get(1)?));
            }
        }
        let replica_role = match connection.query_typed_opt(sql::KNOWS_REPLICA_ROLE, &[]).await? {
            Some(_) => connection.query_typed_one(sql::CAN_SET_REPLICA_ROLE, &[]).await?.try_get(0)?,
            None => None,
        };
        let (mut captures, mut unguarded) = (Vec::new(), Vec::new());
        if info.node_type == NodeType::Leaf {
            unguarded = Lost::load(&**connection, queue).await?;
            unguarded.retain(|lost| lost.in_sync);
        } else {
            captures = Capture::load(&**connection, queue, &tables).await?;
        }
        Ok(Details {
            info,
            tables,
            captures,
            unguarded,
            bad_tables,
            consumers,
            positions,
            queue: clock,
            replica_role,
        })
    }

    /// Local tables in sync, local ones that are not, and names that this node does not replicate.
    pub fn table_counts(&self) -> (usize, usize, usize) {
        let bad = self.bad_tables.iter().filter(|t| t.local).count();
        let local = self.tables.iter().filter(|t| t.local).count() + bad;
        let ok = self.tables.iter().filter(|t| t.is_replayed()).count();
        (ok, local - ok, self.tables.len() + self.bad_tables.len() - local)
    }

    /// Consumers with an error: name and its first line.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.consumers.iter().filter_map(|c| {
            let error = c.cur_error.as_deref().filter(|e| !e.is_empty())?;
            Some((c.consumer.as_str(), error.lines().next().unwrap_or_default()))
        })
    }

    /// Tables whose changes are not captured: name and why.
    pub fn capture_problems(&self) -> impl Iterator<Item = (&str, &str)> {
        self.captures.iter().filter_map(|c| Some((c.table.as_str(), c.problem.as_deref()?)))
    }

    fn attrs(&self) -> Vec<(String, Option<String>)> {
        let stored = self.info.node_attrs.as_deref().unwrap_or_default();
        match urlenc::decode_row(stored) {
            Ok(row) => row.into_iter().map(|(k, v)| (k.into_owned(), v.map(|v| v.into_owned()))).collect(),
            Err(_) => vec![("node_attrs".to_owned(), Some(stored.to_owned()))],
        }
    }
}

/// `1d2h3m4s`; units that are zero are left out, seconds never.
pub fn format_lag(lag: Duration) -> String {
    let total = lag.as_secs();
    let mut text = String::new();
    for (value, unit) in [(total / 86400, 'd'), (total / 3600 % 24, 'h'), (total / 60 % 60, 'm')] {
        if value > 0 {
            text.push_str(&format!("{value}{unit}"));
        }
    }
    format!("{text}{}s", total % 60)
}

/// The service named in a connect string.
pub fn service_of(location: &str) -> Option<String> {
    ConnectString::parse(location).ok().and_then(|c| c.get("service").map(str::to_owned))
}

/// Lags above this are red on a terminal.
const LONG_LAG: Duration = Duration::from_secs(60);

impl NodeState {
    /// The type as shown: what the node says, or `dead`.
    pub fn kind(&self) -> &'static str {
        self.details.as_ref().map_or("dead", |d| d.info.node_type.as_str())
    }

    /// Name and type, and the service where there is one.
    pub fn title(&self) -> String {
        match &self.service {
            Some(service) => format!("{} ({}, {service})", self.name, self.kind()),
            None => format!("{} ({})", self.name, self.kind()),
        }
    }

    /// The lines beside the node; `tables` adds one for each table that is not in sync.
    pub fn info_lines(&self, colour: bool, tables: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(details) = &self.details {
            let (ok, half, ignored) = details.table_counts();
            lines.push(format!("Tables: {ok}/{half}/{ignored}"));
        }
        let mut text = match self.lag {
            Some(lag) if colour && lag > LONG_LAG => format!("Lag: \u{1b}[31m{}\u{1b}[0m", format_lag(lag)),
            Some(lag) => format!("Lag: {}", format_lag(lag)),
            None => "Lag: (n/a)".to_owned(),
        };
        let info = self.details.as_ref().map(|d| &d.info);
        if let Some(tick) = info.and_then(|i| i.worker_last_tick) {
            text.push_str(&format!(", Tick: {tick}"));
        }
        if info.is_none_or(|i| i.worker_paused) {
            text.push_str(", PAUSED");
        }
        if !info.is_some_and(|i| i.worker_uptodate) {
            text.push_str(", NOT UPTODATE");
        }
        lines.push(text);
        if let Some(details) = &self.details {
            for (key, value) in details.attrs() {
                lines.push(format!("Attr: {key}={}", value.as_deref().unwrap_or("None")));
            }
            lines.extend(details.errors().map(|(consumer, error)| format!("ERR: {consumer}: {error}")));
            lines.extend(details.bad_tables.iter().map(|bad| format!("ERR: {}", bad.problem.chain())));
            lines.extend(details.capture_problems().map(|(table, why)| format!("ERR: table {table}: {why}")));
            lines.extend(details.unguarded.iter().map(|t| format!("WARN: table {}: {}", t.table, t.told())));
            if details.replica_role == Some(false) && details.info.node_type != NodeType::Root {
                lines.push(WITHOUT_REPLICA_ROLE.to_owned());
            }
            if tables {
                let open = details.tables.iter().filter(|t| t.local && t.merge_state != MergeState::Ok);
                lines.extend(open.map(|t| format!("Table: {} {}", t.table_name, t.merge_state)));
            }
        }
        lines
    }

    /// What is wrong with the node, one sentence each; empty when it is healthy.
    pub fn problems(&self, max_lag: Option<Duration>) -> Vec<String> {
        let name = &self.name;
        let mut problems = Vec::new();
        if self.dead {
            problems.push(format!("{name}: tagged dead"));
        }
        let Some(details) = &self.details else {
            let why = self.failure.as_deref().unwrap_or("no information");
            if !self.dead {
                problems.push(format!("{name}: cannot be read: {why}"));
            }
            return problems;
        };
        if details.info.worker_paused {
            problems.push(format!("{name}: paused"));
        } else if !details.info.worker_uptodate {
            problems.push(format!("{name}: worker has not taken notice of its state"));
        }
        problems.extend(details.errors().map(|(consumer, error)| format!("{name}: {consumer}: {error}")));
        problems.extend(details.bad_tables.iter().map(|bad| format!("{name}: {}", bad.problem.chain())));
        problems
            .extend(details.capture_problems().map(|(table, why)| format!("{name}: table {table}: {why}")));
        for table in details.tables.iter().filter(|t| t.local && t.merge_state != MergeState::Ok) {
            problems
                .push(format!("{name}: table {} is not in sync ({})", table.table_name, table.merge_state));
        }
        if let Some(limit) = max_lag {
            match self.lag {
                Some(lag) if lag <= limit => {}
                Some(lag) => {
                    problems.push(format!(
                        "{name}: lag {} is more than {}",
                        format_lag(lag),
                        format_lag(limit)
                    ));
                }
                None => problems.push(format!("{name}: lag is not known")),
            }
        }
        problems
    }

    /// The node as JSON.
    pub fn json(&self) -> Value {
        let details = self.details.as_ref();
        let info = details.map(|d| &d.info);
        json!({
            "name": self.name,
            "type": self.kind(),
            "service": self.service,
            "dead": self.dead,
            "failure": self.failure,
            "provider": info.filter(|i| i.node_type != NodeType::Root).and_then(|i| i.provider_node.clone()),
            "lag_seconds": self.lag.map(|l| l.as_secs_f64()),
            "tick": info.and_then(|i| i.worker_last_tick),
            "paused": info.map(|i| i.worker_paused),
            "uptodate": info.map(|i| i.worker_uptodate),
            "worker": info.and_then(|i| i.worker_name.clone()),
            "replica_role": details.and_then(|d| d.replica_role),
            "combined_queue": info.and_then(|i| i.combined_queue.clone()),
            "attrs": details.map(|d| d.attrs().into_iter().map(|(k, v)| (k, Value::from(v))).collect::<serde_json::Map<_, _>>()),
            "errors": details.map(|d| d.consumers.iter().filter_map(|c| {
                c.cur_error.as_ref().map(|e| json!({"consumer": c.consumer, "error": e}))
            }).collect::<Vec<_>>()),
            "tables": details.map(|d| {
                let (ok, half, ignored) = d.table_counts();
                json!({
                    "ok": ok,
                    "not_in_sync": half,
                    "not_local": ignored,
                    "list": d.tables.iter().map(|t| json!({
                        "name": t.table_name,
                        "local": t.local,
                        "state": t.merge_state.to_stored(),
                        "dest_table": t.dest_table,
                        "capture": d.captures.iter().find(|c| c.table == t.table_name).map(Capture::json),
                        "warning": d.unguarded.iter().find(|u| u.table == t.table_name).map(Lost::told),
                    })).collect::<Vec<_>>(),
                    "unreadable": d.bad_tables.iter().map(|t| json!({
                        "name": t.table_name,
                        "local": t.local,
                        "state": t.merge_state,
                        "error": t.problem.chain(),
                    })).collect::<Vec<_>>(),
                })
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_written_as_the_original_does() {
        let text = |s| format_lag(Duration::from_secs(s));
        assert_eq!(text(0), "0s");
        assert_eq!(text(59), "59s");
        assert_eq!(text(60), "1m0s");
        assert_eq!(text(93_603), "1d2h3s");
        assert_eq!(text(3600), "1h0s");
    }

    #[test]
    fn a_node_without_answer_is_dead() {
        let node = NodeState {
            name: "n".to_owned(),
            service: Some("svc".to_owned()),
            dead: false,
            failure: Some("refused".to_owned()),
            details: None,
            lag: None,
        };
        assert_eq!(node.title(), "n (dead, svc)");
        assert_eq!(node.info_lines(false, true), ["Lag: (n/a), PAUSED, NOT UPTODATE"]);
        assert_eq!(node.problems(None), ["n: cannot be read: refused"]);
        assert_eq!(service_of("service=x host=y").as_deref(), Some("x"));
        assert_eq!(service_of("host=y"), None);
    }
}
