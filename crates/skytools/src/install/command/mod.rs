//! The sub-commands `install`, `sql`, `verify` and `uninstall`: arguments and what they print.

use std::io::Write;
use std::process::ExitCode;

use crate::db::{ConnectString, Connection};
use crate::install::{Difference, DifferenceKind};
use crate::{Error, ErrorKind, Result};

pub mod install;
pub mod sql;
pub mod uninstall;
pub mod verify;

/// Where to, shared by the commands that connect.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Database to connect to, as a libpq connect string: "host=db dbname=app" or "postgresql://db/app".
    #[arg(long, value_name = "CONNSTR")]
    pub db: String,
}

impl Target {
    /// Operators and functions of PostgreSQL's own come first, and no others: these commands are often run by a superuser.
    async fn connect(&self) -> Result<Connection> {
        let connection = ConnectString::parse(&self.db)?.connect("skytools").await?;
        // Definitions are compared as text.
        connection
            .batch_execute("set search_path = pg_catalog, pg_temp; set quote_all_identifiers = off")
            .await?;
        Ok(connection)
    }

    /// The argument as a hint may repeat it.
    fn shown(&self) -> String {
        let text = ConnectString::parse(&self.db).map_or_else(|_| "…".to_owned(), |c| c.to_string());
        format!("--db '{}'", text.replace('\'', "'\\''"))
    }
}

/// A difference in one line.
fn shown(difference: &Difference) -> String {
    let object = &difference.object;
    let value = |v: &Option<String>| v.clone().unwrap_or_else(|| "none".to_owned());
    match (difference.kind, &difference.aspect) {
        (DifferenceKind::Different, Some(aspect)) => {
            let (found, expected) = (value(&difference.found), value(&difference.expected));
            format!("different: {object}: {aspect} is {found}, not {expected}")
        }
        (DifferenceKind::Added, _) => format!("in the way: {object}: {}", value(&difference.found)),
        _ => format!("missing: {object}"),
    }
}

/// Runs an async body on a runtime of its own.
fn block_on(body: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(ErrorKind::System, "cannot start the runtime").with_source(e))?;
    runtime.block_on(body)
}

/// Writes lines to standard output; a reader that has gone away (`| head`) ends them without an error.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::System, "cannot write to standard output").with_source(e))
        }
        _ => Ok(()),
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(ErrorKind::Internal, "a result cannot be written as JSON").with_source(e))?;
    print(&(text + "\n"))
}
