//! Makes a history that fails shorter: leaves out steps as long as it fails in the same way.

use std::time::{Duration, Instant};

use anyhow::Result;
use cluster::Cluster;

use crate::play;
use crate::stage::Wrong;
use crate::step::{Act, Setup, Step};

/// The shortest history found in the time given.
pub async fn shorten(
    cluster: &Cluster,
    setup: &Setup,
    steps: Vec<Step>,
    wrong: Wrong,
    limit: Duration,
) -> Result<Vec<Step>> {
    let deadline = Instant::now() + limit;
    let mut steps = steps;
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < steps.len() {
            if Instant::now() > deadline {
                return Ok(steps);
            }
            let end = (at + size).min(steps.len());
            let mut shorter = steps.clone();
            shorter.drain(at..end);
            if !matches!(shorter.last().map(|s| &s.act), Some(Act::Compare)) {
                shorter.push(Step { session: 0, act: Act::Compare });
            }
            if shorter.len() < steps.len() && fails(cluster, setup, &shorter, wrong).await {
                steps = shorter;
            } else {
                at = end;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Ok(steps)
}

/// Another error than the one looked for is none: a history with holes may fail in ways that mean nothing.
async fn fails(cluster: &Cluster, setup: &Setup, steps: &[Step], wrong: Wrong) -> bool {
    play::again(cluster, setup, steps).await.err().and_then(|e| play::wrong(&e)) == Some(wrong)
}
