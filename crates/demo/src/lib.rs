//! `skytools demo`: two clusters of its own, live load, replication of every table, and a comparison.
//!
//! Everything that runs is the real thing: two servers, pgbench, and the programs of the suite as processes of
//! their own. The only privilege of the demonstration is that it looks at both sides to draw what it sees.

mod args;
mod copying;
mod load;
mod report;
mod run;
mod sample;
mod screen;
mod stage;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;

/// Runs the demonstration. The status is 0 only when every table is identical on both sides.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // clap prints help to stdout and mistakes to stderr by itself; its own codes are the suite's codes.
            return if error.print().is_err() || error.use_stderr() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run::run(&args) => outcome,
            _ = interrupted() => {
                eprintln!("interrupted: removing the clusters and everything else that was started");
                Ok(false)
            }
        }
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}", skytools::report::render(&error));
            ExitCode::FAILURE
        }
    }
}

/// Resolves on Ctrl-C or SIGTERM.
async fn interrupted() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            // Without a handler the default action ends the process, and the watchdogs remove the clusters.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
