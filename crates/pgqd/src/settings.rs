//! The configuration keys, read at start and at every reload.

use std::time::Duration;

use skytools::Result;
use skytools::config::Config;
use skytools::db::ConnectString;

/// Periods shorter than this would only burn time.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// After how many milliseconds a server that does not even acknowledge what was sent counts as gone. TCP keepalives do not run then, and
/// the operating system alone would take some 15 minutes, without ticks. What pgqd sends is small: no server leaves it lying for want of
/// room, as it may with rows of a COPY, which is why other programs have no such default.
const UNANSWERED_MS: &str = "60000";

/// What the configuration file says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Where to connect, without database.
    pub base: ConnectString,
    /// The database in which the list of databases is read.
    pub initial_database: String,
    /// Exactly these databases; empty: all that there are.
    pub database_list: Vec<String>,
    /// Between two looks for databases, and for pgq in a database without.
    pub check_period: Duration,
    /// Between two rounds of maintenance.
    pub maint_period: Duration,
    /// Between two looks at the retry queue.
    pub retry_period: Duration,
    /// Between two ticks.
    pub ticker_period: Duration,
    /// Between two lines of statistics, whole seconds; zero: none.
    pub stats_period: Duration,
    /// The age at which the ticker's connection is replaced.
    pub connection_lifetime: Duration,
}

impl Settings {
    /// Reads the keys.
    ///
    /// # Errors
    /// A value is malformed; the error names file and key.
    pub fn load(config: &Config) -> Result<Settings> {
        let period =
            |key: &str, default: f64| config.get_duration(key, default).map(|p| p.max(SHORTEST_PERIOD));
        let base = config.get_or("base_connstr", "")?;
        let mut base = ConnectString::parse(&base)
            .map_err(|e| e.context(config.key_error("base_connstr", "not a connect string").to_string()))?;
        if base.get("dbname").is_some() {
            return Err(config
                .key_error("base_connstr", "it names a database")
                .hint("Leave dbname out; name the databases in database_list, or the first one in initial_database."));
        }
        if base.get("tcp_user_timeout").is_none() && base.get("service").is_none() {
            base.set("tcp_user_timeout", UNANSWERED_MS)?;
        }
        let mut database_list = config.get_list("database_list")?;
        database_list.retain(|name| !name.is_empty());
        database_list.sort_unstable();
        database_list.dedup();
        Ok(Settings {
            base,
            initial_database: config.get_or("initial_database", "template1")?,
            database_list,
            check_period: period("check_period", 60.0)?,
            maint_period: period("maint_period", 120.0)?,
            retry_period: period("retry_period", 30.0)?,
            ticker_period: period("ticker_period", 1.0)?,
            stats_period: Duration::from_secs(config.get_duration("stats_period", 30.0)?.as_secs()),
            connection_lifetime: config.get_duration("connection_lifetime", 3600.0)?,
        })
    }

    /// The connect string for one database.
    ///
    /// # Errors
    /// The name cannot be in a connect string.
    pub fn target(&self, database: &str) -> Result<ConnectString> {
        let mut target = self.base.clone();
        target.set("dbname", database)?;
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings> {
        Settings::load(&Config::from_text(&format!("[pgqd]\n{text}"), &["pgqd"], &[])?)
    }

    #[test]
    fn defaults_are_the_originals() {
        let s = load("").unwrap();
        let seconds = [s.check_period, s.maint_period, s.retry_period, s.ticker_period, s.stats_period]
            .map(|period| period.as_secs());
        assert_eq!(seconds, [60, 120, 30, 1, 30]);
        assert_eq!(s.connection_lifetime.as_secs(), 3600);
        assert_eq!(s.initial_database, "template1");
        assert!(s.database_list.is_empty());
    }

    #[test]
    fn values_are_read_and_bad_ones_named() {
        let s = load("ticker_period = 0.25\nstats_period = 2.9\ndatabase_list = b, a,, b\nretry_period=0")
            .unwrap();
        assert_eq!(s.ticker_period, Duration::from_millis(250));
        assert_eq!(s.stats_period, Duration::from_secs(2));
        assert_eq!(s.database_list, ["a", "b"]);
        assert_eq!(s.retry_period, SHORTEST_PERIOD);
        for bad in ["maint_period = soon", "base_connstr = nonsense=1", "base_connstr = dbname=x"] {
            let key = bad.split(' ').next().unwrap();
            let error = load(bad).unwrap_err();
            assert!(error.chain().contains(key), "{error:?}");
        }
    }

    #[test]
    fn a_silent_server_is_given_up_unless_somebody_knows_better() {
        let given = |text: &str| load(text).unwrap().base.get("tcp_user_timeout").map(str::to_owned);
        assert_eq!(given("").as_deref(), Some("60000"));
        assert_eq!(given("base_connstr = tcp_user_timeout=0").as_deref(), Some("0"));
        assert_eq!(given("base_connstr = service=x"), None);
    }

    #[test]
    fn database_names_are_quoted() {
        let target = load("base_connstr = host=/tmp").unwrap().target(r"it's a \ name").unwrap();
        assert_eq!(
            ConnectString::parse(&target.to_conninfo()).unwrap().get("dbname"),
            Some(r"it's a \ name")
        );
    }
}
