//! One row with a value of 20 MB.

use std::time::Instant;

use anyhow::{Result, ensure};
use cluster::Cluster;

use super::Kind;
use crate::Settings;
use crate::harness::{Comparison, Contender};
use crate::report::{Better, Target};
use crate::session::Session;

const BYTES: u32 = 20_000_000;
/// Seconds that none may need.
const LIMIT: f64 = 3.0;

/// What the value consists of, and SQL that makes it of a number of bytes.
const VALUES: [(&str, &str); 3] = [
    ("ASCII", "repeat('abcdefghij0123456789', $1 / 20 + 1)"),
    // Encoded, each becomes three.
    ("signs to encode", "repeat('%&=+', $1 / 4 + 1)"),
    // Every ideograph of the oldest block in turn, in three bytes each.
    (
        "20 000 different characters",
        "repeat((select string_agg(chr(19968 + n * 7919 % 20976), '') from generate_series(0, 20975) n), $1 / 62928 + 1)",
    ),
];

/// The C extension first, and the forms of ours.
pub fn run(settings: &Settings, cluster: &Cluster, kinds: &[Kind]) -> Result<()> {
    let bytes = settings.scaled(BYTES);
    let limit = [Target::AtMost(LIMIT)];
    for kind in kinds {
        // What is read to be written costs the same everywhere, and little.
        cluster.psql(
            kind.db,
            "create table made (what text, v text); alter table made alter v set storage external",
        )?;
        kind.create(
            cluster,
            "big",
            "create table big (id int primary key, v text); alter table big alter v set storage external",
        )?;
        for (what, sql) in VALUES {
            let value = sql.replace("$1", &bytes.to_string());
            cluster.psql(kind.db, &format!("insert into made select '{what}', {value}"))?;
        }
    }
    for (what, _) in VALUES {
        let mut contenders = Vec::new();
        for kind in kinds {
            let session = Session::open(cluster, kind.db)?;
            session.keep_to_processor(0)?;
            let measure = move || {
                session.execute("truncate big; truncate pgq.event_1")?;
                let began = Instant::now();
                session.execute(&format!("insert into big select 1, v from made where what = '{what}'"))?;
                let seconds = began.elapsed().as_secs_f64();
                let events: i64 = session.value("select count(*) from pgq.event_1")?;
                ensure!(events == 1, "{events} events of one row");
                Ok(seconds)
            };
            contenders.push(Contender {
                name: kind.name.clone(),
                role: kind.role([&limit, &limit, &limit]),
                measure: Box::new(measure),
            });
        }
        Comparison {
            title: format!("capture, one value of {bytes} bytes: {what}"),
            unit: "s",
            better: Better::Lower,
            reference: 0,
            contenders,
        }
        .run(settings.rounds, &settings.output)?;
    }
    Ok(())
}
