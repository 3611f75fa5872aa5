//! What every administrative command works with: configuration, the local node, other nodes.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::ordinary;
use pgq::cascade::{self, NodeInfo, NodeType, Reply};
use skytools::config::Config;
use skytools::db::{ConnectString, Connection};
use skytools::service::{Signals, Wake};
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::GenericClient;
use tokio_postgres::types::{ToSql, Type};

/// One run of a command.
pub struct Session {
    config: Config,
    ini: PathBuf,
    queue: String,
    job: String,
    signals: Signals,
}

impl Session {
    /// Reads the keys that every command needs.
    ///
    /// # Errors
    /// A missing or empty `queue_name`.
    pub fn new(config: Config, ini: PathBuf, signals: Signals) -> Result<Self> {
        let queue = match config.get_opt("pgq_queue_name")? {
            Some(name) => name,
            None => config.get_opt("queue_name")?.ok_or_else(|| {
                config
                    .key_error("queue_name", "required key is missing or empty")
                    .hint(format!("add \"queue_name = NAME\" to section [{}]", config.section()))
            })?,
        };
        let job = config.job_name();
        Ok(Session { config, ini, queue, job, signals })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The queue that the node belongs to.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The job's name, which is also the consumer name of the node's worker.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// How this configuration is called again, for hints.
    pub fn again(&self, command: &str) -> String {
        format!("londiste {} {command}", self.ini.display())
    }

    /// The connect string of the local database.
    ///
    /// # Errors
    /// A missing or malformed key `db`.
    pub fn local_connstr(&self) -> Result<ConnectString> {
        ConnectString::parse(&self.config.get("db")?).map_err(|e| e.context("reading key \"db\""))
    }

    /// Opens the local database.
    ///
    /// # Errors
    /// As [`Session::local_connstr`], and when the server cannot be reached.
    pub async fn local(&self) -> Result<Connection> {
        let open = self.local_connstr()?.connect(&self.job).await;
        ordinary(open.map_err(|e| e.context("connecting to the local database (key \"db\")"))?).await
    }

    /// Opens the database of another node, with `remote_extra_connstr` added.
    ///
    /// # Errors
    /// A malformed location, or a server that cannot be reached; both name `what`.
    pub async fn remote(&self, location: &str, what: &str) -> Result<Connection> {
        let connstr = self
            .remote_connstr(location)
            .map_err(|e| e.context(format!("reading the location of {what}")))?;
        let open = connstr.connect(&self.job).await;
        ordinary(open.map_err(|e| e.context(format!("connecting to {what}")))?).await
    }

    /// A node's location with `remote_extra_connstr` added.
    ///
    /// # Errors
    /// A malformed location or key.
    pub fn remote_connstr(&self, location: &str) -> Result<ConnectString> {
        let connstr = ConnectString::parse(location)?;
        match self.config.get_opt("remote_extra_connstr")? {
            Some(extra) => connstr.with_extra(&extra),
            None => Ok(connstr),
        }
    }

    /// The local node.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when this database has no node of the queue.
    pub async fn local_node<C: GenericClient + Sync>(&self, client: &C) -> Result<NodeInfo> {
        let missing = || {
            Error::not_found(format!("Unknown queue: {}: this database has no node of it", self.queue)).hint(format!(
                "create one with \"{}\" or \"create-leaf NAME --provider=CONNSTR\", or correct queue_name and db",
                self.again("create-root NAME")
            ))
        };
        match cascade::load_node_info(client, &self.queue).await {
            Ok(Some(info)) => Ok(info),
            Ok(None) => Err(missing()),
            // Schema or function does not exist: nothing was ever installed here.
            Err(e) if e.kind() == ErrorKind::NotFound => Err(missing().with_source(e)),
            Err(e) => Err(e),
        }
    }

    /// Follows providers, from the node at `connection` up to the root.
    ///
    /// # Errors
    /// A node on the way that is no node of the queue, or providers that form a circle.
    pub async fn find_root(&self, connection: Connection) -> Result<(Connection, NodeInfo)> {
        let mut connection = connection;
        let mut seen: Vec<String> = Vec::new();
        loop {
            let info = self.local_node(&*connection).await?;
            if info.node_type == NodeType::Root {
                return Ok((connection, info));
            }
            if seen.contains(&info.node_name) {
                return Err(Error::state(format!(
                    "no root: the providers of queue \"{}\" form a circle: {}",
                    self.queue,
                    seen.join(" -> ")
                ))
                .hint("point one of these nodes at another provider with \"change-provider\""));
            }
            let (Some(provider), Some(location)) = (&info.provider_node, &info.provider_location) else {
                return Err(Error::state(format!("node \"{}\" has no provider", info.node_name)));
            };
            tracing::debug!(node = info.node_name, provider, "following the provider");
            connection = self.remote(location, &format!("node \"{provider}\"")).await?;
            seen.push(info.node_name);
        }
    }

    /// Waits, unless the process is asked to stop.
    ///
    /// # Errors
    /// The stop.
    pub async fn sleep(&self, time: Duration) -> Result<()> {
        match self.signals.sleep(time).await {
            Wake::Stop => {
                Err(Error::state("stopped by a signal").hint("run the command again to go on waiting"))
            }
            Wake::Elapsed | Wake::Reload => Ok(()),
        }
    }
}

/// Calls a function of schema `londiste` that answers with code and note.
///
/// # Errors
/// Codes of 400 and above; the caller's transaction must then be rolled back.
pub async fn call<C: GenericClient + Sync>(
    client: &C,
    statement: &str,
    params: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Reply> {
    Reply::from_row(&client.query_typed_one(statement, params).await?)
}

/// Refuses arguments that a command does not take, and misses those that it needs.
///
/// # Errors
/// A wrong number of arguments.
pub fn expect_args(command: &str, given: &[String], names: &[&str]) -> Result<()> {
    if given.len() == names.len() {
        return Ok(());
    }
    let expected = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
    Err(Error::usage(format!(
        "command '{command}' got {} args, but expects {}{expected}",
        given.len(),
        names.len()
    )))
}

/// Adds the next step to an error that does not name one.
pub fn or_hint(error: Error, hint: impl FnOnce() -> String) -> Error {
    if error.hint_text().is_some() { error } else { error.hint(hint()) }
}

/// Splits a full name at its first dot.
pub fn split_name(full: &str) -> (&str, &str) {
    full.split_once('.').unwrap_or(("public", full))
}

/// A connect string for display: as stored, unless it holds a secret.
pub fn shown_location(location: &str) -> String {
    match ConnectString::parse(location) {
        Ok(parsed) if parsed.has_password() => parsed.to_string(),
        _ => skytools::log::redact(location).into_owned(),
    }
}
