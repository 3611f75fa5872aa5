//! `refresh-trigger`: write the capture of tables anew.

use std::process::ExitCode;
use std::time::Duration;

use pgq::cascade::NodeType;
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::each::{chosen, local_tables};
use super::lost_capture::{self, Lost};
use super::session::{Session, split_name};
use super::sql;
use super::trigger_form::{self, FAILURE, FAILURES, FORMS, Impossible, Wish};
use crate::TableRow;

/// Writes the capture of tables anew, from what the tables are now: after ALTER TABLE, after a restore, after taking over an
/// installation of the original.
///
/// Generated code is written anew. Generic triggers are replaced by generated ones where that is possible, and triggers that were
/// dropped are put back as they were, while the application writes: each table is one transaction, which waits for open changes of
/// the table. Nothing is captured twice or missed by that; what a dropped trigger has missed is. On a leaf, triggers that refuse
/// changes are put back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables of this node, when no name is given.
    #[arg(long)]
    all: bool,
    /// What triggers to have: row or statement (generated for the table), or generic. A table for which that is not possible keeps
    /// what it has, and the command fails when the others are done [default: generated, where that can be].
    #[arg(long, value_name = "row|statement|generic", value_parser = FORMS)]
    trigger_form: Option<String>,
    /// What a change does that cannot be captured: fail, or mark: succeed, and mark the table as incompletely captured [default: as
    /// it is].
    #[arg(long, value_name = "fail|mark", value_parser = FAILURES)]
    capture_failure: Option<String>,
}

/// Runs the command; one table after the other.
///
/// # Errors
/// Names that are not replicated here; a table that cannot be captured as it is now: tables before it are done. Tables that cannot
/// be captured as was asked for: all others are done.
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
    let wish = Wish { form: args.trigger_form.as_deref(), failure: args.capture_failure.as_deref() };
    let limit = session.config().get_duration("lock_timeout", 10.0)?;
    let lost = Lost::load(&*local, session.queue()).await?;
    let is_lost = |row: &TableRow| lost.iter().any(|l| l.table == row.table_name);
    if info.node_type == NodeType::Leaf {
        if wish.is_some() {
            return Err(Error::state(format!(
                "{} is not possible on node \"{}\": it is a leaf, which captures nothing",
                wish.options(true),
                info.node_name
            ))
            .hint("run the command with the configuration of the root"));
        }
        let mut again = rows.iter().filter(|t| names.contains(&t.table_name) && is_lost(t)).peekable();
        if again.peek().is_none() {
            tracing::info!("This node is a leaf, which captures nothing");
        }
        for row in again {
            restore(&mut local, session.queue(), row, wish, limit)
                .await
                .map_err(|error| explain(session, error, row, limit))?;
            tracing::info!("Changes made here are refused again: {}", row.table_name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (mut impossible, mut others) = (Vec::new(), 0);
    for row in rows.iter().filter(|t| names.contains(&t.table_name)) {
        match refresh(&mut local, session.queue(), row, is_lost(row), wish, limit).await {
            Ok(Outcome::Done(done)) => {
                tracing::info!("{done}: {}", row.table_name);
                others += 1;
            }
            Ok(Outcome::Impossible(why)) => impossible.push((row.table_name.clone(), why)),
            Err(error) => {
                let error = explain(session, error, row, limit);
                // This one ends the command, the others would not be told otherwise.
                if !impossible.is_empty() {
                    tracing::warn!("{}", trigger_form::impossible(wish, &impossible, others));
                }
                return Err(error);
            }
        }
    }
    if impossible.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(trigger_form::impossible(wish, &impossible, others))
    }
}

/// What has become of a table.
enum Outcome {
    /// It is done, in these words.
    Done(&'static str),
    /// It cannot be captured as was asked for, and is as it was.
    Impossible(Impossible),
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
    is_lost: bool,
    wish: Wish<'_>,
    limit: Duration,
) -> Result<Outcome> {
    let done = if is_lost {
        restore(local, queue, row, wish, limit).await
    } else {
        write(local, queue, row, wish, limit).await
    };
    match done {
        Err(error) if wish.is_some() => Impossible::told_by(error).map(Outcome::Impossible),
        other => other,
    }
}

/// Begins the transaction in which the triggers of a table are put right.
async fn begin(local: &mut Connection, limit: Duration) -> Result<Transaction<'_>> {
    let tx = local.transaction().await?;
    if !limit.is_zero() {
        let text = format!("{}ms", limit.as_millis());
        tx.query_typed(sql::SET_LOCK_TIMEOUT, &[(&text, Type::TEXT)]).await?;
    }
    Ok(tx)
}

/// Puts triggers back on a table that has lost them, in a transaction of its own: as they were noted, for on the table nothing
/// tells how they were.
async fn restore(
    local: &mut Connection,
    queue: &str,
    row: &TableRow,
    wish: Wish<'_>,
    limit: Duration,
) -> Result<Outcome> {
    let tx = begin(local, limit).await?;
    let form = wish.form.map(|form| format!("form={form}"));
    let args: Vec<String> = form.into_iter().chain(wish.failure.map(|f| format!("{FAILURE}{f}"))).collect();
    match lost_capture::restore(&tx, queue, &row.table_name, &args).await {
        Err(error) if wish.is_some() && error.kind() == ErrorKind::State => {
            return Ok(Outcome::Impossible(Impossible::new(error.chain(), "leave $OPTION out")));
        }
        done => drop(done?),
    }
    // What cannot be generated has become generic.
    if let Some(current) = current(&tx, queue, row.dest()).await?
        && let Some(why) = current.refuses(&tx, queue, row.dest(), wish).await?
        && current.function.as_deref().is_some_and(|f| !f.starts_with("_capture_"))
        && wish.wants_generated()
    {
        return Ok(Outcome::Impossible(why));
    }
    tx.commit().await?;
    Ok(Outcome::Done("Capture put back; what was changed meanwhile must be copied again below (resync)"))
}

/// Puts the triggers on a table, in a transaction of its own.
async fn write(
    local: &mut Connection,
    queue: &str,
    row: &TableRow,
    wish: Wish<'_>,
    limit: Duration,
) -> Result<Outcome> {
    let tx = begin(local, limit).await?;
    let Some(mut current) = current(&tx, queue, row.dest()).await? else {
        return Ok(if wish.is_some() {
            Outcome::Impossible(Impossible::new(
                "it has no triggers (--no-triggers)",
                "remove the table and add it again with them (remove-table, add-table)",
            ))
        } else {
            Outcome::Done("The table has no capture, nothing to do")
        });
    };
    let generated = current.function.as_deref().is_some_and(|f| f.starts_with("_capture_"));
    let other_failure = current.set_failure(wish.failure);
    if let Some(why) = current.refuses(&tx, queue, row.dest(), wish).await? {
        return Ok(Outcome::Impossible(why));
    }
    let form = wish.form.unwrap_or(&current.form).to_owned();
    let done = if generated && current.good && form == current.form && !other_failure {
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
            "row" | "statement" if generated && form == current.form => match wish.failure {
                Some("mark") => {
                    "Capture written anew, what it cannot capture succeeds now, and marks the table"
                }
                _ => "Capture written anew, what it cannot capture fails now",
            },
            "row" => "Capture is generated by row now",
            "statement" => "Capture is generated by statement now",
            _ => "Capture is generic now",
        }
    };
    lost_capture::remember(&tx, queue, &row.table_name).await?;
    tx.commit().await?;
    Ok(Outcome::Done(done))
}

impl Current {
    /// Has a change do something else that cannot be captured; says whether that differs.
    fn set_failure(&mut self, failure: Option<&str>) -> bool {
        let Some(failure) = failure else { return false };
        let before = self.marks();
        self.options.retain(|o| !o.starts_with(FAILURE));
        self.options.push(format!("{FAILURE}{failure}"));
        self.marks() != before
    }

    /// Whether a change that cannot be captured succeeds, and marks the table.
    fn marks(&self) -> bool {
        self.options.iter().any(|o| o.strip_prefix(FAILURE) == Some("mark"))
    }

    /// Why the table cannot be captured as was asked for, as far as that can be told before it is tried.
    async fn refuses(
        &self,
        tx: &Transaction<'_>,
        queue: &str,
        dest: &str,
        wish: Wish<'_>,
    ) -> Result<Option<Impossible>> {
        const AGAIN: &str = "leave $OPTION out, or remove the table and add it again without --trigger-flags (remove-table, add-table)";
        if wish.form == Some("generic") {
            return Ok(self.marks().then(|| {
                Impossible::new(
                    "it has --capture-failure=mark, which needs generated capture",
                    "give --capture-failure=fail as well, or leave --trigger-form out",
                )
            }));
        } else if !wish.wants_generated() {
            return Ok(None);
        }
        match self.function.as_deref() {
            Some(function @ ("sqltriga" | "jsontriga")) => Ok(Some(Impossible::new(
                format!("its trigger writes events of another format (pgq.{function})"),
                AGAIN,
            ))),
            Some("logutriga") if !self.plain => {
                Ok(Some(Impossible::new("its trigger fires before the row is changed", AGAIN)))
            }
            _ => trigger_form::not_generated(tx, dest, &trigger_arguments(queue, &self.options)).await,
        }
    }
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
    let ours =
        |o: &&String| !["trigger=", "tgflags=", "form=", FAILURE].iter().any(|prefix| o.starts_with(prefix));
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
