//! A worker with nothing left to do needs no ticker, as the owner of a database and as a superuser.

use anyhow::Result;
use e2e::judge::assert_identical;
use e2e::pair::{LIMIT, Pair, QUEUE};
use testkit::wait_for;

/// No ticker runs, and none of these few events would make a tick due for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_arrive_without_a_ticker() -> Result<()> {
    for owner in [None, Some("alice")] {
        let mut pair = Pair::clusters(owner).await?;
        let source = pair.source_db().await?;
        source.batch_execute("create table t (id int primary key, v text)").await?;
        pair.start().await?;
        pair.londiste("root", &["add-table", "t"]).await?;
        pair.londiste("leaf", &["add-table", "t", "--create", "--wait-sync"]).await?;
        pair.pgqd = None;
        source.execute("select pgq.set_queue_config($1, 'ticker_max_lag', '1 hour')", &[&QUEUE]).await?;
        let target = pair.target_db().await?;
        for id in 1..=20 {
            source.execute("insert into t values ($1, 'one by one')", &[&id]).await?;
            wait_for("the row to arrive", LIMIT, || async {
                let row = target.query_opt("select 1 from t where id = $1", &[&id]).await?;
                Ok(row.map(drop))
            })
            .await?;
        }
        // A transaction that was open while others were ticked, and that ends when nothing else happens.
        let open = pair.source_db().await?;
        open.batch_execute("begin; insert into t values (0, 'long')").await?;
        source.execute("insert into t values (21, 'short')", &[]).await?;
        wait_for("the short transaction to arrive", LIMIT, || async {
            Ok(target.query_opt("select 1 from t where id = 21", &[]).await?.map(drop))
        })
        .await?;
        open.batch_execute("commit").await?;
        wait_for("the long one to arrive", LIMIT, || async {
            Ok(target.query_opt("select 1 from t where id = 0", &[]).await?.map(drop))
        })
        .await?;
        assert_identical(&source, &target, &["public.t"]).await?;
        // The worker that looks so often still hears its operator.
        pair.londiste("leaf", &["pause"]).await?;
        pair.londiste("leaf", &["resume"]).await?;
    }
    Ok(())
}
