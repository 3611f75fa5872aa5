//! The two interpolations: `%(key)s` (`config_format = 1`) and `${key}`, `${section:key}` (`config_format = 2`).

/// How values refer to other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `%(key)s`, `%%`.
    Percent,
    /// `${key}`, `${section:key}`, `$$`.
    Dollar,
}

/// How deep values may refer to values, as in the original.
const MAX_DEPTH: usize = 10;
/// The longest expanded value in bytes; a ten-level tower of references could otherwise fill memory.
const MAX_LENGTH: usize = 16 * 1024 * 1024;
/// The most references followed for one value, for the same reason.
const MAX_REFERENCES: usize = 10_000;

impl Format {
    fn mark(self) -> char {
        match self {
            Format::Percent => '%',
            Format::Dollar => '$',
        }
    }

    /// Text that expands to itself.
    pub fn escape(self, text: &str) -> String {
        let mark = self.mark();
        text.replace(mark, &format!("{mark}{mark}"))
    }
}

/// Expands `raw`. `look_up(section, key)` gives raw values; a section of `None` means the value's own section.
///
/// The error is a sentence fragment without file or key, which the caller adds.
pub(super) fn expand<'a>(
    format: Format,
    section: &str,
    raw: &'a str,
    look_up: &dyn Fn(&str, &str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut state = Expansion { format, look_up, out: String::with_capacity(raw.len()), references: 0 };
    state.run(section, raw, 1)?;
    Ok(state.out)
}

struct Expansion<'a, 'f> {
    format: Format,
    look_up: &'f dyn Fn(&str, &str) -> Option<&'a str>,
    out: String,
    references: usize,
}

impl<'a> Expansion<'a, '_> {
    fn run(&mut self, section: &str, raw: &'a str, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("values refer to each other more than {MAX_DEPTH} levels deep"));
        }
        let mark = self.format.mark();
        let mut rest = raw;
        while let Some(at) = rest.find(mark) {
            self.push(&rest[..at])?;
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(mark) {
                self.out.push(mark);
                rest = after;
                continue;
            }
            let (open, close) = match self.format {
                Format::Percent => ("(", ")s"),
                Format::Dollar => ("{", "}"),
            };
            let Some(inner) = rest.strip_prefix(open) else {
                return Err(format!("a single \"{mark}\" must be written {mark}{mark}"));
            };
            let Some((name, after)) = inner.split_once(close) else {
                return Err(format!("reference \"{mark}{open}\" is not closed by \"{close}\""));
            };
            rest = after;
            self.reference(section, name, depth)?;
        }
        self.push(rest)
    }

    fn reference(&mut self, section: &str, name: &str, depth: usize) -> Result<(), String> {
        self.references += 1;
        if self.references > MAX_REFERENCES {
            return Err(format!("the value needs more than {MAX_REFERENCES} references"));
        }
        let (target, key) = match (self.format, name.split_once(':')) {
            (Format::Dollar, Some((other, key))) => (other, key),
            _ => (section, name),
        };
        let key = key.to_lowercase();
        let Some(value) = (self.look_up)(target, &key) else {
            return Err(format!("it refers to \"{key}\", which section [{target}] does not have"));
        };
        self.run(target, value, depth + 1)
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > MAX_LENGTH {
            return Err(format!("the expanded value is longer than {MAX_LENGTH} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }
}
