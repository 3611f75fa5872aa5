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
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error of the given kind. The message names what was being done and to which object.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), hint: None, sqlstate: None, source: None }))
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

    /// Wraps this error in what was being done when it happened; kind, hint and SQLSTATE are kept.
    #[must_use]
    pub fn context(self, doing: impl Into<String>) -> Self {
        let (kind, hint, sqlstate) = (self.0.kind, self.0.hint.clone(), self.0.sqlstate.clone());
        Error(Box::new(Inner { kind, message: doing.into(), hint, sqlstate, source: Some(Box::new(self)) }))
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

/// The retry class of a SQLSTATE (PostgreSQL documentation, appendix A).
fn kind_of(state: &SqlState) -> ErrorKind {
    let code = state.code();
    match &code[..2] {
        "08" => ErrorKind::Connection,
        "40" | "53" => ErrorKind::Transient,
        "28" => ErrorKind::Permission,
        _ => match code {
            "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::Connection,
            "55P03" => ErrorKind::Transient,
            "42501" => ErrorKind::Permission,
            "3D000" | "3F000" | "42P01" | "42883" | "42704" => ErrorKind::NotFound,
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
                source: None,
            }));
        }
        let kind = if error.is_closed() || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>())
        {
            ErrorKind::Connection
        } else {
            ErrorKind::Database
        };
        Error::new(kind, "talking to the server failed").with_source(error)
    }
}
