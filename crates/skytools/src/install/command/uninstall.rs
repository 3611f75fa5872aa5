//! `skytools uninstall`.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::{Target, block_on, print, print_json};
use crate::Result;
use crate::install::{Module, uninstall};

/// Remove modules from a database.
///
/// Refuses, and lists why, while consumers, nodes, replicated tables or capture triggers exist. Roles stay: they
/// are shared by all databases of the server.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Drop what is in use too, capture triggers on other tables included, and list it.
    #[arg(long)]
    force: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Modules to remove [default: all that are installed].
    #[arg(value_name = "MODULE")]
    modules: Vec<Module>,
}

impl Args {
    /// Runs the command.
    ///
    /// # Errors
    /// As [`uninstall`], and those of connecting.
    pub fn run(self) -> Result<ExitCode> {
        block_on(async move {
            let mut connection = self.target.connect().await?;
            let removal = uninstall(&mut connection, &self.modules, self.force).await?;
            if self.json {
                print_json(&removal)?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut text = String::new();
            for used in &removal.dropped {
                // Writing to a String cannot fail.
                writeln!(text, "{}: dropped {} {}", used.module, used.kind, used.what).ok();
            }
            match removal.modules.as_slice() {
                [] => text.push_str("nothing is installed, nothing to do\n"),
                modules => {
                    writeln!(text, "removed: {}", modules.join(", ")).ok();
                }
            }
            print(&text)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
