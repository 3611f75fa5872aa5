//! Sessions that copies have ended with, for the next one.
//!
//! A session of PostgreSQL reads the catalogs and compiles functions as it first needs them: in a new one that takes as
//! long as a tenth of the copy of 100 000 rows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use skytools::Result;
use skytools::db::Connection;

use super::source::Source;
use crate::settings::{Settings, ordinary};

/// For so long a session waits for the next copy.
const KEPT: Duration = Duration::from_secs(10);

/// Opens sessions for copies, and keeps those that they give back.
#[derive(Clone, Default)]
pub struct Sessions {
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    /// The connect string of a node; the local database has none.
    location: Option<String>,
    connection: Connection,
    since: Instant,
}

impl Sessions {
    /// A session with the local database.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn local(&self, settings: &Settings, application: &str) -> Result<Connection> {
        match self.again(settings, None, application).await {
            Some(connection) => Ok(connection),
            None => settings.connect_local(application).await,
        }
    }

    /// A session with another node's database.
    ///
    /// # Errors
    /// A malformed location, or a server that cannot be reached; both name the node.
    pub async fn node(
        &self,
        settings: &Settings,
        node: &str,
        location: &str,
        application: &str,
    ) -> Result<Connection> {
        match self.again(settings, Some(location), application).await {
            Some(connection) => Ok(connection),
            None => settings.connect_node(node, location, application).await,
        }
    }

    /// Takes back a session with the local database. It must be outside a transaction.
    pub fn keep_local(&self, connection: Connection) {
        self.keep(None, connection);
    }

    /// Takes back a session with another node. It must be outside a transaction.
    pub fn keep_source(&self, source: Source) {
        self.keep(source.location, source.connection);
    }

    fn keep(&self, location: Option<String>, connection: Connection) {
        self.locked().push(Idle { location, connection, since: Instant::now() });
    }

    /// Closes what nobody has wanted for a while, and what is older than `lifetime`.
    pub fn expire(&self, lifetime: Duration) {
        self.locked().retain(|idle| idle.since.elapsed() < KEPT && idle.connection.age() < lifetime);
    }

    /// A kept session, made as it was when new. One that has ended meanwhile is no error.
    async fn again(
        &self,
        settings: &Settings,
        location: Option<&str>,
        application: &str,
    ) -> Option<Connection> {
        loop {
            let mut connection = self.take(location)?;
            let renewed = async {
                connection.renew(application).await?;
                if location.is_none() { settings.local(connection).await } else { ordinary(connection).await }
            };
            match renewed.await {
                Ok(connection) => return Some(connection),
                Err(e) => tracing::debug!(error = e.chain(), "a kept session has ended"),
            }
        }
    }

    fn take(&self, location: Option<&str>) -> Option<Connection> {
        let mut idle = self.locked();
        let at = idle.iter().rposition(|i| i.location.as_deref() == location)?;
        Some(idle.swap_remove(at).connection)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
