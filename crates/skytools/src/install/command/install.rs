//! `skytools install`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::{Target, block_on, print, print_json, shown};
use crate::Result;
use crate::install::{Action, Difference, LOCK_TIMEOUT, Module, Outcome, install_within};

/// Install or upgrade the SQL modules in a database.
///
/// Everything happens in one transaction: when it fails, or is interrupted, the database is as before. Running it
/// again changes nothing. No superuser is needed; roles that cannot be created are named and granted to later.
/// Whoever runs it, everything belongs to the owner of the schema. Damage is put right where nothing is lost by that; for what is left, the
/// statement to run is printed, and the exit status is 1.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// How long to wait for each lock that others hold, 0 for ever. Consumers and writers that come later wait behind.
    #[arg(long, value_name = "SECONDS", default_value_t = LOCK_TIMEOUT.as_secs())]
    lock_timeout: u64,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Modules to install, with all that they need [default: londiste, that is pgq, pgq_node and londiste].
    #[arg(value_name = "MODULE")]
    modules: Vec<Module>,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`install_within`], and those of connecting.
    pub fn run(self) -> Result<ExitCode> {
        block_on(async move {
            let mut connection = self.target.connect().await?;
            let modules = if self.modules.is_empty() { vec![Module::Londiste] } else { self.modules.clone() };
            let timeout = Duration::from_secs(self.lock_timeout);
            let outcomes = install_within(&mut connection, &modules, timeout).await?;
            if self.json {
                print_json(&outcomes)?;
            } else {
                print(&report(&outcomes, &self.target.shown()))?;
            }
            let clean = outcomes.iter().all(|o| o.state.differences.is_empty());
            Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

fn report(outcomes: &[Outcome], target: &str) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let version = outcome.state.version.as_deref().unwrap_or("");
        let line = match (outcome.action, outcome.version_before.as_deref()) {
            (Action::Unchanged, _) => {
                format!("{} {version}: already installed, nothing to do", outcome.module)
            }
            // The original tells its version only where it is an extension.
            (Action::Upgraded, Some("")) => {
                format!("{} {version}: upgraded from SQL files that tell no version", outcome.module)
            }
            (Action::Upgraded, Some(before)) if before != version => {
                format!("{} {version}: upgraded from {before}", outcome.module)
            }
            (Action::Upgraded, _) => format!("{} {version}: brought up to date", outcome.module),
            (Action::Installed, _) => format!("{} {version}: installed", outcome.module),
        };
        text.push_str(&line);
        text.push('\n');
    }
    let mut roles: Vec<&str> =
        outcomes.iter().flat_map(|o| o.state.missing_roles.iter().map(String::as_str)).collect();
    roles.sort_unstable();
    roles.dedup();
    // Writing to a String cannot fail.
    if !roles.is_empty() {
        writeln!(
            text,
            "note: roles {} do not exist and this role may not create them; only the owner can use the modules.\n\
             hint: let a role with CREATEROLE create them, then run: skytools install {target}",
            roles.join(", ")
        )
        .ok();
    }
    let left: Vec<&Difference> = outcomes.iter().flat_map(|o| &o.state.differences).collect();
    for difference in &left {
        writeln!(text, "not as in a fresh installation: {}", shown(difference)).ok();
        if let Some(error) = &difference.error {
            writeln!(text, "  error: {error}").ok();
        }
        if let Some(statement) = &difference.by_hand {
            writeln!(text, "  by hand: {statement}").ok();
        }
    }
    if !left.is_empty() {
        writeln!(
            text,
            "note: {} differences from a fresh installation remain; they are for you to decide.\n\
             hint: run what stands behind \"by hand\", as the owner of the schema, then: skytools verify {target}",
            left.len()
        )
        .ok();
    }
    text
}
