//! The types of columns, with values that are hard to write down.

/// A type of columns.
pub struct Kind {
    pub sql: &'static str,
    /// Values as text; the first eight serve as keys.
    pub samples: &'static [&'static str],
    /// Fit for a key.
    pub key: bool,
}

const fn kind(sql: &'static str, samples: &'static [&'static str]) -> Kind {
    Kind { sql, samples, key: false }
}

const fn key(sql: &'static str, samples: &'static [&'static str]) -> Kind {
    Kind { sql, samples, key: true }
}

const TEXTS: &[&str] = &[
    "a",
    "b c",
    "d&e=f",
    "100%",
    "x+y",
    "\u{1}",
    "é☃/'quoted\"",
    "back\\slash\\n",
    "",
    "a\tb\nc\r\\",
    "NULL",
    "null",
    "\u{1}\u{2}x\u{3}\u{1}",
    "=&=",
    "a/b:c,d;~!*()[]{}<>|^`$#@?",
    "%41%zz%",
    "'); select pgq.insert_event('q', 'x', 'y'); --",
    "plain.text_with-nothing",
    "Ω\u{10FFFF}",
];

/// What tables are made of.
pub const KINDS: &[Kind] = &[
    key("int4", &["1", "2", "3", "4", "5", "6", "7", "8", "-1", "2147483647", "0"]),
    key("int8", &["1", "2", "3", "4", "5", "-6", "9007199254740993", "8"]),
    key("int2", &["1", "2", "3", "4", "5", "6", "7", "-32768"]),
    key("text", TEXTS),
    key(
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000001",
            "00000000-0000-0000-0000-000000000002",
            "00000000-0000-0000-0000-000000000003",
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a12}",
        ],
    ),
    key("numeric", &["1", "1.0", "2", "2.50", "NaN", "4.000", "-0.001", "12345678901234567890.123456789"]),
    key("numeric(12,3)", &["1", "2", "3.5", "-4.125", "99999999.999", "6"]),
    key("char(6)", &["a", "b ", "é", "a&b", "%", "", "  x"]),
    key("varchar(20)", &["a", "A", "b c", "é&", "1", "+", "\u{1}", "z"]),
    key("name", &["a", "b c", "é&=", "x"]),
    key(
        "date",
        &["2024-02-01", "2024-01-02", "0044-03-15 BC", "infinity", "-infinity", "1999-12-31", "10000-01-01"],
    ),
    key(
        "timestamp",
        &["2024-02-01 10:00:00", "2024-01-02 10:00:00.000001", "infinity", "0001-01-01 00:00:00 BC"],
    ),
    key(
        "timestamptz",
        &[
            "2024-02-01 10:00:00+00",
            "2024-02-01 12:00:00+02",
            "2024-03-31 01:30:00.123456+01",
            "-infinity",
            "1900-01-01 00:00:00+00",
            "0001-12-31 23:59:59+00 BC",
        ],
    ),
    key("bytea", &["\\x00ff01", "\\x", "\\xdeadbeef", "\\x5c27", "\\x2526"]),
    key("bool", &["t", "f"]),
    key("public.mood", &["ok", "a&b=c", "x\u{1}y", "é"]),
    key("public.short", &["a", "b&", "c%", "d e"]),
    kind("public.icu", &["a", "é&", "x y", ""]),
    kind("public.faint", &["a+b c", "％A＝／", "x/Y", "p\u{1}q\u{3}"]),
    key("public.citext", &["a", "A", "b C", "é", "É", "x&"]),
    key("inet", &["10.0.0.1/8", "10.0.0.1", "::1", "fe80::/10"]),
    kind("public.amount", &["1", "1.50", "-999", "0.000"]),
    kind("public.moment", &["2024-02-01 10:00:00+00", "infinity"]),
    kind("public.pair", &["(1,\"x y\")", "(,)", "(-1,\"a&\"\"b\")"]),
    kind("public.dated", &["(2024-02-01,0.1,\"1 day\")", "(,,)"]),
    kind("time", &["01:02:03.5", "24:00:00"]),
    kind("timetz", &["01:02:03+02", "23:59:59.999999-03:30"]),
    kind(
        "interval",
        &["1 day 02:03:04", "-1 year 2 mons -3 days", "00:00:00", "1 mon -00:00:01", "-00:00:00.000001"],
    ),
    kind(
        "float8",
        &["0.1", "1e300", "-0", "NaN", "Infinity", "0.3333333333333333", "2.2250738585072014e-308"],
    ),
    kind("float4", &["0.1", "16777217", "1e-40", "-Infinity"]),
    kind("jsonb", &["{\"a\": [1, \"é&=%\"], \"b\": null}", "[]", "\"x\"", "1.50", "null"]),
    kind("json", &["{\"b\" : \"c\",\n \"b\":1}", "[ ]"]),
    kind("int4[]", &["{}", "{1,NULL,3}", "[0:1]={1,2}", "{{1,2},{3,4}}"]),
    kind("text[]", &["{\"a b\",NULL,\"null\",\"\"}", "{}", "{a&b,\"c,d\",\"\\\"\\\\\"}"]),
    kind("timestamptz[]", &["{\"2024-02-01 10:00:00+00\",NULL}", "{}"]),
    kind("date[]", &["{2024-02-01,infinity}"]),
    kind("float8[]", &["{0.1,0.3333333333333333,NULL}"]),
    kind("interval[]", &["{\"1 day 02:03:04\",\"-1 mons\"}"]),
    kind("bytea[]", &["{\"\\\\x00ff\",NULL}"]),
    kind("bool[]", &["{t,f,NULL}"]),
    kind("public.mood[]", &["{ok,\"a&b=c\"}"]),
    kind("cidr", &["10.0.0.0/8", "::/0"]),
    kind("macaddr", &["08:00:2b:01:02:03"]),
    kind("bit(3)", &["101", "000"]),
    kind("varbit", &["", "1", "0101010101"]),
    kind("oid", &["0", "4294967295"]),
    kind("\"char\"", &["x", "&", ""]),
    kind("money", &["1.50", "-12345.67"]),
    kind("regclass", &["pg_catalog.pg_class", "public.far", "evil.far", "-"]),
    kind("regtype", &["integer", "text[]", "public.mood"]),
    kind("regprocedure", &["pg_catalog.now()", "evil.lower(text)"]),
    kind("int4range", &["[1,5)", "empty", "(,)"]),
    kind("tstzrange", &["[\"2024-02-01 10:00:00+00\",)", "empty"]),
    kind("daterange", &["[2024-02-01,2024-03-01)"]),
    kind("point", &["(1.5,-2)", "(0.1,0.3333333333333333)"]),
    kind("tsvector", &["a fat cat", "'a&b':1A 'c''d':2"]),
    kind("pg_lsn", &["1/0", "0/0"]),
    kind("txid_snapshot", &["10:20:11,15"]),
];

/// The number of a type by its name.
pub fn kind_of(sql: &str) -> usize {
    KINDS.iter().position(|k| k.sql == sql).unwrap_or_else(|| panic!("no kind {sql}"))
}

/// A string constant that means the same whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A quoted identifier.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A field of `COPY … FROM` in text format.
pub fn copy_field(value: Option<&str>) -> String {
    value.map_or_else(
        || "\\N".to_owned(),
        |text| text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r"),
    )
}
