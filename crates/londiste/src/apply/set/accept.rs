//! Which texts of a value are certainly taken by a column, and which texts of a key are its only spelling. No I/O.
//!
//! A change that another one supersedes in memory never reaches the server. That cannot be told apart from ordered
//! replay only if the server would have taken it; so every answer here errs on the side of "perhaps not".

use std::ops::RangeInclusive;

use super::decide::{ColumnFacts, Facts};
use crate::apply::target::{Column, TableShape};
use tokio_postgres::types::Type;

/// A superseded row with more text than this is left to the server: an index entry may not exceed 2 704 bytes, and a
/// row whose values cannot be moved out of line not 8 160. Values of fixed size are at most 16 bytes, text or not.
const MAX_ROW: usize = 1_500;
/// Tables with more columns are left to the server, for the same reason.
const MAX_COLUMNS: usize = 64;

/// What is known about the texts that a column takes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Integer(RangeInclusive<i64>),
    Bool,
    Uuid,
    /// With the most characters, for `varchar(n)`.
    Text(Option<usize>),
    /// Digits before and after the point; without a modifier there is room for all that a row may hold.
    Numeric(Option<(usize, usize)>),
    Float,
    Date,
    Timestamp,
    /// Anything else: only the server can tell.
    Opaque,
}

impl Kind {
    fn of(column: &Column, fact: &ColumnFacts) -> Self {
        if fact.user_type || fact.domain {
            return Kind::Opaque;
        }
        let Some(kind) = Type::from_oid(column.type_oid) else { return Kind::Opaque };
        let modifier = modifier(&column.full_type);
        match kind {
            Type::INT2 => Kind::Integer(i64::from(i16::MIN)..=i64::from(i16::MAX)),
            Type::INT4 => Kind::Integer(i64::from(i32::MIN)..=i64::from(i32::MAX)),
            Type::INT8 => Kind::Integer(i64::MIN..=i64::MAX),
            Type::OID => Kind::Integer(0..=i64::from(u32::MAX)),
            Type::BOOL => Kind::Bool,
            Type::UUID => Kind::Uuid,
            Type::TEXT => Kind::Text(None),
            Type::VARCHAR => match modifier[..] {
                [] => Kind::Text(None),
                [length] => Kind::Text(Some(length)),
                _ => Kind::Opaque,
            },
            Type::NUMERIC => match modifier[..] {
                [] => Kind::Numeric(None),
                // A negative or large scale is written with a sign or exceeds the precision.
                [precision, scale] if scale <= precision && !column.full_type.contains('-') => {
                    Kind::Numeric(Some((precision - scale, scale)))
                }
                _ => Kind::Opaque,
            },
            Type::FLOAT4 | Type::FLOAT8 => Kind::Float,
            Type::DATE => Kind::Date,
            Type::TIMESTAMP | Type::TIMESTAMPTZ => Kind::Timestamp,
            _ => Kind::Opaque,
        }
    }

    /// Whether the column certainly takes the text, which may still have the escapes of COPY.
    fn takes(&self, text: &[u8], any_character: bool) -> bool {
        match self {
            Kind::Integer(range) => integer(text).is_some_and(|n| range.contains(&n)),
            Kind::Bool => matches!(text, b"t" | b"f" | b"true" | b"false"),
            Kind::Uuid => is_uuid(text),
            Kind::Text(most) => {
                // Bytes are at least as many as characters, and escapes only add.
                most.is_none_or(|most| text.len() <= most)
                    && text.iter().all(|&b| b != 0 && (any_character || b.is_ascii()))
            }
            Kind::Numeric(room) => decimal(text).is_some_and(|(before, after)| match room {
                None => before + after <= 200,
                // Rounding may add a digit in front.
                Some((digits, scale)) => before + usize::from(after > *scale) <= *digits,
            }),
            Kind::Float => decimal(text).is_some_and(|(before, after)| before <= 15 && after <= 15),
            Kind::Date => text.len() == 10 && is_date(text),
            Kind::Timestamp => is_timestamp(text),
            Kind::Opaque => false,
        }
    }

    /// Whether the text is the only spelling of its value.
    fn is_canonical(&self, text: &[u8], any_character: bool) -> bool {
        self.takes(text, any_character)
            && match self {
                Kind::Integer(_) => {
                    let digits = text.strip_prefix(b"-").unwrap_or(text);
                    digits[0] != b'0' || text == b"0"
                }
                Kind::Bool => text.len() == 1,
                Kind::Uuid => !text.iter().any(u8::is_ascii_uppercase),
                Kind::Text(_) => true,
                _ => false,
            }
    }

    fn may_be_key(&self) -> bool {
        matches!(self, Kind::Integer(_) | Kind::Bool | Kind::Uuid | Kind::Text(_))
    }
}

/// The numbers in the parentheses of a type.
fn modifier(full_type: &str) -> Vec<usize> {
    let Some((_, rest)) = full_type.split_once('(') else { return Vec::new() };
    let inside = rest.split(')').next().unwrap_or_default();
    inside.split(',').map(|n| n.trim().parse().unwrap_or(usize::MAX)).collect()
}

fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value: i64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Counting down reaches the smallest number too.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// Digits before and after the point.
fn decimal(text: &[u8]) -> Option<(usize, usize)> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let before = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let after = match &text[before..] {
        [] => 0,
        [b'.', after @ ..] if !after.is_empty() && after.iter().all(u8::is_ascii_digit) => after.len(),
        _ => return None,
    };
    (before > 0).then_some((before, after))
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, &b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// The number in two digits.
fn two(text: &[u8], at: usize) -> Option<u32> {
    match text.get(at..at + 2)? {
        [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => {
            Some(u32::from(a - b'0') * 10 + u32::from(b - b'0'))
        }
        _ => None,
    }
}

/// Whether `YYYY-MM-DD` is at the beginning, of a year from 1 to 9999 and a day that every such month has.
fn is_date(text: &[u8]) -> bool {
    let (Some(century), Some(year), Some(month), Some(day)) =
        (two(text, 0), two(text, 2), two(text, 5), two(text, 8))
    else {
        return false;
    };
    let last = match month {
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    text[4] == b'-'
        && text[7] == b'-'
        && century + year > 0
        && (1..=12).contains(&month)
        && (1..=last).contains(&day)
}

/// `YYYY-MM-DD HH:MM:SS`, with up to six digits of a second, with or without a difference from UTC.
fn is_timestamp(text: &[u8]) -> bool {
    let clock = |at, most| two(text, at).is_some_and(|n| n <= most);
    if text.len() < 19
        || !is_date(text)
        || !(text[10] == b' ' && text[13] == b':' && text[16] == b':')
        || !(clock(11, 23) && clock(14, 59) && clock(17, 59))
    {
        return false;
    }
    let mut rest = &text[19..];
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return false;
        }
        rest = &fraction[digits..];
    }
    match rest {
        [] => true,
        [b'+' | b'-', zone @ ..] => {
            two(zone, 0).is_some_and(|h| h <= 14)
                && match zone.len() {
                    2 => true,
                    5 => zone[2] == b':' && two(zone, 3).is_some_and(|m| m <= 59),
                    _ => false,
                }
        }
        _ => false,
    }
}

/// What is asked of the changes of one table with one list of columns.
#[derive(Debug, Clone)]
pub struct Rules {
    columns: Vec<(Kind, bool)>,
    key: Vec<Kind>,
    /// Whether a change may be superseded at all.
    supersede: bool,
    any_character: bool,
}

impl Rules {
    /// The rules for the staged columns `names`; `None` when a key may have several spellings.
    pub fn new(shape: &TableShape, facts: &Facts, names: &[&str]) -> Option<Self> {
        let kind = |name: &str| Some(Kind::of(shape.column(name)?, facts.column(name)?));
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            columns.push((kind(name)?, facts.column(name)?.not_null));
        }
        let mut key = Vec::new();
        for name in facts.key() {
            let deterministic = facts.column(name)?.collation.is_none();
            key.push(kind(name).filter(|kind| deterministic && kind.may_be_key())?);
        }
        // What the table adds or computes by itself could be refused as well.
        let own =
            facts.columns.iter().any(|c| c.generated || (c.not_null && !names.contains(&c.name.as_str())));
        let supersede = facts.checks.is_empty()
            && facts.expressions.is_empty()
            && !facts.odd_index
            && !own
            && facts.columns.len() <= MAX_COLUMNS;
        Some(Rules { columns, key, supersede, any_character: facts.any_character })
    }

    /// Whether the text of the n-th key column, without escapes, is the only spelling of its value.
    pub fn is_canonical(&self, nth: usize, text: &[u8]) -> bool {
        self.key.get(nth).is_some_and(|kind| kind.is_canonical(text, self.any_character))
    }

    /// Whether the table certainly takes the row, a line of COPY with its line feed.
    pub fn takes(&self, line: &[u8]) -> bool {
        let Some(line) = line.strip_suffix(b"\n") else { return false };
        let mut values = line.split(|b| *b == b'\t');
        self.supersede
            && line.len() <= MAX_ROW
            && self.columns.iter().all(|(kind, not_null)| match values.next() {
                Some(b"\\N") => !not_null,
                Some(text) => kind.takes(text, self.any_character),
                None => false,
            })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::decide::tests::facts;
    use super::*;
    use crate::apply::target::tests::column;

    fn typed(kind: &Type, full: &str) -> Kind {
        let mut column = column("v", full);
        column.type_oid = kind.oid();
        Kind::of(&column, &ColumnFacts::default())
    }

    fn all(kind: &Kind, taken: &[&str], left: &[&str]) {
        for text in taken {
            assert!(kind.takes(text.as_bytes(), true), "{kind:?} takes {text}");
        }
        for text in left {
            assert!(!kind.takes(text.as_bytes(), true), "{kind:?} takes {text}");
        }
    }

    #[test]
    fn what_a_column_certainly_takes() {
        let odd = ["", "-", " 1", "1 ", "0x1", "1_0", "+1", "1e3"];
        all(&typed(&Type::INT2, "smallint"), &["0", "-32768", "32767", "007"], &["32768", "-32769"]);
        all(&typed(&Type::INT2, "smallint"), &[], &odd);
        all(
            &typed(&Type::INT8, "bigint"),
            &["-9223372036854775808", "9223372036854775807"],
            &["9223372036854775808", "-9223372036854775809", "99999999999999999999"],
        );
        all(&typed(&Type::OID, "oid"), &["4294967295"], &["-1", "4294967296"]);
        all(&typed(&Type::BOOL, "boolean"), &["t", "false"], &["T", "2", ""]);
        all(&typed(&Type::TEXT, "text"), &["", "é\\t", "x"], &["a\0b"]);
        assert!(!Kind::Text(None).takes("é".as_bytes(), false));
        all(&typed(&Type::VARCHAR, "character varying(3)"), &["abc"], &["abcd", "éé"]);
        all(
            &typed(&Type::NUMERIC, "numeric(5,2)"),
            &["999.99", "-1", "99.999", "0"],
            &["1000", "999.999", "NaN"],
        );
        all(&typed(&Type::NUMERIC, "numeric(5,2)"), &[], &odd);
        all(&typed(&Type::NUMERIC, "numeric"), &["123456789012.5"], &["1.", ".5", "Infinity"]);
        assert_eq!(typed(&Type::NUMERIC, "numeric(3,-2)"), Kind::Opaque);
        assert_eq!(typed(&Type::NUMERIC, "numeric(2,5)"), Kind::Opaque);
        all(&typed(&Type::FLOAT8, "double precision"), &["1.5", "-0"], &["1e400", "inf"]);
        all(
            &typed(&Type::DATE, "date"),
            &["2024-02-28"],
            &["2024-02-29", "0000-01-01", "2024-13-01", "infinity"],
        );
        all(
            &typed(&Type::TIMESTAMPTZ, "timestamp with time zone"),
            &["2024-01-31 23:59:59", "2024-01-31 00:00:00.123456+05:30", "2024-01-31 00:00:00-03"],
            &[
                "2024-01-31",
                "2024-01-31 24:00:00",
                "2024-01-31 00:00:60",
                "2024-01-31 00:00:00 BC",
                "2024-01-31 00:00:00+99",
            ],
        );
        all(&typed(&Type::JSONB, "jsonb"), &[], &["{}"]);
    }

    #[test]
    fn one_spelling_of_each_key() {
        let canonical = |kind: Kind, text: &str| kind.is_canonical(text.as_bytes(), true);
        for (text, only) in
            [("0", true), ("-1", true), ("10", true), ("01", false), ("-0", false), ("00", false)]
        {
            assert_eq!(canonical(typed(&Type::INT4, "integer"), text), only, "{text}");
        }
        assert!(canonical(Kind::Bool, "t") && !canonical(Kind::Bool, "true"));
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert!(canonical(Kind::Uuid, uuid) && !canonical(Kind::Uuid, &uuid.to_uppercase()));
        // What is too long would be cut or refused.
        assert!(canonical(Kind::Text(Some(3)), "abc") && !canonical(Kind::Text(Some(3)), "abc "));
        assert!(!canonical(Kind::Numeric(None), "1"));
    }

    fn rules(change: impl FnOnce(&mut Facts)) -> Option<Rules> {
        let (mut id, mut v) = (column("id", "integer"), column("v", "text"));
        (id.type_oid, v.type_oid) = (Type::INT4.oid(), Type::TEXT.oid());
        let shape = TableShape::from_parts("public.t", 1, false, vec![id, v], vec!["id".to_owned()]);
        let mut facts = facts();
        facts.any_character = true;
        change(&mut facts);
        Rules::new(&shape, &facts, &["id", "v"])
    }

    /// The rules of a table of an integer as key and a text.
    pub(in super::super) fn plain() -> Rules {
        rules(|_| {}).unwrap()
    }

    #[test]
    fn a_row_is_superseded_only_where_the_table_takes_it() {
        let plain = plain();
        assert!(plain.takes(b"1\tx\n") && plain.takes(b"1\t\\N\n"));
        assert!(!plain.takes(b"\\N\tx\n") && !plain.takes(b"x\tx\n") && !plain.takes(b"1\n"));
        assert!(!plain.takes(format!("1\t{}\n", "x".repeat(MAX_ROW)).as_bytes()));
        assert!(plain.is_canonical(0, b"5") && !plain.is_canonical(0, b"05"));
        let takes = |change: fn(&mut Facts)| rules(change).unwrap().takes(b"1\tx\n");
        assert!(!takes(|f| f.odd_index = true));
        assert!(!takes(|f| f.columns[1].generated = true));
        assert!(!takes(|f| f.columns[1].user_type = true));
        assert!(!takes(|f| f.checks.push(super::super::decide::Check::default())));
        assert!(!takes(|f| f.columns.push(ColumnFacts { not_null: true, ..Default::default() })));
    }

    #[test]
    fn keys_of_several_spellings_are_left_to_the_server() {
        assert!(rules(|f| f.columns[0].collation = Some("c".to_owned())).is_none());
        assert!(rules(|f| f.columns[0].user_type = true).is_none());
    }
}
