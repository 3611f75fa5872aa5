//! One error type for the suite: what was being done, to which object, the cause, and the next step.
//!
//! The kind decides two things and nothing else: whether a daemon retries, and the exit status of a command.
//! An error is logged once, where it is handled.

use std::fmt;

use tokio_postgres::error::SqlState;

/// Shorthand used across the suite.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure this is; decides retry and exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The command line or a call is wrong; nothing was attempted.
    Usage,
    /// A configuration file, key or connect string is wrong.
    Config,
    /// A server could not be reached or the connection broke.
    Connection,
    /// The server asks to try again: serialization failure, deadlock, lock timeout, shutdown in progress.
    Transient,
    /// The named object does not exist.
    NotFound,
    /// The object is in a state that does not allow the operation.
    State,
    /// The role lacks a privilege.
    Permission,
    /// The data contradicts what was expected (bad event, lost position, differing tables).
    Data,
    /// A file or another system resource failed.
    System,
    /// Any other error that the server reported.
    Database,
    /// A bug in this program.
    Internal,
}

/// An error with its kind, its cause and a hint that names the next step.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    sqlstate: Option<SqlState>,
    within: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of the given kind. The message names what was being done and to which object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            sqlstate: None,
            within: None,
            source: None,
        }))
    }

    /// A mistake of the caller.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A mistake in configuration.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An object that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// An object in the wrong state.
    pub fn state(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::State, message)
    }

    /// Data that contradicts expectations.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Adds the next step for the reader, as a sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Attaches the cause; its text is never formatted into the message.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Wraps this error in what was being done when it happened; all that it knows beside its message is kept.
    #[must_use]
    pub fn context(self, doing: impl Into<String>) -> Self {
        let Inner { kind, hint, sqlstate, within, .. } = &*self.0;
        let (kind, hint, sqlstate, within) = (*kind, hint.clone(), sqlstate.clone(), within.clone());
        Error(Box::new(Inner {
            kind,
            message: doing.into(),
            hint,
            sqlstate,
            within,
            source: Some(Box::new(self)),
        }))
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The next step, where there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The SQLSTATE, when a server reported the error.
    pub fn sqlstate(&self) -> Option<&SqlState> {
        self.0.sqlstate.as_ref()
    }

    /// In which function of the server it happened, and where there, as the server says it: `PL/pgSQL function f() line 3 at …`.
    pub fn within(&self) -> Option<&str> {
        self.0.within.as_deref()
    }

    /// Whether doing the same again, on a new connection if need be, may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connection | ErrorKind::Transient)
    }

    /// The message, followed by every cause, joined by `: `.
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            let piece = inner.to_string();
            if !piece.is_empty() && !text.ends_with(&piece) {
                text.push_str(": ");
                text.push_str(&piece);
            }
            cause = inner.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}

/// The kind of a SQLSTATE (PostgreSQL documentation, appendix A), which decides whether a daemon tries again.
fn kind_of(state: &SqlState) -> ErrorKind {
    let code = state.code();
    match code {
        // The session is gone: shutdown, crash of another session, start-up, idle and transaction timeouts.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => ErrorKind::Connection,
        // Lock not available, object in use, statement timeout or cancel, snapshot too old.
        "55P03" | "55006" | "57014" | "72000" => ErrorKind::Transient,
        // Insufficient privilege; a role that may not be granted or taken.
        "42501" | "0L000" | "0LP01" => ErrorKind::Permission,
        // Database, schema, table, column, function, object, role, cursor; a database that was dropped.
        "3D000" | "3F000" | "42P01" | "42703" | "42883" | "42704" | "0P000" | "34000" | "57P04" | "P0002" => {
            ErrorKind::NotFound
        }
        // Object not in the required state, read-only transaction, duplicate object of any sort, dependent objects.
        "55000" | "55P02" | "55P04" | "25006" | "42P04" | "42P06" | "42P07" | "42701" | "42710" | "42723"
        | "2BP01" => ErrorKind::State,
        _ => match &code[..2] {
            "08" => ErrorKind::Connection,
            // Transaction rollback; out of disk, memory or connections.
            "40" | "53" => ErrorKind::Transient,
            "28" => ErrorKind::Permission,
            // Data exceptions and violated constraints.
            "22" | "23" | "44" => ErrorKind::Data,
            "58" => ErrorKind::System,
            _ => ErrorKind::Database,
        },
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(db) = error.as_db_error() {
            let mut message = db.message().to_owned();
            if let Some(detail) = db.detail() {
                // Details of constraint violations carry row data: useful to the operator, who may read it.
                message.push_str(" — ");
                message.push_str(detail);
            }
            let sqlstate = db.code().clone();
            let hint = db.hint().map(str::to_owned);
            return Error(Box::new(Inner {
                kind: kind_of(&sqlstate),
                message,
                hint,
                sqlstate: Some(sqlstate),
                // Of calls in calls the first line is where it happened.
                within: db
                    .where_()
                    .and_then(|w| w.lines().find(|line| line.contains(" function ")))
                    .map(str::to_owned),
                source: None,
            }));
        }
        // A value that does not fit its Rust type also has a cause; only one of the transport means a lost connection.
        let lost =
            error.is_closed() || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>());
        let kind = if lost { ErrorKind::Connection } else { ErrorKind::Database };
        Error::new(kind, "talking to the server failed").with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates() {
        for (code, kind) in [
            ("08006", ErrorKind::Connection),
            ("57P01", ErrorKind::Connection),
            ("57P03", ErrorKind::Connection),
            ("25P03", ErrorKind::Connection),
            ("40001", ErrorKind::Transient),
            ("40P01", ErrorKind::Transient),
            ("53100", ErrorKind::Transient),
            ("53300", ErrorKind::Transient),
            ("55P03", ErrorKind::Transient),
            ("57014", ErrorKind::Transient),
            ("28P01", ErrorKind::Permission),
            ("42501", ErrorKind::Permission),
            ("3D000", ErrorKind::NotFound),
            ("42P01", ErrorKind::NotFound),
            ("42883", ErrorKind::NotFound),
            ("55000", ErrorKind::State),
            ("25006", ErrorKind::State),
            ("42P07", ErrorKind::State),
            ("23505", ErrorKind::Data),
            ("22P02", ErrorKind::Data),
            ("58030", ErrorKind::System),
            ("42601", ErrorKind::Database),
            ("XX000", ErrorKind::Database),
            ("P0001", ErrorKind::Database),
        ] {
            assert_eq!(kind_of(&SqlState::from_code(code)), kind, "{code}");
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (kind, again) in [
            (ErrorKind::Connection, true),
            (ErrorKind::Transient, true),
            (ErrorKind::Permission, false),
            (ErrorKind::Data, false),
            (ErrorKind::State, false),
            (ErrorKind::Database, false),
        ] {
            assert_eq!(Error::new(kind, "x").is_retryable(), again, "{kind:?}");
        }
    }

    #[test]
    fn context_keeps_kind_and_hint_and_the_chain_repeats_nothing() {
        let error = Error::not_found("no queue q").hint("Create it.").context("reading").context("starting");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.hint_text(), Some("Create it."));
        assert_eq!(error.chain(), "starting: reading: no queue q");
        assert_eq!(error.to_string(), "starting");
        assert_eq!(format!("{error:?}"), "NotFound: starting: reading: no queue q (hint: Create it.)");
    }
}
