//! How a record becomes a line: the two text forms, Python's `%(field)s` templates, JSON.

use std::fmt::Write as _;

use super::record::Record;
use super::redact::redact;
use super::{LineStyle, level_number};
use crate::Result;
use crate::config::Config;

/// Renders records for one sink.
pub(super) struct Formatter {
    shape: Shape,
    style: LineStyle,
    job_name: String,
    service_name: String,
    date_format: Option<String>,
}

enum Shape {
    Standard,
    Template(Vec<Piece>),
    Json,
}

/// A piece of a `logfmt_*` template.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Field {
    Time,
    Process,
    LevelName,
    LevelNumber,
    Message,
    Name,
    Service,
    Host,
    Created,
    Milliseconds,
}

impl Formatter {
    /// The formatter for `console` or `file` by the configuration.
    pub fn from_config(config: &Config, sink: &str, verbose: bool, style: LineStyle) -> Result<Self> {
        let pick = |prefix: &str| -> Result<Option<(String, String)>> {
            for suffix in if verbose { &["_verbose", ""][..] } else { &[""][..] } {
                let key = format!("{prefix}_{sink}{suffix}");
                if let Some(value) = config.get_opt(&key)? {
                    return Ok(Some((key, value)));
                }
            }
            Ok(None)
        };
        let shape = match config.get_or("log_format", "text")?.as_str() {
            "json" => Shape::Json,
            "text" | "" => match pick("logfmt")? {
                Some((key, value)) => {
                    Shape::Template(parse_template(&value).map_err(|what| config.key_error(&key, what))?)
                }
                None => Shape::Standard,
            },
            other => {
                let error = config.key_error("log_format", format_args!("unknown format \"{other}\""));
                return Err(error.hint("Use text or json."));
            }
        };
        let date_format = match pick("logdatefmt")? {
            Some((key, value)) => {
                jiff::fmt::strtime::format(&value, &jiff::Zoned::now()).map_err(|e| {
                    config.key_error(&key, format_args!("bad date format \"{value}\"")).with_source(e)
                })?;
                Some(value)
            }
            None => None,
        };
        let service_name = config.get_or("service_name", config.section())?;
        Ok(Formatter { shape, style, job_name: config.job_name(), service_name, date_format })
    }

    /// Standard lines under the given name.
    pub fn plain(name: &str, style: LineStyle) -> Self {
        Formatter {
            shape: Shape::Standard,
            style,
            job_name: name.to_owned(),
            service_name: name.to_owned(),
            date_format: None,
        }
    }

    /// The record as one line with its newline.
    pub fn line(&self, record: &Record) -> String {
        let mut line = match &self.shape {
            Shape::Json => self.json(record),
            Shape::Standard => {
                let text = one_record(&redact(&record.text()));
                let (time, level, pid) = (self.time(record), self.level(record.level), std::process::id());
                match self.style {
                    LineStyle::Framework => format!("{time} {pid} {level} {text}"),
                    LineStyle::Pgqd => format!("{time} [{pid}] {level} {text}"),
                }
            }
            Shape::Template(pieces) => {
                let text = one_record(&redact(&record.text()));
                let mut line = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => line.push_str(text),
                        Piece::Field(field) => self.field(&mut line, *field, record, &text),
                    }
                }
                line
            }
        };
        line.push('\n');
        line
    }

    fn time(&self, record: &Record) -> String {
        if let Some(format) = &self.date_format {
            // The format was tried when it was read.
            return jiff::fmt::strtime::format(format, &record.time).unwrap_or_default();
        }
        let t = &record.time;
        let (date, hour, minute, second) = (t.date(), t.hour(), t.minute(), t.second());
        let millisecond = t.subsec_nanosecond() / 1_000_000;
        match self.style {
            LineStyle::Framework => format!("{date} {hour:02}:{minute:02}:{second:02},{millisecond:03}"),
            LineStyle::Pgqd => {
                let zone = t.strftime("%Z");
                format!("{date} {hour:02}:{minute:02}:{second:02}.{millisecond:03} {zone}")
            }
        }
    }

    fn level(&self, level: tracing::Level) -> &'static str {
        let names = match self.style {
            LineStyle::Framework => ["ERROR", "WARNING", "INFO", "DEBUG", "TRACE"],
            LineStyle::Pgqd => ["ERROR", "WARNING", "LOG", "DEBUG", "NOISE"],
        };
        names[usize::from(level_number(level))]
    }

    fn field(&self, line: &mut String, field: Field, record: &Record, text: &str) {
        let python_level = [40, 30, 20, 10, 5][usize::from(level_number(record.level))];
        let micros = record.time.timestamp().as_microsecond();
        let written = match field {
            Field::Time => write!(line, "{}", self.time(record)),
            Field::Process => write!(line, "{}", std::process::id()),
            Field::LevelName => write!(line, "{}", self.level(record.level)),
            Field::LevelNumber => write!(line, "{python_level}"),
            Field::Message => write!(line, "{text}"),
            Field::Name => write!(line, "{}", self.job_name),
            Field::Service => write!(line, "{}", self.service_name),
            Field::Host => {
                write!(line, "{}", nix::unistd::gethostname().unwrap_or_default().to_string_lossy())
            }
            Field::Created => write!(line, "{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            Field::Milliseconds => write!(line, "{}", micros / 1000 % 1000),
        };
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }

    fn json(&self, record: &Record) -> String {
        let mut object = serde_json::Map::new();
        let mut put = |key: &str, value: serde_json::Value| {
            object.insert(key.to_owned(), value);
        };
        let text = |s: &str| serde_json::Value::String(redact(s).into_owned());
        put("time", record.time.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string().into());
        put("level", self.level(record.level).into());
        put("pid", std::process::id().into());
        put("job_name", self.job_name.as_str().into());
        put("service_name", self.service_name.as_str().into());
        put("target", record.target.into());
        put("message", text(&record.message));
        if let Some(error) = &record.error {
            put("error", text(error));
        }
        if let Some(hint) = &record.hint {
            put("hint", text(hint));
        }
        for (name, value) in &record.fields {
            let value = match value {
                serde_json::Value::String(s) => text(s),
                other => other.clone(),
            };
            // A field may not replace one of the fixed keys.
            let taken = object.contains_key(*name);
            object.insert(if taken { format!("field_{name}") } else { (*name).to_owned() }, value);
        }
        serde_json::Value::Object(object).to_string()
    }
}

/// Keeps one record recognisable as one: lines after the first are indented, control characters are escaped, so
/// that text from outside cannot pretend to be another record or send commands to a terminal.
fn one_record(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim_end_matches(['\n', '\r']).chars() {
        match c {
            '\n' => out.push_str("\n\t"),
            '\t' => out.push('\t'),
            '\r' => {}
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Parses Python's `%(name)s` form; a width or precision between `)` and the letter is accepted and ignored.
fn parse_template(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        literal.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let inner = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
        let Some((name, after)) = inner else {
            return Err("a % in a log format must begin %(field)s or be doubled".to_owned());
        };
        let letter = after.find(|c: char| c.is_ascii_alphabetic());
        let Some(end) = letter.filter(|&end| after[..end].bytes().all(|b| b"-+#0123456789.".contains(&b)))
        else {
            return Err(format!("%({name}) must be followed by s, d or f"));
        };
        rest = &after[end + 1..];
        let field = match name {
            "asctime" => Field::Time,
            "process" => Field::Process,
            "levelname" => Field::LevelName,
            "levelno" => Field::LevelNumber,
            "message" => Field::Message,
            "name" | "job_name" => Field::Name,
            "service_name" => Field::Service,
            "hostname" => Field::Host,
            "created" => Field::Created,
            "msecs" => Field::Milliseconds,
            _ => return Err(format!("unknown log field %({name})s")),
        };
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Field(field));
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}
