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
    run_here(client, &local, &header, sql, &on_their_way).await?;
    settings.restore(client, queue, role).await?;
    on_their_way.copy_changed_again(client, queue, file).await?;
    let finish = "select ret_code, ret_note from londiste.execute_finish($1, $2)";
    let row = client.query_typed_one(finish, &[(&queue, Type::TEXT), (&file, Type::TEXT)]).await?;
    Reply::from_row(&row)?.log();
    Ok(())
}

/// Runs the script. Where tables are on their way, their rows may be later than the script, and it may not fit them: it is tried once more
/// without these rows, which then come again.
async fn run_here(
    client: &Client,
    local: &Local<'_>,
    header: &Header,
    sql: &str,
    on_their_way: &OnTheirWay<'_>,
) -> Result<()> {
    if !on_their_way.can_be_emptied() {
        return local.run(header, sql).await;
    }
    client.batch_execute("savepoint script").await?;
    let Err(error) = local.run(header, sql).await else { return Ok(()) };
    client.batch_execute("rollback to savepoint script").await?;
    let without = async {
        on_their_way.empty(client).await?;
        local.run(header, sql).await
    };
    match without.await {
        Ok(()) => {
            tracing::warn!(
                reason = error.chain(),
                "the script did not fit rows of tables that are on their way; it has run without them"
            );
            Ok(())
        }
        Err(later) => {
            tracing::debug!(
                error = later.chain(),
                "the script fails without rows that are on their way, too"
            );
            Err(error)
        }
    }
}
