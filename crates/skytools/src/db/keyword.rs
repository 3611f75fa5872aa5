//! The connection keywords of libpq 18 and what becomes of each here.

/// How a keyword is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// Has an effect.
    Used,
    /// Never has an effect here, because it belongs to GSSAPI, to compression or to libpq's own debugging.
    Ignored,
    /// Would change what the connection guarantees and is not available: refused unless it has this value.
    Refused {
        /// The only values that are accepted, since they ask for nothing.
        harmless: &'static [&'static str],
        /// What the reader can do instead.
        instead: &'static str,
    },
}

/// One keyword.
pub(super) struct Keyword {
    pub(super) name: &'static str,
    /// The environment variable that gives its default.
    pub(super) env: Option<&'static str>,
    pub(super) treatment: Treatment,
}

const fn used(name: &'static str, env: Option<&'static str>) -> Keyword {
    Keyword { name, env, treatment: Treatment::Used }
}

const fn ignored(name: &'static str, env: Option<&'static str>) -> Keyword {
    Keyword { name, env, treatment: Treatment::Ignored }
}

const fn refused(
    name: &'static str,
    env: Option<&'static str>,
    harmless: &'static [&'static str],
    instead: &'static str,
) -> Keyword {
    Keyword { name, env, treatment: Treatment::Refused { harmless, instead } }
}

/// Every keyword of libpq up to PostgreSQL 18 (documentation, section "Parameter Key Words").
pub(super) const KEYWORDS: &[Keyword] = &[
    used("service", Some("PGSERVICE")),
    used("servicefile", Some("PGSERVICEFILE")),
    used("user", Some("PGUSER")),
    used("password", Some("PGPASSWORD")),
    used("passfile", Some("PGPASSFILE")),
    used("channel_binding", Some("PGCHANNELBINDING")),
    used("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    used("dbname", Some("PGDATABASE")),
    used("host", Some("PGHOST")),
    used("hostaddr", Some("PGHOSTADDR")),
    used("port", Some("PGPORT")),
    refused(
        "client_encoding",
        Some("PGCLIENTENCODING"),
        &["", "auto", "utf8", "utf-8", "unicode"],
        "These programs always talk UTF8 to the server, which converts; leave client_encoding out.",
    ),
    used("options", Some("PGOPTIONS")),
    used("application_name", Some("PGAPPNAME")),
    used("fallback_application_name", None),
    used("keepalives", None),
    used("keepalives_idle", None),
    used("keepalives_interval", None),
    used("keepalives_count", None),
    used("tcp_user_timeout", None),
    used("sslmode", Some("PGSSLMODE")),
    used("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ignored("sslcompression", Some("PGSSLCOMPRESSION")),
    used("sslcert", Some("PGSSLCERT")),
    used("sslkey", Some("PGSSLKEY")),
    used("sslcertmode", Some("PGSSLCERTMODE")),
    refused(
        "sslpassword",
        None,
        &[""],
        "Store the client key without a passphrase, readable by its owner only.",
    ),
    used("sslrootcert", Some("PGSSLROOTCERT")),
    used("sslcrl", Some("PGSSLCRL")),
    refused("sslcrldir", Some("PGSSLCRLDIR"), &[""], "Name one file with all revocation lists as sslcrl."),
    used("sslsni", Some("PGSSLSNI")),
    ignored("sslkeylogfile", None),
    refused(
        "requirepeer",
        Some("PGREQUIREPEER"),
        &[""],
        "Connect by TCP with sslmode=verify-full to be sure of the server.",
    ),
    refused(
        "require_auth",
        Some("PGREQUIREAUTH"),
        &["", "none,password,md5,scram-sha-256"],
        "Use channel_binding=require, which allows SCRAM only.",
    ),
    used("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    used("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    ignored("min_protocol_version", Some("PGMINPROTOCOLVERSION")),
    ignored("max_protocol_version", Some("PGMAXPROTOCOLVERSION")),
    refused(
        "gssencmode",
        Some("PGGSSENCMODE"),
        &["", "disable", "prefer"],
        "GSSAPI is not built in; use TLS.",
    ),
    ignored("krbsrvname", Some("PGKRBSRVNAME")),
    ignored("gsslib", Some("PGGSSLIB")),
    ignored("gssdelegation", Some("PGGSSDELEGATION")),
    refused(
        "replication",
        None,
        &["", "false", "off", "no", "0"],
        "Leave replication out: nothing here uses it.",
    ),
    used("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    used("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    refused("scram_client_key", None, &[""], "Use a password instead."),
    refused("scram_server_key", None, &[""], "Use a password instead."),
    refused("oauth_issuer", None, &[""], "OAuth is not built in; use a password or a client certificate."),
    ignored("oauth_client_id", None),
    refused(
        "oauth_client_secret",
        None,
        &[""],
        "OAuth is not built in; use a password or a client certificate.",
    ),
    ignored("oauth_scope", None),
];

/// The keyword of this name.
pub(super) fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|k| k.name == name)
}

/// Keywords whose values are secrets.
pub(super) fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "password" | "sslpassword" | "scram_client_key" | "scram_server_key" | "oauth_client_secret"
    )
}
