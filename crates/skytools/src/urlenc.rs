//! The row encoding of `logutriga`: form encoding in which a bare key means NULL.
//!
//! `a=1&b&c=` is a = "1", b = NULL, c = "". A blank is `+`; letters, digits and `.` `_` `-` stand for themselves;
//! every other byte is `%xx`. The decoder takes hexadecimal digits of either case, skips empty elements, and splits
//! at the first `=` (the compiled decoder of the original cut the value at a second one; no encoder writes one).

use std::borrow::Cow;

use crate::{Error, Result};

/// A decoded row: names with their values, `None` for NULL, in the order of the text.
pub type Row<'a> = Vec<(Cow<'a, str>, Option<Cow<'a, str>>)>;

/// Encodes a row: pairs of name and value, `None` for NULL.
pub fn encode_row<K, V, I>(row: I) -> String
where
    K: AsRef<str>,
    V: AsRef<str>,
    I: IntoIterator<Item = (K, Option<V>)>,
{
    let mut out = String::new();
    for (index, (name, value)) in row.into_iter().enumerate() {
        if index > 0 {
            out.push('&');
        }
        encode_into(&mut out, name.as_ref());
        if let Some(value) = value {
            out.push('=');
            encode_into(&mut out, value.as_ref());
        }
    }
    out
}

/// Encodes one name or value.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    encode_into(&mut out, text);
    out
}

/// Encodes one name or value onto the end of `out`.
pub fn encode_into(out: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| !is_plain(b)) {
        out.push_str(&rest[..at]);
        let mut end = at;
        for byte in rest.bytes().skip(at).take_while(|&b| !is_plain(b)) {
            if byte == b' ' {
                out.push('+');
            } else {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            end += 1;
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
}

/// Whether the byte stands for itself. All of them are ASCII, so runs end at character boundaries.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Decodes a row into pairs in order; a name may occur more than once (the last one counts, see [`last_value`]).
///
/// Names and values without escapes borrow from the text.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): a `%` without two hexadecimal digits, or bytes that are not UTF-8.
pub fn decode_row(text: &str) -> Result<Row<'_>> {
    let mut row = Vec::with_capacity(text.bytes().filter(|b| *b == b'&').count() + 1);
    for element in text.split('&').filter(|element| !element.is_empty()) {
        row.push(match element.split_once('=') {
            Some((name, value)) => (decode(name)?, Some(decode(value)?)),
            None => (decode(element)?, None),
        });
    }
    Ok(row)
}

/// The value of a name in a decoded row: outer `None` when absent, inner when NULL.
pub fn last_value<'a>(
    row: &'a [(Cow<'_, str>, Option<Cow<'_, str>>)],
    name: &str,
) -> Option<Option<&'a str>> {
    row.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_deref())
}

/// Decodes one name or value.
///
/// # Errors
/// As [`decode_row`].
pub fn decode(text: &str) -> Result<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let Some(first) = bytes.iter().position(|b| matches!(b, b'+' | b'%')) else {
        return Ok(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'+' => {
                out.push(b' ');
                at += 1;
            }
            b'%' => {
                let high = bytes.get(at + 1).copied().and_then(hex);
                let low = bytes.get(at + 2).copied().and_then(hex);
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(Error::data(format!(
                        "url-encoded data is malformed at byte {at}: % without two hexadecimal digits"
                    )));
                };
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                let run =
                    bytes[at..].iter().position(|b| matches!(b, b'+' | b'%')).unwrap_or(bytes.len() - at);
                out.extend_from_slice(&bytes[at..at + run]);
                at += run;
            }
        }
    }
    let decoded = String::from_utf8(out).map_err(|e| {
        Error::data(format!("url-encoded data is not UTF-8 after byte {}", e.utf8_error().valid_up_to()))
    })?;
    Ok(Cow::Owned(decoded))
}

/// The value of a hexadecimal digit of either case.
pub fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(text: &str) -> Vec<(String, Option<String>)> {
        decode_row(text).unwrap().into_iter().map(|(k, v)| (k.into_owned(), v.map(Cow::into_owned))).collect()
    }

    #[test]
    fn encodes() {
        let text =
            encode_row([("a b", Some("1&=é")), ("n", None), ("e", Some("")), ("k-._9Z", Some("~*\0"))]);
        assert_eq!(text, "a+b=1%26%3d%c3%a9&n&e=&k-._9Z=%7e%2a%00");
    }

    #[test]
    fn decodes() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(
            row("a+b=1%26%3D%c3%A9&&n&e=&x=1=2&"),
            [
                ("a b".to_owned(), some("1&=é")),
                ("n".to_owned(), None),
                ("e".to_owned(), some("")),
                ("x".to_owned(), some("1=2")),
            ]
        );
        assert_eq!(row(""), []);
        let decoded = decode_row("a=1&a=2&b").unwrap();
        assert_eq!(last_value(&decoded, "a"), Some(Some("2")));
        assert_eq!(last_value(&decoded, "b"), Some(None));
        assert_eq!(last_value(&decoded, "c"), None);
    }

    #[test]
    fn borrows_where_it_can() {
        let decoded = decode_row("plain=text.-_&x=a+b").unwrap();
        assert!(matches!(decoded[0], (Cow::Borrowed(_), Some(Cow::Borrowed(_)))));
        assert!(matches!(decoded[1].1, Some(Cow::Owned(_))));
    }

    #[test]
    fn refuses() {
        for bad in ["a=%", "a=%1", "%zz=1", "a=%g0", "a=%ff", "a=%c3"] {
            assert!(decode_row(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn twenty_megabytes() {
        let value = "a%é ".repeat(4 << 20);
        let text = encode_row([("v", Some(&value))]);
        let decoded = decode_row(&text).unwrap();
        assert_eq!(decoded[0].1.as_deref(), Some(value.as_str()));
    }

    proptest! {
        #[test]
        fn round_trip(pairs in proptest::collection::vec((".+", proptest::option::of(any::<String>())), 0..5)) {
            prop_assert_eq!(row(&encode_row(pairs.clone())), pairs);
        }

        #[test]
        fn never_panics(text in "[a%+&=0-9fé]{0,40}") {
            if let Ok(decoded) = decode_row(&text) {
                prop_assert!(decoded.len() <= text.len());
            }
        }
    }
}
