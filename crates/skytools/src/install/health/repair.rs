//! Making generated objects anew.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::{By, Finding, Repair, attempt, check, transactions};
use crate::db::Connection;
use crate::install::owners::{self, Roles};
use crate::install::{Module, ModuleState, installer, waiting};
use crate::{Error, Result};

/// What was done about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it did not work; `None` when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Repairs what can be made anew of what [`check`] has found, in one transaction. A repair that fails is undone alone, and told.
///
/// `lock_timeout` bounds each wait for a lock of others; zero: it does not.
///
/// # Errors
/// Those of the server; nothing was changed then.
pub async fn repair(
    connection: &mut Connection,
    module: Module,
    state: &ModuleState,
    lock_timeout: Duration,
) -> Result<Vec<Repaired>> {
    let findings = check(connection, module, state).await?.findings;
    if findings.iter().any(|f| f.repair.is_some()) {
        make_room(connection).await?;
    }
    let mut transaction = installer::read_committed(connection).await?;
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    waiting::take_turn(&transaction, lock_timeout).await?;
    // What the owner may not do, nor be, the connection's role tries.
    let owner = owners::owner_of(&transaction, module).await?;
    let session: String = transaction.query_one("select current_user::text", &[]).await?.try_get(0)?;
    let roles = match owner {
        Some(owner) if owners::may_become(&transaction, &owner).await? => Roles { session, owner },
        _ => Roles { owner: session.clone(), session },
    };
    let mut done: HashMap<String, Option<String>> = HashMap::new();
    let mut repaired = Vec::new();
    for finding in findings {
        let Some(Repair { statements, by }) = finding.repair.clone() else { continue };
        let error = match done.get(&statements) {
            Some(error) => error.clone(),
            None => {
                match by {
                    By::Owner => roles.act_as_owner(&transaction).await?,
                    By::Session => roles.act_as_session(&transaction).await?,
                }
                match attempt(&mut transaction, &statements).await {
                    Ok(()) => None,
                    // The connection, not the repair.
                    Err(error) if error.sqlstate().is_none() => return Err(error),
                    Err(error) if waiting::is_too_long(&error) => {
                        let who = waiting::holders(&transaction, &[module]).await;
                        Some(format!("{}; locks are held by: {who}", told(&error)))
                    }
                    Err(error) => Some(told(&error)),
                }
            }
        };
        done.insert(statements, error.clone());
        repaired.push(Repaired { finding, error });
    }
    transaction.commit().await?;
    Ok(repaired)
}

fn told(error: &Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{} ({hint})", error.chain()),
        None => error.chain(),
    }
}

/// Uses up transaction ids, where ticks of a restored queue need more numbers below the present than there are.
async fn make_room(connection: &Connection) -> Result<()> {
    let missing: i64 = connection.query_one(transactions::MISSING_ROOM, &[]).await?.try_get(0)?;
    if missing > 0 {
        tracing::debug!("using up {missing} transaction ids");
        // Each in a transaction of its own: below those of a transaction that is still open nothing would be gained.
        connection
            .batch_execute(&format!(
                "do $$ begin for i in 1 .. {missing} loop perform pg_catalog.txid_current(); commit; end loop; end $$"
            ))
            .await?;
    }
    Ok(())
}
