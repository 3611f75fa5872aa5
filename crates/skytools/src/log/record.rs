//! One log event, taken out of `tracing`'s visitor interface.

use std::fmt::Write as _;

use tracing::field::{Field, Visit};

/// A captured event with its time.
pub(super) struct Record {
    pub time: jiff::Zoned,
    pub level: tracing::Level,
    pub target: &'static str,
    pub message: String,
    /// `error = …`, rendered after the message.
    pub error: Option<String>,
    /// `hint = …`, rendered last.
    pub hint: Option<String>,
    /// Other fields in the order they were written.
    pub fields: Vec<(&'static str, serde_json::Value)>,
}

impl Record {
    /// Captures the event now.
    pub fn capture(event: &tracing::Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut record = Record {
            time: jiff::Zoned::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: String::new(),
            error: None,
            hint: None,
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    /// Message, error, fields and hint as one readable text.
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        if let Some(error) = &self.error {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(error);
        }
        for (index, (name, value)) in self.fields.iter().enumerate() {
            text.push_str(if index == 0 { " (" } else { ", " });
            text.push_str(name);
            text.push('=');
            match value {
                serde_json::Value::String(s) => text.push_str(s),
                // Writing to a String cannot fail.
                other => drop(write!(text, "{other}")),
            }
        }
        if !self.fields.is_empty() {
            text.push(')');
        }
        if let Some(hint) = &self.hint {
            text.push_str(" Hint: ");
            text.push_str(hint);
        }
        text
    }

    fn put(&mut self, field: &Field, value: serde_json::Value) {
        let as_text = |value: serde_json::Value| match value {
            serde_json::Value::String(s) => s,
            other => other.to_string(),
        };
        match field.name() {
            "message" => self.message = as_text(value),
            "error" => self.error = Some(as_text(value)),
            "hint" => self.hint = Some(as_text(value)),
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(inner) = cause {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            cause = inner.source();
        }
        self.put(field, text.into());
    }
}
