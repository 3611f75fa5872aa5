//! `status` and `node-status`: the state of all nodes, or of the local one.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use pgq::cascade::{self, Location, NodeType};
use serde_json::json;
use skytools::{Error, Result};

use super::node_state::{Details, NodeState, service_of};
use super::node_tree::{Tree, TreeNode};
use super::session::{Session, expect_args};

/// Shows all nodes as a tree, with tables (in sync / not in sync / not replicated here), lag, position and errors.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    args: Vec<String>,
    /// One line per node.
    #[arg(long)]
    compact: bool,
    /// Also list the tables that are not in sync.
    #[arg(long)]
    tables: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 3 when a node is dead, paused, unreachable, in error, or a table is not in sync.
    #[arg(long)]
    check: bool,
    /// Exit with 3 also when a node is more than this many seconds behind (implies --check).
    #[arg(long, value_name = "SECONDS")]
    max_lag: Option<u64>,
}

/// Shows the local node only.
#[derive(Debug, clap::Args)]
pub struct NodeArgs {
    #[arg(hide = true)]
    args: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Exit status of `--check` when something is wrong; 1 stays for the command's own failures.
const UNHEALTHY: u8 = 3;
/// A node that has not answered by then is shown as unreachable.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_PARALLEL: usize = 100;

/// Runs `status`.
///
/// # Errors
/// No node of the queue in this database; other nodes that cannot be read are part of the answer.
pub async fn run(session: &Session, args: &Args) -> Result<ExitCode> {
    expect_args("status", &args.args, &[])?;
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let local_name = info.node_name.clone();
    let members = cascade::queue_locations(&*local, session.queue()).await?;
    let own = members.iter().find(|m| m.node == local_name);
    let details = Details::load(&local, session.queue(), info).await?;
    let mut nodes = vec![NodeState {
        name: local_name.clone(),
        service: own.and_then(|m| service_of(&m.connstr)),
        dead: own.is_some_and(|m| m.dead),
        failure: None,
        details: Some(details),
        lag: None,
    }];
    let others = members.iter().filter(|m| m.node != local_name);
    let mut read = stream::iter(others.map(|m| read_member(session, m))).buffered(MAX_PARALLEL);
    while let Some(node) = read.next().await {
        nodes.push(node);
    }
    fill_lags(&mut nodes);
    let max_lag = args.max_lag.map(Duration::from_secs);
    let problems: Vec<String> = nodes.iter().flat_map(|n| n.problems(max_lag)).collect();
    if args.json {
        let value = json!({
            "queue": session.queue(),
            "local_node": local_name,
            "nodes": nodes.iter().map(NodeState::json).collect::<Vec<_>>(),
            "problems": problems,
        });
        println!("{value:#}");
    } else {
        for node in &nodes {
            if let Some(failure) = &node.failure {
                println!("Node '{}' failure: {failure}", node.name);
            }
        }
        println!("Queue: {}   Local node: {local_name}\n", session.queue());
        print!("{}", draw(&nodes, args));
    }
    if (args.check || args.max_lag.is_some()) && !problems.is_empty() {
        if !args.json {
            problems.iter().for_each(|p| eprintln!("problem: {p}"));
        }
        return Ok(ExitCode::from(UNHEALTHY));
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(nodes: &[NodeState], args: &Args) -> String {
    let colour = std::io::stdout().is_terminal();
    let drawn: Vec<TreeNode> = nodes
        .iter()
        .map(|node| {
            let info = node.details.as_ref().map(|d| &d.info);
            TreeNode {
                name: node.name.clone(),
                service: node.service.clone().unwrap_or_default(),
                title: node.title(),
                provider: info.and_then(|i| i.provider_node.clone()),
                is_root: info.is_some_and(|i| i.node_type == NodeType::Root),
                info: node.info_lines(colour, args.tables),
            }
        })
        .collect();
    let tree = Tree::new(&drawn);
    if args.compact { tree.draw_compact() } else { tree.draw() }
}

async fn read_member(session: &Session, member: &Location) -> NodeState {
    let mut node = NodeState {
        name: member.node.clone(),
        service: service_of(&member.connstr),
        dead: member.dead,
        failure: None,
        details: None,
        lag: None,
    };
    if member.dead {
        return node;
    }
    let read = async {
        let connection = session.remote(&member.connstr, &format!("node \"{}\"", member.node)).await?;
        let info = session.local_node(&*connection).await?;
        Details::load(&connection, session.queue(), info).await
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(Ok(details)) => node.details = Some(details),
        Ok(Err(e)) => node.failure = Some(e.chain()),
        Err(_) => node.failure = Some(format!("no answer within {} s", PATIENCE.as_secs())),
    }
    node
}

/// A node is behind by the age of its worker's position on the provider, by the clock of the tree's root; a root by
/// the age of its newest tick.
fn fill_lags(nodes: &mut [NodeState]) {
    let lags: Vec<Option<Duration>> = nodes.iter().map(|node| lag_of(node, nodes)).collect();
    for (node, lag) in nodes.iter_mut().zip(lags) {
        node.lag = lag;
    }
}

fn lag_of(node: &NodeState, nodes: &[NodeState]) -> Option<Duration> {
    let details = node.details.as_ref()?;
    let Some(parent) = parent_of(node, nodes) else {
        return details.queue.and_then(|(age, _)| age).map(seconds);
    };
    let mut root = parent;
    // As many steps as there are nodes: providers that form a circle have no root.
    for _ in 0..nodes.len() {
        match parent_of(root, nodes) {
            Some(above) => root = above,
            None => break,
        }
    }
    let (_, now) = root.details.as_ref()?.queue?;
    let worker = details.info.worker_name.as_deref()?;
    let positions = &parent.details.as_ref()?.positions;
    let (_, time) = positions.iter().find(|(name, _)| name == worker)?;
    Some(seconds(now - time))
}

/// Negative when gathering took long: then there is no lag to speak of.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

fn parent_of<'a>(node: &NodeState, nodes: &'a [NodeState]) -> Option<&'a NodeState> {
    let info = &node.details.as_ref()?.info;
    if info.node_type == NodeType::Root {
        return None;
    }
    let provider = info.provider_node.as_deref().filter(|p| *p != node.name)?;
    nodes.iter().find(|n| n.name == provider)
}

/// Runs `node-status`.
///
/// # Errors
/// No node of the queue in this database.
pub async fn run_node(session: &Session, args: &NodeArgs) -> Result<ExitCode> {
    expect_args("node-status", &args.args, &[])?;
    let local = session.local().await?;
    let info = session.local_node(&*local).await?;
    let members = cascade::queue_locations(&*local, session.queue()).await?;
    let own = members.iter().find(|m| m.node == info.node_name);
    let subscribers = cascade::subscriber_info(&*local, session.queue()).await?;
    let provider = info.provider_node.clone();
    let mut node = NodeState {
        name: info.node_name.clone(),
        service: own.and_then(|m| service_of(&m.connstr)),
        dead: own.is_some_and(|m| m.dead),
        failure: None,
        details: Some(Details::load(&local, session.queue(), info).await?),
        lag: None,
    };
    fill_lags(std::slice::from_mut(&mut node));
    let names: Vec<&str> = subscribers.iter().map(|s| s.node.as_str()).collect();
    if args.json {
        let mut value = node.json();
        value["subscribers"] = json!(names);
        println!("{value:#}");
        return Ok(ExitCode::SUCCESS);
    }
    let provider = provider.ok_or_else(|| Error::state(format!("node \"{}\" has no provider", node.name)))?;
    println!("{}", node.title());
    println!("    Provider: {provider}");
    println!("    Subscribers: {}", names.join(", "));
    for line in node.info_lines(std::io::stdout().is_terminal(), true) {
        println!("    {line}");
    }
    Ok(ExitCode::SUCCESS)
}
