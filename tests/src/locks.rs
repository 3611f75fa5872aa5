//! Sessions that wait for each other.

use anyhow::Result;
use testkit::{PATIENCE, wait_for};
use tokio_postgres::Client;

/// Waits until the session of server process `pid` waits for a lock.
///
/// # Errors
/// It does not, within [`PATIENCE`].
pub async fn until_blocked(admin: &Client, pid: i64) -> Result<()> {
    let waits = format!("select count(*) from pg_locks where pid = {pid} and not granted");
    wait_for("a session to wait for a lock", PATIENCE, || async {
        let waits: i64 = admin.query_one(&waits, &[]).await?.get(0);
        Ok((waits > 0).then_some(()))
    })
    .await
}
