//! One-dimensional arrays in `PostgreSQL`'s text form.

use crate::{Error, Result};

/// `{a,b,"c d",NULL}`.
///
/// Elements of plain characters are bare; the others, empty ones and the word null are quoted.
pub fn format_array<V: AsRef<str>>(items: impl IntoIterator<Item = Option<V>>) -> String {
    let mut out = String::from("{");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match item {
            None => out.push_str("NULL"),
            Some(item) => push_element(&mut out, item.as_ref()),
        }
    }
    out.push('}');
    out
}

fn push_element(out: &mut String, item: &str) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.%&=()<>*/+-".contains(&b);
    if !item.is_empty() && item != "null" && item.bytes().all(plain) {
        out.push_str(item);
        return;
    }
    out.push('"');
    for c in item.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Parses an array; a leading `[1:3]=` or `[1,3]=` is ignored. A bare null of any case is `None`, a quoted one is text.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): anything else, also an array of more dimensions.
pub fn parse_array(text: &str) -> Result<Vec<Option<String>>> {
    let malformed = |what: &str| Error::data(format!("malformed array: {what}"));
    let body = match text.strip_prefix('[') {
        Some(rest) => {
            let (bounds, body) = rest.split_once("]=").ok_or_else(|| malformed("bounds without \"]=\""))?;
            if !bounds.bytes().all(|b| b.is_ascii_digit() || b":,-+".contains(&b)) {
                return Err(malformed("bounds are not numbers"));
            }
            body
        }
        None => text,
    };
    let inner = body
        .strip_prefix('{')
        .and_then(|body| body.strip_suffix('}'))
        .ok_or_else(|| malformed("it must stand in braces"))?;
    let mut items = Vec::new();
    if inner.trim().is_empty() {
        return Ok(items);
    }
    let mut chars = inner.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'"').is_some();
        let mut item = String::new();
        let mut escaped = false;
        if quoted {
            loop {
                match chars.next() {
                    None => return Err(malformed("a quote is not closed")),
                    Some('"') => break,
                    Some('\\') => item.push(chars.next().ok_or_else(|| malformed("lone backslash"))?),
                    Some(c) => item.push(c),
                }
            }
            while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        } else {
            while let Some(c) = chars.next_if(|&c| c != ',') {
                match c {
                    '{' | '}' | '"' => return Err(malformed("only one dimension is supported")),
                    '\\' => {
                        escaped = true;
                        item.push(chars.next().ok_or_else(|| malformed("lone backslash"))?);
                    }
                    c => item.push(c),
                }
            }
            item.truncate(item.trim_end_matches(|c: char| c.is_ascii_whitespace()).len());
            if item.is_empty() {
                return Err(malformed("an element is missing"));
            }
        }
        let null = !quoted && !escaped && item.eq_ignore_ascii_case("null");
        items.push((!null).then_some(item));
        match chars.next() {
            None => return Ok(items),
            Some(',') => {}
            Some(_) => return Err(malformed("text after a closing quote")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formats() {
        assert_eq!(format_array([Some("foo_3"), Some("1"), Some(""), None]), "{foo_3,1,\"\",NULL}");
        assert_eq!(format_array([Some("null"), Some("A"), Some("a\"\\")]), r#"{"null","A","a\"\\"}"#);
        assert_eq!(format_array::<&str>([]), "{}");
    }

    #[test]
    fn parses() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(parse_array("{a,b,null,\"null\"}").unwrap(), [some("a"), some("b"), None, some("null")]);
        assert_eq!(parse_array("[0,3]={1,2,3}").unwrap(), [some("1"), some("2"), some("3")]);
        assert_eq!(parse_array("[0:2]={1,2,3}").unwrap().len(), 3);
        assert_eq!(parse_array("{}").unwrap(), []);
        assert_eq!(parse_array(r#"{ "a,\"b\\" , c d }"#).unwrap(), [some("a,\"b\\"), some("c d")]);
        for bad in ["", "{", "a", "{a}x", "{a,}", "{,a}", "{{a}}", "{\"a}", "{\"a\"b}", "[1={a}", "{a\\}"] {
            assert!(parse_array(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(items in proptest::collection::vec(proptest::option::of(any::<String>()), 0..6)) {
            prop_assert_eq!(parse_array(&format_array(items.clone())).unwrap(), items);
        }

        #[test]
        fn never_panics(text in "[\\[\\]{},\"\\\\ anul=0-9]{0,30}") {
            if let Ok(items) = parse_array(&text) {
                prop_assert_eq!(parse_array(&format_array(items.clone())).unwrap(), items);
            }
        }
    }
}
