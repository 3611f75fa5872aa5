//! What worker, copy and compare read from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use pgq::batch::{BatchLimits, Interval};
use skytools::config::Config;
use skytools::db::{ConnectString, Connection};
use skytools::{Error, Result};
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::command::expansion::glob_matches;

/// Settings of a worker and its copies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The queue.
    pub queue: String,
    /// Consumer name of the worker; the copies' names begin with it.
    pub consumer: String,
    /// The local database.
    pub db: ConnectString,
    /// Appended to every remote connect string.
    pub remote_extra: Option<String>,
    /// Which batches the worker takes.
    pub limits: BatchLimits,
    /// Seconds between looks when there is nothing to do.
    pub loop_delay: Duration,
    /// Whether a worker with nothing left to do has ticks made when events wait.
    pub tick_on_demand: bool,
    /// Root: time between global watermark events.
    pub global_watermark_period: Duration,
    /// Others: time between watermark reports to the provider.
    pub local_watermark_period: Duration,
    /// Copies at once.
    pub parallel_copies: usize,
    /// How tables are copied by ranges.
    pub ranges: RangeSettings,
    /// Fetch only events of local tables.
    pub local_only: bool,
    /// With `local_only`: leave out EXECUTE events too.
    pub local_only_drop_execute: bool,
    /// How long DDL waits for a lock before it gives way to the users of the table.
    pub lock_timeout: Duration,
    /// Wait after a failure.
    pub exception_sleep: Duration,
    /// `search_path` of the functions that run when changes are applied (triggers, defaults, constraints, indexes).
    pub apply_search_path: Option<String>,
    /// A connection older than this is closed when there is nothing to do.
    pub connection_lifetime: Duration,
    /// Where another process of this worker says that it runs.
    pub pidfile: Option<PathBuf>,
}

/// When and how one table is copied by ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSettings {
    /// Tables that are copied by ranges whatever their size (`threaded_copy_tables`; `*` and `?`).
    pub tables: Vec<String>,
    /// Connections that load one table at once (`threaded_copy_pool_size`).
    pub workers: usize,
    /// Other tables from this many bytes on (`copy_ranges_from`); 0: none.
    pub from_bytes: u64,
    /// Bytes of the source's table in one range (`copy_range_size`); 0: by the size of the table.
    pub range_bytes: u64,
    /// `maintenance_work_mem` of a session that builds an index (`copy_index_memory`), as the server reads it.
    pub index_memory: Option<String>,
}

impl RangeSettings {
    fn read(config: &Config) -> Result<Self> {
        let workers = usize::try_from(config.get_int("threaded_copy_pool_size", 2)?).unwrap_or(0);
        if !(1..=64).contains(&workers) {
            return Err(config.key_error("threaded_copy_pool_size", "must be between 1 and 64"));
        }
        Ok(RangeSettings {
            tables: config.get_list("threaded_copy_tables")?,
            workers,
            from_bytes: config.get_bytes("copy_ranges_from", 128 << 20)?,
            range_bytes: config.get_bytes("copy_range_size", 0)?,
            index_memory: config.get_opt("copy_index_memory")?,
        })
    }

    /// Whether a table of that name and size is to be copied by ranges.
    pub fn wants(&self, table: &str, bytes: u64) -> bool {
        self.tables.iter().any(|glob| glob_matches(glob, table))
            || (self.from_bytes > 0 && bytes >= self.from_bytes)
    }
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// A missing or malformed key, by name.
    pub fn read(config: &Config) -> Result<Self> {
        let either = |compat: &str, key: &str| -> Result<Option<String>> {
            Ok(match config.get_opt(compat)? {
                Some(name) => Some(name),
                None => config.get_opt(key)?,
            })
        };
        let queue = either("pgq_queue_name", "queue_name")?
            .ok_or_else(|| config.key_error("queue_name", "required key is missing or empty"))?;
        let consumer = either("pgq_consumer_id", "consumer_name")?.unwrap_or_else(|| config.job_name());
        let db = ConnectString::parse(&config.get("db")?).map_err(|e| e.context("reading key \"db\""))?;
        let remote_extra = config.get_opt("remote_extra_connstr")?;
        let count = config.get_int("pgq_batch_collect_events", 0)?;
        let limits = BatchLimits {
            min_lag: config.get_opt("pgq_keep_lag")?.map(Interval::new),
            min_count: match i32::try_from(count) {
                Ok(0) => None,
                Ok(count) if count > 0 => Some(count),
                _ => {
                    return Err(
                        config.key_error("pgq_batch_collect_events", "must be between 0 and 2147483647")
                    );
                }
            },
            min_interval: config.get_opt("pgq_batch_collect_interval")?.map(Interval::new),
        };
        let parallel_copies = usize::try_from(config.get_int("parallel_copies", 1)?).unwrap_or(0);
        if parallel_copies < 1 {
            return Err(config.key_error("parallel_copies", "must be at least 1"));
        }
        let delay = config.get_float("loop_delay", 1.0)?;
        Ok(Settings {
            queue,
            consumer,
            db,
            remote_extra,
            limits,
            // Zero and less only say that the process ends when idle; a pause still has to be waited out.
            loop_delay: Duration::try_from_secs_f64(delay)
                .unwrap_or(Duration::from_secs(1))
                .max(Duration::from_millis(50)),
            tick_on_demand: config.get_bool("tick_on_demand", true)?,
            global_watermark_period: config.get_duration("global_wm_publish_period", 300.0)?,
            local_watermark_period: config.get_duration("local_wm_publish_period", 300.0)?,
            parallel_copies,
            ranges: RangeSettings::read(config)?,
            local_only: config.get_bool("local_only", false)?,
            local_only_drop_execute: config.get_bool("local_only_drop_execute", false)?,
            lock_timeout: config.get_duration("lock_timeout", 10.0)?,
            exception_sleep: config.get_duration("exception_sleep", 20.0)?,
            apply_search_path: config.get_opt("apply_search_path")?,
            connection_lifetime: config.get_duration("connection_lifetime", 1200.0)?,
            pidfile: config.get_file("pidfile")?,
        })
    }

    /// Consumer name of the copy of a table, on the copy's source and here.
    pub fn copy_consumer(&self, table: &str) -> String {
        format!("{}.copy.{table}", self.consumer)
    }

    /// Opens the local database.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn connect_local(&self, application: &str) -> Result<Connection> {
        let open = self.db.connect(application).await;
        self.local(open.map_err(|e| e.context("connecting to the local database (key \"db\")"))?).await
    }

    /// A session with the local database, as [`ordinary`] makes it, in which changes may be applied.
    ///
    /// # Errors
    /// A malformed path; whatever the server reports.
    pub async fn local(&self, connection: Connection) -> Result<Connection> {
        let connection = ordinary(connection).await?;
        if let Some(path) = &self.apply_search_path {
            connection
                .query_typed("select pg_catalog.set_config('search_path', $1, false)", &[(path, Type::TEXT)])
                .await
                .map_err(|e| Error::from(e).context("key \"apply_search_path\""))?;
        }
        Ok(connection)
    }

    /// Opens another node's database.
    ///
    /// # Errors
    /// A malformed location, or a server that cannot be reached; both name the node.
    pub async fn connect_node(&self, node: &str, location: &str, application: &str) -> Result<Connection> {
        let connstr = ConnectString::parse(location).and_then(|parsed| match &self.remote_extra {
            Some(extra) => parsed.with_extra(extra),
            None => Ok(parsed),
        });
        let connstr = connstr.map_err(|e| e.context(format!("reading the location of node \"{node}\"")))?;
        let open = connstr.connect(application).await;
        ordinary(open.map_err(|e| e.context(format!("connecting to node \"{node}\"")))?).await
    }
}

/// The session, without what roles and databases may have as defaults that the modules' functions do not go with: people protect
/// subscribers with `default_transaction_read_only`. Operators are PostgreSQL's own: whoever may create others in a schema of the
/// login's path would otherwise run them with the rights of the login.
///
/// # Errors
/// Whatever the server reports.
pub async fn ordinary(connection: Connection) -> Result<Connection> {
    connection
        .batch_execute(
            "set default_transaction_read_only = off; set default_transaction_isolation = 'read committed'; \
             set standard_conforming_strings = on; set search_path = pg_catalog",
        )
        .await?;
    Ok(connection)
}

/// Does something, inside a transaction, that may run functions of users, or what others have stored when names were found by the login's
/// path.
///
/// # Errors
/// Those of `work`; whatever else the server reports. The transaction cannot go on then.
pub async fn with_login_path<C: GenericClient + Sync, T>(
    client: &C,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let present = client.query_typed_one("select pg_catalog.current_setting('search_path')", &[]).await?;
    let present: &str = present.try_get(0)?;
    client.batch_execute("set local search_path to default").await?;
    let done = work.await?;
    client
        .query_typed("select pg_catalog.set_config('search_path', $1, true)", &[(&present, Type::TEXT)])
        .await?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(lines: &str) -> Result<Settings> {
        let text = format!("[londiste]\njob_name = w\n{lines}\n");
        Settings::read(&Config::from_text(&text, &["londiste"], &[]).unwrap())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let s = settings("queue_name = q\ndb = dbname=x").unwrap();
        assert_eq!((s.queue.as_str(), s.consumer.as_str(), s.parallel_copies), ("q", "w", 1));
        assert_eq!(s.local_watermark_period, Duration::from_secs(300));
        assert_eq!(s.limits, BatchLimits::default());
        assert_eq!(s.copy_consumer("public.t"), "w.copy.public.t");
    }

    #[test]
    fn compatible_names_win_and_bad_values_name_their_key() {
        assert_eq!(settings("queue_name = q\npgq_queue_name = old\ndb = dbname=x").unwrap().queue, "old");
        for (lines, key) in [
            ("db = dbname=x", "queue_name"),
            ("queue_name = q", "db"),
            ("queue_name = q\ndb = dbname=x\nparallel_copies = 0", "parallel_copies"),
            ("queue_name = q\ndb = dbname=x\npgq_batch_collect_events = -1", "pgq_batch_collect_events"),
        ] {
            let error = settings(lines).unwrap_err();
            assert!(error.chain().contains(key), "{}", error.chain());
        }
    }
}
