//! From `add-table` to `ok` without waiting for anybody's next look: the worker is woken, and makes the ticks it needs.

use anyhow::Result;
use e2e::judge::assert_identical;
use e2e::pair::{LIMIT, Pair, QUEUE};
use testkit::wait_for;

/// Left alone, this worker would look again in an hour, and the ticker does not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_handed_over_without_a_ticker() -> Result<()> {
    for owner in [None, Some("alice")] {
        let mut pair = Pair::clusters(owner).await?;
        let ini = std::fs::read_to_string(pair.ini("leaf"))?.replace("loop_delay = 0.1", "loop_delay = 3600");
        std::fs::write(pair.ini("leaf"), ini)?;
        let source = pair.source_db().await?;
        source
            .batch_execute("create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 1000) g")
            .await?;
        pair.start().await?;
        pair.londiste("root", &["add-table", "t"]).await?;
        wait_for("the leaf's worker to sleep", LIMIT, || async {
            let db = pair.target_db().await?;
            let sql = "select count(*) from pg_stat_activity where application_name = 'leaf_worker' and state = 'idle' and wait_event = 'ClientRead'";
            Ok((db.query_one(sql, &[]).await?.get::<_, i64>(0) > 0).then_some(()))
        })
        .await?;
        pair.pgqd = None;
        pair.londiste("leaf", &["add-table", "t", "--create", "--wait-sync"]).await?;
        let target = pair.target_db().await?;
        assert_identical(&source, &target, &["public.t"]).await?;
        // And again, from the table's other beginning.
        source.batch_execute("update public.t set v = 'later' where id < 10").await?;
        pair.londiste("leaf", &["resync", "t", "--wait-sync"]).await?;
        assert_identical(&source, &target, &["public.t"]).await?;
        let sql = "select count(*) from pgq.get_consumer_info($1) where consumer_name like '%.copy.%'";
        wait_for("the copy's consumer to go", LIMIT, || async {
            Ok((source.query_one(sql, &[&QUEUE]).await?.get::<_, i64>(0) == 0).then_some(()))
        })
        .await?;
    }
    Ok(())
}
