//! Which refusals are right.

use anyhow::{Result, bail};

use crate::session::Failure;
use crate::stage::{Finding, Wrong};
use crate::step::{Act, BEHIND, DEFERRABLE, Form, NESTED, NULL_KEY, RESETS, Step, WITHOUT_KEY};

/// What histories made at random run into by themselves: keys and references violated, names gone meanwhile, and the like.
const ORDINARY: &[&str] = &[
    "0A000", "21000", "22001", "22003", "22004", "22007", "22008", "22023", "22026", "22P02", "22P04",
    "23502", "23503", "23505", "23514", "25001", "25P01", "25P02", "26000", "27000", "2BP01", "3B001",
    "40001", "40P01", "42601", "42701", "42702", "42703", "42704", "42710", "42712", "42723", "42804",
    "42809", "42830", "42846", "42883", "42P01", "42P07", "42P10", "42P16", "42P17", "42P18", "428C9",
    "44000", "55000", "55006", "22P05", "54000", "23001", "23P01",
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

/// Steps that put capture on a table, take it off or write its code anew go through one of these.
const DEFINING: &[&str] = &["capture_table", "uncapture_table", "refresh_capture", "refresh_queue_code"];

/// A failure, and what happened before it.
struct Case<'a> {
    form: Form,
    source: &'a [String],
    steps: &'a [Step],
    session: usize,
    failure: &'a Failure,
}

impl Case<'_> {
    /// Whether the server was in one of these functions.
    fn within(&self, function: &str) -> bool {
        let start = format!("PL/pgSQL function {function}");
        self.failure.context.lines().any(|line| line.replace('"', "").starts_with(&start))
    }

    fn mentioned(&self, tag: &str) -> bool {
        mentioned(self.source, self.steps, tag)
    }

    /// The statement itself.
    fn statement(&self) -> &str {
        let last = self.steps.iter().rev().find(|s| s.session == self.session);
        match last.map(|s| &s.act) {
            Some(Act::Sql(sql)) => sql,
            _ => "",
        }
    }

    /// By statement: one on a table inside of another one on it. Something must have asked for that.
    fn nested(&self) -> bool {
        let message = &self.failure.message;
        let sql = self.statement();
        self.form == Form::Statement
            && message.starts_with("statement on table ")
            && message.contains(" inside of another one on it")
            && (self.mentioned(NESTED)
                || message.starts_with("statement on table tree ")
                || message.starts_with("statement on table public.tree ")
                || ["merge into ", "do update set ", "with ", "h.put_back("].iter().any(|w| sql.contains(w)))
    }

    /// A key that this form of capture does not take.
    fn deferrable(&self) -> bool {
        let message = &self.failure.message;
        message.starts_with("the key of table ")
            && message.contains(" is deferrable: ")
            && self.mentioned(DEFERRABLE)
    }

    /// What holds for every statement.
    fn conflict(&self) -> bool {
        match self.failure.code.as_str() {
            "40001" => old_snapshots_possible(self.steps, self.session),
            "40P01" => true,
            _ => false,
        }
    }

    /// A change of rows, refused by capture.
    fn change(&self) -> bool {
        let message = self.failure.message.as_str();
        match self.failure.code.as_str() {
            "55000" => {
                message.starts_with("Update/Delete on table without pkey") && self.mentioned(WITHOUT_KEY)
                    || message == "Update/Delete of a row whose key is null" && self.mentioned(NULL_KEY)
                    || message.contains(" fires behind that of capture") && self.mentioned(BEHIND)
                    || message.starts_with("the order of changes of table ") && self.mentioned(RESETS)
                    || message
                        == "the key of this table is deferrable, and no trigger has it checked when a statement has ended"
                        && self.form == Form::Row
                        && self.mentioned(DEFERRABLE)
            }
            // though it is deferred
            "23505" => {
                self.form == Form::Row && self.within("pgq._capture_one_key") && self.mentioned(DEFERRABLE)
            }
            "0A000" if self.form.is_generated() => {
                let of_the_key: &[&str] = match self.form {
                    Form::Row => &[
                        "primary key update not allowed: the key is deferrable",
                        "a row that this transaction has written is changed inside of a function or trigger, and its key is deferrable",
                    ],
                    _ => &["update and delete not allowed: the key is deferrable"],
                };
                self.nested() || of_the_key.contains(&message) && self.mentioned(DEFERRABLE)
            }
            "0A000" => message == "primary key update not allowed" || self.deferrable(),
            _ => false,
        }
    }

    /// Capture put on, taken off or written anew: that fails only for what its documentation names.
    fn definition(&self) -> bool {
        let message = self.failure.message.as_str();
        match self.failure.code.as_str() {
            // gone, or called otherwise, since the step was made up or while it waited for the table
            "42P01" => true,
            // PostgreSQL's own, of ALTER TABLE and CREATE TRIGGER
            "55006" => message.contains("because it has pending trigger events"),
            "55000" => message.contains(" fires behind that of capture") && self.mentioned(BEHIND),
            "0A000" => self.form != Form::Row && self.deferrable(),
            _ => false,
        }
    }

    /// Where capture had no part in it.
    fn ordinary(&self) -> bool {
        let Failure { code, message, .. } = self.failure;
        // DROP TRIGGER finds its row, waits for the table, and the trigger has been replaced meanwhile
        let replaced = code == "XX000" && message == "tuple concurrently updated";
        // only values that are no values of their type quote what we write
        let ours = !code.starts_with("22")
            && ["pgq.", "_londiste_q", "_capture_", "_trigger_", "skytools."]
                .iter()
                .any(|w| message.contains(w));
        replaced || ORDINARY.contains(&code.as_str()) && !ours
    }
}

/// Whether a failure may be; `steps` go up to the one that failed, `source` is what was set up.
pub fn judge(form: Form, source: &[String], steps: &[Step], session: usize, failure: &Failure) -> Result<()> {
    let case = Case { form, source, steps, session, failure };
    let right = if !case.within("pgq.") {
        case.ordinary()
    } else if DEFINING.iter().any(|f| case.within(&format!("pgq.{f}"))) {
        case.conflict() || case.definition()
    } else {
        case.conflict() || case.change()
    };
    if !right {
        let Failure { code, message, context } = failure;
        let text = format!("session {session} was refused: {code} {message}\n{context}");
        bail!(Finding { wrong: Wrong::Refused, text });
    }
    Ok(())
}
