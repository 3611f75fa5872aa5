//! Every statement of the daemon.
//!
//! Databases belong to others, who may have created operators in a schema of the daemon's search_path, and the daemon is often a
//! superuser: operators are named with their schema, or their arguments have exactly the types of PostgreSQL's own.

use skytools::quote::{fqname, literal};

/// Databases that can be served.
pub(crate) const DATABASES: &str =
    "select datname from pg_catalog.pg_database where not datistemplate and datallowconn order by 1";

/// One row when schema pgq exists.
pub(crate) const HAS_PGQ: &str = "select 1 from pg_catalog.pg_namespace where nspname = 'pgq'";

/// The version of the installed pgq.
pub(crate) const VERSION: &str = "select pgq.version()";

/// Queues that this daemon ticks, for the time in which `pgq.ticker()` as a whole fails.
pub(crate) const QUEUES_TO_TICK: &str =
    "select queue_name from pgq.queue where not queue_external_ticker and not queue_ticker_paused order by 1";

/// One row when `pgq.maint_operations` exists (pgq 3.1 and later).
pub(crate) const HAS_MAINT_OPERATIONS: &str = "select 1 from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'pgq' and p.proname = 'maint_operations'";

/// What maintenance has to do: function name, argument.
pub(crate) const MAINT_OPERATIONS: &str = "select func_name, func_arg from pgq.maint_operations()";

/// pgq 3.0: the queues to rotate.
pub(crate) const OLD_QUEUES: &str = "select queue_name from pgq.get_queue_info()";

/// pgq 3.0: the tables to vacuum.
pub(crate) const OLD_TABLES_TO_VACUUM: &str = "select pgq.maint_tables_to_vacuum()";

/// Puts events whose time has come back into their queues; returns how many, 0 when none is left.
pub(crate) const RETRY: &str = "select pgq.maint_retry_events()";

/// The advisory lock that makes ticks of several daemons on one database follow each other: ASCII of `pgqd`, 1.
/// Advisory locks are per database, so it needs no database in its key. `pgq.ticker` and `pgq.tick_on_demand` of our
/// database half take the same one, the original's tickers none.
const TICK_LOCK: &str = "1885827428, 1";

/// Who holds that lock: its transaction, and who that is in words. Without the right to see other sessions' state, less.
pub(crate) const TICK_LOCK_HOLDER: &str =
    "select l.virtualtransaction, case when l.pid is null then 'a prepared transaction' else
       pg_catalog.format('pid %s (user \"%s\", application \"%s\"%s%s)', l.pid, a.usename, a.application_name,
         case when a.state is not null then pg_catalog.format(', %s', a.state) end, case when a.xact_start is not null
         then pg_catalog.format(', in its transaction since %s', pg_catalog.date_trunc('second', a.xact_start)) end) end
    from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid operator(pg_catalog.=) l.pid
    where l.locktype operator(pg_catalog.=) 'advisory' and l.classid operator(pg_catalog.=) 1885827428
      and l.objid operator(pg_catalog.=) 1 and l.objsubid operator(pg_catalog.=) 2 and l.granted
      and l.database operator(pg_catalog.=) (select d.oid from pg_catalog.pg_database d
            where d.datname operator(pg_catalog.=) pg_catalog.current_database())";

/// For functions of the original's database half, which come with no path of their own.
const PINNED_PATH: &str = "set local search_path = pg_catalog, pg_temp";

/// How long a tick waits for a lock: a table locked by hand must not stop the ticks of all queues for long.
const TICK_LOCK_TIMEOUT: &str = "1s";

/// How long an operation of maintenance waits for a lock: a queue that is held must not keep the others from rotating.
const LOCK_TIMEOUT: &str = "10s";

/// A tick of all queues, or of one.
///
/// A simple query of several statements is one transaction. The lock is taken before `pgq.ticker` takes its snapshots
/// and is released after its commit is visible, so tick numbers and snapshots have one order; where the database's default
/// is another isolation level, one snapshot taken by the first statement would serve them all. Nothing outlives the
/// transaction, so this works through a connection pooler too. The result is NULL when somebody else holds the lock.
pub(crate) fn tick(queue: Option<&str>) -> String {
    let argument = queue.map(literal).unwrap_or_default();
    format!(
        "set transaction isolation level read committed; {PINNED_PATH};
        select pg_catalog.set_config('lock_timeout', '{TICK_LOCK_TIMEOUT}', true);
        select case when pg_catalog.pg_try_advisory_xact_lock({TICK_LOCK}) then coalesce(pgq.ticker({argument}), 0) end"
    )
}

/// An operation as it is sent: a function is one transaction with what is before it (see [`tick`]), a VACUUM takes nothing
/// before it. A snapshot that is older than the locks which a rotation waits for does not show who has registered meanwhile.
pub(crate) fn guarded(operation: &str) -> String {
    if operation.starts_with("vacuum") {
        return operation.to_owned();
    }
    // What a queue's owner has added to maintenance may need the daemon's path.
    let path = if operation.starts_with("select pgq.") { PINNED_PATH } else { "" };
    format!(
        "set transaction isolation level read committed; {path};
        select pg_catalog.set_config('lock_timeout', '{LOCK_TIMEOUT}', true);
        {operation}"
    )
}

/// One operation of maintenance: a vacuum statement or a function call. `None` for a name that cannot be one.
pub(crate) fn operation(name: &str, argument: Option<&str>) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if lower == "vacuum" || lower == "vacuum analyze" {
        return argument.filter(|table| !table.is_empty()).map(|table| format!("{lower} {}", fqname(table)));
    }
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    Some(format!("select {}({})", fqname(name), argument.map(literal).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_quoted() {
        let made = |name, argument| operation(name, argument).unwrap();
        assert_eq!(made("VACUUM", Some("pgq.retry_queue")), "vacuum pgq.retry_queue");
        assert_eq!(made("vacuum analyze", Some("pgq.Odd name")), "vacuum analyze pgq.\"Odd name\"");
        assert_eq!(made("pgq.f", Some("o'q")), "select pgq.f('o''q')");
        assert_eq!(made("pgq.f", None), "select pgq.f()");
        assert_eq!(made("a;drop.x", None), "select \"a;drop\".x()");
        assert_eq!(guarded("vacuum pgq.tick"), "vacuum pgq.tick");
        assert!(guarded("select pgq.f()").starts_with("set transaction isolation level read committed;"));
        assert!(guarded("select pgq.f()").ends_with(" select pgq.f()"));
        assert!(operation("", None).is_none());
        assert!(operation("vacuum", None).is_none());
    }

    #[test]
    fn ticks_on_demand_take_the_daemons_lock() {
        let call = format!("if not pg_try_advisory_xact_lock({TICK_LOCK})");
        let files = skytools::install::files(skytools::install::Module::Pgq).unwrap();
        let file = files.iter().find(|f| f.path == "pgq/functions/pgq.tick_on_demand.sql").unwrap();
        assert!(file.text.contains(&call), "{call}");
    }

    #[test]
    fn a_queue_name_is_data() {
        assert!(tick(Some("it's")).contains("pgq.ticker('it''s')"));
        assert!(tick(None).contains("pgq.ticker()"));
    }
}
