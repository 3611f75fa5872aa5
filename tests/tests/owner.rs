//! An owner who is no superuser and may not create roles, on both sides (architecture: "Without superuser").

use anyhow::Result;
use e2e::judge::assert_identical;
use e2e::load::{Load, SCHEMA, TABLES};
use e2e::pair::{LIMIT, Pair};
use testkit::wait_for;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_without_superuser_replicates() -> Result<()> {
    let mut pair = Pair::clusters(Some("alice")).await?;
    let source = pair.source_db().await?;
    // From PostgreSQL 15 the owner of a database owns schema public through pg_database_owner.
    source.batch_execute(SCHEMA).await?;
    source
        .batch_execute(
            "create table public.parent (id int primary key, v text); create table public.child (id int primary key, parent int references public.parent, v text);
             insert into public.parent select g, 'p' from generate_series(1, 50) g; insert into public.child select g, g, 'c' from generate_series(1, 50) g",
        )
        .await?;
    pair.start().await?;
    pair.londiste("root", &["add-table", "--all", "--insert-only"]).await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    let load = Load::start(&pair.connstr(&pair.source), 2);
    pair.londiste("leaf", &["add-table", "--all", "--create-full", "--insert-only", "--wait-sync"]).await?;
    source
        .batch_execute(
            "insert into public.parent values (100, 'new'); insert into public.child values (100, 100, 'new'); update public.child set v = 'x' where id < 10;
             delete from public.child where id = 20; delete from public.parent where id = 20",
        )
        .await?;
    load.stop(&source).await?;
    pair.wait_replayed().await?;
    let target = pair.target_db().await?;
    assert_identical(&source, &target, &TABLES).await?;
    assert_identical(&source, &target, &["public.parent", "public.child"]).await?;

    // The leaf's tables refuse everybody but the worker.
    let refused = target.batch_execute("update public.acc set grp = 0 where id = 1").await;
    let message = refused
        .expect_err("a write on the leaf must be refused")
        .as_db_error()
        .map(|e| e.message().to_owned());
    assert!(message.as_deref().is_some_and(|m| m.contains("change not allowed")), "{message:?}");
    target.batch_execute("set skytools.apply_token = 'guess'").await?;
    assert!(
        target.batch_execute("delete from public.acc where id = 1").await.is_err(),
        "a guessed token opened the leaf"
    );

    // And status says what is lost without the right to the replica role.
    let status =
        wait_for("status", LIMIT, || async { Ok(Some(pair.londiste("leaf", &["status"]).await?)) }).await?;
    assert!(status.to_lowercase().contains("replica"), "{status}");
    Ok(())
}
