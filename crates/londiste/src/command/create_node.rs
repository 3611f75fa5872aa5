//! `create-root`, `create-branch`, `create-leaf`: make this database a node of the queue.
//!
//! A root is one transaction on one database. A branch or leaf concerns up to three: the root learns where the
//! new node is, the provider keeps events for it, the node itself is created last and in one transaction. What is
//! registered elsewhere when a later step fails is harmless but visible, so the error says how to finish or undo,
//! and running the same command again finishes: a registration under the very same connect string, whose database
//! has no node, is a leftover of such a run.

use std::process::ExitCode;

use pgq::cascade::{self, NewNode, NodeInfo, NodeType};
use skytools::db::{ConnectString, Connection};
use skytools::install::{self, Module};
use skytools::{Error, Result, urlenc};
use tokio_postgres::types::Type;

use super::register_filter::Filter;
use super::session::{Session, call};
use super::{sql, worker_name};
use crate::{Snapshot, TableRow};

/// Creates a node in the database of key `db`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the node, and the connect string under which other nodes reach its database.
    ///
    /// Defaults: keys node_name and public_node_location. The connect string is stored where others can read it, so
    /// it must not contain a password.
    #[arg(value_names = ["NAME", "PUBLIC_CONNSTR"])]
    args: Vec<String>,
    /// Connect string of the node to read from (key initial_provider_location).
    #[arg(long, value_name = "CONNSTR")]
    provider: Option<String>,
    /// Leaf only: queue in the same database that this leaf feeds.
    #[arg(long, value_name = "QUEUE")]
    merge: Option<String>,
    /// Branch only: nodes whose watermark this branch waits for.
    #[arg(long, value_name = "NODE,NODE")]
    sync_watermark: Option<String>,
    /// Do not check that the public connect string reaches this database.
    #[arg(long)]
    nocheck: bool,
}

struct Plan<'a> {
    kind: NodeType,
    name: String,
    /// Stored form: keywords, without secrets.
    location: String,
    provider: Option<String>,
    args: &'a Args,
}

impl<'a> Plan<'a> {
    fn new(session: &Session, kind: NodeType, args: &'a Args) -> Result<Self> {
        let config = session.config();
        if args.args.len() > 2 {
            return Err(Error::usage("Too many args, only node name and public connect string allowed"));
        }
        let given = |i: usize, key: &str| -> Result<Option<String>> {
            match args.args.get(i) {
                Some(value) => Ok(Some(value.clone()).filter(|v| !v.is_empty())),
                None => config.get_opt(key),
            }
        };
        let name = given(0, "node_name")?.ok_or_else(|| {
            Error::usage("Node name must be given either in command line or config").hint(format!(
                "run \"{}\" or set key node_name",
                session.again(&format!("create-{kind} NAME"))
            ))
        })?;
        if name.contains(',') {
            return Err(Error::usage(format!("node name \"{name}\" contains a comma"))
                .hint("lists of nodes are separated by commas; choose another name"));
        }
        let location = given(1, "public_node_location")?.ok_or_else(|| {
            Error::usage("Node public location must be given either in command line or config")
                .hint("give the connect string under which other nodes reach this database, or set key public_node_location")
        })?;
        let parsed =
            ConnectString::parse(&location).map_err(|e| e.context("reading the public connect string"))?;
        let location = parsed.sanitize_for_storage().map_err(|e| e.context("public connect string"))?;
        if parsed.get("host").is_none() && parsed.get("service").is_none() && parsed.get("hostaddr").is_none()
        {
            tracing::warn!("No host= in public connect string, bad idea");
        }
        if args.merge.is_some() && kind != NodeType::Leaf {
            return Err(Error::usage("--merge can be used only for leafs"));
        }
        if args.sync_watermark.is_some() && kind != NodeType::Branch {
            return Err(Error::usage("--sync-watermark can be used only for branch nodes"));
        }
        let provider = match &args.provider {
            Some(provider) => Some(provider.clone()),
            None => config.get_opt("initial_provider_location")?,
        };
        match kind {
            NodeType::Root if args.provider.is_some() => {
                return Err(Error::usage("--provider makes no sense for a root")
                    .hint("a root reads from no other node"));
            }
            NodeType::Branch | NodeType::Leaf if provider.is_none() => {
                return Err(Error::usage("Please specify --provider")
                    .hint("give --provider=CONNSTR, the public connect string of the node to read from"));
            }
            _ => {}
        }
        Ok(Plan { kind, name, location, provider, args })
    }
}

/// Runs the command for one type of node.
///
/// # Errors
/// Arguments that do not fit, a connect string that reaches another database, a name that is taken.
pub async fn run(session: &Session, kind: NodeType, args: &Args) -> Result<ExitCode> {
    let plan = Plan::new(session, kind, args)?;
    let mut local = session.local().await?;
    if let Some(existing) = existing_node(session, &local).await? {
        tracing::info!("Node is already initialized as {}", existing.node_type);
        if existing.node_type != kind || existing.node_name != plan.name {
            return Err(Error::state(format!(
                "this database is already node \"{}\" ({}) of queue \"{}\"",
                existing.node_name,
                existing.node_type,
                session.queue()
            ))
            .hint(format!(
                "\"{}\" removes it",
                session.again(&format!("drop-node {}", existing.node_name))
            )));
        }
        return Ok(ExitCode::SUCCESS);
    }
    // All that can be refused is refused before anything is changed anywhere.
    if !args.nocheck {
        check_public(session, &local, &plan.location).await?;
    }
    let upstream = match &plan.provider {
        Some(provider) if kind != NodeType::Root => Some(Upstream::find(session, &plan, provider).await?),
        _ => None,
    };
    install_missing(&mut local).await?;
    tracing::info!("Initializing node");
    match upstream {
        None => create_root(session, &mut local, &plan).await?,
        Some(upstream) => create_below(session, &mut local, &plan, upstream).await?,
    }
    tracing::info!("Done");
    Ok(ExitCode::SUCCESS)
}

async fn existing_node(session: &Session, local: &Connection) -> Result<Option<NodeInfo>> {
    if schemas(local, &["pgq_node"]).await?.is_empty() {
        return Ok(None);
    }
    cascade::load_node_info(&**local, session.queue()).await
}

async fn schemas(local: &Connection, names: &[&str]) -> Result<Vec<String>> {
    let rows = local.query_typed(sql::SCHEMAS, &[(&names, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Installs the modules whose schema does not exist. What is there, the original's included, is left alone:
/// `skytools install` upgrades.
async fn install_missing(local: &mut Connection) -> Result<()> {
    let all = [("pgq", Module::Pgq), ("pgq_node", Module::PgqNode), ("londiste", Module::Londiste)];
    let present = schemas(local, &all.map(|(schema, _)| schema)).await?;
    let mut missing = Vec::new();
    for (schema, module) in all {
        if present.iter().any(|p| p == schema) {
            tracing::info!("{schema} is installed");
        } else {
            tracing::info!("Installing {schema}");
            missing.push(module);
        }
    }
    if !missing.is_empty() {
        install::install(local, &missing).await?;
    }
    Ok(())
}

/// Makes sure that the public connect string reaches the local database: same name and oid, and a transaction of
/// the one connection shows in the snapshots of the other at the right moment. Another server with a database of
/// the same name and oid does not pass.
async fn check_public(session: &Session, local: &Connection, location: &str) -> Result<()> {
    let public = session.remote(location, "the public connect string").await?;
    let before = Identity::load(local).await?;
    let there = Identity::load(&public).await?;
    let after = Identity::load(local).await?;
    let mut failure = 0;
    if (before.oid, &before.name) != (there.oid, &there.name) {
        failure += 1;
    }
    if before.snapshot.contains(there.txid) {
        failure += 2;
    } else if !after.snapshot.contains(there.txid) {
        failure += 4;
    }
    if failure == 0 {
        return Ok(());
    }
    Err(Error::usage(format!(
        "Public connect string points to different database than local connect string (fail={failure})"
    ))
    .hint(format!(
        "key db reaches database \"{}\", the public connect string \"{}\"; --nocheck skips this check",
        before.name, there.name
    )))
}

struct Identity {
    oid: u32,
    name: String,
    txid: i64,
    snapshot: Snapshot,
}

impl Identity {
    async fn load(connection: &Connection) -> Result<Self> {
        let row = connection.query_typed_one(sql::DATABASE_IDENTITY, &[]).await?;
        Ok(Identity {
            oid: row.try_get(0)?,
            name: row.try_get(1)?,
            txid: row.try_get(2)?,
            snapshot: row.try_get::<_, &str>(3)?.parse()?,
        })
    }
}

/// The nodes above the one to create.
struct Upstream {
    root: Connection,
    root_name: String,
    provider: Connection,
    provider_name: String,
    /// Whether the new node's name is registered already, by a run that did not finish.
    leftover: bool,
}

impl Upstream {
    async fn find(session: &Session, plan: &Plan<'_>, provider: &str) -> Result<Self> {
        let connect = || session.remote(provider, "the provider");
        let provider = connect().await?;
        let info = session.local_node(&*provider).await.map_err(|e| {
            e.context(format!(
                "provider node not found: --provider reaches no node of queue \"{}\"",
                session.queue()
            ))
            .hint("create the root first, or correct --provider and queue_name")
        })?;
        if info.node_type == NodeType::Leaf {
            return Err(Error::usage(format!("Cannot subscribe to leaf node \"{}\"", info.node_name))
                .hint("give --provider the connect string of a root or branch"));
        }
        let (root, root_info) = session.find_root(connect().await?).await?;
        let members = cascade::queue_locations(&*root, session.queue()).await?;
        if !members.iter().any(|m| m.node == info.node_name) {
            return Err(Error::state(format!(
                "Node {} does not exist in the member list of root \"{}\"",
                info.node_name, root_info.node_name
            )));
        }
        let taken = members.iter().find(|m| m.node == plan.name);
        let leftover = taken.is_some_and(|m| {
            let stored = ConnectString::parse(&m.connstr).and_then(|c| c.sanitize_for_storage());
            stored.is_ok_and(|stored| stored == plan.location)
        });
        if taken.is_some() && !leftover {
            return Err(Error::state(format!("Node '{}' already exists", plan.name)).hint(format!(
                "choose another name, or run \"londiste INI drop-node {}\" with the configuration of node \"{}\"",
                plan.name, root_info.node_name
            )));
        }
        worker_name::refuse_taken(session, &provider, &info.node_name, &plan.name).await?;
        Ok(Upstream {
            root,
            root_name: root_info.node_name,
            provider,
            provider_name: info.node_name,
            leftover,
        })
    }
}

async fn create_root(session: &Session, local: &mut Connection, plan: &Plan<'_>) -> Result<()> {
    let queue = session.queue();
    let tx = local.transaction().await?;
    cascade::register_location(&tx, queue, &plan.name, Some(&plan.location), false).await?.log();
    let node = NewNode {
        node_type: NodeType::Root,
        node_name: &plan.name,
        worker_name: session.job(),
        provider_node: None,
        global_watermark: None,
        combined_queue: None,
    };
    cascade::create_node(&tx, queue, &node).await?.log();
    tx.commit().await?;
    Ok(())
}

async fn create_below(
    session: &Session,
    local: &mut Connection,
    plan: &Plan<'_>,
    mut upstream: Upstream,
) -> Result<()> {
    let queue = session.queue();
    if upstream.leftover {
        tracing::info!("finishing an earlier create-{} {} that was interrupted", plan.kind, plan.name);
    }
    let location = Some(plan.location.as_str());
    cascade::register_location(&*upstream.root, queue, &plan.name, location, false)
        .await?
        .log_from(&upstream.root_name);
    let result = async {
        let start = subscribe(session, plan, &mut upstream).await?;
        create_local(session, local, plan, &upstream, &start).await
    }
    .await;
    result.map_err(|e: Error| {
        let hint = format!(
            "node \"{}\" is registered on root \"{}\" but not created. Run the same command again to finish, or \
             \"londiste INI drop-node {}\" with the configuration of node \"{}\" to undo{}",
            plan.name,
            upstream.root_name,
            plan.name,
            upstream.root_name,
            e.hint_text().map(|h| format!(" ({h})")).unwrap_or_default()
        );
        e.context(format!("creating node \"{}\"", plan.name)).hint(hint)
    })
}

/// Where the new node begins.
struct Start {
    /// Tick after which it reads.
    tick: i64,
    /// Scripts of EXECUTE that it never runs, the latest first.
    applied: Vec<Script>,
}

/// A script that the provider has run.
struct Script {
    name: String,
    sql: String,
    attrs: Option<String>,
}

/// Registers the node on its provider, in one transaction; returns where it begins.
///
/// A branch gets all that any node may still need: it begins at the global watermark. A leaf replicates no table yet, and what is
/// before now is in the rows that it is going to copy and in the schema that it was made with; above all the scripts of EXECUTE,
/// which would do the same once more. So it begins at the newest tick, and takes as applied what the provider has run by now. The
/// list is read after the tick was chosen: a script that it lacks was not committed when that tick was made, so it comes as an event.
async fn subscribe(session: &Session, plan: &Plan<'_>, upstream: &mut Upstream) -> Result<Start> {
    let queue = session.queue();
    let provider = upstream.provider_name.as_str();
    let is_leaf = plan.kind == NodeType::Leaf;
    let tx = upstream.provider.transaction().await?;
    cascade::register_location(&tx, queue, &plan.name, Some(&plan.location), false).await?.log_from(provider);
    let subscribers = cascade::subscriber_info(&tx, queue).await?;
    if subscribers.iter().any(|s| s.node == plan.name) {
        cascade::unregister_subscriber(&tx, queue, &plan.name).await?.log_from(provider);
    }
    let newest: Option<i64> = match is_leaf {
        true => tx.query_typed_one(sql::NEWEST_TICK, &[(&queue, Type::TEXT)]).await?.try_get(0)?,
        false => None,
    };
    let (reply, watermark) =
        cascade::register_subscriber(&tx, queue, &plan.name, session.job(), newest).await?;
    reply.log_from(provider);
    let mut applied = Vec::new();
    if is_leaf {
        for row in tx.query_typed(sql::APPLIED_SCRIPTS, &[(&queue, Type::TEXT)]).await? {
            applied.push(Script { name: row.try_get(0)?, sql: row.try_get(1)?, attrs: row.try_get(2)? });
        }
    }
    tx.commit().await?;
    Ok(Start { tick: newest.unwrap_or(watermark), applied })
}

/// As many names are logged: older scripts are hardly in doubt.
const NAMED: usize = 20;

fn announce(applied: &[Script]) {
    if applied.is_empty() {
        return;
    }
    let named: Vec<String> = applied.iter().take(NAMED).map(|s| format!("\"{}\"", s.name)).collect();
    let older = match applied.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} older ones"),
    };
    tracing::info!(
        "Scripts of execute that are taken as applied, so that this node does not run them, the latest first: {}{older}. \
         The tables here must have what they did",
        named.join(", ")
    );
}

/// Creates the node itself, with all that its provider knows of tables and sequences, in one transaction.
async fn create_local(
    session: &Session,
    local: &mut Connection,
    plan: &Plan<'_>,
    upstream: &Upstream,
    start: &Start,
) -> Result<()> {
    let queue = session.queue();
    let tables = TableRow::load_all(&*upstream.provider, queue).await?;
    let sequences = upstream.provider.query_typed(sql::GET_SEQ_LIST, &[(&queue, Type::TEXT)]).await?;
    // Who comes or goes after the tick is told by an event, who did before is in this list and perhaps not in one that was read earlier.
    let members = cascade::queue_locations(&*upstream.provider, queue).await?;
    let tx = local.transaction().await?;
    cascade::register_location(&tx, queue, &plan.name, Some(&plan.location), false).await?.log();
    for member in members.iter().filter(|m| m.node != plan.name) {
        cascade::register_location(&tx, queue, &member.node, Some(&member.connstr), member.dead).await?.log();
    }
    let node = NewNode {
        node_type: plan.kind,
        node_name: &plan.name,
        worker_name: session.job(),
        provider_node: Some(&upstream.provider_name),
        global_watermark: Some(start.tick),
        combined_queue: plan.args.merge.as_deref(),
    };
    cascade::create_node(&tx, queue, &node).await?.log();
    for Script { name, sql, attrs } in start.applied.iter().rev() {
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] =
            [(&queue, Type::TEXT), (name, Type::TEXT), (sql, Type::TEXT), (attrs, Type::TEXT)];
        // "Executing" is not what happens here: announce() says it.
        let _ = call(&tx, sql::EXECUTE_TAKEN, &params).await?;
    }
    let filter = Filter::tables(session.config())?;
    for table in tables.iter().filter(|t| filter.admits(&t.table_name)) {
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&queue, Type::TEXT), (&table.table_name, Type::TEXT)];
        call(&tx, sql::GLOBAL_ADD_TABLE, &params).await?.log();
    }
    let filter = Filter::sequences(session.config())?;
    for row in &sequences {
        let (name, value): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        if filter.admits(&name) {
            call(
                &tx,
                sql::GLOBAL_UPDATE_SEQ,
                &[(&queue, Type::TEXT), (&name, Type::TEXT), (&value, Type::INT8)],
            )
            .await?
            .log();
        }
    }
    if let Some(nodes) = &plan.args.sync_watermark {
        let attrs = urlenc::encode_row([("sync_watermark", Some(nodes.as_str()))]);
        cascade::set_node_attrs(&tx, queue, Some(&attrs)).await?.log();
    }
    tx.commit().await?;
    announce(&start.applied);
    Ok(())
}
