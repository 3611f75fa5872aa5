//! The `pgqd` executable: the daemon without the rest of the suite.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgqd::main(std::env::args_os())
}
