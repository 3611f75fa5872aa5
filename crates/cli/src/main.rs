//! The `skytools` executable: knows every program and nothing else.
//!
//! Each program is a sub-command and also runs under its historic names when called by them (a link named
//! `londiste3` is enough).

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use skytools::install::command;

/// Queueing and replication for PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "skytools", version, about, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// Install or update the SQL modules in a database.
    Install(command::install::Args),
    /// Print the SQL of modules, for psql.
    Sql(command::sql::Args),
    /// List differences between a database and a fresh installation.
    Verify(command::verify::Args),
    /// Remove the SQL modules from a database.
    Uninstall(command::uninstall::Args),
    /// Replicate tables (`skytools londiste --help`).
    #[command(disable_help_flag = true, visible_alias = "londiste3")]
    Londiste(Rest),
    /// Run the ticker for all databases of a server (`skytools pgqd --help`).
    #[command(disable_help_flag = true)]
    Pgqd(Rest),
    /// Show replication at work on two clusters of its own (`skytools demo --help`).
    #[command(disable_help_flag = true)]
    Demo(Rest),
}

/// Everything behind the name of a program belongs to the program.
#[derive(Debug, clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Rest {
    /// The arguments with the name that usage texts show in front.
    fn under(self, name: &str) -> Vec<OsString> {
        std::iter::once(OsString::from(name)).chain(self.args).collect()
    }
}

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let called = args.first().map(|a| Path::new(a).file_name().unwrap_or(OsStr::new(""))).unwrap_or_default();
    match called.to_str() {
        Some("londiste" | "londiste3") => return londiste::main(args),
        Some("pgqd") => return pgqd::main(args),
        _ => {}
    }
    if args.is_empty() {
        args.push("skytools".into());
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    if matches!(
        cli.program,
        Program::Install(_) | Program::Sql(_) | Program::Verify(_) | Program::Uninstall(_)
    ) {
        // Warnings of the server, and whom an installation waits for; the other programs see to their logs themselves.
        skytools::log::init_console("skytools", 0);
    }
    match cli.program {
        Program::Install(install) => told(install.run()),
        Program::Sql(sql) => told(sql.run()),
        Program::Verify(verify) => told(verify.run()),
        Program::Uninstall(uninstall) => told(uninstall.run()),
        Program::Londiste(rest) => londiste::main(rest.under("skytools londiste")),
        Program::Pgqd(rest) => pgqd::main(rest.under("skytools pgqd")),
        Program::Demo(rest) => demo::main(rest.under("skytools demo")),
    }
}

/// The status of a command; an error is shown here, once.
fn told(outcome: skytools::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| skytools::report::emit(&error))
}
