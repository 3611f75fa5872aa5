//! What a ticker costs while nothing happens: 100 queues in 10 databases.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use skytools::install::Module;

use crate::harness::{Better, Report, figures, rotate};
use crate::peers::Tools;
use crate::program::{Daemon, children, cpu_seconds};
use crate::{Settings, ground, workplace};

const DATABASES: u32 = 10;
const QUEUES: u32 = 10;
/// Between the daemon's start and the window: it looks for databases and makes its first ticks.
const SETTLE: Duration = Duration::from_secs(5);

/// What one window gave, per minute.
struct Window {
    daemon: f64,
    server: f64,
    wal: f64,
}

/// Runs the comparison.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let (debian, version) = Tools::debian_pgqd()?;
    let skytools = settings.tools.skytools()?;
    // A server each: WAL is counted per server.
    let clusters = [ground::cluster()?, ground::cluster()?];
    let mut versions = [String::new(), String::new()];
    for n in 1..=DATABASES {
        let db = format!("db{n}");
        versions[0] = ground::original(&clusters[0], &db)?;
        versions[1] = ground::ours(&clusters[1], &db, &[Module::Pgq])?;
        for cluster in &clusters {
            let queues: String =
                (1..=QUEUES).map(|q| format!("select pgq.create_queue('queue{q}');")).collect();
            cluster.psql(&db, &queues)?;
        }
    }
    let dir = workplace::directory()?;
    let runs = rotate(clusters.len(), settings.rounds, |at| {
        let command = match at {
            0 => Command::new(&debian),
            _ => {
                let mut command = Command::new(&skytools);
                command.arg("pgqd");
                command
            }
        };
        window(&clusters[at], command, &dir.path().join(format!("pgqd{at}.ini")), settings.window)
    })?;
    let names = [format!("Debian's pgqd {version} on {}", versions[0]), format!("{} pgqd", versions[1])];
    type Field = fn(&Window) -> f64;
    let shown: [(&str, &'static str, Field); 3] = [
        ("processor time of the daemon", "% of a core", |w| w.daemon),
        ("processor time of the server's processes", "% of a core", |w| w.server),
        ("WAL written", "KiB/min", |w| w.wal),
    ];
    for (what, unit, field) in shown {
        Report {
            title: format!("idle, {} queues in {DATABASES} databases: {what}", DATABASES * QUEUES),
            unit,
            better: Better::Lower,
            reference: 0,
            // Of WAL no more than the original's; the daemon's share is judged by its absolute value.
            figures: figures(&names, &runs, 1, if unit == "KiB/min" { 1.0 } else { 0.0 }, field),
        }
        .print(settings.json);
    }
    Ok(())
}

fn window(cluster: &Cluster, mut command: Command, ini: &Path, seconds: u32) -> Result<Window> {
    let all = cluster.connstr("postgres");
    let base = all.split(" dbname=").next().unwrap_or(&all);
    let place = ini.with_extension("");
    let place = place.display();
    std::fs::write(
        ini,
        format!(
            "[pgqd]\nbase_connstr = {base}\ninitial_database = postgres\nsyslog = 0\nlogfile = {place}.log\npidfile = {place}.pid\n"
        ),
    )?;
    let mut daemon = Daemon::start(command.arg(ini), &ini.with_extension("out"))?;
    std::thread::sleep(SETTLE);
    let server = || -> Result<f64> {
        let postmaster = cluster.postmaster_pid().context("a running server")?;
        let backends: Result<f64> =
            children(postmaster)?.into_iter().map(|p| cpu_seconds(p).or(Ok(0.0))).sum();
        // Ended backends are in the postmaster's own account.
        Ok(backends? + cpu_seconds(postmaster)?)
    };
    let wal = || -> Result<f64> {
        let bytes = cluster.psql("postgres", "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")?;
        Ok(bytes.trim().parse()?)
    };
    let before = (cpu_seconds(daemon.pid())?, server()?, wal()?);
    std::thread::sleep(Duration::from_secs(seconds.into()));
    daemon.check()?;
    let after = (cpu_seconds(daemon.pid())?, server()?, wal()?);
    daemon.stop()?;
    let minutes = f64::from(seconds) / 60.0;
    Ok(Window {
        daemon: (after.0 - before.0) / f64::from(seconds) * 100.0,
        server: (after.1 - before.1) / f64::from(seconds) * 100.0,
        wal: (after.2 - before.2) / 1024.0 / minutes,
    })
}
