//! SQL that makes a table, or parts of it, and takes parts away.

use std::collections::BTreeSet;

use tokio_postgres::GenericClient;

use super::parts::Parts;
use super::rename::Names;
use super::table::{Column, ConstraintKind, Grant, ReplicaIdentity, TableKind, TableStruct};
use super::types;
use crate::quote::{fqname, ident, split_fqname};
use crate::{Error, Result};

/// What [`create_table`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Created {
    /// The statements, in order.
    pub statements: Vec<String>,
    /// What was left out and why, for the reader.
    pub notes: Vec<String>,
}

impl TableStruct {
    /// The statements that make the given parts of this table, under another full name (`schema.table`, unquoted) if
    /// given; then primary key, unique and exclusion constraints and indexes are called `<name>_1`. Types and
    /// schemas are not among them: see [`create_table`].
    ///
    /// Without [`Parts::PARENT`] a partitioned table is made as an ordinary one, which can hold the rows itself.
    /// Sequences of identity columns and defaults begin at their original start: the values come with the rows, and
    /// `add-seq` keeps positions where the copy has to be able to take over.
    pub fn create_sql(&self, parts: Parts, new_name: Option<&str>) -> Vec<String> {
        self.create_sql_avoiding(parts, new_name, &BTreeSet::new())
    }

    /// As [`create_sql`](Self::create_sql), with the relation names of the target schema that are taken.
    pub(super) fn create_sql_avoiding(
        &self,
        parts: Parts,
        new_name: Option<&str>,
        taken: &BTreeSet<String>,
    ) -> Vec<String> {
        let name = new_name.map_or_else(|| self.quoted_name(), fqname);
        let names = Names::new(self, new_name.is_some(), taken);
        let mut out = Vec::new();
        if parts.contains(Parts::SEQUENCE) {
            out.extend(self.sequences.iter().map(super::SequenceStruct::create_for_default));
        }
        if parts.contains(Parts::TABLE) {
            out.push(self.create_table_sql(&name, parts));
        } else if parts.contains(Parts::DEFAULT) {
            out.extend(self.columns.iter().filter_map(|c| {
                let default = c.default.as_ref()?;
                Some(format!("alter table {name} alter column {} set default {default}", ident(&c.name)))
            }));
        }
        if parts.contains(Parts::SEQUENCE) {
            out.extend(self.sequences.iter().filter_map(|s| {
                let column = s.owner_column.as_ref()?;
                Some(format!("alter sequence {} owned by {name}.{}", s.quoted_name(), ident(column)))
            }));
        }
        if parts.contains(Parts::STORAGE) {
            out.extend(self.columns.iter().flat_map(|c| column_storage(c, &name)));
        }
        self.push_constraints(parts, &name, &names, false, &mut out);
        if parts.contains(Parts::INDEX) && parts.contains(Parts::TABLE) {
            match &self.replica_identity {
                ReplicaIdentity::Full => out.push(format!("alter table {name} replica identity full")),
                ReplicaIdentity::Nothing => out.push(format!("alter table {name} replica identity nothing")),
                ReplicaIdentity::Default | ReplicaIdentity::Index(_) => {}
            }
        }
        if parts.contains(Parts::TRIGGER) {
            for trigger in
                self.triggers.iter().filter(|t| !t.captures && (!t.inherited || parts.contains(Parts::TABLE)))
            {
                out.push(format!("{}{name}{}", trigger.head, trigger.tail));
                if let Some(verb) = trigger.enabled.verb() {
                    out.push(format!("alter table {name} {verb} trigger {}", ident(&trigger.name)));
                }
            }
        }
        self.push_rules(parts, &name, &mut out);
        if parts.contains(Parts::GRANT) {
            out.extend(self.grants.iter().map(|g| grant_sql(g, &name)));
        }
        if parts.contains(Parts::OWNER) {
            out.push(format!("alter table {name} owner to {}", ident(&self.owner)));
        }
        self.push_parents(parts, &name, &mut out);
        out
    }

    /// The statements that take the given parts away from this table, in the reverse order of creation. What belongs
    /// to a parent (its constraints, its partitioned indexes) stays.
    pub fn drop_sql(&self, parts: Parts) -> Vec<String> {
        let name = self.quoted_name();
        let mut out = Vec::new();
        if parts.contains(Parts::PARENT) {
            let partition = self.partition_bound.is_some();
            out.extend(self.parents.iter().map(|parent| {
                if partition {
                    format!("alter table {parent} detach partition {name}")
                } else {
                    format!("alter table {name} no inherit {parent}")
                }
            }));
        }
        if parts.contains(Parts::RULE) {
            out.extend(self.rules.iter().map(|r| format!("drop rule {} on {name}", ident(&r.name))));
        }
        if parts.contains(Parts::TRIGGER) {
            let own = self.triggers.iter().filter(|t| !t.captures && !t.inherited);
            out.extend(own.map(|t| format!("drop trigger {} on {name}", ident(&t.name))));
        }
        if parts.contains(Parts::INDEX) {
            let own = self.indexes.iter().filter(|i| !i.inherited);
            out.extend(own.map(|i| format!("drop index {}.{}", ident(&self.schema), ident(&i.name))));
        }
        for constraint in self.constraints.iter().rev().filter(|c| !c.inherited && wanted(parts, c.kind)) {
            out.push(format!("alter table {name} drop constraint {}", ident(&constraint.name)));
        }
        if parts.contains(Parts::DEFAULT) {
            let with = self.columns.iter().filter(|c| c.default.is_some());
            out.extend(
                with.map(|c| format!("alter table {name} alter column {} drop default", ident(&c.name))),
            );
        }
        if parts.contains(Parts::TABLE) {
            out.push(format!("drop table {name}"));
        }
        out
    }

    /// The statements that put back what [`drop_sql`](Self::drop_sql) took away.
    pub fn restore_sql(&self, parts: Parts) -> Vec<String> {
        let name = self.quoted_name();
        let names = Names::new(self, false, &BTreeSet::new());
        let mut out = Vec::new();
        if parts.contains(Parts::DEFAULT) {
            out.extend(self.create_sql(Parts::DEFAULT, None));
        }
        self.push_constraints(parts, &name, &names, true, &mut out);
        if parts.contains(Parts::TRIGGER) {
            out.extend(self.create_sql(Parts::TRIGGER, None));
        }
        self.push_rules(parts, &name, &mut out);
        self.push_parents(parts, &name, &mut out);
        out
    }

    fn create_table_sql(&self, name: &str, parts: Parts) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|c| column_sql(c, parts.contains(Parts::DEFAULT))).collect();
        let unlogged = if self.unlogged { "unlogged " } else { "" };
        let mut sql = format!("create {unlogged}table {name} (\n    {}\n)", columns.join(",\n    "));
        if self.columns.is_empty() {
            sql = format!("create {unlogged}table {name} ()");
        }
        match &self.partition_key {
            Some(key) if parts.contains(Parts::PARENT) => sql.push_str(&format!(" partition by {key}")),
            // A partitioned table has no storage parameters of its own before PostgreSQL 18.
            _ if parts.contains(Parts::STORAGE)
                && !self.options.is_empty()
                && self.kind == TableKind::Table =>
            {
                sql.push_str(&format!(" with ({})", self.options.join(", ")));
            }
            _ => {}
        }
        sql
    }

    fn push_constraints(
        &self,
        parts: Parts,
        name: &str,
        names: &Names,
        own_only: bool,
        out: &mut Vec<String>,
    ) {
        let mut made: Vec<(&str, String, bool)> = Vec::new();
        for constraint in
            self.constraints.iter().filter(|c| wanted(parts, c.kind) && !(own_only && c.inherited))
        {
            let new = names.get(&constraint.name);
            out.push(format!("alter table {name} add constraint {} {}", ident(&new), constraint.definition));
            made.push((&constraint.name, new, constraint.clustered));
        }
        if parts.contains(Parts::INDEX) {
            for index in self.indexes.iter().filter(|i| !(own_only && i.inherited)) {
                let unique = if index.unique { "unique " } else { "" };
                let new = names.get(&index.name);
                out.push(format!(
                    "create {unique}index {} on {name} using {}",
                    ident(&new),
                    index.definition
                ));
                made.push((&index.name, new, index.clustered));
            }
        }
        for (old, new, clustered) in made {
            if clustered {
                out.push(format!("alter table {name} cluster on {}", ident(&new)));
            }
            if self.replica_identity == ReplicaIdentity::Index(old.to_owned()) {
                out.push(format!("alter table {name} replica identity using index {}", ident(&new)));
            }
        }
    }

    fn push_rules(&self, parts: Parts, name: &str, out: &mut Vec<String>) {
        if !parts.contains(Parts::RULE) {
            return;
        }
        for rule in &self.rules {
            out.push(format!("{}{name}{}", rule.head, rule.tail.trim_end_matches(';')));
            if let Some(verb) = rule.enabled.verb() {
                out.push(format!("alter table {name} {verb} rule {}", ident(&rule.name)));
            }
        }
    }

    fn push_parents(&self, parts: Parts, name: &str, out: &mut Vec<String>) {
        if !parts.contains(Parts::PARENT) {
            return;
        }
        out.extend(self.parents.iter().map(|parent| match &self.partition_bound {
            Some(bound) => format!("alter table {parent} attach partition {name} {bound}"),
            None => format!("alter table {name} inherit {parent}"),
        }));
    }
}

fn wanted(parts: Parts, kind: ConstraintKind) -> bool {
    parts.contains(if kind == ConstraintKind::PrimaryKey { Parts::PKEY } else { Parts::CONSTRAINT })
}

fn column_sql(column: &Column, with_default: bool) -> String {
    let mut sql = format!("{} {}", ident(&column.name), column.type_name);
    if let Some(collation) = &column.collation {
        sql.push_str(&format!(" collate {collation}"));
    }
    if column.not_null {
        sql.push_str(" not null");
    }
    if let Some(generated) = &column.generated {
        let kind = if generated.stored { "stored" } else { "virtual" };
        sql.push_str(&format!(" generated always as ({}) {kind}", generated.expression));
    } else if let Some(identity) = &column.identity {
        let when = if identity.always { "always" } else { "by default" };
        sql.push_str(&format!(
            " generated {when} as identity ({})",
            identity.options.clauses(identity.options.start)
        ));
    } else if let (Some(default), true) = (&column.default, with_default) {
        sql.push_str(&format!(" default {default}"));
    }
    sql
}

fn column_storage(column: &Column, name: &str) -> Vec<String> {
    let alter = |word: &str, value: &str| {
        format!("alter table {name} alter column {} set {word} {value}", ident(&column.name))
    };
    let storage = column.storage.as_ref().map(|s| alter("storage", s));
    let compression = column.compression.as_ref().map(|c| alter("compression", c));
    storage.into_iter().chain(compression).collect()
}

fn grant_sql(grant: &Grant, name: &str) -> String {
    let column = grant.column.as_ref().map_or(String::new(), |c| format!(" ({})", ident(c)));
    let privileges: Vec<String> = grant.privileges.iter().map(|p| format!("{p}{column}")).collect();
    let role = grant.role.as_ref().map_or_else(|| "public".to_owned(), |r| ident(r));
    let option = if grant.grantable { " with grant option" } else { "" };
    format!("grant {} on table {name} to {role}{option}", privileges.join(", "))
}

/// The statement that makes a schema, when it does not exist.
pub(super) async fn schema_if_missing<C: GenericClient>(client: &C, schema: &str) -> Result<Option<String>> {
    let row = client
        .query_one("select exists (select 1 from pg_catalog.pg_namespace where nspname = $1)", &[&schema])
        .await?;
    let exists: bool = row.try_get(0)?;
    Ok((!exists).then(|| format!("create schema {}", ident(schema))))
}

/// Makes a table like `table`, with the schema and the types that it needs, in the caller's transaction.
///
/// Roles that do not exist here, and an owner that the role may not make one, are left out with a note. Types that
/// exist are compared.
///
/// # Errors
/// [`ErrorKind::State`](crate::ErrorKind::State) when the table exists, or a type differs or cannot be made; errors
/// of the server with the statement's object.
pub async fn create_table<C: GenericClient>(
    client: &C,
    table: &TableStruct,
    parts: Parts,
    new_name: Option<&str>,
) -> Result<Created> {
    let full_name = new_name.map_or_else(|| table.full_name(), str::to_owned);
    let (schema, relation) = split_fqname(&full_name);
    let mut taken = BTreeSet::new();
    for row in client
        .query(
            "select c.relname::text from pg_catalog.pg_class c
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1
             union
             select o.conname::text from pg_catalog.pg_constraint o
               join pg_catalog.pg_namespace n on n.oid = o.connamespace where n.nspname = $1",
            &[&schema],
        )
        .await?
    {
        taken.insert(row.try_get::<_, String>(0)?);
    }
    if taken.contains(relation) {
        return Err(Error::state(format!("relation {full_name} exists already")));
    }
    let mut created = Created::default();
    let adapted = adapt(client, table, parts, &mut created.notes).await?;
    for schema in [
        Some(schema),
        Some(table.schema.as_str())
            .filter(|_| !table.sequences.is_empty() && parts.contains(Parts::SEQUENCE)),
    ]
    .into_iter()
    .flatten()
    {
        if let Some(sql) = schema_if_missing(client, schema).await? {
            run(client, &sql, &full_name).await?;
            created.statements.push(sql);
        }
    }
    created.statements.extend(types::ensure(client, &table.types).await?);
    for sql in adapted.create_sql_avoiding(parts, new_name, &taken) {
        run(client, &sql, &full_name).await?;
        created.statements.push(sql);
    }
    Ok(created)
}

async fn run<C: GenericClient>(client: &C, sql: &str, table: &str) -> Result<()> {
    client.batch_execute(sql).await.map_err(|e| {
        let code = e.code().map(|c| c.code().to_owned()).unwrap_or_default();
        let first: String = sql.lines().next().unwrap_or(sql).chars().take(200).collect();
        let error = Error::from(e).context(format!("creating table {table}: {first}"));
        match code.as_str() {
            "42883" => error.hint("Create the function on this server first, then try again."),
            "42P01" => error.hint("Create what it refers to on this server first, then try again."),
            _ => error,
        }
    })
}

/// The table as this server and role can make it: without privileges and owners of roles that are not here.
async fn adapt<C: GenericClient>(
    client: &C,
    table: &TableStruct,
    parts: Parts,
    notes: &mut Vec<String>,
) -> Result<TableStruct> {
    let mut adapted = table.clone();
    let row = client
        .query_one(
            "select pg_catalog.current_setting('server_version_num')::int,
                    array(select rolname::text from pg_catalog.pg_roles),
                    coalesce((select pg_catalog.pg_has_role(oid, 'member') from pg_catalog.pg_roles where rolname = $1), false),
                    current_user::text",
            &[&table.owner],
        )
        .await?;
    let (version, roles): (i32, Vec<String>) = (row.try_get(0)?, row.try_get(1)?);
    let (may_own, me): (bool, String) = (row.try_get(2)?, row.try_get(3)?);
    if version < 170_000 {
        for grant in &mut adapted.grants {
            grant.privileges.retain(|p| p != "maintain");
        }
        adapted.grants.retain(|g| !g.privileges.is_empty());
    }
    let known = |g: &Grant| g.role.as_ref().is_none_or(|r| roles.contains(r));
    if parts.contains(Parts::GRANT) {
        let unknown: BTreeSet<&String> =
            table.grants.iter().filter(|g| !known(g)).filter_map(|g| g.role.as_ref()).collect();
        notes.extend(
            unknown
                .iter()
                .map(|r| format!("privileges of role {r} are left out: there is no such role here")),
        );
    }
    adapted.grants.retain(known);
    if !may_own {
        if parts.contains(Parts::OWNER) {
            notes.push(format!(
                "owner is {me} and not {}: there is no such role here, or {me} is no member of it",
                table.owner
            ));
        }
        adapted.owner = me;
    }
    Ok(adapted)
}
