//! Which refusals are right.

use anyhow::{Result, bail};

use crate::session::Failure;
use crate::stage::{Finding, Wrong};
use crate::step::{Act, BEHIND, DEFERRABLE, Form, RESETS, Step, WITHOUT_KEY};

/// What histories made at random run into by themselves: keys and references violated, names gone meanwhile, and the like.
const ORDINARY: &[&str] = &[
    "0A000", "21000", "22001", "22003", "22004", "22007", "22008", "22023", "22P02", "22P04", "23502",
    "23503", "23505", "23514", "25001", "25P01", "25P02", "26000", "27000", "2BP01", "3B001", "40001",
    "40P01", "42601", "42701", "42702", "42703", "42704", "42710", "42712", "42723", "42804", "42809",
    "42830", "42846", "42883", "42P01", "42P07", "42P10", "42P16", "42P17", "42P18", "428C9", "44000",
    "55000", "55006", "22P05", "54000", "23001", "23P01",
];

/// The isolation level of the transaction that a session has open before step `at`.
fn old_snapshots_possible(steps: &[Step], session: usize) -> bool {
    let begun = steps.iter().rev().filter(|s| s.session == session).find_map(|s| match &s.act {
        Act::Sql(sql) if sql.starts_with("begin") => Some(!sql.contains("read committed")),
        Act::Sql(sql) if sql == "commit" || sql == "rollback" || sql.starts_with("prepare transaction") => {
            Some(false)
        }
        _ => None,
    });
    begun.unwrap_or(false)
}

fn mentioned(source: &[String], steps: &[Step], tag: &str) -> bool {
    source.iter().any(|s| s.contains(tag))
        || steps.iter().any(|s| matches!(&s.act, Act::Sql(sql) if sql.contains(tag)))
}

/// Whether a failure may be; `steps` go up to the one that failed, `source` is what was set up.
pub fn judge(form: Form, source: &[String], steps: &[Step], session: usize, failure: &Failure) -> Result<()> {
    let Failure { code, message, context } = failure;
    let lines: Vec<String> = context.lines().map(|line| line.replace('"', "")).collect();
    let within =
        |function: &str| lines.iter().any(|l| l.starts_with(&format!("PL/pgSQL function {function}")));
    let right = if within("pgq.") && !within("pgq.capture_table") {
        match code.as_str() {
            "40001" => old_snapshots_possible(steps, session),
            "40P01" => true,
            "55000" => {
                message.starts_with("Update/Delete on table without pkey")
                    && mentioned(source, steps, WITHOUT_KEY)
                    || message.contains(" fires behind that of capture") && mentioned(source, steps, BEHIND)
                    || message.starts_with("the order of changes of table ")
                        && mentioned(source, steps, RESETS)
            }
            "0A000" if form.is_generated() => {
                form == Form::Statement
                    && message.starts_with("statement on table ")
                    && message.contains(" inside of another one on it")
                    || [
                        "primary key update not allowed: the key is deferrable",
                        "a row is deleted before its own change is logged, and its key is deferrable",
                    ]
                    .contains(&message.as_str())
                        && mentioned(source, steps, DEFERRABLE)
            }
            "0A000" => message == "primary key update not allowed",
            _ => false,
        }
    } else {
        // PostgreSQL's own: DROP TRIGGER finds its row, waits for the table, and the trigger has been replaced meanwhile
        let replaced = code == "XX000" && message == "tuple concurrently updated" && !within("pgq.");
        replaced || ORDINARY.contains(&code.as_str())
    };
    if !right {
        let text = format!("session {session} was refused: {code} {message}\n{context}");
        bail!(Finding { wrong: Wrong::Refused, text });
    }
    Ok(())
}
