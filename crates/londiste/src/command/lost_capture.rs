//! Tables that have lost their trigger, as the node's database tells it.

use pgq::cascade::Reply;
use skytools::Result;
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Transaction};

use super::session::call;
use super::sql;

/// A table that has lost its trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Name of the table in the queue.
    pub table: String,
    /// Which trigger, and what that means.
    problem: String,
    /// Whether the trigger refuses changes, as on a leaf: then none are lost.
    pub denies: bool,
    /// Whether the table is in sync; while it is copied nobody need know.
    pub in_sync: bool,
}

impl Lost {
    /// Reads all of a queue. None where the database cannot tell: its modules are older, or the original's.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<Vec<Lost>> {
        if !is_known(client).await? {
            return Ok(Vec::new());
        }
        let mut lost = Vec::new();
        for row in client.query_typed(sql::LOST_CAPTURE, &[(&queue, Type::TEXT)]).await? {
            lost.push(Lost {
                table: row.try_get(0)?,
                problem: row.try_get(1)?,
                denies: row.try_get(2)?,
                in_sync: row.try_get(3)?,
            });
        }
        Ok(lost)
    }

    /// What is wrong, and what to do.
    pub fn told(&self) -> String {
        let Lost { table, problem, denies, .. } = self;
        let more = if *denies { "" } else { " and copy the table again below (resync)" };
        format!("{problem}; put it back with \"refresh-trigger {table}\"{more}")
    }
}

async fn is_known<C: GenericClient + Sync>(client: &C) -> Result<bool> {
    Ok(client.query_typed_one(sql::KNOWS_LOST_CAPTURE, &[]).await?.try_get(0)?)
}

/// Puts the triggers back that a table has lost, with these arguments in place of those that were noted.
///
/// # Errors
/// Whatever the server reports, and a table that cannot be captured so.
pub async fn restore(tx: &Transaction<'_>, queue: &str, table: &str, args: &[String]) -> Result<Reply> {
    call(tx, sql::RESTORE_CAPTURE, &[(&queue, Type::TEXT), (&table, Type::TEXT), (&args, Type::TEXT_ARRAY)])
        .await
}

/// Has the database note that the triggers which the table has now are as they should be.
///
/// # Errors
/// Whatever the server reports.
pub async fn remember(tx: &Transaction<'_>, queue: &str, table: &str) -> Result<()> {
    if is_known(tx).await? {
        tx.query_typed(sql::REMEMBER_CAPTURE, &[(&queue, Type::TEXT), (&table, Type::TEXT)]).await?;
    }
    Ok(())
}
