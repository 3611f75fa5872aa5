//! Opening a connection: servers in turn, TLS or not, the session attributes that were asked for.

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect_string::ConnectString;
use super::connection::Connection;
use super::environment::Environment;
use super::settings::{Address, Endpoint, SessionAttrs, Settings, SslMode};
use super::tls;
use crate::{Error, ErrorKind, Result};

impl ConnectString {
    /// Opens a connection. `application_name` is used unless the connect string or `PGAPPNAME` gives one.
    ///
    /// Defaults come from `PG*` variables, service files and the password file; the servers of a list are tried
    /// in order.
    ///
    /// # Errors
    /// Names host, port, database and user, carries the cause, and hints at what to check; never the password.
    /// [`ErrorKind::Connection`] when no server could be reached, [`ErrorKind::Permission`] when it refused the
    /// role, [`ErrorKind::NotFound`] when the database does not exist, [`ErrorKind::Config`] for wrong settings.
    pub async fn connect(&self, application_name: &str) -> Result<Connection> {
        let settings = Settings::resolve(self, &Environment::of_process())?;
        open(&settings, application_name).await
    }
}

/// One way to try a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Plain,
    /// TLS if the server has it.
    IfOffered,
    Tls,
}

/// The ways to try, in order.
fn attempts(address: &Address, mode: SslMode) -> &'static [Attempt] {
    match (address, mode) {
        (Address::Socket(_), _) | (_, SslMode::Disable) => &[Attempt::Plain],
        (_, SslMode::Allow) => &[Attempt::Plain, Attempt::Tls],
        (_, SslMode::Prefer) => &[Attempt::IfOffered, Attempt::Plain],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Attempt::Tls],
    }
}

async fn open(settings: &Settings, application_name: &str) -> Result<Connection> {
    let mode = tls::effective_mode(settings)?;
    let wants_tls = |e: &Endpoint| attempts(&e.address, mode).iter().any(|a| *a != Attempt::Plain);
    let connector = if settings.endpoints.iter().any(wants_tls) {
        Some(MakeRustlsConnect::new(tls::client_config(settings)?))
    } else {
        None
    };
    let mut order: Vec<&Endpoint> = settings.endpoints.iter().collect();
    if settings.shuffle {
        shuffle(&mut order);
    }
    let passes: &[SessionAttrs] = match settings.attrs {
        SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
        ref one => std::slice::from_ref(one),
    };
    let mut failure: Option<Error> = None;
    for attrs in passes {
        for endpoint in &order {
            let outcome =
                match open_endpoint(settings, endpoint, mode, connector.as_ref(), application_name).await {
                    Ok(connection) => fits(&connection, *attrs).await.map(|()| connection),
                    Err(error) => Err(error),
                };
            match outcome {
                Ok(connection) => return Ok(connection),
                // A server that answers and refuses ends the search, as in libpq, unless it is only starting.
                Err(error) if error.sqlstate().is_some_and(|s| s.code() != "57P03") => return Err(error),
                Err(error) => failure = Some(merge(failure, error, order.len())),
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Internal, "a connect string without servers")))
}

/// The failure to report for a list of servers: the last one, naming how many were tried.
fn merge(before: Option<Error>, error: Error, servers: usize) -> Error {
    if before.is_none() || servers < 2 {
        return error;
    }
    error.context(format!("none of the {servers} servers of the connect string could be used, the last one"))
}

/// Fisher-Yates with a seed from the hasher that std makes random for every process and call.
fn shuffle(order: &mut [&Endpoint]) {
    use std::hash::{BuildHasher, RandomState};
    for last in (1..order.len()).rev() {
        let random = RandomState::new().hash_one(last);
        let bound = u64::try_from(last + 1).unwrap_or(1);
        order.swap(last, usize::try_from(random % bound).unwrap_or(0));
    }
}

async fn open_endpoint(
    settings: &Settings,
    endpoint: &Endpoint,
    mode: SslMode,
    connector: Option<&MakeRustlsConnect>,
    application_name: &str,
) -> Result<Connection> {
    let target = describe(settings, endpoint);
    let mut first: Option<Error> = None;
    for attempt in attempts(&endpoint.address, mode) {
        let config = client_config(settings, endpoint, *attempt, application_name)?;
        let result = match (attempt, connector) {
            (Attempt::Plain, _) | (_, None) => one_attempt(&config, NoTls, None, settings, &target).await,
            (_, Some(tls)) => one_attempt(&config, tls.clone(), Some(tls), settings, &target).await,
        };
        let failure = match result {
            Ok(connection) => return Ok(connection),
            Err(failure) => failure,
        };
        let may_differ = failure.worth_other_encryption;
        first = Some(match first {
            // The answer of a server says more than a handshake that failed.
            Some(earlier) if earlier.sqlstate().is_some() => earlier,
            _ => failure.error,
        });
        if !may_differ {
            break;
        }
    }
    Err(first.unwrap_or_else(|| Error::new(ErrorKind::Internal, "no way to connect was tried")))
}

/// A failed attempt, and whether the same server may answer otherwise with, or without, TLS.
struct Failure {
    error: Error,
    worth_other_encryption: bool,
}

async fn one_attempt<T>(
    config: &tokio_postgres::Config,
    tls: T,
    keep: Option<&MakeRustlsConnect>,
    settings: &Settings,
    target: &str,
) -> Result<Connection, Failure>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let connecting = config.connect(tls);
    let result = match settings.timeout {
        None => connecting.await,
        Some(limit) => match tokio::time::timeout(limit, connecting).await {
            Ok(result) => result,
            Err(_) => {
                return Err(Failure {
                    error: Error::new(
                        ErrorKind::Connection,
                        format!("cannot connect to {target}: no answer within {} s", limit.as_secs()),
                    )
                    .hint("Check address and firewall, or raise connect_timeout."),
                    worth_other_encryption: false,
                });
            }
        },
    };
    match result {
        Ok((client, connection)) => {
            let named_by_caller = settings.get("application_name").is_none();
            Ok(Connection::start(client, connection, keep.cloned(), target, named_by_caller))
        }
        Err(error) => Err(failure(error, target)),
    }
}

fn failure(error: tokio_postgres::Error, target: &str) -> Failure {
    let doing = format!("cannot connect to {target}");
    if let Some(state) = error.code().cloned() {
        let code = state.code().to_owned();
        let hint = match code.as_str() {
            "28P01" => {
                Some("Check the password: in the connect string, PGPASSWORD, ~/.pgpass or the service file.")
            }
            "28000" => Some("Check that the role may log in and that pg_hba.conf lets it in from here."),
            "3D000" => Some("Create the database, or correct dbname."),
            "53300" => Some("Raise max_connections or close other connections."),
            _ => None,
        };
        let mut wrapped = Error::from(error).context(doing);
        if let Some(hint) = hint {
            wrapped = wrapped.hint(hint);
        }
        return Failure { error: wrapped, worth_other_encryption: code.starts_with("28") };
    }
    let (mut kind, mut hint, mut handshake) = (ErrorKind::Connection, None, false);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            hint = match io.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    Some("Is the server running there, and does it listen on that address?")
                }
                std::io::ErrorKind::NotFound => {
                    Some("Is the server running with its socket in that directory, on that port?")
                }
                std::io::ErrorKind::PermissionDenied => {
                    Some("The socket's permissions do not let this user in.")
                }
                _ => hint,
            };
            // `source()` of an io::Error skips what it wraps, which is where rustls's error sits.
            if let Some(problem) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                (hint, handshake) = (tls::hint(problem).or(hint), true);
            }
        }
        if let Some(problem) = current.downcast_ref::<rustls::Error>() {
            (hint, handshake) = (tls::hint(problem).or(hint), true);
        }
        match current.to_string().as_str() {
            "password missing" => {
                kind = ErrorKind::Permission;
                hint = Some(
                    "The server asks for a password: put it into ~/.pgpass, a service file or PGPASSWORD.",
                );
            }
            "server does not support TLS" => {
                (hint, handshake) = (Some("Switch TLS on at the server, or use sslmode=prefer."), true);
            }
            text if text.starts_with("error performing TLS handshake") => handshake = true,
            _ => {}
        }
        cause = current.source();
    }
    if handshake {
        kind = tls::HANDSHAKE_FAILED;
    }
    let mut wrapped = Error::new(kind, doing).with_source(error);
    if let Some(hint) = hint {
        wrapped = wrapped.hint(hint);
    }
    Failure { error: wrapped, worth_other_encryption: handshake }
}

/// `host "a" port 5432 database "d" as user "u"`.
fn describe(settings: &Settings, endpoint: &Endpoint) -> String {
    let place = match &endpoint.address {
        Address::Socket(dir) => format!("socket directory \"{dir}\""),
        Address::Tcp(name, Some(ip)) if *name != ip.to_string() => format!("host \"{name}\" ({ip})"),
        Address::Tcp(name, _) => format!("host \"{name}\""),
    };
    format!("{place} port {} database \"{}\" as user \"{}\"", endpoint.port, settings.dbname, settings.user)
}

fn client_config(
    settings: &Settings,
    endpoint: &Endpoint,
    attempt: Attempt,
    application_name: &str,
) -> Result<tokio_postgres::Config> {
    use tokio_postgres::config as pg;
    let mut config = tokio_postgres::Config::new();
    match &endpoint.address {
        Address::Socket(dir) => {
            config.host(dir);
        }
        Address::Tcp(name, ip) => {
            config.host(name);
            if let Some(ip) = ip {
                config.hostaddr(*ip);
            }
        }
    }
    config.port(endpoint.port).user(&settings.user).dbname(&settings.dbname);
    if let Some(password) = &endpoint.password {
        config.password(password);
    }
    let name = match (settings.get("application_name"), settings.get("fallback_application_name")) {
        (Some(name), _) => name,
        (None, Some(fallback)) if application_name.is_empty() => fallback,
        _ => application_name,
    };
    config.application_name(name);
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config.ssl_mode(match attempt {
        Attempt::Plain => pg::SslMode::Disable,
        Attempt::IfOffered => pg::SslMode::Prefer,
        Attempt::Tls => pg::SslMode::Require,
    });
    match settings.get("sslnegotiation") {
        None | Some("postgres") => {}
        Some("direct") if attempt == Attempt::Tls => {
            config.ssl_negotiation(pg::SslNegotiation::Direct);
        }
        Some("direct") => {
            return Err(Error::config(
                "connect string: sslnegotiation=direct needs sslmode=require or stronger",
            ));
        }
        Some(_) => {
            return Err(Error::config("connect string: sslnegotiation is neither postgres nor direct"));
        }
    }
    config.channel_binding(match settings.get("channel_binding").unwrap_or("prefer") {
        "disable" => pg::ChannelBinding::Disable,
        "prefer" => pg::ChannelBinding::Prefer,
        "require" => pg::ChannelBinding::Require,
        _ => {
            return Err(Error::config("connect string: channel_binding is none of disable, prefer, require"));
        }
    });
    match settings.keepalives {
        None => {
            config.keepalives(false);
        }
        Some(keep) => {
            config
                .keepalives(true)
                .keepalives_idle(keep.idle)
                .keepalives_interval(keep.interval)
                .keepalives_retries(keep.count);
        }
    }
    if let Some(timeout) = settings.tcp_user_timeout {
        config.tcp_user_timeout(timeout);
    }
    Ok(config)
}

/// Whether the session is what `target_session_attrs` asks for.
async fn fits(connection: &Connection, attrs: SessionAttrs) -> Result<()> {
    if attrs == SessionAttrs::Any {
        return Ok(());
    }
    let row = connection
        .query_one(
            "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only') = 'on'",
            &[],
        )
        .await
        .map_err(|e| Error::from(e).context(format!("asking {} for its role failed", connection.target())))?;
    let (standby, read_only): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    let (ok, wanted) = match attrs {
        SessionAttrs::Any | SessionAttrs::PreferStandby => (true, ""),
        SessionAttrs::ReadWrite => (!read_only, "read-write"),
        SessionAttrs::ReadOnly => (read_only, "read-only"),
        SessionAttrs::Primary => (!standby, "primary"),
        SessionAttrs::Standby => (standby, "standby"),
    };
    if ok {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Connection,
        format!("{} is not {wanted}, as target_session_attrs asks", connection.target()),
    ))
}
