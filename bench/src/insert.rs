//! Publishing: one event of 200 bytes per transaction, 4 clients; the same among 1 000 queues.

use anyhow::Result;
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::harness::{Better, Comparison, Contender, Windows};
use crate::session::Clients;

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    ground::ours(&cluster, "many", &[Module::Pgq])?;
    for db in ["orig", "ours", "many"] {
        cluster.psql(db, "select pgq.create_queue('q')")?;
    }
    // not in one transaction: so many locks need more memory than a default server has
    let others: String = (1..1000).map(|n| format!("select pgq.create_queue('queue {n}');\n")).collect();
    cluster.psql("many", &others)?;
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
    Comparison {
        title: "one event of 200 bytes per transaction, 4 clients".into(),
        unit: "tps",
        better: Better::Higher,
        reference: 0,
        contenders: vec![
            Contender::peer(format!("{original} insert_event"), measure("orig", &event)?),
            Contender::peer("plain INSERT", measure("plain", &row)?),
            Contender::ours(format!("{ours} insert_event"), 1.0, measure("ours", &event)?),
            Contender::ours(format!("{ours} insert_event, 1 000 queues"), 0.9, measure("many", &event)?),
        ],
    }
    .run(windows.count, settings.json)
}
