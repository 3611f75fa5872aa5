//! Events as rows of a binary COPY. No I/O. Format: PostgreSQL documentation, "COPY", "Binary Format".

use bytes::{BufMut, BytesMut};
use skytools::{Error, Result};

use crate::{NewEvent, Time};

/// Starts a binary COPY: signature, no flags, no header extension.
pub fn header(out: &mut BytesMut) {
    out.put_slice(b"PGCOPY\n\xff\r\n\0");
    out.put_u64(0);
}

/// Ends a binary COPY.
pub fn trailer(out: &mut BytesMut) {
    out.put_i16(-1);
}

/// One row: `ev_id` when ids are kept, then `ev_time` and the six texts.
pub fn row(out: &mut BytesMut, event: &NewEvent<'_>, with_id: bool, default_time: Time) -> Result<()> {
    out.put_i16(if with_id { 8 } else { 7 });
    match (with_id, event.id) {
        (true, Some(id)) => {
            out.put_i32(8);
            out.put_i64(id);
        }
        (false, None) => {}
        _ => return Err(Error::usage("either all events of a bulk insert carry an id, or none")),
    }
    out.put_i32(8);
    out.put_i64(event.time.unwrap_or(default_time).pg_micros());
    for text in event.texts() {
        match text {
            None => out.put_i32(-1),
            Some(text) => {
                let length = i32::try_from(text.len()).map_err(|e| {
                    Error::usage("an event text of 2 GiB or more cannot be stored").with_source(e)
                })?;
                out.put_i32(length);
                out.put_slice(text.as_bytes());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_all_or_none() {
        let mut out = BytesMut::new();
        row(&mut out, &NewEvent::empty().id(1), false, Time::UNIX_EPOCH).expect_err("unexpected id");
        row(&mut out, &NewEvent::empty(), true, Time::UNIX_EPOCH).expect_err("missing id");
    }

    #[test]
    fn nulls_have_length_minus_one() {
        let mut out = BytesMut::new();
        row(&mut out, &NewEvent::empty().data(""), false, Time::from_pg_micros(5)).expect("valid");
        let mut expected = BytesMut::new();
        expected.put_i16(7);
        expected.put_i32(8);
        expected.put_i64(5);
        for length in [-1, 0, -1, -1, -1, -1] {
            expected.put_i32(length);
        }
        assert_eq!(out, expected);
    }
}
