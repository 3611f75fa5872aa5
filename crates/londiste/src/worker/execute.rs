//! EXECUTE events: SQL that was run on the root by `execute`, to be run here at the same place in the stream.

use pgq::Event;
use pgq::cascade::Reply;
use skytools::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::script::{Header, Local, set_role};
use crate::table::TableRow;

/// Runs the script of an event inside the batch's transaction. The session's role is `local` meanwhile, so the origin's
/// triggers fire and nothing is captured.
pub(super) async fn execute(client: &Client, queue: &str, event: &Event, tables: &[TableRow]) -> Result<()> {
    let file = event.extra1().unwrap_or_default();
    run(client, queue, event, file, tables)
        .await
        .map_err(|e| e.context(format!("event {}: EXECUTE of \"{file}\"", event.id())))
}

async fn run(client: &Client, queue: &str, event: &Event, file: &str, tables: &[TableRow]) -> Result<()> {
    let sql = event.data().unwrap_or_default();
    let row = client
        .query_typed_one(
            "select ret_code, ret_note from londiste.execute_start($1, $2, $3, false, $4)",
            &[(&queue, Type::TEXT), (&file, Type::TEXT), (&sql, Type::TEXT), (&event.extra2(), Type::TEXT)],
        )
        .await?;
    let reply = Reply::from_row(&row)?;
    reply.log();
    if reply.code > 200 {
        return Ok(());
    }
    let header = Header::of_event(event.extra2())?;
    let local = Local::load(client, queue, tables).await?;
    if !local.wants(&header).await? {
        tracing::info!(file, "EXECUTE left out: its objects are not on this node");
        return Ok(());
    }
    tracing::info!(file, "EXECUTE");
    set_role(client, "local").await?;
    client.batch_execute("set local enable_seqscan = on; set local plan_cache_mode = auto").await?;
    local.run(&header, sql).await?;
    let finish = "select ret_code, ret_note from londiste.execute_finish($1, $2)";
    let row = client.query_typed_one(finish, &[(&queue, Type::TEXT), (&file, Type::TEXT)]).await?;
    Reply::from_row(&row)?.log();
    client
        .batch_execute("set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan")
        .await?;
    set_role(client, "replica").await
}
