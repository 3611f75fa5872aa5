//! The configuration keys that consumers have in common (the names are those of the original).

use std::time::Duration;

use skytools::config::Config;
use skytools::db::ConnectString;
use skytools::{Error, Result, quote};

use super::Consumer;
use crate::batch::{BatchLimits, Interval};

/// What a consumer program reads from its section.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The database of the queue.
    pub connect: ConnectString,
    /// `queue_name`, or the old `pgq_queue_name`, which wins.
    pub queue: String,
    /// `consumer_name`, or the old `pgq_consumer_id`, which wins; otherwise the job's name.
    pub consumer: String,
    /// `pgq_keep_lag`, `pgq_batch_collect_events`, `pgq_batch_collect_interval`.
    pub limits: BatchLimits,
    /// `table_filter` as a condition, or `consumer_filter` as it stands, which wins.
    pub filter: Option<String>,
    /// `tick_on_demand`: whether ticks are made for a consumer that waits (see [`Consumer::tick_on_demand`]).
    pub tick_on_demand: bool,
    /// `keepalive_stats`: how often an idle consumer says that it lives.
    pub keepalive: Duration,
}

impl Settings {
    /// Reads the keys; `db_key` names the one with the queue's connect string.
    ///
    /// `pgq_lazy_fetch` and `pgq_autocommit` are accepted without effect: events are always streamed.
    ///
    /// # Errors
    /// A missing or malformed key, by name.
    pub fn load(config: &Config, db_key: &str) -> Result<Self> {
        let queue = match config.get_opt("pgq_queue_name")? {
            Some(queue) => queue,
            None => config.get("queue_name")?,
        };
        let consumer = match (config.get_opt("pgq_consumer_id")?, config.get_opt("consumer_name")?) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => config.get("job_name")?,
        };
        let filter = match config.get_opt("consumer_filter")? {
            Some(condition) => Some(condition),
            None => table_filter(&config.get_list("table_filter")?),
        };
        let min_count = config.get_int("pgq_batch_collect_events", 0)?;
        let min_count = i32::try_from(min_count).map_err(|e| {
            Error::config(format!("pgq_batch_collect_events: {min_count} is out of range")).with_source(e)
        })?;
        Ok(Settings {
            connect: ConnectString::parse(&config.get(db_key)?)?,
            queue,
            consumer,
            limits: BatchLimits {
                min_lag: config.get_opt("pgq_keep_lag")?.map(Interval::new),
                min_count: (min_count > 0).then_some(min_count),
                min_interval: config.get_opt("pgq_batch_collect_interval")?.map(Interval::new),
            },
            filter,
            tick_on_demand: config.get_bool("tick_on_demand", true)?,
            keepalive: config.get_duration("keepalive_stats", 300.0)?,
        })
    }

    /// The consumer that these settings describe.
    pub fn consumer(&self) -> Consumer {
        let consumer = Consumer::new(self.connect.clone(), &self.queue, &self.consumer)
            .limits(self.limits.clone())
            .tick_on_demand(self.tick_on_demand);
        match &self.filter {
            Some(condition) => consumer.filter(condition),
            None => consumer,
        }
    }
}

/// A list of tables as a condition on `ev_extra1`; names without schema mean `public`.
fn table_filter(tables: &[String]) -> Option<String> {
    if tables.is_empty() {
        return None;
    }
    let names: Vec<String> = tables
        .iter()
        .map(|t| if t.contains('.') { quote::literal(t) } else { quote::literal(&format!("public.{t}")) })
        .collect();
    Some(format!("ev_extra1 in ({})", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_a_condition() {
        assert_eq!(table_filter(&[]), None);
        let tables = ["a".to_owned(), "s.it's".to_owned()];
        assert_eq!(table_filter(&tables).as_deref(), Some("ev_extra1 in ('public.a', 's.it''s')"));
    }
}
