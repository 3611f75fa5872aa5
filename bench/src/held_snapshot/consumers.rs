//! The consumers of one database, one session for all of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use tokio_postgres::Statement;

use super::Kind;
use crate::session::Session;

/// Consumers, and the producer and ticker that they follow.
pub struct Consumers {
    kind: Kind,
    names: Vec<String>,
    /// Whose turn it is, where they share the batches.
    turn: Cell<usize>,
    session: Session,
    insert: Statement,
    tick: Statement,
    next: Statement,
    finish: Statement,
    /// Looking at and moving a position in a node.
    position: Option<(Statement, Statement)>,
}

impl Consumers {
    /// Creates the queue and registers this many consumers.
    ///
    /// # Errors
    /// The server refuses.
    pub fn open(cluster: &Cluster, db: &str, kind: Kind, count: u32) -> Result<Consumers> {
        let names: Vec<String> = (1..=count).map(|n| format!("consumer{n}")).collect();
        let mut setup = match kind {
            Kind::Plain | Kind::Cooperative => "select pgq.create_queue('q');".to_owned(),
            Kind::Cascaded => "select pgq_node.register_location('q', 'root', 'dbname=x', false);
                 select pgq_node.create_node('q', 'root', 'root', 'worker', null, null, null);"
                .to_owned(),
        };
        for name in &names {
            setup += &match kind {
                Kind::Plain => format!("select pgq.register_consumer('q', '{name}');"),
                Kind::Cooperative => format!("select pgq_coop.register_subconsumer('q', 'main', '{name}');"),
                Kind::Cascaded => format!(
                    "select pgq.register_consumer('q', '{name}'), pgq_node.register_consumer('q', '{name}', 'root', 1);"
                ),
            };
        }
        // Every loop ticks, and event tables rotate as long as the snapshot is held.
        setup += "update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '0', queue_rotation_period = '1 minute'";
        cluster.psql(db, &setup)?;
        let session = Session::open(cluster, db)?;
        let prepare = |sql| session.runtime.block_on(session.connection.prepare(sql));
        let (next, finish) = match kind {
            Kind::Plain | Kind::Cascaded => ("select pgq.next_batch('q', $1)", "select pgq.finish_batch($1)"),
            Kind::Cooperative => {
                ("select pgq_coop.next_batch('q', 'main', $1)", "select pgq_coop.finish_batch($1)")
            }
        };
        let position = match kind {
            Kind::Plain | Kind::Cooperative => None,
            Kind::Cascaded => Some((
                prepare("select ret_code from pgq_node.get_consumer_state('q', $1)")?,
                prepare("select ret_code from pgq_node.set_consumer_completed('q', $1, $2)")?,
            )),
        };
        Ok(Consumers {
            kind,
            names,
            turn: Cell::new(0),
            insert: prepare(
                "select pgq.insert_event('q', 'type', 'data') from generate_series(1, $1::int4)",
            )?,
            tick: prepare("select pgq.ticker('q')")?,
            next: prepare(next)?,
            finish: prepare(finish)?,
            position,
            session,
        })
    }

    /// As [`Session::keep_to_processor`].
    ///
    /// # Errors
    /// The system refuses.
    pub fn keep_to_processor(&self, number: usize) -> Result<()> {
        self.session.keep_to_processor(number)
    }

    /// Inserts events, ticks, and lets consumers open and finish the batch: all of them, or the one whose turn it is. Returns
    /// how many batches were finished.
    ///
    /// # Errors
    /// The server refuses; there is no batch.
    pub fn once(&self, events: i32) -> Result<u32> {
        self.session.runtime.block_on(self.go_round(events))
    }

    async fn go_round(&self, events: i32) -> Result<u32> {
        let client = &self.session.connection;
        client.query(&self.insert, &[&events]).await?;
        let tick: Option<i64> = client.query_one(&self.tick, &[]).await?.try_get(0)?;
        let tick = tick.context("no tick although events were inserted")?;
        let takers = match self.kind {
            Kind::Plain | Kind::Cascaded => &self.names[..],
            Kind::Cooperative => {
                let turn = self.turn.replace((self.turn.get() + 1) % self.names.len());
                &self.names[turn..=turn]
            }
        };
        let mut finished = 0;
        for name in takers {
            if let Some((look, _)) = &self.position {
                let code: i32 = client.query_one(look, &[name]).await?.try_get(0)?;
                ensure!(code == 100, "{name} is no consumer of the node: {code}");
            }
            let batch: Option<i64> = client.query_one(&self.next, &[name]).await?.try_get(0)?;
            let batch = batch.context("no batch although a tick was made")?;
            if let Some((_, complete)) = &self.position {
                let code: i32 = client.query_one(complete, &[name, &tick]).await?.try_get(0)?;
                ensure!(code == 100, "the position of {name} was not moved: {code}");
            }
            let done: i32 = client.query_one(&self.finish, &[&batch]).await?.try_get(0)?;
            ensure!(done == 1, "batch {batch} was not there");
            finished += 1;
        }
        Ok(finished)
    }

    /// Batches per second. Vacuum comes first, so that without a snapshot nothing old is in the way.
    ///
    /// # Errors
    /// The server refuses; there is no batch.
    pub fn rate(&self, events: i32, window: Duration) -> Result<f64> {
        self.session.execute("vacuum pgq.subscription")?;
        if self.kind == Kind::Cascaded {
            self.session.execute("vacuum pgq_node.local_state")?;
        }
        self.session.runtime.block_on(async {
            let began = Instant::now();
            let mut finished = 0;
            while began.elapsed() < window {
                finished += self.go_round(events).await?;
            }
            Ok(f64::from(finished) / began.elapsed().as_secs_f64())
        })
    }

    /// What the daemon does now and then: rotation, vacuum.
    ///
    /// # Errors
    /// The server refuses.
    pub fn maintain(&self) -> Result<()> {
        let client = &self.session.connection;
        self.session.runtime.block_on(async {
            for row in client.query("select func_name, func_arg from pgq.maint_operations()", &[]).await? {
                let (name, arg): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
                match (name.as_str(), arg) {
                    ("vacuum", Some(table)) => client.batch_execute(&format!("vacuum {table}")).await?,
                    (function, Some(arg)) => {
                        client.query(&format!("select {function}($1::text)"), &[&arg]).await.map(drop)?;
                    }
                    (function, None) => client.batch_execute(&format!("select {function}()")).await?,
                }
            }
            Ok(())
        })
    }
}
