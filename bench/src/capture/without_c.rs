//! The generic trigger against the original's build without C, which does the same by the same means.

use std::time::Instant;

use anyhow::Result;
use cluster::Cluster;

use super::Kind;
use crate::Settings;
use crate::harness::{Comparison, Contender};
use crate::report::{Better, Target};
use crate::session::Session;

/// The build without C takes more than half a millisecond for each.
const ROWS: u32 = 5000;

/// The build without C, the C extension, and the generic form.
pub fn run(settings: &Settings, cluster: &Cluster, kinds: &[Kind; 3]) -> Result<()> {
    let rows = settings.scaled(ROWS);
    let insert = format!(
        "insert into acc (id, grp, name, balance, note) select g, g % 10, 'name ' || g, g * 1.25, 'some note' from generate_series(1, {rows}) g"
    );
    for (what, empty, sql) in [
        ("INSERT", "truncate acc", insert.as_str()),
        ("UPDATE", "select 1", "update acc set balance = balance + 1"),
    ] {
        let mut contenders = Vec::new();
        for kind in kinds {
            let session = Session::open(cluster, kind.db)?;
            session.keep_to_processor(0)?;
            let measure = move || {
                session.execute(empty)?;
                let began = Instant::now();
                session.execute(sql)?;
                // far below 2^32
                Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(rows)?))
            };
            contenders.push(Contender {
                name: kind.name.clone(),
                role: kind.role([&[], &[], &[Target::Ratio(0, 5.0), Target::AtMost(125.0)]]),
                measure: Box::new(measure),
            });
        }
        Comparison {
            title: format!("capture without C, {rows} rows in one {what}"),
            unit: "µs a row",
            better: Better::Lower,
            reference: 0,
            contenders,
        }
        .run(settings.rounds, &settings.output)?;
    }
    Ok(())
}
