//! The play in order: prepare, load, add tables, copy while replaying, stop, catch up, compare, report.

use std::time::{Duration, Instant};

use serde_json::Value;
use skytools::db::ConnectString;
use skytools::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::args::Args;
use crate::copying;
use crate::load;
use crate::report::{self, Heading};
use crate::sample::{Sampler, wait_caught_up};
use crate::screen::Screen;
use crate::stage::{QUEUE, Stage, server_error};
use crate::verdict::{self, Side, Verdict};

const NAME: &str = "skytools-demo";

/// How long the target may need after the load has stopped, before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Plays the whole; whether all tables were identical.
///
/// # Errors
/// Anything that went wrong, with the step that it happened in.
pub async fn run(args: &Args) -> Result<bool> {
    let mut screen = Screen::new();
    screen.step("Starting two PostgreSQL clusters …");
    let mut stage = Stage::set_up(args)?;
    let outcome = play(args, &mut stage, &mut screen).await;
    screen.finish();
    stage.stop().await;
    if args.keep {
        eprint!("{}", stage.keep()?);
    }
    outcome
}

async fn play(args: &Args, stage: &mut Stage, screen: &mut Screen) -> Result<bool> {
    let pgbench = stage.source.installation().client_program("pgbench").map_err(server_error)?;
    let (source, target) = (stage.source_db()?, stage.target_db()?);

    screen.step(&format!("Filling the source: pgbench scale {}, and one table of every type …", args.scale));
    load::prepare(&pgbench, &source, args.scale).await?;

    screen.step("Creating the nodes, starting pgqd and the workers …");
    let location = |db: &ConnectString| db.to_conninfo();
    let root = ["londiste", "source.ini", "create-root", "source", &location(&source)].map(str::to_owned);
    stage.skytools(&root.each_ref().map(String::as_str)).await?;
    stage.start("pgqd", &["pgqd", "pgqd.ini"])?;
    let leaf = format!("--provider={}", location(&source));
    stage.skytools(&["londiste", "target.ini", "create-leaf", "target", &location(&target), &leaf]).await?;
    stage.start("worker-source", &["londiste", "source.ini", "worker"])?;
    stage.start("worker-target", &["londiste", "target.ini", "worker"])?;

    let source_look = source.connect(NAME).await?;
    let target_look = target.connect(NAME).await?;
    let totals = copying::totals(&source_look).await?;

    screen.step(&format!(
        "Load for {} s: pgbench with {} clients, and a writer of every type …",
        args.seconds, args.clients
    ));
    let sampler = Sampler::start(source.connect(NAME).await?, target.connect(NAME).await?, QUEUE);
    let began = Instant::now();
    let bench = load::pgbench(&pgbench, &source, args.clients, args.seconds)?;
    let (stop, stopped) = watch::channel(false);
    let writer = tokio::spawn(load::write_every_type(source.connect(NAME).await?, stopped));

    screen.step("Adding every table while the load runs …");
    let add = ["add-table", "--all", "--insert-only"];
    stage.skytools(&[&["londiste", "source.ini"], &add[..]].concat()).await?;
    // The names reach the target with the queue, in order: wait for them, then subscribe to all.
    stage.skytools(&["londiste", "target.ini", "wait-root"]).await?;
    stage.skytools(&[&["londiste", "target.ini"], &add[..], &["--create"]].concat()).await?;

    let mut copied_after = None;
    let mut bench = std::pin::pin!(load::finish(bench));
    let mut tps = None;
    let mut load_ended = None;
    let deadline = Instant::now() + Duration::from_secs(args.seconds) + PATIENCE;
    while load_ended.is_none() || copied_after.is_none() {
        stage.check()?;
        if let Some(sample) = sampler.latest()? {
            screen.sample(&sample);
        }
        if copied_after.is_none() {
            let copies = copying::look(&target_look, &totals).await?;
            screen.copies(&copies);
            if copies.len() >= totals.len() && copies.iter().all(copying::TableCopy::in_sync) {
                copied_after = Some(began.elapsed());
                screen.step(&format!(
                    "Every table is in sync {:.1} s after the load began.",
                    began.elapsed().as_secs_f64()
                ));
            }
        }
        if Instant::now() > deadline {
            return Err(Error::state("the initial copies did not finish in time")
                .hint("run again with --keep and read worker-target.log"));
        }
        if load_ended.is_none() {
            tokio::select! {
                ended = &mut bench => {
                    tps = ended?;
                    load_ended = Some(Instant::now());
                    stop.send_replace(true);
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let rounds =
        writer.await.map_err(|e| Error::new(ErrorKind::Internal, "the writer broke").with_source(e))??;
    screen.step(&format!(
        "Load ended: pgbench {}; {rounds} mixed transactions on the table of every type. Catching up …",
        tps.map_or_else(|| "without a rate".to_owned(), |tps| format!("{tps:.0} transactions/s")),
    ));
    let ended = load_ended.unwrap_or_else(Instant::now);
    wait_caught_up(&source_look, &target_look, QUEUE, PATIENCE, || {
        stage.check()?;
        if let Some(sample) = sampler.latest()? {
            screen.sample(&sample);
        }
        Ok(())
    })
    .await?;
    let caught_up_after = ended.elapsed().as_secs_f64();
    let samples = sampler.finish().await?;
    screen.finish();

    screen.step("Comparing every table …");
    let verdicts = compare(stage, totals.len()).await?;
    let heading = Heading {
        servers: (server_name(&source_look).await?, server_name(&target_look).await?),
        seconds: args.seconds,
        load: (args.scale, args.clients),
        tps,
        copied_after: copied_after.unwrap_or_default().as_secs_f64(),
        caught_up_after,
    };
    let page = report::render(&heading, &samples, &verdicts);
    std::fs::write(&args.report, page).map_err(|e| {
        Error::new(ErrorKind::System, format!("cannot write {}", args.report.display())).with_source(e)
    })?;
    let identical = verdicts.iter().all(Verdict::identical);
    print!("\n{}\n", verdict::render(&verdicts));
    println!(
        "{}: {} tables, {} rows; caught up {caught_up_after:.1} s after the load ended; report: {}",
        if identical { "identical" } else { "DIFFERENT" },
        verdicts.len(),
        verdicts.iter().map(|v| v.source.rows).sum::<i64>(),
        args.report.display()
    );
    Ok(identical)
}

async fn server_name(db: &skytools::db::Connection) -> Result<String> {
    Ok(format!("PostgreSQL {}", db.query_one("show server_version", &[]).await?.get::<_, String>(0)))
}

/// Runs `londiste compare` over every table, as an operator would, and reads what it found.
async fn compare(stage: &mut Stage, expected: usize) -> Result<Vec<Verdict>> {
    let output = stage.run(&["londiste", "target.ini", "compare", "--json"]).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let verdicts = parse(&text).map_err(|e| {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        e.context(format!("`londiste compare` ({}) did not tell: {}", output.status, stderr.trim()))
    })?;
    if verdicts.len() != expected {
        return Err(Error::state(format!("{} of {expected} tables were compared", verdicts.len()))
            .hint("run again with --keep, then `skytools londiste target.ini tables`"));
    }
    Ok(verdicts)
}

fn parse(text: &str) -> Result<Vec<Verdict>> {
    let bad = |what: &str| Error::data(format!("the comparison's JSON has no {what}"));
    let value: Value =
        serde_json::from_str(text).map_err(|e| Error::data("the comparison is not JSON").with_source(e))?;
    let side = |table: &Value, key: &str| -> Result<Side> {
        let side = table.get(key).ok_or_else(|| bad(key))?;
        let rows = side.get("rows").and_then(Value::as_i64).ok_or_else(|| bad("rows"))?;
        let checksum = match side.get("checksum") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => "-".to_owned(),
            Some(other) => other.to_string(),
        };
        Ok(Side { rows, checksum })
    };
    value
        .as_array()
        .ok_or_else(|| bad("list"))?
        .iter()
        .map(|table| {
            let name = table.get("table").and_then(Value::as_str).ok_or_else(|| bad("table"))?;
            Ok(Verdict {
                table: name.to_owned(),
                source: side(table, "source")?,
                target: side(table, "target")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn comparison_is_read_strictly() {
        let text = r#"[{"table":"public.a","source":{"rows":2,"checksum":"-7"},"target":{"rows":2,"checksum":null}}]"#;
        let verdicts = parse(text).unwrap();
        assert_eq!(verdicts[0].source.checksum, "-7");
        assert!(!verdicts[0].identical());
        for bad in ["", "{}", "[{}]", r#"[{"table":"a","source":{}}]"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
