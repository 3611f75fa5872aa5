//! Everything that `add-table` refuses, found out before anything is changed.

use skytools::catalog::TableStruct;
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::{Args, Nodes, Planned, full_name};
use crate::apply::TableShape;
use crate::command::expansion::Candidates;
use crate::command::session::{Session, split_name};
use crate::command::sql;
use crate::copy;

/// A column of a table.
struct Column {
    name: String,
    /// Must be given a value on insert.
    required: bool,
    generated: bool,
    in_key: bool,
}

/// Checks all tables; with several at fault, every one is reported.
pub(super) async fn plan_all(
    session: &Session,
    nodes: &Nodes,
    args: &Args,
    candidates: &Candidates,
    names: &[String],
) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    let mut errors: Vec<Error> = Vec::new();
    for name in names {
        match plan(session, nodes, args, candidates, name).await {
            Ok(Some(table)) => planned.push(table),
            Ok(None) => {}
            Err(e) => errors.push(e),
        }
    }
    match errors.len() {
        0 => Ok(planned),
        1 => Err(errors.remove(0)),
        count => {
            for e in &errors {
                match e.hint_text() {
                    Some(hint) => tracing::error!("{} ({hint})", e.chain()),
                    None => tracing::error!("{}", e.chain()),
                }
            }
            Err(Error::state(format!(
                "Problems, canceling operation: {count} of {} tables cannot be added; nothing was changed",
                names.len()
            ))
            .hint("settle the errors above, or name only the other tables"))
        }
    }
}

/// `None` when the table is left out by `--skip-non-existing`.
async fn plan(
    session: &Session,
    nodes: &Nodes,
    args: &Args,
    candidates: &Candidates,
    name: &str,
) -> Result<Option<Planned>> {
    let dest = full_name(args.dest_table.as_deref().unwrap_or(name));
    let (schema, table) = split_name(&dest);
    if schema.is_empty() || table.is_empty() {
        return Err(Error::usage(format!("--dest-table \"{dest}\": schema or table is empty")));
    }
    if !provider_has(session, nodes, args, name)? {
        return Ok(None);
    }
    let source_dest = nodes.source_tables.iter().find(|t| t.table_name == name).map_or(name, |t| t.dest());
    let source = match &nodes.source {
        Some(source) => columns(&source.connection, source_dest).await?,
        None => None,
    };
    let mut definition = None;
    let mut columns_differ = Vec::new();
    let local =
        columns(&nodes.local, &dest).await.map_err(|e| e.context(format!("looking for table {dest}")))?;
    let key_columns = match &local {
        Some(local) => {
            // partitioned ones are taken by name, "missing" lists their partitions
            if nodes.is_root()
                && dest == name
                && !args.force
                && !candidates.open.iter().any(|c| c == name)
                && kind(&nodes.local, &dest).await?.as_deref() != Some("p")
            {
                return Err(not_listed(session, nodes, name).await?);
            }
            if table.contains('.') {
                return Err(Error::state(format!(
                    "table {dest}: its name \"{table}\" contains a dot, which events cannot carry"
                ))
                .hint("rename the table"));
            }
            if args.create || args.create_full {
                tracing::info!("Table {} already exist, not touching", shown(name, &dest));
            }
            if let (Some(columns), None) = (&source, &args.handler) {
                let ignored = ignored(session, nodes, source_dest).await?;
                columns_differ = compare_columns(name, &dest, columns, &ignored, local, args.force)?;
            }
            local
        }
        None if args.create || args.create_full => {
            let (Some(node), Some(columns)) = (&nodes.source, &source) else {
                return no_definition(nodes, args, name, &dest);
            };
            definition = Some(TableStruct::load(&*node.connection, source_dest).await?);
            columns
        }
        None => return not_here(session, nodes, args, name, &dest).await,
    };
    let keyless = check_key(name, key_columns, args)?;
    let announce = !nodes.is_root() && !nodes.local_tables.iter().any(|t| t.table_name == name);
    Ok(Some(Planned { name: name.to_owned(), dest, definition, announce, keyless, columns_differ }))
}

/// Why a table of the root is none of those that can be added.
async fn not_listed(session: &Session, nodes: &Nodes, name: &str) -> Result<Error> {
    let (schema, table) = split_name(name);
    for row in
        nodes.local.query_typed(sql::PARTITION_OF, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?
    {
        let parent: String = row.try_get(0)?;
        if nodes.local_tables.iter().any(|t| t.local && t.dest() == parent) {
            return Ok(Error::state(format!(
                "table {name} is a partition of {parent}, which is replicated with all of its partitions"
            ))
            .hint(format!(
                "to replicate partitions one by one, run \"{}\" first",
                session.again(&format!("remove-table {parent}"))
            )));
        }
    }
    Ok(Error::state(format!("table {name} belongs to the system or to the queue itself"))
        .hint(format!("\"{}\" lists the tables that can be added", session.again("missing"))))
}

fn shown(name: &str, dest: &str) -> String {
    if name == dest { name.to_owned() } else { format!("{name}({dest})") }
}

/// Whether the node to copy from replicates the table; with `--skip-non-existing` a missing one is only left out.
fn provider_has(session: &Session, nodes: &Nodes, args: &Args, name: &str) -> Result<bool> {
    let Some(source) = &nodes.source else { return Ok(true) };
    if args.expect_sync || args.find_copy_node {
        return Ok(true);
    }
    let known = nodes.source_tables.iter().find(|t| t.table_name == name);
    if known.is_some_and(|t| t.local) {
        return Ok(true);
    }
    if known.is_none() && args.force {
        return Ok(true);
    }
    if args.skip_non_existing {
        tracing::warn!("Table {name} does not exist on provider, left out");
        return Ok(false);
    }
    Err(Error::state(format!(
        "Table {name} does not exist on provider \"{}\", need to switch to different provider",
        source.node
    ))
    .hint(format!(
        "run \"londiste INI add-table {name}\" with the configuration of node \"{}\", or use --find-copy-node with \"{}\"",
        source.node,
        session.again(&format!("add-table {name}"))
    )))
}

fn no_definition(nodes: &Nodes, args: &Args, name: &str, dest: &str) -> Result<Option<Planned>> {
    let text = match &nodes.source {
        Some(source) => {
            format!("Table {} missing on provider \"{}\", cannot create", shown(name, dest), source.node)
        }
        None => format!(
            "Table {} does not exist, and the root has no provider to take its definition from",
            shown(name, dest)
        ),
    };
    if args.skip_non_existing {
        tracing::warn!("{text}, skipping");
        return Ok(None);
    }
    Err(Error::not_found(text).hint(format!("create table {dest} by hand, then add it")))
}

async fn not_here(
    session: &Session,
    nodes: &Nodes,
    args: &Args,
    name: &str,
    dest: &str,
) -> Result<Option<Planned>> {
    if args.skip_non_existing {
        tracing::warn!("Table {} does not exist on local node, skipping", shown(name, dest));
        return Ok(None);
    }
    if let Some(kind) = kind(&nodes.local, dest).await? {
        let what = match kind.as_str() {
            "v" => "a view",
            "m" => "a materialized view",
            "f" => "a foreign table",
            "S" => "a sequence",
            _ => "no table",
        };
        return Err(Error::state(format!("{dest} is {what}; only tables can be replicated")).hint(
            match what {
                "a sequence" => "sequences are added with add-seq",
                _ => "name the tables below it",
            },
        ));
    }
    if let Some(row) = nodes.local.query_typed_opt(sql::DOTTED_SCHEMA, &[(&dest, Type::TEXT)]).await? {
        let schema: String = row.try_get(0)?;
        return Err(Error::state(format!(
            "table {dest}: the name of its schema \"{schema}\" contains a dot, which events cannot carry"
        ))
        .hint("rename the schema, or move the table to another one"));
    }
    let hint = if nodes.is_root() {
        format!("create the table first; \"{}\" lists the tables that can be added", session.again("missing"))
    } else {
        format!(
            "give --create to create it like that of the provider: \"{}\"",
            session.again(&format!("add-table {name} --create"))
        )
    };
    Err(Error::not_found(format!("Table {} does not exist on local node", shown(name, dest))).hint(hint))
}

/// `relkind` of a table, view or the like; `None` when there is none of that name.
async fn kind(connection: &skytools::db::Connection, full: &str) -> Result<Option<String>> {
    let (schema, table) = split_name(full);
    let row = connection
        .query_typed_opt(sql::RELATION_KIND, &[(&schema, Type::TEXT), (&table, Type::TEXT)])
        .await?;
    Ok(row.map(|r| r.try_get(0)).transpose()?)
}

/// Columns of a plain or partitioned table; `None` when there is none of that name.
async fn columns(connection: &skytools::db::Connection, full: &str) -> Result<Option<Vec<Column>>> {
    let (schema, table) = split_name(full);
    if !matches!(kind(connection, full).await?.as_deref(), Some("r" | "p")) {
        return Ok(None);
    }
    let rows = connection.query_typed(sql::COLUMNS, &[(&schema, Type::TEXT), (&table, Type::TEXT)]).await?;
    let columns = rows.iter().map(|row| {
        Ok(Column {
            name: row.try_get(0)?,
            required: row.try_get(1)?,
            generated: row.try_get(2)?,
            in_key: row.try_get(3)?,
        })
    });
    columns.collect::<Result<Vec<_>>>().map(Some)
}

/// Columns of the provider that events of the table do not carry.
async fn ignored(session: &Session, nodes: &Nodes, source_dest: &str) -> Result<Vec<String>> {
    let Some(source) = &nodes.source else { return Ok(Vec::new()) };
    match TableShape::load(&*source.connection, source_dest).await? {
        Some(shape) => copy::missing::ignored(&source.connection, session.queue(), &shape).await,
        None => Ok(Vec::new()),
    }
}

/// Every column of the provider whose values are to come must exist here, and what exists only here must get along without a value.
/// Returns the columns of the provider that are missing all the same.
fn compare_columns(
    name: &str,
    dest: &str,
    source: &[Column],
    ignored: &[String],
    local: &[Column],
    force: bool,
) -> Result<Vec<String>> {
    let lacks = |there: &[Column], column: &Column| !there.iter().any(|c| c.name == column.name);
    let quoted =
        |list: Vec<&Column>| list.iter().map(|c| format!("\"{}\"", c.name)).collect::<Vec<_>>().join(", ");
    let absent: Vec<&Column> =
        source.iter().filter(|c| !c.generated && !ignored.contains(&c.name) && lacks(local, c)).collect();
    let extra: Vec<&Column> = local.iter().filter(|c| lacks(source, c)).collect();
    let blocking: Vec<&Column> = extra.iter().filter(|c| c.required).copied().collect();
    let mut faults = Vec::new();
    if !absent.is_empty() {
        faults.push(format!("the provider's {} missing here", columns_are(&absent, &quoted)));
    }
    if !blocking.is_empty() {
        faults.push(format!(
            "{} not on the provider and must not be NULL here",
            columns_are(&blocking, &quoted)
        ));
    }
    if !faults.is_empty() {
        let text = format!("Table {}: columns differ: {}", shown(name, dest), faults.join("; "));
        if !force {
            return Err(Error::state(text)
                .hint("make the columns equal with ALTER TABLE, or give --force if a trigger or rule here takes care of it"));
        }
        tracing::warn!("{text}");
    } else if !extra.is_empty() {
        tracing::warn!("Table {}: {} not on the provider", shown(name, dest), columns_are(&extra, &quoted));
    }
    Ok(absent.iter().map(|c| c.name.clone()).collect())
}

/// Whether the trigger flags ask for inserts alone.
fn inserts_only(args: &Args) -> bool {
    let flags = args.trigger_flags.as_deref().unwrap_or_default().to_ascii_uppercase();
    flags.contains('I') && !flags.contains(['U', 'D'])
}

fn columns_are(list: &[&Column], quoted: &impl Fn(Vec<&Column>) -> String) -> String {
    let word = if list.len() == 1 { ("column", "is") } else { ("columns", "are") };
    format!("{} {} {}", word.0, quoted(list.to_vec()), word.1)
}

/// Updates and deletes are carried by the key, whose columns are listed with commas between. Returns whether there
/// is none and none is needed.
fn check_key(name: &str, columns: &[Column], args: &Args) -> Result<bool> {
    let key: Vec<&Column> = columns.iter().filter(|c| c.in_key).collect();
    if key.is_empty() {
        if args.insert_only {
            tracing::warn!("Table {name} has no primary key: only its inserts are replicated");
            return Ok(true);
        }
        if inserts_only(args) {
            return Ok(true);
        }
        return Err(Error::state(format!("Primary key missing on table: {name}"))
            .hint("add a primary key, or replicate its inserts only with --insert-only"));
    }
    if let Some(column) = key.iter().find(|c| c.name.contains(',')) {
        return Err(Error::state(format!(
            "table {name}: key column \"{}\" contains a comma, which events cannot carry",
            column.name
        ))
        .hint("rename the column"));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Column {
        Column { name: name.to_owned(), required: false, generated: false, in_key: name == "id" }
    }

    #[test]
    fn column_sets() {
        let source = [column("id"), column("a")];
        assert!(compare_columns("t", "t", &source, &[], &[column("a"), column("id")], false).is_ok());
        let error = compare_columns("t", "u", &source, &[], &[column("id")], false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Table t(u): columns differ: the provider's column \"a\" is missing here"
        );
        assert!(compare_columns("t", "t", &source, &[], &[column("id")], true).is_ok());
        let forced = compare_columns("t", "t", &source, &[], &[column("id")], true);
        assert_eq!(forced.unwrap(), ["a"]);
        let ignored = compare_columns("t", "t", &source, &["a".to_owned()], &[column("id")], false);
        assert!(ignored.unwrap().is_empty());
        let more = [column("id"), column("a"), column("b"), column("c")];
        assert!(compare_columns("t", "t", &source, &[], &more, false).is_ok());
        let strict = [column("id"), column("a"), Column { required: true, ..column("b") }];
        let error = compare_columns("t", "t", &source, &[], &strict, false).unwrap_err();
        assert!(error.to_string().contains("column \"b\" is not on the provider"), "{error}");
        let generated = [column("id"), Column { generated: true, ..column("g") }];
        assert!(compare_columns("t", "t", &generated, &[], &[column("id")], false).is_ok());
    }

    #[test]
    fn keys() {
        let args = Args::default();
        assert!(!check_key("t", &[column("id")], &args).unwrap());
        assert!(
            check_key("t", &[column("a")], &args).unwrap_err().hint_text().unwrap().contains("--insert-only")
        );
        let comma = Column { in_key: true, ..column("a,b") };
        assert!(check_key("t", &[comma], &args).unwrap_err().to_string().contains("\"a,b\""));
        let args = Args { insert_only: true, ..Args::default() };
        assert!(check_key("t", &[column("a")], &args).unwrap());
        assert!(!check_key("t", &[column("id")], &args).unwrap());
    }
}
