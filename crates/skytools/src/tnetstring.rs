//! Tagged netstrings: `5:hello,` `1:7#` `4:true!` `0:~` `8:1:1#1:2#]`: values with length and type.
//!
//! A value is `length:payload` and one type character: `,` text, `#` integer, `^` fraction, `!` truth, `~` null,
//! `]` list, `}` dictionary (names and values in turn).

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

use crate::{Error, Result};

/// How deep values may be nested when reading.
const MAX_DEPTH: usize = 64;

/// Writes a value.
pub fn format(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    let (payload, kind) = match value {
        Value::Null => (String::new(), '~'),
        Value::Bool(b) => (b.to_string(), '!'),
        Value::Number(n) => (n.to_string(), if n.is_f64() { '^' } else { '#' }),
        Value::String(s) => (s.clone(), ','),
        Value::Array(items) => {
            let mut inner = String::new();
            items.iter().for_each(|item| push(&mut inner, item));
            (inner, ']')
        }
        Value::Object(map) => {
            let mut inner = String::new();
            for (name, item) in map {
                push(&mut inner, &Value::String(name.clone()));
                push(&mut inner, item);
            }
            (inner, '}')
        }
    };
    let written = write!(out, "{}:{payload}{kind}", payload.len());
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// Reads one value that makes up the whole text.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data) when the text has another form or is nested more than 64 deep.
pub fn parse(text: &str) -> Result<Value> {
    match value(text, 0)? {
        (value, "") => Ok(value),
        _ => Err(malformed("text after the value")),
    }
}

fn malformed(what: &str) -> Error {
    Error::data(format!("malformed tnetstring: {what}"))
}

fn value(text: &str, depth: usize) -> Result<(Value, &str)> {
    if depth > MAX_DEPTH {
        return Err(malformed("nested too deep"));
    }
    let (length, rest) = text.split_once(':').ok_or_else(|| malformed("no length"))?;
    let valid = !length.is_empty() && length.len() < 10 && length.bytes().all(|b| b.is_ascii_digit());
    let length: usize = length.parse().ok().filter(|_| valid).ok_or_else(|| malformed("bad length"))?;
    let payload = rest.get(..length).ok_or_else(|| malformed("shorter than its length"))?;
    let mut after = rest[length..].chars();
    let kind = after.next().ok_or_else(|| malformed("no type"))?;
    let number = |parsed: Option<Number>| parsed.map(Value::Number).ok_or_else(|| malformed("bad number"));
    let value = match kind {
        ',' => Value::String(payload.to_owned()),
        '#' => number(payload.parse::<i64>().ok().map(Number::from))?,
        '^' => number(payload.parse::<f64>().ok().and_then(Number::from_f64))?,
        '!' if payload == "true" => Value::Bool(true),
        '!' if payload == "false" => Value::Bool(false),
        '~' if payload.is_empty() => Value::Null,
        ']' => Value::Array(items(payload, depth)?),
        '}' => {
            let mut map = Map::new();
            let mut items = items(payload, depth)?.into_iter();
            while let Some(name) = items.next() {
                let (Value::String(name), Some(item)) = (name, items.next()) else {
                    return Err(malformed("a dictionary needs pairs of name and value"));
                };
                map.insert(name, item);
            }
            Value::Object(map)
        }
        _ => return Err(malformed("bad type or payload")),
    };
    Ok((value, after.as_str()))
}

fn items(mut payload: &str, depth: usize) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    while !payload.is_empty() {
        let (item, rest) = value(payload, depth + 1)?;
        items.push(item);
        payload = rest;
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn known_values() {
        for (value, text) in [
            (json!(null), "0:~"),
            (json!(false), "5:false!"),
            (json!(true), "4:true!"),
            (json!(222), "3:222#"),
            (json!("foo"), "3:foo,"),
            (json!([1, 2]), "8:1:1#1:2#]"),
            (json!({"a": "b"}), "8:1:a,1:b,}"),
            (json!("é"), "2:é,"),
        ] {
            assert_eq!(format(&value), text);
            assert_eq!(parse(text).unwrap(), value);
        }
        for bad in [
            "", "1", "1:", "2:é", "1:é,", "3:1,", "-1:,", "0:", "0:~x", "1:x~", "4:nope!", "4:1:1#}",
            "3:1:a]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let mut text = "0:]".to_owned();
        for _ in 0..100 {
            text = format!("{}:{text}]", text.len());
        }
        assert!(parse(&text).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9:#,~\\]}!^aé]{0,24}") {
            if let Ok(value) = parse(&text) {
                prop_assert_eq!(parse(&format(&value)).unwrap(), value);
            }
        }
    }
}
