//! The settings under which replicated values are written and read.
//!
//! An event carries every value as text, and the meaning of text depends on the session that reads it: `01/02/2024`,
//! `{NULL}`, `'\'`. So whatever the role, database or server configures, the sessions of worker and copy pin the
//! settings that change meaning, and those that would cut a long transaction short.

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient};

/// Pins `(name, value)` pairs, leaving out names that the server does not know.
const PIN: &str = "select set_config(s.name, v.value, false) \
     from unnest($1::text[], $2::text[]) as v(name, value) \
     join pg_catalog.pg_settings s on lower(s.name) = lower(v.name)";

const SOURCE_STYLE: &str =
    "select current_setting('DateStyle'), current_setting('lc_monetary'), current_setting('IntervalStyle')";

/// Settings of every session of a worker or copy: nothing may cut the session short, nothing may hide rows.
const COMMON: &[(&str, &str)] = &[
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("row_security", "off"),
    ("array_nulls", "on"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("escape_string_warning", "off"),
    ("transform_null_equals", "off"),
    ("xmloption", "content"),
    ("jit", "off"),
];

/// Settings of a session that only writes replicated rows.
const APPLY: &[(&str, &str)] = &[
    ("default_transaction_read_only", "off"),
    // Statements go by key, thousands of times: plan once. Without sequential scans the plan stays right when a table
    // that was empty at planning time grows inside the same transaction; a table without an index is scanned anyway.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
];

/// Settings of a session that reads rows or computes checksums: the text of a value may not depend on the session.
const READ: &[(&str, &str)] = &[
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    // Names of tables, types and functions are written with their schema.
    ("search_path", ""),
    ("lc_monetary", "C"),
];

/// The styles in which a session of [`prepare_rows`] reads rows, for the session that writes them.
pub const AS_READ: &str = "set lc_monetary = 'C'; set DateStyle = 'ISO, YMD'; set IntervalStyle = 'postgres'";
/// The same until the transaction ends.
pub const AS_READ_LOCALLY: &str =
    "set local lc_monetary = 'C'; set local DateStyle = 'ISO, YMD'; set local IntervalStyle = 'postgres'";

/// A batch is sorted by the numbers of its events. With the usual 4 MB that is a quarter of the time of reading it.
const ROOM_TO_SORT: &str = "select pg_catalog.set_config('work_mem', '64MB', false) \
     where pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < 67108864";

const SHOW_TOKEN: &str = "select pg_catalog.set_config('skytools.apply_token', pgq.apply_token($1), false)";

/// How values were written where they come from, as far as their text depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStyle {
    /// Order of day, month and year in ambiguous dates: `DMY`, `MDY` or `YMD`.
    pub date_order: String,
    /// Locale of `money` values.
    pub money_locale: String,
    /// `IntervalStyle`: in `sql_standard` a sign counts for the fields after it, too.
    pub interval_style: String,
}

impl SourceStyle {
    /// Reads what an ordinary session of the source database uses. To be called before anything is pinned there.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load<C: GenericClient + Sync>(source: &C) -> Result<Self> {
        let row = source.query_typed_one(SOURCE_STYLE, &[]).await?;
        let date_style: &str = row.try_get(0)?;
        let order = date_style.rsplit(',').next().map_or("MDY", str::trim);
        Ok(SourceStyle {
            date_order: order.to_owned(),
            money_locale: row.try_get(1)?,
            interval_style: row.try_get(2)?,
        })
    }
}

/// Whether triggers and foreign keys of the target are silent for this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `session_replication_role = replica`: they are.
    Replica,
    /// The login may not set that role. The deny trigger lets this session pass because it holds the token of the
    /// queue; other triggers fire, and foreign keys are checked.
    Token,
}

impl Role {
    /// Whether a batch that failed with `error` may succeed where constraints are checked at its end: the origin may have deferred them, or
    /// have changed several rows in one statement. As a replica nothing checks them.
    pub fn may_succeed_deferred(self, error: &Error) -> bool {
        self == Role::Token && error.sqlstate().is_some_and(|state| state.code().starts_with("23"))
    }
}

/// Has the transaction check its deferrable constraints when it commits.
pub const DEFER: &str = "set constraints all deferred";

/// Rolls back what has failed; false if the connection is lost, too, so that the failure stands and nothing else can be tried.
pub async fn roll_back(client: &Client) -> bool {
    match client.batch_execute("rollback").await {
        Ok(()) => true,
        Err(e) => {
            tracing::debug!(error = %e, "cannot roll back");
            false
        }
    }
}

async fn pin<C: GenericClient + Sync>(client: &C, settings: &[(&str, &str)]) -> Result<()> {
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = settings.iter().map(|(_, value)| *value).collect();
    client.query_typed(PIN, &[(&names, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)]).await?;
    Ok(())
}

async fn make_durable<C: GenericClient + Sync>(client: &C) -> Result<()> {
    client.query_typed(pgq::sql::DURABLE, &[]).await?;
    Ok(())
}

/// Prepares a session that reads events.
///
/// # Errors
/// Whatever the server reports.
pub async fn prepare_reader<C: GenericClient + Sync>(client: &C) -> Result<()> {
    let room = async { Ok(client.query_typed(ROOM_TO_SORT, &[]).await?) };
    tokio::try_join!(pin(client, COMMON), make_durable(client), room)?;
    Ok(())
}

/// Prepares a session that reads rows of user tables, for a copy or a comparison.
///
/// # Errors
/// Whatever the server reports.
pub async fn prepare_rows<C: GenericClient + Sync>(client: &C) -> Result<()> {
    pin(client, COMMON).await?;
    pin(client, READ).await
}

/// Prepares a session that applies changes of `queue`.
///
/// # Errors
/// [`ErrorKind::Permission`] when the login may neither set the replica role nor get the apply token.
pub async fn prepare_apply<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    style: &SourceStyle,
) -> Result<Role> {
    let date_style = format!("ISO, {}", style.date_order);
    let styles = [("DateStyle", date_style.as_str()), ("IntervalStyle", &style.interval_style)];
    pin(client, &[COMMON, APPLY, &styles].concat()).await?;
    make_durable(client).await?;
    if let Err(e) = pin(client, &[("lc_monetary", &style.money_locale)]).await {
        tracing::warn!(
            locale = style.money_locale,
            error = %e,
            "the target server does not know the money locale of the source; money values may be refused"
        );
    }
    set_role(client, queue).await
}

/// Prepares a session that loads rows in a copy: values come from a session that was prepared with [`prepare_rows`].
///
/// # Errors
/// As [`prepare_apply`].
pub async fn prepare_load<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Role> {
    pin(client, COMMON).await?;
    make_durable(client).await?;
    pin(client, &[("default_transaction_read_only", "off")]).await?;
    client.batch_execute(AS_READ).await?;
    set_role(client, queue).await
}

/// Sets the replica role, or returns why the login may not. Two ways, the better one first: the module's function (which
/// may be more privileged than we are), the plain command (a module older than 3.4 has no such function).
pub(super) async fn take_replica_role<C: GenericClient + Sync>(client: &C) -> Result<Option<Error>> {
    let by_function = client
        .query_typed("select londiste.set_session_replication_role('replica', false)", &[])
        .await
        .map_err(Error::from);
    if by_function.is_ok() {
        return Ok(None);
    }
    let by_command =
        client.batch_execute("set session_replication_role = replica").await.map_err(Error::from);
    match by_command {
        Ok(()) => Ok(None),
        Err(e) if e.kind() == ErrorKind::Permission => Ok(Some(e)),
        Err(e) => Err(e.context("setting the replica role of the target session")),
    }
}

/// Has triggers that deny changes let those of the session pass.
///
/// # Errors
/// Whatever the server reports.
pub async fn show_token<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<()> {
    client.query_typed(SHOW_TOKEN, &[(&queue, Type::TEXT)]).await?;
    Ok(())
}

/// The replica role, or else the token.
async fn set_role<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Role> {
    let Some(denied) = take_replica_role(client).await? else { return Ok(Role::Replica) };
    match show_token(client, queue).await {
        Ok(_) => Ok(Role::Token),
        Err(e) if e.sqlstate() == Some(&SqlState::UNDEFINED_FUNCTION) => Err(denied
            .context("the login may not apply changes: it may not set session_replication_role")
            .hint("connect as a superuser, grant SET ON PARAMETER session_replication_role (PostgreSQL 15), or upgrade the schemas with \"skytools install\"")),
        Err(e) => Err(e
            .context(format!("the login may neither set session_replication_role nor get the apply token of queue \"{queue}\""))
            .hint("connect as the owner of schema pgq, or grant the login the role londiste_writer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_is_pinned_twice() {
        for group in [&[COMMON, APPLY][..], &[COMMON, READ][..]] {
            let mut names: Vec<&str> = group.iter().flat_map(|g| g.iter().map(|(name, _)| *name)).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }
}
