//! Decoder of `COPY … (FORMAT binary)` with the ten columns of a batch. No I/O.
//!
//! Format: PostgreSQL documentation, "COPY", section "Binary Format". A signature, flags and a header extension;
//! then per row a column count and per column a length (-1 is NULL) and that many bytes; then a count of -1.

use bytes::{Buf, Bytes, BytesMut};
use skytools::{Error, Result};

use crate::event::{Event, TEXT_FIELDS};
use crate::time::Time;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the header extension.
const HEADER: usize = SIGNATURE.len() + 8;
const COLUMNS: i16 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Header,
    Row,
    Nothing,
}

/// Turns pieces of a binary COPY into events, however the pieces are cut.
#[derive(Debug)]
pub struct Decoder {
    expect: Expect,
    /// What was received and not yet decoded.
    input: Bytes,
}

impl Decoder {
    /// A decoder at the start of a COPY.
    pub fn new() -> Self {
        Decoder { expect: Expect::Header, input: Bytes::new() }
    }

    /// Adds the next piece. The server sends one row per piece, so almost always nothing is copied here.
    pub fn push(&mut self, piece: Bytes) {
        if self.input.is_empty() {
            self.input = piece;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + piece.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&piece);
            self.input = joined.freeze();
        }
    }

    /// The next complete event, or `None` when more input is needed or the COPY is over.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        if self.expect == Expect::Header && !self.header()? {
            return Ok(None);
        }
        match self.expect {
            Expect::Header => Ok(None),
            Expect::Row => self.row(),
            Expect::Nothing if self.input.is_empty() => Ok(None),
            Expect::Nothing => Err(Error::data("the server sent data after the end of a binary COPY")),
        }
    }

    /// Whether the end marker has been seen and nothing is left.
    pub fn is_complete(&self) -> bool {
        self.expect == Expect::Nothing && self.input.is_empty()
    }

    fn header(&mut self) -> Result<bool> {
        let Some(header) = self.input.get(..HEADER) else { return Ok(false) };
        if !header.starts_with(SIGNATURE) {
            return Err(Error::data("the server did not send a binary COPY"));
        }
        let mut rest = &header[SIGNATURE.len()..];
        let flags = rest.get_u32();
        if flags & 0xffff_0000 != 0 {
            return Err(Error::data(format!("binary COPY with unknown critical flags {flags:#x}")));
        }
        let extension = rest.get_u32() as usize;
        if self.input.len() < HEADER + extension {
            return Ok(false);
        }
        self.input.advance(HEADER + extension);
        self.expect = Expect::Row;
        Ok(true)
    }

    fn row(&mut self) -> Result<Option<Event>> {
        let mut at = Cursor { bytes: &self.input, pos: 0 };
        let Some(columns) = at.i16() else { return Ok(None) };
        if columns == -1 {
            self.input.advance(2);
            self.expect = Expect::Nothing;
            return self.next_event();
        }
        if columns != COLUMNS {
            return Err(Error::data(format!(
                "the query of a batch returned {columns} columns, expected {COLUMNS}"
            ))
            .hint("the text of pgq.batch_event_sql is not that of PgQ 3; run `skytools verify`"));
        }
        let Some(id) = at.field()? else { return Ok(None) };
        let Some(time) = at.field()? else { return Ok(None) };
        let Some(txid) = at.field()? else { return Ok(None) };
        let Some(retry) = at.field()? else { return Ok(None) };
        let mut texts: [Option<std::ops::Range<usize>>; TEXT_FIELDS] = [const { None }; TEXT_FIELDS];
        for text in &mut texts {
            let Some(range) = at.field()? else { return Ok(None) };
            *text = range;
        }
        let id = at.fixed::<8>(id.as_ref(), "ev_id")?.map(i64::from_be_bytes);
        let Some(id) = id else { return Err(Error::data("an event has a NULL ev_id")) };
        let null = |column: &str| Error::data(format!("event {id}: {column} is NULL"));
        let time = at
            .fixed::<8>(time.as_ref(), "ev_time")?
            .map(i64::from_be_bytes)
            .ok_or_else(|| null("ev_time"))?;
        let txid = at
            .fixed::<8>(txid.as_ref(), "ev_txid")?
            .map(i64::from_be_bytes)
            .ok_or_else(|| null("ev_txid"))?;
        let retry = at.fixed::<4>(retry.as_ref(), "ev_retry")?.map(i32::from_be_bytes);
        let length = at.pos;
        let row = self.input.split_to(length);
        Event::from_parts(id, Time::from_pg_micros(time), txid, retry, row, &texts).map(Some)
    }
}

/// Reads a row without consuming it: an incomplete row is read again when more has come.
struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

type Field = Option<std::ops::Range<usize>>;

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let raw = self.bytes.get(self.pos..self.pos + N)?.try_into().ok()?;
        self.pos += N;
        Some(raw)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    /// `None`: incomplete. `Some(None)`: NULL.
    fn field(&mut self) -> Result<Option<Field>> {
        let Some(length) = self.take().map(i32::from_be_bytes) else { return Ok(None) };
        if length == -1 {
            return Ok(Some(None));
        }
        let length = usize::try_from(length)
            .map_err(|_| Error::data(format!("binary COPY with a field length of {length}")))?;
        let start = self.pos;
        if self.bytes.len() - start < length {
            return Ok(None);
        }
        self.pos += length;
        Ok(Some(Some(start..start + length)))
    }

    fn fixed<const N: usize>(
        &self,
        field: Option<&std::ops::Range<usize>>,
        column: &str,
    ) -> Result<Option<[u8; N]>> {
        let Some(range) = field else { return Ok(None) };
        self.bytes[range.clone()].try_into().map(Some).map_err(|_| {
            Error::data(format!("{column} has {} bytes, expected {N}", range.len()))
                .hint("the event tables do not have the column types of PgQ 3; run `skytools verify`")
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;

    use super::*;

    fn header() -> BytesMut {
        let mut out = BytesMut::from(SIGNATURE);
        out.put_u32(0);
        out.put_u32(0);
        out
    }

    fn row(out: &mut BytesMut, id: i64, retry: Option<i32>, texts: [Option<&[u8]>; TEXT_FIELDS]) {
        out.put_i16(COLUMNS);
        for value in [id, 1000 + id, 2000 + id] {
            out.put_i32(8);
            out.put_i64(value);
        }
        match retry {
            Some(n) => {
                out.put_i32(4);
                out.put_i32(n);
            }
            None => out.put_i32(-1),
        }
        for text in texts {
            match text {
                Some(text) => {
                    out.put_i32(i32::try_from(text.len()).expect("short"));
                    out.put_slice(text);
                }
                None => out.put_i32(-1),
            }
        }
    }

    fn sample() -> Bytes {
        let mut out = header();
        row(&mut out, 1, None, [Some(b"t"), Some(b""), None, None, None, Some("\u{1F600}".as_bytes())]);
        row(&mut out, 2, Some(3), [None; TEXT_FIELDS]);
        out.put_i16(-1);
        out.freeze()
    }

    fn decode(pieces: impl Iterator<Item = Bytes>) -> Result<(Vec<Event>, bool)> {
        let mut decoder = Decoder::new();
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.next_event()? {
                events.push(event);
            }
        }
        Ok((events, decoder.is_complete()))
    }

    #[test]
    fn any_cut_gives_the_same_events() {
        let all = sample();
        for size in 1..=all.len() {
            let pieces = (0..all.len()).step_by(size).map(|i| all.slice(i..all.len().min(i + size)));
            let (events, complete) = decode(pieces).expect("valid");
            assert!(complete, "size {size}");
            assert_eq!(events.len(), 2);
            assert_eq!((events[0].id(), events[0].time().pg_micros(), events[0].txid()), (1, 1001, 2001));
            assert_eq!(events[0].texts(), [Some("t"), Some(""), None, None, None, Some("\u{1F600}")]);
            assert_eq!((events[1].retry(), events[1].texts()), (Some(3), [None; TEXT_FIELDS]));
        }
    }

    #[test]
    fn a_cut_off_copy_is_not_complete() {
        let all = sample();
        for end in 0..all.len() {
            let (_, complete) = decode(std::iter::once(all.slice(..end))).expect("a prefix is no error");
            assert!(!complete, "prefix of {end} bytes");
        }
    }

    #[test]
    fn malformed_input_is_an_error_never_a_panic() {
        let mut wrong_count = header();
        wrong_count.put_i16(9);
        let mut bad_length = header();
        bad_length.put_i16(COLUMNS);
        bad_length.put_i32(-7);
        let mut short_id = header();
        short_id.put_i16(COLUMNS);
        short_id.put_i32(4);
        short_id.put_i32(1);
        for _ in 0..9 {
            short_id.put_i32(-1);
        }
        let mut after_end = BytesMut::from(&sample()[..]);
        after_end.put_u8(0);
        let text = BytesMut::from(&b"1\t2\t3 and more text than a header has\n"[..]);
        for bad in [wrong_count, bad_length, short_id, after_end, text] {
            decode(std::iter::once(bad.freeze())).expect_err("malformed");
        }
    }

    #[test]
    fn every_single_byte_change_is_survived() {
        let all = sample();
        for position in 0..all.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut bytes = BytesMut::from(&all[..]);
                bytes[position] ^= change;
                // Any result is fine; a panic or an endless loop is not.
                drop(decode(std::iter::once(bytes.freeze())));
            }
        }
    }
}
