//! Sequences.

use tokio_postgres::GenericClient;

use super::session::Printing;
use crate::quote::{ident, split_fqname};
use crate::{Error, Result};

/// What a sequence counts like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceOptions {
    /// `bigint`, `integer` or `smallint`.
    pub data_type: String,
    /// First value.
    pub start: i64,
    /// Step.
    pub increment: i64,
    /// Lowest value.
    pub min: i64,
    /// Highest value.
    pub max: i64,
    /// Values that a session takes at once.
    pub cache: i64,
    /// Whether it begins again at its end.
    pub cycle: bool,
}

impl SequenceOptions {
    /// `start with … increment by …`, without the type.
    pub(super) fn clauses(&self, start: i64) -> String {
        format!(
            "start with {start} increment by {} minvalue {} maxvalue {} cache {}{}",
            self.increment,
            self.min,
            self.max,
            self.cache,
            if self.cycle { " cycle" } else { "" }
        )
    }
}

/// A sequence.
#[derive(Debug, Clone)]
pub struct SequenceStruct {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Options.
    pub options: SequenceOptions,
    /// The value that it gives next; `None` when the role may not read it. No part of equality.
    pub next_value: Option<i64>,
    /// The column that owns it, when it is one of the table that it was loaded with.
    pub owner_column: Option<String>,
}

impl PartialEq for SequenceStruct {
    fn eq(&self, other: &Self) -> bool {
        (&self.schema, &self.name, &self.options, &self.owner_column)
            == (&other.schema, &other.name, &other.options, &other.owner_column)
    }
}

impl Eq for SequenceStruct {}

/// Columns of every sequence query. The next value needs `SELECT` or `USAGE` on the sequence.
pub(super) const COLUMNS: &str = "
    n.nspname::text, c.relname::text, pg_catalog.format_type(s.seqtypid, null),
    s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
    case when pg_catalog.has_sequence_privilege(c.oid, 'select,usage')
         then coalesce(pg_catalog.pg_sequence_last_value(c.oid) + s.seqincrement, s.seqstart) end";

impl SequenceStruct {
    /// Reads a sequence, given as `schema.name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when there is none of that name.
    pub async fn load<C: GenericClient>(client: &C, name: &str) -> Result<Self> {
        let printing = Printing::begin(client).await?;
        let outcome = Self::read(client, name).await;
        printing.end(client, outcome).await
    }

    async fn read<C: GenericClient>(client: &C, name: &str) -> Result<Self> {
        let (schema, relation) = split_fqname(name);
        let sql = format!(
            "select {COLUMNS}
               from pg_catalog.pg_class c
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               join pg_catalog.pg_sequence s on s.seqrelid = c.oid
              where n.nspname = $1 and c.relname = $2"
        );
        let row = client
            .query_opt(&sql, &[&schema, &relation])
            .await
            .map_err(|e| Error::from(e).context(format!("reading sequence {name}")))?;
        match row {
            Some(row) => Self::from_row(&row),
            None => Err(Error::not_found(format!("sequence {name} does not exist"))
                .hint("Names are written as schema.name, as they are, without quotes.")),
        }
    }

    /// From a row of [`COLUMNS`].
    pub(super) fn from_row(row: &tokio_postgres::Row) -> Result<Self> {
        Ok(SequenceStruct {
            schema: row.try_get(0)?,
            name: row.try_get(1)?,
            options: SequenceOptions {
                data_type: row.try_get(2)?,
                start: row.try_get(3)?,
                increment: row.try_get(4)?,
                min: row.try_get(5)?,
                max: row.try_get(6)?,
                cache: row.try_get(7)?,
                cycle: row.try_get(8)?,
            },
            next_value: row.try_get(9)?,
            owner_column: None,
        })
    }

    /// `schema.name`, quoted.
    pub fn quoted_name(&self) -> String {
        format!("{}.{}", ident(&self.schema), ident(&self.name))
    }

    /// The statement that makes it, under another full name if given. It begins with the value that the original
    /// gives next, so that a sequence made for `add-seq` does not repeat values.
    pub fn create_sql(&self, new_name: Option<&str>) -> String {
        let name = new_name.map_or_else(|| self.quoted_name(), crate::quote::fqname);
        let next = self.next_value.unwrap_or(self.options.start).clamp(self.options.min, self.options.max);
        format!("create sequence {name} as {} {}", self.options.data_type, self.options.clauses(next))
    }

    /// As [`create_sql`](Self::create_sql), from its original start and only if it does not exist: for the default of
    /// a column, whose values come with the rows.
    pub(super) fn create_for_default(&self) -> String {
        format!(
            "create sequence if not exists {} as {} {}",
            self.quoted_name(),
            self.options.data_type,
            self.options.clauses(self.options.start)
        )
    }
}
