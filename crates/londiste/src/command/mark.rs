//! What a node's registration of a table knows of the stream.
//!
//! The root tells by events that a table leaves the cascade. A node that adds a table has looked at its provider's list, and an event
//! from before that look may still be on its way: the table was removed and added again (with another capture, say), and the event is
//! about the former. So the registration keeps a mark of the look.

use std::fmt;
use std::str::FromStr;

use pgq::Event;
use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::sql;
use crate::Snapshot;

/// The moment at which a node looked at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// No event had a higher number. The same on all nodes, and it outlives a move to another server.
    event: i64,
    /// Transactions of the provider that had ended: a lower number alone may be that of one which was still open.
    snapshot: Snapshot,
    /// The provider. Transactions of another one have other numbers.
    provider: String,
}

impl Mark {
    /// The present moment of a provider. `None` where it cannot be told.
    pub async fn load(provider: &Client, queue: &str, name: &str) -> Option<Self> {
        match Self::read(provider, queue, name).await {
            Ok(mark) => mark,
            Err(e) => {
                tracing::debug!(error = e.chain(), "cannot note how far the provider's events have come");
                None
            }
        }
    }

    async fn read(provider: &Client, queue: &str, name: &str) -> Result<Option<Self>> {
        let Some(row) = provider.query_typed_opt(sql::PRESENT_MOMENT, &[(&queue, Type::TEXT)]).await? else {
            return Ok(None);
        };
        let snapshot = row.try_get::<_, &str>(1)?.parse()?;
        Ok(Some(Mark { event: row.try_get(0)?, snapshot, provider: name.to_owned() }))
    }

    /// Whether the event, read from that provider, had been written by then.
    pub fn covers(&self, event: &Event, provider: Option<&str>) -> bool {
        event.id() <= self.event
            && provider == Some(self.provider.as_str())
            && self.snapshot.contains(event.txid())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.event, self.snapshot, self.provider)
    }
}

impl FromStr for Mark {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::data(format!("\"{text}\" is no mark (event/snapshot/provider)"));
        let mut parts = text.splitn(3, '/');
        let (Some(event), Some(snapshot), Some(provider)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let event = event.parse().map_err(|e| bad().with_source(e))?;
        Ok(Mark { event, snapshot: snapshot.parse()?, provider: provider.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_had_been_committed_by_then_is_covered() {
        let text = "100/20:25:22/node/1";
        let mark: Mark = text.parse().unwrap();
        assert_eq!(mark.to_string(), text);
        let new = pgq::NewEvent::default();
        let covers = |id, txid, provider| mark.covers(&Event::synthetic(id, txid, &new), provider);
        assert!(covers(100, 24, Some("node/1")));
        assert!(!covers(90, 22, Some("node/1")), "was open");
        assert!(!covers(101, 24, Some("node/1")), "of a server that was set up anew");
        assert!(!covers(90, 10, Some("node/2")) && !covers(90, 10, None));
        for text in ["", "1", "1/2", "x/1:1:/n", "1/1:/n"] {
            assert!(text.parse::<Mark>().is_err(), "{text:?}");
        }
    }
}
