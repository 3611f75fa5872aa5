//! The copies that run inside the worker.
//!
//! Which copies should run is read from the tables' stored states, so a copy that died with an earlier worker is taken
//! up again, in whatever state it was.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use skytools::pidfile::{self, Status};
use tokio::runtime::Handle;
use tokio::task::{Id, JoinSet};

use crate::copy::{Copier, Ended, Progress, Sessions};
use crate::settings::Settings;
use crate::sync::Bell;
use crate::table::TableRow;

struct Running {
    table: String,
    progress: Arc<Progress>,
}

/// The copies under way. Dropping it aborts them; their state is stored.
pub(super) struct Copies {
    tasks: JoinSet<Ended>,
    running: HashMap<Id, Running>,
    sessions: Sessions,
    bell: Bell,
    /// Where they run.
    runtime: Handle,
}

impl Copies {
    /// Copies will run on the threads of that runtime.
    pub fn new(bell: Bell, runtime: Handle) -> Self {
        Copies {
            tasks: JoinSet::new(),
            running: HashMap::new(),
            sessions: Sessions::default(),
            bell,
            runtime,
        }
    }

    /// Tables with a running copy.
    pub fn tables(&self) -> Vec<String> {
        self.running.values().map(|r| r.table.clone()).collect()
    }

    /// Whether a copy of the table runs here.
    pub fn is_running(&self, table: &str) -> bool {
        self.running.values().any(|r| r.table == table)
    }

    /// Copies that wait for somebody to correct what they failed by.
    pub fn stuck(&self) -> usize {
        self.running.values().filter(|r| r.progress.is_stuck()).count()
    }

    /// Rows and bytes loaded so far, by table.
    pub fn progress(&self) -> impl Iterator<Item = (&str, &Progress)> {
        self.running.values().map(|r| (r.table.as_str(), &*r.progress))
    }

    /// Takes note of copies that have ended; returns how many.
    pub fn reap(&mut self) -> usize {
        let mut ended = 0;
        while let Some(outcome) = self.tasks.try_join_next_with_id() {
            ended += 1;
            let (id, text) = match outcome {
                Ok((id, Ended::HandedOver)) => (id, "the table is replicated now"),
                Ok((id, Ended::NotNeeded)) => (id, "the copy is not needed any more"),
                Ok((id, Ended::StartOver)) => (id, "the table will be copied again"),
                Err(e) if e.is_cancelled() => (e.id(), "the copy was cancelled"),
                Err(e) => {
                    let table = self.running.get(&e.id()).map_or("?", |r| r.table.as_str());
                    tracing::error!(table, error = %e, "the copy ended by a bug; it will be started again");
                    self.running.remove(&e.id());
                    continue;
                }
            };
            if let Some(running) = self.running.remove(&id) {
                tracing::info!(table = running.table, "{text}");
            }
        }
        ended
    }

    /// Starts a copy for every table that is in the middle of one and has nobody to work on it.
    pub fn supervise(&mut self, settings: &Arc<Settings>, tables: &[TableRow]) {
        self.sessions.expire(settings.connection_lifetime);
        for row in tables.iter().filter(|t| t.local && t.merge_state.is_copying()) {
            if !self.is_running(&row.table_name) && !runs_elsewhere(settings, &row.table_name) {
                self.start(settings, &row.table_name);
            }
        }
    }

    fn start(&mut self, settings: &Arc<Settings>, table: &str) {
        tracing::info!(table, "starting the copy");
        let mut copier = Copier::new(Arc::clone(settings), table, self.bell.clone(), self.sessions.clone());
        let progress = copier.progress();
        let handle = self.tasks.spawn_on(async move { copier.run().await }, &self.runtime);
        self.running.insert(handle.id(), Running { table: table.to_owned(), progress });
    }

    /// Ends all copies and waits for them.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
        self.running.clear();
    }
}

/// Whether a copy process (of the original too) says by its pidfile that it works on the table.
fn runs_elsewhere(settings: &Settings, table: &str) -> bool {
    let Some(pidfile) = &settings.pidfile else { return false };
    let mut name = pidfile.clone().into_os_string();
    name.push(format!(".copy.{table}"));
    match pidfile::status(&PathBuf::from(name)) {
        Ok(Status::Live(pid)) => {
            tracing::debug!(table, %pid, "a copy process works on the table");
            true
        }
        Ok(Status::Missing | Status::Stale) => false,
        Err(e) => {
            tracing::warn!(table, error = e.chain(), "cannot read the copy's pidfile");
            false
        }
    }
}
