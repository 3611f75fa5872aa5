//! The README's walk-through, run as written: every shell block between its two markers, in order, on two servers.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::Process;

const BEGIN: &str = "<!-- walk-through: begin";
const END: &str = "<!-- walk-through: end";

/// The shell blocks of the walk-through; the one that names the servers is left to the test.
fn blocks(readme: &str) -> Result<Vec<String>> {
    let begin = readme.find(BEGIN).context("no begin marker")?;
    let end = readme.find(END).context("no end marker")?;
    let mut blocks = Vec::new();
    let mut rest = &readme[begin..end];
    while let Some(at) = rest.find("```sh\n") {
        let body = &rest[at + 6..];
        let close = body.find("```").context("a block does not end")?;
        if !body[..close].contains("export SOURCE=") {
            blocks.push(body[..close].to_owned());
        }
        rest = &body[close + 3..];
    }
    Ok(blocks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_through_works_as_written() -> Result<()> {
    let readme = std::fs::read_to_string(testkit::places::workspace().join("README.md"))?;
    let blocks = blocks(&readme)?;
    ensure!(blocks.len() >= 8, "only {} blocks in the walk-through", blocks.len());

    let clusters = [testkit::own_cluster(|b| b).await?, testkit::own_cluster(|b| b).await?];
    for cluster in &clusters {
        cluster.psql("postgres", "create role shop login")?;
        cluster.psql("postgres", "create database shop owner shop")?;
    }
    let connstr = |n: usize| {
        format!(
            "host={} port={} dbname=shop user=shop",
            clusters[n].socket_dir().display(),
            clusters[n].port()
        )
    };
    let dir = tempfile::tempdir()?;
    let programs = testkit::places::program_dir()?;
    let psql = clusters[0].installation().client_program("psql")?;
    let path = format!(
        "{}:{}:{}",
        programs.display(),
        psql.parent().context("psql")?.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut output = String::new();
    for block in &blocks {
        let process = Process::command("bash")
            .args(["-euo", "pipefail", "-c", block])
            .env("SOURCE", connstr(0))
            .env("TARGET", connstr(1))
            .env("PATH", &path)
            .current_dir(dir.path())
            .run(Duration::from_secs(120))
            .await?;
        ensure!(
            process.status().is_some_and(|s| s.success()),
            "this block failed:\n{block}\n{}\n--- logs\n{}",
            process.output(),
            logs(dir.path())
        );
        output.push_str(&process.output());
    }
    // 1000 rows less one; ten of them a hundred higher.
    let sum: i64 = (1..=1000).map(|g| g % 7).sum::<i64>() + 1000 - 500 % 7;
    ensure!(output.contains(&format!("999 | {sum:>4}")), "{output}");
    ensure!(output.contains("public.orders") && output.contains("999 rows"), "{output}");
    Ok(())
}

fn logs(dir: &std::path::Path) -> String {
    ["pgqd.log", "source.log", "target.log"]
        .iter()
        .map(|name| format!("== {name}\n{}\n", std::fs::read_to_string(dir.join(name)).unwrap_or_default()))
        .collect()
}
