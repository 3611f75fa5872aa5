//! The text format of `COPY`: escapes of one value, both ways.
//!
//! Source: `PostgreSQL` documentation, COPY, "Text Format".

use std::borrow::Cow;

use crate::{Error, Result};

/// What stands for NULL.
pub const NULL: &str = "\\N";

/// Escapes a value: backslash, tab, line feed and carriage return.
pub fn escape_text(value: &str) -> Cow<'_, str> {
    if !value.bytes().any(needs_escape) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 8);
    escape_text_into(&mut out, value);
    Cow::Owned(out)
}

/// Escapes a value onto the end of `out`.
pub fn escape_text_into(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.bytes().position(needs_escape) {
        out.push_str(&rest[..at]);
        out.push_str(escape(rest.as_bytes()[at]).unwrap_or_default());
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// Appends one line: values separated by tabs, `None` as `\N`, and the newline.
pub fn push_line<V: AsRef<str>>(out: &mut String, values: impl IntoIterator<Item = Option<V>>) {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            out.push('\t');
        }
        match value {
            Some(value) => escape_text_into(out, value.as_ref()),
            None => out.push_str(NULL),
        }
    }
    out.push('\n');
}

/// What stands for a byte that may not stand for itself.
pub fn escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'\t' => Some("\\t"),
        b'\n' => Some("\\n"),
        b'\r' => Some("\\r"),
        b'\\' => Some("\\\\"),
        _ => None,
    }
}

fn needs_escape(byte: u8) -> bool {
    escape(byte).is_some()
}

/// Undoes the escapes of one value; `None` for `\N`.
///
/// Understands all of the server's forms: `\b \f \n \r \t \v`, `\ooo` (one to three octal digits), `\xhh` (one or
/// two hexadecimal digits); any other character after a backslash stands for itself.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): a lone backslash at the end, or bytes that are not UTF-8.
pub fn unescape_text(value: &str) -> Result<Option<Cow<'_, str>>> {
    if value == NULL {
        return Ok(None);
    }
    let bytes = value.as_bytes();
    if !bytes.contains(&b'\\') {
        return Ok(Some(Cow::Borrowed(value)));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&code) = bytes.get(at) else {
            return Err(Error::data("COPY data ends with a lone backslash"));
        };
        at += 1;
        out.push(match code {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'7' => {
                let more = digits(&bytes[at..], 8, 2);
                let value = more.iter().fold(code - b'0', |v, d| v.wrapping_mul(8).wrapping_add(*d));
                at += more.len();
                value
            }
            b'x' => {
                let found = digits(&bytes[at..], 16, 2);
                at += found.len();
                if found.is_empty() { b'x' } else { found.iter().fold(0, |v, d| v * 16 + d) }
            }
            other => other,
        });
    }
    String::from_utf8(out).map(|s| Some(Cow::Owned(s))).map_err(|e| {
        Error::data(format!("COPY data is not UTF-8 after byte {}", e.utf8_error().valid_up_to()))
    })
}

/// The values of up to `most` leading digits in the given base.
fn digits(bytes: &[u8], base: u32, most: usize) -> Vec<u8> {
    let value = |b: &u8| char::from(*b).to_digit(base).and_then(|d| u8::try_from(d).ok());
    bytes.iter().take(most).map_while(value).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(escape_text("a'\tb"), "a'\\tb");
        assert_eq!(escape_text("\\\r\n"), "\\\\\\r\\n");
        assert!(matches!(escape_text("plain ü"), Cow::Borrowed(_)));
        let mut line = String::new();
        push_line(&mut line, [Some("1"), None, Some("a\tb")]);
        assert_eq!(line, "1\t\\N\ta\\tb\n");
    }

    #[test]
    fn unescapes() {
        let value = |text| unescape_text(text).unwrap().map(Cow::into_owned);
        assert_eq!(value("\\N"), None);
        assert_eq!(value("\\\\N").as_deref(), Some("\\N"));
        assert_eq!(value("\\b\\f\\n\\r\\t\\v\\q").as_deref(), Some("\u{8}\u{c}\n\r\t\u{b}q"));
        assert_eq!(value("\\101\\1018\\x41\\x4g\\xg\\0").as_deref(), Some("AA8A\u{4}gxg\0"));
        assert_eq!(value("\\303\\251").as_deref(), Some("é"));
        for bad in ["\\", "a\\", "\\377", "\\xc3"] {
            assert!(unescape_text(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(value in any::<String>()) {
            let escaped = escape_text(&value);
            prop_assert!(!escaped.contains(['\t', '\n', '\r']));
            let back = unescape_text(&escaped).unwrap();
            prop_assert_eq!(back.as_deref(), Some(value.as_str()));
        }

        #[test]
        fn never_panics(value in "[\\\\xN0-9a-fé]{0,20}") {
            if let Ok(Some(text)) = unescape_text(&value) {
                prop_assert!(text.len() <= value.len());
            }
        }
    }
}
