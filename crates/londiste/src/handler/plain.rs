//! `londiste`: replays every change.

use pgq::change::{Op, RowChange};
use skytools::{Error, Result};

use super::{Arguments, Handler, Replay};

/// The default handler. Argument: `ignore_truncate=1` leaves the table's rows when the origin is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plain {
    ignore_truncate: bool,
}

impl Plain {
    /// First line of its documentation.
    pub const DOC: &'static str =
        "Replays every change. ignore_truncate=0/1: whether a truncate of the origin is left out.";

    pub(super) fn new(arguments: &Arguments) -> Result<Self> {
        let mut plain = Plain { ignore_truncate: false };
        for (key, value) in arguments {
            match (key.as_str(), value.as_deref().unwrap_or_default()) {
                ("ignore_truncate", "0") => plain.ignore_truncate = false,
                ("ignore_truncate", "1") => plain.ignore_truncate = true,
                ("ignore_truncate", other) => {
                    return Err(Error::usage(format!(
                        "handler \"londiste\": ignore_truncate must be 0 or 1, not \"{other}\""
                    )));
                }
                // Everything here is UTF-8 already: the server converts.
                ("encoding", "utf8" | "utf-8" | "UTF8" | "UTF-8") => {}
                (other, _) => {
                    return Err(Error::usage(format!("handler \"londiste\" has no argument \"{other}\""))
                        .hint("known argument: ignore_truncate"));
                }
            }
        }
        Ok(plain)
    }
}

impl Handler for Plain {
    fn name(&self) -> &'static str {
        "londiste"
    }

    fn applies_rows(&self) -> bool {
        true
    }

    fn replay(&self, change: &RowChange<'_>) -> Result<Replay> {
        if change.op == Op::Truncate && self.ignore_truncate {
            tracing::info!(table = %change.table, "truncate ignored (ignore_truncate=1)");
            return Ok(Replay::Skip);
        }
        Ok(Replay::Apply)
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;
    use pgq::{Event, NewEvent, change};

    #[test]
    fn truncate_is_left_out_on_request_only() {
        let event = Event::synthetic(1, 1, &NewEvent::new("R", "").extra1("public.t"));
        let change = change::decode(&event).unwrap().unwrap();
        assert_eq!(build(None).unwrap().replay(&change).unwrap(), Replay::Apply);
        assert_eq!(
            build(Some("londiste(ignore_truncate=1)")).unwrap().replay(&change).unwrap(),
            Replay::Skip
        );
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for spec in ["londiste(ignore_truncate=2)", "londiste(nosuch=1)", "londiste(ignore_truncate)"] {
            assert!(build(Some(spec)).is_err(), "{spec}");
        }
    }
}
