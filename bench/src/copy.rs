//! The initial copy: one large table, and several smaller ones.

use std::cell::RefCell;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Settings;
use crate::harness::{Comparison, Contender};
use crate::nodes::{ACC, Kind, Londiste, Native, Servers};
use crate::report::{Better, Target};

/// Number of the smaller tables.
const SMALL: u64 = 20;

/// Runs both comparisons.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let rows = settings.scaled(2_000_000);
    let one = vec!["public.acc".to_owned()];
    let many: Vec<String> = (1..=SMALL).map(|n| format!("public.acc{n}")).collect();
    compare(settings, &format!("initial copy of one table of {rows} rows"), &one, rows)?;
    compare(
        settings,
        &format!("initial copy of {SMALL} tables of {} rows each", rows / SMALL),
        &many,
        rows / SMALL,
    )
}

fn compare(settings: &Settings, title: &str, tables: &[String], rows: u64) -> Result<()> {
    let servers = Servers::start()?;
    let tables_sql: String = tables.iter().map(|t| format!("create table {t} {ACC};\n")).collect();
    let rows_sql: String = tables
        .iter()
        .map(|t| {
            format!(
                "insert into {t} select g, g % 100, 'name of row ' || g, g % 100000 * 1.25, repeat('n', 40), '2020-01-01' from generate_series(1, {rows}) g;\nanalyze {t};\n"
            )
        })
        .collect();
    for db in ["piped", "native", "python", "ours"] {
        servers.create(db, &tables_sql)?;
        servers.source.psql(db, &rows_sql)?;
        servers.source.psql(db, "vacuum")?;
    }
    let native = Native::publish(&servers, "native", tables)?;
    let start = |kind, db| -> Result<RefCell<Londiste<'_>>> {
        let mut londiste = Londiste::start(&servers, &settings.tools, kind, db)?;
        londiste.publish(tables)?;
        Ok(RefCell::new(londiste))
    };
    let python = if settings.without_python { None } else { Some(start(Kind::Python, "python")?) };
    let ours = start(Kind::Ours, "ours")?;
    let truncate = format!("truncate {}", tables.join(", "));
    let checked = |db: &str| tables.iter().try_for_each(|t| servers.must_agree(db, t));
    let by_londiste = |londiste: &RefCell<Londiste<'_>>, db: &str| {
        servers.target.psql(db, &truncate)?;
        let began = Instant::now();
        londiste.borrow_mut().subscribe(tables)?;
        let seconds = began.elapsed().as_secs_f64();
        checked(db)?;
        londiste.borrow().unsubscribe(tables)?;
        Ok(seconds)
    };
    let ours_name = format!("{} add-table to ok", ours.borrow().name);
    let mut comparison = Comparison {
        title: title.to_owned(),
        unit: "s",
        better: Better::Lower,
        reference: 0,
        contenders: vec![
            Contender::peer("psql COPY | psql COPY", || {
                servers.target.psql("piped", &truncate)?;
                let began = Instant::now();
                tables.iter().try_for_each(|t| pipe(&servers, t))?;
                let seconds = began.elapsed().as_secs_f64();
                checked("piped")?;
                Ok(seconds)
            }),
            Contender::peer(format!("{} CREATE SUBSCRIPTION to ready", servers.version()), || {
                servers.target.psql("native", &truncate)?;
                let began = Instant::now();
                native.subscribe(true)?;
                let seconds = began.elapsed().as_secs_f64();
                checked("native")?;
                native.unsubscribe()?;
                Ok(seconds)
            }),
            // At most 1.1 times the time of the piped COPY, and faster than what PostgreSQL brings.
            Contender::ours(ours_name, &[Target::Ratio(0, 1.0 / 1.1), Target::Ratio(1, 1.0)], || {
                by_londiste(&ours, "ours")
            }),
        ],
    };
    if let Some(python) = &python {
        let name = format!("{} add-table to ok", python.borrow().name);
        comparison.contenders.push(Contender::peer(name, || by_londiste(python, "python")));
    }
    comparison.run(settings.rounds, &settings.output)
}

/// `psql COPY … TO STDOUT | psql COPY … FROM STDIN`.
fn pipe(servers: &Servers, table: &str) -> Result<()> {
    let mut reader = servers
        .source
        .psql_command("piped")?
        .args(["-qc", &format!("copy {table} to stdout")])
        .stdout(Stdio::piped())
        .spawn()?;
    let rows = reader.stdout.take().context("the reader's output")?;
    let writer = servers
        .target
        .psql_command("piped")?
        .args(["-qc", &format!("copy {table} from stdin")])
        .stdin(rows)
        .status()?;
    ensure!(reader.wait()?.success() && writer.success(), "the piped COPY of {table} failed");
    Ok(())
}
