//! Masking of passwords in texts that are shown.

use std::borrow::Cow;

/// What a secret is replaced with.
const MASK: &str = "********";

/// Masks what looks like a password: `password=…` and `passfile`-less keywords in a connect string, and
/// `user:secret@` in a URI. Text without such a pattern is returned unchanged.
pub fn redact(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("password") && !lower.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &lower[at..];
        let keyword = rest.find("password");
        let uri = rest.find("://");
        let next = match (keyword, uri) {
            (Some(k), Some(u)) => k.min(u),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => break,
        };
        let secret =
            if keyword == Some(next) { keyword_value(&rest[next..]) } else { uri_password(&rest[next..]) };
        match secret {
            Some((start, end)) => {
                out.push_str(&text[at..at + next + start]);
                out.push_str(MASK);
                at += next + end;
            }
            None => {
                // Both patterns are ASCII, so this stays on a character boundary.
                let step = next + 3;
                out.push_str(&text[at..at + step]);
                at += step;
            }
        }
    }
    out.push_str(&text[at.min(text.len())..]);
    Cow::Owned(out)
}

/// The value in `password = value`: bare up to blank or `&`, or quoted with backslash escapes.
fn keyword_value(text: &str) -> Option<(usize, usize)> {
    let after = &text["password".len()..];
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let start = text.len() - value.len();
    let length = match value.chars().next().filter(|c| *c == '\'' || *c == '"') {
        Some(quote) => {
            let mut escaped = false;
            let close = value.char_indices().skip(1).find(|&(_, c)| {
                let found = c == quote && !escaped;
                escaped = c == '\\' && !escaped;
                found
            });
            close.map_or(value.len(), |(at, _)| at + 1)
        }
        None => value.find(|c: char| c.is_whitespace() || c == '&').unwrap_or(value.len()),
    };
    (length > 0).then_some((start, start + length))
}

/// The secret in `://user:secret@host`.
fn uri_password(text: &str) -> Option<(usize, usize)> {
    let authority = &text[3..];
    let end = authority.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(authority.len());
    let user_info = &authority[..authority[..end].rfind('@')?];
    let colon = user_info.find(':')?;
    (colon + 1 < user_info.len()).then_some((3 + colon + 1, 3 + user_info.len()))
}
