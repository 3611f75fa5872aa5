//! Waking the other party early. The stored rows stay the truth: a missed ring costs time, never data.

use std::time::Duration;

use tokio::sync::watch;

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
