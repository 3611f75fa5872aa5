//! The query whose result has to be the same on both sides, and how its result is shown. No I/O.

use skytools::quote;

use crate::apply::TableShape;

/// Counts rows.
const COUNT: &str = "select count(1) as cnt from only _TABLE_";

/// Counts rows and adds up a 64-bit hash of each row's text. A sum does not depend on order, and as `numeric` it does
/// not overflow.
const CHECKSUM: &str = "select count(1) as cnt, sum(pg_catalog.hashtextextended(row(_COLS_)::text, 0)::numeric) as chksum from only _TABLE_";

/// As [`CHECKSUM`], where the two sides write the same characters as different bytes: what is hashed is the row in an
/// encoding that both can be put into. In hexadecimal digits, for a hash of `bytea` cannot be called before PostgreSQL 18
/// (a digest like sha256 costs more than the digits do).
const CONVERTED: &str = "select count(1) as cnt, sum(pg_catalog.hashtextextended(pg_catalog.encode(pg_catalog.convert_to(row(_COLS_)::text, '_ENCODING_'), 'hex'), 0)::numeric) as chksum from only _TABLE_";

const SQL_ASCII: &str = "SQL_ASCII";

const FORMAT: &str = "%(cnt)d rows, checksum=%(chksum)s";
const COUNT_FORMAT: &str = "%(cnt)d rows";

/// What to ask and how to show the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: String,
    /// What to ask instead where bytes have to be converted; nothing for queries that are asked as they are.
    converted: Option<&'static str>,
    format: String,
}

/// The encoding into which a server of encoding `ours` puts its rows before they are hashed; none where both sides hold
/// the same characters as the same bytes. A database of `SQL_ASCII` holds what clients sent, which is UTF-8 with us, and
/// cannot convert it.
pub(super) fn conversion(ours: &str, theirs: &str) -> Option<&'static str> {
    let held = |encoding| if encoding == SQL_ASCII { "UTF8" } else { encoding };
    match ours {
        _ if held(ours) == held(theirs) => None,
        SQL_ASCII => Some(SQL_ASCII),
        _ => Some("UTF8"),
    }
}

impl Query {
    /// The query of `compare_sql`, or the default; the format of `compare_fmt`, or the default.
    pub fn new(count_only: bool, sql: Option<&str>, format: Option<&str>) -> Self {
        let (default_sql, default_format) =
            if count_only { (COUNT, COUNT_FORMAT) } else { (CHECKSUM, FORMAT) };
        Query {
            sql: sql.unwrap_or(default_sql).to_owned(),
            converted: (sql.is_none() && !count_only).then_some(CONVERTED),
            format: format.unwrap_or(default_format).to_owned(),
        }
    }

    /// Whether the statement is another one where the encodings of the two servers differ. A query of `compare_sql` is
    /// the operator's, and a count has no bytes.
    pub(super) fn knows_encodings(&self) -> bool {
        self.converted.is_some()
    }

    /// The statement for one table: `_TABLE_` and `_COLS_` replaced, the condition added. Rows are hashed in encoding
    /// `convert`, or in the server's own.
    pub fn statement(
        &self,
        table: &TableShape,
        columns: &[String],
        condition: Option<&str>,
        convert: Option<&str>,
    ) -> String {
        let list: Vec<String> = columns.iter().map(|name| quote::ident(name)).collect();
        let template = match (convert, self.converted) {
            (Some(encoding), Some(converted)) => converted.replace("_ENCODING_", encoding),
            _ => self.sql.clone(),
        };
        let only = if table.partitioned { template.replace("only _TABLE_", "_TABLE_") } else { template };
        let mut sql = only.replace("_TABLE_", &table.sql).replace("_COLS_", &list.join(", "));
        if let Some(condition) = condition {
            sql.push_str(" where ");
            sql.push_str(condition);
        }
        sql
    }

    /// The answer as text: `%(name)s` and `%(name)d` stand for columns, NULL is `None`, `%%` is a percent sign.
    pub fn show(&self, answer: &[(String, Option<String>)]) -> String {
        let mut out = String::new();
        let mut rest = self.format.as_str();
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                out.push('%');
                rest = after;
                continue;
            }
            let named = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
            let Some((name, after)) = named else {
                out.push('%');
                continue;
            };
            let value = answer.iter().find(|(column, _)| column == name).and_then(|(_, v)| v.as_deref());
            out.push_str(value.unwrap_or("None"));
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
            let mut letters = rest.chars();
            if letters.next().is_some_and(|c| c.is_ascii_alphabetic()) {
                rest = letters.as_str();
            }
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cnt: &str, chksum: Option<&str>) -> Vec<(String, Option<String>)> {
        vec![("cnt".to_owned(), Some(cnt.to_owned())), ("chksum".to_owned(), chksum.map(str::to_owned))]
    }

    #[test]
    fn default_format_is_the_original_one() {
        let query = Query::new(false, None, None);
        assert_eq!(query.show(&answer("5", Some("-17"))), "5 rows, checksum=-17");
        assert_eq!(query.show(&answer("0", None)), "0 rows, checksum=None");
        assert_eq!(Query::new(true, None, None).show(&answer("5", None)), "5 rows");
    }

    #[test]
    fn own_formats_are_filled_in() {
        let query = Query::new(false, Some("select 1 as a from _TABLE_"), Some("100%% %(a)5.2f|%(b)s|% x"));
        assert_eq!(query.show(&[("a".to_owned(), Some("1".to_owned()))]), "100% 1|None|% x");
    }

    #[test]
    fn statements_name_table_and_columns() {
        let table = TableShape::from_parts("public.t", 1, false, Vec::new(), Vec::new());
        let sql = Query::new(false, None, None).statement(
            &table,
            &["id".to_owned(), "a b".to_owned()],
            Some("id > 5"),
            None,
        );
        assert!(sql.contains("\"a b\")::text") && sql.ends_with(" where id > 5"), "{sql}");
        let partitioned = TableShape::from_parts("public.t", 1, true, Vec::new(), Vec::new());
        assert!(!Query::new(true, None, None).statement(&partitioned, &[], None, None).contains(" only "));
    }

    #[test]
    fn bytes_are_converted_only_where_they_differ() {
        assert_eq!((conversion("UTF8", "UTF8"), conversion("LATIN1", "LATIN1")), (None, None));
        assert_eq!((conversion("UTF8", "SQL_ASCII"), conversion("SQL_ASCII", "UTF8")), (None, None));
        assert_eq!(
            (conversion("UTF8", "LATIN1"), conversion("LATIN1", "UTF8")),
            (Some("UTF8"), Some("UTF8"))
        );
        assert_eq!(
            (conversion("SQL_ASCII", "LATIN1"), conversion("LATIN1", "SQL_ASCII")),
            (Some("SQL_ASCII"), Some("UTF8"))
        );
        let table = TableShape::from_parts("public.t", 1, false, Vec::new(), Vec::new());
        let sql = |query: &Query, convert| query.statement(&table, &["_ENCODING_".to_owned()], None, convert);
        let query = Query::new(false, None, None);
        assert!(query.knows_encodings() && !sql(&query, None).contains("convert_to"));
        let converted = sql(&query, Some("UTF8"));
        assert!(converted.contains("row(\"_ENCODING_\")::text, 'UTF8')"), "{converted}");
        for own in [Query::new(true, None, None), Query::new(false, Some("select 1 from _TABLE_"), None)] {
            assert!(!own.knows_encodings());
            assert_eq!(sql(&own, None), sql(&own, Some("UTF8")));
        }
    }
}
