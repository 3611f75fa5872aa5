//! The worker of a node: keeps the node in step with its provider.
//!
//! ```text
//!  ┌─▶ read own state ── paused? ──▶ acknowledge, wait ─┐
//!  │        ▼                                           │
//!  │   root? ──▶ watermark, sequences, wait ────────────┤
//!  │        ▼ leaf                                      │
//!  │   supervise copies, begin new ones                 │
//!  │        ▼                                           │
//!  │   next batch from the provider ── none ──▶ wait ───┤
//!  │        ▼                                           │
//!  │   applied already? ──▶ finish it ──────────────────┤
//!  │        ▼                                           │
//!  │   a table in do-sync at this batch? ──▶ wait ──────┤
//!  │        ▼                                           │
//!  │   target:  begin · events · position · commit      │
//!  │   provider: finish batch, watermark                │
//!  └────────────────────────────────────────────────────┘
//! ```
//!
//! Rows and position commit together on the target, so a worker that is killed anywhere goes on exactly where it was.

mod batch;
mod command;
mod copies;
mod execute;
mod fkeys;
mod node;
mod pace;
mod reposition;
mod system;
mod thread;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgq::batch::{BatchInfo, BatchLimits, finish_batch, next_backlog, next_batch};
use pgq::cascade::{self, ConsumerState, NodeInfo};
use pgq::tick::{OnDemand, tick_if_due};
use skytools::config::Config;
use skytools::db::Connection;
use skytools::log::Stats;
use skytools::service::{Job, Signals, Turn, Wake, Work};
use skytools::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio_postgres::types::Type;

pub use command::{Args, command};
pub use reposition::{Reposition, reposition};
pub use thread::run;

use self::batch::Replay;
use self::copies::Copies;
use self::fkeys::Left;
use self::node::{Duty, Standing};
use self::pace::Pace;
use self::system::Filters;
use crate::apply::Tables;
use crate::apply::session::{self, Role, SourceStyle};
use crate::command::register_filter::Filter;
use crate::copy::{self, drop_fkeys, poke, sweep};
use crate::settings::Settings;
use crate::sync::{self, Bell, Input, Listener, Step, choose_copies};
use crate::table::{MergeState, TableRow};

/// How often a tick is asked for while a table waits for one.
const POKE_EVERY: Duration = Duration::from_secs(1);
/// The same for the hand-over of a table, which takes a few ticks; several tables may follow each other.
const POKE_FOR_HAND_OVER: Duration = Duration::from_millis(100);
/// How often to look while a table is on its way.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often foreign keys that could not be restored are tried again.
const FKEYS_AGAIN: Duration = Duration::from_secs(60);

/// A worker that is behind takes about so many events at once.
const BACKLOG_EVENTS: i32 = 500_000;

/// First wait after a failure that may be over soon; doubles up to `exception_sleep`.
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The local database.
struct Target {
    connection: Connection,
    opened: Instant,
    tables: Tables,
    role: Option<Role>,
}

/// The provider.
struct Provider {
    node: String,
    location: String,
    connection: Connection,
    style: SourceStyle,
    demand: OnDemand,
}

/// A round has found nothing to do: until something happens, one call tells whether the next would.
struct CaughtUp {
    at: Instant,
    tick: i64,
}

/// The worker of one node.
pub struct Worker {
    settings: Arc<Settings>,
    filters: Filters,
    bell: Bell,
    ear: Listener,
    copies: Copies,
    target: Option<Target>,
    provider: Option<Provider>,
    /// The last round failed: the stored error stays until a round has worked.
    failed: bool,
    /// A batch has failed: its events go one by one, so that the error names the exact one.
    single: bool,
    /// Up to this tick nothing is joined: a batch of several ticks has failed, and what is before the error is to be kept.
    single_ticks_to: Option<i64>,
    /// The last failure may be over soon: a lost connection, a server that restarts.
    passing: bool,
    swept: bool,
    fkeys_due: Option<Instant>,
    stood_by: Option<Instant>,
    global_watermark: Option<Instant>,
    local_watermark: Option<Instant>,
    last_poke: Option<Instant>,
    pace: Pace,
    /// Something is expected soon: the next idle wait is no longer than that.
    expectant: Option<Duration>,
    caught_up: Option<CaughtUp>,
}

impl Worker {
    /// A worker; nothing is opened yet. Its copies will run on that runtime.
    ///
    /// # Errors
    /// A missing or malformed key.
    pub fn new(config: &Config, copies: Handle) -> Result<Self> {
        let bell = Bell::new();
        Ok(Worker {
            settings: Arc::new(Settings::read(config)?),
            filters: Filters { tables: Filter::tables(config)?, sequences: Filter::sequences(config)? },
            ear: bell.listen(),
            copies: Copies::new(bell.clone(), copies),
            bell,
            target: None,
            provider: None,
            failed: false,
            single: false,
            single_ticks_to: None,
            passing: false,
            swept: false,
            fkeys_due: Some(Instant::now()),
            stood_by: None,
            global_watermark: None,
            local_watermark: None,
            last_poke: None,
            pace: Pace::default(),
            expectant: None,
            caught_up: None,
        })
    }

    /// Rows and bytes that the running copies have loaded, by table.
    pub fn copy_progress(&self) -> impl Iterator<Item = (&str, &copy::Progress)> {
        self.copies.progress()
    }

    async fn open_target(&mut self) -> Result<()> {
        if self.target.as_ref().is_some_and(|t| !t.connection.is_closed()) {
            return Ok(());
        }
        let mut connection = self.settings.connect_local(&self.settings.consumer).await?;
        self.bell.follow(&mut connection, &self.settings.queue).await?;
        self.target = Some(Target { connection, opened: Instant::now(), tables: Tables::new(), role: None });
        Ok(())
    }

    fn target(&self) -> Result<&Target> {
        self.target.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "the local database is not open"))
    }

    fn provider(&self) -> Result<&Provider> {
        self.provider.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "the provider is not open"))
    }

    async fn open_provider(&mut self, state: &ConsumerState) -> Result<()> {
        let same = |p: &Provider| {
            p.node == state.provider_node
                && p.location == state.provider_location
                && !p.connection.is_closed()
        };
        if self.provider.as_ref().is_some_and(same) {
            return Ok(());
        }
        if let Some(old) = self.provider.take() {
            tracing::info!(from = old.node, to = state.provider_node, "connecting to the provider again");
        }
        let settings = &self.settings;
        let connection =
            settings.connect_node(&state.provider_node, &state.provider_location, &settings.consumer).await?;
        let style = SourceStyle::load(&*connection).await?;
        session::prepare_reader(&*connection).await?;
        let demand = if settings.tick_on_demand && settings.limits == BatchLimits::default() {
            OnDemand::of(&*connection).await?
        } else {
            OnDemand::NEVER
        };
        self.provider = Some(Provider {
            node: state.provider_node.clone(),
            location: state.provider_location.clone(),
            connection,
            style,
            demand,
        });
        // How the provider writes values decides how this session reads them.
        if let Some(target) = &mut self.target {
            target.role = None;
        }
        Ok(())
    }

    async fn prepare_target(&mut self) -> Result<()> {
        let style = self.provider()?.style.clone();
        let queue = self.settings.queue.clone();
        let Some(target) = &mut self.target else {
            return Err(Error::new(ErrorKind::Internal, "the local database is not open"));
        };
        if target.role.is_some() {
            return Ok(());
        }
        let role = session::prepare_apply(&*target.connection, &queue, &style).await?;
        if role == Role::Token {
            tracing::warn!(
                "the login may not set session_replication_role: triggers of replicated tables fire here and foreign keys are checked during replay"
            );
        }
        target.role = Some(role);
        target.tables = Tables::new();
        Ok(())
    }

    /// Own state; acknowledges what an operator has changed. `None`: stop while paused.
    async fn own_state(&mut self, signals: &Signals) -> Result<Option<ConsumerState>> {
        let (queue, consumer) = (self.settings.queue.clone(), self.settings.consumer.clone());
        let mut announced = false;
        loop {
            self.open_target().await?;
            let client = &*self.target()?.connection;
            let state = cascade::consumer_state(client, &queue, &consumer).await.map_err(|e| {
                if e.kind() != ErrorKind::NotFound {
                    return e;
                }
                Error::not_found(format!("this database has no node of queue \"{queue}\" with a worker \"{consumer}\""))
                    .hint("create the node with \"londiste INI create-root NAME\" or \"create-leaf NAME --provider=CONNSTR\"; job_name must be the same")
                    .with_source(e)
            })?;
            if !state.uptodate {
                cascade::set_consumer_uptodate(client, &queue, &consumer, true).await?.log();
            }
            if state.cur_error.is_some() && !self.failed {
                cascade::set_consumer_error(client, &queue, &consumer, None).await?;
            }
            if !state.paused {
                if announced {
                    tracing::info!("resumed");
                }
                return Ok(Some(state));
            }
            if !announced {
                tracing::info!("paused");
                announced = true;
            }
            if signals.stop_requested() || signals.sleep(self.settings.loop_delay).await == Wake::Stop {
                return Ok(None);
            }
        }
    }

    /// Root: says how far everybody has come and what the sequences are.
    async fn stand_by(&mut self, stats: &mut Stats) -> Result<()> {
        let settings = Arc::clone(&self.settings);
        let client = &*self.target()?.connection;
        if self.global_watermark.is_none_or(|at| at.elapsed() >= settings.global_watermark_period) {
            cascade::set_global_watermark(client, &settings.queue, None).await?.log();
            self.global_watermark = Some(Instant::now());
        }
        let client = &*self.target()?.connection;
        let row = client
            .query_typed_one(
                "select ret_code, ret_note from londiste.root_check_seqs($1)",
                &[(&settings.queue, Type::TEXT)],
            )
            .await?;
        cascade::Reply::from_row(&row)?.log();
        stats.put("standby", 1);
        Ok(())
    }

    /// Begins copies of tables that wait for one, as far as slots are free.
    async fn begin_copies(&mut self, tables: &[TableRow]) -> Result<bool> {
        // A table that cannot be copied holds up no other.
        let (slots, waiting) =
            choose_copies(tables, self.settings.parallel_copies.saturating_add(self.copies.stuck()));
        let mut begun = 0;
        let mut there: Option<Vec<TableRow>> = None;
        for candidate in waiting {
            if begun == slots {
                break;
            }
            let Some(row) = tables.iter().find(|t| t.table_name == candidate.table) else { continue };
            if self.copies.is_running(&candidate.table) {
                // The copy that was reset under way has not gone yet.
                continue;
            }
            if candidate.provider_must_be_ok {
                if there.is_none() {
                    let provider = self.provider()?;
                    there = Some(TableRow::load_all(&*provider.connection, &self.settings.queue).await?);
                }
                let state = there.iter().flatten().find(|t| t.local && t.table_name == candidate.table);
                match state.map(|t| t.merge_state) {
                    Some(MergeState::Ok) => {}
                    Some(state) => {
                        tracing::info!(table = candidate.table, %state, "waiting until the table is complete on the provider");
                        continue;
                    }
                    None => {
                        tracing::warn!(
                            table = candidate.table,
                            "the table is not replicated on the provider, nothing to copy from"
                        );
                        continue;
                    }
                }
            }
            let Step::Become(state) = sync::next(row.merge_state, Input::SlotFree) else { continue };
            let client = &*self.target()?.connection;
            // Both or nothing: the keys of a table that was removed meanwhile would never come back.
            client.batch_execute("begin").await?;
            let queue = &self.settings.queue;
            if !sync::move_state(client, queue, &candidate.table, row.merge_state, None, state).await? {
                client.batch_execute("rollback").await?;
                continue;
            }
            // Replay of the other tables waits meanwhile, so not for long.
            match drop_fkeys(client, row.dest(), Duration::from_secs(1)).await {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Transient && session::roll_back(client).await => {
                    tracing::info!(table = candidate.table, reason = e.chain(), "the copy has to wait");
                    continue;
                }
                Err(e) => return Err(e),
            }
            client.batch_execute("commit").await?;
            tracing::info!(table = candidate.table, %state, "table state");
            begun += 1;
        }
        Ok(begun > 0)
    }

    /// Restores foreign keys when something has changed that may allow it.
    async fn restore_fkeys(&mut self) -> Result<()> {
        if self.fkeys_due.is_none_or(|at| at > Instant::now()) {
            return Ok(());
        }
        let lock_timeout = self.settings.lock_timeout.min(Duration::from_secs(2));
        let left = fkeys::restore(&self.target()?.connection, &self.settings.queue, lock_timeout).await?;
        self.fkeys_due = (left == Left::Something).then(|| Instant::now() + FKEYS_AGAIN);
        Ok(())
    }

    /// How often to ask for a batch that is not there yet, if somebody waits for it.
    fn awaits_tick(tables: &[TableRow]) -> Option<Duration> {
        tables
            .iter()
            .filter(|t| t.local)
            .filter_map(|t| match t.merge_state {
                MergeState::WannaSync(_) => Some(POKE_FOR_HAND_OVER),
                MergeState::Ok if t.custom_snapshot.is_some() => Some(POKE_EVERY),
                _ => None,
            })
            .min()
    }

    /// Asks for a tick when the last request is old enough; returns whether there is one now.
    async fn poke_provider(&mut self, every: Duration) -> Result<bool> {
        if self.last_poke.is_some_and(|at| at.elapsed() < every) {
            return Ok(false);
        }
        self.last_poke = Some(Instant::now());
        poke(&self.settings, &self.provider()?.connection, &self.settings.consumer).await
    }

    /// Lets the tables of the batch step towards `ok`; true when the batch has to wait for one of them.
    async fn hand_over(
        &mut self,
        tables: &[TableRow],
        batch: &BatchInfo,
        state: &ConsumerState,
    ) -> Result<bool> {
        let mut wait = false;
        for row in tables.iter().filter(|t| t.local) {
            match sync::next(row.merge_state, Input::WorkerAt(batch.tick_id)) {
                Step::Become(state) => {
                    let (client, queue) = (&*self.target()?.connection, &self.settings.queue);
                    let snapshot = row.custom_snapshot.as_ref();
                    if sync::move_state(client, queue, &row.table_name, row.merge_state, snapshot, state)
                        .await?
                    {
                        tracing::info!(table = row.table_name, %state, "table state");
                    }
                    self.bell.ring();
                    // If it was not moved, the next look tells what it is.
                    wait = true;
                }
                Step::Hold => wait = true,
                Step::Refuse(contradiction) => {
                    self.ensure_completed(state).await?;
                    return Err(copy::refusal(&row.table_name, contradiction));
                }
                Step::Apply | Step::Leave | Step::Load | Step::Retire => {}
            }
        }
        Ok(wait)
    }

    /// Makes sure that what was read at the beginning of this round is true still.
    async fn ensure_completed(&self, state: &ConsumerState) -> Result<()> {
        let (client, settings) = (&*self.target()?.connection, &self.settings);
        cascade::ensure_completed(client, &settings.queue, &settings.consumer, state.completed_tick).await
    }

    fn lost_position(&self, batch: &BatchInfo, completed: i64) -> Error {
        Error::data(format!(
            "Lost position: batch {}..{}, dst has {completed}",
            batch.prev_tick_id, batch.tick_id
        ))
        .hint("if the target is right, \"londiste INI worker --rewind\" moves the provider's position to it; if the provider is right, \"worker --reset\" moves the target's, which loses or doubles events")
    }

    async fn publish_watermark(&mut self, node: &NodeInfo, tick: i64) -> Result<()> {
        if self.local_watermark.is_some_and(|at| at.elapsed() < self.settings.local_watermark_period) {
            return Ok(());
        }
        let provider = self.provider()?;
        let said = cascade::set_subscriber_watermark(
            &*provider.connection,
            &self.settings.queue,
            &node.node_name,
            tick,
        )
        .await;
        match said {
            Ok(reply) => reply.log(),
            // It only ever goes forward; a report that comes late is no failure.
            Err(e) if matches!(e.kind(), ErrorKind::State | ErrorKind::NotFound) => {
                tracing::warn!(error = e.chain(), "the provider did not take the watermark");
            }
            Err(e) => return Err(e),
        }
        self.local_watermark = Some(Instant::now());
        Ok(())
    }

    /// The next batch, as large as it may be now.
    async fn next_batch(&mut self, tables: &[TableRow]) -> Result<Option<BatchInfo>> {
        let settings = Arc::clone(&self.settings);
        let (queue, consumer) = (&settings.queue, &settings.consumer);
        let source = &*self.provider()?.connection;
        if tables.iter().any(|t| t.local && t.merge_state.is_copying()) {
            // The hand-over goes by single ticks.
            let limits = BatchLimits { min_lag: settings.limits.min_lag.clone(), ..Default::default() };
            return next_batch(source, queue, consumer, &limits).await;
        }
        if settings.limits != BatchLimits::default() || self.single_ticks_to.is_some() {
            return next_batch(source, queue, consumer, &settings.limits).await;
        }
        let batch = next_backlog(source, queue, consumer, BACKLOG_EVENTS).await?;
        match batch {
            Some(joined) if self.single && joined.tick_id > joined.prev_tick_id + 1 => {
                // It has failed: it is given back, and what is before the error goes tick by tick.
                source
                    .query_typed(
                        pgq::sql::REGISTER_CONSUMER_AT,
                        &[(queue, Type::TEXT), (consumer, Type::TEXT), (&joined.prev_tick_id, Type::INT8)],
                    )
                    .await
                    .map_err(|e| Error::from(e).context("taking a batch of several ticks apart"))?;
                let batch = next_batch(source, queue, consumer, &settings.limits).await?;
                self.single_ticks_to = Some(joined.tick_id);
                Ok(batch)
            }
            batch => Ok(batch),
        }
    }

    /// Whether a whole round would still find nothing, as far as one call can tell. It is due after `loop_delay` in any case,
    /// for what an operator may have changed.
    async fn nothing_new(&self) -> Result<bool> {
        let (Some(known), Some(provider), true) = (&self.caught_up, &self.provider, self.target.is_some())
        else {
            return Ok(false);
        };
        if known.at.elapsed() >= self.settings.loop_delay {
            return Ok(false);
        }
        let newest = provider.demand.look(&*provider.connection, &self.settings.queue).await?;
        Ok(newest.is_some_and(|newest| newest <= known.tick))
    }

    async fn replay(&mut self, turn: &mut Turn, state: &ConsumerState, node: &NodeInfo) -> Result<Work> {
        self.open_provider(state).await?;
        self.prepare_target().await?;
        let mut tables = TableRow::load_all(&*self.target()?.connection, &self.settings.queue).await?;
        if self.copies.reap() > 0 {
            self.swept = false;
            self.fkeys_due = Some(Instant::now());
        }
        if self.begin_copies(&tables).await? {
            tables = TableRow::load_all(&*self.target()?.connection, &self.settings.queue).await?;
        }
        self.copies.supervise(&self.settings, &tables);
        if !self.swept {
            let mut active = self.copies.tables();
            active.extend(tables.iter().filter(|t| t.merge_state.is_copying()).map(|t| t.table_name.clone()));
            sweep(&self.settings, &self.target()?.connection, &active).await?;
            self.swept = true;
        }
        self.restore_fkeys().await?;
        let on_its_way =
            |t: &TableRow| t.local && (t.merge_state != MergeState::Ok || t.custom_snapshot.is_some());
        self.expectant = tables.iter().any(on_its_way).then_some(LOOK_AGAIN);

        let settings = Arc::clone(&self.settings);
        let Some(batch) = self.next_batch(&tables).await? else {
            if let Some(every) = Self::awaits_tick(&tables) {
                if self.poke_provider(every).await? {
                    return Ok(Work::More);
                }
                let asked = self.last_poke.map_or(every, |at| at.elapsed());
                self.expectant = Some(LOOK_AGAIN.min(every.saturating_sub(asked)));
            }
            let provider = self.provider()?;
            if provider.demand.is_possible() && self.expectant.is_none() && turn.looping {
                // An event that comes right after a batch waits a little, for others to be in its batch.
                if self.pace.may_ask()
                    && provider.demand.look(&*provider.connection, &settings.queue).await?
                        > Some(state.completed_tick)
                {
                    return Ok(Work::More);
                }
                self.caught_up = Some(CaughtUp { at: Instant::now(), tick: state.completed_tick });
                return Ok(Work::Idle);
            }
            if self.pace.under_load() && tick_if_due(&self.provider()?.connection, &settings.queue).await? {
                return Ok(Work::More);
            }
            return Ok(Work::Idle);
        };
        let begun = Instant::now();
        match node::standing(batch.prev_tick_id, batch.tick_id, state.completed_tick) {
            Standing::Next => {}
            Standing::Applied => {
                finish_batch(&*self.provider()?.connection, batch.batch_id).await?;
                return Ok(Work::More);
            }
            Standing::Lost => {
                self.ensure_completed(state).await?;
                return Err(self.lost_position(&batch, state.completed_tick));
            }
        }
        if self.hand_over(&tables, &batch, state).await? {
            return Ok(Work::Idle);
        }
        let Some(target) = &mut self.target else {
            return Err(Error::new(ErrorKind::Internal, "the local database is not open"));
        };
        let Some(provider) = &self.provider else {
            return Err(Error::new(ErrorKind::Internal, "the provider is not open"));
        };
        let replay = Replay {
            queue: &settings.queue,
            consumer: &settings.consumer,
            source: &provider.connection,
            target: &target.connection,
            // prepare_target() has set it
            role: target.role.unwrap_or(Role::Replica),
            filters: &self.filters,
            fetch: settings.local_only.then(|| batch::local_only(&tables, settings.local_only_drop_execute)),
            single: self.single,
        };
        let done = replay.run(&batch, &tables, &mut target.tables).await?;
        self.single = false;
        self.single_ticks_to = self.single_ticks_to.filter(|&last| last > batch.tick_id);
        if done.settled > 0 {
            self.fkeys_due = Some(Instant::now());
        }
        finish_batch(&*provider.connection, batch.batch_id).await?;
        if done.scripts > 0 {
            // Temporary tables, prepared statements, locks, subscriptions to channels: whatever a script has done to the session.
            self.target = None;
        }
        self.publish_watermark(node, batch.tick_id).await?;
        self.pace.applied(done.events, begun.elapsed());
        describe(&mut turn.stats, &done, begun.elapsed());
        Ok(Work::More)
    }
}

fn describe(stats: &mut Stats, done: &batch::Done, took: Duration) {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    stats.put("count", number(done.events));
    stats.put("ignored_events", number(done.ignored));
    stats.put("duration", took.as_secs_f64());
    if done.counts.missing_rows > 0 {
        stats.put("missing_rows", number(done.counts.missing_rows));
    }
}

impl Job for Worker {
    async fn work(&mut self, turn: &mut Turn) -> Result<Work> {
        if turn.looping && self.nothing_new().await? {
            return Ok(Work::Idle);
        }
        self.caught_up = None;
        self.expectant = None;
        let Some(state) = self.own_state(&turn.signals).await? else { return Ok(Work::Idle) };
        let client = &*self.target()?.connection;
        let node = cascade::load_node_info(client, &self.settings.queue).await?.ok_or_else(|| {
            Error::not_found(format!("queue \"{}\" has no node here any more", self.settings.queue))
        })?;
        match node::duty(&node)? {
            Duty::Standby => {
                // A root has little to say, but hears its operator in every round.
                let due = self.stood_by.is_none_or(|at| at.elapsed() >= self.settings.loop_delay * 10);
                if due || !turn.looping {
                    self.stand_by(&mut turn.stats).await?;
                    self.stood_by = Some(Instant::now());
                }
                self.failed = false;
                Ok(Work::Idle)
            }
            Duty::Replay => {
                let work = self.replay(turn, &state, &node).await?;
                self.failed = false;
                Ok(work)
            }
        }
    }

    fn reload(&mut self, config: &Config) -> Result<()> {
        let new = Settings::read(config)?;
        let old = &self.settings;
        // Who we are and where we work is not changed under way.
        self.settings = Arc::new(Settings {
            queue: old.queue.clone(),
            consumer: old.consumer.clone(),
            db: old.db.clone(),
            parallel_copies: old.parallel_copies,
            lock_timeout: old.lock_timeout,
            pidfile: old.pidfile.clone(),
            ..new
        });
        self.filters = Filters { tables: Filter::tables(config)?, sequences: Filter::sequences(config)? };
        self.caught_up = None;
        Ok(())
    }

    async fn reset(&mut self) {
        self.target = None;
        self.provider = None;
        self.caught_up = None;
    }

    async fn failed(&mut self, error: &Error) {
        self.failed = true;
        self.passing = error.is_retryable();
        self.single |= !self.passing;
        let settings = Arc::clone(&self.settings);
        let stored = async {
            let target = settings.connect_local(&settings.consumer).await?;
            cascade::set_consumer_error(&*target, &settings.queue, &settings.consumer, Some(&error.chain()))
                .await
        };
        if let Err(e) = stored.await {
            tracing::debug!(error = e.chain(), "cannot record the error on the node");
        }
    }

    fn failure_delay(&self, exception_sleep: Duration, consecutive: u64) -> Duration {
        if !self.passing {
            return exception_sleep;
        }
        let doublings = u32::try_from(consecutive.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
        exception_sleep.min(FIRST_RETRY * 2_u32.pow(doublings))
    }

    async fn idle(&mut self, signals: &Signals, delay: Duration) -> Wake {
        if self.target.as_ref().is_some_and(|t| t.opened.elapsed() >= self.settings.connection_lifetime) {
            self.reset().await;
        }
        let cheap = self.caught_up.is_some();
        let delay = self.expectant.map_or_else(|| self.pace.wait(delay, cheap), |soon| delay.min(soon));
        let begun = Instant::now();
        tokio::select! {
            wake = signals.sleep(delay) => wake,
            () = self.ear.wait(delay) => {
                if begun.elapsed() < delay {
                    // The bell: something here has changed, which a look at the queue does not show.
                    self.caught_up = None;
                }
                if signals.stop_requested() { Wake::Stop } else { Wake::Elapsed }
            }
        }
    }

    async fn shutdown(&mut self) -> Result<()> {
        self.copies.stop().await;
        Ok(())
    }
}
