//! `add-table`: start replicating tables on this node.
//!
//! Everything that can be refused is refused for all tables before the first is touched. Then each table is one
//! transaction on the local database: its definition (`--create`), its name in the node's list, trigger and state
//! commit together or not at all, and a failure leaves nothing of that table behind. (The original first copies the
//! provider's whole list of names, in a transaction of its own, and keeps it when adding fails; here the rest of the
//! list follows after the last table.)

mod check;
mod names;

use std::process::ExitCode;
use std::time::Duration;

use pgq::cascade::{NodeInfo, NodeType};
use skytools::catalog::{Parts, TableStruct, create_table};
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::types::Type;

use super::copy_source::{self, CopySource};
use super::expansion::{Unknown, expand, full_name};
use super::handler_string::handler_string;
use super::mark::Mark;
use super::session::{Session, call};
use super::trigger_form::{FAILURE, FAILURES, FORMS};
use super::{sql, wait_sync};
use crate::table::ADDED_AT;
use crate::{TableAttrs, TableRow};

/// Starts replicating tables on this node.
///
/// On the root, capture begins. On other nodes the worker then copies the table from the provider while it goes on
/// replaying the others.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// All tables that can be added, when no name is given.
    #[arg(long)]
    all: bool,
    /// Wait until all tables of this node are in sync.
    #[arg(long)]
    wait_sync: bool,
    /// Name of the table here, where it differs.
    #[arg(long, value_name = "NAME")]
    dest_table: Option<String>,
    /// The rows are already here and equal: do not copy.
    #[arg(long)]
    expect_sync: bool,
    /// Keep the rows that are already here when copying.
    #[arg(long)]
    skip_truncate: bool,
    /// Create missing tables: columns, types, defaults, identity, generated columns, primary key.
    #[arg(long)]
    create: bool,
    /// Create missing tables with everything: also constraints, indexes, triggers, rules, grants.
    #[arg(long)]
    create_full: bool,
    /// Kind of trigger: I, U, D events; B before, A after; L, Q, J format; S skip.
    #[arg(long, value_name = "BAIUDLQJS")]
    trigger_flags: Option<String>,
    /// Additional trigger argument, such as ignore=COLUMN (may be repeated).
    #[arg(long, value_name = "ARG")]
    trigger_arg: Vec<String>,
    /// How changes are captured: row writes a trigger function for each table, generic uses pgq.logutriga, statement logs all rows
    /// of a statement at its end (faster for large statements; refuses those whose changes have no order, see "How capture works").
    #[arg(long, value_name = "row|statement|generic", value_parser = FORMS)]
    trigger_form: Option<String>,
    /// What a change does that cannot be captured: fail (default), or mark: succeed, and mark the table as incompletely captured.
    #[arg(long, value_name = "fail|mark", value_parser = FAILURES)]
    capture_failure: Option<String>,
    /// Accept tables without primary key: only their inserts are replicated, updates and deletes are not.
    #[arg(long)]
    insert_only: bool,
    /// Create no triggers.
    #[arg(long)]
    no_triggers: bool,
    /// Handler that applies the table's events.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Argument of the handler (may be repeated).
    #[arg(long, value_name = "KEY=VALUE", requires = "handler")]
    handler_arg: Vec<String>,
    /// Copy from the nearest node upwards that has the table.
    #[arg(long, conflicts_with = "copy_node")]
    find_copy_node: bool,
    /// Copy from this node.
    #[arg(long, value_name = "NODE")]
    copy_node: Option<String>,
    /// Merge the same table of all source queues.
    #[arg(long)]
    merge_all: bool,
    /// Do not merge the table with that of other source queues.
    #[arg(long)]
    no_merge: bool,
    /// How many parts of a merged table are copied at once.
    #[arg(long, value_name = "NUM", value_parser = clap::value_parser!(i32).range(1..))]
    max_parallel_copy: Option<i32>,
    /// Leave out tables that do not exist, with a warning.
    #[arg(long)]
    skip_non_existing: bool,
    /// Go on with names that are not known, and with columns that differ.
    #[arg(long)]
    force: bool,
}

/// A table to add, after all checks.
struct Planned {
    name: String,
    dest: String,
    /// What to create it like; `None` when it exists.
    definition: Option<TableStruct>,
    /// Whether its name has to enter the node's list first.
    announce: bool,
    /// Whether it has no primary key, and only inserts can be replicated.
    keyless: bool,
    /// Columns of the provider that it lacks, and --force was given.
    columns_differ: Vec<String>,
}

/// What the handler adds to the registration.
struct Terms {
    /// Stored form.
    handler: Option<String>,
    trigger_args: Vec<String>,
}

/// The command's view of the two nodes.
struct Nodes {
    local: Connection,
    info: NodeInfo,
    /// Tables in the local list.
    local_tables: Vec<TableRow>,
    /// Where rows and definitions come from; `None` on the root.
    source: Option<CopySource>,
    /// Tables in the source's list; on the root the local list again.
    source_tables: Vec<TableRow>,
    /// How far events had come when the provider's list was read, and the names in it.
    provided: Option<(Mark, Vec<String>)>,
}

impl Nodes {
    async fn open(session: &Session, args: &Args) -> Result<Self> {
        let local = session.local().await?;
        let info = session.local_node(&*local).await?;
        let local_tables = TableRow::load_all(&*local, session.queue()).await?;
        if info.node_type == NodeType::Root {
            let source_tables = local_tables.clone();
            return Ok(Nodes { local, info, local_tables, source: None, source_tables, provided: None });
        }
        let source = copy_source::open(session, &local, &info, args.copy_node.as_deref()).await?;
        // Before the list is read: the mark must not cover the removal of a table that is in the list.
        let mark = match info.provider_node.as_deref() == Some(source.node.as_str()) {
            true => Mark::load(&source.connection, session.queue(), &source.node).await,
            false => None,
        };
        let source_tables = TableRow::load_all(&*source.connection, session.queue()).await?;
        let names = || source_tables.iter().map(|t| t.table_name.clone()).collect();
        let provided = mark.map(|mark| (mark, names()));
        Ok(Nodes { local, info, local_tables, source: Some(source), source_tables, provided })
    }

    fn is_root(&self) -> bool {
        self.info.node_type == NodeType::Root
    }
}

/// Runs the command.
///
/// # Errors
/// Anything that does not fit; each error names the table and the next step.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    check_options(args)?;
    let stored = args.handler.as_deref().map(|name| handler_string(name, &args.handler_arg)).transpose()?;
    let handler = crate::handler::build(stored.as_deref())?;
    let mut nodes = Nodes::open(session, args).await?;
    let candidates = names::candidates(session, &nodes).await?;
    // On the root a name that cannot be added is looked up, to say what it is instead of a table.
    let unknown = match (args.force, nodes.is_root() || !handler.needs_table()) {
        (true, _) => Unknown::Force,
        (false, true) => Unknown::Take,
        (false, false) => Unknown::Refuse,
    };
    let chosen = expand(&args.tables, args.all, &candidates, unknown)
        .map_err(|e| names::explain(session, &nodes, e))?;
    if args.dest_table.is_some() && chosen.len() > 1 {
        return Err(Error::usage("--dest-table can be given only for single table"));
    }
    if args.find_copy_node
        && (args.create || args.create_full)
        && !chosen.is_empty()
        && let Some(source) = nodes.source.take()
    {
        let source = copy_source::find_upwards(session, source, &chosen).await?;
        nodes.source_tables = TableRow::load_all(&*source.connection, session.queue()).await?;
        nodes.source = Some(source);
    }
    let planned = check::plan_all(session, &nodes, args, &candidates, &chosen).await?;
    let terms = Terms { handler: stored, trigger_args: handler.trigger_args() };
    for table in &planned {
        add(session, &mut nodes, args, &terms, table).await?;
    }
    if !planned.is_empty() {
        names::follow_source(session, &mut nodes).await?;
    }
    if args.wait_sync {
        wait_sync::wait(session, &nodes.local).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check_options(args: &Args) -> Result<()> {
    if args.merge_all && args.no_merge {
        return Err(Error::usage("Cannot use merge-all and no-merge together"));
    }
    if let Some(flags) = &args.trigger_flags
        && let Some(bad) = flags.chars().find(|c| !"BAIUDLQJS".contains(c.to_ascii_uppercase()))
    {
        return Err(Error::usage(format!("--trigger-flags: unknown letter '{bad}'"))
            .hint("I, U, D: events; B, A: before, after; L, Q, J: format; S: skip"));
    }
    Ok(())
}

/// The arguments that the trigger is created with, and the words by which the server function is steered.
fn trigger_args(args: &Args, keyless: bool) -> Vec<String> {
    let mut list = args.trigger_arg.clone();
    if keyless {
        // The events of a row trigger for updates and deletes would have no key to find the row by.
        let kept: String =
            args.trigger_flags.iter().flat_map(|f| f.chars()).filter(|c| !"UDIudi".contains(*c)).collect();
        list.push(format!("tgflags=I{kept}"));
    } else if let Some(flags) = &args.trigger_flags {
        list.push(format!("tgflags={flags}"));
    }
    list.extend(args.trigger_form.as_ref().map(|form| format!("form={form}")));
    list.extend(args.capture_failure.as_ref().map(|what| format!("{FAILURE}{what}")));
    let words = [
        (args.no_triggers, "no_triggers"),
        (args.merge_all, "merge_all"),
        (args.no_merge, "no_merge"),
        (args.expect_sync, "expect_sync"),
    ];
    list.extend(words.iter().filter(|(given, _)| *given).map(|(_, word)| (*word).to_owned()));
    list
}

/// The attributes stored with the table.
fn table_attrs(args: &Args, handler: Option<&str>) -> TableAttrs {
    let mut attrs = TableAttrs::default();
    if let Some(handler) = handler {
        attrs.set("handler", handler);
    }
    if args.find_copy_node {
        attrs.set("copy_node", "?");
    } else if let Some(node) = &args.copy_node {
        attrs.set("copy_node", node);
    }
    if args.skip_truncate && !args.expect_sync {
        attrs.set("skip_truncate", "1");
    }
    if let Some(limit) = args.max_parallel_copy {
        attrs.set("max_parallel_copy", &limit.to_string());
    }
    attrs
}

/// Adds one table, in one transaction.
async fn add(
    session: &Session,
    nodes: &mut Nodes,
    args: &Args,
    terms: &Terms,
    table: &Planned,
) -> Result<()> {
    let queue = session.queue();
    let name = table.name.as_str();
    let limit = session.config().get_duration("lock_timeout", 10.0)?;
    let place = |e: Error| explain_failure(session, e, table, limit);
    let tx = nodes.local.transaction().await?;
    if !limit.is_zero() {
        let text = format!("{}ms", limit.as_millis());
        tx.query_typed(sql::SET_LOCK_TIMEOUT, &[(&text, Type::TEXT)]).await?;
    }
    if let Some(like) = &table.definition {
        let parts = if args.create_full { Parts::CREATE_FULL } else { Parts::CREATE };
        let new_name = (like.full_name() != table.dest).then_some(table.dest.as_str());
        let created = create_table(&tx, like, parts, new_name).await.map_err(place)?;
        created.notes.iter().for_each(|note| tracing::warn!("Table {}: {note}", table.dest));
    }
    if table.announce {
        let reply = call(&tx, sql::GLOBAL_ADD_TABLE, &[(&queue, Type::TEXT), (&name, Type::TEXT)])
            .await
            .map_err(place)?;
        tracing::debug!("{}", reply.note);
    }
    let mut trigger_args = trigger_args(args, table.keyless);
    trigger_args.extend_from_slice(&terms.trigger_args);
    let dest = (table.dest != table.name).then_some(table.dest.as_str());
    let mut attrs = table_attrs(args, terms.handler.as_deref());
    if !table.columns_differ.is_empty() {
        attrs.set_columns_differ(&table.columns_differ);
    }
    call(
        &tx,
        sql::LOCAL_ADD_TABLE,
        &[
            (&queue, Type::TEXT),
            (&name, Type::TEXT),
            (&trigger_args, Type::TEXT_ARRAY),
            (&attrs.to_stored(), Type::TEXT),
            (&dest, Type::TEXT),
        ],
    )
    .await
    .map_err(place)?
    .log();
    // By itself: what the function above is given is compared with what is stored, and stored with siblings of a merge.
    if let Some((mark, names)) = &nodes.provided
        && names.iter().any(|n| n == name)
    {
        attrs.set(ADDED_AT, &mark.to_string());
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&queue, Type::TEXT), (&name, Type::TEXT), (&attrs.to_stored(), Type::TEXT)];
        let reply = call(&tx, sql::LOCAL_SET_TABLE_ATTRS, &params).await.map_err(place)?;
        tracing::debug!("{}", reply.note);
    }
    crate::sync::ring_worker(tx.client(), queue).await?;
    tx.commit().await.map_err(|e| place(e.into()))?;
    Ok(())
}

fn explain_failure(session: &Session, error: Error, table: &Planned, limit: Duration) -> Error {
    let lock_timeout = error.sqlstate().is_some_and(|s| s.code() == "55P03");
    let hint = if lock_timeout {
        Some(format!(
            "somebody else kept table {} locked for {limit:?}: try again, or raise lock_timeout",
            table.dest
        ))
    } else if error.kind() == ErrorKind::Permission {
        Some(format!("the role of key \"db\" must own table {}", table.dest))
    } else {
        None
    };
    let again = session.again(&format!("add-table {}", table.name));
    let own = error.hint_text().map(str::to_owned);
    error
        .context(format!("adding table {}; nothing of it was changed", table.name))
        .hint(hint.or(own).unwrap_or_else(|| format!("run \"{again}\" again when this is settled")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trigger_arguments_come_in_the_original_order() {
        let args = Args {
            trigger_arg: vec!["ignore=a".into(), "backup".into()],
            trigger_flags: Some("AIQ".into()),
            no_triggers: true,
            merge_all: true,
            expect_sync: true,
            ..Args::default()
        };
        assert_eq!(
            trigger_args(&args, false),
            ["ignore=a", "backup", "tgflags=AIQ", "no_triggers", "merge_all", "expect_sync"]
        );
        assert!(trigger_args(&Args::default(), false).is_empty());
        assert_eq!(trigger_args(&args, true)[2], "tgflags=IAQ");
        assert_eq!(trigger_args(&Args::default(), true), ["tgflags=I"]);
    }

    #[test]
    fn attributes_as_the_original_stores_them() {
        let args =
            Args { skip_truncate: true, find_copy_node: true, max_parallel_copy: Some(2), ..Args::default() };
        assert_eq!(
            table_attrs(&args, Some("londiste(ignore_truncate=1)")).to_stored().unwrap(),
            "handler=londiste%28ignore_truncate%3d1%29&copy_node=%3f&skip_truncate=1&max_parallel_copy=2"
        );
        let args = Args { skip_truncate: true, expect_sync: true, ..Args::default() };
        assert_eq!(table_attrs(&args, None).to_stored(), None);
    }

    #[test]
    fn options_that_contradict() {
        assert!(check_options(&Args { merge_all: true, no_merge: true, ..Args::default() }).is_err());
        let error = check_options(&Args { trigger_flags: Some("IX".into()), ..Args::default() }).unwrap_err();
        assert!(error.to_string().contains("'X'"));
        assert!(check_options(&Args { trigger_flags: Some("baiudlqjs".into()), ..Args::default() }).is_ok());
    }
}
