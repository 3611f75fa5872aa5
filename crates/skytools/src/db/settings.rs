//! A connect string with every default filled in: service file, environment, built-in values, password file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect_string::ConnectString;
use super::environment::Environment;
use super::keyword::{KEYWORDS, Treatment};
use super::{conninfo, passfile, service_file};
use crate::{Error, Result};

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// Directory of a unix socket, or an abstract socket's name with `@`.
    Socket(String),
    /// A host name, or the text of an address, with the address itself when `hostaddr` gives it.
    Tcp(String, Option<IpAddr>),
}

/// One server of the list.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

/// `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// TCP keepalives; `None` leaves them to the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keepalives {
    pub(super) idle: Duration,
    pub(super) interval: Duration,
    pub(super) count: u32,
}

/// Everything that opening a connection needs.
#[derive(Clone)]
pub(super) struct Settings {
    values: BTreeMap<String, String>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) user: String,
    pub(super) dbname: String,
    pub(super) sslmode: SslMode,
    pub(super) attrs: SessionAttrs,
    /// Limit for one server, handshake and log-in included; `None` waits for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) keepalives: Option<Keepalives>,
    pub(super) tcp_user_timeout: Option<Duration>,
    pub(super) shuffle: bool,
    pub(super) options: Option<String>,
    pub(super) home: Option<PathBuf>,
}

impl Settings {
    /// Fills in the defaults, in libpq's order: what was written, the service, the environment, built-in values.
    pub(super) fn resolve(given: &ConnectString, env: &Environment) -> Result<Self> {
        let mut values: BTreeMap<String, String> =
            given.pairs().iter().filter(|(_, v)| !v.is_empty()).cloned().collect();
        let service = values.get("service").cloned().or_else(|| env.var("PGSERVICE"));
        if let Some(service) = service {
            let file = values.get("servicefile").cloned().or_else(|| env.var("PGSERVICEFILE"));
            for (name, value) in service_file::load(&service, file.as_deref(), env)? {
                conninfo::check(&name, &value, false)?;
                values.entry(name).or_insert(value);
            }
        }
        for keyword in KEYWORDS {
            let Some(value) = keyword.env.and_then(|name| env.var(name)) else { continue };
            if matches!(keyword.treatment, Treatment::Refused { .. }) {
                // Variables speak to every client of the account; what only some of them can do is no error,
                // but a promise about safety must not be dropped in silence.
                if matches!(keyword.name, "requirepeer" | "require_auth" | "sslcrldir")
                    && !values.contains_key(keyword.name)
                {
                    conninfo::check(keyword.name, &value, false)?;
                }
                continue;
            }
            values.entry(keyword.name.to_owned()).or_insert(value);
        }
        Self::from_values(values, env)
    }

    fn from_values(values: BTreeMap<String, String>, env: &Environment) -> Result<Self> {
        let get = |name: &str| values.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let user = match get("user").or_else(|| env.os_user()) {
            Some(user) => user.to_owned(),
            None => {
                return Err(Error::config(
                    "no database user is known: this process's user id has no account name",
                )
                .hint("Add user=NAME to the connect string or set PGUSER."));
            }
        };
        let dbname = get("dbname").unwrap_or(&user).to_owned();
        let mut endpoints = endpoints(get("host"), get("hostaddr"), get("port"))?;
        let passfile = get("passfile")
            .map(|p| expand_home(p, env.home()))
            .or_else(|| env.home().map(|home| home.join(".pgpass")));
        for endpoint in &mut endpoints {
            endpoint.password = match (get("password"), &passfile) {
                (Some(password), _) => Some(password.to_owned()),
                (None, Some(file)) => passfile::password(file, wanted(endpoint, &dbname, &user))?,
                (None, None) => None,
            };
        }
        let sslmode = match get("sslmode").unwrap_or("prefer") {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => return Err(one_of("sslmode", "disable, allow, prefer, require, verify-ca, verify-full")),
        };
        let attrs = match get("target_session_attrs").unwrap_or("any") {
            "any" => SessionAttrs::Any,
            "read-write" => SessionAttrs::ReadWrite,
            "read-only" => SessionAttrs::ReadOnly,
            "primary" => SessionAttrs::Primary,
            "standby" => SessionAttrs::Standby,
            "prefer-standby" => SessionAttrs::PreferStandby,
            _ => {
                return Err(one_of(
                    "target_session_attrs",
                    "any, read-write, read-only, primary, standby, prefer-standby",
                ));
            }
        };
        let shuffle = match get("load_balance_hosts").unwrap_or("disable") {
            "disable" => false,
            "random" => true,
            _ => return Err(one_of("load_balance_hosts", "disable, random")),
        };
        // The original adds connect_timeout=15 to every connect string without one: a daemon must not hang on a
        // host that drops packets. Zero or less waits for ever; one second is rounded up to two, as libpq does.
        let timeout = match number(get("connect_timeout"), "connect_timeout")?.unwrap_or(15) {
            seconds if seconds <= 0 => None,
            seconds => Some(Duration::from_secs(seconds.unsigned_abs().max(2))),
        };
        // Idle 240 s, four probes 15 s apart: the original's values.
        let seconds = |name: &str, default: u64| -> Result<u64> {
            Ok(number(get(name), name)?
                .and_then(|n| u64::try_from(n).ok())
                .filter(|n| *n > 0)
                .unwrap_or(default))
        };
        let keepalives = match number(get("keepalives"), "keepalives")? {
            Some(0) => None,
            _ => Some(Keepalives {
                idle: Duration::from_secs(seconds("keepalives_idle", 240)?),
                interval: Duration::from_secs(seconds("keepalives_interval", 15)?),
                count: u32::try_from(seconds("keepalives_count", 4)?).unwrap_or(4),
            }),
        };
        let tcp_user_timeout = match seconds("tcp_user_timeout", 0)? {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        };
        let options = session_options(get("options"), env);
        Ok(Settings {
            endpoints,
            user,
            dbname,
            sslmode,
            attrs,
            timeout,
            keepalives,
            tcp_user_timeout,
            shuffle,
            options,
            home: env.home().map(Path::to_owned),
            values,
        })
    }

    /// A value that is set, wherever it came from.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A path that is set, `~` expanded.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|p| expand_home(p, self.home.as_deref()))
    }
}

/// `PGTZ`, `PGDATESTYLE` and `PGGEQO` travel as `-c` options before the written ones, which win.
fn session_options(written: Option<&str>, env: &Environment) -> Option<String> {
    let mut words = Vec::new();
    for (variable, setting) in [("PGTZ", "TimeZone"), ("PGDATESTYLE", "DateStyle"), ("PGGEQO", "geqo")] {
        if let Some(value) = env.var(variable) {
            words.push(format!("-c {setting}={}", value.replace('\\', "\\\\").replace(' ', "\\ ")));
        }
    }
    words.extend(written.map(str::to_owned));
    (!words.is_empty()).then(|| words.join(" "))
}

fn one_of(name: &str, allowed: &str) -> Error {
    Error::config(format!("connect string: invalid value of {name}"))
        .hint(format!("It is one of: {allowed}."))
}

fn number(text: Option<&str>, name: &str) -> Result<Option<i64>> {
    text.map(|t| {
        t.trim().parse().map_err(|_| Error::config(format!("connect string: {name} is not a whole number")))
    })
    .transpose()
}

fn expand_home(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// The directory that a client without `host` looks into: Debian's if it is there, else the source's default.
pub(super) fn default_socket_dir() -> &'static str {
    const DEBIAN: &str = "/var/run/postgresql";
    if Path::new(DEBIAN).is_dir() { DEBIAN } else { "/tmp" }
}

fn wanted<'a>(endpoint: &'a Endpoint, dbname: &'a str, user: &'a str) -> passfile::Wanted<'a> {
    let host = match &endpoint.address {
        Address::Socket(dir) if dir == default_socket_dir() => "localhost",
        Address::Socket(dir) => dir,
        Address::Tcp(host, _) => host,
    };
    passfile::Wanted { host, port: endpoint.port, dbname, user }
}

fn endpoints(host: Option<&str>, hostaddr: Option<&str>, port: Option<&str>) -> Result<Vec<Endpoint>> {
    let split = |text: Option<&str>| -> Vec<String> {
        text.map(|t| t.split(',').map(|p| p.trim().to_owned()).collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) = (split(host), split(hostaddr), split(port));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(Error::config(format!(
            "connect string: {} host names for {} hostaddr values",
            hosts.len(),
            addresses.len()
        )));
    }
    let count = hosts.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::config(format!("connect string: {} ports for {count} hosts", ports.len())));
    }
    (0..count)
        .map(|i| {
            let port_text = ports.get(i).or(ports.first()).map_or("", String::as_str);
            let port =
                match port_text {
                    "" => 5432,
                    text => text.parse().ok().filter(|p| *p > 0).ok_or_else(|| {
                        Error::config("connect string: a port is not a number from 1 to 65535")
                    })?,
                };
            let ip = match addresses.get(i).map_or("", String::as_str) {
                "" => None,
                text => Some(text.parse::<IpAddr>().map_err(|_| {
                    Error::config(format!("connect string: hostaddr \"{text}\" is not an IP address"))
                })?),
            };
            let address = match (hosts.get(i).map_or("", String::as_str), ip) {
                ("", None) => Address::Socket(default_socket_dir().to_owned()),
                ("", Some(ip)) => Address::Tcp(ip.to_string(), Some(ip)),
                (name, Some(ip)) => Address::Tcp(name.to_owned(), Some(ip)),
                (name, None) if name.starts_with(['/', '@']) => Address::Socket(name.to_owned()),
                (name, None) => Address::Tcp(name.to_owned(), None),
            };
            Ok(Endpoint { address, port, password: None })
        })
        .collect()
}

#[cfg(test)]
mod tests;
