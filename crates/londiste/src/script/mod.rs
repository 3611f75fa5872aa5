//! Scripts of `execute`: run on the root by the command, and at the same place of the stream by every worker.

mod header;

use skytools::{Error, Result, quote};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use self::header::{Entry, Key};
use crate::apply::split_name;
use crate::table::TableRow;

pub use self::header::Header;

/// What is replicated on this node.
pub struct Local<'a> {
    client: &'a Client,
    tables: &'a [TableRow],
    sequences: Vec<String>,
}

impl<'a> Local<'a> {
    /// `tables` are those of the node's list; its sequences are read here.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn load(client: &'a Client, queue: &str, tables: &'a [TableRow]) -> Result<Self> {
        let sql = "select seq_name from londiste.get_seq_list($1) where local";
        let rows = client.query_typed(sql, &[(&queue, Type::TEXT)]).await?;
        let sequences = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
        Ok(Local { client, tables, sequences })
    }

    fn registered(&self, name: &str) -> Option<&TableRow> {
        self.tables.iter().find(|t| t.local && t.table_name == name)
    }

    async fn exists(&self, kinds: &[&str], name: &str) -> Result<bool> {
        let (schema, object) = split_name(name);
        let sql = "select exists (select 1 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             where n.nspname = $1 and c.relname = $2 and c.relkind::text = any($3))";
        let row = self
            .client
            .query_typed_one(sql, &[(&schema, Type::TEXT), (&object, Type::TEXT), (&kinds, Type::TEXT_ARRAY)])
            .await?;
        Ok(row.try_get(0)?)
    }

    async fn function_exists(&self, entry: &Entry) -> Result<bool> {
        let full = entry.full_name();
        let (name, arguments) = match full.split_once('(') {
            Some((name, rest)) => {
                let count = rest.trim_end_matches(')').trim().parse::<i32>().map_err(|e| {
                    Error::data(format!(
                        "the script's header needs function \"{}\", which has no number of arguments",
                        entry.value
                    ))
                    .hint("write the function as NAME(NUMBER)")
                    .with_source(e)
                })?;
                (name, count)
            }
            None => (full.as_str(), 0),
        };
        let (schema, function) = split_name(name);
        let sql = "select exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace \
             where n.nspname = $1 and p.proname = $2 and p.pronargs = $3)";
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&schema, Type::TEXT), (&function, Type::TEXT), (&arguments, Type::INT4)];
        Ok(self.client.query_typed_one(sql, &params).await?.try_get(0)?)
    }

    async fn holds(&self, entry: &Entry) -> Result<bool> {
        const TABLE: &[&str] = &["r", "p"];
        let name = entry.full_name();
        match entry.key {
            Key::LocalTable => Ok(self.registered(&name).is_some()),
            Key::LocalSequence => Ok(self.sequences.contains(&name)),
            Key::LocalDestination => match self.registered(&name) {
                Some(row) => self.exists(TABLE, row.dest()).await,
                None => Ok(false),
            },
            Key::NeedTable => self.exists(TABLE, &name).await,
            Key::NeedSequence => self.exists(&["S"], &name).await,
            Key::NeedView => self.exists(&["v"], &name).await,
            Key::NeedFunction => self.function_exists(entry).await,
            Key::NeedSchema => {
                let sql = "select exists (select 1 from pg_catalog.pg_namespace where nspname = $1)";
                Ok(self.client.query_typed_one(sql, &[(&entry.value, Type::TEXT)]).await?.try_get(0)?)
            }
        }
    }

    /// Whether a script has to run on this node.
    ///
    /// # Errors
    /// The node has some, but not all of what the header names.
    pub async fn wants(&self, header: &Header) -> Result<bool> {
        let mut missing = Vec::new();
        for entry in header.entries() {
            if !self.holds(entry).await? {
                missing.push(format!("{}: {}", entry.key.name(), entry.value));
            }
        }
        if missing.is_empty() || missing.len() == header.entries().len() {
            return Ok(missing.is_empty());
        }
        Err(Error::state(format!(
            "only some of the objects in the script's header are on this node; missing: {}",
            missing.join(", ")
        ))
        .hint("create the missing objects here, or remove the others"))
    }

    /// The script with each `@name@` of a Local-* key replaced by the name here, quoted.
    fn localized(&self, header: &Header, sql: &str) -> String {
        header.entries().iter().fold(sql.to_owned(), |text, entry| {
            let full = entry.full_name();
            let name = match entry.key {
                Key::LocalTable | Key::LocalDestination => {
                    self.registered(&full).map_or(full.as_str(), TableRow::dest)
                }
                Key::LocalSequence => full.as_str(),
                _ => return text,
            };
            text.replace(&format!("@{}@", entry.value), &quote::fqname(name))
        })
    }

    /// Runs a script inside the transaction that is open.
    ///
    /// # Errors
    /// Whatever the script runs into; commands that would end the transaction.
    pub async fn run(&self, header: &Header, sql: &str) -> Result<()> {
        let text = self.localized(header, sql);
        if text.trim().is_empty() {
            return Ok(());
        }
        // Inside a block the server refuses COMMIT and ROLLBACK, which would tear the surrounding transaction.
        let block = format!("begin execute {}; end", quote::literal(&text));
        // A script finds names where the login does.
        Ok(self
            .client
            .batch_execute(&format!("set local search_path to default; do {}", quote::literal(&block)))
            .await?)
    }
}

/// How long a role lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// Until the transaction ends.
    Transaction,
    /// As long as the session, if the transaction commits.
    Session,
}

/// Sets the role of the session, inside a transaction. A login that may not stays as it is.
///
/// # Errors
/// Whatever the server reports, except that it is not allowed or that the function is missing.
pub async fn set_role(client: &Client, role: &str, lasts: Lasts) -> Result<()> {
    client.batch_execute("savepoint role").await?;
    let local = lasts == Lasts::Transaction;
    let outcome = client
        .query_typed(
            "select londiste.set_session_replication_role($1, $2)",
            &[(&role, Type::TEXT), (&local, Type::BOOL)],
        )
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
