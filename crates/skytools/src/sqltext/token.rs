//! The SQL tokenizer: cuts text into tokens without interpreting them.
//!
//! Tokens borrow from the text and together make it up completely, so nothing is ever lost. What is malformed (an
//! unclosed quote or comment, a stray character) is a token of kind [`TokenKind::Error`], never a panic.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An identifier, quoted or not; with [`Options::dotted`] a dotted name.
    Ident,
    /// `'…'`, `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`.
    Str,
    /// `$tag$…$tag$`.
    DollarQuoted,
    /// A number.
    Number,
    /// `$1`.
    NumArg,
    /// `%(name)s`.
    PyOld,
    /// `{name}`.
    PyNew,
    /// Blanks and comments.
    Space,
    /// An operator or punctuation.
    Symbol,
    /// Text that is no SQL.
    Error,
}

/// A piece of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its text, as written.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub start: usize,
}

impl Token<'_> {
    /// Where the next token begins.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether this is the given symbol.
    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == TokenKind::Symbol && self.text == symbol
    }

    /// Whether this is the given word, unquoted and in any case.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(word)
    }
}

/// How text is cut.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// `standard_conforming_strings`: a backslash in `'…'` is an ordinary character.
    pub standard_strings: bool,
    /// `a.b."C"` is one token.
    pub dotted: bool,
    /// Blanks and comments are left out.
    pub skip_space: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { standard_strings: true, dotted: false, skip_space: false }
    }
}

/// The tokens of a text.
pub fn tokenize(text: &str, options: Options) -> Tokens<'_> {
    Tokens { text, at: 0, options }
}

/// Iterator over the tokens of a text.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    text: &'a str,
    at: usize,
    options: Options,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = &self.text[self.at..];
            if rest.is_empty() {
                return None;
            }
            let (kind, length) = scan(rest, self.options);
            let token = Token { kind, text: &rest[..length], start: self.at };
            self.at += length;
            if !(self.options.skip_space && kind == TokenKind::Space) {
                return Some(token);
            }
        }
    }
}

/// Operators of more than one character; longer ones first.
const OPERATORS: [&str; 14] =
    ["->>", "#>>", "::", ":=", "=>", "<=", ">=", "<>", "!=", "||", "->", "#>", "@>", "<@"];

/// Kind and length of the token at the beginning of a text that is not empty. The length is never zero.
fn scan(text: &str, options: Options) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let second = bytes.get(1).copied().unwrap_or(0);
    let rest = |from: usize| text.get(from..).unwrap_or_default();
    match bytes[0] {
        b if b.is_ascii_whitespace() || b == 11 => {
            let end = text.find(|c: char| !c.is_ascii_whitespace() && c != '\u{b}');
            (TokenKind::Space, end.unwrap_or(text.len()))
        }
        b'-' if second == b'-' => (TokenKind::Space, text.find('\n').map_or(text.len(), |at| at + 1)),
        b'/' if second == b'*' => closed(TokenKind::Space, comment_end(bytes), text.len()),
        b'\'' => closed(TokenKind::Str, string_end(bytes, 0, !options.standard_strings), text.len()),
        b'e' | b'E' if second == b'\'' => closed(TokenKind::Str, string_end(bytes, 1, true), text.len()),
        b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if second == b'\'' => {
            closed(TokenKind::Str, string_end(bytes, 1, false), text.len())
        }
        b'u' | b'U' if rest(1).starts_with("&'") => {
            closed(TokenKind::Str, string_end(bytes, 2, false), text.len())
        }
        b'u' | b'U' if rest(1).starts_with("&\"") => {
            closed(TokenKind::Ident, quoted_end(bytes, 2), text.len())
        }
        b'"' => identifier(text, options),
        b'$' if second.is_ascii_digit() => (TokenKind::NumArg, 1 + digits(rest(1))),
        b'$' => dollar(text),
        b if b.is_ascii_digit() || (b == b'.' && second.is_ascii_digit()) => {
            (TokenKind::Number, number(text))
        }
        b'%' if second == b'(' => match near(bytes, b')').filter(|&end| bytes.get(end + 1) == Some(&b's')) {
            Some(end) => (TokenKind::PyOld, end + 2),
            None => (TokenKind::Symbol, 1),
        },
        b'{' => match near(bytes, b'}').filter(|&end| is_format_name(&bytes[1..end])) {
            Some(end) => (TokenKind::PyNew, end + 1),
            None => (TokenKind::Symbol, 1),
        },
        b if b == b'_' || b.is_ascii_alphabetic() || !b.is_ascii() => identifier(text, options),
        b if b.is_ascii_graphic() => {
            let operator = OPERATORS.iter().find(|op| text.starts_with(**op));
            (TokenKind::Symbol, operator.map_or(1, |op| op.len()))
        }
        _ => (TokenKind::Error, 1),
    }
}

/// The token up to `end`, or an error that takes the rest of the text.
fn closed(kind: TokenKind, end: Option<usize>, length: usize) -> (TokenKind, usize) {
    end.map_or((TokenKind::Error, length), |end| (kind, end))
}

/// The end of a block comment; comments nest.
fn comment_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
            (b'*', b'/') => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The end of a string whose opening quote is at `open`.
fn string_end(bytes: &[u8], open: usize, escapes: bool) -> Option<usize> {
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The end of a quoted identifier whose opening quote is at `open`.
fn quoted_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// An identifier, or several joined by dots.
fn identifier(text: &str, options: Options) -> (TokenKind, usize) {
    let one = |text: &str| {
        if text.starts_with('"') {
            quoted_end(text.as_bytes(), 0)
        } else {
            let first = text.chars().next().filter(|&c| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii());
            first.map(|_| text.find(|c: char| !is_word(c)).unwrap_or(text.len()))
        }
    };
    let Some(mut end) = one(text) else { return (TokenKind::Error, text.len()) };
    while options.dotted && text[end..].starts_with('.') {
        match one(&text[end + 1..]) {
            Some(more) => end += 1 + more,
            None => break,
        }
    }
    (TokenKind::Ident, end)
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_ascii_alphanumeric() || !c.is_ascii()
}

fn dollar(text: &str) -> (TokenKind, usize) {
    let tag_end = text[1..].find(|c: char| c == '$' || !is_word(c)).map(|at| at + 1);
    let Some(tag) = tag_end.filter(|&at| text[at..].starts_with('$')).map(|at| &text[..=at]) else {
        return (TokenKind::Symbol, 1);
    };
    let end = text[tag.len()..].find(tag).map(|at| at + 2 * tag.len());
    closed(TokenKind::DollarQuoted, end, text.len())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn number(text: &str) -> usize {
    let mut end = digits(text);
    // Two dots are the range operator of PL/pgSQL: 1..10.
    if text[end..].starts_with('.') && !text[end..].starts_with("..") {
        end += 1 + digits(&text[end + 1..]);
    }
    let exponent = &text[end..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        let power = digits(&exponent[1 + sign..]);
        if power > 0 {
            end += 1 + sign + power;
        }
    }
    end
}

/// Where a parameter closes. Names are short; looking further would make a text of openings quadratic.
fn near(bytes: &[u8], close: u8) -> Option<usize> {
    bytes.iter().take(256).position(|&b| b == close)
}

/// What may stand in `{…}`: `name` or `name:type`.
fn is_format_name(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| b == b'_' || b == b':' || b == b'.' || b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        let options = Options { skip_space: true, dotted: true, ..Options::default() };
        tokenize(text, options).map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn every_kind() {
        use TokenKind::*;
        assert_eq!(
            kinds("a.\"B\"\"\".c 'x''y' E'\\'' $q$ ; $q$ 12.5e-3 $1 %(a)s {b:int} :: /* /* */ */ -- x\n ;"),
            [
                (Ident, "a.\"B\"\"\".c"),
                (Str, "'x''y'"),
                (Str, "E'\\''"),
                (DollarQuoted, "$q$ ; $q$"),
                (Number, "12.5e-3"),
                (NumArg, "$1"),
                (PyOld, "%(a)s"),
                (PyNew, "{b:int}"),
                (Symbol, "::"),
                (Symbol, ";"),
            ]
        );
        assert_eq!(kinds("1..2"), [(Number, "1"), (Symbol, "."), (Number, ".2")]);
        assert_eq!(kinds("a$1 $a"), [(Ident, "a$1"), (Symbol, "$"), (Ident, "a")]);
    }

    #[test]
    fn unclosed_is_an_error_token() {
        for text in ["'a", "\"a", "/* a", "$x$ a", "E'\\'"] {
            assert_eq!(kinds(text), [(TokenKind::Error, text)]);
        }
        assert_eq!(kinds("\u{1}"), [(TokenKind::Error, "\u{1}")]);
    }

    #[test]
    fn backslash_by_mode() {
        let old = Options { standard_strings: false, ..Options::default() };
        assert_eq!(tokenize(r"'\''", old).count(), 1);
        assert_eq!(tokenize(r"'\'", Options::default()).count(), 1);
    }

    proptest! {
        #[test]
        fn tokens_make_up_the_text(text in "[a-eE'\"$./*%(){}:0-9\\\\ \nä-]{0,40}", standard: bool, dotted: bool) {
            let options = Options { standard_strings: standard, dotted, skip_space: false };
            let mut joined = String::new();
            for token in tokenize(&text, options) {
                prop_assert_eq!(token.start, joined.len());
                prop_assert!(!token.text.is_empty());
                joined.push_str(token.text);
            }
            prop_assert_eq!(joined, text);
        }
    }
}
