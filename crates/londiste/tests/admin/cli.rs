//! The shape of the command line and its exit statuses.

use anyhow::Result;

use crate::nodes::{Outcome, londiste, outcome};

async fn run(args: &[&str]) -> Result<Outcome> {
    outcome(londiste()?.args(args)).await
}

#[tokio::test]
async fn what_is_missing_is_asked_for() -> Result<()> {
    run(&[]).await?.fails(1, &["need config file, use --help for help."]);
    run(&["x.ini"]).await?.fails(1, &["need command"]);
    run(&["-s", "x.ini"]).await?.fails(1, &["need command", "londiste x.ini worker"]);
    run(&["status"]).await?.fails(1, &["need config file", "londiste INI status"]);
    run(&["x.ini", "frobnicate"]).await?.fails(1, &["Unknown command 'frobnicate', use --help for help"]);
    run(&["x.ini", "status", "--nosuch"]).await?.fails(2, &["--nosuch"]);
    run(&["x.ini", "status"]).await?.fails(1, &["x.ini"]);
    run(&["x.ini", "copy"]).await?.fails(2, &["TABLE"]);
    Ok(())
}

#[tokio::test]
async fn help_version_and_sample() -> Result<()> {
    let help = run(&["--help"]).await?.ok();
    for command in ["create-root", "create-leaf", "add-table", "wait-sync", "status", "worker", "copy"] {
        assert!(help.contains(&format!("  {command} ")), "{command}: {help}");
    }
    assert!(run(&["add-table", "--help"]).await?.ok().contains("--skip-truncate"));
    assert!(run(&["x.ini", "add-table", "-h"]).await?.ok().contains("--skip-truncate"));
    assert!(run(&["--version"]).await?.ok().starts_with("londiste, Skytools version "));
    let sample = run(&["--ini", "--set", "queue_name=mine"]).await?.ok();
    assert!(sample.starts_with("[londiste]\n") && sample.contains("queue_name = mine\n"), "{sample}");
    assert!(sample.contains("register_skip_tables"), "{sample}");
    Ok(())
}
