//! What was generated and belongs to another role than the rest of pgq.

use tokio_postgres::Transaction;

use super::{By, Finding, Repair, findings};
use crate::Result;
use crate::install::{Module, owners};
use crate::quote::ident;

/// Event tables, sequences and functions of queues, and functions that capture tables.
pub(super) async fn check(transaction: &Transaction<'_>) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for stray in owners::generated_strays(transaction).await? {
        // The code of a function that was somebody else's is written anew before it runs with the owner's rights.
        let is_code = stray.object.starts_with("function ");
        let refresh = if is_code { "; select pgq.refresh_queue_code()" } else { "" };
        let statements = format!("{}{refresh}", stray.statement);
        found.push(Finding {
            module: Module::Pgq.name().to_owned(),
            problem: format!(
                "belongs to \"{}\", not to the owner of pgq: writes and ticks of others may fail",
                stray.owner
            ),
            remedy: statements.clone(),
            repairable: true,
            repair: Some(Repair { statements, by: By::Session }),
            object: stray.object,
        });
    }
    if let Some(owner) = owners::owner_of(transaction, Module::Pgq).await? {
        let sql = CAPTURE
            .replace("$OWNER", &owner.replace('\'', "''"))
            .replace("$ROLE", &ident(&owner).replace('\'', "''"));
        found.extend(findings(transaction, By::Session, &sql).await?);
    }
    Ok(found)
}

/// Functions that capture tables; where such a function is not written anew nothing is changed.
const CAPTURE: &str = "
select format('table %I.%I, queue %I', c.rel_schema, c.rel_name, c.queue_name),
       format('function %s, which captures it, belongs to %I, not to %I, the owner of pgq: writes of others fail',
              p.oid::regprocedure, pg_get_userbyid(p.proowner), '$OWNER'),
       f.statements, f.statements
  from pgq.capture c
  join pg_proc p on p.oid = to_regprocedure(format('pgq.%I()', c.function_name)),
       lateral (select format('alter function %s owner to %s; select pgq.refresh_capture(%L, %L)', p.oid::regprocedure, '$ROLE',
                              c.queue_name, c.rel_schema || '.' || c.rel_name) as statements) f
 where pg_get_userbyid(p.proowner) <> '$OWNER'::name
   and exists (select 1 from pg_trigger t where t.tgfoid = p.oid)
 order by c.capture_id";
