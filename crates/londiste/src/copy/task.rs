//! One copy from its beginning (or wherever a predecessor was killed) to the hand-over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgq::batch::{self, BatchInfo, BatchLimits};
use pgq::cascade;
use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result, quote};
use tokio_postgres::Client;

use super::dropped::{Stored, rebuild};
use super::load::{Load, load, restore_stored_ddl};
use super::lock::try_lock;
use super::position::{self, Registered};
use super::ranges::{self, RangeLoad, abandon};
use super::sessions::Sessions;
use super::source::{self, Source};
use super::statistics;
use super::transfer::Progress;
use crate::apply::session::{self, Role, SourceStyle};
use crate::apply::{Applier, Counts, Routes, Tables};
use crate::handler;
use crate::settings::Settings;
use crate::snapshot::{self, Snapshot};
use crate::sync::{self, Bell, Contradiction, Input, Listener, Step};
use crate::table::{MergeState, TableRow};

/// How often a waiting copy looks again when nobody rings.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How often a waiting copy asks for a tick.
const POKE_EVERY: Duration = Duration::from_secs(1);
/// First wait after a failure; doubles up to `exception_sleep`.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The worker has the table now.
    HandedOver,
    /// The table was removed, reset, or completed by somebody else.
    NotNeeded,
    /// The place to catch up from was gone; the table is back at its beginning.
    StartOver,
}

/// The copy of one table.
pub struct Copier {
    settings: Arc<Settings>,
    table: String,
    application: String,
    sessions: Sessions,
    bell: Bell,
    ear: Listener,
    progress: Arc<Progress>,
}

/// What a session of the copy works with.
struct Session {
    target: Connection,
    source: Source,
    tables: Tables,
    role: Role,
    completed: i64,
}

impl Copier {
    /// A copy of the table; `bell` tells it, and is told, about changes of the table's state. It works with `sessions`
    /// and leaves them there.
    pub fn new(settings: Arc<Settings>, table: &str, bell: Bell, sessions: Sessions) -> Self {
        let application = settings.copy_consumer(table);
        let ear = bell.listen();
        Copier {
            settings,
            table: table.to_owned(),
            application,
            sessions,
            bell,
            ear,
            progress: Arc::default(),
        }
    }

    /// How far the load has come.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Works until the copy has ended; failures are logged, recorded, and tried again.
    pub async fn run(&mut self) -> Ended {
        let mut delay = FIRST_RETRY;
        let mut single = false;
        loop {
            let error = match self.attempt(single).await {
                Ok(ended) => return ended,
                Err(error) => error,
            };
            if error.is_retryable() {
                tracing::warn!(table = self.table, error = error.chain(), "copy interrupted, trying again");
            } else {
                let hint = error.hint_text().unwrap_or("correct the cause; the copy goes on by itself");
                tracing::error!(table = self.table, error = error.chain(), hint, "copy failed, trying again");
                single = true;
                self.progress.set_stuck(true);
                self.record(&error).await;
            }
            tokio::time::sleep(delay.min(self.settings.exception_sleep)).await;
            delay = delay.saturating_mul(2).min(self.settings.exception_sleep);
        }
    }

    /// Stores the error where `status` shows it. The copy has failed already, so a failure here is only logged.
    async fn record(&self, error: &Error) {
        let stored = async {
            let target = self.settings.connect_local(&self.application).await?;
            cascade::set_consumer_error(
                &*target,
                &self.settings.queue,
                &self.application,
                Some(&error.chain()),
            )
            .await
        };
        if let Err(e) = stored.await {
            tracing::warn!(table = self.table, error = e.chain(), "cannot record the error of the copy");
        }
    }

    /// One life of the copy: ends with the copy, or with the first failure.
    ///
    /// # Errors
    /// Whatever goes wrong; all connections are dropped then, and the stored state tells where to go on.
    pub async fn attempt(&mut self, single: bool) -> Result<Ended> {
        let target = self.sessions.local(&self.settings, &self.application).await?;
        let mut waiting = false;
        let row = loop {
            let Some(row) = self.row(&target).await? else { return self.leave(&target).await };
            if !row.merge_state.is_copying() {
                return self.leave(&target).await;
            }
            if try_lock(&target, &self.settings.queue, &self.table).await? {
                break row;
            }
            if !waiting {
                tracing::info!(table = self.table, "another copier works on the table, waiting for it");
                waiting = true;
            }
            self.ear.wait(Duration::from_secs(1)).await;
        };
        if row.copy_role.is_some() {
            return Err(Error::state(format!(
                "table {} is fed by several queues: merging copies is not supported yet",
                self.table
            ))
            .hint("remove the table from all but one of the queues, or add it with --no-merge"));
        }
        let Some(mut session) = self.open(target, &row).await? else {
            self.bell.ring();
            return Ok(Ended::StartOver);
        };
        let ended = self.follow(&mut session, single).await?;
        self.sessions.keep_source(session.source);
        self.sessions.keep_local(session.target);
        Ok(ended)
    }

    async fn row(&self, target: &Client) -> Result<Option<TableRow>> {
        let rows = TableRow::load_all(target, &self.settings.queue).await?;
        Ok(rows.into_iter().find(|t| t.local && t.table_name == self.table))
    }

    /// Connects to the source and takes the copy's place there. `None`: the place was lost.
    async fn open(&self, target: Connection, row: &TableRow) -> Result<Option<Session>> {
        let settings = &*self.settings;
        let place = position::local(&target, &settings.queue, &self.application).await?;
        let source = match (&place, row.merge_state) {
            (_, MergeState::InCopy) => {
                source::open(settings, &self.sessions, &target, row, &self.application).await?
            }
            (Some((node, _)), _) => {
                source::reopen(settings, &self.sessions, &target, node, &self.application).await?
            }
            (None, state) => {
                self.start_over(&target, state).await?;
                return Ok(None);
            }
        };
        let style = SourceStyle::load(&*source.connection).await?;
        session::prepare_reader(&*source.connection).await?;
        let role = session::prepare_apply(&*target, &settings.queue, &style).await?;
        match position::register(settings, &source, &target, &self.table, row.merge_state).await? {
            Registered::Ready => {}
            Registered::Lost => {
                self.start_over(&target, row.merge_state).await?;
                return Ok(None);
            }
        }
        let Some((_, completed)) = position::local(&target, &settings.queue, &self.application).await? else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("consumer {} has no state", self.application),
            ));
        };
        Ok(Some(Session { target, source, tables: Tables::new(), role, completed }))
    }

    async fn start_over(&self, target: &Client, from: MergeState) -> Result<()> {
        if let Step::Become(state) = sync::next(from, Input::PositionLost) {
            tracing::warn!(
                table = self.table,
                "the copy's position on its source is gone, the table is copied again"
            );
            target.batch_execute("begin").await?;
            match self.row(target).await? {
                Some(row) if row.dropped_ddl.is_some() => abandon(target, &self.settings.queue, &row).await?,
                _ => {
                    sync::move_state(target, &self.settings.queue, &self.table, from, None, state).await?;
                }
            }
            target.batch_execute("commit").await?;
        }
        Ok(())
    }

    /// The table is not (or no longer) the copy's business; its registration goes.
    async fn leave(&self, target: &Client) -> Result<Ended> {
        if let Some((node, _)) = position::local(target, &self.settings.queue, &self.application).await? {
            let source =
                source::reopen(&self.settings, &self.sessions, target, &node, &self.application).await?;
            position::retire(&self.settings, &source.connection, target, &self.table).await?;
        }
        Ok(Ended::NotNeeded)
    }

    /// The loop of the copy: state by state, batch by batch.
    async fn follow(&mut self, session: &mut Session, single: bool) -> Result<Ended> {
        let mut was_idle = false;
        let mut last_poke: Option<Instant> = None;
        loop {
            let Some(row) = self.row(&session.target).await? else {
                return self.leave(&session.target).await;
            };
            match row.merge_state {
                MergeState::Missing | MergeState::Ok => return self.leave(&session.target).await,
                MergeState::InCopy => {
                    self.load(session, &row).await?;
                    self.bell.ring();
                    continue;
                }
                MergeState::WannaSync(_) => {
                    self.ear.wait(Duration::from_secs(1)).await;
                    continue;
                }
                MergeState::CatchingUp | MergeState::DoSync(_) => {}
            }
            // Rows of several snapshots side by side: nothing but the key is unique yet.
            let first = ranges::first_snapshot(&session.target, &self.settings.queue, &self.table).await?;
            if let Some(ddl) = &row.dropped_ddl
                && first.is_none()
            {
                if let Some(stored) = Stored::parse(ddl) {
                    rebuild(&self.settings, &self.table, &stored, |_| true).await?;
                    continue;
                }
                session.target.batch_execute("begin").await?;
                restore_stored_ddl(&session.target, &self.settings.queue, &self.table, ddl).await?;
                session.target.batch_execute("commit").await?;
                continue;
            }
            let Some(batch) = self.next_batch(session).await? else {
                was_idle = true;
                if last_poke.is_none_or(|at| at.elapsed() >= POKE_EVERY) {
                    last_poke = Some(Instant::now());
                    if self.poke(session).await? {
                        continue;
                    }
                }
                self.ear.wait(LOOK_AGAIN).await;
                continue;
            };
            // A snapshot of another node's transactions would mean nothing to the worker.
            let foreign = row.custom_snapshot.is_some() && !self.is_worker_source(session).await?;
            let at = batch.tick_id;
            let input = if was_idle && !foreign && first.is_none() {
                Input::CaughtUpAt(at)
            } else {
                Input::CopyAt(at)
            };
            match sync::next(row.merge_state, input) {
                Step::Apply => {
                    let applied = self.apply(session, &batch, &row, first.clone(), single, false).await;
                    match applied {
                        Err(e) if session.role.may_succeed_deferred(&e) => {
                            if !session::roll_back(&session.target).await {
                                return Err(e);
                            }
                            tracing::info!(
                                reason = e.chain(),
                                "replaying the batch with constraints that are deferred"
                            );
                            self.apply(session, &batch, &row, first, single, true).await.map_err(|_| e)?
                        }
                        other => other?,
                    };
                    was_idle = false;
                }
                Step::Become(state) => {
                    let (queue, snapshot) = (&self.settings.queue, row.custom_snapshot.as_ref());
                    let from = row.merge_state;
                    if !sync::move_state(&*session.target, queue, &self.table, from, snapshot, state).await? {
                        continue;
                    }
                    tracing::info!(table = self.table, %state, "table state");
                    self.bell.ring();
                    if state == MergeState::Ok {
                        return self.finish(session).await;
                    }
                }
                Step::Hold => self.ear.wait(Duration::from_secs(1)).await,
                Step::Retire => return self.leave(&session.target).await,
                Step::Load | Step::Leave => {}
                Step::Refuse(contradiction) => return Err(refusal(&self.table, contradiction)),
            }
        }
    }

    async fn is_worker_source(&self, session: &Session) -> Result<bool> {
        let worker =
            cascade::consumer_state(&*session.target, &self.settings.queue, &self.settings.consumer).await?;
        Ok(worker.provider_node == session.source.node)
    }

    /// The next batch that is not applied yet; one that is applied but was not finished is finished here.
    async fn next_batch(&self, session: &Session) -> Result<Option<BatchInfo>> {
        let limits = BatchLimits::default();
        loop {
            let source = &*session.source.connection;
            let Some(batch) =
                batch::next_batch(source, &self.settings.queue, &self.application, &limits).await?
            else {
                return Ok(None);
            };
            if batch.prev_tick_id == session.completed {
                return Ok(Some(batch));
            }
            if batch.tick_id != session.completed {
                return Err(Error::data(format!(
                    "lost position of the copy of {}: batch {}..{}, applied up to {}",
                    self.table, batch.prev_tick_id, batch.tick_id, session.completed
                ))
                .hint("copy the table again with \"londiste INI resync TABLE\""));
            }
            batch::finish_batch(source, batch.batch_id).await?;
        }
    }

    async fn load(&self, session: &mut Session, row: &TableRow) -> Result<()> {
        let source_table = loop {
            match source::is_complete(&session.source, &self.settings.queue, &self.table).await? {
                Some(name) => break name,
                None => {
                    tracing::info!(
                        table = self.table,
                        node = session.source.node,
                        "waiting until the table is complete on the source"
                    );
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        };
        let handler = handler::build(row.attrs.handler())?;
        // The styles of this session differ from those of the one that reads events.
        let rows = source::reopen(
            &self.settings,
            &self.sessions,
            &session.target,
            &session.source.node,
            &self.application,
        )
        .await?;
        session::prepare_rows(&*rows.connection).await?;
        self.progress.restart(0, 0);
        let ranged = RangeLoad {
            settings: &self.settings,
            row,
            source_node: &session.source.node,
            source_table: &source_table,
            filtered: handler.condition().is_some(),
            application: &self.application,
            beside: &session.source.connection,
            role: session.role,
            progress: &self.progress,
        };
        let watch = report_progress(&self.table, &self.progress);
        let done = tokio::select! {
            done = ranges::load(&rows.connection, &session.target, &ranged) => done?,
            () = watch => return Err(Error::new(ErrorKind::Internal, "the progress report ended")),
        };
        if done {
            return self.poke(session).await.map(drop);
        }
        let Some(row) = &self.row(&session.target).await? else { return Ok(()) };
        let task = Load {
            queue: &self.settings.queue,
            row,
            source_table: &source_table,
            condition: handler.condition(),
            lock_timeout: self.settings.lock_timeout,
            beside: &session.source.connection,
            progress: &self.progress,
        };
        let watch = report_progress(&self.table, &self.progress);
        let loaded = tokio::select! {
            loaded = load(&rows.connection, &session.target, &task) => loaded?,
            () = watch => return Err(Error::new(ErrorKind::Internal, "the progress report ended")),
        };
        self.sessions.keep_source(rows);
        tracing::debug!(table = self.table, rows = loaded.rows, snapshot = %loaded.snapshot, "loaded");
        self.poke(session).await.map(drop)
    }

    /// Asks for a tick; returns whether there is one now.
    async fn poke(&self, session: &Session) -> Result<bool> {
        source::poke(&self.settings, &session.source.connection, &self.application).await
    }

    /// Applies one batch: rows, position and the end of the snapshot commit together.
    async fn apply(
        &self,
        session: &mut Session,
        batch: &BatchInfo,
        row: &TableRow,
        first: Option<Snapshot>,
        single: bool,
        deferred: bool,
    ) -> Result<Counts> {
        let settings = &*self.settings;
        let (source, target) = (&*session.source.connection, &*session.target);
        let mut routes = Routes::to(std::iter::once(row))?;
        let single = single || first.is_some();
        if let Some(first) = first {
            routes.repeat_from(&self.table, first);
        }
        let filter = format!("ev_extra1 = {}", quote::literal(&self.table));
        cascade::begin_batch(target, &settings.queue, &self.application, batch.prev_tick_id).await?;
        if deferred {
            target.batch_execute(session::DEFER).await?;
        }
        let mut events = batch::events(source, batch.batch_id, Some(&filter)).await?;
        let mut applier = Applier::new(target, &mut session.tables, single);
        while let Some(event) = applier.next_of(&mut events).await? {
            routes.replay(&mut applier, &event?).await?;
        }
        applier.flush().await?;
        let counts = applier.counts();
        cascade::set_consumer_completed(target, &settings.queue, &self.application, batch.tick_id).await?;
        if let Some(taken) = &row.custom_snapshot
            && let Some(tick) = snapshot::of_tick(source, &settings.queue, batch.tick_id).await?
            && taken.is_superseded_by(&tick)
        {
            ranges::forget(target, &settings.queue, &self.table).await?;
            sync::forget_snapshot(target, &settings.queue, &self.table, row.merge_state).await?;
        }
        target.batch_execute("commit").await?;
        session.completed = batch.tick_id;
        self.progress.set_stuck(false);
        batch::finish_batch(source, batch.batch_id).await?;
        if counts.total() > 0 {
            tracing::debug!(
                table = self.table,
                tick = batch.tick_id,
                changes = counts.total(),
                "copy caught up a batch"
            );
        }
        Ok(counts)
    }

    async fn finish(&self, session: &Session) -> Result<Ended> {
        position::retire(&self.settings, &session.source.connection, &session.target, &self.table).await?;
        // The table is handed over; statistics come by themselves later if this fails.
        if let Err(e) = statistics::gather(&session.target, &self.settings.queue, &self.table).await {
            tracing::warn!(table = self.table, error = e.chain(), "cannot analyze what was copied");
        }
        Ok(Ended::HandedOver)
    }
}

/// Logs how a long load proceeds; never ends.
async fn report_progress(table: &str, progress: &Progress) {
    let every = Duration::from_secs(30);
    let mut before = 0;
    loop {
        tokio::time::sleep(every).await;
        let (rows, bytes) = (progress.rows(), progress.bytes());
        let per_second = bytes.saturating_sub(before) / every.as_secs();
        tracing::info!(table, rows, bytes, bytes_per_second = per_second, "copying");
        before = bytes;
    }
}

/// The error for a stored state that contradicts the protocol.
pub(crate) fn refusal(table: &str, contradiction: Contradiction) -> Error {
    let text = match contradiction {
        Contradiction::CopyPastHandOver { agreed, at } => {
            format!("table {table}: the copy stands at tick {at}, past the hand-over at {agreed}")
        }
        Contradiction::WorkerPastHandOver { agreed, at } => {
            format!("table {table}: the worker stands at tick {at}, past the hand-over at {agreed}")
        }
    };
    Error::state(text).hint("copy the table again with \"londiste INI resync TABLE\"")
}
