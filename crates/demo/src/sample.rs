//! What the demonstration measures while it runs: events written, events replayed, lag.

use std::time::{Duration, Instant};

use skytools::db::Connection;
use skytools::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One look at both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Seconds since the load began.
    pub at: f64,
    /// Events written to the queue so far (position of the event sequence).
    pub written: i64,
    /// Events that the target has replayed so far (the same sequence, at the last completed tick).
    pub replayed: i64,
    /// Age of the oldest event that is not replayed yet, in seconds; 0 when there is none.
    pub lag: f64,
}

/// A rate between two samples, in events per second.
pub fn rate(earlier: i64, later: i64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for a drawing")]
    let events = (later - earlier).max(0) as f64;
    if seconds > 0.0 { events / seconds } else { 0.0 }
}

/// The newest position of the queue, and its age. The event sequence also moves by `force_tick`; the plot
/// shows positions, the rates are what the load makes of them.
const SOURCE_SQL: &str = "
    select pgq.seq_getval(q.queue_event_seq) as written,
           t.tick_event_seq as replayed,
           case when pgq.seq_getval(q.queue_event_seq) > t.tick_event_seq
                then extract(epoch from clock_timestamp() - t.tick_time)::float8 else 0 end as lag
      from pgq.queue q join pgq.tick t on t.tick_queue = q.queue_id
     where q.queue_name = $1 and t.tick_id = $2";

const TARGET_SQL: &str = "select completed_tick from pgq_node.get_worker_state($1)";

/// Takes samples in the background, over two connections of its own, from the moment it is started.
pub struct Sampler {
    latest: watch::Receiver<Option<Sample>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<Vec<Sample>>>,
}

impl Sampler {
    /// Starts the clock and the sampling, ten times a second.
    pub fn start(source: Connection, target: Connection, queue: &str) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let (tell, latest) = watch::channel(None);
        let queue = queue.to_owned();
        let task = tokio::spawn(async move {
            let began = Instant::now();
            let mut samples = Vec::new();
            while !*stopped.borrow() {
                if let Some(sample) = take(&source, &target, &queue, began).await? {
                    samples.push(sample);
                    tell.send_replace(Some(sample));
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    _ = stopped.changed() => {}
                }
            }
            Ok(samples)
        });
        Sampler { latest, stop, task }
    }

    /// The newest sample.
    ///
    /// # Errors
    /// The sampling has broken; [`Sampler::finish`] says why.
    pub fn latest(&self) -> Result<Option<Sample>> {
        if self.task.is_finished() {
            return Err(Error::state("watching both servers has broken")
                .hint("run again with --keep and read the servers' logs"));
        }
        Ok(*self.latest.borrow())
    }

    /// Ends the sampling and returns everything seen.
    ///
    /// # Errors
    /// What the servers said.
    pub async fn finish(self) -> Result<Vec<Sample>> {
        self.stop.send_replace(true);
        self.task.await.map_err(|e| Error::new(ErrorKind::Internal, "the sampler broke").with_source(e))?
    }
}

async fn take(
    source: &Connection,
    target: &Connection,
    queue: &str,
    began: Instant,
) -> Result<Option<Sample>> {
    let row = target.query_one(TARGET_SQL, &[&queue]).await?;
    let tick: Option<i64> = row.get(0);
    let Some(tick) = tick else { return Ok(None) };
    let Some(row) = source.query_opt(SOURCE_SQL, &[&queue, &tick]).await? else { return Ok(None) };
    Ok(Some(Sample {
        at: began.elapsed().as_secs_f64(),
        written: row.get(0),
        replayed: row.get(1),
        lag: row.get::<_, f64>(2).max(0.0),
    }))
}

/// Waits until the target has replayed everything that the queue holds now; `each` is called every 200 ms.
///
/// # Errors
/// What the servers say, or that `limit` has passed.
pub async fn wait_caught_up(
    source: &Connection,
    target: &Connection,
    queue: &str,
    limit: Duration,
    mut each: impl FnMut() -> Result<()>,
) -> Result<()> {
    let row = source.query_one("select pgq.force_tick($1)", &[&queue]).await?;
    let before: Option<i64> = row.get(0);
    let deadline = Instant::now() + limit;
    loop {
        each()?;
        let row = target.query_one(TARGET_SQL, &[&queue]).await?;
        // Strictly newer than the tick before the request: that tick closed after the last event.
        if row.get::<_, Option<i64>>(0) > before {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::state(format!("the target did not catch up within {} s", limit.as_secs()))
                .hint("run again with --keep and read worker-target.log"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn rate_is_per_second_and_never_negative() {
        assert!((rate(100, 300, 2.0) - 100.0).abs() < f64::EPSILON);
        assert!(rate(300, 100, 2.0).abs() < f64::EPSILON);
        assert!(rate(0, 100, 0.0).abs() < f64::EPSILON);
    }
}
