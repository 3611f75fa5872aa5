//! The data of `sqltriga` events: fragments of SQL that say what changed.
//!
//! | operation | form |
//! |-----------|------|
//! | I | `(col, …) values (val, …)` |
//! | U | `col = val, … where key = val and …` |
//! | D | `key = val and …` |
//!
//! Values are literals, numbers, `null`, `true` or `false`; backslashes in strings are escapes, as the original wrote
//! them. Nothing else is understood: no expressions, no `is null`, no dollar quotes.

use super::{Options, Token, TokenKind, Tokens, tokenize};
use crate::quote::{unquote_ident, unquote_literal};
use crate::{Error, Result};

/// Columns with their values, `None` for NULL.
pub type Columns = Vec<(String, Option<String>)>;

/// A change read from an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlChange {
    /// The key conditions of an update or delete.
    pub keys: Columns,
    /// The values of an insert or update.
    pub data: Columns,
}

impl SqlChange {
    /// All columns; where a column is both, the new value counts.
    pub fn merged(&self) -> Columns {
        let mut all = self.keys.clone();
        for (name, value) in &self.data {
            match all.iter_mut().find(|(n, _)| n == name) {
                Some(slot) => slot.1.clone_from(value),
                None => all.push((name.clone(), value.clone())),
            }
        }
        all
    }
}

/// Parses the data of a `sqltriga` event of operation `I`, `U` or `D`.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): another operation, or text of another form; row data is not shown.
pub fn parse_sqltriga_sql(operation: &str, text: &str) -> Result<SqlChange> {
    let options = Options { standard_strings: false, dotted: false, skip_space: true };
    let mut parser = Parser { tokens: tokenize(text, options), operation, length: text.len() };
    let change = match operation {
        "I" => SqlChange { keys: Vec::new(), data: parser.insert()? },
        "U" => parser.update()?,
        "D" => SqlChange { keys: parser.conditions()?, data: Vec::new() },
        other => return Err(Error::data(format!("no operation of sqltriga: {other:?}"))),
    };
    Ok(change)
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    operation: &'a str,
    length: usize,
}

impl<'a> Parser<'a> {
    fn insert(&mut self) -> Result<Columns> {
        self.symbol("(")?;
        let names = self.list(Self::column)?;
        self.expect(|token| token.is_word("values"), "\"values\"")?;
        self.symbol("(")?;
        let values = self.list(Self::value)?;
        self.end()?;
        if names.len() != values.len() {
            let (columns, given) = (names.len(), values.len());
            return Err(self.error(self.length, format_args!("{columns} columns but {given} values")));
        }
        Ok(names.into_iter().zip(values).collect())
    }

    fn update(&mut self) -> Result<SqlChange> {
        let mut data = Vec::new();
        loop {
            data.push(self.pair()?);
            let token = self.token("\",\" or \"where\"")?;
            if token.is_word("where") {
                return Ok(SqlChange { keys: self.conditions()?, data });
            }
            if !token.is_symbol(",") {
                return Err(self.error(token.start, "expected \",\" or \"where\""));
            }
        }
    }

    fn conditions(&mut self) -> Result<Columns> {
        let mut keys = Vec::new();
        loop {
            keys.push(self.pair()?);
            match self.tokens.next() {
                None => return Ok(keys),
                Some(token) if token.is_word("and") => {}
                Some(token) => return Err(self.error(token.start, "expected \"and\" or the end")),
            }
        }
    }

    fn pair(&mut self) -> Result<(String, Option<String>)> {
        let name = self.column()?;
        self.symbol("=")?;
        Ok((name, self.value()?))
    }

    /// Items separated by commas up to the closing parenthesis.
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            items.push(item(self)?);
            let token = self.token("\",\" or \")\"")?;
            if token.is_symbol(")") {
                return Ok(items);
            }
            if !token.is_symbol(",") {
                return Err(self.error(token.start, "expected \",\" or \")\""));
            }
        }
    }

    fn column(&mut self) -> Result<String> {
        let token = self.expect(|token| token.kind == TokenKind::Ident, "a column name")?;
        unquote_ident(token.text)
    }

    fn value(&mut self) -> Result<Option<String>> {
        let literal = |token: &Token<'_>| match token.kind {
            TokenKind::Str => token.text.starts_with(['\'', 'e', 'E']),
            TokenKind::Number => true,
            TokenKind::Ident => ["null", "true", "false"].iter().any(|word| token.is_word(word)),
            _ => false,
        };
        let token = self.expect(literal, "a literal value")?;
        unquote_literal(token.text, false)
    }

    fn symbol(&mut self, symbol: &str) -> Result<()> {
        self.expect(|token| token.is_symbol(symbol), format_args!("\"{symbol}\""))?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        match self.tokens.next() {
            None => Ok(()),
            Some(token) => Err(self.error(token.start, "text after the end")),
        }
    }

    fn expect(
        &mut self,
        wanted: impl Fn(&Token<'a>) -> bool,
        name: impl std::fmt::Display,
    ) -> Result<Token<'a>> {
        let token = self.token(&name)?;
        if wanted(&token) { Ok(token) } else { Err(self.error(token.start, format_args!("expected {name}"))) }
    }

    fn token(&mut self, wanted: impl std::fmt::Display) -> Result<Token<'a>> {
        let token = self.tokens.next();
        token.ok_or_else(|| self.error(self.length, format_args!("it ends where {wanted} is expected")))
    }

    fn error(&self, at: usize, what: impl std::fmt::Display) -> Error {
        Error::data(format!("malformed sqltriga event ({}) at byte {at}: {what}", self.operation))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quote::{ident, nullable};

    fn columns(pairs: &[(&str, Option<&str>)]) -> Columns {
        pairs.iter().map(|&(k, v)| (k.to_owned(), v.map(str::to_owned))).collect()
    }

    #[test]
    fn operations() {
        let insert = parse_sqltriga_sql("I", r#"(id, "Na me") values ('1', E'a\\b''c')"#).unwrap();
        assert_eq!(insert.data, columns(&[("id", Some("1")), ("Na me", Some("a\\b'c"))]));
        let update = parse_sqltriga_sql("U", "a = null, b='x, where' where id = 5 and K='and'").unwrap();
        assert_eq!(update.data, columns(&[("a", None), ("b", Some("x, where"))]));
        assert_eq!(update.keys, columns(&[("id", Some("5")), ("k", Some("and"))]));
        let delete = parse_sqltriga_sql("D", "a='1' and b='2'").unwrap();
        assert_eq!(delete.keys, columns(&[("a", Some("1")), ("b", Some("2"))]));
        let moved = parse_sqltriga_sql("U", "id='2' where id='1'").unwrap();
        assert_eq!(moved.merged(), columns(&[("id", Some("2"))]));
    }

    #[test]
    fn refuses() {
        for (operation, bad) in [
            ("I", ""),
            ("I", "(a,b) values ('1')"),
            ("I", "() values ()"),
            ("I", "(a) values ('1') x"),
            ("I", "(a) values (now())"),
            ("I", "(a.b) values ('1')"),
            ("U", "a='1'"),
            ("U", "a='1', where b='2'"),
            ("D", "a is null"),
            ("D", "a=$$x$$"),
            ("D", "a='1' or b='2'"),
            ("D", "a='1"),
            ("T", ""),
        ] {
            assert!(parse_sqltriga_sql(operation, bad).is_err(), "{operation} {bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            names in proptest::collection::vec("\\PC{1,8}", 1..4),
            values in proptest::collection::vec(proptest::option::of("\\PC*"), 4),
        ) {
            let row: Columns = names.into_iter().zip(values).collect();
            let quoted: Vec<(String, String)> =
                row.iter().map(|(n, v)| (ident(n), nullable(v.as_deref()).into_owned())).collect();
            let (names, values): (Vec<&str>, Vec<&str>) =
                quoted.iter().map(|(n, v)| (n.as_str(), v.as_str())).unzip();
            let text = format!("({}) values ({})", names.join(", "), values.join(","));
            prop_assert_eq!(&parse_sqltriga_sql("I", &text).unwrap().data, &row);
            let pairs: Vec<String> = quoted.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let text = pairs.join(" and ");
            prop_assert_eq!(&parse_sqltriga_sql("D", &text).unwrap().keys, &row);
        }

        #[test]
        fn never_panics(operation in "[IUD]", text in "[abE'\"\\\\=,() 0-9]{0,40}") {
            if let Ok(change) = parse_sqltriga_sql(&operation, &text) {
                prop_assert!(!change.merged().is_empty());
            }
        }
    }
}
