//! Triggers of tables that Londiste replicates: those that `pgq.capture` knows nothing of.

use super::{Finding, Health};
use crate::Result;
use crate::db::Connection;
use crate::install::{Module, ModuleState};

/// A row for each node of this database whose tables this login may look at.
const LOST: &str = "
select n.node_name::text, l.table_name, n.queue_name::text, l.problem, l.denies
  from pgq_node.node_info n, londiste._lost_capture(n.queue_name) l
 where l.in_sync
 order by n.queue_name, l.table_name";

/// Tables that have lost the trigger which captures them. Where one should refuse changes, as on a leaf, nothing is lost: that is
/// only a warning.
pub(super) async fn check(connection: &mut Connection, state: &ModuleState) -> Result<Health> {
    let transaction = connection.transaction().await?;
    transaction.batch_execute("set local search_path = pg_catalog, pg_temp; set local jit = off").await?;
    let known: bool = transaction
        .query_one(
            "select coalesce(has_function_privilege(to_regprocedure('londiste._lost_capture(text)')::oid, 'execute'), false)",
            &[],
        )
        .await?
        .try_get(0)?;
    if !known {
        let why = "the function that does it is missing, or not for this login; install the module first, or connect as its owner";
        // An older or damaged module says so itself.
        let unchecked = state.is_clean().then(|| why.to_owned());
        return Ok(Health { findings: Vec::new(), unchecked });
    }
    let rows = match transaction.query(LOST, &[]).await {
        Ok(rows) => rows,
        // What the question needs may be damaged, which is told elsewhere; verify has more to say.
        Err(error) if error.code().is_some() => {
            let unchecked = Some(crate::Error::from(error).chain());
            return Ok(Health { findings: Vec::new(), unchecked });
        }
        Err(error) => return Err(error.into()),
    };
    let mut findings = Vec::new();
    for row in rows {
        let (node, table, queue): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let (problem, denies): (String, bool) = (row.try_get(3)?, row.try_get(4)?);
        let object = format!("table {table}, queue {queue}");
        let refresh = format!("londiste INI refresh-trigger {table} on node {node}");
        if denies {
            tracing::warn!("{object}: {problem} (run: {refresh})");
            continue;
        }
        let again = format!(
            "what was changed meanwhile is missing elsewhere: copy the table there again (londiste resync). \
             If it is to stay so: select londiste._remember_capture({}, {})",
            crate::quote::literal(&queue),
            crate::quote::literal(&table)
        );
        findings.push(Finding {
            module: Module::Londiste.name().to_owned(),
            object,
            problem,
            remedy: format!("{refresh}; {again}"),
            repairable: false,
            repair: None,
        });
    }
    transaction.rollback().await?;
    Ok(Health { findings, unchecked: None })
}
