//! Quoting for SQL text, both ways. Rules as in `PostgreSQL`'s `quote_ident` and `quote_literal`.

mod keywords;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::{Error, Result};

/// An identifier, double-quoted only when it needs to be.
///
/// Bare when it has the form `[a-z_][a-z0-9_]*` and is no keyword, or an unreserved one.
pub fn ident(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    ident_into(&mut out, name);
    out
}

/// Appends the quoted identifier to `out`.
pub fn ident_into(out: &mut String, name: &str) {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if begins && plain && !keywords::is_reserved(name) {
        out.push_str(name);
        return;
    }
    out.push('"');
    push_doubled(out, name, '"');
    out.push('"');
}

/// `schema.table` split at the first dot (default schema `public`), both halves quoted.
pub fn fqname(name: &str) -> String {
    let (schema, table) = split_fqname(name);
    let mut out = String::with_capacity(name.len() + 12);
    ident_into(&mut out, schema);
    out.push('.');
    ident_into(&mut out, table);
    out
}

/// Splits an unquoted full name at the first dot; without one the schema is `public`.
pub fn split_fqname(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("public", name))
}

/// The full name of a table that may be given without schema: `public.` is added when there is no dot.
pub fn full_name(name: &str) -> Cow<'_, str> {
    if name.contains('.') { Cow::Borrowed(name) } else { Cow::Owned(format!("public.{name}")) }
}

/// A string literal; the `E''` form when there is a backslash.
pub fn literal(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    literal_into(&mut out, value);
    out
}

/// A string literal, or `null`.
pub fn nullable(value: Option<&str>) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed("null"), |v| Cow::Owned(literal(v)))
}

/// Appends a string literal to `out`.
pub fn literal_into(out: &mut String, value: &str) {
    if value.contains('\\') {
        out.push_str("E'");
        let mut rest = value;
        while let Some(at) = rest.find(['\'', '\\']) {
            out.push_str(&rest[..=at]);
            out.push_str(&rest[at..=at]);
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
    } else {
        out.push('\'');
        push_doubled(out, value, '\'');
    }
    out.push('\'');
}

fn push_doubled(out: &mut String, text: &str, quote: char) {
    for (index, piece) in text.split(quote).enumerate() {
        if index > 0 {
            out.push(quote);
            out.push(quote);
        }
        out.push_str(piece);
    }
}

/// The name that an identifier in SQL stands for: quotes removed and undoubled, or folded to lower case.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): a quote that is not doubled, or a missing closing quote.
pub fn unquote_ident(text: &str) -> Result<String> {
    let malformed = || Error::data(format!("malformed quoted identifier: {text}"));
    let Some(inner) = text.strip_prefix('"') else {
        if text.contains('"') {
            return Err(malformed());
        }
        return Ok(text.to_lowercase());
    };
    let inner = inner.strip_suffix('"').ok_or_else(malformed)?;
    undouble(inner, '"').ok_or_else(malformed)
}

/// The unquoted form of `schema.table`, each half quoted or not: split at the first dot outside quotes.
///
/// # Errors
/// As [`unquote_ident`].
pub fn unquote_fqname(text: &str) -> Result<String> {
    let mut quoted = false;
    let dot = text.char_indices().find(|&(_, c)| {
        quoted ^= c == '"';
        c == '.' && !quoted
    });
    match dot {
        None => unquote_ident(text),
        Some((at, _)) => Ok(format!("{}.{}", unquote_ident(&text[..at])?, unquote_ident(&text[at + 1..])?)),
    }
}

/// The value of a literal: `'…'`, `E'…'`, `$tag$…$tag$`, `null` (any case) as `None`; anything else as it is.
///
/// With `standard` a backslash in `'…'` is an ordinary character, as `standard_conforming_strings` says; without it
/// escapes count there as well.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): a quote inside, a lone backslash, an unclosed dollar quote, bytes that
/// are not UTF-8.
pub fn unquote_literal(text: &str, standard: bool) -> Result<Option<String>> {
    let malformed = || Error::data("malformed SQL literal");
    if text.eq_ignore_ascii_case("null") {
        return Ok(None);
    }
    let body = |text: &str| text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')).map(str::to_owned);
    if let Some(rest) = text.strip_prefix(['e', 'E']).filter(|rest| rest.starts_with('\'')) {
        return unescape_string(&body(rest).ok_or_else(malformed)?).map(Some);
    }
    if text.starts_with('\'') {
        let inner = body(text).ok_or_else(malformed)?;
        if standard {
            return undouble(&inner, '\'').map(Some).ok_or_else(malformed);
        }
        return unescape_string(&inner).map(Some);
    }
    if let Some(rest) = text.strip_prefix('$') {
        let tag = rest.find('$').map(|end| &text[..end + 2]).ok_or_else(malformed)?;
        let inner = text[tag.len()..].strip_suffix(tag).ok_or_else(malformed)?;
        return if inner.contains(tag) { Err(malformed()) } else { Ok(Some(inner.to_owned())) };
    }
    Ok(Some(text.to_owned()))
}

/// Replaces doubled quotes; `None` when one stands alone.
fn undouble(text: &str, quote: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote && chars.next() != Some(quote) {
            return None;
        }
        out.push(c);
    }
    Some(out)
}

/// Undoes the escapes of an `E''` string: `\b \f \n \r \t \a`, `\ooo`, `\xhh`, `\uhhhh`, `\Uhhhhhhhh`, doubled quotes;
/// any other character after a backslash stands for itself.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): a single quote, a lone backslash at the end, an impossible character.
pub fn unescape_string(text: &str) -> Result<String> {
    let malformed = |at: usize| Error::data(format!("malformed escape string at byte {at}"));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match (byte, next) {
            (b'\'', Some(b'\'')) => {
                out.push(b'\'');
                at += 2;
            }
            (b'\'', _) | (b'\\', None) => return Err(malformed(at)),
            (b'\\', Some(code)) => {
                at += 2;
                match code {
                    b'a' => out.push(7),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'0'..=b'7' => {
                        let (value, used) = number(bytes, at - 1, 8, 3);
                        // \777 does not fit a byte; the server keeps the low eight bits.
                        out.push(u8::try_from(value & 0xff).map_err(|_| malformed(at))?);
                        at += used - 1;
                    }
                    b'x' | b'u' | b'U' => {
                        let most = [2, 4, 8][usize::from(code == b'u') + 2 * usize::from(code == b'U')];
                        let (value, used) = number(bytes, at, 16, most);
                        if code == b'x' && used == 0 {
                            out.push(b'x');
                        } else if code == b'x' {
                            out.push(u8::try_from(value).map_err(|_| malformed(at))?);
                        } else {
                            let c = char::from_u32(value)
                                .filter(|_| used == most)
                                .ok_or_else(|| malformed(at))?;
                            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        at += used;
                    }
                    other => out.push(other),
                }
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_err(|e| malformed(e.utf8_error().valid_up_to()))
}

/// Up to `most` digits from `at`: their value and how many there were.
fn number(bytes: &[u8], at: usize, base: u32, most: usize) -> (u32, usize) {
    let digits = bytes.iter().skip(at).take(most).map_while(|&b| char::from(b).to_digit(base));
    digits.fold((0, 0), |(value, used), digit| (value.wrapping_mul(base).wrapping_add(digit), used + 1))
}
