//! Installing and upgrading, in one transaction.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{IsolationLevel, Transaction};

use super::owners::{self, Roles};
use super::verify::{self, ModuleState, installed_version};
use super::{Module, bundle, mend, waiting};
use crate::db::Connection;
use crate::{Error, ErrorKind, Result};

/// How long an installation waits for each lock that others hold. Whoever comes later waits behind it, so this also bounds how long an
/// application can be held up by an installation that is held up itself.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The oldest server that the SQL is written for.
const OLDEST_SERVER: i32 = 140_000;

/// Roles are shared by the databases of a server, the lock is not: two installations into different databases may
/// trip over each other there, and then the later one tries again.
const ATTEMPTS: u32 = 5;

/// What became of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there before.
    Installed,
    /// An older or damaged installation was brought up to date.
    Upgraded,
    /// It was as a fresh installation is; nothing was changed.
    Unchanged,
}

/// The result for one module.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Name of the module.
    pub module: String,
    /// What became of it.
    pub action: Action,
    /// The version before, if it was installed.
    pub version_before: Option<String>,
    /// The state now: differences that an upgrade cannot remove, roles that could not be made.
    pub state: ModuleState,
}

/// Installs or upgrades modules and all that they need, dependencies first, in one transaction: on any error, or
/// when the connection breaks, the database is as before. A second call changes nothing.
///
/// # Errors
/// [`ErrorKind::State`] for a server that is too old or a standby, [`ErrorKind::Permission`] when the role may
/// not create schemas in the database or does not own what is installed, and errors of the server with the file
/// and line of SQL that they came from.
pub async fn install(connection: &mut Connection, modules: &[Module]) -> Result<Vec<Outcome>> {
    install_within(connection, modules, LOCK_TIMEOUT).await
}

/// As [`install`], waiting for each lock of others as long as given; zero: for ever.
///
/// # Errors
/// As [`install`]; [`ErrorKind::Transient`] naming who holds the lock.
pub async fn install_within(
    connection: &mut Connection,
    modules: &[Module],
    lock_timeout: Duration,
) -> Result<Vec<Outcome>> {
    let modules = Module::with_needed(modules);
    for module in &modules {
        bundle::files(*module)?;
    }
    check_server(connection).await?;
    let mut attempt = 1;
    loop {
        match install_once(connection, &modules, lock_timeout).await {
            Err(error) if attempt < ATTEMPTS && met_another_installation(&error) => {
                tracing::debug!("installing again, another installation was in the way: {}", error.chain());
                attempt += 1;
            }
            Err(error) if waiting::is_too_long(&error) => {
                return Err(waiting::blocked(
                    &**connection,
                    error,
                    &modules,
                    "nothing was installed or changed",
                )
                .await);
            }
            other => return other,
        }
    }
}

/// Whether the error is that of two transactions changing the same role: `tuple concurrently updated` has no
/// SQLSTATE of its own.
fn met_another_installation(error: &Error) -> bool {
    let Some(state) = error.sqlstate() else { return false };
    match state.code() {
        "XX000" => error.chain().contains("tuple concurrently"),
        "23505" => error.chain().contains("pg_auth"),
        code => matches!(code, "40P01" | "40001" | "42710"),
    }
}

async fn check_server(connection: &Connection) -> Result<()> {
    let version = connection.server_version();
    if version < OLDEST_SERVER {
        let found = match version {
            0 => "of unknown version".to_owned(),
            v if v < 100_000 => format!("PostgreSQL {}.{}", v / 10_000, v / 100 % 100),
            v => format!("PostgreSQL {}", v / 10_000),
        };
        return Err(Error::state(format!(
            "cannot install: the server is {found}, and 14 is the oldest supported"
        ))
        .hint("Upgrade the server, or install into a newer one."));
    }
    let standby: bool =
        connection.query_one("select pg_catalog.pg_is_in_recovery()", &[]).await?.try_get(0)?;
    if standby {
        return Err(Error::state("cannot install: the server is a standby")
            .hint("Install on its primary; the standby follows."));
    }
    Ok(())
}

/// A transaction that sees what those have committed whom it has waited for, and may write, whatever the database's defaults.
pub(super) async fn read_committed(connection: &mut Connection) -> Result<Transaction<'_>> {
    Ok(connection
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?)
}

async fn install_once(
    connection: &mut Connection,
    modules: &[Module],
    lock_timeout: Duration,
) -> Result<Vec<Outcome>> {
    let mut transaction = read_committed(connection).await?;
    transaction
        .batch_execute("set local search_path = pg_catalog; set local client_min_messages = notice; set local standard_conforming_strings = on")
        .await?;
    waiting::take_turn(&transaction, lock_timeout).await?;
    let mut before = Vec::with_capacity(modules.len());
    for module in modules {
        before.push(verify::state(&transaction, *module).await);
    }
    let may_create_roles = may_create_roles(&transaction).await?;
    let mut outcomes = Vec::with_capacity(modules.len());
    let mut changed = false;
    for (module, before) in modules.iter().zip(before) {
        let (version_before, up_to_date) = match before {
            Ok(state) => {
                let roles_could_come = may_create_roles && !state.missing_roles.is_empty();
                let clean = state.is_clean();
                (state.version, clean && !roles_could_come)
            }
            // Without a manifest nothing is known about the installation: install over it.
            Err(error) if error.kind() == ErrorKind::NotFound && error.sqlstate().is_none() => {
                (installed_version(&transaction, *module).await?, false)
            }
            Err(error) => return Err(error),
        };
        if !up_to_date {
            let roles = Roles::of(&transaction, *module).await?;
            owners::settle(&transaction, *module, &roles).await?;
            run(&transaction, *module, &roles).await?;
            changed = true;
        }
        let action = match (up_to_date, &version_before) {
            (true, _) => Action::Unchanged,
            (false, None) => Action::Installed,
            (false, Some(_)) => Action::Upgraded,
        };
        outcomes.push((*module, action, version_before));
    }
    let mut done = Vec::with_capacity(outcomes.len());
    for (module, action, version_before) in outcomes {
        let mut state = state_after(&transaction, module).await?;
        if action != Action::Unchanged && !state.differences.is_empty() {
            // A later module may have made a role that an earlier one grants to: it grants when it runs again.
            let roles = Roles::of(&transaction, module).await?;
            run(&transaction, module, &roles).await?;
            state = state_after(&transaction, module).await?;
            if !state.differences.is_empty() {
                roles.act_as_owner(&transaction).await?;
                state = mend::mend(&mut transaction, module, state).await?;
                roles.act_as_session(&transaction).await?;
            }
        }
        done.push(Outcome { module: module.name().to_owned(), action, version_before, state });
    }
    if changed {
        transaction.commit().await?;
    } else {
        transaction.rollback().await?;
    }
    Ok(done)
}

/// The state of a module that has just been installed, also in a build without its manifest.
async fn state_after(transaction: &Transaction<'_>, module: Module) -> Result<ModuleState> {
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    match verify::state(transaction, module).await {
        Err(error) if error.kind() == ErrorKind::NotFound && error.sqlstate().is_none() => Ok(ModuleState {
            module: module.name().to_owned(),
            version: installed_version(transaction, module).await?,
            fresh_version: env!("CARGO_PKG_VERSION").to_owned(),
            differences: Vec::new(),
            additions: Vec::new(),
            missing_roles: Vec::new(),
        }),
        other => other,
    }
}

async fn may_create_roles(transaction: &Transaction<'_>) -> Result<bool> {
    let row = transaction
        .query_one(
            "select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Runs the files of a module as its owner, one by one, so that an error names its file and line.
async fn run(transaction: &Transaction<'_>, module: Module, roles: &Roles) -> Result<()> {
    let take_back = owners::lend_create(transaction, module, roles).await?;
    for file in bundle::files(module)? {
        if owners::is_for_session(&file) {
            roles.act_as_session(transaction).await?;
        } else {
            roles.act_as_owner(transaction).await?;
        }
        run_file(transaction, module, file).await?;
    }
    roles.act_as_session(transaction).await?;
    if let Some(statement) = take_back {
        transaction.batch_execute(&statement).await?;
    }
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    Ok(())
}

async fn run_file(transaction: &Transaction<'_>, module: Module, file: bundle::SqlFile) -> Result<()> {
    let Err(error) = transaction.batch_execute(file.text).await else { return Ok(()) };
    let line = match error.as_db_error().and_then(|db| db.position()) {
        Some(tokio_postgres::error::ErrorPosition::Original(position)) => {
            let before = file.text.chars().take(usize::try_from(*position).unwrap_or(0));
            format!(", line {}", before.filter(|c| *c == '\n').count() + 1)
        }
        _ => String::new(),
    };
    let dependents = error.code().is_some_and(|code| code.code() == "2BP01");
    let error = Error::from(error).context(format!("installing module {module}: sql/{}{line}", file.path));
    // The server would have them dropped.
    Err(if dependents {
        error.hint("Objects of others depend on one that changes. Save their definitions (pg_get_viewdef, pg_get_constraintdef), drop them, run this again, and create them again.")
    } else {
        error
    })
}
