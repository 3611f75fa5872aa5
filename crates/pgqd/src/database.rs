//! What the loops of one database share: its name, its connections, its sleeps, and its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skytools::db::{Canceller, Connection};
use skytools::{Error, Result};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;

use crate::settings::Settings;
use crate::stats::Stats;
use crate::trouble::Trouble;

/// How long the server may take to accept a request to cancel.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);

/// What all tasks of the daemon share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub settings: watch::Receiver<Arc<Settings>>,
    pub stats: Arc<Stats>,
    /// Wakes the detector, when a database seems to be gone.
    pub look_again: Arc<Notify>,
}

/// One loop's view of its database.
#[derive(Clone)]
pub(crate) struct Database {
    pub shared: Shared,
    name: Arc<str>,
    /// Turns true when the database shall not be served any more.
    stop: watch::Receiver<bool>,
    /// What this loop runs on the server at present, to be cancelled when it is stopped.
    running: Arc<Mutex<Option<Canceller>>>,
}

impl Database {
    pub fn new(name: &str, shared: Shared, stop: watch::Receiver<bool>) -> Self {
        Database { shared, name: name.into(), stop, running: Arc::default() }
    }

    /// The same database for another loop, with a connection of its own.
    pub fn for_loop(&self) -> Self {
        Database { running: Arc::default(), ..self.clone() }
    }

    /// `[name]`, as shown in the log: control characters are replaced.
    pub fn shown(&self) -> String {
        shown(&self.name)
    }

    /// The record of this loop's failures.
    pub fn trouble(&self, job: &str) -> Trouble {
        Trouble::new(format!("{}: {job}", self.shown()))
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.shared.settings.borrow().clone()
    }

    /// Opens a connection to the database.
    pub async fn connect(&self) -> Result<Session> {
        let settings = self.settings();
        let connected = async {
            let connection =
                settings.target(&self.name)?.connect("pgqd").await.map_err(|error| self.explain(error))?;
            Ok(Session {
                connection,
                opened: Instant::now(),
                settings: settings.clone(),
                running: self.running.clone(),
            })
        };
        connected.await.inspect_err(|error: &Error| self.suspect(error))
    }

    /// A list that is separated otherwise is one name.
    fn explain(&self, error: Error) -> Error {
        if error.kind() == skytools::ErrorKind::NotFound && self.name.contains([' ', '\t', ';']) {
            error.hint("Names in database_list are separated by commas.")
        } else {
            error
        }
    }

    /// A broken connection or an unknown database may mean that the database was dropped: look soon.
    pub fn suspect(&self, error: &Error) {
        if error.is_retryable() || error.kind() == skytools::ErrorKind::NotFound {
            self.shared.look_again.notify_one();
        }
    }

    /// Waits for what `period` picks from the settings. A reload is heeded at once: the wait is measured anew, and
    /// ends when the connect string has changed.
    pub async fn pause(&self, period: impl Fn(&Settings) -> Duration) {
        let begun = Instant::now();
        let mut settings = self.shared.settings.clone();
        let base = settings.borrow_and_update().base.clone();
        loop {
            let now = settings.borrow_and_update().clone();
            if now.base != base {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep_until(begun + period(&now)) => return,
                changed = settings.changed() => {
                    if changed.is_err() {
                        // The daemon is going away and will end this task.
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }

    /// Runs a loop until this database shall not be served any more; what it runs on the server is cancelled then.
    pub async fn until_stopped(self, work: impl Future<Output = ()>) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = work => {}
            // An error means that the daemon dropped this database, which is the same.
            _ = stop.wait_for(|stop| *stop) => {}
        }
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running
            && let Ok(Err(error)) = tokio::time::timeout(CANCEL_PATIENCE, running.cancel()).await
        {
            tracing::debug!("{}: {}", self.shown(), error.chain());
        }
    }
}

/// An open connection of a loop.
pub(crate) struct Session {
    connection: Connection,
    opened: Instant,
    settings: Arc<Settings>,
    running: Arc<Mutex<Option<Canceller>>>,
}

impl Session {
    /// Whether the connection is past its lifetime, or goes elsewhere than the settings now say.
    pub fn is_outdated(&self, settings: &Settings) -> bool {
        self.opened.elapsed() > settings.connection_lifetime || settings.base != self.settings.base
    }

    /// Runs SQL in the simple protocol, which every statement (also VACUUM) and every pooler accepts. Returns the
    /// rows' columns as text; a statement without rows gives none.
    pub async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.connection.canceller());
        let outcome = self.connection.simple_query(sql).await;
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let rows = outcome.map_err(Error::from)?.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first column of the last row, when there is one and it is not NULL.
    pub async fn value(&self, sql: &str) -> Result<Option<String>> {
        Ok(self.query(sql).await?.pop().and_then(|row| row.into_iter().next().flatten()))
    }

    /// The first column of every row.
    pub async fn column(&self, sql: &str) -> Result<Vec<String>> {
        Ok(self.query(sql).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Says good-bye.
    pub async fn close(self) -> Result<()> {
        self.connection.close().await
    }
}

/// A database name for the log.
pub(crate) fn shown(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("[{clean}]")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_cannot_forge_log_lines() {
        assert_eq!(super::shown("a\nERROR b\u{7f}"), "[a?ERROR b?]");
    }
}
