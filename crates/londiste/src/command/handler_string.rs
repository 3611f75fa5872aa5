//! The stored form of a handler: `name`, or `name(arguments)` with the arguments urlencoded.

use skytools::{Error, Result, urlenc};

/// Joins name and `KEY=VALUE` arguments, in the order given.
///
/// # Errors
/// A name with a parenthesis, an argument without a key, or one that is given twice.
pub fn handler_string(name: &str, args: &[String]) -> Result<String> {
    if name.is_empty() || name.contains(['(', ')']) {
        return Err(Error::usage(format!("invalid handler name: \"{name}\""))
            .hint("arguments are given with --handler-arg=KEY=VALUE"));
    }
    let mut pairs: Vec<(&str, Option<&str>)> = Vec::new();
    for arg in args {
        // Without a value the original stores the empty one.
        let (key, value) = arg.split_once('=').unwrap_or((arg, ""));
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::usage(format!("handler argument \"{arg}\" has no name")));
        }
        if pairs.iter().any(|(k, _)| *k == key) {
            return Err(Error::usage(format!("handler argument \"{key}\" is given twice")));
        }
        pairs.push((key, Some(value.trim())));
    }
    if pairs.is_empty() {
        return Ok(name.to_owned());
    }
    Ok(format!("{name}({})", urlenc::encode_row(pairs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms() {
        let string = |name, args: &[&str]| {
            handler_string(name, &args.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(string("londiste", &[]).unwrap(), "londiste");
        assert_eq!(string("londiste", &["ignore_truncate=1"]).unwrap(), "londiste(ignore_truncate=1)");
        assert_eq!(string("part", &["key=a b", "x"]).unwrap(), "part(key=a+b&x=)");
        for (name, args) in [("a(b)", &[][..]), ("", &[]), ("h", &["=1"]), ("h", &["a=1", "a=2"])] {
            assert!(string(name, args).is_err(), "{name} {args:?}");
        }
    }
}
