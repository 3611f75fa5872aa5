//! The error of this crate: what failed, why, and what to do next.

use std::fmt;

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, the cause where there is one, and the next step where one is known.
#[derive(thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    hint: Option<String>,
    source: Option<std::io::Error>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Error { message: message.into(), hint: None, source: None }
    }

    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        Error { message: message.into(), hint: None, source: Some(source) }
    }

    /// A failure of the operating system while doing what `message` says.
    pub fn from_io(message: impl Into<String>, source: std::io::Error) -> Self {
        Self::io(message, source)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The next step, as a sentence for the person at the terminal.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

// Tests show errors by `unwrap`, that is by Debug: it must carry everything.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
