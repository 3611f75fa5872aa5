//! `show-handlers`: what `--handler` accepts.

use std::process::ExitCode;

use serde_json::{Value, json};
use skytools::{Error, Result};

use crate::handler;

/// Lists the handlers, or describes the named ones.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of handlers.
    #[arg(value_name = "HANDLER")]
    names: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// A name that is no handler.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for name in &args.names {
        chosen.push(*handler::ALL.iter().find(|(known, _)| known == name).ok_or_else(|| {
            let known: Vec<&str> = handler::ALL.iter().map(|(name, _)| *name).collect();
            Error::not_found(format!("there is no handler \"{name}\""))
                .hint(format!("known handlers: {}", known.join(", ")))
        })?);
    }
    let whole = !chosen.is_empty();
    if !whole {
        chosen.extend(handler::ALL);
    }
    if args.json {
        let list: Value =
            chosen.iter().map(|(name, text)| json!({"name": name, "description": text})).collect();
        println!("{list:#}");
        return Ok(ExitCode::SUCCESS);
    }
    for (name, text) in chosen {
        println!("{name} - {}", if whole { text } else { text.lines().next().unwrap_or_default() });
    }
    Ok(ExitCode::SUCCESS)
}
