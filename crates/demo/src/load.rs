//! The load: pgbench beside a writer that changes the table of every type in every kind of transaction.

use std::path::Path;
use std::process::Stdio;

use skytools::db::{ConnectString, Connection};
use skytools::{Error, ErrorKind, Result};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// The table of every type, quoted for SQL.
const TABLE: &str = r#""Odd ""Schema"""."Every Type, née""#;

/// Creates and fills the tables of both loads on the source.
///
/// # Errors
/// What the server or pgbench says.
pub async fn prepare(pgbench: &Path, target: &ConnectString, scale: u32) -> Result<()> {
    let output = command(pgbench, target)
        .args(["--initialize", "--quiet", "--scale"])
        .arg(scale.to_string())
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| not_started(pgbench, e))?;
    if !output.status.success() {
        return Err(Error::new(
            ErrorKind::System,
            format!("pgbench --initialize failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
        ));
    }
    let db = target.connect("skytools-demo").await?;
    db.batch_execute(include_str!("every_type.sql")).await?;
    Ok(())
}

/// Starts pgbench for the given time.
///
/// # Errors
/// pgbench cannot be started.
pub fn pgbench(program: &Path, target: &ConnectString, clients: u32, seconds: u64) -> Result<Child> {
    command(program, target)
        .args([
            "--no-vacuum",
            "--client",
            &clients.to_string(),
            "--jobs",
            "2",
            "--time",
            &seconds.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| not_started(program, e))
}

/// Waits for pgbench and returns the transactions per second that it printed.
///
/// # Errors
/// pgbench failed, for example because capture refused a write.
pub async fn finish(child: Child) -> Result<Option<f64>> {
    let output = child
        .wait_with_output()
        .await
        .map_err(|e| Error::new(ErrorKind::System, "waiting for pgbench failed").with_source(e))?;
    if !output.status.success() {
        return Err(Error::new(
            ErrorKind::System,
            format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().find_map(|l| l.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok()))
}

fn command(program: &Path, target: &ConnectString) -> Command {
    let mut command = Command::new(program);
    for (key, variable) in
        [("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER"), ("dbname", "PGDATABASE")]
    {
        if let Some(value) = target.get(key) {
            command.env(variable, value);
        }
    }
    command
}

fn not_started(program: &Path, cause: std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("cannot start {}", program.display()))
        .with_source(cause)
        .hint("install the server package that brings pgbench (Debian: postgresql), or point PG_BIN to its directory")
}

/// Changes the table of every type until told to stop: all isolation levels, savepoints, rolled-back and
/// prepared transactions, swaps of values between rows, deletes and re-inserts.
///
/// # Errors
/// Any error of the server other than a serialization failure, which is retried as an application would.
pub async fn write_every_type(mut db: Connection, mut stop: watch::Receiver<bool>) -> Result<u64> {
    let mut round: u64 = 0;
    while !*stop.borrow() {
        match one_round(&mut db, round).await {
            Ok(()) => round += 1,
            Err(e) if e.is_retryable() => {}
            Err(e) => return Err(e.context("writing to the table of every type")),
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
            _ = stop.changed() => {}
        }
    }
    Ok(round)
}

async fn one_round(db: &mut Connection, round: u64) -> Result<()> {
    const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];
    let level = LEVELS[usize::try_from(round % 3).unwrap_or_default()];
    let columns = copied_columns(db).await?;
    let tx = db.transaction().await?;
    tx.batch_execute(&format!("set transaction isolation level {level}")).await?;
    // Copies of the awkward rows, but not of the 20 MB one, under new keys.
    tx.batch_execute(&format!(
        "insert into {TABLE} ({columns}) select {columns} from {TABLE} where t_int4 is distinct from 20 order by id limit 9"
    ))
    .await?;
    tx.batch_execute(&format!(
        "savepoint s; update {TABLE} set t_text = 'never seen'; rollback to s; \
         update {TABLE} set t_int4 = coalesce(t_int4, 0) / 2 + {round}, t_text = t_text || ' ü😀' where id % 7 = {} and t_int4 is distinct from 20 and length(t_text) < 2000; \
         delete from {TABLE} where id > 10 and id % 5 = {}",
        round % 7,
        round % 5
    ))
    .await?;
    match round % 4 {
        0 => {
            tx.batch_execute("rollback").await?;
            return Ok(());
        }
        1 if prepared_allowed(&tx).await? => {
            tx.batch_execute(&format!("prepare transaction 'demo-{round}'")).await?;
            drop(tx);
            db.batch_execute(&format!("commit prepared 'demo-{round}'")).await?;
            return Ok(());
        }
        _ => {}
    }
    tx.commit().await?;
    Ok(())
}

async fn prepared_allowed(tx: &tokio_postgres::Transaction<'_>) -> Result<bool> {
    let row = tx.query_one("select current_setting('max_prepared_transactions')::int > 0", &[]).await?;
    Ok(row.get(0))
}

/// The columns that an INSERT … SELECT may carry over: no key, no generated and no always-identity column.
async fn copied_columns(db: &Connection) -> Result<String> {
    let row = db
        .query_one(
            "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
              where attrelid = $1::text::regclass and attnum > 0 and not attisdropped
                and attgenerated = '' and attidentity = ''",
            &[&TABLE],
        )
        .await?;
    Ok(row.get(0))
}
