//! `skytools verify`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::{Target, block_on, print, print_json, shown};
use crate::db::Connection;
use crate::install::health::{self, Finding, Health, Repaired};
use crate::install::{Module, ModuleState, verify, waiting};
use crate::{Error, Result};

/// List differences of installed modules from a fresh installation, and damage of what they have generated.
///
/// Compared with a fresh installation are the modules, with whom they belong to; what users added to our schemas is listed and is no
/// difference, but for rules and triggers that may swallow what is written to our tables. What was
/// made since (code generated for queues and captured tables, event tables, sequences, triggers) is compared with what
/// would be made now: useful after a restore, an upgrade, or changes by hand. Exit status 1 when anything is found.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Make generated objects anew, in one transaction for each module. Never touches tables of users or the content of events;
    /// what a person may have decided is named with the command to run.
    #[arg(long)]
    repair: bool,
    /// How long to wait for each lock that others hold, 0 for ever. Writers that come later wait behind it.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    lock_timeout: u32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Modules to compare [default: all that are installed].
    #[arg(value_name = "MODULE")]
    modules: Vec<Module>,
}

/// Everything about one module.
#[derive(Debug, Serialize)]
struct Verified {
    #[serde(flatten)]
    state: ModuleState,
    generated: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repaired: Vec<Repaired>,
}

impl Verified {
    fn is_good(&self) -> bool {
        self.state.is_clean() && self.generated.is_good()
    }
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`verify`], and [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when nothing is installed.
    pub fn run(self) -> Result<ExitCode> {
        block_on(async move {
            let mut connection = self.target.connect().await?;
            let all = self.modules.is_empty();
            let modules = if all { Module::available() } else { self.modules.clone() };
            let verified = match self.look(&mut connection, &modules, all).await {
                Err(error) if waiting::is_too_long(&error) => {
                    let told = "what comes after it was not looked at";
                    return Err(waiting::blocked(&*connection, error, &modules, told).await);
                }
                other => other?,
            };
            if verified.is_empty() {
                return Err(Error::not_found(format!("no module is installed in {}", connection.target()))
                    .hint(format!("Run: skytools install {}", self.target.shown())));
            }
            if self.json {
                print_json(&verified)?;
            } else {
                print(&report(&verified, &self.target.shown()))?;
            }
            Ok(if verified.iter().all(Verified::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    async fn look(
        &self,
        connection: &mut Connection,
        modules: &[Module],
        all: bool,
    ) -> Result<Vec<Verified>> {
        let timeout = Duration::from_secs(u64::from(self.lock_timeout));
        connection.batch_execute(&format!("set lock_timeout = {}", timeout.as_millis())).await?;
        let mut verified = Vec::new();
        for (module, state) in modules.iter().zip(verify(connection, modules).await?) {
            if all && state.version.is_none() {
                continue;
            }
            let mut repaired = Vec::new();
            if self.repair {
                repaired = health::repair(connection, *module, &state, timeout).await?;
            }
            let generated = health::check(connection, *module, &state).await?;
            verified.push(Verified { state, generated, repaired });
        }
        Ok(verified)
    }
}

fn report(verified: &[Verified], target: &str) -> String {
    let states: Vec<&ModuleState> = verified.iter().map(|v| &v.state).collect();
    let mut text = report_states(&states, target);
    // Writing to a String cannot fail.
    for one in verified {
        for Repaired { finding, error } in &one.repaired {
            let Finding { object, problem, remedy, .. } = finding;
            match error {
                None => writeln!(text, "repaired: {object}: {problem}\n  done: {remedy}").ok(),
                Some(error) => writeln!(text, "not repaired: {object}: {problem}\n  error: {error}").ok(),
            };
        }
        if let Some(why) = &one.generated.unchecked {
            writeln!(text, "{}: what it has generated was not looked at: {why}", one.state.module).ok();
        }
        for Finding { object, problem, remedy, repairable, .. } in &one.generated.findings {
            let prefix = if *repairable { "repairable" } else { "by hand" };
            writeln!(text, "generated: {object}: {problem}\n  {prefix}: {remedy}").ok();
        }
    }
    let repairable = |v: &&Verified| v.generated.findings.iter().any(|f| f.repairable);
    let modules: Vec<&str> = verified.iter().filter(repairable).map(|v| v.state.module.as_str()).collect();
    if !modules.is_empty() {
        writeln!(text, "hint: run: skytools verify --repair {target} {}", modules.join(" ")).ok();
    }
    text
}

fn report_states(states: &[&ModuleState], target: &str) -> String {
    let mut text = String::new();
    let mut damaged = Vec::new();
    // Writing to a String cannot fail.
    for state in states {
        match &state.version {
            None => {
                writeln!(text, "{}: not installed", state.module).ok();
            }
            Some(version) if state.differences.is_empty() => {
                writeln!(text, "{} {version}: as a fresh installation", state.module).ok();
            }
            Some(version) => {
                let count = state.differences.len();
                let version = if version.is_empty() { "without a version" } else { version };
                writeln!(
                    text,
                    "{} {version}: {count} differences from version {}",
                    state.module, state.fresh_version
                )
                .ok();
            }
        }
        for difference in &state.differences {
            writeln!(text, "  {}", shown(difference)).ok();
            if let Some(statement) = &difference.by_hand {
                writeln!(text, "    by hand: {statement}").ok();
            }
        }
        for addition in &state.additions {
            writeln!(text, "  added by others: {addition}").ok();
        }
        if !state.missing_roles.is_empty() {
            writeln!(text, "  roles that do not exist on this server: {}", state.missing_roles.join(", "))
                .ok();
        }
        if state.version.is_none() || state.differences.iter().any(|d| d.by_hand.is_none()) {
            damaged.push(state.module.as_str());
        }
    }
    if !damaged.is_empty() {
        writeln!(text, "hint: run: skytools install {target} {}", damaged.join(" ")).ok();
    }
    text
}
