//! EXECUTE events: SQL that was run on the root by `execute`, to be run here at the same place in the stream.

pub(super) mod ahead;
mod changed;
mod settings;

use pgq::Event;
use pgq::cascade::Reply;
use skytools::Result;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use self::changed::OnTheirWay;
use self::settings::Settings;
use crate::apply::session::Role;
use crate::script::{Header, Lasts, Local, set_role};
use crate::table::TableRow;

/// Where a script runs.
pub(super) struct Place<'a> {
    pub client: &'a Client,
    pub queue: &'a str,
    /// How the session applies changes.
    pub role: Role,
    pub tables: &'a [TableRow],
}

/// Runs the script of an event inside the batch's transaction. The session's role is `local` meanwhile, so the origin's
/// triggers fire and nothing is captured. What it sets for its session is put back; what else it leaves there (temporary
/// tables, prepared statements, locks) goes with the connection, which the caller gives up after the batch.
pub(super) async fn execute(place: &Place<'_>, event: &Event) -> Result<()> {
    let file = event.extra1().unwrap_or_default();
    run(place, event, file)
        .await
        .map_err(|e| e.context(format!("event {}: EXECUTE of \"{file}\"", event.id())))
}

async fn run(place: &Place<'_>, event: &Event, file: &str) -> Result<()> {
    let Place { client, queue, role, tables } = *place;
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
    let settings = Settings::note(client).await?;
    let on_their_way = OnTheirWay::note(client, tables, event.txid()).await?;
    set_role(client, "local", Lasts::Transaction).await?;
    client.batch_execute("set local enable_seqscan = on; set local plan_cache_mode = auto").await?;
    local.run(&header, sql).await?;
    settings.restore(client, queue, role).await?;
    on_their_way.copy_changed_again(client, queue, file).await?;
    let finish = "select ret_code, ret_note from londiste.execute_finish($1, $2)";
    let row = client.query_typed_one(finish, &[(&queue, Type::TEXT), (&file, Type::TEXT)]).await?;
    Reply::from_row(&row)?.log();
    Ok(())
}
