//! `skytools verify`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Target, block_on, print, print_json};
use crate::install::{DifferenceKind, Module, ModuleState, verify};
use crate::{Error, Result};

/// List differences of installed modules from a fresh installation.
///
/// Objects made for each queue are left out. What users added to our schemas is listed and is no difference.
/// Exit status 1 when there are differences.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Modules to compare [default: all that are installed].
    #[arg(value_name = "MODULE")]
    modules: Vec<Module>,
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
            let mut states = verify(&mut connection, &modules).await?;
            if all {
                states.retain(|s| s.version.is_some());
            }
            if states.is_empty() {
                return Err(Error::not_found(format!("no module is installed in {}", connection.target()))
                    .hint(format!("Run: skytools install {}", self.target.shown())));
            }
            if self.json {
                print_json(&states)?;
            } else {
                print(&report(&states, &self.target.shown()))?;
            }
            Ok(if states.iter().all(ModuleState::is_clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}

fn report(states: &[ModuleState], target: &str) -> String {
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
                writeln!(
                    text,
                    "{} {version}: {count} differences from version {}",
                    state.module, state.fresh_version
                )
                .ok();
            }
        }
        for difference in &state.differences {
            let object = &difference.object;
            match (difference.kind, &difference.aspect) {
                (DifferenceKind::Different, Some(aspect)) => {
                    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "none".to_owned());
                    let (found, expected) = (value(&difference.found), value(&difference.expected));
                    writeln!(text, "  different: {object}: {aspect} is {found}, not {expected}").ok();
                }
                _ => {
                    writeln!(text, "  missing: {object}").ok();
                }
            }
        }
        for addition in &state.additions {
            writeln!(text, "  added by others: {addition}").ok();
        }
        if !state.missing_roles.is_empty() {
            writeln!(text, "  roles that do not exist on this server: {}", state.missing_roles.join(", "))
                .ok();
        }
        if !state.is_clean() {
            damaged.push(state.module.as_str());
        }
    }
    if !damaged.is_empty() {
        writeln!(text, "hint: run: skytools install {target} {}", damaged.join(" ")).ok();
    }
    text
}
