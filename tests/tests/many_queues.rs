//! Many queues in one database: what they cost a session, and creating, dropping and writing at once.
//!
//! `MANY_QUEUES=10000 cargo test -p e2e --test many_queues` makes more of them. Creating one takes some twenty milliseconds.

use anyhow::{Context, Result, ensure};
use testkit::TestDb;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Queues where the environment does not say how many: enough for a tree of leaves.
const QUEUES: u32 = 200;

/// What a session may need more than with a single queue, in bytes.
const MEMORY: i64 = 1_000_000;

fn queues() -> Result<u32> {
    match std::env::var("MANY_QUEUES") {
        Ok(number) => number.parse().with_context(|| format!("MANY_QUEUES={number}")),
        Err(std::env::VarError::NotPresent) => Ok(QUEUES),
        Err(error) => Err(error.into()),
    }
}

/// Creates queues, each in a transaction of its own: one for all of them would need too many locks.
async fn create(db: &TestDb, count: u32) -> Result<Client> {
    let client = db.connect().await?;
    for nr in 0..count {
        client.execute("select pgq.create_queue($1)", &[&format!("queue {nr}")]).await?;
    }
    Ok(client)
}

/// Inserts one event and returns its number.
async fn insert(client: &Client, queue: u32) -> Result<i64, tokio_postgres::Error> {
    let name = format!("queue {queue}");
    client.query_one("select pgq.insert_event($1, 'type', $1)", &[&name]).await?.try_get(0)
}

async fn number(client: &Client, sql: &str) -> Result<i64> {
    client.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.try_get(0).map_err(Into::into)
}

/// Bytes that a new session holds after it wrote to the first `used` queues, each twice.
async fn memory(db: &TestDb, used: u32) -> Result<i64> {
    let client = db.connect().await?;
    for queue in (0..used).chain(0..used) {
        insert(&client, queue).await?;
    }
    number(&client, "select sum(total_bytes)::int8 from pg_backend_memory_contexts").await
}

#[tokio::test]
async fn a_session_pays_for_the_queues_that_it_uses() -> Result<()> {
    let (single, many) = (testkit::database().await?, testkit::database().await?);
    create(&single, 1).await?;
    let count = queues()?;
    let admin = create(&many, count).await?;

    let (with_one, with_many, with_ten) =
        (memory(&single, 1).await?, memory(&many, 1).await?, memory(&many, 10).await?);
    println!(
        "{count} queues: {with_one} bytes with a single queue, {with_many} using one of them, {with_ten} ten"
    );
    ensure!(
        with_many - with_one <= MEMORY,
        "with {count} queues a session needs {with_many} bytes, with one {with_one}"
    );

    // each event is in the queue it was written to, through the generated code
    let writer = many.connect().await?;
    let step = usize::try_from(count / 50 + 1)?;
    for queue in (0..count).step_by(step) {
        insert(&writer, queue).await?;
    }
    // queue by queue: one query on all of them would need a lock for each of their tables
    let tables = admin
        .query(
            "select queue_name, queue_data_pfx || '_0' from pgq.queue where queue_name like 'queue %'",
            &[],
        )
        .await?;
    ensure!(tables.len() == usize::try_from(count)?, "{} queues are there", tables.len());
    for table in tables {
        let (queue, table): (String, String) = (table.get(0), table.get(1));
        let sql = format!("select count(*), count(*) filter (where ev_data <> $1) from {table}");
        let found = admin.query_one(&sql, &[&queue]).await?;
        let (all, strange): (i64, i64) = (found.get(0), found.get(1));
        ensure!(strange == 0, "{strange} events in \"{queue}\" were written to another queue");
        let number: usize = queue.strip_prefix("queue ").context("a queue's name")?.parse()?;
        ensure!(all >= 1 || !number.is_multiple_of(step), "queue \"{queue}\" has none of its events");
    }
    Ok(())
}

/// Creates and drops queues of its own, round after round, with an event in each.
async fn come_and_go(client: Client, worker: u32, rounds: u32) -> Result<()> {
    for round in 0..rounds {
        let name = format!("passing {worker} {round}");
        client.execute("select pgq.create_queue($1)", &[&name]).await.with_context(|| name.clone())?;
        client
            .execute("select pgq.insert_event($1, 'a', 'b')", &[&name])
            .await
            .with_context(|| name.clone())?;
        client.execute("select pgq.drop_queue($1)", &[&name]).await.with_context(|| name.clone())?;
    }
    Ok(())
}

/// Writes to all lasting queues until it is told to stop; returns how many events were acknowledged.
async fn write(client: Client, count: u32, stop: tokio::sync::watch::Receiver<bool>) -> Result<i64> {
    let mut written = 0;
    while !*stop.borrow() {
        for queue in 0..count {
            insert(&client, queue).await.with_context(|| format!("queue {queue}"))?;
            written += 1;
        }
    }
    Ok(written)
}

/// Writes to queues that others drop: refused when the queue is not there, never in another way.
async fn write_to_passing(
    client: Client,
    workers: u32,
    rounds: u32,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<()> {
    while !*stop.borrow() {
        for (worker, round) in (0..workers).flat_map(|w| (0..rounds).map(move |r| (w, r))) {
            let name = format!("passing {worker} {round}");
            if let Err(error) = client.execute("select pgq.insert_event($1, 'a', 'b')", &[&name]).await {
                let code = error.code().with_context(|| format!("{name}: {error}"))?;
                let gone = [&SqlState::UNDEFINED_OBJECT, &SqlState::UNDEFINED_TABLE].contains(&code)
                    // how PostgreSQL itself says that a sequence was dropped while nextval() waited for it
                    || code == &SqlState::INTERNAL_ERROR
                        && error.as_db_error().is_some_and(|e| e.message().starts_with("could not open relation"));
                ensure!(gone, "{name}: {error:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_come_and_go_while_others_are_written_to() -> Result<()> {
    const LASTING: u32 = 12;
    const WORKERS: u32 = 3;
    const ROUNDS: u32 = 15;
    let db = testkit::database().await?;
    let admin = create(&db, LASTING).await?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writers = Vec::new();
    for _ in 0..2 {
        writers.push(tokio::spawn(write(db.connect().await?, LASTING, stopped.clone())));
    }
    let other = tokio::spawn(write_to_passing(db.connect().await?, WORKERS, ROUNDS, stopped));
    let mut changers = Vec::new();
    for worker in 0..WORKERS {
        changers.push(tokio::spawn(come_and_go(db.connect().await?, worker, ROUNDS)));
    }
    let mut failures = Vec::new();
    for changer in changers {
        if let Err(error) = changer.await? {
            failures.push(format!("{error:#}"));
        }
    }
    stop.send(true)?;
    if let Err(error) = other.await? {
        failures.push(format!("{error:#}"));
    }
    let mut written = 0;
    for writer in writers {
        match writer.await? {
            Ok(count) => written += count,
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    ensure!(written > 0, "nothing was written");
    let there = number(&admin, "select count(*) from pgq.event_template where ev_type = 'type'").await?;
    ensure!(there == written, "{written} events were acknowledged, {there} are there");
    let left = number(&admin, "select count(*) from pgq.queue where queue_name like 'passing%'").await?;
    ensure!(left == 0, "{left} queues were not dropped");
    Ok(())
}
