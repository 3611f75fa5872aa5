//! Waiting for others: installations take turns, and who holds what one of them needs is named.

use std::time::Duration;

use tokio_postgres::{GenericClient, Transaction};

use super::Module;
use crate::{Error, Result};

/// Held by an installation until it commits, so that two at once take turns: a namespace of the project's own.
pub(super) const LOCK: &str = "select pg_catalog.pg_advisory_xact_lock(1937340748, 1);";

/// [`LOCK`], or false when somebody else has it.
const TRY_LOCK: &str = "select pg_catalog.pg_try_advisory_xact_lock(1937340748, 1)";

/// How long an installation waits for its turn at least: another one takes seconds, and waiting for it holds up nobody.
const TURN: Duration = Duration::from_secs(60);

/// Transactions that hold locks on tables of these schemas, any table for themselves alone, or the turn to install; the oldest first.
const HOLDERS: &str = "
select pg_catalog.format('process %s (%s, %s, transaction of %s) on %s', a.pid, a.usename,
                         coalesce(nullif(a.application_name, ''), 'no name'),
                         pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - a.xact_start),
                         pg_catalog.string_agg(distinct coalesce(n.nspname || '.' || c.relname, 'the turn to install'), ', '))
  from pg_catalog.pg_locks l
  left join pg_catalog.pg_class c on c.oid = l.relation and c.relkind in ('r', 'p')
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_stat_activity a on a.pid = l.pid
 where l.granted and l.pid <> pg_catalog.pg_backend_pid()
   and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
   and (n.nspname = any ($1)
        or n.nspname <> 'pg_catalog' and l.mode = 'AccessExclusiveLock'
        or l.locktype = 'advisory' and l.classid = 1937340748 and l.objid = 1 and l.objsubid = 2)
 group by a.pid, a.usename, a.application_name, a.xact_start
 order by a.xact_start
 limit 5";

/// Waits until no other installation is under way. Leaves `lock_timeout` as the bound of every other wait; zero: none.
pub(super) async fn take_turn(transaction: &Transaction<'_>, lock_timeout: Duration) -> Result<()> {
    if !transaction.query_one(TRY_LOCK, &[]).await?.try_get::<_, bool>(0)? {
        tracing::info!("waiting for another installation: {}", holders(transaction, &[]).await);
        let patience = if lock_timeout.is_zero() { lock_timeout } else { lock_timeout.max(TURN) };
        bound(transaction, patience).await?;
        transaction.batch_execute(LOCK).await?;
    }
    bound(transaction, lock_timeout).await
}

async fn bound(transaction: &Transaction<'_>, lock_timeout: Duration) -> Result<()> {
    let sql = format!("set local lock_timeout = {}", lock_timeout.as_millis());
    Ok(transaction.batch_execute(&sql).await?)
}

/// Whether the error is that of a lock that was waited for too long.
pub(super) fn is_too_long(error: &Error) -> bool {
    error.sqlstate().is_some_and(|state| state.code() == "55P03")
}

/// Names who has the locks that were waited for: they still do, or it was a matter of seconds.
pub(super) async fn blocked<C: GenericClient>(
    client: &C,
    error: Error,
    modules: &[Module],
    consequence: &str,
) -> Error {
    let who = holders(client, modules).await;
    error.context(format!("somebody has kept locked what is needed; {consequence}")).hint(format!(
        "Locks are held by: {who}. Run it again when these transactions have ended, or with --lock-timeout=SECONDS while nobody minds \
         waiting."
    ))
}

/// Who holds locks that stand in the way, for a message.
pub(super) async fn holders<C: GenericClient>(client: &C, modules: &[Module]) -> String {
    let schemas: Vec<&str> = modules.iter().map(|m| m.name()).collect();
    let holders: Vec<String> = match client.query(HOLDERS, &[&schemas]).await {
        Ok(rows) => rows.iter().filter_map(|row| row.try_get(0).ok()).collect(),
        Err(e) => vec![format!("who, cannot be said: {}", Error::from(e).chain())],
    };
    if holders.is_empty() { "nobody by now".to_owned() } else { holders.join("; ") }
}
