//! How far replication is behind while 64 clients of pgbench write.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;

use crate::Settings;
use crate::harness::rotate;
use crate::nodes::Servers;
use crate::program::{succeed, wait_until};
use crate::replicas::{OURS, Replicas, databases};
use crate::report::{Better, Report, Target, figures, quantiles};
use crate::session::Session;

const CLIENTS: &str = "64";
/// How often the heartbeat is written, and how often the target is looked at.
const BEAT: Duration = Duration::from_millis(50);
/// The load's first moments are left out: connections are made, caches fill.
const WARM: Duration = Duration::from_secs(1);

/// What one run gave.
struct Run {
    median: f64,
    max: f64,
    tps: f64,
    drained: f64,
}

/// Runs the comparison.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let servers = Servers::start()?;
    let scale = settings.scaled(10);
    // pgbench_history has no key; londiste refuses it, so nobody replicates it.
    let tables: Vec<String> = ["pgbench_accounts", "pgbench_tellers", "pgbench_branches", "beat"]
        .map(|t| format!("public.{t}"))
        .to_vec();
    for db in databases(settings) {
        servers.create(db, "create table beat (id int primary key, at timestamptz not null)")?;
        pgbench(&servers.source, db, &["-i", "-q", "-s", &scale.to_string()])?;
        pgbench(&servers.target, db, &["-i", "-q", "-I", "dtp"])?;
        servers.source.psql(db, "insert into beat values (1, now())")?;
    }
    let mut replicas = Replicas::start(&servers, settings, &tables)?;
    let runs = rotate(replicas.names.len(), settings.rounds, |at| {
        let run = measure(&servers, replicas.databases[at], settings)?;
        replicas.check()?;
        Ok(run)
    })?;
    let load = match settings.rate {
        0 => "as fast as they can".to_owned(),
        rate => format!("at {rate} transactions/s"),
    };
    type Field = fn(&Run) -> f64;
    let shown: [(&str, &'static str, Better, &[Target], Field); 4] = [
        ("median lag", "s", Better::Lower, &[], |r| r.median),
        ("largest lag", "s", Better::Lower, &[Target::NeverAbove(1.0)], |r| r.max),
        ("the load itself", "tps", Better::Higher, &[], |r| r.tps),
        ("caught up after the load's end", "s", Better::Lower, &[], |r| r.drained),
    ];
    for (what, unit, better, targets, field) in shown {
        Report {
            title: format!("{CLIENTS} clients of pgbench {load}: {what}"),
            unit,
            better,
            reference: 0,
            figures: figures(&replicas.names, &runs, OURS, targets, field),
        }
        .print(&settings.output);
    }
    Ok(())
}

fn pgbench_command(cluster: &Cluster, db: &str) -> Result<Command> {
    let mut command = Command::new(cluster.installation().client_program("pgbench")?);
    command
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", "postgres")
        .env("PGDATABASE", db);
    Ok(command)
}

fn pgbench(cluster: &Cluster, db: &str, args: &[&str]) -> Result<()> {
    succeed(pgbench_command(cluster, db)?.args(args)).map(drop)
}

/// One load with the heartbeat beside it.
fn measure(servers: &Servers, db: &str, settings: &Settings) -> Result<Run> {
    let source = Session::open(&servers.source, db)?;
    let target = Session::open(&servers.target, db)?;
    // A heartbeat left from before would be taken for lag.
    caught_up(&source, &target)?;
    let mut command = pgbench_command(&servers.source, db)?;
    command.args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "2", "-T", &settings.seconds.to_string()]);
    if settings.rate > 0 {
        command.args(["-R", &settings.rate.to_string()]);
    }
    let began = Instant::now();
    let mut load = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lags: Vec<f64> = Vec::new();
    // The output is a few lines, which the pipe holds until the end.
    while load.try_wait()?.is_none() {
        source.execute("update beat set at = clock_timestamp()")?;
        std::thread::sleep(BEAT);
        // Both servers have the same clock.
        let lag: f64 = target.value("select extract(epoch from clock_timestamp() - at)::float8 from beat")?;
        if began.elapsed() > WARM {
            lags.push(lag);
        }
    }
    let output = load.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let tps = text
        .lines()
        .find_map(|l| l.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("no rate in pgbench's output: {text}"))?;
    let ended = Instant::now();
    caught_up(&source, &target)?;
    let drained = ended.elapsed().as_secs_f64();
    servers.must_agree(db, "pgbench_accounts")?;
    ensure!(!lags.is_empty(), "the load was shorter than {WARM:?}; give it more --seconds");
    Ok(Run { median: quantiles(&lags)[1], max: lags.iter().copied().fold(0.0, f64::max), tps, drained })
}

/// Writes a heartbeat and waits until it has arrived.
fn caught_up(source: &Session, target: &Session) -> Result<()> {
    source.execute("update beat set at = clock_timestamp()")?;
    let last: String = source.value("select at::text from beat")?;
    wait_until("the target has caught up", || target.value(&format!("select at = '{last}' from beat")))
}
