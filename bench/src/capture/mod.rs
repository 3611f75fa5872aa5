//! What capture costs the application's own writes.

mod large;
mod one_row;
mod statements;
mod without_c;

use anyhow::Result;
use cluster::Cluster;
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::report::{Role, Target};

const TABLE: &str = "create table acc (id bigint primary key, grp int not null, name text, balance numeric(12,2) not null, note text, updated timestamptz not null default now());
    create sequence acc_id";

/// How a contender captures.
#[derive(Clone)]
struct Kind {
    db: &'static str,
    name: String,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// The original's trigger.
    Original,
    /// Not at all.
    Nothing,
    Row,
    Statement,
    Generic,
}

/// What the forms must reach: row, statement and generic.
type Targets<'a> = [&'a [Target]; 3];

/// At least so many times as fast as the first contender, the original's C extension.
const fn floor(ratio: f64) -> [Target; 1] {
    [Target::Ratio(0, ratio)]
}

impl Kind {
    fn role(&self, targets: Targets<'_>) -> Role {
        let [row, statement, generic] = targets.map(|t| Role::Ours(t.to_vec()));
        match self.how {
            How::Original | How::Nothing => Role::Peer,
            How::Row => row,
            How::Statement => statement,
            How::Generic => generic,
        }
    }

    /// Creates a table and puts capture on it.
    fn create(&self, cluster: &Cluster, table: &str, ddl: &str) -> Result<()> {
        let capture = match self.how {
            How::Original => format!(
                "create trigger capture after insert or update or delete on {table} for each row execute function pgq.logutriga('q')"
            ),
            How::Nothing => String::new(),
            How::Row => format!("select pgq.capture_table('q', '{table}', 'form=row')"),
            How::Statement => format!("select pgq.capture_table('q', '{table}', 'form=statement')"),
            How::Generic => format!("select pgq.capture_table('q', '{table}', 'form=generic')"),
        };
        cluster.psql(self.db, &format!("{ddl}; {capture}"))?;
        Ok(())
    }
}

/// Runs all comparisons of capture.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    let without_c = ground::original_without_c(&cluster, "orig_sql")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    ground::ours(&cluster, "statement", &[Module::Pgq])?;
    ground::ours(&cluster, "generic", &[Module::Pgq])?;
    cluster.create_database("plain")?;
    let kind = |db, name, how| Kind { db, name, how };
    let kinds = [
        kind("orig", format!("{original} logutriga"), How::Original),
        kind("plain", "no trigger".to_owned(), How::Nothing),
        kind("ours", format!("{ours} row"), How::Row),
        kind("statement", format!("{ours} statement"), How::Statement),
        kind("generic", format!("{ours} generic logutriga"), How::Generic),
    ];
    let without_c = kind("orig_sql", format!("{without_c} logutriga"), How::Original);
    for kind in kinds.iter().chain([&without_c]) {
        if kind.how != How::Nothing {
            cluster.psql(kind.db, "select pgq.create_queue('q')")?;
        }
        kind.create(&cluster, "acc", TABLE)?;
    }
    one_row::run(settings, &cluster, &kinds)?;
    statements::run(settings, &cluster, &kinds)?;
    let [c, _, row, statement, generic] = kinds;
    without_c::run(settings, &cluster, &[without_c, c.clone(), generic.clone()])?;
    large::run(settings, &cluster, &[c, row, statement, generic])
}
