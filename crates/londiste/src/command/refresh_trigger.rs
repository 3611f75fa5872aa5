//! `refresh-trigger`: write the capture of tables anew.

use std::process::ExitCode;
use std::time::Duration;

use pgq::cascade::NodeType;
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::each::{chosen, local_tables};
use super::session::{Session, split_name};
use super::sql;
use crate::TableRow;

/// Writes the capture of tables anew, from what the tables are now: after ALTER TABLE, after a restore, after taking over an
/// installation of the original.
///
/// Generated code is written anew. Generic triggers are replaced by generated ones where that is possible, and triggers that were
/// dropped are put back, while the application writes: each table is one transaction, which waits for open changes of the
/// table. Nothing is captured twice or missed by that; what a dropped trigger has missed is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables of this node, when no name is given.
    #[arg(long)]
    all: bool,
    /// What triggers to have: row or statement (generated for the table, where that can be), or generic [default: generated].
    #[arg(long, value_name = "FORM")]
    trigger_form: Option<String>,
}

/// Runs the command; one table after the other.
///
/// # Errors
/// Names that are not replicated here; a table that cannot be captured as it is now. Tables before it are done.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let mut local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let rows = TableRow::load_all(&*local, session.queue()).await?;
    let names = chosen(session, "tables", &args.tables, args.all, false, &local_tables(&rows, |_| false))?;
    let ours: bool = local.query_one(sql::REGISTERS_CAPTURE, &[]).await?.try_get(0)?;
    if !ours {
        return Err(Error::state("this database has the original's pgq, which does not generate capture")
            .hint("run \"skytools install --db CONNSTR\" first, it takes over what is there"));
    }
    if info.node_type == NodeType::Leaf {
        tracing::info!("This node is a leaf, which captures nothing");
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows.iter().filter(|t| names.contains(&t.table_name)) {
        let limit = session.config().get_duration("lock_timeout", 10.0)?;
        let done = refresh(&mut local, session.queue(), row, args.trigger_form.as_deref(), limit)
            .await
            .map_err(|e| explain(session, e, row, limit))?;
        tracing::info!("{done}: {}", row.table_name);
    }
    Ok(ExitCode::SUCCESS)
}

/// What captures a table now.
struct Current {
    /// Function of the trigger; `None` when there is no trigger.
    function: Option<String>,
    /// Whether the trigger is of the sort that can be generated: after each row, by `logutriga`.
    plain: bool,
    /// Whether its function is generated and as registered.
    good: bool,
    /// Arguments of `pgq.capture_table` that make the same trigger.
    options: Vec<String>,
    /// `row` or `statement`: how it is, or was, generated.
    form: String,
    /// Whether its triggers are those that are made now; an older installation made one.
    present_day: bool,
    /// Name of the row trigger.
    trigger: String,
    /// Letters of I, U, D.
    operations: String,
    /// Arguments of the trigger.
    args: Vec<String>,
}

async fn refresh(
    local: &mut Connection,
    queue: &str,
    row: &TableRow,
    form: Option<&str>,
    limit: Duration,
) -> Result<&'static str> {
    let tx = local.transaction().await?;
    if !limit.is_zero() {
        let text = format!("{}ms", limit.as_millis());
        tx.query_typed(sql::SET_LOCK_TIMEOUT, &[(&text, Type::TEXT)]).await?;
    }
    let Some(mut current) = current(&tx, queue, row.dest()).await? else {
        return Ok("The table has no capture, nothing to do");
    };
    let generated = current.function.as_deref().is_some_and(|f| f.starts_with("_capture_"));
    let form = form.unwrap_or(&current.form).to_owned();
    let done = if generated && current.good && form == current.form {
        if current.present_day {
            tx.query_one("select pgq.refresh_capture($1, $2)", &[&queue, &row.dest()]).await?;
        } else {
            current.options.push(format!("form={form}"));
            tx.query_one(
                "select pgq.capture_table($1, $2, variadic $3::text[])",
                &[&queue, &row.dest(), &current.options],
            )
            .await?;
        }
        "Capture written anew"
    } else if current.function.is_some() && !generated && (form == "generic" || !current.plain) {
        renew_generic(&tx, row.dest(), &current).await?
    } else {
        let missing = current.function.is_none();
        current.options.push(format!("form={form}"));
        let become_: String = tx
            .query_one(
                "select case when $4 and not pgq._capture_possible(pg_catalog.to_regclass(pgq.quote_fqname($2)), $5::text[])
                             then 'as before' else pgq.capture_table($1, $2, variadic $3::text[]) end",
                &[
                    &queue,
                    &row.dest(),
                    &current.options,
                    &(!missing && !generated),
                    &trigger_arguments(queue, &current.options),
                ],
            )
            .await?
            .try_get(0)?;
        match become_.as_str() {
            "as before" => renew_generic(&tx, row.dest(), &current).await?,
            "row" | "statement" if missing => {
                "Capture put back; what was changed meanwhile must be copied again below (resync)"
            }
            "row" | "statement" if generated && !current.good => {
                "Capture begins again; what was lost must be copied again below (resync)"
            }
            "row" => "Capture is generated by row now",
            "statement" => "Capture is generated by statement now",
            _ => "Capture is generic now",
        }
    };
    tx.commit().await?;
    Ok(done)
}

/// Puts the triggers of today on a table that keeps generic ones.
async fn renew_generic(tx: &Transaction<'_>, dest: &str, current: &Current) -> Result<&'static str> {
    if current.present_day {
        return Ok("The trigger stays generic, nothing to do");
    }
    tx.query_one(
        sql::RENEW_GENERIC,
        &[&dest, &current.trigger, &current.function, &current.args, &current.operations],
    )
    .await?;
    Ok("The trigger stays generic, beside it there is one that keeps the order of changes now")
}

/// The arguments of a trigger made with these options.
fn trigger_arguments(queue: &str, options: &[String]) -> Vec<String> {
    let ours = |o: &&String| {
        !["trigger=", "tgflags=", "form=", "capture_failure="].iter().any(|prefix| o.starts_with(prefix))
    };
    std::iter::once(queue.to_owned()).chain(options.iter().filter(ours).cloned()).collect()
}

/// What captures a table for the queue; `None` when nothing does and nothing should.
async fn current(tx: &Transaction<'_>, queue: &str, dest: &str) -> Result<Option<Current>> {
    let (schema, name) = split_name(dest);
    let Some(row) = tx.query_opt(sql::CURRENT_CAPTURE, &[&queue, &schema, &name]).await? else {
        return Ok(None);
    };
    Ok(Some(Current {
        function: row.try_get(0)?,
        plain: row.try_get(1)?,
        good: row.try_get(2)?,
        present_day: row.try_get(3)?,
        form: row.try_get(4)?,
        trigger: row.try_get(5)?,
        operations: row.try_get(6)?,
        args: row.try_get::<_, Option<_>>(7)?.unwrap_or_default(),
        options: row.try_get(8)?,
    }))
}

fn explain(session: &Session, error: Error, row: &TableRow, limit: Duration) -> Error {
    let hint = if error.sqlstate().is_some_and(|s| s.code() == "55P03") {
        Some(format!(
            "somebody else kept table {} locked for {limit:?}: try again, or raise lock_timeout",
            row.dest()
        ))
    } else if error.kind() == ErrorKind::Permission {
        Some(format!("the role of key \"db\" must own table {}", row.dest()))
    } else {
        error.hint_text().map(str::to_owned)
    };
    let again = session.again("refresh-trigger");
    error
        .context(format!("writing the capture of table {}; nothing of it was changed", row.table_name))
        .hint(hint.unwrap_or_else(|| format!("run \"{again}\" again when this is settled")))
}
