//! A history: what is set up, and the steps that sessions take one after the other.

use std::fmt;

/// Stands in a statement that leaves a captured table without a key, or makes a key DEFERRABLE: from there on the refusals are right
/// that say so.
pub const WITHOUT_KEY: &str = "/* no key */";
/// See [`WITHOUT_KEY`].
pub const DEFERRABLE: &str = "/* deferrable */";
/// See [`WITHOUT_KEY`]: a key that may hold null, by which nobody finds a row.
pub const NULL_KEY: &str = "/* null key */";
/// Stands where a trigger is created that fires behind capture's; likewise.
pub const BEHIND: &str = "/* behind */";
/// Stands where a trigger is created that changes rows of its own table; likewise.
pub const NESTED: &str = "/* nested */";
/// Stands where a trigger is created that runs RESET ALL; likewise.
pub const RESETS: &str = "/* resets */";

/// The queue.
pub const QUEUE: &str = "q";

/// Which capture the tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Generated for each table, one event when a row is written.
    Row,
    /// Generated, the events of a statement at its end.
    Statement,
    /// `pgq.logutriga`.
    Generic,
}

impl Form {
    /// The forms by the names that `pgq.capture_table()` knows.
    pub fn parse(name: &str) -> Option<Form> {
        [Form::Row, Form::Statement, Form::Generic].into_iter().find(|f| f.to_string() == name)
    }

    /// The format carries a changed key, and the text does not depend on the session.
    pub fn is_generated(self) -> bool {
        self != Form::Generic
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Row => "row",
            Form::Statement => "statement",
            Form::Generic => "generic",
        })
    }
}

/// What a session does.
#[derive(Debug, Clone)]
pub enum Act {
    /// One message of the simple protocol.
    Sql(String),
    /// `COPY … FROM STDIN` with its data.
    Copy { sql: String, data: String },
    /// The consumer reads and finishes batches until there are none.
    Consume,
    /// No transaction is open: everything is read, replayed and compared.
    Compare,
}

/// One step. A session past the last one is the clerk: it ticks, rotates and decides prepared transactions.
#[derive(Debug, Clone)]
pub struct Step {
    pub session: usize,
    pub act: Act,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.act {
            Act::Sql(sql) => format!("{sql};"),
            Act::Copy { sql, data } => format!(
                "{sql};\n{}\\.",
                data.escape_debug().to_string().replace("\\n", "\n").replace("\\\\", "\\")
            ),
            Act::Consume => "-- consume".to_owned(),
            Act::Compare => "-- compare".to_owned(),
        };
        write!(f, "/* {} */ {text}", self.session)
    }
}

/// Everything but the steps.
#[derive(Debug, Clone)]
pub struct Setup {
    pub seed: u64,
    pub form: Form,
    /// Statements on both databases.
    pub both: Vec<String>,
    /// Statements on the source alone, after those.
    pub source: Vec<String>,
    /// What each session runs first; as many as there are sessions.
    pub sessions: Vec<String>,
}
