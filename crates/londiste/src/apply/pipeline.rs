//! Statements on their way: sent without waiting for the answers, bounded in number and in bytes.
//!
//! All of them run in one transaction on one connection, so they take effect in the order in which they were sent,
//! and after the first failure the server refuses the rest; the first error reported is the cause.

use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{FuturesOrdered, StreamExt};
use futures_util::{FutureExt, SinkExt, Stream};
use pgq::change::Op;
use skytools::{Error, ErrorKind, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

/// More statements than this are never under way. It hides the latency of the link; the server works on one anyway.
const MAX_STATEMENTS: usize = 256;
/// Bytes of parameters under way, except that a single larger row may pass.
const MAX_BYTES: usize = 4 << 20;

/// A value as text; the server's input function of the column reads it.
#[derive(Debug, Clone)]
pub struct TextParam(pub Option<Bytes>);

impl ToSql for TextParam {
    fn to_sql(
        &self,
        _ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Some(text) => {
                out.put_slice(text);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, _ty: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// What a statement is for; names it in an error and counts it afterwards.
#[derive(Debug, Clone)]
pub struct Purpose {
    /// The physical table.
    pub table: Arc<str>,
    /// Operation.
    pub op: Op,
    /// First event applied by the statement.
    pub event: i64,
    /// Number of events.
    pub events: u64,
    /// Transaction of the first event.
    pub txid: i64,
}

impl Purpose {
    /// The error with the event, its transaction and the table named, as operators of the original look for them.
    pub fn blame(&self, error: Error) -> Error {
        let verb = match self.op {
            Op::Insert => "insert into",
            Op::Update => "update of",
            Op::Delete => "delete from",
            Op::Truncate => "truncate of",
        };
        let more = if self.events > 1 {
            format!(" or one of the {} after it", self.events - 1)
        } else {
            String::new()
        };
        let error = found(permitted(error, &self.table));
        let hinted = error.hint_text().is_some();
        let error = error.context(format!(
            "[ev_id={},ev_txid={}]{more} {verb} {} failed",
            self.event, self.txid, self.table
        ));
        if hinted {
            return error;
        }
        // 22: the value does not fit its column, whatever rows there are
        if error.sqlstate().is_some_and(|state| state.code().starts_with("22")) {
            return error.hint("change the column's type on this node to that of the provider (alter table ... alter column ... type ...); the worker goes on by itself");
        }
        error.hint("correct the row on this node, or copy the table again with \"londiste INI resync TABLE\"")
    }
}

/// The error; when a function has looked for something in vain, with what to do about it.
fn found(error: Error) -> Error {
    let unknown = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    match error.within() {
        Some(function) if error.sqlstate().is_some_and(|state| unknown.contains(state)) => {
            let hint = format!(
                "functions that run here (of triggers, defaults, constraints, indexes) find names in pg_catalog only: name the schema in it ({function}), \
                 or \"alter function ... set search_path = ...\", or set key apply_search_path; the worker goes on by itself"
            );
            error.hint(hint)
        }
        _ => error,
    }
}

/// The error; when a right is missing, with what to do about it.
fn permitted(error: Error, table: &str) -> Error {
    if error.kind() != ErrorKind::Permission || error.hint_text().is_some() {
        return error;
    }
    error.hint(format!(
        "grant select, insert, update, delete, truncate on {table} to the login of this worker, which then goes on by itself"
    ))
}

/// What has been applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inserted rows.
    pub inserts: u64,
    /// Updates, whether they found a row or not.
    pub updates: u64,
    /// Deletes, whether they found a row or not.
    pub deletes: u64,
    /// Truncates.
    pub truncates: u64,
    /// Updates and deletes that found no row: this node differs from its provider.
    pub missing_rows: u64,
    /// Updates that would have changed nothing.
    pub unchanged: u64,
}

impl Counts {
    /// All changes.
    pub fn total(&self) -> u64 {
        self.inserts + self.updates + self.deletes + self.truncates + self.unchanged
    }

    fn add(&mut self, purpose: &Purpose, rows: u64) {
        match purpose.op {
            Op::Insert => self.inserts += purpose.events,
            Op::Update => self.updates += purpose.events,
            Op::Delete => self.deletes += purpose.events,
            Op::Truncate => self.truncates += purpose.events,
        }
        if matches!(purpose.op, Op::Update | Op::Delete) {
            self.missing_rows += purpose.events.saturating_sub(rows);
        }
    }
}

/// What an answer is about.
enum Subject {
    /// A change of a table.
    Change(Purpose),
    /// Events on their way into the temporary table from which the named table is changed.
    Stage(Arc<str>),
    /// Changes of the named table, folded in memory. The answer is the number of those that missed their row.
    Set(Arc<str>),
}

struct Answer {
    subject: Subject,
    bytes: usize,
    rows: Result<u64, Failure>,
}

/// Why something under way failed.
#[derive(Debug)]
pub struct Failure {
    error: Error,
    /// The server refused to begin a COPY: the driver has lost count of its answers, and nothing more can be asked on
    /// this connection.
    connection: bool,
}

impl Failure {
    /// A failure after which the connection can be used.
    pub fn of(error: Error) -> Self {
        Failure { error, connection: false }
    }

    /// A failure after which it cannot.
    pub fn of_connection(error: Error) -> Self {
        Failure { error, connection: true }
    }
}

type Pending<'c> = Pin<Box<dyn Future<Output = Answer> + Send + 'c>>;

/// The statements under way on one connection.
pub struct Pipeline<'c> {
    client: &'c Client,
    pending: FuturesOrdered<Pending<'c>>,
    bytes: usize,
    counts: Counts,
    failed_stage: Option<Arc<str>>,
    /// What is under way is several statements: nothing may come between them.
    exclusive: bool,
}

impl<'c> Pipeline<'c> {
    /// An empty pipeline on a connection that is in a transaction.
    pub fn new(client: &'c Client) -> Self {
        Pipeline {
            client,
            pending: FuturesOrdered::new(),
            bytes: 0,
            counts: Counts::default(),
            failed_stage: None,
            exclusive: false,
        }
    }

    /// The connection; use it only after [`Pipeline::drain`].
    pub fn client(&self) -> &'c Client {
        self.client
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What has been answered so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn count_unchanged(&mut self) {
        self.counts.unchanged += 1;
    }

    /// The table whose changes could not be staged.
    pub(super) fn failed_stage(&self) -> Option<Arc<str>> {
        self.failed_stage.clone()
    }

    /// Adds what was applied by other means than [`Pipeline::send`].
    pub(super) fn count(&mut self, more: Counts) {
        self.counts.inserts += more.inserts;
        self.counts.updates += more.updates;
        self.counts.deletes += more.deletes;
        self.counts.truncates += more.truncates;
        self.counts.missing_rows += more.missing_rows;
        self.counts.unchanged += more.unchanged;
    }

    /// Sends a statement; waits only while too much is under way.
    ///
    /// # Errors
    /// The failure of this or an earlier statement.
    pub async fn send(
        &mut self,
        statement: Statement,
        params: Vec<TextParam>,
        purpose: Purpose,
    ) -> Result<()> {
        if self.exclusive {
            self.drain().await?;
        }
        let client = self.client;
        let bytes: usize = params.iter().map(|p| p.0.as_ref().map_or(0, Bytes::len)).sum();
        self.bytes += bytes;
        self.pending.push_back(Box::pin(async move {
            let rows = client.execute_raw(&statement, params).await.map_err(|e| Failure::of(e.into()));
            Answer { subject: Subject::Change(purpose), bytes, rows }
        }));
        // The request leaves when the future is first polled.
        self.nudge()?;
        self.make_room().await
    }

    /// Sends rows in the text format of COPY, without waiting for their arrival; `statement` is the COPY.
    ///
    /// What was sent before is awaited first: the driver follows a COPY that the server refuses to begin, as it does
    /// after a failure, with one Sync too many and loses count of the answers.
    ///
    /// # Errors
    /// The failure of this or an earlier statement.
    pub async fn copy(&mut self, statement: Statement, rows: Bytes, table: Arc<str>) -> Result<()> {
        self.drain().await?;
        let client = self.client;
        let bytes = rows.len();
        self.bytes += bytes;
        self.pending.push_back(Box::pin(async move {
            let taken = async {
                let mut sink = pin!(client.copy_in::<_, Bytes>(&statement).await?);
                sink.send(rows).await?;
                sink.as_mut().finish().await
            };
            let rows = taken.await.map_err(|e: tokio_postgres::Error| Failure::of(e.into()));
            Answer { subject: Subject::Stage(table), bytes, rows }
        }));
        self.nudge()?;
        self.make_room().await
    }

    /// Begins changes of a table that take several statements; they go on while answers are taken in. Everything before
    /// is awaited first, and everything after waits for them.
    ///
    /// # Errors
    /// The failure of an earlier statement.
    pub async fn change_by_set(
        &mut self,
        changes: impl Future<Output = Result<u64, Failure>> + Send + 'c,
        table: Arc<str>,
    ) -> Result<()> {
        self.drain().await?;
        self.exclusive = true;
        self.pending.push_back(Box::pin(async move {
            let rows = changes.await;
            Answer { subject: Subject::Set(table), bytes: 0, rows }
        }));
        self.nudge()
    }

    /// Takes in the answers that are there, and lets copies go on, without waiting.
    ///
    /// # Errors
    /// The failure that was answered.
    pub fn nudge(&mut self) -> Result<()> {
        while let Some(Some(answer)) = self.pending.next().now_or_never() {
            self.account(answer)?;
        }
        Ok(())
    }

    async fn make_room(&mut self) -> Result<()> {
        while self.pending.len() > MAX_STATEMENTS || (self.bytes > MAX_BYTES && self.pending.len() > 1) {
            self.step().await?;
        }
        Ok(())
    }

    /// Waits for the next answer; pending for ever when nothing is under way.
    ///
    /// # Errors
    /// The failure that was answered.
    pub async fn step(&mut self) -> Result<()> {
        match self.pending.next().await {
            Some(answer) => self.account(answer),
            None => std::future::pending().await,
        }
    }

    /// Waits for all answers.
    ///
    /// # Errors
    /// The first failure.
    pub async fn drain(&mut self) -> Result<()> {
        while let Some(answer) = self.pending.next().await {
            self.account(answer)?;
        }
        Ok(())
    }

    /// The next item of a stream, while answers are taken in.
    ///
    /// # Errors
    /// The failure of a statement under way.
    pub async fn next_of<S: Stream + Unpin>(&mut self, stream: &mut S) -> Result<Option<S::Item>> {
        loop {
            tokio::select! {
                biased;
                item = stream.next() => return Ok(item),
                Some(answer) = self.pending.next(), if !self.pending.is_empty() => self.account(answer)?,
            }
        }
    }

    fn account(&mut self, answer: Answer) -> Result<()> {
        self.bytes -= answer.bytes;
        match (answer.subject, answer.rows) {
            (Subject::Change(purpose), Ok(rows)) => {
                self.counts.add(&purpose, rows);
                Ok(())
            }
            (Subject::Stage(_), Ok(_)) => Ok(()),
            (Subject::Set(_), Ok(missing)) => {
                self.exclusive = false;
                self.counts.missing_rows += missing;
                Ok(())
            }
            (Subject::Change(purpose), Err(failure)) => Err(purpose.blame(failure.error)),
            (Subject::Stage(table), Err(failure)) => {
                self.failed_stage = Some(Arc::clone(&table));
                Err(permitted(failure.error, &table).context(format!("staging changes of {table}")))
            }
            (Subject::Set(table), Err(failure)) => {
                if !failure.connection {
                    self.failed_stage = Some(Arc::clone(&table));
                }
                Err(permitted(failure.error, &table).context(format!("applying changes as a set of {table}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(op: Op, events: u64) -> Purpose {
        Purpose { table: "public.t".into(), op, event: 5, events, txid: 77 }
    }

    #[test]
    fn an_error_names_event_transaction_table_and_a_next_step() {
        let error = purpose(Op::Insert, 1).blame(Error::data("duplicate key"));
        assert_eq!(error.to_string(), "[ev_id=5,ev_txid=77] insert into public.t failed");
        assert!(error.chain().ends_with("duplicate key"));
        assert!(error.hint_text().is_some());
        let kept = purpose(Op::Insert, 3).blame(Error::data("x").hint("mine"));
        assert_eq!(kept.hint_text(), Some("mine"));
        assert!(kept.to_string().contains("one of the 2 after it"));
        let denied = Error::new(ErrorKind::Permission, "permission denied for table t");
        let denied = purpose(Op::Insert, 1).blame(denied);
        let grant = "grant select, insert, update, delete, truncate on public.t";
        assert!(denied.hint_text().is_some_and(|hint| hint.starts_with(grant)));
    }

    #[test]
    fn rows_that_were_not_found_are_counted() {
        let mut counts = Counts::default();
        counts.add(&purpose(Op::Insert, 32), 32);
        counts.add(&purpose(Op::Update, 1), 0);
        counts.add(&purpose(Op::Delete, 8), 6);
        assert_eq!((counts.inserts, counts.updates, counts.deletes, counts.missing_rows), (32, 1, 8, 3));
        assert_eq!(counts.total(), 41);
    }
}
