//! Changing the root: the two functions by which root and branch swap roles.

use skytools::Result;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use super::{Reply, sql};

/// Result of one step of [`demote_root`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demoted {
    /// Code and note.
    pub reply: Reply,
    /// The final tick, from step 2 on.
    pub last_tick: Option<i64>,
}

/// One step of turning the local root into a branch; each step has to be a transaction of its own.
///
/// 1 refuses further events and ticks; 2 waits for running writers and makes the final tick; 3 changes the type
/// and the provider. Steps 1 and 2 may be repeated; 301 when the node is not a root.
///
/// # Errors
/// 404 without a node; steps in wrong order are the server's exception.
pub async fn demote_root<C: GenericClient + Sync>(
    client: &C,
    queue: &str,
    step: i32,
    new_provider: &str,
) -> Result<Demoted> {
    let row = client
        .query_typed_one(
            sql::DEMOTE_ROOT,
            &[(&queue, Type::TEXT), (&step, Type::INT4), (&new_provider, Type::TEXT)],
        )
        .await?;
    Ok(Demoted { reply: Reply::from_row(&row)?, last_tick: row.try_get("last_tick")? })
}

/// Turns the local branch into the root; 301 when the node is not a branch.
///
/// # Errors
/// 404 without a node.
pub async fn promote_branch<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Reply> {
    let row = client.query_typed_one(sql::PROMOTE_BRANCH, &[(&queue, Type::TEXT)]).await?;
    Reply::from_row(&row)
}
