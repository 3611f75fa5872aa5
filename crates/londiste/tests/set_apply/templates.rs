//! The kinds of tables that histories are played on.

#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Urlenc,
    Sql,
    Json,
}

/// A kind of table. `{s}` stands for the table.
pub struct Template {
    pub name: &'static str,
    pub ddl: &'static str,
    pub key: &'static [&'static str],
    /// Texts of the n-th key; several are one key in several spellings.
    pub keys: fn(u64) -> Vec<Vec<String>>,
    /// A text that looks like the n-th key and is another.
    pub wrong_keys: Option<fn(u64) -> Vec<String>>,
    pub columns: &'static [&'static str],
    pub form: Form,
    /// A column of which no two rows may have the same value.
    pub unique: Option<Unique>,
    /// Wider types for its columns, with a value that only they take.
    pub widen: &'static [(&'static str, &'static str, Option<&'static str>)],
    /// How the log describes a batch of it that has everything in it, with `N` for numbers; or [`FAILS`].
    pub goes: &'static str,
}

impl Template {
    pub fn by_set(&self) -> bool {
        self.goes.contains("by set")
    }

    /// Whether a column that the events carry is NOT NULL.
    pub fn is_mandatory(&self, column: &str) -> bool {
        ["smallint", "int"].iter().any(|of| self.ddl.contains(&format!(", {column} {of} not null")))
    }
}

/// No insert can be applied.
pub const FAILS: &str = "fails";

/// When uniqueness is checked.
pub enum Unique {
    AtOnce(&'static str),
    Deferrable(&'static str),
}

impl Unique {
    pub fn column(&self) -> &'static str {
        match self {
            Unique::AtOnce(column) | Unique::Deferrable(column) => column,
        }
    }
}

fn s(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|p| (*p).to_owned()).collect()
}

fn integer(n: u64) -> Vec<Vec<String>> {
    vec![vec![n.to_string()]]
}

fn numeric(n: u64) -> Vec<Vec<String>> {
    vec![vec![format!("{n}")], vec![format!("{n}.0")], vec![format!("{n}.00")]]
}

fn instant(n: u64) -> Vec<Vec<String>> {
    let (day, hour) = (n / 10 + 1, n % 10);
    vec![
        vec![format!("2024-01-{day:02} {:02}:00:00+00", hour + 5)],
        vec![format!("2024-01-{day:02} {:02}:00:00+05", hour + 10)],
        vec![format!("2024-01-{day:02} {:02}:30:00-03:30", hour + 1)],
    ]
}

fn caseless(n: u64) -> Vec<Vec<String>> {
    vec![vec![format!("ab{n}")], vec![format!("AB{n}")], vec![format!("aB{n}")]]
}

fn padded(n: u64) -> Vec<Vec<String>> {
    vec![vec![format!("a{n}")], vec![format!("a{n}  ")]]
}

fn composite(n: u64) -> Vec<Vec<String>> {
    vec![vec![(n % 4).to_string(), format!("k\t{}", n / 4)]]
}

fn mixed(n: u64) -> Vec<Vec<String>> {
    vec![
        s(&[&(n % 4).to_string(), &format!("{}.5", n / 4)]),
        s(&[&(n % 4).to_string(), &format!("{}.50", n / 4)]),
    ]
}

/// Two spellings of one identifier, of which the second makes the rest of the batch go to the server.
fn identifier(n: u64) -> Vec<Vec<String>> {
    let text = format!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd38{n:04x}");
    let mut all = vec![s(&[&text, if n.is_multiple_of(2) { "t" } else { "f" }]); 30];
    all.push(s(&[&text.to_uppercase(), if n.is_multiple_of(2) { "true" } else { "no" }]));
    all
}

/// As a provider would write them whose column is text.
fn drifted(n: u64) -> Vec<Vec<String>> {
    let mut all = vec![vec![n.to_string()]; 40];
    all.extend([format!("0{n}"), format!("+{n}"), format!(" {n} ")].map(|text| vec![text]));
    all
}

fn name_of(n: u64) -> Vec<Vec<String>> {
    vec![vec![format!("k\t\\{n}\u{e9}%&=+ '\"")]]
}

fn short(n: u64) -> Vec<Vec<String>> {
    vec![vec![format!("v{n}")]]
}

/// Longer than the column: an insert cuts it and a comparison does not.
fn too_long(n: u64) -> Vec<String> {
    vec![format!("v{n}      ")]
}

pub const TEMPLATES: &[Template] = &[
    Template {
        name: "identifier and boolean as key, simple values",
        ddl: "create table {s} (a uuid, b boolean, d date, f float8, v varchar(10), n smallint not null, primary key (b, a)); \
              create index on {s} (v); create index on {s} using hash (n)",
        key: &["a", "b"],
        keys: identifier,
        wrong_keys: None,
        columns: &["d", "f", "v", "n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "int", Some("70000")), ("v", "text", Some("longer than it was"))],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "integer key, once text",
        ddl: "create table {s} (id int primary key, n int not null, v varchar(10), amount numeric(5,2))",
        key: &["id"],
        keys: drifted,
        wrong_keys: None,
        columns: &["n", "v", "amount"],
        form: Form::Json,
        unique: None,
        widen: &[
            ("id", "bigint", None),
            ("v", "varchar(300)", Some("longer than it was")),
            ("n", "bigint", Some("5000000000")),
            ("amount", "numeric(9,4)", Some("9.1234")),
        ],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "text key",
        ddl: "create table {s} (id text primary key, n int, t text)",
        key: &["id"],
        keys: name_of,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N by set",
    },
    Template {
        name: "short key",
        ddl: "create table {s} (id varchar(5) primary key, v varchar(10))",
        key: &["id"],
        keys: short,
        wrong_keys: Some(too_long),
        columns: &["v"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "varchar(50)", None), ("v", "text", Some("longer than it was"))],
        goes: "N by set",
    },
    Template {
        name: "values that only the server can judge",
        ddl: "create table {s} (id bigint primary key, j jsonb, t text)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["j", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "numeric", None)],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "indexes that may refuse a row",
        ddl: "create table {s} (id bigint primary key, n int, t text); create index on {s} ((1000 / (n - 33))) where n > 20; \
              create index on {s} (t)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "a generated column that may fail",
        ddl: "create table {s} (id bigint primary key, n int, g int generated always as (1000 / (n - 44)) stored)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "a mandatory column of this node",
        ddl: "create table {s} (id bigint primary key, n int, own int not null)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: FAILS,
    },
    Template {
        name: "an interval with a modifier",
        ddl: "create table {s} (id bigint primary key, i interval hour, n int)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["i", "n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "plain",
        ddl: "create table {s} (id bigint primary key, n int not null, t text, amount numeric(8,2), at timestamptz, c char(3))",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t", "amount", "at", "c"],
        form: Form::Urlenc,
        unique: None,
        widen: &[
            ("amount", "numeric", Some("9.1234")),
            ("n", "bigint", Some("5000000000")),
            ("c", "char(9)", Some("abcdefg")),
        ],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "numeric key",
        ddl: "create table {s} (id numeric primary key, t text)",
        key: &["id"],
        keys: numeric,
        wrong_keys: None,
        columns: &["t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (staged)",
    },
    Template {
        name: "numeric key with a modifier",
        ddl: "create table {s} (id numeric(10,2) primary key, t text)",
        key: &["id"],
        keys: numeric,
        wrong_keys: None,
        columns: &["t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "numeric(12,4)", None)],
        goes: "N by set (staged)",
    },
    Template {
        name: "instant as key",
        ddl: "create table {s} (id timestamptz primary key, t text, n int)",
        key: &["id"],
        keys: instant,
        wrong_keys: None,
        columns: &["t", "n"],
        form: Form::Json,
        unique: None,
        widen: &[],
        goes: "N by set (staged)",
    },
    Template {
        name: "citext key",
        ddl: "create table {s} (id citext primary key, t citext)",
        key: &["id"],
        keys: caseless,
        wrong_keys: None,
        columns: &["t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (staged)",
    },
    Template {
        name: "caseless collation",
        ddl: "create table {s} (id text collate caseless primary key, t text)",
        key: &["id"],
        keys: caseless,
        wrong_keys: None,
        columns: &["t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (staged)",
    },
    Template {
        name: "padded key",
        ddl: "create table {s} (id char(6) primary key, t text)",
        key: &["id"],
        keys: padded,
        wrong_keys: None,
        columns: &["t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (staged)",
    },
    Template {
        name: "composite key",
        ddl: "create table {s} (a int, \"B b\" text, n int, t text, primary key (\"B b\", a))",
        key: &["a", "B b"],
        keys: composite,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("a", "bigint", None), ("n", "numeric", Some("0.5"))],
        goes: "N by set",
    },
    Template {
        name: "composite inexact key, not primary",
        ddl: "create table {s} (a int not null, b numeric not null, n int, t text); create unique index on {s} (a, b)",
        key: &["a", "b"],
        keys: mixed,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Json,
        unique: None,
        widen: &[("a", "bigint", None)],
        goes: "N by set (staged)",
    },
    Template {
        name: "generated, identity, user types, a constant default",
        ddl: "create table {s} (id bigint generated always as identity primary key, n int, m mood, ma mood[], \
              twice int generated always as (n * 2) stored, more int not null default 7)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "m", "ma"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "check",
        ddl: "create table {s} (id int primary key, n int check (n <> 3), t text, check (length(t) < 20 or n is null or length(t) > 100))",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N by set (N of them staged)",
    },
    Template {
        name: "partial updates",
        ddl: "create table {s} (id int primary key, n int, t text)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Sql,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N by set, N in order (the events name another key than the table has)",
    },
    Template {
        name: "only a key",
        ddl: "create table {s} (id int primary key)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &[],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "bigint", None)],
        goes: "N by set",
    },
    Template {
        name: "another unique column",
        ddl: "create table {s} (id int primary key, n int unique, t text)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: Some(Unique::AtOnce("n")),
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N in order (unique index t0_n_key besides the key)",
    },
    Template {
        name: "a deferrable unique column",
        ddl: "create table {s} (id int primary key, t text, n int unique deferrable)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["t", "n"],
        form: Form::Urlenc,
        unique: Some(Unique::Deferrable("n")),
        widen: &[],
        goes: "N in order (unique index t0_n_key besides the key)",
    },
    Template {
        name: "no key",
        ddl: "create table {s} (id int, n int, t text)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n", "t"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "bigint", None), ("n", "bigint", Some("5000000000"))],
        goes: "N in order (no unique key)",
    },
    Template {
        name: "deferrable key",
        ddl: "create table {s} (id int primary key deferrable, n int)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("id", "bigint", None)],
        goes: "N in order (key t0_pkey is deferrable)",
    },
    Template {
        name: "a default by order",
        ddl: "create table {s} (id int primary key, n int, nr serial)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[],
        goes: "N in order (column nr, which is not in the events, has no default, or one that may depend on order)",
    },
    Template {
        name: "partitioned",
        ddl: "create table {s} (id int primary key, n int) partition by range (id); \
              create table {s}_1 partition of {s} for values from (minvalue) to (5); \
              create table {s}_2 partition of {s} for values from (5) to (maxvalue)",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N in order (partitioned or inherited)",
    },
    Template {
        name: "a trigger that fires and copies to another table",
        ddl: "create table {s} (id int primary key, n int); \
              create table if not exists {log} (n bigint generated always as identity, others bigint); \
              create function {s}_f() returns trigger language plpgsql as \
                $$begin insert into {log} (others) select count(*) from {first}; return null; end$$; \
              create trigger fires after insert or update or delete on {s} for each row execute function {s}_f(); \
              alter table {s} enable always trigger fires",
        key: &["id"],
        keys: integer,
        wrong_keys: None,
        columns: &["n"],
        form: Form::Urlenc,
        unique: None,
        widen: &[("n", "bigint", Some("5000000000"))],
        goes: "N in order (trigger fires fires during replay)",
    },
];
