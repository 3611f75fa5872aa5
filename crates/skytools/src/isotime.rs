//! Timestamps in ISO form, as `PostgreSQL` writes them with `DateStyle = ISO`.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};

use crate::{Error, Result};

/// Parses `YYYY-MM-DD[ T]HH:MM[:SS[.,fraction]][ ][+-HH[[:]MM]|Z]`; blanks around it do not matter.
///
/// A time without zone is taken in `default_zone`. The fraction is cut after microseconds.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) when the text has another form or names no existing time.
pub fn parse_iso(text: &str, default_zone: &TimeZone) -> Result<jiff::Timestamp> {
    let malformed = || Error::data(format!("not an ISO timestamp: {:?}", text.trim()));
    let mut scan = Scan(text.trim());
    let read = |scan: &mut Scan<'_>| -> Option<(civil::DateTime, Option<Offset>)> {
        let year = i16::try_from(scan.number(4)?).ok()?;
        let month = scan.after('-')?;
        let day = scan.after('-')?;
        scan.any(&['T', ' '])?;
        let hour = scan.small()?;
        let minute = scan.after(':')?;
        let mut second = 0;
        let mut nanosecond = 0;
        if scan.any(&[':']).is_some() {
            second = scan.small()?;
            if scan.any(&['.', ',']).is_some() {
                nanosecond = scan.fraction()?;
            }
        }
        scan.0 = scan.0.trim_start();
        let zone = scan.zone()?;
        let time = civil::DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
        scan.0.is_empty().then_some((time, zone))
    };
    let (time, zone) = read(&mut scan).ok_or_else(malformed)?;
    let zone = zone.map_or_else(|| default_zone.clone(), TimeZone::fixed);
    zone.to_timestamp(time).map_err(|e| malformed().with_source(e))
}

/// What is left to read.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    fn any(&mut self, wanted: &[char]) -> Option<char> {
        let first = self.0.chars().next().filter(|c| wanted.contains(c))?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let text = self.0.get(..digits).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
        self.0 = &self.0[digits..];
        text.parse().ok()
    }

    fn small(&mut self) -> Option<i8> {
        i8::try_from(self.number(2)?).ok()
    }

    fn after(&mut self, separator: char) -> Option<i8> {
        self.any(&[separator])?;
        self.small()
    }

    /// Digits of a fraction, in nanoseconds with microsecond precision.
    fn fraction(&mut self) -> Option<i32> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        let kept = digits.get(..6).unwrap_or(digits);
        if kept.is_empty() {
            return None;
        }
        let micros: i32 = format!("{kept:0<6}").parse().ok()?;
        Some(micros * 1000)
    }

    /// The zone; inner `None` when there is none.
    fn zone(&mut self) -> Option<Option<Offset>> {
        if self.any(&['Z', 'z']).is_some() {
            return Some(Some(Offset::UTC));
        }
        let Some(sign) = self.any(&['+', '-']) else { return Some(None) };
        let hours = i32::from(self.small()?);
        let colon = self.any(&[':']).is_some();
        let minutes = if colon || !self.0.is_empty() { i32::from(self.small()?) } else { 0 };
        let seconds = hours * 3600 + minutes * 60;
        Offset::from_seconds(if sign == '-' { -seconds } else { seconds })
            .ok()
            .filter(|_| minutes < 60)
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> Option<i64> {
        parse_iso(text, &TimeZone::UTC).ok().map(jiff::Timestamp::as_microsecond)
    }

    #[test]
    fn forms() {
        let base = 1_117_630_859_000_000;
        assert_eq!(micros("2005-06-01 15:00:59.5 +02"), Some(base + 500_000));
        assert_eq!(micros(" 2005-06-01T15:00:59,5+02:00 "), Some(base + 500_000));
        assert_eq!(micros("2005-06-01 13:00:59Z"), Some(base));
        assert_eq!(micros("2005-06-01 13:00:59"), Some(base));
        assert_eq!(micros("2005-06-01 13:00"), Some(base - 59_000_000));
        assert_eq!(micros("2005-06-01 07:30:59-0530"), Some(base));
        assert_eq!(micros("2005-06-01 13:00:59.123456789"), Some(base + 123_456));
        for bad in [
            "",
            "2005-06-01",
            "2005-13-01 00:00",
            "2005-06-01 24:00",
            "2005-06-01 13:00:59.",
            "05-06-01 13:00",
            "2005-06-01 13:00 +2",
            "2005-06-01 13:00 +02:",
            "2005-06-01 13:00 +02:75",
            "2005-06-01 13:00x",
        ] {
            assert_eq!(micros(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,+Zzü -]{0,24}") {
            if let Some(value) = micros(&text) {
                prop_assert!(value != i64::MIN);
            }
        }
    }
}
