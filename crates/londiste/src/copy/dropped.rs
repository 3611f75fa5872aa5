//! What a copy in several transactions has dropped: stored before anything else happens, taken out statement by
//! statement as it comes back.
//!
//! The stored text is plain SQL, so whoever knows nothing of its form (`local_remove_table`, the original's copy) may run
//! it as a whole. A comment before each statement divides it; the comment carries a random word that occurs nowhere
//! else in the text.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::future::try_join_all;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::settings::Settings;

const MARK: &str = "-- copy ";

/// One session at a time per statement: of a worker that was killed the server may still be at it, or at its commit.
const ALONE: &str = "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))";
/// In the same transaction as the statement itself. Key share lets other statements be struck out meanwhile, but not
/// the table be removed. False: it is back already.
const HOLD: &str = "select coalesce(pg_catalog.strpos(dropped_ddl, $3) > 0, false) from londiste.table_info \
      where queue_name = $1 and table_name = $2 and local and merge_state in ('in-copy', 'catching-up') for key share";
const STRIKE_OUT: &str = "update londiste.table_info \
        set dropped_ddl = nullif(pg_catalog.replace(dropped_ddl, $3, ''), '') \
      where queue_name = $1 and table_name = $2 and pg_catalog.strpos(dropped_ddl, $3) > 0";

/// What a statement brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The index of the primary key.
    Key,
    /// An index that is not unique.
    Plain,
    /// A unique index.
    Unique,
    /// The primary key, over its index.
    KeyConstraint,
    /// Another constraint, over its index.
    Constraint,
}

impl Step {
    const ALL: [Step; 5] = [Step::Key, Step::Plain, Step::Unique, Step::KeyConstraint, Step::Constraint];

    fn name(self) -> &'static str {
        match self {
            Step::Key => "key",
            Step::Plain => "plain",
            Step::Unique => "unique",
            Step::KeyConstraint => "key-constraint",
            Step::Constraint => "constraint",
        }
    }

    /// Whether it may come back while rows of several snapshots are side by side: then only the key is unique.
    pub fn fits_mixed_rows(self) -> bool {
        !matches!(self, Step::Unique | Step::Constraint)
    }

    /// Builds an index: several may do so at once. Adding a constraint locks the table instead, for a moment.
    fn builds(self) -> bool {
        matches!(self, Step::Key | Step::Plain | Step::Unique)
    }
}

/// One statement that brings something back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it brings back.
    pub step: Step,
    /// The SQL, without semicolon.
    pub sql: String,
}

/// A stored statement with the exact text that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    nr: u32,
    statement: Statement,
    text: String,
}

/// The stored DDL of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    word: String,
    parts: Vec<Part>,
}

impl Stored {
    /// Nothing yet. `word`: random letters and digits.
    pub fn new(word: &str) -> Self {
        Stored { word: word.to_owned(), parts: Vec::new() }
    }

    /// Reads a stored text; `None` when it was not written by this module.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.strip_prefix(MARK)?.split(' ').next()?;
        let mark = format!("{MARK}{word} ");
        let mut stored = Stored::new(word);
        for piece in text.split(mark.as_str()).skip(1) {
            let (head, rest) = piece.split_once('\n')?;
            let (nr, step) = head.split_once(' ')?;
            let step = Step::ALL.into_iter().find(|s| s.name() == step)?;
            stored.parts.push(Part {
                nr: nr.parse().ok()?,
                statement: Statement { step, sql: rest.strip_suffix(";\n")?.to_owned() },
                text: format!("{mark}{piece}"),
            });
        }
        Some(stored)
    }

    /// Adds statements.
    pub fn add(&mut self, statements: impl IntoIterator<Item = Statement>) {
        for statement in statements {
            let nr = self.parts.last().map_or(1, |p| p.nr + 1);
            let (word, step, sql) = (&self.word, statement.step.name(), &statement.sql);
            let text = format!("{MARK}{word} {nr} {step}\n{sql};\n");
            self.parts.push(Part { nr, statement, text });
        }
    }

    /// Whether the primary key is among them.
    pub fn has_key(&self) -> bool {
        self.parts.iter().any(|p| matches!(p.statement.step, Step::Key | Step::KeyConstraint))
    }

    /// The text to store; `None` when nothing is missing.
    pub fn text(&self) -> Option<String> {
        (!self.parts.is_empty()).then(|| self.parts.iter().map(|p| p.text.as_str()).collect())
    }

    /// Statements that `wanted` accepts: first those that build indexes, then constraints, each in stored order.
    fn select(&self, wanted: impl Fn(Step) -> bool) -> (VecDeque<Part>, VecDeque<Part>) {
        let parts = self.parts.iter().filter(|p| wanted(p.statement.step)).cloned();
        let (builds, constraints): (Vec<_>, Vec<_>) = parts.partition(|p| p.statement.step.builds());
        (builds.into(), constraints.into())
    }
}

/// Brings back what `wanted` accepts: indexes several at once, then the constraints over them. Each commits by itself.
///
/// # Errors
/// Duplicates in the rows, naming the statement; the table was removed meanwhile; whatever else the server reports.
pub async fn rebuild(
    settings: &Settings,
    table: &str,
    stored: &Stored,
    wanted: impl Fn(Step) -> bool,
) -> Result<usize> {
    let (builds, constraints) = stored.select(wanted);
    let count = builds.len() + constraints.len();
    let sessions = settings.ranges.workers.min(builds.len());
    let queue = Mutex::new(builds);
    try_join_all((0..sessions).map(|_| work(settings, table, &queue))).await?;
    work(settings, table, &Mutex::new(constraints)).await?;
    Ok(count)
}

async fn work(settings: &Settings, table: &str, parts: &Mutex<VecDeque<Part>>) -> Result<()> {
    let next = || parts.lock().map(|mut p| p.pop_front()).unwrap_or_default();
    let Some(mut part) = next() else { return Ok(()) };
    let client = settings.connect_local(&settings.copy_consumer(table)).await?;
    crate::apply::session::prepare_load(&*client, &settings.queue).await?;
    if let Some(memory) = &settings.ranges.index_memory {
        client
            .query_typed(
                "select pg_catalog.set_config('maintenance_work_mem', $1, false)",
                &[(memory, Type::TEXT)],
            )
            .await
            .map_err(|e| Error::from(e).context("key \"copy_index_memory\""))?;
    }
    loop {
        restore(&client, &settings.queue, table, &part).await?;
        match next() {
            Some(following) => part = following,
            None => return Ok(()),
        }
    }
}

async fn restore(client: &Client, queue: &str, table: &str, part: &Part) -> Result<()> {
    let doing = |e: Error| e.context(format!("building again: {}", part.statement.sql));
    let gone =
        || doing(Error::new(ErrorKind::Transient, format!("table {table} was removed or reset meanwhile")));
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&queue, Type::TEXT), (&table, Type::TEXT), (&part.text, Type::TEXT)];
    client.batch_execute("begin").await?;
    client.query_typed(ALONE, &[(&part.text, Type::TEXT)]).await?;
    let Some(row) = client.query_typed_opt(HOLD, &params).await? else { return Err(gone()) };
    if !row.try_get::<_, bool>(0)? {
        client.batch_execute("rollback").await?;
        tracing::debug!(table, sql = part.statement.sql, "is back already");
        return Ok(());
    }
    client.batch_execute(&part.statement.sql).await.map_err(|e| doing(e.into()))?;
    if client.execute_typed(STRIKE_OUT, &params).await? != 1 {
        return Err(gone());
    }
    client.batch_execute("commit").await?;
    tracing::debug!(table, sql = part.statement.sql, "built again");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(step: Step, sql: &str) -> Statement {
        Statement { step, sql: sql.to_owned() }
    }

    #[test]
    fn stored_text_is_read_back_whatever_the_names() {
        let mut stored = Stored::new("k3y");
        assert_eq!(stored.text(), None);
        let odd = "create index \"a;\n-- copy x 1 key\n\" on t (v) where v <> ';\n'";
        stored.add([statement(Step::Key, "create unique index p on t (id)"), statement(Step::Plain, odd)]);
        stored.add([statement(Step::KeyConstraint, "alter table t add primary key using index p")]);
        let text = stored.text().unwrap();
        assert_eq!(Stored::parse(&text), Some(stored.clone()));
        // What is struck out leaves the others readable.
        let rest = text.replace(&stored.parts[0].text, "");
        assert_eq!(Stored::parse(&rest).unwrap().parts, stored.parts[1..]);
        let mut more = Stored::parse(&rest).unwrap();
        more.add([statement(Step::Unique, "create unique index u on t (v)")]);
        assert_eq!(Stored::parse(&more.text().unwrap()).unwrap().parts.len(), 3);
        assert_eq!(more.parts[2].nr, 4);
    }

    #[test]
    fn text_of_others_is_left_alone() {
        for text in ["", "create index i on t (v)", "-- copy", "-- copy w x key\nselect 1;\n"] {
            assert_eq!(Stored::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn indexes_come_before_constraints_and_uniqueness_may_wait() {
        let mut stored = Stored::new("w");
        stored.add([
            statement(Step::Key, "a"),
            statement(Step::KeyConstraint, "b"),
            statement(Step::Unique, "c"),
            statement(Step::Constraint, "d"),
            statement(Step::Plain, "e"),
        ]);
        let names = |parts: VecDeque<Part>| parts.into_iter().map(|p| p.statement.sql).collect::<String>();
        let (builds, constraints) = stored.select(|_| true);
        assert_eq!((names(builds), names(constraints)), ("ace".to_owned(), "bd".to_owned()));
        let (builds, constraints) = stored.select(Step::fits_mixed_rows);
        assert_eq!((names(builds), names(constraints)), ("ae".to_owned(), "b".to_owned()));
    }
}
