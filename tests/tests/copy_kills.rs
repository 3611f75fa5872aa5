//! A large table on its way to the leaf, as an owner without superuser, while applications write: the worker is killed,
//! then each server stops at once. What was loaded stays loaded: the provider's log shows which blocks were read again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use cluster::Mode;
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA, TABLES};
use e2e::pair::{LIMIT, Pair};
use testkit::wait_for;
use tokio_postgres::Client;

/// Ranges that are complete when somebody dies; each connection then waits at the end of one more.
const BEFORE: usize = 4;
const CONNECTIONS: i64 = 3;

const OBSERVE: &str = "
    create table public.loaded (first_block bigint, attempt int);
    grant all on public.loaded to public;
    create function public.note() returns trigger language plpgsql as
      $$ begin insert into public.loaded values (new.first_block, new.attempt); return new; end $$;
    create trigger note after update on londiste.copy_range for each row
      when (old.snapshot is null and new.snapshot is not null) execute function public.note();
    alter table londiste.copy_range enable always trigger note;
    create function public.gate() returns trigger language plpgsql as
      $$ begin perform pg_catalog.pg_advisory_xact_lock_shared(777); return new; end $$";

#[derive(Debug, Clone, Copy)]
enum Victim {
    Worker,
    Target,
    Source,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_loaded_is_not_read_again_whoever_dies() -> Result<()> {
    let mut pair = Pair::clusters(Some("alice")).await?;
    let mut ini = std::fs::read_to_string(pair.ini("leaf"))?;
    ini.push_str(&format!(
        "threaded_copy_tables = public.acc\nthreaded_copy_pool_size = {CONNECTIONS}\ncopy_range_size = 128k\n"
    ));
    std::fs::write(pair.ini("leaf"), ini)?;
    pair.source_db().await?.batch_execute(SCHEMA).await?;
    pair.source.add_conf("log_statement = 'all'")?;
    pair.source.reload()?;
    pair.start().await?;
    pair.londiste("root", &["add-table", "--all", "--insert-only"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    pair.target.psql("db", OBSERVE)?;
    let load = Load::start(&pair.connstr(&pair.source), 2);
    for victim in [Victim::Worker, Victim::Target, Victim::Source] {
        killed(&mut pair, victim).await.with_context(|| format!("{victim:?}"))?;
    }
    let source = pair.source_db().await?;
    load.stop(&source).await?;
    pair.wait_replayed().await?;
    let target = pair.target_db().await?;
    assert_identical(&source, &target, &TABLES).await?;
    let left: i64 = target
        .query_one(
            "select count(*) from londiste.table_info where dropped_ddl is not null or merge_state <> 'ok'",
            &[],
        )
        .await?
        .get(0);
    ensure!(left == 0, "{left} tables are not complete");
    Ok(())
}

/// The gate: whoever has loaded a range from the fifth on waits for this session before noting it.
async fn shut(pair: &Pair) -> Result<Client> {
    let keeper = testkit::connect(&pair.target.connstr("db")).await?;
    keeper
        .batch_execute(&format!(
            "truncate public.loaded; select pg_advisory_lock(777); \
             create trigger a_gate before update on londiste.copy_range for each row \
               when (new.snapshot is not null and new.range_nr > {BEFORE}) execute function public.gate(); \
             alter table londiste.copy_range enable always trigger a_gate"
        ))
        .await?;
    Ok(keeper)
}

async fn killed(pair: &mut Pair, victim: Victim) -> Result<()> {
    let keeper = shut(pair).await?;
    if matches!(victim, Victim::Worker) {
        pair.londiste("leaf", &["add-table", "--all", "--create", "--insert-only"]).await?;
    } else {
        pair.londiste("leaf", &["resync", "public.acc"]).await?;
    }
    wait_for("all connections to have loaded one more range", LIMIT, || async {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and objid = 777 and not granted";
        Ok((keeper.query_one(sql, &[]).await?.get::<_, i64>(0) == CONNECTIONS).then_some(()))
    })
    .await?;
    let mark;
    match victim {
        Victim::Worker => {
            pair.leaf.as_mut().context("a worker")?.kill9()?;
            mark = pair.source.log().len();
            drop(keeper);
            pair.start_leaf()?;
        }
        Victim::Target => {
            pair.target.stop(Mode::Immediate)?;
            mark = pair.source.log().len();
            pair.target.start_again()?;
            drop(keeper);
        }
        Victim::Source => {
            pair.source.stop(Mode::Immediate)?;
            mark = pair.source.log().len();
            // The ranges that were read are noted still.
            drop(keeper);
            pair.source.start_again()?;
        }
    }
    wait_for("the gate to go", LIMIT, || async {
        pair.target.psql("db", "drop trigger if exists a_gate on londiste.copy_range")?;
        Ok(Some(()))
    })
    .await?;
    pair.wait_in_sync().await?;
    let text = pair.target.psql("db", "copy (select first_block, attempt from public.loaded) to stdout")?;
    let loaded: Vec<(u64, u32)> = text.lines().map(pair_of_numbers).collect::<Result<_>>()?;
    let all: BTreeSet<u64> = loaded.iter().map(|(block, _)| *block).collect();
    ensure!(all.len() == loaded.len(), "a range was loaded twice: {loaded:?}");
    let kept: BTreeSet<u64> = loaded.iter().filter(|(_, attempt)| *attempt == 1).map(|(b, _)| *b).collect();
    let expected = match victim {
        // Only what was committed.
        Victim::Worker | Victim::Target => BEFORE..=BEFORE,
        Victim::Source => BEFORE..=BEFORE + usize::try_from(CONNECTIONS)?,
    };
    ensure!(expected.contains(&kept.len()), "{} ranges were loaded before", kept.len());
    ensure!(all.len() > kept.len(), "nothing was left to load");
    let again = blocks_read(&pair.source.log()[mark..])?;
    let wanted: BTreeMap<u64, usize> = all.difference(&kept).map(|block| (*block, 1)).collect();
    ensure!(again == wanted, "read afterwards (first block, times): {again:?}; loaded before: {kept:?}");
    Ok(())
}

fn pair_of_numbers(line: &str) -> Result<(u64, u32)> {
    let (block, attempt) = line.split_once('\t').context("two columns")?;
    Ok((block.parse()?, attempt.parse()?))
}

/// First blocks of the ranges of table acc that the log says were asked for, and how often.
fn blocks_read(log: &str) -> Result<BTreeMap<u64, usize>> {
    let mut blocks = BTreeMap::new();
    for line in log.lines().filter(|l| l.contains("copy (select") && l.contains("acc")) {
        let Some((_, from)) = line.split_once("ctid >= '(") else { continue };
        let (block, _) = from.split_once(',').context("a block number")?;
        *blocks.entry(block.parse()?).or_default() += 1;
    }
    Ok(blocks)
}
