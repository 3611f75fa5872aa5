//! Random histories.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use londiste::apply::Tables;

use crate::dice::Dice;
use crate::history::{Model, Mood, Step};
use crate::play::{TYPES, by_set, dest, fill, in_order, prepared, rows};
use crate::templates::{FAILS, TEMPLATES};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The same histories in every ordinary run; `SET_APPLY_SEED` explores others.
const DEFAULT_SEED: u64 = 289_416_991;

/// An error without the values of its row.
fn without_row(error: &str) -> &str {
    error.split("Failing row contains").next().unwrap_or(error)
}

/// So many show that all that can happen does.
const ROUNDS: u64 = 30;

/// What has to happen in batches that go well.
const TOLD: &[&str] = &[
    "column added here",
    "column comes into the events",
    "column dropped here",
    "column leaves the events",
    "column written here",
    "columns in another order",
    "key changed",
    "key deleted and inserted",
    "keys moved along",
    "keys swapped",
    "script",
    "truncate",
    "type widened",
    "value handed over",
    "values swapped",
    "values swapped at once",
];

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_the_same_both_ways() -> Result<()> {
    let seed = number("SET_APPLY_SEED", DEFAULT_SEED);
    let rounds = number("SET_APPLY_ROUNDS", ROUNDS);
    println!("SET_APPLY_SEED={seed}");
    let db = testkit::database().await?;
    let other = db.connect().await?;
    other.batch_execute(TYPES).await?;
    let mut dice = Dice(seed);
    let mut used: BTreeMap<&str, u64> = BTreeMap::new();
    let mut folded: BTreeMap<&str, u64> = BTreeMap::new();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut batches, mut failures, mut missing) = (0, 0, 0);
    for round in 0..rounds {
        // Every template has its turn; the others come by chance.
        let first = &TEMPLATES[usize::try_from(round)? % TEMPLATES.len()];
        let mut templates = vec![first];
        for _ in 0..dice.roll(3) {
            templates.push(dice.pick(TEMPLATES));
        }
        let (ordered, mut sets) = (prepared(&db).await?, prepared(&db).await?);
        for schema in ["a", "b"] {
            other
                .batch_execute(&format!("drop schema if exists {schema} cascade; create schema {schema}"))
                .await?;
            other
                .batch_execute(&format!(
                    "create table {schema}.log (n bigint generated always as identity, others bigint)"
                ))
                .await?;
            for (table, template) in templates.iter().enumerate() {
                other.batch_execute(&fill(template.ddl, schema, table)).await.context(template.name)?;
            }
        }
        let (mut cache_a, mut cache_b) = (Tables::new(), Tables::new());
        let mut model = Model::new(&templates, *dice.pick(&[4, 15, 100]));
        let few = *dice.pick(&[0, 3, 60]);
        // A chunk alone is more than the least of these.
        let memory = *dice.pick(&[1, 300_000, 1_000_000, usize::MAX]);
        for batch in 0..3 {
            for step in if batch > 0 { model.between(&mut dice) } else { Vec::new() } {
                let Step::Sql { table, sql } = step else { continue };
                for schema in ["a", "b"] {
                    let sql = fill(&sql, schema, table);
                    other.batch_execute(&sql).await.with_context(|| sql.clone())?;
                }
            }
            // What has failed by set goes in order until the worker has reconnected.
            if dice.one_in(2) {
                (sets, cache_b) = (prepared(&db).await?, Tables::new());
            }
            let before = model.clone();
            let mood = Mood {
                wrong: batch > 0 && dice.one_in(2),
                awkward: dice.one_in(3),
                drifting: dice.one_in(2),
            };
            let length = 100 + dice.roll(250);
            let steps = model.batch(&mut dice, length, mood);
            let place = format!(
                "seed {seed}, round {round}, batch {batch}, few {few}, memory {memory}, tables {:?}",
                templates.iter().map(|t| t.name).collect::<Vec<_>>()
            );
            let expected = in_order(&ordered, &mut cache_a, &steps, "a").await?;
            let (end, how) =
                by_set(&sets, &mut cache_b, &steps, "b", few, memory).await.context(place.clone())?;
            // What a failed attempt takes from a sequence is gone: from here on the numbers differ.
            let numbered = templates.iter().any(|t| t.name == "a default by order");
            let same = match (&end, &expected) {
                (Err(a), Err(b)) if numbered => without_row(a) == without_row(b),
                _ => end == expected,
            };
            ensure!(same, "{place}: in order {expected:?}, by set {end:?} ({how})");
            batches += 1;
            match &end {
                Ok(counts) => missing += counts.missing_rows,
                Err(error) => {
                    let may_fail = mood.wrong || templates.iter().any(|t| t.goes == FAILS);
                    ensure!(may_fail, "{place}: {error}");
                    failures += 1;
                    model = before;
                }
            }
            if numbered && (end.is_err() || how.starts_with("failed")) {
                break;
            }
            for (table, template) in templates.iter().enumerate() {
                let (a, b) = (rows(&other, &dest("a", table)).await?, rows(&other, &dest("b", table)).await?);
                ensure!(a == b, "{place}: table {table}: in order {a:#?}, by set {b:#?} ({how})");
                let said =
                    how.split(", ").find(|part| part.starts_with(&dest("b", table))).unwrap_or_default();
                let set = said.contains(" by set");
                ensure!(template.by_set() || !set, "{place}: {how}");
                *used.entry(template.name).or_default() += u64::from(set);
                if set && !said.contains("staged") {
                    *folded.entry(template.name).or_default() += 1;
                }
            }
            // By number, of which a failed attempt may have left gaps.
            let seen = |schema| {
                format!("select coalesce(string_agg(others::text, ',' order by n), '') from {schema}.log")
            };
            let a: String = other.query_one(&seen("a"), &[]).await?.get(0);
            let b: String = other.query_one(&seen("b"), &[]).await?.get(0);
            ensure!(a == b, "{place}: the trigger has seen other states: {a} in order, {b} by set");
        }
        for (what, times) in model.told {
            *told.entry(what).or_default() += times;
        }
    }
    println!(
        "{failures} of {batches} batches failed, {missing} missing rows, {told:?}, by set: {used:?}, all of it in memory: {folded:?}"
    );
    if rounds < ROUNDS {
        return Ok(());
    }
    ensure!(missing > 0, "no history has missed a row");
    ensure!(used.values().sum::<u64>() > rounds / 3, "sets have hardly been used: {used:?}");
    ensure!(folded.values().sum::<u64>() > rounds / 6, "little has been folded in memory: {folded:?}");
    for what in TOLD {
        ensure!(told.contains_key(what), "never in a batch that went well: {what}; {told:?}");
    }
    Ok(())
}
