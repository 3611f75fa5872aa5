//! What capture costs the application's own writes.

use anyhow::Result;
use skytools::install::Module;

use crate::Settings;
use crate::ground;
use crate::harness::{Better, Comparison, Contender, Windows};
use crate::session::Clients;

const TABLE: &str = "create table acc (id bigint primary key, grp int not null, name text, balance numeric(12,2) not null, note text, updated timestamptz not null default now());
    create sequence acc_id";

const WIDE: &str = "create table wide (id bigint primary key, a1 int, a2 int, a3 bigint, a4 bigint, t1 text, t2 text, t3 text, t4 text, n1 numeric, n2 numeric, d1 date, d2 timestamptz, b1 boolean, f1 float8, j1 jsonb, u1 uuid, t5 text, t6 text, t7 text)";
const WIDE_ROWS: &str = "insert into wide select g, g, g, g, g, 'text ' || g, 'text & more', repeat('x', 100), null, g * 1.5, g, '2020-01-01', now(), true, g / 3.0, '{\"a\": 1}', gen_random_uuid(), '', 'é', 'end' from generate_series(1, 20000) g";
/// Table [`TABLE`] under another name, with texts in another language.
const NAMES_ROWS: &str = "insert into names (id, grp, name, balance, note) select g, g % 10, 'Tõnu Õun ' || g, g * 1.25, 'tonu@näide.ee, Pärnu mnt 1/2' from generate_series(1, 20000) g";

/// How a contender captures.
struct Kind {
    db: &'static str,
    name: String,
    /// Statement that puts capture on table `{t}`. Empty: no capture.
    trigger: String,
    target: [Option<f64>; 5],
}

/// Runs all comparisons of capture.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    ground::ours(&cluster, "statement", &[Module::Pgq])?;
    ground::ours(&cluster, "generic", &[Module::Pgq])?;
    cluster.create_database("plain")?;
    let by_hand = "create trigger capture after insert or update or delete on {t} for each row execute function pgq.logutriga('q')";
    let kinds = [
        Kind {
            db: "orig",
            name: format!("{original} logutriga"),
            trigger: by_hand.into(),
            target: [None; 5],
        },
        Kind { db: "plain", name: "no trigger".into(), trigger: String::new(), target: [None; 5] },
        Kind {
            db: "ours",
            name: format!("{ours} row"),
            trigger: "select pgq.capture_table('q', '{t}')".into(),
            target: [Some(0.9), Some(1.2), Some(1.2), Some(1.2), None],
        },
        Kind {
            db: "statement",
            name: format!("{ours} statement"),
            trigger: "select pgq.capture_table('q', '{t}', 'form=statement')".into(),
            target: [None, Some(2.0), Some(2.0), Some(2.0), None],
        },
        Kind {
            db: "generic",
            name: format!("{ours} generic logutriga"),
            trigger: "select pgq.capture_table('q', '{t}', 'form=generic')".into(),
            target: [None; 5],
        },
    ];
    for kind in &kinds {
        if kind.db != "plain" {
            cluster.psql(kind.db, "select pgq.create_queue('q')")?;
        }
        // Maintenance has seen events of the tables: ours learns from them which characters their texts have.
        for (table, ddl, rows) in [
            ("acc", TABLE, ""),
            ("wide", WIDE, WIDE_ROWS),
            ("names", "create table names (like acc including all)", NAMES_ROWS),
        ] {
            cluster.psql(kind.db, ddl)?;
            if !kind.trigger.is_empty() {
                cluster.psql(kind.db, &kind.trigger.replace("{t}", table))?;
            }
            cluster.psql(kind.db, rows)?;
        }
        if matches!(kind.db, "ours" | "statement") {
            let learn = "select pgq.maint_sample_capture(func_arg) from pgq.maint_operations() where func_name = 'pgq.maint_sample_capture'";
            cluster.psql(kind.db, learn)?;
        }
    }
    let cluster = &cluster;
    let windows = Windows::of(settings.rounds, settings.seconds);
    let mut one_row = Vec::new();
    for kind in &kinds {
        let sql = "insert into acc (id, grp, name, balance, note) values (nextval('acc_id'), 5, 'name of the row', 12.34, 'some note')";
        let mut clients = Clients::open(cluster, kind.db, sql, 2)?;
        one_row.push(Contender {
            name: kind.name.clone(),
            target: kind.target[0],
            measure: Box::new(move || clients.rate(windows.length)),
        });
    }
    Comparison {
        title: "capture, one row per transaction, 2 clients".into(),
        unit: "tps",
        better: Better::Higher,
        reference: 0,
        contenders: one_row,
    }
    .run(windows.count, settings.json)?;
    let compare = |title: &str, unit, better, which: usize, measure: &dyn Fn(&str) -> Result<f64>| {
        Comparison {
            title: title.into(),
            unit,
            better,
            reference: 0,
            contenders: kinds
                .iter()
                .map(|kind| Contender {
                    name: kind.name.clone(),
                    target: kind.target[which],
                    measure: Box::new(move || measure(kind.db)),
                })
                .collect(),
        }
        .run(settings.rounds, settings.json)
    };
    compare("capture, 200 000 rows in one INSERT", "s", Better::Lower, 1, &|db| {
        cluster.psql(db, "truncate acc")?;
        ground::seconds(
            cluster,
            db,
            "insert into acc (id, grp, name, balance, note) select g, g % 10, 'name ' || g, g * 1.25, 'some note' from generate_series(1, 200000) g",
        )
    })?;
    compare("capture, 200 000 rows in one UPDATE", "s", Better::Lower, 2, &|db| {
        ground::seconds(cluster, db, "update acc set balance = balance + 1")
    })?;
    compare("capture, 20 000 rows of a wide table in one INSERT", "s", Better::Lower, 3, &|db| {
        cluster.psql(db, "truncate wide")?;
        ground::seconds(cluster, db, WIDE_ROWS)
    })?;
    compare(
        "capture, 20 000 rows with names and addresses beyond ASCII in one INSERT",
        "s",
        Better::Lower,
        4,
        &|db| {
            cluster.psql(db, "truncate names")?;
            ground::seconds(cluster, db, NAMES_ROWS)
        },
    )
}
