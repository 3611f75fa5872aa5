//! Scripts that go before their batch: those that only add values to enumerated types.
//!
//! A transaction may not use a value that it has added to a type itself, and a batch is one transaction. On the root the script was
//! committed before the first row with the value. Nothing else depends on when the value comes, so it may come early.

use pgq::batch::{self, BatchInfo};
use pgq::cascade;
use skytools::sqltext::{Options, Token, parse_statements, tokenize};
use skytools::{Error, Result};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Place, execute};

/// Whether a batch has failed because it uses a value that a script of it has added.
pub(in crate::worker) fn may_help(error: &Error) -> bool {
    error.sqlstate() == Some(&SqlState::UNSAFE_NEW_ENUM_VALUE_USAGE)
}

/// What to do where no script of the batch can go ahead.
pub(in crate::worker) const HINT: &str = "a script of this batch adds the value and does other things, too, and a transaction may not use a value that it has added. \
     Add it here by hand, have the script's name skipped by its row in londiste.applied_execute, and run the rest of the script by hand; or copy the table again with \"londiste INI resync TABLE\". \
     Scripts that only add values do not have this difficulty";

/// Runs and commits the scripts of the batch that may go ahead; returns how many.
///
/// # Errors
/// Whatever the servers report, or a script runs into; the transaction is open then.
pub(in crate::worker) async fn commit(
    place: &Place<'_>,
    consumer: &str,
    source: &Client,
    batch: &BatchInfo,
) -> Result<usize> {
    cascade::begin_batch(place.client, place.queue, consumer, batch.prev_tick_id).await?;
    let mut count = 0;
    let mut events = batch::events(source, batch.batch_id, Some("ev_type = 'EXECUTE'")).await?;
    while let Some(event) = events.next_event().await? {
        if adds_values_only(event.data().unwrap_or_default()) {
            execute(place, &event).await?;
            count += 1;
        }
    }
    place.client.batch_execute("commit").await?;
    Ok(count)
}

fn adds_values_only(script: &str) -> bool {
    let Ok(statements) = parse_statements(script) else { return false };
    !statements.is_empty() && statements.iter().all(|statement| adds_value(statement))
}

fn adds_value(statement: &str) -> bool {
    let options = Options { dotted: true, skip_space: true, ..Options::default() };
    let words: Vec<Token<'_>> = tokenize(statement, options).take(5).collect();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|token| token.is_word(word));
    is(0, "alter") && is(1, "type") && is(3, "add") && is(4, "value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scripts_that_do_nothing_but_add_values_go_ahead() {
        for yes in [
            "alter type kind add value 'c'",
            "-- more\nALTER TYPE \"A b\".kind ADD VALUE IF NOT EXISTS 'c' after 'b';\nalter type kind /* */ add value 'd;';\n",
        ] {
            assert!(adds_values_only(yes), "{yes}");
        }
        for no in [
            "",
            "-- nothing",
            "alter type kind add value 'c'; update t set k = 'a'",
            "alter type kind rename value 'a' to 'b'",
            "alter type row_type add attribute value int",
            "do $$ begin alter type kind add value 'c'; end $$",
            "alter type kind add value 'c",
        ] {
            assert!(!adds_values_only(no), "{no}");
        }
    }
}
