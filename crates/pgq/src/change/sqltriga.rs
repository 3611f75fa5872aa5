//! The format of `sqltriga`: pieces of SQL with every value a quoted literal. Nothing here is ever executed; it
//! is read back into names and values, and anything the trigger would not write is an error.

use std::borrow::Cow;

use skytools::{Error, Result};

use super::{Column, Op, RowChange};

/// Fills in `change` from `ev_data`.
pub fn decode<'a>(mut change: RowChange<'a>, data: &'a str) -> Result<RowChange<'a>> {
    let mut input = Input { text: data, pos: 0 };
    match change.op {
        Op::Insert => change.columns = input.insert()?,
        Op::Update => {
            change.columns = input.pairs(",")?;
            input.keyword("where")?;
            change.key = input.pairs("and")?;
        }
        Op::Delete => {
            change.key = input.pairs("and")?;
            change.columns.clone_from(&change.key);
        }
        Op::Truncate => {}
    }
    input.end()?;
    change.key_names = change.key.iter().map(|(name, _)| name.clone()).collect();
    Ok(change)
}

struct Input<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Input<'a> {
    /// `(c1,c2) values ('v1',null)`
    fn insert(&mut self) -> Result<Vec<Column<'a>>> {
        let mut names = Vec::new();
        self.punctuation('(')?;
        loop {
            names.push(self.name()?);
            if !self.accept(',') {
                break;
            }
        }
        self.punctuation(')')?;
        self.keyword("values")?;
        self.punctuation('(')?;
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            if !columns.is_empty() {
                self.punctuation(',')?;
            }
            columns.push((name, self.value()?));
        }
        self.punctuation(')')?;
        Ok(columns)
    }

    /// `a='1',b=NULL` or `a='1' and b is null`
    fn pairs(&mut self, separator: &str) -> Result<Vec<Column<'a>>> {
        let mut pairs = Vec::new();
        loop {
            let name = self.name()?;
            if self.accept('=') {
                pairs.push((name, self.value()?));
            } else {
                self.keyword("is")?;
                self.keyword("null")?;
                pairs.push((name, None));
            }
            let more = if separator == "," { self.accept(',') } else { self.accept_keyword(separator) };
            if !more {
                return Ok(pairs);
            }
        }
    }

    fn name(&mut self) -> Result<Cow<'a, str>> {
        self.blanks();
        if self.rest().starts_with('"') {
            return self.quoted('"', false);
        }
        let length = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.expected("a column name"));
        }
        Ok(Cow::Borrowed(self.advance(length)))
    }

    fn value(&mut self) -> Result<Option<Cow<'a, str>>> {
        self.blanks();
        if self.accept_keyword("null") {
            return Ok(None);
        }
        let escapes = self.rest().starts_with(['E', 'e']) && self.rest()[1..].starts_with('\'');
        if escapes {
            self.pos += 1;
        }
        if self.rest().starts_with('\'') {
            return self.quoted('\'', escapes).map(Some);
        }
        Err(self.expected("a quoted value or null"))
    }

    /// Text between two quotes, in which a doubled quote stands for one.
    fn quoted(&mut self, quote: char, escapes: bool) -> Result<Cow<'a, str>> {
        self.pos += 1;
        let special: &[char] = if escapes { &[quote, '\\'] } else { &[quote] };
        let mut owned: Option<String> = None;
        loop {
            let Some(length) = self.rest().find(special) else {
                return Err(self.expected("a closing quote"));
            };
            let piece = self.advance(length);
            let mark = self.advance(1);
            let follower = self.rest().chars().next();
            let replacement = match (mark, follower) {
                ("\\", Some(c)) => Some(unescape(c).ok_or_else(|| self.expected("a known escape"))?),
                ("\\", None) => return Err(self.expected("a closing quote")),
                (_, Some(c)) if c == quote => Some(quote),
                _ => None,
            };
            match (replacement, &mut owned) {
                (None, None) => return Ok(Cow::Borrowed(piece)),
                (None, Some(text)) => {
                    text.push_str(piece);
                    return Ok(Cow::Owned(std::mem::take(text)));
                }
                (Some(c), text) => {
                    let text = text.get_or_insert_with(String::new);
                    text.push_str(piece);
                    text.push(c);
                    self.pos += follower.map_or(0, char::len_utf8);
                }
            }
        }
    }

    fn keyword(&mut self, word: &str) -> Result<()> {
        if self.accept_keyword(word) { Ok(()) } else { Err(self.expected(word)) }
    }

    fn accept_keyword(&mut self, word: &str) -> bool {
        self.blanks();
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if found {
            self.pos += word.len();
        }
        found
    }

    fn punctuation(&mut self, mark: char) -> Result<()> {
        if self.accept(mark) { Ok(()) } else { Err(self.expected(&format!("\"{mark}\""))) }
    }

    fn accept(&mut self, mark: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(mark);
        if found {
            self.pos += mark.len_utf8();
        }
        found
    }

    fn end(&mut self) -> Result<()> {
        self.blanks();
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("the end")) }
    }

    fn blanks(&mut self) {
        self.pos += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn advance(&mut self, length: usize) -> &'a str {
        let piece = &self.text[self.pos..self.pos + length];
        self.pos += length;
        piece
    }

    fn expected(&self, what: &str) -> Error {
        Error::data(format!("ev_data is not what sqltriga writes: expected {what} at byte {}", self.pos))
    }
}

/// What a backslash and this character mean in `E'…'`. The triggers write only `\\`; octal, hex and unicode
/// escapes are refused rather than guessed at.
fn unescape(c: char) -> Option<char> {
    Some(match c {
        '\\' | '\'' => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}
