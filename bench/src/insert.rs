//! Publishing: one event of 200 bytes per transaction, 4 clients; the same among 1 000 queues, and what those cost a session
//! before its first event.

use std::time::Instant;

use anyhow::Result;
use cluster::Cluster;
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::harness::{Comparison, Contender, Windows};
use crate::report::{Better, Target, quantiles};
use crate::session::{Clients, Session};

/// Queues in the databases with many.
const QUEUES: u32 = 1000;
/// Sessions that one value of the first event is the median of.
const SESSIONS: usize = 9;
/// Differences of a few tenths need more than the usual number of rounds.
const ROUNDS: usize = 7;
/// Milliseconds that a session may need more for that many queues.
const MORE: f64 = 2.0;

/// Megabytes, likewise.
const MORE_MEMORY: f64 = 1.0;

/// Runs the comparisons.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    ground::original(&cluster, "orig_many")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    ground::ours(&cluster, "many", &[Module::Pgq])?;
    for db in ["orig", "orig_many", "ours", "many"] {
        cluster.psql(db, "select pgq.create_queue('q')")?;
    }
    // not in one transaction: so many locks need more memory than a default server has
    let others: String = (1..QUEUES).map(|n| format!("select pgq.create_queue('queue {n}');\n")).collect();
    for db in ["orig_many", "many"] {
        cluster.psql(db, &others)?;
    }
    cluster.create_database("plain")?;
    cluster.psql("plain", "create table ev (ev_id bigserial, ev_time timestamptz not null, ev_txid bigint not null default txid_current(), ev_type text, ev_data text); create index on ev (ev_txid)")?;
    let data = "x".repeat(200);
    let event = format!("select pgq.insert_event('q', 'type', '{data}')");
    let row = format!("insert into ev (ev_time, ev_type, ev_data) values (now(), 'type', '{data}')");
    let windows = Windows::of(settings.rounds, settings.seconds);
    let measure = |db: &str, sql: &str| {
        let mut clients = Clients::open(&cluster, db, sql, 4)?;
        anyhow::Ok(move || clients.rate(windows.length))
    };
    let many = format!("{ours} insert_event, {QUEUES} queues");
    Comparison {
        title: "one event of 200 bytes per transaction, 4 clients".into(),
        unit: "tps",
        better: Better::Higher,
        reference: 0,
        contenders: vec![
            Contender::peer(format!("{original} insert_event"), measure("orig", &event)?),
            Contender::peer("plain INSERT", measure("plain", &row)?),
            Contender::ours(
                format!("{ours} insert_event"),
                &[Target::Ratio(0, 1.0)],
                measure("ours", &event)?,
            ),
            Contender::ours(&many, &[Target::Ratio(0, 0.9)], measure("many", &event)?),
        ],
    }
    .run(windows.count, &settings.output)?;
    let first = |db: &'static str| {
        let (cluster, event) = (&cluster, &event);
        move || first_event(cluster, db, event)
    };
    Comparison {
        title: "the first event of a session".into(),
        unit: "ms",
        better: Better::Lower,
        reference: 0,
        contenders: vec![
            Contender::peer(format!("{original} insert_event"), first("orig")),
            Contender::peer(format!("{original} insert_event, {QUEUES} queues"), first("orig_many")),
            Contender::ours(format!("{ours} insert_event"), &[], first("ours")),
            Contender::ours(&many, &[Target::AtMostAbove(2, MORE)], first("many")),
        ],
    }
    .run(settings.rounds.max(ROUNDS), &settings.output)?;
    let memory = |db: &'static str| {
        let (cluster, event) = (&cluster, &event);
        move || memory(cluster, db, event)
    };
    Comparison {
        title: "memory of a session that has written an event".into(),
        unit: "MB",
        better: Better::Lower,
        reference: 0,
        contenders: vec![
            Contender::peer(format!("{original} insert_event"), memory("orig")),
            Contender::peer(format!("{original} insert_event, {QUEUES} queues"), memory("orig_many")),
            Contender::ours(format!("{ours} insert_event"), &[], memory("ours")),
            Contender::ours(&many, &[Target::AtMostAbove(2, MORE_MEMORY)], memory("many")),
        ],
    }
    .run(1, &settings.output)
}

/// Milliseconds of the first call in a session, without connecting.
fn first_event(cluster: &Cluster, db: &str, event: &str) -> Result<f64> {
    let mut values = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let session = Session::open(cluster, db)?;
        session.keep_to_processor(0)?;
        let began = Instant::now();
        session.execute(event)?;
        values.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantiles(&values)[1])
}

/// Megabytes that a session holds after two events.
fn memory(cluster: &Cluster, db: &str, event: &str) -> Result<f64> {
    let session = Session::open(cluster, db)?;
    for _ in 0..2 {
        session.execute(event)?;
    }
    session.value("select sum(total_bytes)::float8 / 1e6 from pg_backend_memory_contexts")
}
