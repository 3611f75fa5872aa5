//! EXECUTE events: SQL that was run on the root by `execute`, to be run here at the same place in the stream.

use std::collections::HashMap;

use pgq::Event;
use pgq::cascade::Reply;
use skytools::{Error, Result, quote, urlenc};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::apply::split_name;
use crate::table::TableRow;

/// One condition of the script's header, and whether it holds here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    LocalTable(String),
    LocalSequence(String),
    LocalDestination(String),
    Object { kind: &'static str, name: String },
    Function { name: String, arguments: i32 },
    Schema(String),
}

/// Reads the urlencoded header: lower-case keys, comma-joined values.
fn conditions(attrs: Option<&str>) -> Result<Vec<Condition>> {
    let mut found = Vec::new();
    for (key, values) in urlenc::decode_row(attrs.unwrap_or_default())? {
        for value in values.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|v| !v.is_empty())
        {
            let full = || if value.contains('.') { value.to_owned() } else { format!("public.{value}") };
            found.push(match key.as_ref() {
                "local-table" => Condition::LocalTable(full()),
                "local-sequence" => Condition::LocalSequence(full()),
                "local-destination" => Condition::LocalDestination(full()),
                "need-table" => Condition::Object { kind: "r", name: full() },
                "need-sequence" => Condition::Object { kind: "S", name: full() },
                "need-view" => Condition::Object { kind: "v", name: full() },
                "need-schema" => Condition::Schema(value.to_owned()),
                "need-function" => {
                    let (name, arguments) = match full().split_once('(') {
                        Some((name, rest)) => (
                            name.to_owned(),
                            rest.trim_end_matches(')').trim().parse().map_err(|e| {
                                Error::data(format!("EXECUTE header: \"{value}\" has no number of arguments"))
                                    .with_source(e)
                            })?,
                        ),
                        None => (full(), 0),
                    };
                    Condition::Function { name, arguments }
                }
                other => return Err(Error::data(format!("EXECUTE header: unknown key \"{other}\""))),
            });
        }
    }
    Ok(found)
}

struct Local<'a> {
    client: &'a Client,
    tables: &'a [TableRow],
    sequences: Vec<String>,
}

impl Local<'_> {
    async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        let (schema, object) = split_name(name);
        let row = self
            .client
            .query_typed_one(
                "select exists (select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = $1 and c.relname = $2 and c.relkind::text = $3)",
                &[(&schema, Type::TEXT), (&object, Type::TEXT), (&kind, Type::TEXT)],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    async fn holds(&self, condition: &Condition) -> Result<bool> {
        let registered = |name: &str| self.tables.iter().find(|t| t.local && t.table_name == *name);
        match condition {
            Condition::LocalTable(name) => Ok(registered(name).is_some()),
            Condition::LocalSequence(name) => Ok(self.sequences.contains(name)),
            Condition::LocalDestination(name) => match registered(name) {
                Some(row) => self.exists("r", row.dest()).await,
                None => Ok(false),
            },
            Condition::Object { kind, name } => self.exists(kind, name).await,
            Condition::Schema(name) => {
                let sql = "select exists (select 1 from pg_catalog.pg_namespace where nspname = $1)";
                Ok(self.client.query_typed_one(sql, &[(name, Type::TEXT)]).await?.try_get(0)?)
            }
            Condition::Function { name, arguments } => {
                let (schema, function) = split_name(name);
                let sql = "select exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
                     where n.nspname = $1 and p.proname = $2 and p.pronargs = $3)";
                let row = self
                    .client
                    .query_typed_one(
                        sql,
                        &[(&schema, Type::TEXT), (&function, Type::TEXT), (arguments, Type::INT4)],
                    )
                    .await?;
                Ok(row.try_get(0)?)
            }
        }
    }
}

/// All hold: run. None holds: leave out. Anything between is a mistake in the script's header.
fn decide(held: &[bool]) -> Option<bool> {
    if held.iter().all(|h| *h) {
        Some(true)
    } else if held.iter().any(|h| *h) {
        None
    } else {
        Some(false)
    }
}

/// Replaces each `@name@` of a Local-* key with the local name.
fn substitute(sql: &str, names: &HashMap<String, String>) -> String {
    names.iter().fold(sql.to_owned(), |text, (name, local)| text.replace(&format!("@{name}@"), local))
}

/// Runs the script of an event inside the batch's transaction. The session's role is `local` meanwhile, so the origin's
/// triggers fire and nothing is captured.
pub(super) async fn execute(client: &Client, queue: &str, event: &Event, tables: &[TableRow]) -> Result<()> {
    let file = event.extra1().unwrap_or_default();
    let sql = event.data().unwrap_or_default();
    let doing = |e: Error| e.context(format!("event {}: EXECUTE of \"{file}\"", event.id()));
    let row = client
        .query_typed_one(
            "select ret_code, ret_note from londiste.execute_start($1, $2, $3, false, $4)",
            &[(&queue, Type::TEXT), (&file, Type::TEXT), (&sql, Type::TEXT), (&event.extra2(), Type::TEXT)],
        )
        .await
        .map_err(|e| doing(e.into()))?;
    let reply = Reply::from_row(&row).map_err(doing)?;
    reply.log();
    if reply.code > 200 {
        return Ok(());
    }
    let wanted = conditions(event.extra2()).map_err(doing)?;
    let sequences = client
        .query_typed("select seq_name from londiste.get_seq_list($1) where local", &[(&queue, Type::TEXT)])
        .await?
        .iter()
        .map(|r| Ok(r.try_get(0)?))
        .collect::<Result<_>>()?;
    let local = Local { client, tables, sequences };
    let mut held = Vec::with_capacity(wanted.len());
    for condition in &wanted {
        held.push(local.holds(condition).await?);
    }
    match decide(&held) {
        Some(true) => {}
        Some(false) => {
            tracing::info!(file, "EXECUTE left out: its objects are not on this node");
            return Ok(());
        }
        None => {
            let missing: Vec<String> =
                wanted.iter().zip(&held).filter(|(_, h)| !**h).map(|(c, _)| format!("{c:?}")).collect();
            return Err(doing(
                Error::state(format!(
                    "only some of the objects in its header are on this node; missing: {}",
                    missing.join(", ")
                ))
                .hint("create the missing objects here, or remove the others"),
            ));
        }
    }
    let mut names = HashMap::new();
    for condition in &wanted {
        match condition {
            Condition::LocalTable(name) | Condition::LocalDestination(name) => {
                let dest =
                    tables.iter().find(|t| t.table_name == *name).map_or(name.as_str(), TableRow::dest);
                names.insert(name.clone(), quote::fqname(dest));
            }
            Condition::LocalSequence(name) => {
                names.insert(name.clone(), quote::fqname(name));
            }
            _ => {}
        }
    }
    tracing::info!(file, "EXECUTE");
    set_role(client, "local").await.map_err(doing)?;
    client
        .batch_execute("set local enable_seqscan = on; set local plan_cache_mode = auto")
        .await
        .map_err(|e| doing(e.into()))?;
    client.batch_execute(&substitute(sql, &names)).await.map_err(|e| doing(e.into()))?;
    let row = client
        .query_typed_one(
            "select ret_code, ret_note from londiste.execute_finish($1, $2)",
            &[(&queue, Type::TEXT), (&file, Type::TEXT)],
        )
        .await
        .map_err(|e| doing(e.into()))?;
    Reply::from_row(&row).map_err(doing)?.log();
    client
        .batch_execute("set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan")
        .await
        .map_err(|e| doing(e.into()))?;
    set_role(client, "replica").await.map_err(doing)
}

/// Sets the role until the end of the transaction. A login that may not (it applies by token) stays as it is.
async fn set_role(client: &Client, role: &str) -> Result<()> {
    client.batch_execute("savepoint role").await?;
    let outcome = client
        .query_typed("select londiste.set_session_replication_role($1, true)", &[(&role, Type::TEXT)])
        .await
        .map_err(Error::from);
    if let Err(e) = outcome {
        let tolerable = e.sqlstate() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
            || e.sqlstate() == Some(&SqlState::UNDEFINED_FUNCTION);
        if !tolerable {
            return Err(e);
        }
        client.batch_execute("rollback to savepoint role").await?;
    }
    Ok(client.batch_execute("release savepoint role").await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_become_conditions() {
        let found =
            conditions(Some("local-table=public.a%2c+b&need-function=f(2)&need-schema=x&need-view=s.v"))
                .unwrap();
        assert_eq!(
            found,
            [
                Condition::LocalTable("public.a".into()),
                Condition::LocalTable("public.b".into()),
                Condition::Function { name: "public.f".into(), arguments: 2 },
                Condition::Schema("x".into()),
                Condition::Object { kind: "v", name: "s.v".into() },
            ]
        );
        assert_eq!(conditions(None).unwrap(), []);
        assert!(conditions(Some("nosuch=1")).is_err() && conditions(Some("need-function=f(x)")).is_err());
    }

    #[test]
    fn a_mixture_is_a_mistake() {
        assert_eq!(decide(&[]), Some(true));
        assert_eq!(decide(&[true, true]), Some(true));
        assert_eq!(decide(&[false, false]), Some(false));
        assert_eq!(decide(&[true, false]), None);
    }

    #[test]
    fn names_are_put_in() {
        let names = HashMap::from([("public.a".to_owned(), "s.\"B\"".to_owned())]);
        assert_eq!(
            substitute("alter table @public.a@ add x int; -- @public.b@", &names),
            "alter table s.\"B\" add x int; -- @public.b@"
        );
    }
}
