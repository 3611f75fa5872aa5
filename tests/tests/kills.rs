//! Kill -9 of any process and immediate stops of either server, under load: nothing lost, nothing twice.

use std::time::Duration;

use anyhow::Result;
use cluster::Mode;
use e2e::judge::assert_identical;
use e2e::load::{Load, Random, SCHEMA, TABLES};
use e2e::pair::{LIMIT, Pair, QUEUE};
use testkit::wait_for;

/// Rounds of destruction; each kills one thing at a moment that the generator chooses.
const ROUNDS: u64 = 14;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_lost_nothing_twice_whatever_dies() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    pair.source.psql("db", SCHEMA)?;
    pair.start().await?;
    // Rotations follow each other as fast as maintenance runs.
    pair.source.psql("db", "update pgq.queue set queue_rotation_period = '1 second', queue_ticker_max_lag = '0.2 seconds', queue_ticker_max_count = 50")?;
    let load = Load::start(&pair.connstr(&pair.source), 3);
    pair.londiste("root", &["add-table", "--all", "--insert-only"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    pair.londiste("leaf", &["add-table", "--all", "--create", "--insert-only"]).await?;

    let mut random = Random(0x5EED);
    let mut rotated = last_rotation(&pair).await?;
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            rotated = rotation_after(&pair, rotated).await?;
        }
        // Somewhere within the next batches: with tables still being copied in the first rounds.
        tokio::time::sleep(Duration::from_millis(150 + random.below(900))).await;
        match round % 5 {
            0 => {
                if let Some(leaf) = pair.leaf.as_mut() {
                    leaf.kill9()?;
                }
                pair.start_leaf()?;
            }
            1 => {
                if let Some(pgqd) = pair.pgqd.as_mut() {
                    pgqd.kill9()?;
                }
                pair.start_pgqd()?;
            }
            2 => {
                pair.target.stop(Mode::Immediate)?;
                pair.target.start_again()?;
            }
            3 => {
                pair.source.stop(Mode::Immediate)?;
                pair.source.start_again()?;
            }
            _ => {
                if let Some(root) = pair.root.as_mut() {
                    root.kill9()?;
                }
                pair.start_root()?;
                // and a table that starts all over again while everything else goes on
                wait_for("resync accepted", LIMIT, || async {
                    pair.londiste("leaf", &["resync", "public.acc"]).await?;
                    Ok(Some(()))
                })
                .await?;
            }
        }
    }
    rotation_after(&pair, rotated).await?;
    let source = pair.source_db().await?;
    let committed = load.stop(&source).await?;
    assert!(committed > 50, "the load hardly wrote: {committed} transactions");
    pair.wait_in_sync().await?;
    pair.wait_replayed().await?;
    assert_identical(&source, &pair.target_db().await?, &TABLES).await
}

/// The transaction that switched to another event table last; at first the one that created the queue.
async fn last_rotation(pair: &Pair) -> Result<i64> {
    let sql = "select queue_switch_step1 from pgq.queue where queue_name = $1";
    Ok(pair.source_db().await?.query_one(sql, &[&QUEUE]).await?.get(0))
}

/// Waits until there was another one, and returns it.
async fn rotation_after(pair: &Pair, before: i64) -> Result<i64> {
    wait_for("a rotation", LIMIT, || async {
        let last = last_rotation(pair).await?;
        Ok((last != before).then_some(last))
    })
    .await
}
