//! The `(ret_code, ret_note)` pair that administrative functions return.

use skytools::{Error, ErrorKind, Result};
use tokio_postgres::Row;

/// Code and note of a call that succeeded.
///
/// By hundreds: 1xx is for debugging, 2xx is information, 3xx a warning. 4xx and above never get here, they are
/// errors: the caller's transaction has to be rolled back, because the functions do not raise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the note is meant for the log: call log()"]
pub struct Reply {
    /// The code.
    pub code: i32,
    /// The text, for people.
    pub note: String,
}

impl Reply {
    /// Reads `ret_code` and `ret_note` of a row, and turns codes of 400 and above into an error.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for 404, otherwise [`ErrorKind::State`]; the message is the function's note.
    pub fn from_row(row: &Row) -> Result<Self> {
        let code: Option<i32> = row.try_get("ret_code")?;
        let note: Option<String> = row.try_get("ret_note")?;
        Self::check(code, note)
    }

    fn check(code: Option<i32>, note: Option<String>) -> Result<Self> {
        // A strict function that was given NULL answers with a row of NULLs.
        let Some(code) = code else {
            return Err(Error::new(
                ErrorKind::Internal,
                "the server function was called with a NULL argument",
            ));
        };
        let note = note.unwrap_or_default();
        match code {
            404 => Err(Error::new(ErrorKind::NotFound, note)),
            400.. => Err(Error::new(ErrorKind::State, note)),
            _ => Ok(Reply { code, note }),
        }
    }

    /// Whether the function succeeded but has something to complain about (3xx).
    pub fn is_warning(&self) -> bool {
        self.code >= 300
    }

    /// Writes the note to the log, at the level of its code.
    pub fn log(&self) {
        self.log_note(&self.note);
    }

    /// As [`Reply::log`], for a call made on another node: the note is prefixed with `[node]`.
    pub fn log_from(&self, node: &str) {
        self.log_note(&format!("[{node}] {}", self.note));
    }

    fn log_note(&self, note: &str) {
        match self.code {
            300.. => tracing::warn!("{note}"),
            200.. => tracing::info!("{note}"),
            _ => tracing::debug!("{note}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundreds_decide() {
        assert_eq!(Reply::check(Some(100), None).unwrap().note, "");
        assert!(!Reply::check(Some(200), Some("Ok".into())).unwrap().is_warning());
        assert!(Reply::check(Some(304), Some("Subscriber not found".into())).unwrap().is_warning());
        assert_eq!(Reply::check(Some(404), Some("x".into())).unwrap_err().kind(), ErrorKind::NotFound);
        let error = Reply::check(Some(405), Some("Cannot drop provider node: n1".into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert_eq!(error.to_string(), "Cannot drop provider node: n1");
        assert_eq!(Reply::check(None, None).unwrap_err().kind(), ErrorKind::Internal);
    }
}
