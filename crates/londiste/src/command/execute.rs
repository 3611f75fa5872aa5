//! `execute`: run SQL scripts on the root and put them into the stream, so that every node runs them between the
//! same two changes.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pgq::tick::tick_now;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::session::{Session, call, or_hint};
use super::sql;
use crate::TableRow;
use crate::script::{Header, Lasts, Local, set_role};

/// Runs SQL files on the root and has all nodes run them.
///
/// The files are one transaction. A file whose name was run before is left out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files in UTF-8; a header of "--*-- Key: values" lines says which nodes run them.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file that has been read.
struct Script {
    /// Base name: under this name every node remembers that it ran.
    name: String,
    sql: String,
    header: Header,
}

fn read(path: &Path) -> Result<Script> {
    let shown = path.display();
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::usage(format!("{shown} is no file name in UTF-8, nodes could not remember it"))
    })?;
    let sql = std::fs::read_to_string(path)
        .map_err(|e| Error::new(ErrorKind::System, format!("cannot read {shown}")).with_source(e))?;
    let header = Header::of_script(&sql).map_err(|e| e.context(format!("reading {shown}")))?;
    Ok(Script { name: name.to_owned(), sql, header })
}

/// Runs the command; all files or none.
///
/// # Errors
/// A file that cannot be read or has a wrong header, a node that is not the root, whatever a script runs into.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let scripts = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let queue = session.queue();
    let mut local = session.local().await?;
    session.local_node(&*local).await?;
    let tables = TableRow::load_all(&*local, queue).await?;
    let tx = local.transaction().await?;
    let client = tx.client();
    // Nothing that a script changes is captured: it runs on the other nodes itself.
    set_role(client, "local", Lasts::Transaction).await?;
    let role = present_role(client).await?;
    let here = Local::load(client, queue, &tables).await?;
    for Script { name, sql: text, header } in &scripts {
        let failed = |e: Error| e.context(format!("running {name}; nothing was changed"));
        let attrs = header.to_event();
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&queue, Type::TEXT), (name, Type::TEXT), (text, Type::TEXT), (&attrs, Type::TEXT)];
        let reply = call(client, sql::EXECUTE_START, &params).await.map_err(|e| {
            failed(or_hint(e, || {
                format!("run it on the root: \"{}\" shows which node that is", session.again("status"))
            }))
        })?;
        reply.log();
        if reply.code > 200 {
            tracing::warn!("Skipping execution of '{name}'");
            continue;
        }
        if here.wants(header).await.map_err(failed)? {
            tracing::info!("{name}: executing sql");
            here.run(header, text).await.map_err(failed)?;
            refuse_other_role(client, &role).await.map_err(failed)?;
        } else {
            tracing::info!("{name}: This SQL does not need to run on this node.");
        }
        call(client, sql::EXECUTE_FINISH, &[(&queue, Type::TEXT), (name, Type::TEXT)])
            .await
            .map_err(failed)?
            .log();
    }
    tx.commit().await?;
    // What is written from now on comes in another batch: it may use what a transaction may not use that has made it.
    if let Err(e) = tick_now(&local, queue).await {
        tracing::warn!(
            error = e.chain(),
            "the scripts have run and are in the queue, but no tick could be asked for"
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn present_role(client: &Client) -> Result<String> {
    let sql = "select pg_catalog.current_setting('session_replication_role')";
    Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)
}

/// What a script changes under another role is captured, so other nodes would get it from its event and from their script.
async fn refuse_other_role(client: &Client, role: &str) -> Result<()> {
    let now = present_role(client).await?;
    if now == role {
        return Ok(());
    }
    Err(Error::state(format!("the script leaves session_replication_role at {now}; scripts run with {role}"))
        .hint("take the setting out of the script: other nodes would get twice what it changes under another role"))
}
