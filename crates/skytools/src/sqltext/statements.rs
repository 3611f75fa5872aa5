//! Splitting a script into statements.

use super::{Options, TokenKind, tokenize};
use crate::{Error, Result};

/// Splits at each `;` outside parentheses, quotes and comments. Statements keep their `;` and lose leading blanks
/// and comments; a last one without `;` counts too.
///
/// The body of a function in SQL-standard form (`begin atomic … end`) stays in one piece.
///
/// # Errors
/// [`ErrorKind::Data`](crate::ErrorKind::Data): unbalanced parentheses, unclosed quotes or comments, and `copy … from
/// stdin`, whose data a script cannot carry here. The line is named.
pub fn parse_statements(sql: &str) -> Result<Vec<&str>> {
    let mut statements = Vec::new();
    let mut current = Statement::default();
    for token in tokenize(sql, Options::default()) {
        let failed = |what: &str| Error::data(format!("line {}: {what}", line_of(sql, token.start)));
        match token.kind {
            TokenKind::Space => continue,
            TokenKind::Error => {
                return Err(failed("unclosed quote or comment, or a character that is no SQL"));
            }
            _ => {}
        }
        current.start.get_or_insert(token.start);
        if token.kind == TokenKind::Symbol {
            match token.text {
                "(" => current.depth += 1,
                ")" => {
                    current.depth = current
                        .depth
                        .checked_sub(1)
                        .ok_or_else(|| failed("closing parenthesis without opening one"))?;
                }
                ";" if current.depth == 0 && current.blocks == 0 => {
                    statements.push(&sql[current.start.unwrap_or(token.start)..token.end()]);
                    current = Statement::default();
                    continue;
                }
                _ => {}
            }
        } else if token.kind == TokenKind::Ident {
            current.word(token.text);
            if current.copies_from_stdin() {
                return Err(failed("copy from stdin is not possible in a script")
                    .hint("Load the data with psql, or write insert statements."));
            }
        }
    }
    let Some(start) = current.start else { return Ok(statements) };
    if current.depth > 0 {
        let line = line_of(sql, start);
        return Err(Error::data(format!(
            "line {line}: the statement that begins here lacks a closing parenthesis"
        )));
    }
    statements.push(sql[start..].trim_end());
    Ok(statements)
}

fn line_of(sql: &str, at: usize) -> usize {
    1 + sql.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count()
}

/// What is known about the statement being read.
#[derive(Default)]
struct Statement {
    start: Option<usize>,
    /// Open parentheses.
    depth: usize,
    /// Open `begin`/`case` inside a function body.
    blocks: usize,
    first: Option<String>,
    previous: String,
    /// `create [or replace] function | procedure` was seen at the beginning.
    routine: bool,
    words: usize,
    from_stdin: bool,
}

impl Statement {
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        self.words += 1;
        let first = self.first.get_or_insert_with(|| word.clone());
        let create = first == "create";
        self.routine |= create && self.words <= 4 && matches!(word.as_str(), "function" | "procedure");
        if self.routine && self.depth == 0 {
            match word.as_str() {
                "atomic" if self.previous == "begin" => self.blocks += 1,
                "case" if self.blocks > 0 => self.blocks += 1,
                "end" => self.blocks = self.blocks.saturating_sub(1),
                _ => {}
            }
        }
        self.from_stdin |= self.depth == 0 && word == "stdin" && self.previous == "from";
        self.previous = word;
    }

    fn copies_from_stdin(&self) -> bool {
        self.from_stdin && self.first.as_deref() == Some("copy")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits() {
        assert_eq!(
            parse_statements("select (select 2+(select 3;);) ; select 4;").unwrap(),
            ["select (select 2+(select 3;);) ;", "select 4;"]
        );
        assert_eq!(parse_statements("-- a\n /* b */ select ';' ; -- c\n").unwrap(), ["select ';' ;"]);
        assert_eq!(parse_statements("select $a$;$a$; x").unwrap(), ["select $a$;$a$;", "x"]);
        assert_eq!(parse_statements(" \n").unwrap(), [""; 0]);
        let atomic =
            "create function f() returns int begin atomic; select case when (a) then 1 end; select 2; end;";
        assert_eq!(parse_statements(&format!("{atomic} select 1;")).unwrap(), [atomic, "select 1;"]);
    }

    #[test]
    fn refuses() {
        for bad in ["select (1;", "select 1);", "select 'a;", "copy t from stdin;", "COPY t(a) FROM\nstdin;"]
        {
            assert!(parse_statements(bad).is_err(), "{bad}");
        }
        assert!(parse_statements("copy t to stdout; select a from stdin;").is_ok());
        let error = parse_statements("select 1;\n\nselect 2);").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-e'\"$;()/*-]{0,40}|((begin|atomic|end|case|create|function|;|copy|from|stdin) ){0,9}") {
            if let Ok(statements) = parse_statements(&text) {
                prop_assert!(statements.iter().all(|s| !s.is_empty() && text.contains(s)));
            }
        }
    }
}
