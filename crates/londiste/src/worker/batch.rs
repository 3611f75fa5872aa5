//! One batch on a leaf: rows, table list, scripts and position, all in one transaction on the target.

use pgq::Event;
use pgq::batch::{self, BatchInfo};
use pgq::cascade;
use skytools::{Error, Result, quote};
use tokio_postgres::Client;

use super::execute;
use super::system::{self, Effect, Filters};
use crate::apply::session::{self, Role};
use crate::apply::{Applier, Counts, Outcome, Routes, Tables};
use crate::snapshot;
use crate::sync;
use crate::table::{MergeState, TableRow};

/// What a batch needs.
pub(super) struct Replay<'a> {
    pub queue: &'a str,
    pub consumer: &'a str,
    pub source: &'a Client,
    pub target: &'a Client,
    pub role: Role,
    pub filters: &'a Filters,
    /// Which events to fetch; all without a filter.
    pub fetch: Option<String>,
    /// Each event alone, so that an error names the exact one.
    pub single: bool,
}

/// How a batch is tried.
#[derive(Debug, Clone, Copy)]
struct How {
    /// By set, where that is possible.
    sets: bool,
    /// With deferrable constraints checked at the end.
    deferred: bool,
}

/// What a batch did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    pub events: u64,
    pub ignored: u64,
    pub counts: Counts,
    /// Tables whose snapshot has served its purpose.
    pub settled: usize,
    /// Scripts of EXECUTE. What they have left in the session goes with it.
    pub scripts: usize,
}

/// The condition of `local_only`: events of local tables, and what is not about tables.
pub(super) fn local_only(tables: &[TableRow], drop_execute: bool) -> String {
    let names: Vec<String> =
        tables.iter().filter(|t| t.local).map(|t| quote::literal(&t.table_name)).collect();
    let execute = if drop_execute { "" } else { "ev_type = 'EXECUTE' or " };
    let of_tables =
        if names.is_empty() { "false".to_owned() } else { format!("ev_extra1 in ({})", names.join(", ")) };
    format!("{execute}ev_type like 'pgq.%' or ev_type like 'londiste.%' or {of_tables}")
}

impl Replay<'_> {
    /// Applies the batch and commits. On failure the connections must be dropped.
    ///
    /// What fails when applied by set is rolled back and replayed in order, which succeeds or names the event.
    pub async fn run(&self, batch: &BatchInfo, tables: &[TableRow], cache: &mut Tables) -> Result<Done> {
        let first = self.attempt(batch, tables, cache, How { sets: !self.single, deferred: false }).await;
        let done = match first {
            Err(e) if cache.set_has_failed() => {
                if !session::roll_back(self.target).await {
                    // The first error decides how to go on: one by one, on a new connection.
                    return Err(e);
                }
                let table = cache.after_rollback(&e);
                tracing::info!(
                    table = table.as_deref().unwrap_or_default(),
                    reason = e.chain(),
                    "replaying the batch in order"
                );
                self.attempt(batch, tables, cache, How { sets: false, deferred: false }).await
            }
            other => other,
        };
        match done {
            Err(e) if self.role.may_succeed_deferred(&e) => self.with_deferred(batch, tables, cache, e).await,
            Err(e) if execute::ahead::may_help(&e) => self.with_values_ahead(batch, tables, cache, e).await,
            other => other,
        }
    }

    /// Once more, with constraints that are checked at the end; `error` stands if that does not help.
    async fn with_deferred(
        &self,
        batch: &BatchInfo,
        tables: &[TableRow],
        cache: &mut Tables,
        error: Error,
    ) -> Result<Done> {
        if !session::roll_back(self.target).await {
            return Err(error);
        }
        tracing::info!(reason = error.chain(), "replaying the batch with constraints that are deferred");
        let again = self.attempt(batch, tables, cache, How { sets: false, deferred: true }).await;
        again.map_err(|later| {
            tracing::debug!(error = later.chain(), "that does not help");
            error
        })
    }

    /// Once more, after scripts of the batch that add values to enumerated types; `error` stands if there are none.
    async fn with_values_ahead(
        &self,
        batch: &BatchInfo,
        tables: &[TableRow],
        cache: &mut Tables,
        error: Error,
    ) -> Result<Done> {
        if !session::roll_back(self.target).await {
            return Err(error);
        }
        let place = self.place(self.target, tables);
        match execute::ahead::commit(&place, self.consumer, self.source, batch).await {
            Ok(0) => Err(error.hint(execute::ahead::HINT)),
            Ok(count) => {
                tracing::info!(count, "scripts that add values to types have run ahead of their batch");
                self.attempt(batch, tables, cache, How { sets: false, deferred: false }).await
            }
            Err(later) => {
                tracing::debug!(error = later.chain(), "scripts cannot go ahead of their batch");
                Err(error.hint(execute::ahead::HINT))
            }
        }
    }

    fn place<'p>(&'p self, client: &'p Client, tables: &'p [TableRow]) -> execute::Place<'p> {
        execute::Place { client, queue: self.queue, role: self.role, tables }
    }

    async fn attempt(
        &self,
        batch: &BatchInfo,
        tables: &[TableRow],
        cache: &mut Tables,
        How { sets, deferred }: How,
    ) -> Result<Done> {
        cascade::begin_batch(self.target, self.queue, self.consumer, batch.prev_tick_id).await?;
        if deferred {
            self.target.batch_execute(session::DEFER).await?;
        }
        let mut applier = if sets {
            Applier::by_set(self.target, cache)
        } else {
            Applier::new(self.target, cache, self.single)
        };
        let played = self.play(batch, tables, &mut applier).await;
        let (mut done, reloaded) = played.inspect_err(|e| applier.note_failure(e))?;
        done.counts = applier.counts();
        if sets && tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!(tick = batch.tick_id, tables = applier.describe(), "applied");
        }
        done.settled = self.settle(batch, reloaded.as_deref().unwrap_or(tables)).await?;
        cascade::set_consumer_completed(self.target, self.queue, self.consumer, batch.tick_id).await?;
        self.target.batch_execute("commit").await?;
        Ok(done)
    }

    async fn play(
        &self,
        batch: &BatchInfo,
        tables: &[TableRow],
        applier: &mut Applier<'_>,
    ) -> Result<(Done, Option<Vec<TableRow>>)> {
        let mut done = Done::default();
        let mut reloaded: Option<Vec<TableRow>> = None;
        let mut routes = Routes::to(tables.iter().filter(|t| t.is_replayed()))?;
        let mut events = batch::events(self.source, batch.batch_id, self.fetch.as_deref()).await?;
        while let Some(event) = applier.next_of(&mut events).await? {
            let event = event?;
            done.events += 1;
            match routes.replay(applier, &event).await? {
                Outcome::Applied => {}
                Outcome::Ignored => done.ignored += 1,
                Outcome::NotARow => {
                    let client = if system::leaves_tables(&event) {
                        applier.settled().await?
                    } else {
                        applier.flush_for_ddl().await?
                    };
                    let known = reloaded.as_deref().unwrap_or(tables);
                    let effect = self.other(client, &event, known).await?;
                    if effect == Effect::Anything {
                        applier.forget();
                        done.scripts += 1;
                    }
                    if effect != Effect::None {
                        let rows = TableRow::load_all(client, self.queue).await?;
                        routes = Routes::to(rows.iter().filter(|t| t.is_replayed()))?;
                        reloaded = Some(rows);
                    }
                }
            }
        }
        applier.flush().await?;
        Ok((done, reloaded))
    }

    async fn other(&self, client: &Client, event: &Event, tables: &[TableRow]) -> Result<Effect> {
        let about = |e: Error| {
            e.context(format!(
                "[ev_id={},ev_txid={}] {}",
                event.id(),
                event.txid(),
                event.ev_type().unwrap_or("(no type)")
            ))
        };
        if event.ev_type() == Some("EXECUTE") {
            execute::execute(&self.place(client, tables), event).await.map_err(about)?;
            return Ok(Effect::Anything);
        }
        system::handle(client, self.queue, event, self.filters).await.map_err(about)
    }

    /// Forgets the snapshots of copies that no event after this batch can be in.
    async fn settle(&self, batch: &BatchInfo, tables: &[TableRow]) -> Result<usize> {
        let mut settled = 0;
        let mut tick = None;
        for row in tables.iter().filter(|t| t.is_replayed()) {
            let Some(taken) = &row.custom_snapshot else { continue };
            if tick.is_none() {
                tick = snapshot::of_tick(self.source, self.queue, batch.tick_id).await?;
            }
            if tick.as_ref().is_some_and(|tick| taken.is_superseded_by(tick)) {
                sync::forget_snapshot(self.target, self.queue, &row.table_name, MergeState::Ok).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }
}
