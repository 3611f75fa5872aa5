//! Random histories on captured tables: sessions that get in each other's way, changed definitions, savepoints, prepared
//! transactions, odd settings, rotations. Their events, replayed on a second database by an interpreter of this test's own,
//! must give the same rows, and each committed change must have its event.
//!
//! The seed is printed. `CAPTURE_RANDOM_SEED` repeats it, `CAPTURE_RANDOM_SECONDS` goes on with the seeds after it,
//! `CAPTURE_RANDOM_FORM` keeps to one form of capture.

mod captured;
mod change;
mod definitions;
mod dice;
mod generate;
mod kinds;
mod mirror;
mod oracle;
mod play;
mod postponed;
mod refusals;
mod session;
mod setup;
mod shorten;
mod stage;
mod step;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cluster::Cluster;

use crate::play::Played;
use crate::step::{Form, Setup, Step};

/// The histories of every ordinary run begin here.
const DEFAULT_SEED: u64 = 1;

/// Histories of an ordinary run; `CAPTURE_RANDOM_SECONDS` runs as many as fit.
const HISTORIES: u64 = 4;

/// For how long a failing history is made shorter.
const SHORTENING: Duration = Duration::from_secs(90);

fn number(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value.parse().with_context(|| format!("{name}={value}"))?)),
        Err(_) => Ok(None),
    }
}

/// Locales that write money in other ways than C does. Which of them there are depends on the machine: Debian installs none, and their
/// sources only.
const MONEY: &[&str] = &["'de_DE.UTF-8'", "'en_US.UTF-8'", "'ja_JP.UTF-8'"];

/// Values for `lc_monetary`, as many on every machine: what a seed makes up must not depend on it.
async fn money(cluster: &Cluster) -> Result<Vec<&'static str>> {
    let server = testkit::connect(&cluster.connstr("postgres")).await?;
    let mut values = Vec::new();
    for name in MONEY {
        let known = server.batch_execute(&format!("set lc_monetary = {name}")).await.is_ok();
        values.push(if known { *name } else { "'C'" });
    }
    Ok(values)
}

async fn start() -> Result<Cluster> {
    let cluster = testkit::own_cluster(|b| {
        b.conf("wal_level = logical")
            .conf("max_prepared_transactions = 50")
            .conf("autovacuum = off")
            .conf("deadlock_timeout = '20ms'")
            .conf("fsync = off")
    })
    .await?;
    let source = testkit::connect(&testkit::database_on(&cluster, stage::TEMPLATE)?).await?;
    cluster.create_database("template_mirror")?;
    let mirror = testkit::connect(&cluster.connstr("template_mirror")).await?;
    setup::templates(&source, &mirror).await?;
    Ok(cluster)
}

fn script(setup: &Setup, steps: &[Step]) -> String {
    let mut text = String::new();
    for sql in setup.both.iter().chain(&setup.source) {
        text.push_str(&format!("{sql};\n"));
    }
    for (nr, sql) in setup.sessions.iter().enumerate() {
        text.push_str(&format!("/* {nr} */ {sql}\n"));
    }
    for step in steps {
        text.push_str(&format!("{step}\n"));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_change_arrives_once_and_in_order() -> Result<()> {
    let seed = number("CAPTURE_RANDOM_SEED")?.unwrap_or(DEFAULT_SEED);
    let seconds = number("CAPTURE_RANDOM_SECONDS")?;
    let forms = match std::env::var("CAPTURE_RANDOM_FORM") {
        Ok(name) => vec![Form::parse(&name).with_context(|| format!("CAPTURE_RANDOM_FORM={name}"))?],
        Err(_) => vec![Form::Row, Form::Statement, Form::Row, Form::Generic],
    };
    println!("CAPTURE_RANDOM_SEED={seed}");
    let cluster = start().await?;
    let money = money(&cluster).await?;
    let began = Instant::now();
    let mut total = Played::default();
    let mut histories = 0;
    while seconds.map_or(histories < HISTORIES, |s| began.elapsed() < Duration::from_secs(s)) {
        let this = seed.wrapping_add(histories);
        let form = forms[usize::try_from(this % 4)? % forms.len()];
        let (mut steps, mut setup) = (Vec::new(), None);
        let played = match play::play(&cluster, this, form, &mut steps, &mut setup, &money).await {
            Ok(played) => played,
            Err(error) => return told(&cluster, setup.context("no set-up")?, steps, error).await,
        };
        histories += 1;
        total.steps += played.steps;
        total.succeeded += played.succeeded;
        total.replayed += played.replayed;
        total.batches += played.batches;
        total.waited += played.waited;
    }
    println!("{histories} histories in {:?}: {total:?}", began.elapsed());
    // a generator whose statements fail proves nothing
    ensure!(total.succeeded * 2 > total.steps, "most steps fail: {total:?}");
    ensure!(total.replayed > total.steps / 5 && total.waited > 0, "hardly anything was captured: {total:?}");
    Ok(())
}

/// Shows the shortest history that fails as this one did.
async fn told(cluster: &Cluster, setup: Setup, steps: Vec<Step>, error: anyhow::Error) -> Result<()> {
    let seed = setup.seed;
    let context = format!("repeat with CAPTURE_RANDOM_SEED={seed} CAPTURE_RANDOM_FORM={}", setup.form);
    let Some(wrong) = play::wrong(&error) else {
        let log = cluster.log();
        eprintln!("{}", log.lines().rev().take(30).collect::<Vec<_>>().join("\n"));
        let last: Vec<String> = steps.iter().rev().take(5).map(ToString::to_string).collect();
        return Err(error
            .context(format!("last steps, the newest first:\n{}", last.join("\n")))
            .context(context));
    };
    eprintln!("{error:#}\n{context}\n{} steps; looking for fewer", steps.len());
    let shorter = match play::again(cluster, &setup, &steps).await {
        Err(again) if play::wrong(&again) == Some(wrong) => {
            shorten::shorten(cluster, &setup, steps, wrong, SHORTENING).await?
        }
        // who wakes first when two wait for one lock is not in our hands
        _ => {
            eprintln!("the same steps in the same order did not fail again");
            steps
        }
    };
    eprintln!("--- seed {seed}, {} steps\n{}---", shorter.len(), script(&setup, &shorter));
    if let Err(error) = play::again(cluster, &setup, &shorter).await {
        eprintln!("{error:#}");
    }
    bail!("{error:#}\n{context}")
}
