//! `add-seq`: start replicating sequences on this node.

use std::process::ExitCode;

use pgq::cascade::NodeType;
use skytools::catalog::SequenceStruct;
use skytools::db::Connection;
use skytools::quote::ident;
use skytools::{Error, Result};
use tokio_postgres::types::Type;

use super::copy_source::{self, CopySource};
use super::expansion::{Candidates, Unknown, expand};
use super::register_filter::Filter;
use super::session::{Session, call, or_hint, split_name};
use super::{missing, sql};

/// Starts replicating sequences on this node. They are kept ahead of the root's by some thousands.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names or patterns (* and ?); public. is added where there is no dot.
    #[arg(value_name = "SEQUENCE")]
    sequences: Vec<String>,
    /// All sequences that can be added, when no name is given.
    #[arg(long)]
    all: bool,
    /// Create missing sequences like those of the provider.
    #[arg(long)]
    create: bool,
    /// The same as --create.
    #[arg(long)]
    create_full: bool,
    /// Take definitions from this node.
    #[arg(long, value_name = "NODE")]
    copy_node: Option<String>,
    /// Leave out sequences that do not exist, with a warning.
    #[arg(long)]
    skip_non_existing: bool,
    /// Go on with names that are not known.
    #[arg(long)]
    force: bool,
}

/// A sequence in a node's list.
struct Listed {
    name: String,
    value: i64,
    local: bool,
}

async fn listed(connection: &Connection, queue: &str) -> Result<Vec<Listed>> {
    let rows = connection.query_typed(sql::GET_SEQ_LIST, &[(&queue, Type::TEXT)]).await?;
    rows.iter()
        .map(|row| Ok(Listed { name: row.try_get(0)?, value: row.try_get(1)?, local: row.try_get(2)? }))
        .collect()
}

/// Runs the command; all sequences or none.
///
/// # Errors
/// Names that cannot be added; each error says which and what to do.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    let queue = session.queue();
    let mut local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let own = listed(&local, queue).await?;
    let done = own.iter().filter(|s| s.local).map(|s| s.name.clone()).collect();
    let mut candidates = Candidates { open: Vec::new(), done };
    let mut source: Option<(CopySource, Vec<Listed>)> = None;
    if info.node_type == NodeType::Root {
        let missing = missing::load(&local, queue).await?;
        // The list of what is missing does not leave out sequences that are registered already.
        let open = missing.into_iter().filter(|(kind, name)| kind == "S" && !candidates.done.contains(name));
        candidates.open = open.map(|(_, name)| name).collect();
    } else {
        let node = copy_source::open(session, &local, &info, args.copy_node.as_deref()).await?;
        let there = listed(&node.connection, queue).await?;
        let filter = Filter::sequences(session.config())?;
        let open = there.iter().filter(|s| !candidates.done.contains(&s.name) && filter.admits(&s.name));
        candidates.open = open.map(|s| s.name.clone()).collect();
        source = Some((node, there));
    }
    let unknown = if args.force { Unknown::Force } else { Unknown::Refuse };
    let names = expand(&args.sequences, args.all, &candidates, unknown).map_err(|e| match &source {
        None => or_hint(e, || {
            format!(
                "no such sequence in this database; \"{}\" lists those that can be added",
                session.again("missing")
            )
        }),
        Some((node, _)) => or_hint(e, || {
            format!("run \"londiste INI add-seq\" with the configuration of node \"{}\" first", node.node)
        }),
    })?;
    let mut definitions = Vec::new();
    let mut chosen = Vec::new();
    for name in &names {
        if exists(&local, name).await? {
            if args.create || args.create_full {
                tracing::info!("Sequence {name} already exist, not creating");
            }
            chosen.push(name);
            continue;
        }
        if (args.create || args.create_full)
            && let Some((node, _)) = &source
        {
            if !exists(&node.connection, name).await? {
                return Err(Error::not_found(format!(
                    "Sequence '{name}' missing on provider \"{}\"",
                    node.node
                ))
                .hint("create it by hand, then add it"));
            }
            // What the provider's sequence gives next is where this one starts.
            let schema = split_name(name).0;
            // "if not exists" would need the right to create schemas even where the schema exists.
            let present =
                local.query_typed(sql::SCHEMAS, &[(&[schema].as_slice(), Type::TEXT_ARRAY)]).await?;
            if present.is_empty()
                && !definitions.iter().any(|d| *d == format!("create schema {}", ident(schema)))
            {
                definitions.push(format!("create schema {}", ident(schema)));
            }
            definitions.push(SequenceStruct::load(&*node.connection, name).await?.create_sql(None));
            chosen.push(name);
        } else if args.skip_non_existing {
            tracing::warn!("Sequence \"{name}\" missing on local node, skipping");
        } else {
            return Err(Error::not_found(format!(
                "Sequence '{name}' missing on local node; nothing was changed"
            ))
            .hint("create it, or give --create to create it like that of the provider"));
        }
    }
    let tx = local.transaction().await?;
    for statement in &definitions {
        tx.batch_execute(statement)
            .await
            .map_err(|e| Error::from(e).context("creating a sequence; nothing was changed"))?;
    }
    if let Some((_, there)) = &source {
        follow(session, &tx, there, &own).await?;
    }
    for name in chosen {
        call(&tx, sql::LOCAL_ADD_SEQ, &[(&queue, Type::TEXT), (name, Type::TEXT)])
            .await
            .map_err(|e| e.context(format!("adding sequence {name}; nothing was changed")))?
            .log();
    }
    tx.commit().await?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the list of sequences like that of the provider, in the same transaction.
async fn follow(
    session: &Session,
    tx: &tokio_postgres::Transaction<'_>,
    there: &[Listed],
    own: &[Listed],
) -> Result<()> {
    let queue = session.queue();
    let filter = Filter::sequences(session.config())?;
    for seq in there.iter().filter(|s| filter.admits(&s.name) && !own.iter().any(|o| o.name == s.name)) {
        tracing::info!("Sequence {} info missing from subscriber, adding", seq.name);
        call(
            tx,
            sql::GLOBAL_UPDATE_SEQ,
            &[(&queue, Type::TEXT), (&seq.name, Type::TEXT), (&seq.value, Type::INT8)],
        )
        .await?
        .log();
    }
    for seq in own.iter().filter(|o| !there.iter().any(|s| s.name == o.name)) {
        tracing::info!("Sequence {} gone but exists on subscriber, removing", seq.name);
        call(tx, sql::GLOBAL_REMOVE_SEQ, &[(&queue, Type::TEXT), (&seq.name, Type::TEXT)]).await?.log();
    }
    Ok(())
}

async fn exists(connection: &Connection, full: &str) -> Result<bool> {
    let (schema, name) = split_name(full);
    let row =
        connection.query_typed_opt(sql::RELATION_KIND, &[(&schema, Type::TEXT), (&name, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get::<_, String>(0)).transpose()?.as_deref() == Some("S"))
}
