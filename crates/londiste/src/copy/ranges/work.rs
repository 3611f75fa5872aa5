//! The connections that load the ranges.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::load::{Prepared, RangeLoad};
use super::split::newer_than;
use super::store::{self, Range};
use super::suited::{self, SourceFacts};
use crate::apply::TableShape;
use crate::apply::session;
use crate::copy::{Progress, Sessions, source, transfer};
use crate::snapshot::Snapshot;

/// Loads the ranges that are to do, on several connections.
pub(super) async fn run(leader: &Client, exported: &str, job: &Job<'_>) -> Result<()> {
    let connections = job.task.settings.ranges.workers.min(job.todo.lock().map_or(0, |todo| todo.len()));
    // The first connection reads in the session that holds the snapshot.
    try_join_all(
        (0..connections)
            .map(|nr| async move { if nr == 0 { job.work(leader).await } else { job.join(exported).await } }),
    )
    .await?;
    Ok(())
}

/// What all connections share.
pub(super) struct Job<'a> {
    task: &'a RangeLoad<'a>,
    there: &'a TableShape,
    facts: &'a SourceFacts,
    prepared: &'a Prepared,
    snapshot: &'a Snapshot,
    /// Leaves out what a resumed copy fetches at its end.
    older: String,
    todo: Mutex<VecDeque<&'a Range>>,
}

impl<'a> Job<'a> {
    pub fn new(
        task: &'a RangeLoad<'a>,
        (there, facts): (&'a TableShape, &'a SourceFacts),
        prepared: &'a Prepared,
        snapshot: &'a Snapshot,
        first: &Snapshot,
    ) -> Self {
        let todo = prepared.ranges.list.iter().filter(|r| r.snapshot.is_none()).collect();
        let older = (prepared.kept > 0).then(|| format!(" and not {}", newer_than(first)));
        Job {
            task,
            there,
            facts,
            prepared,
            snapshot,
            older: older.unwrap_or_default(),
            todo: Mutex::new(todo),
        }
    }
}

impl Job<'_> {
    /// Works with another connection to the source, under the leader's snapshot.
    async fn join(&self, exported: &str) -> Result<()> {
        let task = self.task;
        let target = task.settings.connect_local(task.application).await?;
        let other =
            source::reopen(task.settings, &Sessions::default(), &target, task.source_node, task.application)
                .await?;
        drop(target);
        let source = &*other.connection;
        session::prepare_rows(source).await?;
        source
            .batch_execute(&format!(
                "begin transaction isolation level repeatable read read only; set transaction snapshot {}",
                skytools::quote::literal(exported)
            ))
            .await?;
        // Who waits to change the table waits for the leader: to queue behind it would be a deadlock that no server sees.
        let table = suited::quoted(task.source_table);
        match source.batch_execute(&format!("lock table only {table} in access share mode nowait")).await {
            Ok(()) => {}
            Err(e) if e.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                tracing::info!(
                    table = task.row.table_name,
                    "somebody waits to change the table on the source: its copy goes on with fewer connections"
                );
                return Ok(());
            }
            Err(e) => return Err(Error::from(e).context("locking the source table")),
        }
        // The lock of the leader is gone with its session.
        if !self.facts.same_file(source, self.there).await? {
            return Err(Error::new(
                ErrorKind::Transient,
                format!("table {} was rewritten on the source during its copy", task.source_table),
            ));
        }
        self.work(source).await?;
        Ok(source.batch_execute("commit").await?)
    }

    async fn work(&self, source: &Client) -> Result<()> {
        let target = self.task.settings.connect_local(self.task.application).await?;
        session::prepare_load(&*target, &self.task.settings.queue).await?;
        loop {
            let next = self.todo.lock().map(|mut todo| todo.pop_front()).unwrap_or_default();
            let Some(range) = next else { return Ok(()) };
            self.range(source, &target, range).await?;
        }
    }

    async fn range(&self, source: &Client, target: &Client, range: &Range) -> Result<()> {
        let begun = Instant::now();
        let (queue, table) = (&self.task.settings.queue, &self.task.row.table_name);
        let columns = &self.prepared.columns;
        store::begin_held(target, queue, table).await?;
        let condition = format!("{}{}", range.blocks.condition(), self.older);
        let progress = Progress::part_of(self.task.progress);
        let rows = transfer(
            source,
            &columns.copy_out(self.there, Some(&condition)),
            target,
            &columns.copy_in(&self.prepared.here),
            &progress,
        )
        .await
        .map_err(|e| e.context(format!("copying table {}, range {}", self.task.row.dest(), range.nr)))?;
        let of = (range, self.prepared.ranges.layout.as_str());
        store::finish(target, queue, table, of, self.snapshot, (rows, progress.bytes())).await?;
        target.batch_execute("commit").await?;
        let took: Duration = begun.elapsed();
        tracing::debug!(
            table,
            range = range.nr,
            of = self.prepared.ranges.list.len(),
            rows,
            bytes = progress.bytes(),
            seconds = took.as_secs_f64(),
            "range loaded"
        );
        Ok(())
    }
}
