//! Indexes that stand in the way of a fast load: dropped before it, built again after it, in the same transaction.
//!
//! Only an index that a plain `create index` (and `add constraint … using index`) brings back exactly is dropped.
//! One that carries more than that – a comment, a cluster mark, the replica identity, its own tablespace, statistics
//! targets – or on which something else depends, stays and is filled by the load.

use skytools::{Error, Result, quote};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::dropped::{Statement, Step};

/// Ordinary indexes (not those of a partitioned table, which stand for one of each partition) of a table with the constraint they implement, if any; with those that foreign keys need, or without.
const SIMPLE_INDEXES: &str = "select n.nspname::text, ic.relname::text, pg_catalog.pg_get_indexdef(i.indexrelid), \
            con.conname::text, con.contype::text, con.condeferrable, con.condeferred, i.indisunique \
       from pg_catalog.pg_index i \
       join pg_catalog.pg_class ic on ic.oid = i.indexrelid \
       join pg_catalog.pg_namespace n on n.oid = ic.relnamespace \
       left join pg_catalog.pg_constraint con on con.conindid = i.indexrelid and con.conrelid = i.indrelid \
      where i.indrelid = $1 and ic.relkind = 'i' and i.indisvalid and i.indisready and i.indislive \
        and not i.indisexclusion and not i.indisclustered and not i.indisreplident and not ic.relispartition \
        and ic.reltablespace = 0 \
        and (con.oid is null or (con.contype in ('p', 'u') and con.conislocal and con.coninhcount = 0)) \
        and not exists (select 1 from pg_catalog.pg_description d \
              where (d.objoid = i.indexrelid and d.classoid = 'pg_catalog.pg_class'::regclass) \
                 or (d.objoid = con.oid and d.classoid = 'pg_catalog.pg_constraint'::regclass)) \
        and not exists (select 1 from pg_catalog.pg_attribute a \
              where a.attrelid = i.indexrelid and coalesce(a.attstattarget, -1) >= 0) \
        and not exists (select 1 from pg_catalog.pg_depend p \
              where p.classid = 'pg_catalog.pg_class'::regclass and p.objid = i.indexrelid and p.deptype in ('e', 'x')) \
        and (con.oid is null or not exists (select 1 from pg_catalog.pg_depend p \
              where p.refclassid = 'pg_catalog.pg_constraint'::regclass and p.refobjid = con.oid and p.deptype = 'n')) \
        and ($2 or not exists (select 1 from pg_catalog.pg_constraint fk where fk.contype = 'f' and fk.conindid = i.indexrelid)) \
      order by con.contype is distinct from 'p', ic.relname";

/// The SQL that takes one index away and brings it back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Index {
    name: String,
    drop: String,
    create: Vec<String>,
    unique: bool,
    primary: bool,
}

impl Index {
    fn new(
        table: &str,
        schema: &str,
        name: &str,
        definition: &str,
        constraint: Option<&Constraint<'_>>,
    ) -> Self {
        let mut create = vec![definition.to_owned()];
        let drop = match constraint {
            None => format!("drop index {}.{}", quote::ident(schema), quote::ident(name)),
            Some(constraint) => {
                create.push(constraint.add(table, name));
                format!("alter table {table} drop constraint {}", quote::ident(constraint.name))
            }
        };
        let primary = constraint.is_some_and(|c| c.primary);
        Index { name: name.to_owned(), drop, create, unique: constraint.is_some(), primary }
    }
}

struct Constraint<'a> {
    name: &'a str,
    primary: bool,
    deferrable: bool,
    deferred: bool,
}

impl Constraint<'_> {
    fn add(&self, table: &str, index: &str) -> String {
        format!(
            "alter table {table} add constraint {} {} using index {}{}{}",
            quote::ident(self.name),
            if self.primary { "primary key" } else { "unique" },
            quote::ident(index),
            if self.deferrable { " deferrable" } else { "" },
            if self.deferred { " initially deferred" } else { "" },
        )
    }
}

/// Indexes that were dropped in the open transaction.
#[derive(Debug, Default)]
pub struct Dropped(Vec<Index>);

/// Drops what can be brought back exactly. Must run inside a transaction that holds the table exclusively.
///
/// # Errors
/// Whatever the server reports, except refusals to drop: such an index stays.
pub async fn drop_simple(client: &Client, table_sql: &str, table_oid: u32) -> Result<Dropped> {
    let mut dropped = Vec::new();
    for row in client.query_typed(SIMPLE_INDEXES, &[(&table_oid, Type::OID), (&false, Type::BOOL)]).await? {
        let constraint_name: Option<&str> = row.try_get(3)?;
        let constraint = match constraint_name {
            Some(name) => Some(Constraint {
                name,
                primary: row.try_get::<_, &str>(4)? == "p",
                deferrable: row.try_get(5)?,
                deferred: row.try_get(6)?,
            }),
            None => None,
        };
        let mut index =
            Index::new(table_sql, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, constraint.as_ref());
        index.unique = row.try_get(7)?;
        client.batch_execute("savepoint index_drop").await?;
        match client.batch_execute(&index.drop).await {
            Ok(()) => dropped.push(index),
            Err(e) if e.as_db_error().is_some() && !client.is_closed() => {
                tracing::info!(index = index.name, reason = %Error::from(e), "the index stays during the copy");
                client.batch_execute("rollback to savepoint index_drop").await?;
            }
            Err(e) => return Err(e.into()),
        }
        client.batch_execute("release savepoint index_drop").await?;
    }
    Ok(Dropped(dropped))
}

/// Names of the indexes that [`drop_simple`] would drop, after the foreign keys that need them.
///
/// # Errors
/// Whatever the server reports.
pub async fn simple_names(client: &Client, table_oid: u32) -> Result<Vec<String>> {
    let rows = client.query_typed(SIMPLE_INDEXES, &[(&table_oid, Type::OID), (&true, Type::BOOL)]).await?;
    rows.iter().map(|row| Ok(row.try_get(1)?)).collect()
}

impl Dropped {
    /// Number of indexes.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What brings them back, the primary key first, to be stored.
    pub fn statements(&self) -> Vec<Statement> {
        self.0
            .iter()
            .flat_map(|index| {
                index.create.iter().enumerate().map(|(i, sql)| Statement {
                    step: match (i, index.primary, index.unique) {
                        (0, true, _) => Step::Key,
                        (0, false, true) => Step::Unique,
                        (0, false, false) => Step::Plain,
                        (_, true, _) => Step::KeyConstraint,
                        (_, false, _) => Step::Constraint,
                    },
                    sql: sql.clone(),
                })
            })
            .collect()
    }

    /// Builds the indexes again.
    ///
    /// # Errors
    /// Duplicates in the copied rows, naming the index; whatever else the server reports.
    pub async fn rebuild(self, client: &Client) -> Result<()> {
        for index in self.0 {
            for statement in &index.create {
                client
                    .batch_execute(statement)
                    .await
                    .map_err(|e| Error::from(e).context(format!("building index {} again", index.name)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_comes_back_over_its_index() {
        let constraint = Constraint { name: "t_pkey", primary: true, deferrable: true, deferred: true };
        let index = Index::new(
            "s.t",
            "s",
            "t_pkey",
            "CREATE UNIQUE INDEX t_pkey ON s.t USING btree (id)",
            Some(&constraint),
        );
        assert_eq!(index.create.len(), 2);
        let plain = |sql: &str| sql.replace('"', "");
        assert_eq!(plain(&index.drop), "alter table s.t drop constraint t_pkey");
        assert_eq!(
            plain(&index.create[1]),
            "alter table s.t add constraint t_pkey primary key using index t_pkey deferrable initially deferred"
        );
        let bare = Index::new("s.t", "s", "i", "CREATE INDEX i ON s.t USING btree (v)", None);
        assert_eq!(plain(&bare.drop), "drop index s.i");
    }
}
