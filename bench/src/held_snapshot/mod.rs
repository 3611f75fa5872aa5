//! Batches while somebody holds a snapshot: events are inserted and ticked, and consumers open and finish the batches.
//!
//! Each kind of consumer has databases of its own, with and without the snapshot, of ours and of the original. All of them are
//! under the same load while the snapshot is held, and then measured in turns.

mod consumers;
mod holder;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use cluster::Cluster;
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::harness::{Comparison, Contender, Windows};
use crate::report::{Better, Figure, Report, Role, Target};
use consumers::Consumers;
use holder::Holder;

/// How the snapshot is held.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Consumers of each kind.
    pub consumers: u32,
    /// The kinds.
    pub kinds: Vec<Kind>,
    /// Events per second in each database meanwhile.
    pub events: u32,
    /// Seconds before the first window.
    pub seconds: u32,
}

/// Kinds of consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Each reads every batch.
    Plain,
    /// They share the batches of one consumer.
    Cooperative,
    /// Each reads every batch, and keeps its position in a node as workers do.
    Cascaded,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Plain => "plain",
            Kind::Cooperative => "cooperative",
            Kind::Cascaded => "cascaded",
        })
    }
}

/// Events between two ticks under load: fifty ticks a second at the usual rate.
const EVENTS_LOADED: i32 = 40;
/// Events between two ticks in a window, where the batch is what counts.
const EVENTS_MEASURED: i32 = 2;
/// Between two rounds of maintenance under load.
const MAINTENANCE: Duration = Duration::from_secs(10);
/// Sessions that load the databases share this many threads.
const THREADS: usize = 2;

/// One database with its consumers.
struct Side {
    kind: Kind,
    name: String,
    role: Role,
    consumers: Consumers,
    /// Events per second while the snapshot was held.
    loaded: f64,
}

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let hold = &settings.hold;
    let cluster = ground::cluster()?;
    let mut holders = Vec::new();
    let mut sides = Vec::new();
    for &kind in &hold.kinds {
        for ours in [true, false] {
            // No package of the original has cooperative consumers.
            if !ours && kind == Kind::Cooperative {
                continue;
            }
            for held in [false, true] {
                let (db, version) = install(&cluster, kind, ours, held)?;
                let consumers = Consumers::open(&cluster, &db, kind, hold.consumers)?;
                if held {
                    // What a snapshot keeps from being removed, it keeps in its own database only.
                    holders.push(Holder::new(&cluster, &db)?);
                }
                let role = match (ours, held) {
                    (false, _) => Role::Peer,
                    (true, false) => Role::Ours(Vec::new()),
                    // The first of the kind is ours without the snapshot.
                    (true, true) => Role::Ours(vec![Target::Ratio(0, 0.95)]),
                };
                let name = format!("{version}, {}", if held { "snapshot held" } else { "no snapshot held" });
                sides.push(Side { kind, name, role, consumers, loaded: 0.0 });
            }
        }
    }
    load_all(&mut sides, hold)?;
    let windows = Windows::of(settings.rounds, settings.seconds);
    for kind in &hold.kinds {
        let sides: Vec<&Side> = sides.iter().filter(|s| s.kind == *kind).collect();
        compare(settings, *kind, &sides, windows)?;
    }
    holders.into_iter().try_for_each(Holder::release)
}

/// A database with what the kind needs; its name, and what is installed.
fn install(cluster: &Cluster, kind: Kind, ours: bool, held: bool) -> Result<(String, String)> {
    let db = format!("{kind}_{}_{}", if ours { "ours" } else { "orig" }, if held { "held" } else { "free" });
    let modules: &[Module] = match kind {
        Kind::Plain => &[Module::Pgq],
        Kind::Cooperative => &[Module::Pgq, Module::PgqCoop],
        Kind::Cascaded => &[Module::Pgq, Module::PgqNode],
    };
    let version = if ours { ground::ours(cluster, &db, modules)? } else { ground::original(cluster, &db)? };
    if !ours && kind == Kind::Cascaded {
        ground::extension(cluster, &db, "pgq_node", "pgq-node")?;
    }
    Ok((db, version))
}

fn compare(settings: &Settings, kind: Kind, sides: &[&Side], windows: Windows) -> Result<()> {
    let Hold { consumers, seconds, events, .. } = settings.hold;
    let loaded = |side: &&Side| Figure {
        name: side.name.clone(),
        runs: vec![side.loaded],
        // Told, so that the rest can be judged: who is slower has written less.
        role: if side.role == Role::Peer { Role::Peer } else { Role::Ours(Vec::new()) },
    };
    Report {
        title: format!("{consumers} {kind} consumers: load of at most {events} events/s for {seconds} s"),
        unit: "events/s",
        better: Better::Higher,
        reference: 0,
        figures: sides.iter().map(loaded).collect(),
    }
    .print(&settings.output);
    let contender = |side: &&'_ Side| (side.name.clone(), side.role.clone());
    Comparison {
        title: format!(
            "{consumers} {kind} consumers: insert {EVENTS_MEASURED} events, tick, open and finish the batch; snapshot held for {seconds} s of load and all windows"
        ),
        unit: "batches/s",
        better: Better::Higher,
        reference: 0,
        contenders: sides
            .iter()
            .map(|side| {
                let (name, role) = contender(side);
                Contender { name, role, measure: Box::new(|| side.consumers.rate(EVENTS_MEASURED, windows.length)) }
            })
            .collect(),
    }
    .run(windows.count, &settings.output)
}

/// Puts all databases under load until the time is over.
fn load_all(sides: &mut [Side], hold: &Hold) -> Result<()> {
    let mut shares: Vec<Vec<&mut Side>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (nr, side) in sides.iter_mut().enumerate() {
        shares[nr % THREADS].push(side);
    }
    thread::scope(|scope| {
        let threads: Vec<_> = shares
            .iter_mut()
            .enumerate()
            .map(|(processor, share)| scope.spawn(move || load(share, processor, hold)))
            .collect();
        threads.into_iter().try_for_each(|t| t.join().map_err(|_| anyhow!("a loading thread panicked"))?)
    })?;
    // From here on they take turns.
    sides.iter().try_for_each(|side| side.consumers.keep_to_processor(0))
}

/// What one database has been given.
struct Given {
    events: f64,
    time: Duration,
    maintained: Instant,
}

/// Loads some of the databases in turns, each at the wanted rate, as far as its share of the time goes.
fn load(sides: &mut [&mut Side], processor: usize, hold: &Hold) -> Result<()> {
    let length = Duration::from_secs(hold.seconds.into());
    let began = Instant::now();
    let mut given: Vec<Given> =
        sides.iter().map(|_| Given { events: 0.0, time: Duration::ZERO, maintained: began }).collect();
    for side in sides.iter() {
        side.consumers.keep_to_processor(processor)?;
    }
    let share = u32::try_from(sides.len().max(1))?;
    while began.elapsed() < length {
        let mut idle = true;
        for (side, given) in sides.iter().zip(&mut given) {
            let elapsed = began.elapsed();
            let wanted = f64::from(hold.events) * elapsed.as_secs_f64();
            // Who has become slow must not take the others' time.
            if given.events > wanted || given.time > elapsed / share {
                continue;
            }
            idle = false;
            let turn = Instant::now();
            side.consumers.once(EVENTS_LOADED)?;
            if given.maintained.elapsed() >= MAINTENANCE {
                side.consumers.maintain()?;
                given.maintained = Instant::now();
            }
            given.events += f64::from(EVENTS_LOADED);
            given.time += turn.elapsed();
        }
        if idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
    for (side, given) in sides.iter_mut().zip(given) {
        side.loaded = given.events / began.elapsed().as_secs_f64();
    }
    Ok(())
}
