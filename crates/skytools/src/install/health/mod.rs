//! What an installation has made since: code generated for queues and captured tables, their event tables, sequences
//! and triggers, and the numbers in them. The manifest says nothing about these; here they are compared with what
//! would be made now, after a restore, an upgrade, or changes by hand.
//!
//! What is generated is made anew on demand, inside one transaction and under the locks that the SQL functions take. What a person may
//! have decided (a disabled trigger), and what would touch events or tables of the user, is named with the command to run.

mod capture;
mod londiste;
mod owners;
mod queues;
mod repair;
mod transactions;

use serde::Serialize;
use tokio_postgres::{GenericClient, Transaction};

use super::verify::{Difference, ModuleState};
use super::{DifferenceKind, Module};
use crate::Result;
use crate::db::Connection;

pub use repair::{Repaired, repair};

/// Something that is not as it would be made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The module that made it.
    pub module: String,
    /// The object, such as `queue "q"` or `table public.t, queue "q"`.
    pub object: String,
    /// What is wrong, and what that means.
    pub problem: String,
    /// What to do by hand; for what [`repair`] does, what it will do.
    pub remedy: String,
    /// Whether [`repair`] does it.
    pub repairable: bool,
    /// How.
    #[serde(skip)]
    repair: Option<Repair>,
}

/// Statements that repair something.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repair {
    statements: String,
    by: By,
}

/// Who runs the statements of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Who owns pgq, as new objects are to be its.
    Owner,
    /// The role of the connection: tables of users, and what belongs to others, are beyond the owner's rights.
    Session,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Everything found.
    pub findings: Vec<Finding>,
    /// Why the module could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

impl Health {
    /// Whether everything was looked at and found right.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.unchecked.is_none()
    }
}

/// Looks at everything that a module has generated; `state` is what comparing it with its manifest has shown.
///
/// Only pgq generates anything, and londiste has triggers made on tables; other modules are always in good health.
///
/// # Errors
/// Those of the server.
pub async fn check(connection: &mut Connection, module: Module, state: &ModuleState) -> Result<Health> {
    if state.version.is_some() && module == Module::Londiste {
        return londiste::check(connection, state).await;
    }
    if module != Module::Pgq || state.version.is_none() {
        return Ok(Health::default());
    }
    if let Some(why) = obstacle(connection, state).await? {
        return Ok(Health { findings: Vec::new(), unchecked: Some(why) });
    }
    // Rolled back: working out what capture should look like writes to a cache.
    let transaction = connection.transaction().await?;
    // Estimates of catalog queries are far off: compiling them takes a hundred times as long as running them.
    transaction.batch_execute("set local search_path = pg_catalog; set local jit = off").await?;
    // First: the other repairs are made with the rights of the owner.
    let mut findings = owners::check(&transaction).await?;
    findings.extend(transactions::check(&transaction).await?);
    findings.extend(queues::check(&transaction).await?);
    findings.extend(capture::check(&transaction).await?);
    transaction.rollback().await?;
    Ok(Health { findings, unchecked: None })
}

/// Why generated objects cannot be looked at.
async fn obstacle(connection: &Connection, state: &ModuleState) -> Result<Option<String>> {
    let guards = |d: &Difference| {
        [" constraint ", " index ", " unique index ", " trigger "].iter().any(|part| d.object.contains(part))
    };
    let other_code = state
        .differences
        .iter()
        .find(|d| d.kind == DifferenceKind::Missing && !guards(d) || d.aspect.as_deref() == Some("body"));
    if let Some(difference) = other_code {
        return Ok(Some(format!("the module itself differs ({}); install it first", difference.object)));
    }
    let row = connection
        .query_one(
            "select pg_catalog.pg_is_in_recovery(), pg_catalog.pg_has_role(r.relowner, 'usage'),
                    pg_catalog.pg_get_userbyid(r.relowner)::text
               from pg_catalog.pg_class r where r.oid = 'pgq.queue'::pg_catalog.regclass",
            &[],
        )
        .await?;
    let (standby, owner, name): (bool, bool, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(if standby {
        Some("the server is a standby; look on its primary".to_owned())
    } else if !owner {
        Some(format!("that takes the rights of \"{name}\", the owner of pgq; connect as that role"))
    } else {
        None
    })
}

/// Runs a query for findings: object, problem, remedy, and the statements that repair it or null.
async fn findings<C: GenericClient>(client: &C, by: By, sql: &str) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for row in client.query(sql, &[]).await? {
        let repair: Option<String> = row.try_get(3)?;
        let repair = repair.map(|statements| Repair { statements, by });
        found.push(Finding {
            module: Module::Pgq.name().to_owned(),
            object: row.try_get(0)?,
            problem: row.try_get(1)?,
            remedy: row.try_get(2)?,
            repairable: repair.is_some(),
            repair,
        });
    }
    Ok(found)
}

/// Runs statements in a savepoint: an error leaves the transaction usable.
async fn attempt(transaction: &mut Transaction<'_>, statements: &str) -> Result<()> {
    let inner = transaction.savepoint("attempt").await?;
    inner.batch_execute(statements).await?;
    Ok(inner.commit().await?)
}
