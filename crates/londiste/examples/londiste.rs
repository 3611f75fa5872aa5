//! The `londiste` program on its own, without the rest of the suite.
//!
//! ```text
//! cargo run -p londiste --example londiste -- my.ini status
//! ```

use std::process::ExitCode;

fn main() -> ExitCode {
    londiste::main(std::env::args_os())
}
