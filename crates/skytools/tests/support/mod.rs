//! Databases to install into, and what is in them.

use anyhow::Result;
use skytools::db::{ConnectString, Connection};
use skytools::install::{Manifest, Module};

/// A connection as the installer has.
pub async fn connect(connstr: &str) -> Result<Connection> {
    Ok(ConnectString::parse(connstr)?.connect("install test").await?)
}

/// A database without any module, and a connection to it.
pub async fn fresh() -> Result<(testkit::TestDb, Connection)> {
    let db = testkit::empty_database().await?;
    let connection = connect(db.connstr()).await?;
    Ok((db, connection))
}

/// Everything in our schemas, for comparing before and after.
pub async fn contents(connection: &mut Connection) -> Result<Vec<Manifest>> {
    let transaction = connection.transaction().await?;
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    let mut found = Vec::new();
    for module in Module::available() {
        found.extend(Manifest::of_database(&transaction, module).await?);
    }
    transaction.rollback().await?;
    Ok(found)
}
