//! The query whose result has to be the same on both sides, and how its result is shown. No I/O.

use skytools::quote;

use crate::apply::TableShape;

/// Counts rows.
const COUNT: &str = "select count(1) as cnt from only _TABLE_";

/// Counts rows and adds up a 64-bit hash of each row's text. A sum does not depend on order, and as `numeric` it does
/// not overflow.
const CHECKSUM: &str = "select count(1) as cnt, sum(pg_catalog.hashtextextended(row(_COLS_)::text, 0)::numeric) as chksum from only _TABLE_";

const FORMAT: &str = "%(cnt)d rows, checksum=%(chksum)s";
const COUNT_FORMAT: &str = "%(cnt)d rows";

/// What to ask and how to show the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: String,
    format: String,
}

impl Query {
    /// The query of `compare_sql`, or the default; the format of `compare_fmt`, or the default.
    pub fn new(count_only: bool, sql: Option<&str>, format: Option<&str>) -> Self {
        let (default_sql, default_format) =
            if count_only { (COUNT, COUNT_FORMAT) } else { (CHECKSUM, FORMAT) };
        Query {
            sql: sql.unwrap_or(default_sql).to_owned(),
            format: format.unwrap_or(default_format).to_owned(),
        }
    }

    /// The statement for one table: `_TABLE_` and `_COLS_` replaced, the condition added.
    pub fn statement(&self, table: &TableShape, columns: &[String], condition: Option<&str>) -> String {
        let list: Vec<String> = columns.iter().map(|name| quote::ident(name)).collect();
        let only =
            if table.partitioned { self.sql.replace("only _TABLE_", "_TABLE_") } else { self.sql.clone() };
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
        );
        assert!(sql.contains("\"a b\")::text") && sql.ends_with(" where id > 5"), "{sql}");
        let partitioned = TableShape::from_parts("public.t", 1, true, Vec::new(), Vec::new());
        assert!(!Query::new(true, None, None).statement(&partitioned, &[], None).contains(" only "));
    }
}
