//! Vectors are facts of the original triggers (their outputs on these rows), plus damaged input.

use super::*;
use crate::NewEvent;

fn event(ev_type: &str, data: &str) -> Event {
    Event::synthetic(42, 1, &NewEvent::new(ev_type, data).extra1("public.t"))
}

fn pairs<'a>(columns: &'a [Column<'_>]) -> Vec<(&'a str, Option<&'a str>)> {
    columns.iter().map(|(name, value)| (name.as_ref(), value.as_deref())).collect()
}

#[test]
fn urlenc_rows() {
    let e = event("I:id", "id=2&txt&val=1.5");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!((c.op, c.format, c.table.as_ref()), (Op::Insert, Format::Urlenc, "public.t"));
    assert_eq!(pairs(&c.columns), [("id", Some("2")), ("txt", None), ("val", Some("1.5"))]);
    assert_eq!(pairs(&c.key), [("id", Some("2"))]);

    let e = event("D:nr,col1", "nr=1&col1=%27%22q%5c%22%27&col2=a+b");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!(c.op, Op::Delete);
    assert_eq!(pairs(&c.key), [("nr", Some("1")), ("col1", Some("'\"q\\\"'"))]);
    assert_eq!(c.get("col2"), Some(Some("a b")));
    assert_eq!(c.get("col3"), None);

    let e = event("I:", "a=");
    let c = decode(&e).expect("valid").expect("row change");
    assert!(c.key_names.is_empty());
    assert_eq!(pairs(&c.columns), [("a", Some(""))]);
}

#[test]
fn sql_rows() {
    let e = event("I", "(id,txt,\"Weird \"\"Name\") values ('1','text1',null)");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!(pairs(&c.columns), [("id", Some("1")), ("txt", Some("text1")), ("Weird \"Name", None)]);

    let e = event("U", "col2='col2x',val=NULL where nr='1' and col1=E'a\\\\b''c'");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!((c.op, c.format), (Op::Update, Format::Sql));
    assert_eq!(pairs(&c.columns), [("col2", Some("col2x")), ("val", None)]);
    assert_eq!(pairs(&c.key), [("nr", Some("1")), ("col1", Some("a\\b'c"))]);

    let e = event("D", "k1='x' and k2 is null");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!(pairs(&c.key), [("k1", Some("x")), ("k2", None)]);

    // Words of the grammar inside values and names stay data.
    let e = event("U", "a=' where b=''1'' and ' where \"where\"='x and y'");
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!(pairs(&c.columns), [("a", Some(" where b='1' and "))]);
    assert_eq!(pairs(&c.key), [("where", Some("x and y"))]);
}

#[test]
fn json_rows() {
    let e = event(
        r#"{"op":"UPDATE","table":["public","tbl"],"pkey":["id"]}"#,
        r#"{"id":9007199254740993,"ok":true,"txt":"a\"b\\c\nü","val":null,"n":"1.50"}"#,
    );
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!((c.op, c.format, c.table.as_ref()), (Op::Update, Format::Json, "public.t"));
    assert_eq!(
        pairs(&c.columns),
        [
            ("id", Some("9007199254740993")),
            ("ok", Some("t")),
            ("txt", Some("a\"b\\c\nü")),
            ("val", None),
            ("n", Some("1.50"))
        ]
    );
    assert_eq!(pairs(&c.key), [("id", Some("9007199254740993"))]);

    let e = Event::synthetic(
        1,
        1,
        &NewEvent::new(r#"{"op":"TRUNCATE","table":["public","tbl"],"pkey":[]}"#, "{}"),
    );
    let c = decode(&e).expect("valid").expect("row change");
    assert_eq!((c.op, c.table.as_ref()), (Op::Truncate, "public.tbl"));
}

#[test]
fn truncate_and_other_types() {
    let e = event("R", "");
    assert_eq!(decode(&e).expect("valid").expect("row change").op, Op::Truncate);
    for other in ["", "EXECUTE", "pgq.tick-id", "X:id", "i:id", "ü:"] {
        let e = event(other, "id=1");
        assert!(!is_row_change(&e));
        assert_eq!(decode(&e).expect("no error"), None);
    }
}

#[test]
fn unescaped_values_are_borrowed() {
    let e = event("I:id", "id=2&txt=plain");
    let c = decode(&e).expect("valid").expect("row change");
    assert!(c.columns.iter().all(|(n, v)| matches!((n, v), (Cow::Borrowed(_), Some(Cow::Borrowed(_))))));
    let e = event("I", "(id,txt) values ('2','plain')");
    let c = decode(&e).expect("valid").expect("row change");
    assert!(c.columns.iter().all(|(n, v)| matches!((n, v), (Cow::Borrowed(_), Some(Cow::Borrowed(_))))));
    let json = r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]}"#;
    let e = event(json, r#"{"id":2,"txt":"plain"}"#);
    let c = decode(&e).expect("valid").expect("row change");
    assert!(c.columns.iter().all(|(n, v)| matches!((n, v), (Cow::Borrowed(_), Some(Cow::Borrowed(_))))));
}

#[test]
fn damage_is_an_error_that_names_event_and_table() {
    let json = r#"{"op":"INSERT","table":["public","t"],"pkey":["id"]}"#;
    let damaged = [
        ("U:", "id=1"),
        ("U:id", "ident=1"),
        ("D:id,nr", "id=1"),
        ("I", "(a,b) values ('1')"),
        ("I", "(a) values ('1','2')"),
        ("I", "(a) values (1)"),
        ("I", "(a) values ('1"),
        ("I", "(a) values (E'\\x41')"),
        ("I", "a) values ('1')"),
        ("U", "a='1'"),
        ("U", "a='1' where b='2'; drop table x"),
        ("D", ""),
        ("D", "a='1' or b='2'"),
        (json, "{\"id\":1"),
        (json, "[1]"),
        (r#"{"op":"MERGE","table":["public","t"],"pkey":["id"]}"#, "{}"),
        (r#"{"oops"#, "{}"),
    ];
    for (ev_type, data) in damaged {
        let e = event(ev_type, data);
        let error = decode(&e).expect_err(data);
        assert!(error.to_string().contains("event 42 on public.t"), "{error}");
    }
    let no_table = Event::synthetic(42, 1, &NewEvent::new("I:id", "id=1"));
    decode(&no_table).expect_err("no table");
    let no_data = Event::synthetic(42, 1, &NewEvent::empty().with_type("I:id").extra1("public.t"));
    decode(&no_data).expect_err("no data");
}

#[test]
fn backups() {
    let e = Event::synthetic(1, 1, &NewEvent::new("U:id", "id=1&v=2").extra1("public.t").extra2("id=1&v"));
    let row = decode_backup(&e).expect("valid").expect("a backup");
    assert_eq!(pairs(&row), [("id", Some("1")), ("v", None)]);
    assert_eq!(decode_backup(&event("U:id", "id=1")).expect("valid"), None);
}
