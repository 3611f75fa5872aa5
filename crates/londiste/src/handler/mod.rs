//! What happens to a table's events besides plain replay: a handler per table, named in its attributes.
//!
//! Stored as `name` or `name(arguments)`, the arguments urlencoded (commas count as `&`). A table without a handler
//! has `londiste`, which replays everything.

mod plain;

use std::fmt;

use pgq::change::RowChange;
use skytools::{Error, Result, urlenc};

pub use plain::Plain;

/// What to do with one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Apply it to the destination table.
    Apply,
    /// Leave it out.
    Skip,
}

/// The behaviour of one table. Shared by worker, copy, compare and the admin commands.
pub trait Handler: fmt::Debug + Send + Sync {
    /// The name it is stored under.
    fn name(&self) -> &'static str;

    /// Whether a physical table must exist on this node.
    fn needs_table(&self) -> bool {
        true
    }

    /// SQL condition on the rows that this node wants; copy and compare use it on both sides.
    fn condition(&self) -> Option<String> {
        None
    }

    /// Whether [`Handler::replay`] says [`Replay::Apply`] to every change of a row, so that it need not be asked.
    fn applies_rows(&self) -> bool {
        false
    }

    /// Words that `add-table` passes on to the trigger.
    fn trigger_args(&self) -> Vec<String> {
        Vec::new()
    }

    /// Decides about one change.
    ///
    /// # Errors
    /// The change does not carry what the handler needs.
    fn replay(&self, change: &RowChange<'_>) -> Result<Replay>;
}

/// Name and first line of documentation of every handler.
pub const ALL: &[(&str, &str)] = &[("londiste", Plain::DOC)];

/// Names of the original that have no counterpart yet.
const NOT_YET: &[&str] = &[
    "vtable",
    "fake_local",
    "qtable",
    "qsplitter",
    "applyfn",
    "multimaster",
    "shard",
    "part",
    "bulk",
    "dispatch",
    "obfuscate",
];

/// Arguments of a handler.
pub(crate) type Arguments = Vec<(String, Option<String>)>;

/// Builds the handler that a table's attributes name; `None` and the empty string mean `londiste`.
///
/// # Errors
/// An unknown name or argument, naming both and what is known.
pub fn build(spec: Option<&str>) -> Result<Box<dyn Handler>> {
    let (name, arguments) = parse(spec.unwrap_or_default())?;
    match name.as_str() {
        "" | "londiste" => Ok(Box::new(Plain::new(&arguments)?)),
        other => {
            let known = ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let what = if NOT_YET.contains(&other)
                || other.contains('_') && NOT_YET.iter().any(|n| other.starts_with(n))
            {
                "is not available in this version"
            } else {
                "does not exist"
            };
            Err(Error::usage(format!("handler \"{other}\" {what}")).hint(format!(
                "known handlers: {known}; \"londiste INI change-handler TABLE\" without --handler goes back to plain replay"
            )))
        }
    }
}

/// Splits `name(arguments)`.
fn parse(spec: &str) -> Result<(String, Arguments)> {
    let spec = spec.trim();
    let Some((name, rest)) = spec.split_once('(') else { return Ok((spec.to_owned(), Vec::new())) };
    let Some(text) = rest.strip_suffix(')') else {
        return Err(Error::usage(format!("handler \"{spec}\" lacks its closing parenthesis")));
    };
    let text = text.replace(',', "&");
    let mut arguments = Arguments::new();
    for (key, value) in
        urlenc::decode_row(&text).map_err(|e| e.context(format!("arguments of handler \"{name}\"")))?
    {
        if arguments.iter().any(|(k, _)| *k == key) {
            return Err(Error::usage(format!("handler \"{name}\": argument \"{key}\" is given twice")));
        }
        arguments.push((key.into_owned(), value.map(std::borrow::Cow::into_owned)));
    }
    Ok((name.to_owned(), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_split_and_decoded() {
        let (name, args) = parse("londiste(ignore_truncate=1,x=a%2cb&y)").unwrap();
        assert_eq!(name, "londiste");
        assert_eq!(
            args,
            [
                ("ignore_truncate".to_owned(), Some("1".to_owned())),
                ("x".to_owned(), Some("a,b".to_owned())),
                ("y".to_owned(), None)
            ]
        );
        assert_eq!(parse("vtable").unwrap().0, "vtable");
        assert!(parse("a(b").is_err() && parse("a(b=1&b=2)").is_err());
    }

    #[test]
    fn absent_and_plain_handlers_replay_everything() {
        for spec in [None, Some(""), Some("londiste"), Some("londiste()")] {
            assert_eq!(build(spec).unwrap().name(), "londiste");
        }
    }

    #[test]
    fn unknown_handlers_are_named_with_a_next_step() {
        for spec in ["nosuch", "shard(key=id)", "bulk_direct"] {
            let error = build(Some(spec)).unwrap_err();
            assert!(error.to_string().contains(spec.split('(').next().unwrap()), "{error}");
            assert!(error.hint_text().unwrap().contains("change-handler"));
        }
    }
}
