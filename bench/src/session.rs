//! A connection that stays open, for callers without an async runtime: polling by psql would cost more than what
//! is measured.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use cluster::Cluster;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use skytools::db::{ConnectString, Connection};
use tokio::runtime::Runtime;
use tokio_postgres::Statement;

/// One session.
pub struct Session {
    /// Its runtime.
    pub runtime: Runtime,
    /// Its connection.
    pub connection: Connection,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// No connection.
    pub fn open(cluster: &Cluster, db: &str) -> Result<Session> {
        // One thread for the connection and its user: handing every few kilobytes from one thread to another costs more
        // than decoding them.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connect = ConnectString::parse(&cluster.connstr(db))?;
        let connection = runtime.block_on(connect.connect("bench"))?;
        Ok(Session { runtime, connection })
    }

    /// Keeps the server's process to one of the processors, the same for every contender's session of this number. Left to
    /// the scheduler, a process that works in turns with others returns to the processor it had, and processors are
    /// not equally fast: the same code made half as many transactions on one of two.
    ///
    /// # Errors
    /// The system refuses.
    pub fn keep_to_processor(&self, number: usize) -> Result<()> {
        let pid: i32 = self.value("select pg_backend_pid()")?;
        let ours = sched_getaffinity(Pid::this())?;
        let usable: Vec<usize> = (0..CpuSet::count()).filter(|cpu| ours.is_set(*cpu) == Ok(true)).collect();
        let mut one = CpuSet::new();
        one.set(usable[number % usable.len()])?;
        sched_setaffinity(Pid::from_raw(pid), &one).context("keeping a server process to one processor")
    }

    /// Runs statements.
    ///
    /// # Errors
    /// The server refuses.
    pub fn execute(&self, sql: &str) -> Result<()> {
        Ok(self.runtime.block_on(self.connection.batch_execute(sql))?)
    }

    /// The single value of a query.
    ///
    /// # Errors
    /// The server refuses, or there is not exactly one row.
    pub fn value<T: for<'a> tokio_postgres::types::FromSql<'a>>(&self, sql: &str) -> Result<T> {
        let row = self.runtime.block_on(self.connection.query_one(sql, &[]))?;
        Ok(row.try_get(0)?)
    }
}

/// Clients that repeat one statement, each execution a transaction. Between two windows they stand still; their connections
/// and plans stay.
pub struct Clients(Vec<(Session, Statement)>);

impl Clients {
    /// Connects `count` clients and prepares the statement.
    ///
    /// # Errors
    /// No connection; the server refuses the statement.
    pub fn open(cluster: &Cluster, db: &str, sql: &str, count: usize) -> Result<Clients> {
        let client = |number| {
            let session = Session::open(cluster, db)?;
            session.keep_to_processor(number)?;
            let statement = session.runtime.block_on(session.connection.prepare(sql))?;
            Ok((session, statement))
        };
        (0..count).map(client).collect::<Result<_>>().map(Clients)
    }

    /// Transactions per second of all clients in one window. All begin at once, each in a thread of its own.
    ///
    /// # Errors
    /// The server refuses.
    pub fn rate(&mut self, window: Duration) -> Result<f64> {
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .iter_mut()
                .map(|(session, statement)| scope.spawn(move || repeat(session, statement, window)))
                .collect();
            threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("a client panicked"))?).sum()
        })
    }
}

fn repeat(session: &Session, statement: &Statement, window: Duration) -> Result<f64> {
    session.runtime.block_on(async {
        let began = Instant::now();
        let mut count = 0_u32;
        while began.elapsed() < window {
            session.connection.execute(statement, &[]).await?;
            count += 1;
        }
        Ok(f64::from(count) / began.elapsed().as_secs_f64())
    })
}
