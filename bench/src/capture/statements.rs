//! Many rows in one statement.

use anyhow::Result;
use cluster::Cluster;

use super::{How, Kind, Targets, floor};
use crate::Settings;
use crate::ground;
use crate::harness::{Comparison, Contender};
use crate::report::Better;

const WIDE: &str = "create table wide (id bigint primary key, a1 int, a2 int, a3 bigint, a4 bigint, t1 text, t2 text, t3 text, t4 text, n1 numeric, n2 numeric, d1 date, d2 timestamptz, b1 boolean, f1 float8, j1 jsonb, u1 uuid, t5 text, t6 text, t7 text)";

fn wide_rows(count: u64) -> String {
    format!(
        "insert into wide select g, g, g, g, g, 'text ' || g, 'text & more', repeat('x', 100), null, g * 1.5, g, '2020-01-01', now(), true, g / 3.0, '{{\"a\": 1}}', gen_random_uuid(), '', 'é', 'end' from generate_series(1, {count}) g"
    )
}

/// Table `acc` under another name, with texts in another language.
fn rows_with_names(count: u64) -> String {
    format!(
        "insert into names (id, grp, name, balance, note) select g, g % 10, 'Tõnu Õun ' || g, g * 1.25, 'tonu@näide.ee, Pärnu mnt 1/2' from generate_series(1, {count}) g"
    )
}

pub fn run(settings: &Settings, cluster: &Cluster, kinds: &[Kind]) -> Result<()> {
    let (rows, fewer) = (settings.scaled(200_000), settings.scaled(20_000));
    let (wide, names) = (wide_rows(fewer), rows_with_names(fewer));
    for kind in kinds {
        kind.create(cluster, "wide", WIDE)?;
        kind.create(cluster, "names", "create table names (like acc including all)")?;
        cluster.psql(kind.db, &format!("{wide};\n{names};"))?;
        // Maintenance has seen events of the tables: ours learns from them which characters their texts have.
        if matches!(kind.how, How::Row | How::Statement) {
            let learn = "select pgq.maint_sample_capture(func_arg) from pgq.maint_operations() where func_name = 'pgq.maint_sample_capture'";
            cluster.psql(kind.db, learn)?;
        }
    }
    let compare = |what: String, targets: Targets<'_>, measure: &dyn Fn(&str) -> Result<f64>| {
        Comparison {
            title: format!("capture, {what}"),
            unit: "s",
            better: Better::Lower,
            reference: 0,
            contenders: kinds
                .iter()
                .map(|kind| Contender {
                    name: kind.name.clone(),
                    role: kind.role(targets),
                    measure: Box::new(move || measure(kind.db)),
                })
                .collect(),
        }
        .run(settings.rounds, &settings.output)
    };
    let (row, statement) = (floor(1.2), floor(2.0));
    let bulk: Targets<'_> = [&row, &statement, &[]];
    compare(format!("{rows} rows in one INSERT"), bulk, &|db| {
        cluster.psql(db, "truncate acc")?;
        let insert = format!(
            "insert into acc (id, grp, name, balance, note) select g, g % 10, 'name ' || g, g * 1.25, 'some note' from generate_series(1, {rows}) g"
        );
        ground::seconds(cluster, db, &insert)
    })?;
    compare(format!("{rows} rows in one UPDATE"), bulk, &|db| {
        ground::seconds(cluster, db, "update acc set balance = balance + 1")
    })?;
    compare(format!("{fewer} rows of a wide table in one INSERT"), bulk, &|db| {
        cluster.psql(db, "truncate wide")?;
        ground::seconds(cluster, db, &wide)
    })?;
    compare(
        format!("{fewer} rows with names and addresses beyond ASCII in one INSERT"),
        [&[], &[], &[]],
        &|db| {
            cluster.psql(db, "truncate names")?;
            ground::seconds(cluster, db, &names)
        },
    )
}
