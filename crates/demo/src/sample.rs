//! What the demonstration measures while it runs: events written, events replayed, lag.

use std::time::{Duration, Instant};

use skytools::db::Connection;
use skytools::{Error, Result};

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

/// Takes samples over two connections of its own.
pub struct Sampler {
    source: Connection,
    target: Connection,
    queue: String,
    began: Instant,
    samples: Vec<Sample>,
}

impl Sampler {
    /// A sampler whose clock starts now.
    pub fn new(source: Connection, target: Connection, queue: &str) -> Self {
        Sampler { source, target, queue: queue.to_owned(), began: Instant::now(), samples: Vec::new() }
    }

    /// Looks at both sides and keeps what it sees.
    ///
    /// # Errors
    /// What the servers say.
    pub async fn take(&mut self) -> Result<Option<Sample>> {
        let row = self.target.query_one(TARGET_SQL, &[&self.queue]).await?;
        let tick: Option<i64> = row.get(0);
        let Some(tick) = tick else { return Ok(None) };
        let Some(row) = self.source.query_opt(SOURCE_SQL, &[&self.queue, &tick]).await? else {
            return Ok(None);
        };
        let sample = Sample {
            at: self.began.elapsed().as_secs_f64(),
            written: row.get(0),
            replayed: row.get(1),
            lag: row.get::<_, f64>(2).max(0.0),
        };
        self.samples.push(sample);
        Ok(Some(sample))
    }

    /// Waits until the target has replayed everything that the queue holds now.
    ///
    /// # Errors
    /// What the servers say, or that `limit` has passed.
    pub async fn wait_caught_up(&mut self, limit: Duration, mut seen: impl FnMut(&Sample)) -> Result<()> {
        let row = self.source.query_one("select pgq.force_tick($1)", &[&self.queue]).await?;
        let before: Option<i64> = row.get(0);
        let deadline = Instant::now() + limit;
        loop {
            if let Some(sample) = self.take().await? {
                seen(&sample);
            }
            let row = self.target.query_one(TARGET_SQL, &[&self.queue]).await?;
            // Strictly newer than the tick before the request: that tick closed after the last event.
            if row.get::<_, Option<i64>>(0) > before {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::state(format!(
                    "the target did not catch up within {} s",
                    limit.as_secs()
                ))
                .hint("read worker-target.log; run again with --keep to look at both servers"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Everything seen so far.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
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
