//! Replaying a backlog of inserts, updates and deletes.

use std::time::Instant;

use anyhow::Result;

use crate::Settings;
use crate::harness::rotate;
use crate::nodes::{ACC, Servers};
use crate::program::wait_until;
use crate::replicas::{OURS, Replicas, databases};
use crate::report::{Better, Report, Target, figures};
use crate::session::Session;

/// Runs the comparison.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let rows = settings.scaled(200_000);
    let servers = Servers::start()?;
    for db in databases(settings) {
        servers.create(db, &format!("create table acc {ACC}"))?;
    }
    let mut replicas = Replicas::start(&servers, settings, &["public.acc".to_owned()])?;
    let sessions: Vec<Session> =
        replicas.databases.iter().map(|db| Session::open(&servers.target, db)).collect::<Result<_>>()?;
    let mut run = 0_u32;
    let runs = rotate(replicas.names.len(), settings.rounds, |at| {
        run += 1;
        let db = replicas.databases[at];
        replicas.hold(at)?;
        servers.source.psql(db, &load(run, rows))?;
        // The backlog is complete, and can be replayed in full, before the clock starts.
        replicas.tick(at)?;
        let began = Instant::now();
        replicas.go_on(at)?;
        let last = format!("select exists (select from acc where id = -{run})");
        wait_until("the backlog is replayed", || {
            replicas.check_londiste()?;
            sessions[at].value(&last)
        })?;
        let seconds = began.elapsed().as_secs_f64();
        servers.must_agree(db, "acc")?;
        Ok(seconds)
    })?;
    let floors = [Target::Ratio(0, 2.5), Target::Ratio(OURS + 1, 9.0)];
    Report {
        title: format!("replay of {rows} inserts, {rows} updates, {} deletes", rows / 2),
        unit: "s",
        better: Better::Lower,
        reference: 0,
        // The original comes last, or not at all.
        figures: figures(&replicas.names, &runs, OURS, &floors[..replicas.names.len() - 1], |seconds| {
            *seconds
        }),
    }
    .print(&settings.output);
    Ok(())
}

/// The backlog of one run, in four transactions; the row with a negative id tells that all of it has arrived.
fn load(run: u32, rows: u64) -> String {
    let first = u64::from(run) * 10_000_000;
    format!(
        "insert into acc select {first} + g, g % 100, 'name of row ' || g, g % 1000 * 1.25, repeat('n', 40), '2020-01-01' from generate_series(1, {rows}) g;
         update acc set balance = balance + 1, note = 'changed' where id > {first};
         delete from acc where id > {first} and id % 2 = 0;
         insert into acc (id, grp, balance) values (-{run}, 0, 0);"
    )
}
