//! Applying captured changes to tables, in order, inside one transaction.
//!
//! ```text
//!  event ─▶ decode ─▶ plan (cached per table, operation, columns) ─▶ run ─▶ pipeline ─▶ server
//!           pgq::change   statement.rs                             this file   pipeline.rs
//! ```
//!
//! Order is the order of events, across all tables. Neighbouring inserts into one table with the same columns, and
//! neighbouring deletes, may travel as one statement with several rows: the order among them makes no difference.
//! Nothing else is folded here; [`set`] takes over the tables of which a batch changes many rows, where the outcome is
//! provably the same.
//! Memory is bounded by bytes under way, not by the size of the batch.

mod pipeline;
mod routes;
pub mod session;
pub mod set;
mod statement;
mod target;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pgq::Event;
use pgq::change::{self, Op, RowChange};
use skytools::{Error, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

pub use pipeline::{Counts, Pipeline, Purpose, TextParam};
pub use routes::{Outcome, Routes};
use set::SetTable;
pub use statement::{Carried, Plan, plan};
pub use target::{Column, TableShape, split_name};

/// Rows of one statement: a large and a small size, the rest goes one by one.
const ROWS: [usize; 2] = [32, 8];
/// A run is sent when it holds this many bytes.
const RUN_BYTES: usize = 256 << 10;
/// The protocol's limit on parameters of one statement.
const MAX_PARAMS: usize = 65_535;
/// Statements kept prepared per table; more only with ever-changing column sets.
const MAX_PREPARED: usize = 200;

/// One statement for one form of event.
struct Prepared {
    op: Op,
    columns: Box<[Box<str>]>,
    key: Box<[(Box<str>, usize)]>,
    /// NULLs among the key's values, which change the statement.
    null_keys: Box<[bool]>,
    /// `None`: the change has no effect.
    plan: Option<Plan>,
    single: Option<Statement>,
    several: [Option<Statement>; ROWS.len()],
}

impl Prepared {
    fn serves(&self, form: &Form<'_>) -> bool {
        self.op == form.op
            && self.columns.len() == form.columns.len()
            && self.columns.iter().zip(&form.columns).all(|(a, b)| **a == **b)
            && self.key.len() == form.key.len()
            && self.key.iter().zip(&form.key).all(|(a, b)| *a.0 == *b.0 && a.1 == b.1)
            && (form.op == Op::Insert
                || self.key.iter().zip(&self.null_keys).all(|((_, i), null)| form.is_null(*i) == *null))
    }
}

/// A table of this node as the applier knows it.
struct Known {
    name: Arc<str>,
    shape: TableShape,
    stamp: String,
    /// Last batch in which table and stamp were looked at; the lock lasts as long.
    checked_in: u64,
    prepared: Vec<Prepared>,
    set: SetTable,
}

/// Names and values of an event in the order in which statements count them.
struct Form<'a> {
    op: Op,
    columns: Vec<&'a str>,
    key: Vec<(&'a str, usize)>,
    values: Vec<&'a Option<Cow<'a, str>>>,
}

impl<'a> Form<'a> {
    fn new(change: &'a RowChange<'_>) -> Self {
        let columns: Vec<&str> = change.columns.iter().map(|(name, _)| name.as_ref()).collect();
        let mut values: Vec<_> = change.columns.iter().map(|(_, value)| value).collect();
        let mut key = Vec::new();
        if matches!(change.op, Op::Update | Op::Delete) {
            for (name, value) in &change.key {
                // The partial SQL of an update has old key values beside the new columns.
                let index = match columns.iter().rposition(|c| c == name) {
                    Some(index) if change.format != change::Format::Sql => index,
                    _ => {
                        values.push(value);
                        values.len() - 1
                    }
                };
                key.push((name.as_ref(), index));
            }
        }
        Form { op: change.op, columns, key, values }
    }

    fn is_null(&self, value: usize) -> bool {
        self.values[value].is_none()
    }

    /// The values a statement needs, sharing the event's buffer where nothing had to be unescaped.
    fn params(&self, event: &Event, wanted: &[usize]) -> Vec<TextParam> {
        let data = event.data_bytes();
        let take = |text: &Cow<'_, str>| match (text, &data) {
            // Some borrowed texts are constants of the decoder and lie outside the event.
            (Cow::Borrowed(text), Some(data)) if data.as_ptr_range().contains(&text.as_ptr()) => {
                data.slice_ref(text.as_bytes())
            }
            (text, _) => Bytes::copy_from_slice(text.as_bytes()),
        };
        wanted.iter().map(|&i| TextParam(self.values[i].as_ref().map(take))).collect()
    }
}

/// Neighbouring changes collected for one statement.
struct Run {
    op: Op,
    table: usize,
    prepared: usize,
    rows: Vec<(Vec<TextParam>, i64, i64)>,
    bytes: usize,
}

/// What one connection knows about the tables it writes: shapes and prepared statements. Lives as long as the
/// connection.
#[derive(Default)]
pub struct Tables {
    known: Vec<Known>,
    by_name: HashMap<String, usize>,
    /// Counts batches, and the places inside a batch after which tables are to be looked at again.
    batch: u64,
    /// Value of `batch` when the present batch began.
    began: u64,
    stamp: Option<Statement>,
    /// Makes names of temporary tables.
    next_tag: u64,
    /// Statements that drop temporary tables which nobody uses any more.
    stale: Vec<String>,
    /// The table on whose set path the last failure was met.
    set_failed: Option<Arc<str>>,
}

impl Tables {
    /// An empty cache.
    pub fn new() -> Self {
        Tables::default()
    }

    /// The table's shape as last seen.
    pub fn shape(&self, dest: &str) -> Option<&TableShape> {
        self.by_name.get(dest).map(|&i| &self.known[i].shape)
    }
}

/// Applies the changes of one batch on a connection that is in a transaction.
pub struct Applier<'c> {
    pipeline: Pipeline<'c>,
    tables: &'c mut Tables,
    run: Option<Run>,
    /// Each event alone: after a failure, and where several rows at once could make a difference.
    single: bool,
    /// Whether tables may be changed by set.
    sets: bool,
    /// So many changes of a table go one by one in any case.
    few: usize,
    /// Tables with changes that wait or are staged.
    pending: Vec<usize>,
    waiting_bytes: usize,
    line_bytes: usize,
    /// Memory of the changes that are folded, of all tables, and how much it may become.
    folded_bytes: usize,
    memory: usize,
    /// Key and row of the change under way.
    scratch: String,
    /// The same of one that is not taken apart.
    line: set::Line,
    turns: u32,
}

impl<'c> Applier<'c> {
    /// Begins a batch. With `single`, no two events share a statement: an error then names the exact event.
    pub fn new(client: &'c Client, tables: &'c mut Tables, single: bool) -> Self {
        tables.batch += 1;
        tables.began = tables.batch;
        tables.set_failed = None;
        for known in &mut tables.known {
            known.set.begin();
        }
        Applier {
            pipeline: Pipeline::new(client),
            tables,
            run: None,
            single,
            sets: false,
            few: set::FEW_CHANGES,
            pending: Vec::new(),
            waiting_bytes: 0,
            line_bytes: 0,
            folded_bytes: 0,
            memory: set::MAX_FOLDED,
            scratch: String::new(),
            line: set::Line::default(),
            turns: 0,
        }
    }

    /// As [`Applier::new`], applying by set where the outcome is provably the same. After a failure, ask [`Tables::set_has_failed`] whether ordered replay should have a try.
    pub fn by_set(client: &'c Client, tables: &'c mut Tables) -> Self {
        Applier::by_set_from(client, tables, set::FEW_CHANGES)
    }

    /// As [`Applier::by_set`], for tables with more than `few` changes in the batch.
    pub fn by_set_from(client: &'c Client, tables: &'c mut Tables, few: usize) -> Self {
        let mut applier = Applier::new(client, tables, false);
        applier.sets = true;
        applier.few = few;
        applier
    }

    /// Changes of all tables are folded in so many bytes; what comes after them is folded anew.
    #[must_use]
    pub fn in_memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// What has been applied and answered.
    pub fn counts(&self) -> Counts {
        self.pipeline.counts()
    }

    /// The next item of a stream, while answers of the server are taken in.
    ///
    /// # Errors
    /// The failure of an earlier change.
    pub async fn next_of<S: futures_util::Stream + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<Option<S::Item>> {
        self.pipeline.next_of(stream).await
    }

    /// Applies a change to the physical table `dest`.
    ///
    /// # Errors
    /// What the server reports for this or an earlier change, naming event, transaction and table; a table or column
    /// that does not exist here.
    pub async fn apply(&mut self, event: &Event, change: &RowChange<'_>, dest: &str) -> Result<()> {
        let table = self.table(dest).await?;
        if self.sets && self.offer(table, event, change).await? {
            return Ok(());
        }
        self.apply_in_order(table, event, change).await
    }

    async fn apply_in_order(&mut self, table: usize, event: &Event, change: &RowChange<'_>) -> Result<()> {
        let form = Form::new(change);
        let found = self.tables.known[table].prepared.iter().position(|p| p.serves(&form));
        let prepared = match found {
            Some(at) => at,
            None => self.prepare(event, table, &form).await?,
        };
        let entry = &self.tables.known[table].prepared[prepared];
        let Some(plan) = &entry.plan else {
            self.pipeline.count_unchanged();
            return Ok(());
        };
        let params = form.params(event, &plan.params);
        // What a trigger does with one row, or sees of the others, depends on which of them are there.
        let watched = match &self.tables.known[table].set.mode {
            set::Mode::Ordered(why) => why.reaches_others(),
            set::Mode::Set => false,
        };
        if !self.single && !watched && plan.takes_several() {
            return self.collect(change.op, table, prepared, params, event).await;
        }
        let Some(statement) = entry.single.clone() else {
            return Err(Error::new(skytools::ErrorKind::Internal, "a plan without a prepared statement"));
        };
        let purpose = Purpose {
            table: Arc::clone(&self.tables.known[table].name),
            op: change.op,
            event: event.id(),
            events: 1,
            txid: event.txid(),
        };
        self.send_run().await?;
        self.pipeline.send(statement, params, purpose).await
    }

    /// Sends what was collected and waits until everything is applied. After it the connection may be used directly.
    ///
    /// # Errors
    /// The first failure.
    pub async fn flush(&mut self) -> Result<()> {
        self.flush_sets().await?;
        self.settle().await
    }

    /// Sends what was collected of single statements and waits for the answers. What waits for its table to be changed
    /// by set goes on waiting.
    async fn settle(&mut self) -> Result<()> {
        self.send_run().await?;
        self.pipeline.drain().await
    }

    /// Waits for what has been sent, for something that neither reads nor changes tables. What is gathered of sets goes
    /// on being gathered.
    ///
    /// # Errors
    /// The first failure.
    pub async fn settled(&mut self) -> Result<&'c Client> {
        self.settle().await?;
        Ok(self.pipeline.client())
    }

    /// As [`Applier::flush`], and forgets that tables were looked at: something else may change them now.
    ///
    /// # Errors
    /// The first failure.
    pub async fn flush_for_ddl(&mut self) -> Result<&'c Client> {
        self.flush().await?;
        self.tables.batch += 1;
        Ok(self.pipeline.client())
    }

    /// Forgets what was prepared and looked at, after [`Applier::flush_for_ddl`]: the session may have lost it.
    pub fn forget(&mut self) {
        let tables = &mut *self.tables;
        tables.known.clear();
        tables.by_name.clear();
        tables.stamp = None;
        tables.stale.clear();
    }

    async fn collect(
        &mut self,
        op: Op,
        table: usize,
        prepared: usize,
        params: Vec<TextParam>,
        event: &Event,
    ) -> Result<()> {
        if self.run.as_ref().is_some_and(|run| (run.table, run.prepared) != (table, prepared)) {
            self.send_run().await?;
        }
        let bytes: usize = params.iter().map(|p| p.0.as_ref().map_or(0, Bytes::len)).sum();
        let run = self.run.get_or_insert_with(|| Run {
            op,
            table,
            prepared,
            rows: Vec::with_capacity(ROWS[0]),
            bytes: 0,
        });
        run.bytes += bytes;
        run.rows.push((params, event.id(), event.txid()));
        if run.rows.len() >= ROWS[0] || run.bytes >= RUN_BYTES {
            self.send_run().await?;
        }
        Ok(())
    }

    /// Sends what was collected, in as few statements as the prepared sizes allow.
    async fn send_run(&mut self) -> Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let name = Arc::clone(&self.tables.known[run.table].name);
        let mut rows = run.rows.into_iter();
        while rows.len() > 0 {
            let width = rows.as_slice()[0].0.len();
            let size = ROWS.iter().position(|&n| n <= rows.len() && n * width <= MAX_PARAMS);
            let count = size.map_or(1, |i| ROWS[i]);
            let statement = match size {
                Some(i) => self.several(run.table, run.prepared, i).await?,
                None => self.tables.known[run.table].prepared[run.prepared].single.clone(),
            };
            let Some(statement) = statement else {
                return Err(Error::new(skytools::ErrorKind::Internal, "a run without a prepared statement"));
            };
            let (_, event, txid) = rows.as_slice()[0];
            let params = if count == 1 {
                rows.next().map(|row| row.0).unwrap_or_default()
            } else {
                rows.by_ref().take(count).flat_map(|row| row.0).collect()
            };
            let events = u64::try_from(count).unwrap_or(u64::MAX);
            let purpose = Purpose { table: Arc::clone(&name), op: run.op, event, events, txid };
            self.pipeline.send(statement, params, purpose).await?;
        }
        Ok(())
    }

    async fn several(&mut self, table: usize, prepared: usize, size: usize) -> Result<Option<Statement>> {
        let entry = &self.tables.known[table].prepared[prepared];
        if let Some(statement) = &entry.several[size] {
            return Ok(Some(statement.clone()));
        }
        let Some(sql) = entry.plan.as_ref().and_then(|plan| plan.for_rows(ROWS[size])) else {
            return Ok(None);
        };
        self.pipeline.drain().await?;
        let statement = self.pipeline.client().prepare(&sql).await?;
        self.tables.known[table].prepared[prepared].several[size] = Some(statement.clone());
        Ok(Some(statement))
    }

    /// The table, looked at once per batch: locked against DDL, and its columns compared with what is prepared.
    async fn table(&mut self, dest: &str) -> Result<usize> {
        let known = self.tables.by_name.get(dest).copied();
        if let Some(at) = known
            && self.tables.known[at].checked_in == self.tables.batch
        {
            return Ok(at);
        }
        self.settle().await?;
        let client = self.pipeline.client();
        let (schema, table) = split_name(dest);
        let sql = format!("{}.{}", skytools::quote::ident(schema), skytools::quote::ident(table));
        let missing = |e: Error| {
            if e.kind() == skytools::ErrorKind::NotFound {
                return Error::not_found(format!("table {dest} does not exist on this node"))
                    .hint("create it, or take it out of replication here with \"londiste INI remove-table\"")
                    .with_source(e);
            }
            e.context(format!("locking table {dest}"))
        };
        let lock = format!("lock table only {sql} in row exclusive mode");
        client.batch_execute(&lock).await.map_err(|e| missing(e.into()))?;
        let query = match &self.tables.stamp {
            Some(query) => query.clone(),
            None => {
                let query = client.prepare_typed(set::STAMP, &[Type::TEXT, Type::TEXT]).await?;
                self.tables.stamp.insert(query).clone()
            }
        };
        let stamp: String = match client.query_opt(&query, &[&schema, &table]).await? {
            Some(row) => row.try_get(0)?,
            None => return Err(Error::state(format!("{dest} is not a table, or has no columns"))),
        };
        let batch = self.tables.batch;
        match known {
            Some(at) if self.tables.known[at].stamp == stamp => {
                self.tables.known[at].checked_in = batch;
                Ok(at)
            }
            _ => {
                let shape = TableShape::require(client, dest, "on this node").await?;
                let set = SetTable::new(set::Facts::load(client, dest).await?.unwrap_or_default());
                let entry =
                    Known { name: dest.into(), shape, stamp, checked_in: batch, prepared: Vec::new(), set };
                let at = known.unwrap_or(self.tables.known.len());
                if at == self.tables.known.len() {
                    self.tables.known.push(entry);
                    self.tables.by_name.insert(dest.to_owned(), at);
                } else {
                    let old = std::mem::replace(&mut self.tables.known[at], entry);
                    self.tables.stale.extend(old.set.stage.map(|stage| stage.sql.drop));
                }
                Ok(at)
            }
        }
    }

    async fn prepare(&mut self, event: &Event, table: usize, form: &Form<'_>) -> Result<usize> {
        self.settle().await?;
        let known = &mut self.tables.known[table];
        if known.prepared.len() >= MAX_PREPARED {
            known.prepared.clear();
        }
        let carried = Carried { columns: &form.columns, key: &form.key };
        let purpose = Purpose {
            table: Arc::clone(&known.name),
            op: form.op,
            event: event.id(),
            events: 1,
            txid: event.txid(),
        };
        let plan =
            plan(&known.shape, form.op, carried, &|i| form.is_null(i)).map_err(|e| purpose.blame(e))?;
        let single = match &plan {
            Some(plan) => {
                let statement = self.pipeline.client().prepare(&plan.sql).await;
                Some(statement.map_err(|e| purpose.blame(e.into()))?)
            }
            None => None,
        };
        let known = &mut self.tables.known[table];
        known.prepared.push(Prepared {
            op: form.op,
            columns: form.columns.iter().map(|&name| name.into()).collect(),
            key: form.key.iter().map(|&(name, index)| (name.into(), index)).collect(),
            null_keys: form.key.iter().map(|&(_, index)| form.is_null(index)).collect(),
            plan,
            single,
            several: [const { None }; ROWS.len()],
        });
        Ok(known.prepared.len() - 1)
    }
}
