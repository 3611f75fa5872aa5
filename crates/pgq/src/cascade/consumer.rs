//! Cascaded consumers and the node's worker: position, pause hand-shake, last error.
//!
//! An operator sets `paused` or changes the provider, which clears `uptodate`; the consumer process reads its
//! state again and sets `uptodate` when it has seen the change; the operator's command waits for that.

use skytools::{Error, ErrorKind, Result, quote};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, GenericClient, Row, SimpleQueryMessage};

use super::{NodeType, Reply, sql};

/// State of one cascaded consumer, kept in the database that it writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// Type of the local node.
    pub node_type: NodeType,
    /// Name of the local node.
    pub node_name: String,
    /// Tick that has been applied.
    pub completed_tick: i64,
    /// Node to read from; the local node itself on a root.
    pub provider_node: String,
    /// Connect string of that node.
    pub provider_location: String,
    /// Whether the consumer is asked to pause.
    pub paused: bool,
    /// Whether the consumer has seen the latest change of this state.
    pub uptodate: bool,
    /// Text of the last error; cleared by the next completed batch.
    pub cur_error: Option<String>,
}

impl ConsumerState {
    fn from_row(row: &Row) -> Result<Self> {
        let Some(node_type) = row.try_get::<_, Option<&str>>("node_type")? else {
            return Err(Error::data("the server returned a consumer state without a node type"));
        };
        Ok(ConsumerState {
            node_type: node_type.parse()?,
            node_name: row.try_get("node_name")?,
            completed_tick: row.try_get("completed_tick")?,
            provider_node: row.try_get("provider_node")?,
            provider_location: row.try_get("provider_location")?,
            paused: row.try_get("paused")?,
            uptodate: row.try_get("uptodate")?,
            cur_error: row.try_get("cur_error")?,
        })
    }
}

/// State of the node's worker: that of a consumer, and what it needs to know of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerState {
    /// The worker as a consumer.
    pub consumer: ConsumerState,
    /// Consumer name of the worker.
    pub worker_name: String,
    /// Tick up to which every node of the queue has come; `None` on a leaf.
    pub global_watermark: Option<i64>,
    /// Tick up to which this node and all below it have come.
    pub local_watermark: Option<i64>,
    /// Newest tick of the local queue; `None` on a leaf.
    pub local_queue_top: Option<i64>,
    /// Queue in the same database that a merge leaf feeds.
    pub combined_queue: Option<String>,
    /// Type of the combined queue's local node.
    pub combined_type: Option<NodeType>,
}

/// State of one consumer.
///
/// # Errors
/// 404 when the queue has no node here or the consumer is not registered.
pub async fn consumer_state<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
) -> Result<ConsumerState> {
    let row = client
        .query_typed_one(sql::GET_CONSUMER_STATE, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await?;
    let Reply { .. } = Reply::from_row(&row)?;
    ConsumerState::from_row(&row)
}

/// State of the local node's worker.
///
/// # Errors
/// 404 when the queue has no node here or the worker's state is missing.
pub async fn worker_state<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<WorkerState> {
    let row = client.query_typed_one(sql::GET_WORKER_STATE, &[(&queue, Type::TEXT)]).await?;
    let Reply { .. } = Reply::from_row(&row)?;
    Ok(WorkerState {
        consumer: ConsumerState::from_row(&row)?,
        worker_name: row.try_get("worker_name")?,
        global_watermark: row.try_get("global_watermark")?,
        local_watermark: row.try_get("local_watermark")?,
        local_queue_top: row.try_get("local_queue_top")?,
        combined_queue: row.try_get("combined_queue")?,
        combined_type: row.try_get::<_, Option<&str>>("combined_type")?.map(str::parse).transpose()?,
    })
}

/// One row of `pgq_node.get_consumer_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// Name of the consumer.
    pub consumer: String,
    /// Node that it reads from.
    pub provider_node: String,
    /// Tick that it has applied.
    pub last_tick_id: i64,
    /// Whether it is asked to pause.
    pub paused: bool,
    /// Whether it has seen the latest change of its state.
    pub uptodate: bool,
    /// Text of the last error.
    pub cur_error: Option<String>,
}

/// All consumers whose state is kept on this node, by name.
///
/// # Errors
/// Whatever the server reports.
pub async fn consumer_info<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Vec<ConsumerInfo>> {
    let rows = client.query_typed(sql::GET_CONSUMER_INFO, &[(&queue, Type::TEXT)]).await?;
    rows.iter()
        .map(|row| {
            Ok(ConsumerInfo {
                consumer: row.try_get(0)?,
                provider_node: row.try_get(1)?,
                last_tick_id: row.try_get(2)?,
                paused: row.try_get(3)?,
                uptodate: row.try_get(4)?,
                cur_error: row.try_get(5)?,
            })
        })
        .collect()
}

/// Registers the local state of a consumer that reads from `provider_node`, at `tick`. One that exists already
/// is overwritten (201). The subscription on the provider is a separate matter.
///
/// # Errors
/// 404 when the queue has no node here.
pub async fn register_consumer<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    provider_node: &str,
    tick: i64,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::REGISTER_CONSUMER,
            &[
                (&queue, Type::TEXT),
                (&consumer, Type::TEXT),
                (&provider_node, Type::TEXT),
                (&tick, Type::INT8),
            ],
        )
        .await?;
    Reply::from_row(&row)
}

/// Removes the local state of a consumer; succeeds when there is none.
///
/// # Errors
/// 404 when the queue has no node here.
pub async fn unregister_consumer<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
) -> Result<Reply> {
    let row = client
        .query_typed_one(sql::UNREGISTER_CONSUMER, &[(&queue, Type::TEXT), (&consumer, Type::TEXT)])
        .await?;
    Reply::from_row(&row)
}

/// Points a consumer at another provider and clears `uptodate`.
///
/// # Errors
/// 404 when the node or the consumer is unknown here.
pub async fn change_consumer_provider<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    new_provider: &str,
) -> Result<Reply> {
    let row = client
        .query_typed_one(
            sql::CHANGE_CONSUMER_PROVIDER,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&new_provider, Type::TEXT)],
        )
        .await?;
    Reply::from_row(&row)
}

async fn set_flag<C: GenericClient + Sync>(
    client: &C,
    statement: &str,
    queue: &str,
    consumer: &str,
    flag: bool,
) -> Result<Reply> {
    let row = client
        .query_typed_one(statement, &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&flag, Type::BOOL)])
        .await?;
    Reply::from_row(&row)
}

/// Says that the consumer has (or has not) seen its present state.
///
/// # Errors
/// 404 when the consumer is unknown here.
pub async fn set_consumer_uptodate<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    uptodate: bool,
) -> Result<Reply> {
    set_flag(client, sql::SET_CONSUMER_UPTODATE, queue, consumer, uptodate).await
}

/// Asks the consumer to pause or to go on; a change clears `uptodate`, no change is 201.
///
/// # Errors
/// 404 when the consumer is unknown here.
pub async fn set_consumer_paused<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    paused: bool,
) -> Result<Reply> {
    set_flag(client, sql::SET_CONSUMER_PAUSED, queue, consumer, paused).await
}

fn moved(queue: &str, consumer: &str, from: i64, to: i64) -> Error {
    Error::new(
        ErrorKind::Transient,
        format!("consumer \"{consumer}\" of queue \"{queue}\" was moved from tick {from} to {to} meanwhile"),
    )
    .hint("a consumer runs once: see whether another process works for this one")
}

/// Makes sure that the consumer stands at `completed` still. To be asked before a contradiction between its position and something
/// else is taken for real: a second process of the same consumer may have moved it in between.
///
/// # Errors
/// [`ErrorKind::Transient`] when it does not; 404 when the consumer is unknown here.
pub async fn ensure_completed<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    completed: i64,
) -> Result<()> {
    let state = consumer_state(client, queue, consumer).await?;
    if state.completed_tick == completed {
        return Ok(());
    }
    Err(moved(queue, consumer, completed, state.completed_tick))
}

/// Begins the transaction that applies a batch, and makes sure that nobody else does the same.
///
/// A second process of the same consumer (on another host, or one that was believed dead) has a connection and has read the position before this
/// one moved it. So position and the right to move it are looked at where they cannot change any more: behind an advisory lock that
/// ends with the transaction.
///
/// # Errors
/// [`ErrorKind::Transient`] when another process has begun a batch, or the position is not `previous`.
pub async fn begin_batch(client: &Client, queue: &str, consumer: &str, previous: i64) -> Result<()> {
    // One message for all.
    let names = format!("{}, {}", quote::literal(queue), quote::literal(consumer));
    let sql = format!(
        "begin; \
         select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', 'pgq_node.local_state', {names}), 0)); \
         select completed_tick from pgq_node.get_consumer_state({names})"
    );
    let answer = client.simple_query(&sql).await?;
    let mut rows = answer.iter().filter_map(|m| match m {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let (free, state) = (rows.next(), rows.next());
    if free.and_then(|r| r.get(0)) != Some("t") {
        return Err(Error::new(
            ErrorKind::Transient,
            format!("another process is applying a batch of queue \"{queue}\" as consumer \"{consumer}\""),
        )
        .hint("a consumer runs once: stop one of the two, or wait until the server has noticed that the other one's connection is dead (pg_locks, locktype advisory, has its process)"));
    }
    match state.and_then(|r| r.get(0)).map(str::parse::<i64>) {
        Some(Ok(completed)) if completed == previous => Ok(()),
        Some(Ok(completed)) => Err(moved(queue, consumer, previous, completed)),
        _ => Err(Error::not_found(format!("Consumer not known: {queue}/{consumer}"))),
    }
}

/// Records that everything up to `tick` is applied; clears the last error. Belongs into the transaction that
/// applied it.
///
/// # Errors
/// 404 when the consumer is unknown here.
pub async fn set_consumer_completed<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    tick: i64,
) -> Result<()> {
    let row = client
        .query_typed_one(
            sql::SET_CONSUMER_COMPLETED,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&tick, Type::INT8)],
        )
        .await?;
    Reply::from_row(&row)?.log();
    Ok(())
}

/// Records the last error of a consumer, or clears it. Returns whether the consumer is known here.
///
/// # Errors
/// Whatever the server reports.
pub async fn set_consumer_error<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    consumer: &str,
    error: Option<&str>,
) -> Result<bool> {
    let row = client
        .query_typed_one(
            sql::SET_CONSUMER_ERROR,
            &[(&queue, Type::TEXT), (&consumer, Type::TEXT), (&error, Type::TEXT)],
        )
        .await?;
    Ok(Reply::from_row(&row)?.code == 100)
}
