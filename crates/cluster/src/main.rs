//! Starts a throw-away server and holds it until standard input ends or the process is killed.

use std::io::{Read, Write};
use std::process::ExitCode;

use cluster::{Cluster, Error, Result};

fn main() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("throwaway-postgres: {error:?}");
            ExitCode::FAILURE
        }
    }
}

fn hold() -> Result<()> {
    let mut builder = Cluster::builder();
    for line in std::env::args().skip(1) {
        builder = builder.conf(line);
    }
    let cluster = builder.start()?;
    let shown = format!("directory: {}\nconnect: {}\n", cluster.dir().display(), cluster.connstr("postgres"));
    let io_failed = |e| Error::from_io("using the terminal failed", e);
    std::io::stdout().write_all(shown.as_bytes()).map_err(io_failed)?;
    std::io::stdout().flush().map_err(io_failed)?;
    std::io::stdin().read_to_end(&mut Vec::new()).map_err(io_failed)?;
    Ok(())
}
