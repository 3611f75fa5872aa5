//! One row per transaction.

use anyhow::{Result, ensure};
use cluster::Cluster;

use super::{How, Kind, floor};
use crate::Settings;
use crate::harness::{Comparison, Contender, Windows};
use crate::report::Better;
use crate::session::{Clients, Session};

const CLIENTS: usize = 2;

const INSERT: &str = "insert into acc (id, grp, name, balance, note) values (nextval('acc_id'), 5, 'name of the row', 12.34, 'some note')";

/// Rows that are updated in turn: far enough apart that clients do not meet.
const UPDATED: u32 = 10_000;
const UPDATE: &str = "update other set balance = balance + 1 where id = (select nextval('other_id') % 10000)";

/// Rows that stand ready for the deletes of one window: more than a server can delete in half a second.
const READY: u32 = 60_000;
const DELETE: &str = "delete from gone where id = (select nextval('gone_id'))";

/// Inserts for every contender; updates and deletes for the original and the form that is chosen without being asked for.
pub fn run(settings: &Settings, cluster: &Cluster, kinds: &[Kind]) -> Result<()> {
    let windows = Windows::of(settings.rounds, settings.seconds);
    let compare = |what: &str, contenders| {
        Comparison {
            title: format!("capture, one row per transaction, {CLIENTS} clients{what}"),
            unit: "tps",
            better: Better::Higher,
            reference: 0,
            contenders,
        }
        .run(windows.count, &settings.output)
    };
    let contender = |kind: &Kind, measure: Box<dyn FnMut() -> Result<f64>>| Contender {
        name: kind.name.clone(),
        role: kind.role([&floor(0.9), &[], &[]]),
        measure,
    };
    let mut inserts = Vec::new();
    for kind in kinds {
        let mut clients = Clients::open(cluster, kind.db, INSERT, CLIENTS)?;
        inserts.push(contender(kind, Box::new(move || clients.rate(windows.length))));
    }
    compare("", inserts)?;
    let (mut updates, mut deletes) = (Vec::new(), Vec::new());
    for kind in kinds.iter().filter(|k| matches!(k.how, How::Original | How::Row)) {
        for table in ["other", "gone"] {
            let ddl = format!("create table {table} (like acc including all); create sequence {table}_id");
            kind.create(cluster, table, &ddl)?;
        }
        let besides = Session::open(cluster, kind.db)?;
        // Rows come without being captured.
        besides.execute("set session_replication_role = replica")?;
        besides.execute(&fill("other", 0, UPDATED))?;
        let mut clients = Clients::open(cluster, kind.db, UPDATE, CLIENTS)?;
        updates.push(contender(kind, Box::new(move || clients.rate(windows.length))));
        let mut clients = Clients::open(cluster, kind.db, DELETE, CLIENTS)?;
        deletes.push(contender(
            kind,
            Box::new(move || {
                besides.execute(&fill("gone", last(&besides)? + 1, READY))?;
                let rate = clients.rate(windows.length)?;
                let left: bool = besides.value("select exists (select from gone)")?;
                ensure!(
                    left,
                    "more than {READY} rows were deleted in one window: nothing was left to delete"
                );
                Ok(rate)
            }),
        ));
    }
    compare(", updates", updates)?;
    compare(", deletes", deletes)
}

/// Makes sure that this many rows are there from a number on.
fn fill(table: &str, first: impl std::fmt::Display, count: u32) -> String {
    format!(
        "insert into {table} (id, grp, name, balance, note) select g, 5, 'name of the row', 12.34, 'some note'
           from generate_series({first}, {first}::int8 + {count} - 1) g on conflict do nothing"
    )
}

/// The last number that a delete took.
fn last(session: &Session) -> Result<i64> {
    session.value("select case when is_called then last_value else 0 end from gone_id")
}
