//! What a ticker costs while nothing happens: 100 queues in 10 databases.
//!
//! Little is written then, so whatever else the server does would be the figure. What the set-up leaves to autovacuum is done
//! before, queues are let come to rest, and both contenders run at the same time, each with its server. A window
//! begins with a checkpoint: the first change of a page after one is logged with the whole page, which is most of the WAL of a
//! server at rest. So the window to measure with is the time from one to the next, five minutes by default.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Cluster;
use skytools::install::Module;

use crate::peers::Tools;
use crate::program::{Daemon, children, cpu_seconds};
use crate::report::{Better, Report, Target, figures};
use crate::{Settings, ground, workplace};

const DATABASES: u32 = 10;
const QUEUES: u32 = 10;
/// Between the daemons' start and the first window. A fresh queue ticks at intervals that double from 1.5 s to a minute.
const SETTLE: u32 = 180;

/// One contender at work.
struct Side<'a> {
    cluster: &'a Cluster,
    daemon: Daemon,
}

/// What was used since the beginning, or in one window.
#[derive(Debug, Clone, Copy)]
struct Used {
    /// Seconds of a processor.
    daemon: f64,
    /// Seconds of a processor.
    server: f64,
    /// Bytes.
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
    for cluster in &clusters {
        come_to_rest(cluster)?;
    }
    let dir = workplace::directory()?;
    let mut ours = Command::new(&skytools);
    ours.arg("pgqd");
    let mut sides = [
        Side::start(&clusters[0], Command::new(&debian), &dir.path().join("original.ini"))?,
        Side::start(&clusters[1], ours, &dir.path().join("ours.ini"))?,
    ];
    pause(settings.window.min(SETTLE));
    let mut runs = [Vec::new(), Vec::new()];
    for _ in 0..settings.rounds.max(1) {
        for side in &sides {
            side.cluster.psql("postgres", "checkpoint")?;
        }
        let before = [sides[0].used()?, sides[1].used()?];
        pause(settings.window);
        for (at, side) in sides.iter_mut().enumerate() {
            runs[at].push(side.used()?.since(before[at]));
        }
    }
    for side in sides {
        side.daemon.stop()?;
    }
    let names = [format!("Debian's pgqd {version} on {}", versions[0]), format!("{} pgqd", versions[1])];
    type Field = fn(Used) -> f64;
    let shown: [(&str, &'static str, &[Target], Field); 3] = [
        ("processor time of the daemon", "% of a core", &[Target::AtMost(1.0)], |used| used.daemon * 100.0),
        ("processor time of the server's processes", "% of a core", &[], |used| used.server * 100.0),
        ("WAL written", "KiB/min", &[Target::Ratio(0, 1.0)], |used| used.wal / 1024.0 * 60.0),
    ];
    for (what, unit, targets, field) in shown {
        Report {
            title: format!("idle, {} queues in {DATABASES} databases: {what}", DATABASES * QUEUES),
            unit,
            better: Better::Lower,
            reference: 0,
            figures: figures(&names, &runs, 1, targets, |used| field(*used) / f64::from(settings.window)),
        }
        .print(&settings.output);
    }
    Ok(())
}

/// Leaves nothing to autovacuum of what the set-up has written. What the statistics need themselves comes with the second run.
fn come_to_rest(cluster: &Cluster) -> Result<()> {
    let databases = cluster.psql("postgres", "select datname from pg_database where datallowconn")?;
    for db in databases.lines() {
        cluster.psql(db, "vacuum analyze")?;
        cluster.psql(db, "vacuum")?;
    }
    Ok(())
}

fn pause(seconds: u32) {
    std::thread::sleep(Duration::from_secs(seconds.into()));
}

impl<'a> Side<'a> {
    fn start(cluster: &'a Cluster, mut command: Command, ini: &Path) -> Result<Self> {
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
        let daemon = Daemon::start(command.arg(ini), &ini.with_extension("out"))?;
        Ok(Side { cluster, daemon })
    }

    fn used(&mut self) -> Result<Used> {
        self.daemon.check()?;
        let postmaster = self.cluster.postmaster_pid().context("a running server")?;
        let backends: Result<f64> =
            children(postmaster)?.into_iter().map(|p| cpu_seconds(p).or(Ok(0.0))).sum();
        // Not the position that was written last: without synchronous commits that one is whole pages behind.
        let wal =
            self.cluster.psql("postgres", "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")?;
        Ok(Used {
            daemon: cpu_seconds(self.daemon.pid())?,
            // Ended backends are in the postmaster's own account.
            server: backends? + cpu_seconds(postmaster)?,
            wal: wal.trim().parse()?,
        })
    }
}

impl Used {
    fn since(self, before: Used) -> Used {
        Used {
            daemon: self.daemon - before.daemon,
            server: self.server - before.server,
            wal: self.wal - before.wal,
        }
    }
}
