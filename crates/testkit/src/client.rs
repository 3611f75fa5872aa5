//! Plain connections for looking at a database from a test.

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};

/// Connects by a connect string, without TLS. The connection lives on the test's runtime until the client is
/// dropped.
pub async fn connect(connstr: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(connstr, NoTls).await.with_context(|| format!("connecting to {connstr}"))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // A test that cuts connections sees this and expects it; in any other it explains what follows.
            eprintln!("a test's connection ended: {error}");
        }
    });
    Ok(client)
}
