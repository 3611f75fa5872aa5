//! Removing modules, with a look at what would go with them.

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::{GenericClient, Transaction};

use super::{Module, bundle, installer, waiting};
use crate::db::Connection;
use crate::quote::ident;
use crate::{Error, Result};

/// Something that stops working, or goes, when a module is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InUse {
    /// The module that it belongs to.
    pub module: String,
    /// `consumer`, `node`, `table`, `sequence`, `trigger` or `dependent`.
    pub kind: String,
    /// Its description.
    pub what: String,
}

/// What was removed.
#[derive(Debug, Clone, Serialize)]
pub struct Removal {
    /// The modules, in the order of removal.
    pub modules: Vec<String>,
    /// What was dropped with them.
    pub dropped: Vec<InUse>,
}

/// Removes modules in one transaction. An empty list means all that are installed.
///
/// # Errors
/// [`ErrorKind::State`](crate::ErrorKind::State) without `force` when consumers, capture triggers, nodes or replicated tables exist, or
/// objects outside of our schemas depend on them; the message lists them all. With or without `force` when a
/// module that is installed and not in the list needs one of the list.
pub async fn uninstall(connection: &mut Connection, modules: &[Module], force: bool) -> Result<Removal> {
    let transaction = installer::read_committed(connection).await?;
    transaction.batch_execute("set local search_path = pg_catalog").await?;
    waiting::take_turn(&transaction, Duration::ZERO).await?;
    let installed = installed(&transaction).await?;
    let mut chosen: Vec<Module> = if modules.is_empty() {
        installed.clone()
    } else {
        installed.iter().copied().filter(|m| modules.contains(m)).collect()
    };
    for module in &installed {
        if let Some(needed) = chosen.iter().find(|c| !chosen.contains(module) && module.needs().contains(c)) {
            return Err(Error::state(format!("cannot remove module {needed}: module {module} needs it"))
                .hint(format!("Name {module} as well.")));
        }
    }
    let in_use = in_use(&transaction, &chosen).await?;
    if !force && !in_use.is_empty() {
        let lines: Vec<String> =
            in_use.iter().map(|u| format!("\n  {}: {} {}", u.module, u.kind, u.what)).collect();
        return Err(Error::state(format!("cannot remove what is in use:{}", lines.concat()))
            .hint("Remove these first, or add --force to drop them all."));
    }
    drop_triggers(&transaction, &chosen).await?;
    chosen.reverse();
    for module in &chosen {
        let sql = bundle::uninstall_sql(*module)?;
        transaction.batch_execute(sql).await.map_err(|e| {
            let refused = e.code().is_some_and(|c| c.code() == "42501");
            let error = Error::from(e).context(format!("removing module {module}"));
            if refused { error.hint("Connect as the owner of its schema.") } else { error }
        })?;
    }
    transaction.commit().await?;
    Ok(Removal { modules: chosen.iter().map(|m| m.name().to_owned()).collect(), dropped: in_use })
}

/// The modules whose schema exists, each after those that it needs.
async fn installed<C: GenericClient>(client: &C) -> Result<Vec<Module>> {
    let mut found = Vec::new();
    for module in Module::available() {
        if super::verify::installed_version(client, module).await?.is_some() {
            found.push(module);
        }
    }
    Ok(found)
}

/// Everything that is in use of these modules.
///
/// # Errors
/// Those of the server.
pub async fn in_use<C: GenericClient>(client: &C, modules: &[Module]) -> Result<Vec<InUse>> {
    let mut found = Vec::new();
    for module in modules {
        for (table, sql) in uses(*module) {
            let exists: bool = client
                .query_one("select pg_catalog.to_regclass($1::text) is not null", &[table])
                .await?
                .try_get(0)?;
            if !exists {
                continue;
            }
            for row in client.query(*sql, &[]).await? {
                found.push(InUse {
                    module: module.name().to_owned(),
                    kind: row.try_get(0)?,
                    what: row.try_get(1)?,
                });
            }
        }
    }
    let schemas: Vec<&str> = modules.iter().map(|m| m.name()).collect();
    for row in client.query(DEPENDENTS, &[&schemas]).await? {
        found.push(InUse { module: row.try_get(0)?, kind: row.try_get(1)?, what: row.try_get(2)? });
    }
    Ok(found)
}

/// Per module: the table that must exist, and what in it means use.
const fn uses(module: Module) -> &'static [(&'static str, &'static str)] {
    match module {
        Module::Pgq => &[(
            "pgq.subscription",
            "select 'consumer', format('%s on queue %s', c.co_name, q.queue_name)
               from pgq.subscription s
               join pgq.consumer c on c.co_id = s.sub_consumer
               join pgq.queue q on q.queue_id = s.sub_queue
              order by 2",
        )],
        Module::PgqNode => &[(
            "pgq_node.node_info",
            "select 'node', format('%s (%s) on queue %s', node_name, node_type, queue_name)
               from pgq_node.node_info order by 2",
        )],
        Module::Londiste => &[
            (
                "londiste.table_info",
                "select 'table', format('%s on queue %s', table_name, queue_name)
                   from londiste.table_info where local order by 2",
            ),
            (
                "londiste.seq_info",
                "select 'sequence', format('%s on queue %s', seq_name, queue_name)
                   from londiste.seq_info where local order by 2",
            ),
        ],
        // Subconsumers are subscriptions of pgq; positions kept by pgq_ext belong to queues elsewhere.
        Module::PgqCoop => &[],
        Module::PgqExt => &[(
            "pgq_ext.completed_tick",
            "select 'consumer', format('%s', t.consumer_id) from pgq_ext.completed_tick t order by 2",
        )],
    }
}

/// Objects outside of the schemas `$1` that depend on objects in them. Internal parts are described by the object
/// that they are part of: a view by itself and not by its rule.
const DEPENDENTS: &str = "
with ours as (
    select n.oid, n.nspname from pg_namespace n where n.nspname = any ($1)
), members as (
    select 'pg_proc'::regclass as classid, p.oid, o.nspname from pg_proc p join ours o on o.oid = p.pronamespace
    union all
    select 'pg_class'::regclass, c.oid, o.nspname from pg_class c join ours o on o.oid = c.relnamespace
    union all
    select 'pg_type'::regclass, t.oid, o.nspname from pg_type t join ours o on o.oid = t.typnamespace
), links as (
    select distinct m.nspname, d.classid, d.objid, d.objsubid,
           coalesce(
               (select t.tgrelid from pg_trigger t where d.classid = 'pg_trigger'::regclass and t.oid = d.objid),
               (select r.ev_class from pg_rewrite r where d.classid = 'pg_rewrite'::regclass and r.oid = d.objid),
               (select a.adrelid from pg_attrdef a where d.classid = 'pg_attrdef'::regclass and a.oid = d.objid),
               (select k.conrelid from pg_constraint k where d.classid = 'pg_constraint'::regclass and k.oid = d.objid),
               (select p.polrelid from pg_policy p where d.classid = 'pg_policy'::regclass and p.oid = d.objid),
               (select c.oid from pg_class c where d.classid = 'pg_class'::regclass and c.oid = d.objid)) as relid,
           (select p.pronamespace from pg_proc p where d.classid = 'pg_proc'::regclass and p.oid = d.objid) as procns,
           (select t.typnamespace from pg_type t where d.classid = 'pg_type'::regclass and t.oid = d.objid) as typens,
           (select t.tgname from pg_trigger t where d.classid = 'pg_trigger'::regclass and t.oid = d.objid
               and t.tgisinternal) as internal
      from members m
      join pg_depend d on d.refclassid = m.classid and d.refobjid = m.oid and d.deptype in ('n', 'a')
)
select l.nspname::text,
       case when l.classid = 'pg_trigger'::regclass then 'trigger' else 'dependent' end,
       case when l.classid = 'pg_rewrite'::regclass then pg_describe_object('pg_class'::regclass, l.relid, 0)
            when l.classid = 'pg_trigger'::regclass
            then (select format('%I on %s', t.tgname, t.tgrelid::regclass) from pg_trigger t where t.oid = l.objid)
            else pg_describe_object(l.classid, l.objid, l.objsubid) end
  from links l
  left join pg_class c on c.oid = l.relid
 where coalesce(c.relnamespace, l.procns, l.typens, 0) not in (select oid from pg_namespace
                                                            where nspname in ('pgq', 'pgq_ext', 'pgq_coop', 'pgq_node', 'londiste'))
   and l.internal is null
   and l.classid <> 'pg_extension'::regclass
 order by 1, 2, 3";

/// Drops the triggers on tables of others that call our functions.
async fn drop_triggers(transaction: &Transaction<'_>, modules: &[Module]) -> Result<()> {
    let schemas: Vec<&str> = modules.iter().map(|m| m.name()).collect();
    let rows = transaction
        .query(
            "select t.tgname::text, tn.nspname::text, c.relname::text
               from pg_trigger t
               join pg_proc p on p.oid = t.tgfoid
               join pg_namespace pn on pn.oid = p.pronamespace
               join pg_class c on c.oid = t.tgrelid
               join pg_namespace tn on tn.oid = c.relnamespace
              where pn.nspname = any ($1) and not tn.nspname = any ($1) and not t.tgisinternal
                and t.tgparentid = 0",
            &[&schemas],
        )
        .await?;
    for row in rows {
        let (trigger, schema, table): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let sql = format!("drop trigger {} on {}.{}", ident(&trigger), ident(&schema), ident(&table));
        transaction.batch_execute(&sql).await.map_err(|e| {
            Error::from(e).context(format!("dropping trigger \"{trigger}\" on {schema}.{table}"))
        })?;
    }
    Ok(())
}
