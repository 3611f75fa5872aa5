//! Reading SQL text without a server: tokens, statements of a script, and the format of `sqltriga` events.

mod statements;
mod token;
mod triga;

pub use statements::parse_statements;
pub use token::{Options, Token, TokenKind, Tokens, tokenize};
pub use triga::{Columns, SqlChange, parse_sqltriga_sql};
