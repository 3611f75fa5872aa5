//! Replaying a backlog of inserts, updates and deletes.

use std::time::Instant;

use anyhow::Result;

use crate::Settings;
use crate::harness::{Better, Report, figures, rotate};
use crate::nodes::{ACC, Kind, Londiste, Native, Servers};
use crate::program::wait_until;
use crate::session::Session;

/// Runs the comparison.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let rows = settings.scaled(200_000);
    let servers = Servers::start()?;
    let tables = vec!["public.acc".to_owned()];
    for db in ["native", "python", "ours"] {
        servers.create(db, &format!("create table acc {ACC}"))?;
    }
    let native = Native::publish(&servers, "native", &tables)?;
    native.subscribe(true)?;
    let mut python = Londiste::start(&servers, &settings.tools, Kind::Python, "python")?;
    let mut ours = Londiste::start(&servers, &settings.tools, Kind::Ours, "ours")?;
    for londiste in [&mut python, &mut ours] {
        londiste.publish(&tables)?;
        londiste.subscribe(&tables)?;
    }
    let names =
        [format!("{} logical replication", servers.version()), python.name.clone(), ours.name.clone()];
    let sessions = ["native", "python", "ours"].map(|db| Session::open(&servers.target, db));
    let mut run = 0_u32;
    let runs = rotate(names.len(), settings.rounds, |at| {
        run += 1;
        let db = ["native", "python", "ours"][at];
        let target = sessions[at].as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let mut londiste = [None, Some(&mut python), Some(&mut ours)].into_iter().nth(at).flatten();
        match &mut londiste {
            None => native.enable(false)?,
            Some(londiste) => londiste.stop_leaf()?,
        }
        servers.source.psql(db, &load(run, rows))?;
        // The backlog is complete, and can be replayed in full, before the clock starts.
        if let Some(londiste) = &londiste {
            londiste.tick()?;
        }
        let began = Instant::now();
        match &mut londiste {
            None => native.enable(true)?,
            Some(londiste) => londiste.start_leaf()?,
        }
        let last = format!("select exists (select from acc where id = -{run})");
        wait_until("the backlog is replayed", || {
            if let Some(londiste) = &mut londiste {
                londiste.check()?;
            }
            target.value(&last)
        })?;
        let seconds = began.elapsed().as_secs_f64();
        servers.must_agree(db, "acc")?;
        Ok(seconds)
    })?;
    for (reference, floor) in [(0, 2.5), (1, 9.0)] {
        Report {
            title: format!(
                "replay of {rows} inserts, {rows} updates, {} deletes, against {}",
                rows / 2,
                names[reference]
            ),
            unit: "s",
            better: Better::Lower,
            reference,
            figures: figures(&names, &runs, 2, floor, |seconds| *seconds),
        }
        .print(settings.json);
    }
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
