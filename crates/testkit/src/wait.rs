//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A deadline that only a hang reaches, for conditions that are expected within a second or two.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `probe` until it returns a value. An error counts as "not yet" (a server that restarts refuses
/// connections) and is told when the deadline passes.
pub async fn wait_for<T, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + limit;
    let mut earlier = String::new();
    loop {
        let error = match tokio::time::timeout_at(deadline.into(), probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => String::new(),
            Ok(Err(error)) => format!("; last error: {error:?}"),
            Err(_) => format!("{earlier} (the last look took to the end)"),
        };
        if Instant::now() >= deadline {
            bail!("{what}: not within {limit:?}{error}");
        }
        earlier = error;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
