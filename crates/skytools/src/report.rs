//! How an error is shown to a person, and the exit status that goes with it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::Error;
use crate::log::redact;

/// `error: message`, one line per cause, and `hint: …`; no trailing newline, passwords masked.
pub fn render(error: &Error) -> String {
    let mut text = format!("error: {}", redact(&error.to_string()));
    let mut shown = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let piece = inner.to_string();
        // Several library errors repeat their source in their own text.
        if !piece.is_empty() && !shown.ends_with(&piece) {
            let written = write!(text, "\n  caused by: {}", redact(&piece));
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            shown = piece;
        }
        cause = inner.source();
    }
    if let Some(hint) = error.hint_text() {
        let written = write!(text, "\nhint: {}", redact(hint));
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    text
}

/// The exit status of a program that ends with this error: 1, as everywhere in the suite.
///
/// Status 2 belongs to the option parser, which reports its own errors.
pub fn exit_code(_error: &Error) -> ExitCode {
    ExitCode::from(1)
}

/// Shows the error once on standard error and, when a log file is open, once there.
pub fn emit(error: &Error) -> ExitCode {
    let console = crate::log::console_active();
    crate::log::mute_console(true);
    match error.hint_text() {
        Some(hint) => tracing::error!(hint, "{}", error.chain()),
        None => tracing::error!("{}", error.chain()),
    }
    crate::log::mute_console(!console);
    // Nowhere is left to report that standard error is gone.
    drop(writeln!(std::io::stderr(), "{}", render(error)));
    exit_code(error)
}
