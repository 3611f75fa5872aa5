//! A connection that stays open, for callers without an async runtime: polling by psql would cost more than what
//! is measured.

use anyhow::Result;
use cluster::Cluster;
use skytools::db::{ConnectString, Connection};
use tokio::runtime::Runtime;

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
