//! Points in time exactly as the server stores them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use skytools::Error;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// Microseconds from 1970-01-01 to 2000-01-01, the zero of `timestamptz` on the wire.
const PG_EPOCH: i64 = 946_684_800_000_000;

/// A `timestamptz`: microseconds since 2000-01-01 00:00 UTC, with the server's two infinities as the extremes.
///
/// Kept in the server's own unit so that an event copied from queue to queue keeps its time exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// 1970-01-01 00:00 UTC.
    pub const UNIX_EPOCH: Time = Time(-PG_EPOCH);
    /// `infinity`.
    pub const INFINITY: Time = Time(i64::MAX);
    /// `-infinity`.
    pub const NEG_INFINITY: Time = Time(i64::MIN);

    /// From microseconds since 2000-01-01, the form of the wire.
    pub const fn from_pg_micros(micros: i64) -> Self {
        Time(micros)
    }

    /// From microseconds since 1970-01-01.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Time(micros.saturating_sub(PG_EPOCH))
    }

    /// The clock of this machine.
    pub fn now() -> Self {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Time::from_unix_micros(micros)
    }

    /// Microseconds since 2000-01-01 00:00 UTC.
    pub const fn pg_micros(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970-01-01 00:00 UTC; the infinities and the last 30 years of the server's range
    /// (after the year 294246) become the extremes of `i64`.
    pub const fn unix_micros(self) -> i64 {
        if self.0 == i64::MIN { i64::MIN } else { self.0.saturating_add(PG_EPOCH) }
    }

    /// As a calendar time; `None` for the infinities and outside the years that `jiff` knows.
    pub fn timestamp(self) -> Option<jiff::Timestamp> {
        if self == Time::INFINITY || self == Time::NEG_INFINITY {
            return None;
        }
        jiff::Timestamp::from_microsecond(self.unix_micros()).ok()
    }

    /// Seconds from `earlier` to this time, negative when it is later.
    pub fn seconds_since(self, earlier: Time) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a duration for people and statistics")]
        let micros = self.0.saturating_sub(earlier.0) as f64;
        micros / 1e6
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.timestamp()) {
            (Time::INFINITY, _) => f.write_str("infinity"),
            (Time::NEG_INFINITY, _) => f.write_str("-infinity"),
            (_, Some(timestamp)) => timestamp.fmt(f),
            (_, None) => write!(f, "{} µs since 2000-01-01", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<Time> for jiff::Timestamp {
    type Error = Error;
    fn try_from(time: Time) -> Result<Self, Error> {
        time.timestamp().ok_or_else(|| Error::data(format!("{time} is no calendar time")))
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Time::from_unix_micros(timestamp.as_microsecond())
    }
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Time(i64::from_be_bytes(raw.try_into()?)))
    }
    accepts!(TIMESTAMPTZ);
}

impl ToSql for Time {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }
    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_infinities() {
        assert_eq!(Time::from_pg_micros(0).to_string(), "2000-01-01T00:00:00Z");
        assert_eq!(Time::UNIX_EPOCH.unix_micros(), 0);
        assert_eq!(Time::from_unix_micros(1_700_000_000_000_001).unix_micros(), 1_700_000_000_000_001);
        assert_eq!(Time::INFINITY.to_string(), "infinity");
        assert_eq!(Time::NEG_INFINITY.unix_micros(), i64::MIN);
        assert!(jiff::Timestamp::try_from(Time::INFINITY).is_err());
        let now = jiff::Timestamp::now();
        assert_eq!(Time::from(now).timestamp().map(|t| t.as_microsecond()), Some(now.as_microsecond()));
    }

    #[test]
    fn seconds_between() {
        assert!((Time::from_pg_micros(1_500_000).seconds_since(Time::from_pg_micros(0)) - 1.5).abs() < 1e-9);
    }
}
