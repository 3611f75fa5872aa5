//! Plays a history on a source database, replays its events on a mirror.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::Cluster;
use testkit::{PATIENCE, wait_for};
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::mirror::{self, Event};
use crate::oracle;
use crate::session::{Outcome, Session};
use crate::step::{Act, QUEUE, Setup, Step};

/// The database that others are copied from.
pub const TEMPLATE: &str = "template_capture";

/// How long a session may go on without a look whether it waits for another.
const LOOK: Duration = Duration::from_millis(2);

/// What was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A statement was refused that must be captured, or in words that nobody documented.
    Refused,
    /// Events cannot be replayed, or lead elsewhere.
    Replay,
    /// Events are missing or too many.
    Count,
}

/// A fault of capture; every other error is a fault of the test or the machine.
#[derive(Debug)]
pub struct Finding {
    pub wrong: Wrong,
    pub text: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.text)
    }
}

impl std::error::Error for Finding {}

/// Wraps an error as a fault of capture.
pub fn finding(wrong: Wrong, error: &anyhow::Error) -> anyhow::Error {
    Finding { wrong, text: format!("{error:#}") }.into()
}

/// The two databases and the sessions of one history.
pub struct Stage {
    sessions: Vec<Session>,
    outcomes: mpsc::UnboundedReceiver<(usize, Result<Outcome>)>,
    /// Looks after the sessions.
    watch: Client,
    reader: Client,
    source: Client,
    mirror: Client,
    events: Vec<Event>,
    /// Events replayed.
    pub replayed: usize,
    /// Batches read.
    pub batches: usize,
}

impl Stage {
    /// Fresh databases `source` and `mirror` in the cluster.
    pub async fn set(cluster: &Cluster, setup: &Setup) -> Result<Stage> {
        let server = testkit::connect(&cluster.connstr("postgres")).await?;
        clear(cluster, &server).await?;
        for (name, template) in [("source", TEMPLATE), ("mirror", "template_mirror")] {
            server.batch_execute(&format!("create database {name} template {template}")).await?;
        }
        let source = testkit::connect(&cluster.connstr("source")).await?;
        let mirror = testkit::connect(&cluster.connstr("mirror")).await?;
        oracle::start(&source).await?;
        for sql in &setup.both {
            for client in [&source, &mirror] {
                client.batch_execute(sql).await.with_context(|| sql.clone())?;
            }
        }
        for sql in &setup.source {
            source.batch_execute(sql).await.with_context(|| sql.clone())?;
        }
        for client in [&source, &mirror] {
            // the same text for the same row; triggers and foreign keys have had their say at the source
            client.batch_execute("set timezone = 'UTC'; set session_replication_role = replica").await?;
            // A key that its type takes for the same is no other one to the generic triggers, as to the original's: their events are
            // repeated by the type's equality, that of citext too.
            let path = if setup.form.is_generated() { "pg_catalog" } else { "pg_catalog, public" };
            client.batch_execute(&format!("set search_path = {path}")).await?;
        }
        let (sender, outcomes) = mpsc::unbounded_channel();
        let mut sessions = Vec::new();
        for nr in 0..=setup.sessions.len() {
            let client = testkit::connect(&cluster.connstr("source")).await?;
            if let Some(sql) = setup.sessions.get(nr) {
                client.batch_execute(sql).await.with_context(|| sql.clone())?;
            }
            sessions.push(Session::start(nr, client, sender.clone()).await?);
        }
        Ok(Stage {
            sessions,
            outcomes,
            watch: testkit::connect(&cluster.connstr("source")).await?,
            reader: testkit::connect(&cluster.connstr("source")).await?,
            source,
            mirror,
            events: Vec::new(),
            replayed: 0,
            batches: 0,
        })
    }

    /// Sessions that wait for others.
    pub fn busy(&self) -> Vec<bool> {
        self.sessions.iter().map(|s| s.busy).collect()
    }

    /// Takes a step, and returns what ended by it: the step, if nobody is in its way, and those that it let go on.
    pub async fn take(&mut self, step: &Step) -> Result<Vec<(usize, Outcome)>> {
        match step.act {
            Act::Consume => self.consume().await?,
            Act::Compare => self.compare().await?,
            Act::Sql(_) | Act::Copy { .. } => {
                let session = &mut self.sessions[step.session];
                ensure!(!session.busy, "session {} waits", step.session);
                session.begin(step.act.clone())?;
                return self.settle().await;
            }
        }
        Ok(Vec::new())
    }

    /// Waits until every session has ended its step or waits for another.
    async fn settle(&mut self) -> Result<Vec<(usize, Outcome)>> {
        let mut ended = Vec::new();
        let began = std::time::Instant::now();
        loop {
            while self.sessions.iter().any(|s| s.busy) {
                let Ok(message) = tokio::time::timeout(LOOK, self.outcomes.recv()).await else { break };
                let (nr, outcome) = message.context("no session is left")?;
                self.sessions[nr].busy = false;
                ended.push((nr, outcome?));
            }
            if self.sessions.iter().all(|s| !s.busy) || self.all_wait().await? {
                return Ok(ended);
            }
            ensure!(began.elapsed() < PATIENCE, "a step neither ends nor waits for a lock");
        }
    }

    /// Whether all busy sessions wait for one that has nothing to do. A circle of them is broken by the server: that is worth waiting for.
    async fn all_wait(&self) -> Result<bool> {
        let pids: Vec<i32> = self.sessions.iter().filter(|s| s.busy).map(|s| s.pid).collect();
        let rows = self
            .watch
            .query("select pid, pg_blocking_pids(pid) from unnest($1::int4[]) pid", &[&pids])
            .await?;
        let mut waiting: BTreeMap<i32, Vec<i32>> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
        if waiting.values().any(Vec::is_empty) {
            return Ok(false);
        }
        while let Some(free) = waiting
            .iter()
            .find(|(_, blockers)| blockers.iter().any(|b| !waiting.contains_key(b)))
            .map(|(pid, _)| *pid)
        {
            waiting.remove(&free);
        }
        Ok(waiting.is_empty())
    }

    async fn consume(&mut self) -> Result<()> {
        loop {
            let batch: Option<i64> =
                self.reader.query_one("select pgq.next_batch($1, 'reader')", &[&QUEUE]).await?.get(0);
            let Some(batch) = batch else { return Ok(()) };
            self.batches += 1;
            let rows = self
                .reader
                .query(
                    "select ev_id, ev_txid, ev_type, ev_data, ev_extra1 from pgq.get_batch_events($1)",
                    &[&batch],
                )
                .await?;
            for row in rows {
                self.events.push(Event {
                    id: row.get(0),
                    txid: row.get(1),
                    kind: row.get(2),
                    data: row.get::<_, Option<String>>(3).unwrap_or_default(),
                    table: row.get::<_, Option<String>>(4).unwrap_or_default(),
                });
            }
            self.reader.execute("select pgq.finish_batch($1)", &[&batch]).await?;
        }
    }

    /// Reads to the end, replays and compares. No transaction may be open.
    async fn compare(&mut self) -> Result<()> {
        let open = self
            .watch
            .query(
                "select pid || ' ' || state || ' ' || query from pg_stat_activity
                  where datname = 'source' and xact_start is not null and pid <> pg_backend_pid() and backend_type = 'client backend'
                 union all select gid from pg_prepared_xacts",
                &[],
            )
            .await?;
        let open: Vec<String> = open.iter().map(|r| r.get(0)).collect();
        ensure!(
            open.is_empty(),
            "transactions are open: {open:?}, sessions {:?}",
            self.sessions.iter().map(|s| s.pid).collect::<Vec<_>>()
        );
        self.reader.batch_execute("select pgq.force_tick('q'); select pgq.ticker('q')").await?;
        self.consume().await?;
        let events = std::mem::take(&mut self.events);
        oracle::count(&self.source, &events).await?;
        self.mirror.batch_execute("begin").await?;
        for event in &events {
            mirror::apply(&self.mirror, event).await.map_err(|e| finding(Wrong::Replay, &e))?;
        }
        self.mirror.batch_execute("commit").await?;
        self.replayed += events.len();
        mirror::compare(&self.source, &self.mirror).await.map_err(|e| finding(Wrong::Replay, &e))?;
        Ok(())
    }

    /// Ends whatever a history with steps left out has left open.
    pub async fn close(&mut self) -> Result<()> {
        loop {
            let prepared = self.watch.query("select gid from pg_prepared_xacts", &[]).await?;
            for row in prepared {
                self.watch.batch_execute(&format!("rollback prepared '{}'", row.get::<_, String>(0))).await?;
            }
            self.settle().await?;
            let Some(_) = self.sessions.iter().find(|s| s.busy) else { break };
            for nr in 0..self.sessions.len() {
                if !self.sessions[nr].busy {
                    self.sessions[nr].begin(Act::Sql("rollback".to_owned()))?;
                    self.settle().await?;
                }
            }
        }
        for nr in 0..self.sessions.len() {
            self.sessions[nr].begin(Act::Sql("rollback".to_owned()))?;
        }
        self.settle().await?;
        if self.sessions.iter().any(|s| s.busy) {
            bail!("a rollback waits");
        }
        Ok(())
    }
}

/// Removes the databases of the history before, and what it left undecided.
async fn clear(cluster: &Cluster, server: &Client) -> Result<()> {
    wait_for("the databases of the history before to go", PATIENCE, || async {
        server.batch_execute("select pg_terminate_backend(pid) from pg_stat_activity where datname in ('source', 'mirror')").await?;
        let undecided = server.query("select gid from pg_prepared_xacts", &[]).await?;
        if !undecided.is_empty() {
            // only a session of the same database may
            let inside = testkit::connect(&cluster.connstr("source")).await?;
            for row in undecided {
                inside.batch_execute(&format!("rollback prepared '{}'", row.get::<_, String>(0))).await?;
            }
        }
        let slots = server.query("select slot_name::text from pg_replication_slots", &[]).await?;
        for slot in slots {
            server.execute("select pg_drop_replication_slot($1)", &[&slot.get::<_, String>(0)]).await?;
        }
        for name in ["source", "mirror"] {
            server.batch_execute(&format!("drop database if exists {name} with (force)")).await?;
        }
        Ok(Some(()))
    })
    .await
}
