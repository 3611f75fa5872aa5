//! Reading a table's structure from the system catalogues.

use tokio_postgres::{GenericClient, Row};

use super::sequence::{self, SequenceOptions, SequenceStruct};
use super::session::Printing;
use super::table::{
    Column, Constraint, ConstraintKind, Enabled, ForeignKey, Generated, Grant, Identity, Index,
    ReplicaIdentity, Rule, TableKind, TableStruct, Trigger,
};
use super::{sql, types};
use crate::quote::split_fqname;
use crate::{Error, ErrorKind, Result};

impl TableStruct {
    /// Reads the structure of a table, given as `schema.table` without quotes (default schema `public`).
    ///
    /// No privilege on the table is needed. Several statements are run: use a REPEATABLE READ transaction where
    /// the definition may change meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such table; errors of the server.
    pub async fn load<C: GenericClient>(client: &C, name: &str) -> Result<Self> {
        let printing = Printing::begin(client).await?;
        let outcome = read(client, name).await.map_err(|e| match e.kind() {
            ErrorKind::NotFound => e,
            _ => e.context(format!("reading the structure of table {name}")),
        });
        printing.end(client, outcome).await
    }
}

async fn read<C: GenericClient>(client: &C, name: &str) -> Result<TableStruct> {
    let (schema, relation) = split_fqname(name);
    let row = client.query_opt(sql::TABLE, &[&schema, &relation]).await?.ok_or_else(|| {
        Error::not_found(format!("table {name} does not exist")).hint(
            "Names are written as schema.table, as they are, without quotes; views cannot be replicated.",
        )
    })?;
    let oid: u32 = row.try_get(0)?;
    let mut table = header(&row, schema, relation)?;
    let mut type_oids: Vec<u32> = Vec::new();
    for row in client.query(sql::COLUMNS, &[&oid]).await? {
        table.columns.push(column(&row)?);
        type_oids.push(row.try_get("atttypid")?);
    }
    for row in client.query(sql::CONSTRAINTS, &[&oid]).await? {
        table.constraints.push(constraint(&row)?);
    }
    for row in client.query(sql::INDEXES, &[&oid]).await? {
        table.indexes.push(Index {
            name: row.try_get(0)?,
            unique: row.try_get(1)?,
            definition: row.try_get(2)?,
            inherited: row.try_get(3)?,
            clustered: row.try_get(4)?,
        });
    }
    table.foreign_keys = foreign_keys(client, sql::FOREIGN_KEYS_OF, oid).await?;
    let qualified = table.quoted_name();
    for row in client.query(sql::TRIGGERS, &[&oid]).await? {
        let name: String = row.try_get(0)?;
        let (head, tail) = cut(row.try_get(1)?, " ON ", &row.try_get::<_, String>(5)?, &qualified)?;
        let letter: String = row.try_get(2)?;
        let enabled = Enabled::from_letter(&letter);
        table.triggers.push(Trigger {
            name,
            head,
            tail,
            enabled,
            captures: row.try_get(3)?,
            inherited: row.try_get(4)?,
        });
    }
    for row in client.query(sql::RULES, &[&oid]).await? {
        let (head, tail) = cut(row.try_get(1)?, " TO ", &row.try_get::<_, String>(3)?, &qualified)?;
        let letter: String = row.try_get(2)?;
        table.rules.push(Rule { name: row.try_get(0)?, head, tail, enabled: Enabled::from_letter(&letter) });
    }
    for row in client.query(sql::GRANTS, &[&oid]).await? {
        table.grants.push(Grant {
            column: row.try_get(0)?,
            role: row.try_get(1)?,
            grantable: row.try_get(2)?,
            privileges: row.try_get(3)?,
        });
    }
    for row in client.query(sql::PARENTS, &[&oid]).await? {
        table.parents.push(row.try_get(0)?);
    }
    let sequences = sql::SEQUENCES.replace("$COLUMNS", sequence::COLUMNS);
    for row in client.query(&sequences, &[&oid]).await? {
        let mut found = SequenceStruct::from_row(&row)?;
        found.owner_column = row.try_get("owner_column")?;
        table.sequences.push(found);
    }
    table.types = types::load(client, &type_oids).await?;
    Ok(table)
}

fn header(row: &Row, schema: &str, name: &str) -> Result<TableStruct> {
    let kind: String = row.try_get(1)?;
    let persistence: String = row.try_get(2)?;
    let identity: String = row.try_get(5)?;
    let identity_index: Option<String> = row.try_get(6)?;
    Ok(TableStruct {
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: match kind.as_str() {
            "p" => TableKind::Partitioned,
            "f" => TableKind::Foreign,
            _ => TableKind::Table,
        },
        unlogged: persistence == "u",
        columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        grants: Vec::new(),
        owner: row.try_get(3)?,
        options: row.try_get(4)?,
        replica_identity: match (identity.as_str(), identity_index) {
            ("n", _) => ReplicaIdentity::Nothing,
            ("f", _) => ReplicaIdentity::Full,
            ("i", Some(index)) => ReplicaIdentity::Index(index),
            _ => ReplicaIdentity::Default,
        },
        parents: Vec::new(),
        partition_bound: row.try_get(7)?,
        partition_key: row.try_get(8)?,
        sequences: Vec::new(),
        types: Vec::new(),
    })
}

fn column(row: &Row) -> Result<Column> {
    let expression: Option<String> = row.try_get("expression")?;
    let (identity, generated): (String, String) = (row.try_get("identity")?, row.try_get("generated")?);
    let generated = match (generated.as_str(), &expression) {
        ("", _) | (_, None) => None,
        (kind, Some(expression)) => Some(Generated { expression: expression.clone(), stored: kind == "s" }),
    };
    let identity = if identity.is_empty() {
        None
    } else {
        Some(Identity {
            always: identity == "a",
            options: SequenceOptions {
                data_type: row.try_get("seq_type")?,
                start: row.try_get("seqstart")?,
                increment: row.try_get("seqincrement")?,
                min: row.try_get("seqmin")?,
                max: row.try_get("seqmax")?,
                cache: row.try_get("seqcache")?,
                cycle: row.try_get("seqcycle")?,
            },
        })
    };
    Ok(Column {
        name: row.try_get("name")?,
        type_name: row.try_get("type_name")?,
        not_null: row.try_get("attnotnull")?,
        default: if generated.is_some() { None } else { expression },
        identity,
        generated,
        collation: row.try_get("collation")?,
        storage: row.try_get("storage")?,
        compression: row.try_get("compression")?,
        inherited: row.try_get("inherited")?,
    })
}

fn constraint(row: &Row) -> Result<Constraint> {
    let kind: String = row.try_get(1)?;
    Ok(Constraint {
        name: row.try_get(0)?,
        kind: match kind.as_str() {
            "p" => ConstraintKind::PrimaryKey,
            "u" => ConstraintKind::Unique,
            "x" => ConstraintKind::Exclusion,
            _ => ConstraintKind::Check,
        },
        definition: row.try_get(2)?,
        columns: row.try_get(3)?,
        deferrable: row.try_get(4)?,
        inherited: row.try_get(5)?,
        clustered: row.try_get(6)?,
    })
}

/// Cuts a definition at the table's name. `head` is how it must begin: names in it may contain anything.
fn cut(definition: String, word: &str, head: &str, qualified: &str) -> Result<(String, String)> {
    let needle = format!("{word}{qualified}");
    let rest = definition.strip_prefix(head).unwrap_or(&definition);
    let skipped = definition.len() - rest.len();
    let at = rest.find(&needle).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!("the definition does not name its table {qualified}: {definition}"),
        )
    })?;
    let (before, after) = (&definition[..skipped + at + word.len()], &rest[at + needle.len()..]);
    Ok((before.to_owned(), after.to_owned()))
}

async fn foreign_keys<C: GenericClient>(client: &C, sql: &str, oid: u32) -> Result<Vec<ForeignKey>> {
    let rows = client.query(sql, &[&oid]).await?;
    rows.iter()
        .map(|row| {
            Ok(ForeignKey {
                name: row.try_get(0)?,
                from_table: row.try_get(1)?,
                to_table: row.try_get(2)?,
                definition: row.try_get(3)?,
                columns: row.try_get(4)?,
            })
        })
        .collect()
}

/// The foreign keys of other tables that point to a table, given as `schema.table`.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such table; errors of the server.
pub async fn foreign_keys_to<C: GenericClient>(client: &C, name: &str) -> Result<Vec<ForeignKey>> {
    let printing = Printing::begin(client).await?;
    let (schema, relation) = split_fqname(name);
    let outcome = async {
        let row = client.query_opt(sql::TABLE, &[&schema, &relation]).await?;
        let row = row.ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
        foreign_keys(client, sql::FOREIGN_KEYS_TO, row.try_get(0)?).await
    }
    .await;
    printing.end(client, outcome).await
}
