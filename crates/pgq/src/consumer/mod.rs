//! Consumers: an async function that is called with each batch, or each event, of a queue.
//!
//! ```no_run
//! # async fn demo() -> skytools::Result<()> {
//! use pgq::consumer::{Consumer, Outcome};
//! use skytools::db::ConnectString;
//!
//! let consumer = Consumer::new(ConnectString::parse("dbname=shop")?, "orders", "mailer");
//! consumer.register().await?;
//! let until_ctrl_c = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
//! consumer
//!     .for_each_event(until_ctrl_c, async |event| {
//!         println!("{:?} {:?}", event.ev_type(), event.data());
//!         Ok(Outcome::Done)
//!     })
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How often an event is delivered
//!
//! ```text
//!                      ┌── at least once ──── callback ──▶ finish_batch
//!                      │                       (a crash in between repeats the batch)
//!  next_batch ─▶ open ─┼── in a transaction ─ BEGIN; callback(tx); finish_batch; COMMIT   on the queue's database
//!                      │
//!                      └── to a target ────── BEGIN; tick known? ─yes─▶ skip ──────────┐
//!                                             no ─▶ callback(tx); store tick; COMMIT ──┴▶ finish_batch on the queue
//! ```
//!
//! * [`Consumer::for_each_batch`] and [`Consumer::for_each_event`]: **at least once**. The callback may do anything.
//! * [`Consumer::for_each_batch_in_transaction`]: **exactly once** for what it does in the transaction it is given,
//!   which belongs to the queue's own database and closes the batch when it commits.
//! * [`Consumer::for_each_batch_to`]: **exactly once** for what it does in another database, where schema
//!   `pgq_ext` remembers the last tick in the same transaction.
//!
//! # What identifies a consumer
//!
//! In the queue's database, the queue's name and its own. In a target, these two as well: **queues of one name in several databases
//! that feed one target need consumers of different names**. A target also remembers when its last tick was made, and by that refuses the
//! batches of another source, or of a queue that was made anew, instead of taking them for done. [`Consumer::register_for`] begins
//! anew: when it has registered the consumer, it has the target forget what was there under these names.
//!
//! # Errors, restarts, the end
//!
//! A lost connection, a server that restarts, a serialization failure: everything is dropped, the open batch stays
//! open, and after a growing pause it is handed out again. Any other error ends the loop and is returned, unless
//! [`Consumer::retry_all_errors`] is set. The `shutdown` future ends the loop between batches; to end it in the
//! middle of one, drop the loop's future: the batch will be handed out again.
//!
//! Events arrive as a stream read while the callback works, so memory stays flat. While a batch is read its
//! transaction is open on the queue's database: a callback that takes hours keeps vacuum from cleaning up there.

mod batch;
mod drive;
mod pace;
mod program;
mod session;
mod settings;
mod stats;
mod tracking;

use std::time::Duration;

use skytools::Result;
use skytools::db::{ConnectString, Connection};

pub use batch::Batch;
pub use pace::MORE_EXPECTED;
pub use program::{ConsumerArgs, ConsumerJob, Handler, run};
pub use session::Session;
pub use settings::Settings;
pub use stats::{BatchStats, ConsumerStats};
pub use tracking::{Position, position};

use crate::batch::BatchLimits;
use crate::{queue, sql};
use tracking::Tracked;

/// Whatever a callback fails with; `?` makes it from any error, `.into()` from a text.
///
/// A type of its own, rather than the boxed error in it, so that the loops can be spawned: the compiler cannot
/// yet see that a future is `Send` when a trait object is part of a higher-ranked closure's output.
pub struct CallbackError(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for CallbackError {
    fn from(error: E) -> Self {
        CallbackError(error.into())
    }
}

impl std::fmt::Debug for CallbackError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a callback returns.
pub type CallbackResult<T = ()> = std::result::Result<T, CallbackError>;

/// What shall become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It is done.
    #[default]
    Done,
    /// It shall come again, to this consumer alone, not before this much time has passed.
    Retry(Duration),
}

/// A consumer of one queue: what to read, and how.
///
/// The consumer has to be registered on the queue once, with [`Consumer::register`] or [`Consumer::register_for`]. Only one process
/// may run under one name at a time.
#[derive(Debug, Clone)]
pub struct Consumer {
    connect: ConnectString,
    queue: String,
    name: String,
    limits: BatchLimits,
    filter: Option<String>,
    poll_interval: Duration,
    tick_on_demand: bool,
    backoff: (Duration, Duration),
    retry_all: bool,
    until_idle: bool,
    stats: stats::Shared,
}

impl Consumer {
    /// A consumer called `name` of `queue` in the database that `connect` leads to.
    pub fn new(connect: ConnectString, queue: impl Into<String>, name: impl Into<String>) -> Self {
        Consumer {
            connect,
            queue: queue.into(),
            name: name.into(),
            limits: BatchLimits::default(),
            filter: None,
            poll_interval: Duration::from_millis(250),
            tick_on_demand: true,
            backoff: (Duration::from_millis(250), Duration::from_secs(20)),
            retry_all: false,
            until_idle: false,
            stats: stats::Shared::default(),
        }
    }

    /// When a batch is big or old enough.
    #[must_use]
    pub fn limits(mut self, limits: BatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// An SQL condition over the event columns; other events are not delivered. Trusted text, see
    /// [`events`](crate::batch::events).
    #[must_use]
    pub fn filter(mut self, condition: impl Into<String>) -> Self {
        self.filter = Some(condition.into());
        self
    }

    /// How long to wait before asking again when there was no batch; 250 ms unless set. For a few seconds after an
    /// event it is asked every 10 ms, unless ticks on demand are [switched off](Consumer::tick_on_demand) or cannot be had.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Whether the consumer has ticks made when it has nothing left to do and events wait (`pgq.tick_on_demand`), instead
    /// of waiting for the ticker. It does unless told otherwise, where the server has the function and the login may call
    /// it, and no [limits](Consumer::limits) ask for larger or later batches.
    #[must_use]
    pub fn tick_on_demand(mut self, demand: bool) -> Self {
        self.tick_on_demand = demand;
        self
    }

    fn demands_ticks(&self) -> bool {
        self.tick_on_demand && self.limits == BatchLimits::default()
    }

    /// The pause after a failure: it begins with `first` and doubles up to `longest` (250 ms and 20 s unless set).
    #[must_use]
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = (first, longest);
        self
    }

    /// Try a batch again after every error, as the original's consumers do, not only after those that promise
    /// success (lost connections, serialization failures).
    #[must_use]
    pub fn retry_all_errors(mut self, retry: bool) -> Self {
        self.retry_all = retry;
        self
    }

    /// End the loop when there is no batch, instead of waiting for the next.
    #[must_use]
    pub fn until_idle(mut self, end: bool) -> Self {
        self.until_idle = end;
        self
    }

    /// The queue's name.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The consumer's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Numbers since this value was made; clones share them.
    pub fn stats(&self) -> ConsumerStats {
        self.stats.snapshot()
    }

    /// Connections of its own for a caller that drives batches itself.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// Registers the consumer at the newest tick; false when it is registered already.
    ///
    /// # Errors
    /// [`NotFound`](skytools::ErrorKind::NotFound) for an unknown queue; no connection.
    pub async fn register(&self) -> Result<bool> {
        queue::register_consumer(&*self.connect().await?, &self.queue, &self.name).await
    }

    /// Removes the consumer from the queue; false when it was not registered.
    ///
    /// # Errors
    /// Whatever the server reports; no connection.
    pub async fn unregister(&self) -> Result<bool> {
        Ok(queue::unregister_consumer(&*self.connect().await?, &self.queue, &self.name).await? > 0)
    }

    /// Registers a consumer that works in the database `target` ([`Consumer::for_each_batch_to`]); false when it is registered already.
    ///
    /// When it is new, the target forgets the position of a former consumer of that name, so that all batches from now on are worked on.
    ///
    /// # Errors
    /// As [`Consumer::register`]; [`NotFound`](skytools::ErrorKind::NotFound) when the target has no schema `pgq_ext`. The
    /// consumer is not registered then.
    pub async fn register_for(&self, target: &ConnectString) -> Result<bool> {
        let mut source = self.connect().await?;
        let tx = source.transaction().await?;
        let new = queue::register_consumer(&tx, &self.queue, &self.name).await?;
        if new {
            // Nobody sees the new consumer before its old position is gone; another call for it waits.
            self.forget(target).await?;
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Removes the consumer from the queue, and its position from the database `target`; false when it was not registered.
    ///
    /// # Errors
    /// As [`Consumer::unregister`] and [`Consumer::register_for`]; may be repeated.
    pub async fn unregister_for(&self, target: &ConnectString) -> Result<bool> {
        // First the queue: a consumer that is still registered must not find its last batch forgotten.
        let was = self.unregister().await?;
        self.forget(target).await?;
        Ok(was)
    }

    /// All or nothing, in the target.
    async fn forget(&self, target: &ConnectString) -> Result<()> {
        let mut target = target.connect(&self.name).await?;
        target.query_typed(sql::DURABLE, &[]).await?;
        let tx = target.transaction().await?;
        Tracked::new(&self.queue, &self.name).forget(&tx).await?;
        Ok(tx.commit().await?)
    }

    async fn connect(&self) -> Result<Connection> {
        self.connect.connect(&self.name).await
    }
}
