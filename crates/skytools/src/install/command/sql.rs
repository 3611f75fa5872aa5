//! `skytools sql`.

use std::process::ExitCode;

use super::print;
use crate::Result;
use crate::install::{Module, script};

/// Print the SQL of modules as one script for psql.
///
/// The script installs or upgrades in one transaction: skytools sql londiste | psql -d DATABASE
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Leave out the modules that the named ones need.
    #[arg(long)]
    only: bool,
    /// Modules to print.
    #[arg(value_name = "MODULE", required = true)]
    modules: Vec<Module>,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn run(self) -> Result<ExitCode> {
        let modules = if self.only {
            Module::ALL.into_iter().filter(|m| self.modules.contains(m)).collect()
        } else {
            Module::with_needed(&self.modules)
        };
        print(&script(&modules)?)?;
        Ok(ExitCode::SUCCESS)
    }
}
