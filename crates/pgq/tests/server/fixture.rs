//! Databases with a queue, and the small steps that tests take on it.

use anyhow::{Context, Result};
use pgq::batch::{self, BatchInfo, BatchLimits};
use pgq::consumer::Consumer;
use pgq::{Event, NewEvent, producer, queue};
use skytools::db::ConnectString;
use testkit::TestDb;
use tokio_postgres::Client;

/// Which SQL the queue runs on.
#[derive(Debug, Clone, Copy)]
pub enum Schema {
    /// `sql/pgq` of this project.
    Ours,
    /// The extension `pgq` as Debian packages it.
    Original,
}

/// The name of every test queue; quotes and spaces must not matter anywhere.
pub const QUEUE: &str = "it's a \"queue\"";
/// The name of every test consumer.
pub const CONSUMER: &str = "the 'consumer'";

/// A database with the queue and the registered consumer, and a connection to it.
pub struct Fixture {
    pub db: TestDb,
    pub client: Client,
}

impl Fixture {
    pub async fn new(schema: Schema) -> Result<Fixture> {
        let db = match schema {
            Schema::Ours => testkit::database().await?,
            Schema::Original => {
                testkit::debian_originals()?;
                let db = testkit::empty_database().await?;
                db.psql("create extension pgq").context("the original extension")?;
                db
            }
        };
        let client = db.connect().await?;
        assert!(queue::create_queue(&client, QUEUE).await?);
        assert!(queue::register_consumer(&client, QUEUE, CONSUMER).await?);
        Ok(Fixture { db, client })
    }

    pub fn connect_string(&self) -> Result<ConnectString> {
        Ok(ConnectString::parse(self.db.connstr())?)
    }

    pub fn consumer(&self) -> Result<Consumer> {
        Ok(Consumer::new(self.connect_string()?, QUEUE, CONSUMER))
    }

    /// Makes a tick, whatever the thresholds say.
    pub async fn tick(&self) -> Result<i64> {
        queue::force_tick(&self.client, QUEUE).await?;
        queue::ticker(&self.client, QUEUE).await?.context("a forced tick")
    }

    /// Writes events whose data are `0..count`, and a tick after them.
    pub async fn numbered(&mut self, count: usize) -> Result<()> {
        let events = (0..count).map(|n| NewEvent::new("n", n.to_string()));
        producer::insert_events(&mut self.client, QUEUE, events).await?;
        self.tick().await?;
        Ok(())
    }

    pub async fn next(&self) -> Result<BatchInfo> {
        batch::next_batch(&self.client, QUEUE, CONSUMER, &BatchLimits::default()).await?.context("a batch")
    }

    /// Opens and reads the next batch, and leaves it open.
    pub async fn read(&self) -> Result<(BatchInfo, Vec<Event>)> {
        let info = self.next().await?;
        let events = read(&self.client, info.batch_id, None).await?;
        Ok((info, events))
    }

    /// One value of a query, as text.
    pub async fn text(&self, sql: &str) -> Result<String> {
        Ok(self.client.query_one(sql, &[]).await?.try_get(0)?)
    }
}

/// All events of an open batch.
pub async fn read(client: &Client, batch_id: i64, filter: Option<&str>) -> Result<Vec<Event>> {
    let mut stream = batch::events(client, batch_id, filter).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next_event().await? {
        events.push(event);
    }
    assert_eq!(stream.received(), events.len() as u64);
    Ok(events)
}

/// The data of events.
pub fn data(events: &[Event]) -> Vec<&str> {
    events.iter().map(|e| e.data().unwrap_or("(null)")).collect()
}

/// Makes one test per schema out of an async function that takes a [`Schema`].
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod ours {
            $(#[tokio::test] async fn $name() -> anyhow::Result<()> {
                super::$name(crate::fixture::Schema::Ours).await
            })+
        }
        mod original {
            $(#[tokio::test] async fn $name() -> anyhow::Result<()> {
                super::$name(crate::fixture::Schema::Original).await
            })+
        }
    };
}
pub(crate) use on_both;
