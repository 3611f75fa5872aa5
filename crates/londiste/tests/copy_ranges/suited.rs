//! Tables that are not copied by ranges.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::fixture::{Fixture, ONE};
use crate::support::admin;

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_do_not_suit_stay_in_one_transaction() -> Result<()> {
    let f = Fixture::empty().await?;
    let pair = &f.pair;
    pair.both("create table nokey (a int, b text); create table part (id int primary key, v text)").await?;
    pair.on_root
        .batch_execute("insert into nokey select g, repeat('x', 100) from generate_series(1, 20000) g; insert into part select g, repeat('x', 100) from generate_series(1, 20000) g")
        .await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.nokey', array['tgflags=I'])")
        .await?;
    pair.add_on_leaf("public.nokey", "'tgflags=I'").await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.part', array['tgflags=IUDQ'])")
        .await?;
    pair.add_on_leaf("public.part", "").await?;
    let worker = f.worker(ONE)?;
    for table in ["public.nokey", "public.part"] {
        pair.until_state(table, &["ok"]).await?;
    }
    ensure!(f.done("true").await? == 0);
    ensure!(pair.assert_same("nokey").await? == 20_000 && pair.assert_same("part").await? == 20_000);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn small_tables_are_not_divided() -> Result<()> {
    let f = Fixture::new().await?;
    f.resume("").await?;
    ensure!(f.done("true").await? == 0);
    tokio::time::timeout(Duration::from_secs(1), f.pair.until_no_copy_consumers()).await??;
    Ok(())
}
