//! Consumers and subconsumers that come and go at the same moment: whoever is second waits, and nobody is picked out as a deadlock's
//! victim.

use anyhow::{Context, Result, ensure};
use testkit::{PATIENCE, wait_for};
use tokio_postgres::Client;

const KEY: &str = "begin; select 1 from pgq.subscription_key k join pgq.consumer c on c.co_id = k.sub_consumer where c.co_name = 'm' for update of k";

/// The first takes what it can get while somebody has the main consumer's key, the second comes then.
const PAIRS: [(&str, &str); 4] = [
    ("select pgq.unregister_consumer('q', 'm')", "select pgq_coop.register_subconsumer('q', 'm', 'new')"),
    ("select pgq.unregister_consumer('q', 'm')", "select pgq_coop.next_batch('q', 'm', 'new')"),
    (
        "select pgq_coop.next_batch('q', 'm', 'new')",
        "select pgq_coop.register_subconsumer('q', 'm', 'newer')",
    ),
    ("select pgq_coop.next_batch('q', 'm', 'new')", "select pgq.unregister_consumer('q', 'm')"),
];

/// Runs it on a connection of its own, and waits until that waits.
async fn blocked(
    db: &testkit::TestDb,
    watch: &Client,
    sql: &'static str,
) -> Result<tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>> {
    let client = db.connect().await?;
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    let task = tokio::spawn(async move { client.batch_execute(sql).await });
    wait_for("a lock to be waited for", PATIENCE, || async {
        let row = watch.query_one("select cardinality(pg_blocking_pids($1)) > 0", &[&pid]).await?;
        Ok(row.get::<_, bool>(0).then_some(()))
    })
    .await
    .context(sql)?;
    Ok(task)
}

#[tokio::test]
async fn who_comes_second_waits() -> Result<()> {
    let db = testkit::database().await?;
    let watch = db.connect().await?;
    for (first, second) in PAIRS {
        watch
            .batch_execute("select pgq.create_queue('q'), pgq_coop.register_subconsumer('q', 'm', 'old')")
            .await?;
        let holder = db.connect().await?;
        holder.batch_execute(KEY).await?;
        let tasks =
            [(first, blocked(&db, &watch, first).await?), (second, blocked(&db, &watch, second).await?)];
        holder.batch_execute("rollback").await?;
        for (sql, task) in tasks {
            let outcome = task.await?;
            ensure!(outcome.is_ok(), "{first}; {second}: {sql}: {outcome:?}");
        }
        watch.batch_execute("select pgq.drop_queue('q', true); delete from pgq.consumer").await?;
    }
    Ok(())
}
