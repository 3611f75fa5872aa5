//! Tests of quoting.

use proptest::prelude::*;

use super::*;

#[test]
fn identifiers() {
    let cases = [
        ("tbl", "tbl"),
        ("_x1", "_x1"),
        ("", "\"\""),
        ("1a", "\"1a\""),
        ("a$b", "\"a$b\""),
        ("Foo", "\"Foo\""),
        ("a\"b", "\"a\"\"b\""),
        ("ä", "\"ä\""),
        ("select", "\"select\""),
        ("int", "\"int\""),
        ("time", "\"time\""),
        ("left", "\"left\""),
        ("over", "over"),
        ("type", "type"),
        ("value", "value"),
        ("key", "key"),
    ];
    for (name, quoted) in cases {
        assert_eq!(ident(name), quoted);
    }
}

#[test]
fn keyword_table_is_sorted() {
    assert!(keywords::RESERVED.is_sorted());
    assert!(keywords::NEWER_THAN_15.iter().all(|word| keywords::is_reserved(word)));
}

#[test]
fn full_names() {
    assert_eq!(fqname("tbl"), "public.tbl");
    assert_eq!(fqname("Baz.Foo.Bar"), "\"Baz\".\"Foo.Bar\"");
    assert_eq!(split_fqname("a.b.c"), ("a", "b.c"));
    assert_eq!(full_name("t"), "public.t");
    assert_eq!(full_name("s.t"), "s.t");
    assert_eq!(unquote_fqname("\"Foo\".\"Bar \"\" z\"").unwrap(), "Foo.Bar \" z");
    assert_eq!(unquote_fqname("\"a.b\".C").unwrap(), "a.b.c");
    assert_eq!(unquote_fqname("Foo").unwrap(), "foo");
    for bad in ["\"a", "a\"b", "\"a\"b\"", "\""] {
        assert!(unquote_fqname(bad).is_err(), "{bad}");
    }
}

#[test]
fn literals() {
    assert_eq!(literal("a'b"), "'a''b'");
    assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    assert_eq!(literal("1"), "'1'");
    assert_eq!(literal(""), "''");
    assert_eq!(nullable(None), "null");
    assert_eq!(nullable(Some("x")), "'x'");
}

#[test]
fn literal_values() {
    let value = |text| unquote_literal(text, false).unwrap();
    assert_eq!(value(r"E'a\n\t\a\b\0\z\'b'").as_deref(), Some("a\n\t\u{7}\u{8}\0z'b"));
    assert_eq!(value("Null"), None);
    assert_eq!(value("$x$it's$x$").as_deref(), Some("it's"));
    assert_eq!(value("$$a$$").as_deref(), Some("a"));
    assert_eq!(value("12.5").as_deref(), Some("12.5"));
    assert_eq!(value(r"'a\\b'").as_deref(), Some(r"a\b"));
    assert_eq!(unquote_literal(r"'a\b'", true).unwrap().as_deref(), Some(r"a\b"));
    assert_eq!(value(r"E'\101\x42\u0043\U0001F600'").as_deref(), Some("ABC😀"));
    for bad in ["'a", "'a'b'", "$x$a$y$", "$x", r"E'\'", r"E'\xff'", r"E'\u12'", r"E'\ud800'", "'", "E'"] {
        assert!(unquote_literal(bad, false).is_err(), "{bad}");
    }
}

/// Every keyword that the server knows is quoted exactly when the server quotes it.
#[tokio::test]
async fn same_keywords_as_the_server() {
    let db = testkit::empty_database().await.unwrap();
    let client = db.connect().await.unwrap();
    let rows = client.query("select word, quote_ident(word) from pg_get_keywords()", &[]).await.unwrap();
    assert!(rows.len() > 400, "the server has {} keywords", rows.len());
    for row in rows {
        let (word, quoted): (&str, &str) = (row.get(0), row.get(1));
        if !keywords::NEWER_THAN_15.contains(&word) {
            assert_eq!(ident(word), quoted);
        }
    }
}

proptest! {
    #[test]
    fn identifier_round_trip(name in "\\PC*") {
        prop_assert_eq!(unquote_ident(&ident(&name)).unwrap(), name);
    }

    #[test]
    fn literal_round_trip(value in any::<String>()) {
        let back = unquote_literal(&literal(&value), true).unwrap();
        prop_assert_eq!(back, Some(value));
    }

    #[test]
    fn unquoting_never_panics(text in "[E$'\"\\\\a-fxu0-9. ]{0,40}") {
        prop_assert!(unquote_literal(&text, false).is_ok() || unquote_literal(&text, false).is_err());
        prop_assert!(unquote_fqname(&text).is_ok() || unquote_fqname(&text).is_err());
    }
}
