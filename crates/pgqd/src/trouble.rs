//! What to do about a failure: tell it once per reason, and wait longer each time.

use std::time::Duration;

use skytools::{Error, ErrorKind};

/// The first and the longest wait after a failed or broken connection.
const CONNECT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Repetitions of one failure are told again after this many, so that a log of today shows what lasts.
const REMIND_AFTER: u32 = 360;

/// The failures of one loop. A new reason is logged as a warning or error, its repetitions only as debug lines, and
/// the end of the trouble as an information.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// Names the database and the job in every line.
    subject: String,
    reason: Option<String>,
    repetitions: u32,
    connect_wait: Duration,
}

impl Trouble {
    pub fn new(subject: String) -> Self {
        Trouble { subject, reason: None, repetitions: 0, connect_wait: CONNECT.0 }
    }

    /// Logs a failure. Returns how long to wait: growing from a second to a minute for connections, `otherwise` for
    /// errors that the server reported.
    pub fn met(&mut self, error: &Error, otherwise: Duration) -> Duration {
        self.tell(error);
        if !matches!(error.kind(), ErrorKind::Connection | ErrorKind::Transient) {
            return otherwise;
        }
        let wait = self.connect_wait;
        self.connect_wait = (wait * 2).min(CONNECT.1);
        wait
    }

    /// Logs a failure, once per reason.
    pub fn tell(&mut self, error: &Error) {
        let reason = error.chain();
        if self.reason.as_ref() == Some(&reason) && self.repetitions < REMIND_AFTER {
            self.repetitions += 1;
            tracing::debug!("{}: {reason} (again)", self.subject);
            return;
        }
        self.repetitions = 0;
        let subject = &self.subject;
        match (error.kind(), error.hint_text()) {
            (ErrorKind::Connection | ErrorKind::Transient, _) => tracing::warn!("{subject}: {reason}"),
            (_, Some(hint)) => tracing::error!(hint, "{subject}: {reason}"),
            (_, None) => tracing::error!("{subject}: {reason}"),
        }
        self.reason = Some(reason);
    }

    /// Everything worked.
    pub fn over(&mut self) {
        self.connect_wait = CONNECT.0;
        if self.reason.take().is_some() {
            tracing::info!("{}: works again", self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_for_connections_only() {
        let mut trouble = Trouble::new("[db]: ticker".to_owned());
        let refused = Error::new(ErrorKind::Connection, "refused");
        let waits: Vec<u64> = (0..8).map(|_| trouble.met(&refused, Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(trouble.met(&Error::data("bad"), Duration::from_secs(10)).as_secs(), 10);
        trouble.over();
        assert_eq!(trouble.met(&refused, Duration::ZERO).as_secs(), 1);
    }
}
