//! Publishing in bulk: many events of 200 bytes in one transaction.

use std::time::Instant;

use anyhow::{Result, ensure};
use pgq::{NewEvent, producer};
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::harness::{Comparison, Contender};
use crate::report::{Better, Target};
use crate::session::Session;

/// Events in one call of `pgq.insert_events`.
const CALL: u64 = 1000;

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let events = settings.scaled(500_000);
    let cluster = ground::cluster()?;
    let name = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    cluster.psql("ours", "select pgq.create_queue('q')")?;
    cluster.create_database("plain")?;
    cluster.psql("plain", "create table ev (ev_id bigserial, ev_time timestamptz not null, ev_txid bigint not null default txid_current(), ev_owner int, ev_retry int, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text); create index on ev (ev_txid)")?;
    let data = "x".repeat(200);
    // As far as psql is concerned the rows come from a file, like those of any bulk load.
    let file = tempfile::NamedTempFile::new()?;
    let line = format!("2020-01-01 00:00:00+00\ttype\t{data}\n");
    std::fs::write(file.path(), line.repeat(usize::try_from(events)?))?;
    let copy = format!("\\copy ev (ev_time, ev_type, ev_data) from '{}'", file.path().display());
    let mut producing = Session::open(&cluster, "ours")?;
    let calling = Session::open(&cluster, "ours")?;
    let call = calling.runtime.block_on(
        calling.connection.prepare("select count(*) from unnest(pgq.insert_events('q', $1, $2))"),
    )?;
    let cluster = &cluster;
    Comparison {
        title: format!("{events} events of 200 bytes in bulk"),
        unit: "s",
        better: Better::Lower,
        reference: 0,
        contenders: vec![
            Contender::peer("COPY into a plain table", || {
                cluster.psql("plain", "truncate ev")?;
                ground::seconds(cluster, "plain", &copy)
            }),
            Contender::ours(format!("{name} Rust producer"), &[Target::Ratio(0, 0.5)], || {
                cluster.psql("ours", "truncate pgq.event_1")?;
                let began = Instant::now();
                let all = (0..events).map(|_| NewEvent::new("type", data.as_str()));
                let Session { runtime, connection } = &mut producing;
                let client: &mut tokio_postgres::Client = connection;
                let written = runtime.block_on(producer::insert_events(client, "q", all))?;
                ensure!(written == events, "{written} of {events} events were written");
                Ok(began.elapsed().as_secs_f64())
            }),
            Contender::ours(
                format!("{name} pgq.insert_events, {CALL} a call"),
                &[Target::Ratio(0, 0.5)],
                || {
                    cluster.psql("ours", "truncate pgq.event_1")?;
                    let (types, datas) =
                        (vec!["type"; usize::try_from(CALL)?], vec![&data; usize::try_from(CALL)?]);
                    let began = Instant::now();
                    calling.execute("begin")?;
                    for _ in 0..events.div_ceil(CALL) {
                        let row = calling
                            .runtime
                            .block_on(calling.connection.query_one(&call, &[&types, &datas]))?;
                        let count: i64 = row.try_get(0)?;
                        ensure!(count == i64::try_from(CALL)?, "{count} events of one call");
                    }
                    calling.execute("commit")?;
                    Ok(began.elapsed().as_secs_f64())
                },
            ),
        ],
    }
    .run(settings.rounds, &settings.output)
}
