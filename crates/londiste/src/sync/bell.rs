//! Waking the other party early. The stored rows stay the truth: a missed ring costs time, never data.
//!
//! Parties of one process share a [`Bell`]. Commands, which are processes of their own, ring by NOTIFY.

use std::time::Duration;

use skytools::Result;
use skytools::db::Connection;
use tokio::sync::watch;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

/// The channel of all queues; the payload names the queue.
const LISTEN: &str = "listen londiste";
const NOTIFY: &str = "select pg_catalog.pg_notify('londiste', $1)";

/// Tells the worker of this database's node, when the transaction commits, that its tables have changed.
///
/// # Errors
/// Whatever the server reports.
pub async fn ring_worker<C: GenericClient + Sync>(client: &C, queue: &str) -> Result<()> {
    client.query_typed(NOTIFY, &[(&queue, Type::TEXT)]).await?;
    Ok(())
}

/// Rung by whoever has changed a table's state; everybody else looks again.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<u64>);

/// One party's ear for the bell.
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Default for Bell {
    fn default() -> Self {
        Bell(watch::channel(0).0)
    }
}

impl Bell {
    /// A new bell.
    pub fn new() -> Self {
        Bell::default()
    }

    /// Tells all listeners that something has changed.
    pub fn ring(&self) {
        self.0.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// From now on, as long as the connection lasts, [`ring_worker`] of other sessions rings this bell.
    ///
    /// # Errors
    /// Whatever the server reports.
    pub async fn follow(&self, connection: &mut Connection, queue: &str) -> Result<()> {
        connection.batch_execute(LISTEN).await?;
        if let Some(mut notifications) = connection.take_notifications() {
            let (bell, queue) = (self.clone(), queue.to_owned());
            tokio::spawn(async move {
                while let Some(notification) = notifications.recv().await {
                    if notification.payload() == queue {
                        bell.ring();
                    }
                }
            });
        }
        Ok(())
    }

    /// A listener; it hears what is rung from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// Waits for a ring, at most this long. A ring since the last wait returns at once.
    pub async fn wait(&mut self, at_most: Duration) {
        // The sender lives in the worker; when it is gone the wait simply takes its full time.
        if let Ok(Err(_)) = tokio::time::timeout(at_most, self.0.changed()).await {
            tokio::time::sleep(at_most).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ring_before_the_wait_is_heard() {
        let bell = Bell::new();
        let mut ear = bell.listen();
        bell.ring();
        let begun = std::time::Instant::now();
        ear.wait(Duration::from_secs(60)).await;
        ear.wait(Duration::from_millis(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
