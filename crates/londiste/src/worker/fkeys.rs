//! Foreign keys that a copy has dropped come back when both of their tables are in step.
//!
//! In two steps, so that nobody is locked out for long: the key is added unvalidated, then validated.

use std::time::Duration;

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::settings::with_login_path;

const VALID: &str = "select from_table, to_table, fkey_name from londiste.get_valid_pending_fkeys($1)";
const RESTORE_LAZY: &str = "select londiste.restore_table_fkey($1, $2, true)::text";
const RESTORE: &str = "select londiste.restore_table_fkey($1, $2)::text";

/// What is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// A table was in use, or a key does not hold: worth another look later.
    Something,
}

/// Restores the foreign keys whose time has come. The connection must be outside a transaction.
pub(super) async fn restore(target: &Client, queue: &str, lock_timeout: Duration) -> Result<Left> {
    let keys = target.query_typed(VALID, &[(&queue, Type::TEXT)]).await?;
    if keys.is_empty() {
        return Ok(Left::Nothing);
    }
    target.batch_execute(&format!("set lock_timeout = {}", lock_timeout.as_millis())).await?;
    let mut left = Left::Nothing;
    for key in keys {
        let (from, to, name): (&str, &str, &str) = (key.try_get(0)?, key.try_get(1)?, key.try_get(2)?);
        match restore_one(target, from, name).await {
            Ok(()) => tracing::info!(from, to, fkey = name, "foreign key restored"),
            Err(e) if e.kind() == ErrorKind::Connection => return Err(e),
            Err(e) => {
                left = Left::Something;
                tracing::warn!(
                    from,
                    to,
                    fkey = name,
                    error = e.chain(),
                    "foreign key cannot be restored yet"
                );
            }
        }
    }
    target.batch_execute("set lock_timeout = 0").await?;
    Ok(left)
}

async fn restore_one(target: &Client, table: &str, name: &str) -> Result<()> {
    // add, validate, forget: three rounds and the end.
    for _ in 0..4 {
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&table, Type::TEXT), (&name, Type::TEXT)];
        let answer = match target.query_typed_one(RESTORE_LAZY, &params).await.map_err(Error::from) {
            Ok(row) => row.try_get::<_, Option<String>>(0)?,
            // Older than 3.7: one step, which answers 1.
            Err(e) if e.sqlstate() == Some(&SqlState::UNDEFINED_FUNCTION) => {
                target.batch_execute("begin").await?;
                let restored = async { Ok(target.query_typed_one(RESTORE, &params).await?) };
                let restored = with_login_path(target, restored).await.map(drop);
                target.batch_execute(if restored.is_ok() { "commit" } else { "rollback" }).await?;
                restored?;
                None
            }
            Err(e) => return Err(e),
        };
        match answer.filter(|sql| !sql.is_empty()) {
            // It may have been stored by somebody who found the other table by the login's path: the original does.
            Some(sql) => target.batch_execute(&format!("set local search_path to default; {sql}")).await?,
            None => return Ok(()),
        }
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("foreign key {name} of {table} is not restored after three steps"),
    ))
}
