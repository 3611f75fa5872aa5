//! A session of the application: a connection with a task of its own, so that it may wait for locks while others go on.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio_postgres::Client;

use crate::step::Act;

/// How a step failed.
#[derive(Debug, Clone)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// What the server says on where it happened.
    pub context: String,
}

/// How a step ended.
pub type Outcome = std::result::Result<(), Failure>;

/// A connection that does one step at a time.
pub struct Session {
    pub pid: i32,
    pub busy: bool,
    acts: mpsc::UnboundedSender<Act>,
}

impl Session {
    /// Outcomes of all sessions arrive at one place, with the number of the session.
    pub async fn start(
        nr: usize,
        client: Client,
        outcomes: mpsc::UnboundedSender<(usize, Result<Outcome>)>,
    ) -> Result<Session> {
        let pid = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        let (acts, mut todo) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(act) = todo.recv().await {
                let outcome = perform(&client, &act).await;
                if outcomes.send((nr, outcome)).is_err() {
                    return;
                }
            }
        });
        Ok(Session { pid, busy: false, acts })
    }

    /// Begins a step.
    pub fn begin(&mut self, act: Act) -> Result<()> {
        self.busy = true;
        self.acts.send(act).context("the task of a session is gone")
    }
}

async fn perform(client: &Client, act: &Act) -> Result<Outcome> {
    let done = match act {
        Act::Sql(sql) => client.batch_execute(sql).await,
        Act::Copy { sql, data } => copy(client, sql, data).await?,
        Act::Consume | Act::Compare => Ok(()),
    };
    let Err(error) = done else { return Ok(Ok(())) };
    let Some(from_server) = error.as_db_error() else {
        return Err(error).context("a session lost its server");
    };
    // an error is told before its transaction has let go of its locks; what is asked next is answered after that
    client.batch_execute("").await?;
    Ok(Err(Failure {
        code: from_server.code().code().to_owned(),
        message: from_server.message().to_owned(),
        context: from_server.where_().unwrap_or_default().to_owned(),
    }))
}

/// The rows come from a file that the server reads. Sent over the connection, a COPY that fails before it asks for rows (its
/// column is gone once the table's lock is granted) leaves tokio-postgres with one answer too many, here mistaken for the
/// answer to the next step: <https://github.com/rust-postgres/rust-postgres/issues/789>.
async fn copy(
    client: &Client,
    sql: &str,
    data: &str,
) -> Result<std::result::Result<(), tokio_postgres::Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(data.as_bytes())?;
    // the server runs as another user
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    let statement = sql.strip_suffix("from stdin").context("a COPY of another kind")?;
    Ok(client.batch_execute(&format!("{statement}from '{}'", file.path().display())).await)
}
