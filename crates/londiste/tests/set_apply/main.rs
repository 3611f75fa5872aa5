//! Set-based apply against ordered apply: random histories go both ways, and rows, counts and errors must agree.
//!
//! The seed is printed; `SET_APPLY_SEED` repeats it, `SET_APPLY_ROUNDS` runs more.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, ensure};
use londiste::apply::session::{self, SourceStyle};
use londiste::apply::set::{Mode, Why, explain};
use londiste::apply::{Applier, Counts, Tables};
use pgq::{Event, NewEvent, change};
use skytools::urlenc;
use tokio_postgres::Client;

mod dice;
mod templates;

use dice::Dice;
use templates::{Form, TEMPLATES, Template};

fn value(dice: &mut Dice, column: &str) -> Option<String> {
    if dice.one_in(8) && column != "n" || dice.one_in(400) {
        return None;
    }
    Some(match column {
        "n" => match dice.roll(300) {
            0 => "3".to_owned(),
            1 => "no number".to_owned(),
            other => (other + 10).to_string(),
        },
        "amount" => format!("{}.{}", dice.roll(1000), dice.roll(1000)),
        "at" => format!("2024-02-{:02} 10:00:00+0{}", dice.roll(28) + 1, dice.roll(9)),
        "c" => (*dice.pick(&["", "a", "ab ", "abc"])).to_owned(),
        "d" => match dice.roll(500) {
            0 => "2024-02-30".to_owned(),
            1 => "infinity".to_owned(),
            day => format!("2024-02-{:02}", day % 28 + 1),
        },
        "f" => (*dice.pick(&["1.5", "-7", "1e10", "NaN", "0.25", "12"])).to_owned(),
        "v" => match dice.roll(500) {
            0 => "far too long".to_owned(),
            1 => "blanks                ".to_owned(),
            n => format!("v {n}"),
        },
        "j" => match dice.roll(500) {
            0 => "{no json".to_owned(),
            n => format!("{{\"a\": {n}}}"),
        },
        "i" => (*dice.pick(&["5", "03:30:00", "2 days"])).to_owned(),
        "m" => (*dice.pick(&["sad", "ok", "it's \"fine\""])).to_owned(),
        "ma" => (*dice.pick(&["{}", "{sad,NULL}", "{ok,ok}"])).to_owned(),
        _ => match dice.roll(60) {
            0 => "x".repeat(dice.index(9000) + 1000),
            1 => "a\tb\\N\nc\r\u{e9}%&=+ '\"".to_owned(),
            2 => String::new(),
            _ => format!("text {}", dice.roll(1000)),
        },
    })
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Type and data of an event.
fn write(
    template: &Template,
    op: char,
    key: &[String],
    row: &[(String, Option<String>)],
) -> (String, String) {
    let quoted = |v: &Option<String>| match v {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "null".to_owned(),
    };
    let name = |n: &str| format!("\"{n}\"");
    match template.form {
        Form::Urlenc => (
            format!("{op}:{}", template.key.join(",")),
            urlenc::encode_row(row.iter().map(|(n, v)| (n, v.as_ref()))),
        ),
        Form::Json => {
            let word = match op {
                'I' => "INSERT",
                'U' => "UPDATE",
                _ => "DELETE",
            };
            let keys: Vec<String> = template.key.iter().map(|k| json(k)).collect();
            let members: Vec<String> = row
                .iter()
                .map(|(n, v)| format!("{}: {}", json(n), v.as_ref().map_or("null".to_owned(), |v| json(v))))
                .collect();
            (
                format!("{{\"op\":\"{word}\",\"table\":[\"x\",\"y\"],\"pkey\":[{}]}}", keys.join(",")),
                format!("{{{}}}", members.join(", ")),
            )
        }
        Form::Sql => {
            let wheres: Vec<String> = template
                .key
                .iter()
                .zip(key)
                .map(|(k, v)| format!("{}={}", name(k), quoted(&Some(v.clone()))))
                .collect();
            let wheres = wheres.join(" and ");
            let data = match op {
                'I' => {
                    let names: Vec<String> = row.iter().map(|(n, _)| name(n)).collect();
                    let values: Vec<String> = row.iter().map(|(_, v)| quoted(v)).collect();
                    format!("({}) values ({})", names.join(","), values.join(","))
                }
                'U' => {
                    let (n, v) = &row[template.key.len() + key[0].len() % template.columns.len()];
                    format!("{}={} where {wheres}", name(n), quoted(v))
                }
                _ => wheres,
            };
            (op.to_string(), data)
        }
    }
}

/// One step of a history.
enum Step {
    Change {
        table: usize,
        event: Event,
    },
    /// As EXECUTE: SQL between two changes, `{0}` the first table.
    Sql(&'static str),
}

/// What keeps a history mostly valid: which keys exist in which table.
struct Model {
    rows: Vec<HashSet<u64>>,
    id: i64,
}

impl Model {
    fn step(&mut self, dice: &mut Dice, templates: &[&Template], keys: u64, calm: bool) -> Step {
        self.id += 1;
        if dice.one_in(250) {
            return Step::Sql(if dice.one_in(2) { "update {0} set id = id" } else { "delete from {log}" });
        }
        let table = dice.index(templates.len());
        let template = templates[table];
        if dice.one_in(200) {
            self.rows[table].clear();
            let event = Event::synthetic(self.id, 1, &NewEvent::new("R", "").extra1("x.y"));
            return Step::Change { table, event };
        }
        let n = dice.roll(keys);
        let there = self.rows[table].contains(&n);
        let op = if !there && !dice.one_in(10) || (!calm && dice.one_in(1500)) {
            self.rows[table].insert(n);
            'I'
        } else if dice.one_in(3) {
            self.rows[table].remove(&n);
            'D'
        } else {
            'U'
        };
        let spellings = (template.keys)(n);
        let key = dice.pick(&spellings).clone();
        let mut row: Vec<(String, Option<String>)> =
            template.key.iter().zip(&key).map(|(k, v)| ((*k).to_owned(), Some(v.clone()))).collect();
        for column in template.columns {
            let mut value = value(dice, column);
            if calm && (*column == "n") {
                value = Some(if template.name == "another unique column" {
                    n.to_string()
                } else {
                    "12".to_owned()
                });
            }
            row.push(((*column).to_owned(), value));
        }
        if !calm && dice.one_in(2000) {
            row.push(("nosuch".to_owned(), None));
        }
        let (ev_type, data) = write(template, op, &key, &row);
        let event = Event::synthetic(self.id, 1, &NewEvent::new(ev_type, data).extra1("x.y"));
        Step::Change { table, event }
    }
}

fn dest(schema: &str, table: usize) -> String {
    format!("{schema}.t{table}")
}

fn fill(sql: &str, schema: &str, table: usize) -> String {
    sql.replace("{s}", &dest(schema, table))
        .replace("{0}", &dest(schema, 0))
        .replace("{first}", &dest(schema, 0))
        .replace("{log}", &format!("{schema}.log"))
}

async fn play(applier: &mut Applier<'_>, steps: &[Step], schema: &str) -> skytools::Result<Counts> {
    for (nth, step) in steps.iter().enumerate() {
        match step {
            Step::Change { table, event } => {
                // Every third is taken apart, although it need not be.
                if nth % 3 > 0 && applier.apply_quickly(event, &dest(schema, *table)).await? {
                    continue;
                }
                let Some(change) = change::decode(event)? else {
                    return Err(skytools::Error::data("the history has an event that changes no row"));
                };
                applier.apply(event, &change, &dest(schema, *table), false).await?;
            }
            Step::Sql(sql) => {
                applier.flush_for_ddl().await?.batch_execute(&fill(sql, schema, 0)).await?;
            }
        }
    }
    applier.flush().await?;
    Ok(applier.counts())
}

/// How a batch ended: its counts, or its error without the schema's name.
type End = Result<Counts, String>;

fn plain(error: &skytools::Error, schema: &str) -> String {
    error.chain().replace(&format!("{schema}."), "")
}

async fn in_order(client: &Client, tables: &mut Tables, steps: &[Step], schema: &str) -> Result<End> {
    client.batch_execute("begin").await?;
    let mut applier = Applier::new(client, tables, true);
    let played = play(&mut applier, steps, schema).await;
    client.batch_execute(if played.is_ok() { "commit" } else { "rollback" }).await?;
    Ok(played.map_err(|e| plain(&e, schema)))
}

/// As the worker does it. Also says how the tables were applied.
async fn by_set(
    client: &Client,
    tables: &mut Tables,
    steps: &[Step],
    schema: &str,
    few: usize,
    memory: usize,
) -> Result<(End, String)> {
    client.batch_execute("begin").await?;
    let mut applier = Applier::by_set_from(client, tables, few).in_memory(memory);
    let played = play(&mut applier, steps, schema).await;
    let how = applier.describe();
    match played {
        Ok(counts) => {
            client.batch_execute("commit").await?;
            Ok((Ok(counts), how))
        }
        Err(error) => {
            applier.note_failure(&error);
            drop(applier);
            client.batch_execute("rollback").await?;
            let of_set = tables.set_has_failed();
            tables.after_rollback(&error);
            // Otherwise the worker drops the connection and replays one by one, to name the event.
            let end = in_order(client, tables, steps, schema).await?;
            ensure!(of_set || end.is_err(), "ordered replay succeeds after: {}", error.chain());
            Ok((end, format!("failed: {}", error.chain())))
        }
    }
}

async fn rows(client: &Client, table: &str) -> Result<Vec<String>> {
    let sql = format!("select r_::text from {table} r_ order by r_::text collate \"C\"");
    Ok(client.query(&sql, &[]).await.with_context(|| table.to_owned())?.iter().map(|r| r.get(0)).collect())
}

async fn prepared(db: &testkit::TestDb) -> Result<Client> {
    let client = db.connect().await?;
    let style = SourceStyle::load(&client).await?;
    session::prepare_apply(&client, "q", &style).await?;
    Ok(client)
}

const TYPES: &str = "create extension citext; create type mood as enum ('sad', 'ok', 'it''s \"fine\"'); \
     create collation caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The same histories in every ordinary run; `SET_APPLY_SEED` explores others.
const DEFAULT_SEED: u64 = 289_416_991;

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_the_same_both_ways() -> Result<()> {
    let seed = number("SET_APPLY_SEED", DEFAULT_SEED);
    let rounds = number("SET_APPLY_ROUNDS", 30);
    println!("SET_APPLY_SEED={seed}");
    let db = testkit::database().await?;
    db.connect().await?.batch_execute(TYPES).await?;
    let mut dice = Dice(seed);
    let mut used: BTreeMap<&str, u64> = BTreeMap::new();
    let mut folded: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut failures, mut missing) = (0, 0);
    for round in 0..rounds {
        // Every template has its turn; the others come by chance.
        let first = &TEMPLATES[usize::try_from(round).unwrap() % TEMPLATES.len()];
        let mut templates = vec![first];
        for _ in 0..dice.roll(3) {
            templates.push(dice.pick(TEMPLATES));
        }
        let (ordered, sets) = (prepared(&db).await?, prepared(&db).await?);
        for schema in ["a", "b"] {
            ordered
                .batch_execute(&format!("drop schema if exists {schema} cascade; create schema {schema}"))
                .await?;
            ordered
                .batch_execute(&format!(
                    "create table {schema}.log (n bigint generated always as identity, others bigint)"
                ))
                .await?;
            for (table, template) in templates.iter().enumerate() {
                ordered.batch_execute(&fill(template.ddl, schema, table)).await.context(template.name)?;
            }
        }
        let (mut cache_a, mut cache_b) = (Tables::new(), Tables::new());
        let mut model = Model { rows: vec![HashSet::new(); templates.len()], id: 0 };
        let few = *dice.pick(&[0, 3, 60]);
        // A chunk alone is more than the least of these.
        let memory = *dice.pick(&[1, 300_000, 1_000_000, usize::MAX]);
        let keys = *dice.pick(&[4, 15, 100]);
        for batch in 0..3 {
            let calm = batch == 0 || dice.one_in(2);
            let before = model.rows.clone();
            let steps: Vec<Step> =
                (0..100 + dice.roll(500)).map(|_| model.step(&mut dice, &templates, keys, calm)).collect();
            let place = format!(
                "seed {seed}, round {round}, batch {batch}, few {few}, memory {memory}, tables {:?}",
                templates.iter().map(|t| t.name).collect::<Vec<_>>()
            );
            let expected = in_order(&ordered, &mut cache_a, &steps, "a").await?;
            let (end, how) =
                by_set(&sets, &mut cache_b, &steps, "b", few, memory).await.context(place.clone())?;
            ensure!(end == expected, "{place}: in order {expected:?}, by set {end:?} ({how})");
            match &end {
                Ok(counts) => missing += counts.missing_rows,
                Err(_) => {
                    failures += 1;
                    model.rows = before;
                }
            }
            // What a failed attempt takes from a sequence is gone: from here on the numbers differ.
            let numbered = templates.iter().any(|t| t.name == "a default by order");
            if numbered && (end.is_err() || how.starts_with("failed")) {
                break;
            }
            for (table, template) in templates.iter().enumerate() {
                let (a, b) =
                    (rows(&ordered, &dest("a", table)).await?, rows(&ordered, &dest("b", table)).await?);
                ensure!(a == b, "{place}: table {table}: in order {a:#?}, by set {b:#?} ({how})");
                let said =
                    how.split(", ").find(|part| part.starts_with(&dest("b", table))).unwrap_or_default();
                let set = said.contains(" by set");
                ensure!(template.by_set || !set, "{place}: {how}");
                *used.entry(template.name).or_default() += u64::from(set);
                if set && !said.contains("staged") {
                    *folded.entry(template.name).or_default() += 1;
                }
            }
            // By number, of which a failed attempt may have left gaps.
            let seen = |schema| {
                format!("select coalesce(string_agg(others::text, ',' order by n), '') from {schema}.log")
            };
            let a: String = ordered.query_one(&seen("a"), &[]).await?.get(0);
            let b: String = ordered.query_one(&seen("b"), &[]).await?.get(0);
            ensure!(a == b, "{place}: the trigger has seen other states: {a} in order, {b} by set");
        }
    }
    println!(
        "{failures} failed batches, {missing} missing rows, by set: {used:?}, all of it in memory: {folded:?}"
    );
    ensure!(missing > 0, "no history has missed a row");
    ensure!(used.values().sum::<u64>() > rounds / 3, "sets have hardly been used: {used:?}");
    ensure!(folded.values().sum::<u64>() > rounds / 6, "little has been folded in memory: {folded:?}");
    for template in TEMPLATES.iter().filter(|t| t.by_set && rounds >= 300) {
        ensure!(used.get(template.name).is_some_and(|n| *n > 0), "{} has never gone by set", template.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_obstacle_is_found_in_the_catalog() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    client.batch_execute(TYPES).await?;
    client
        .batch_execute(
            "create domain positive as int check (value > 0); create function two() returns int language sql as 'select 2'; \
             create function nothing() returns trigger language plpgsql as 'begin return null; end'",
        )
        .await?;
    let name = |s: &str| s.to_owned();
    let ordered = |why: Why| Mode::Ordered(why);
    let cases: &[(&str, Mode)] = &[
        ("create table t (id int primary key, v text check (v <> ''), w int references t)", Mode::Set),
        ("create table t (id int primary key deferrable)", ordered(Why::DeferrableKey(name("t_pkey")))),
        ("create table t (id int, v int unique)", ordered(Why::NullableKey(name("v")))),
        ("create table t (id int)", ordered(Why::NoKey)),
        ("create table t (id int primary key, v int unique)", ordered(Why::OtherUnique(name("t_v_key")))),
        (
            "create table t (id int primary key, r int4range, exclude using gist (r with &&))",
            ordered(Why::Exclusion(name("t_r_excl"))),
        ),
        (
            "create table t (id int not null); create unique index u on t (id) where id > 0",
            ordered(Why::OtherUnique(name("u"))),
        ),
        (
            "create table t (id int not null); create unique index u on t ((id + 1))",
            ordered(Why::OtherUnique(name("u"))),
        ),
        (
            "create table t (id text not null); create unique index u on t (id collate caseless)",
            ordered(Why::KeyEquality(name("u"))),
        ),
        (
            "create table t (id text not null); create unique index u on t (id text_pattern_ops)",
            ordered(Why::KeyEquality(name("u"))),
        ),
        ("create table t (id int not null, v int); create unique index u on t (id) include (v)", Mode::Set),
        ("create table t (id int primary key) partition by list (id)", ordered(Why::Inheritance)),
        (
            "create table p (id int); create table t (primary key (id)) inherits (p)",
            ordered(Why::Inheritance),
        ),
        ("create table t (id int primary key, p positive)", ordered(Why::Domain(name("p")))),
        ("create table t (id int primary key, p positive[])", Mode::Set),
        (
            "create table t (id int primary key, v int default two())",
            ordered(Why::DefaultFunction(name("v"))),
        ),
        (
            "create table t (id int primary key, v int check (v <> two()))",
            ordered(Why::Check { name: name("t_v_check"), function: true }),
        ),
        (
            "create table t (id int primary key, v mood check (v <> 'sad'))",
            ordered(Why::Check { name: name("t_v_check"), function: false }),
        ),
        (
            "create table t (id int primary key, v int generated always as identity)",
            ordered(Why::Identity(name("v"))),
        ),
        (
            "create table t (id int primary key); create trigger a after insert on t execute function nothing(); \
             create trigger b after insert on t execute function nothing(); alter table t enable replica trigger b",
            ordered(Why::Trigger(name("b"))),
        ),
        (
            "create table t (id int primary key); create trigger a after insert on t execute function nothing()",
            Mode::Set,
        ),
        (
            "create table t (id int primary key); create rule r as on insert to t do instead nothing; alter table t enable always rule r",
            ordered(Why::Rule(name("r"))),
        ),
    ];
    for (ddl, mode) in cases {
        client.batch_execute(&format!("begin; {ddl}")).await.context(*ddl)?;
        ensure!(
            explain(&client, "public.t").await? == *mode,
            "{ddl}: {}",
            explain(&client, "public.t").await?
        );
        client.batch_execute("rollback").await?;
    }
    ensure!(explain(&client, "public.t").await.is_err());
    Ok(())
}

/// An insert of rows `from..=to`.
fn inserts(from: i64, to: i64) -> Vec<Step> {
    (from..=to)
        .map(|id| {
            let new = NewEvent::new("I:id", format!("id={id}&v=text+{id}")).extra1("x.y");
            Step::Change { table: 0, event: Event::synthetic(id, 1, &new) }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_table_between_batches_are_noticed_and_the_catalog_does_not_grow() -> Result<()> {
    let db = testkit::database().await?;
    let (client, other) = (prepared(&db).await?, db.connect().await?);
    other.batch_execute("create schema b; create table b.t0 (id int primary key, v text)").await?;
    let mut cache = Tables::new();
    let mut id = 0;
    let mut batch = async |cache: &mut Tables| -> Result<String> {
        id += 100;
        let (end, how) = by_set(&client, cache, &inserts(id - 99, id), "b", 10, usize::MAX).await?;
        ensure!(end.as_ref().is_ok_and(|c| c.inserts == 100), "{end:?}");
        Ok(how)
    };
    ensure!(batch(&mut cache).await? == "b.t0: 100 by set");
    // Whatever is written to a catalog row makes a new version of it.
    let catalog = "select (select string_agg(oid || ':' || xmin || ':' || relfilenode, ' ' order by oid) from pg_class), \
         (select string_agg(oid || ':' || xmin, ' ' order by oid) from pg_type), \
         (select count(*) from pg_attribute), (select count(*) from pg_statistic s join pg_class c on c.oid = s.starelid where relpersistence = 't')";
    let versions = |row: &tokio_postgres::Row| -> (String, String, i64, i64) {
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };
    let before = versions(&other.query_one(catalog, &[]).await?);
    for _ in 0..5 {
        ensure!(batch(&mut cache).await? == "b.t0: 100 by set");
    }
    ensure!(versions(&other.query_one(catalog, &[]).await?) == before, "batches write to the catalog");
    for (ddl, how) in [
        ("create unique index other on b.t0 (v)", "b.t0: 100 in order (unique index other besides the key)"),
        ("drop index b.other", "b.t0: 100 by set"),
        ("alter table b.t0 add w int default 5", "b.t0: 100 by set"),
        (
            "alter table b.t0 alter w set default random() * 10",
            "b.t0: 100 in order (column w, which is not in the events, has no default, or one that may depend on order)",
        ),
        ("alter table b.t0 drop w, alter v type varchar(30)", "b.t0: 100 by set"),
        (
            "create rule r as on update to b.t0 do also nothing; alter table b.t0 enable always rule r",
            "b.t0: 100 in order (rule r applies during replay)",
        ),
        ("drop rule r on b.t0; alter table b.t0 add check (length(v) > 2)", "b.t0: 100 by set"),
        ("create table b.child () inherits (b.t0)", "b.t0: 100 in order (partitioned or inherited)"),
        (
            "drop table b.child; alter table b.t0 rename v to x; alter table b.t0 add v text",
            "b.t0: 100 in order (check constraint t0_v_check uses a column that is not in the events)",
        ),
        ("alter table b.t0 drop x", "b.t0: 100 by set"),
        // The temporary tables hold on to nothing of the user's.
        ("create type mood as enum ('a'); alter table b.t0 add m mood", "b.t0: 100 by set"),
        ("alter table b.t0 drop m; drop type mood", "b.t0: 100 by set"),
    ] {
        other.batch_execute(ddl).await.context(ddl)?;
        let said = batch(&mut cache).await.context(ddl)?;
        ensure!(said == how, "{ddl}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_has_room_to_sort_a_batch() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    for (before, after) in [("4MB", "64MB"), ("64kB", "64MB"), ("100MB", "100MB")] {
        client.batch_execute(&format!("set work_mem = '{before}'")).await?;
        session::prepare_reader(&client).await?;
        let found: String = client.query_one("show work_mem", &[]).await?.get(0);
        ensure!(found == after, "{before} became {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_the_way_is_named_by_its_event() -> Result<()> {
    let db = testkit::database().await?;
    let (client, other) = (prepared(&db).await?, db.connect().await?);
    other.batch_execute("create schema b; create table b.t0 (id int primary key, v text); insert into b.t0 values (57, 'here')").await?;
    let mut cache = Tables::new();
    let (end, how) = by_set(&client, &mut cache, &inserts(1, 100), "b", 10, usize::MAX).await?;
    let error = end.expect_err("a duplicate");
    ensure!(error.contains("[ev_id=57,") && error.contains("duplicate key"), "{error}");
    ensure!(how.contains("failed"), "{how}");
    // Inserted and deleted again: nothing is left to insert, and yet it is an error.
    let mut steps = inserts(1, 100);
    for id in 1..=100_i64 {
        let gone = NewEvent::new("D:id", format!("id={id}&v")).extra1("x.y");
        steps.push(Step::Change { table: 0, event: Event::synthetic(100 + id, 1, &gone) });
    }
    let (end, _) = by_set(&client, &mut Tables::new(), &steps, "b", 10, usize::MAX).await?;
    ensure!(end.expect_err("a duplicate").contains("[ev_id=57,"));
    other.batch_execute("delete from b.t0").await?;
    let (end, how) = by_set(&client, &mut Tables::new(), &steps, "b", 10, usize::MAX).await?;
    let counts = end.map_err(anyhow::Error::msg)?;
    ensure!((counts.inserts, counts.deletes, counts.missing_rows) == (100, 100, 0), "{counts:?}");
    ensure!(how == "b.t0: 200 by set", "{how}");
    Ok(())
}
