//! The kinds of tables that histories are played on.

#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    Urlenc,
    Sql,
    Json,
}

/// A kind of table. `{s}` stands for the schema.
pub struct Template {
    pub name: &'static str,
    pub ddl: &'static str,
    pub key: &'static [&'static str],
    /// Texts of the n-th key; several are one key in several spellings.
    pub keys: fn(u64) -> Vec<Vec<String>>,
    pub columns: &'static [&'static str],
    pub form: Form,
    pub by_set: bool,
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
    let hour = n % 10;
    vec![
        vec![format!("2024-01-01 {:02}:00:00+00", hour + 5)],
        vec![format!("2024-01-01 {:02}:00:00+05", hour + 10)],
        vec![format!("2024-01-01 {:02}:30:00-03:30", hour + 1)],
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

/// Longer than the column in the second spelling, which an insert cuts and a comparison does not.
fn limited(n: u64) -> Vec<Vec<String>> {
    let mut all = vec![vec![format!("v{n}")]; 60];
    all.push(vec![format!("v{n}      ")]);
    all
}

pub const TEMPLATES: &[Template] = &[
    Template {
        name: "identifier and boolean as key, simple values",
        ddl: "create table {s} (a uuid, b boolean, d date, f float8, v varchar(10), n smallint not null, primary key (b, a)); \
              create index on {s} (v); create index on {s} using hash (n)",
        key: &["a", "b"],
        keys: identifier,
        columns: &["d", "f", "v", "n"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "integer key, once text",
        ddl: "create table {s} (id int primary key, n int not null, v varchar(10), amount numeric(5,2))",
        key: &["id"],
        keys: drifted,
        columns: &["n", "v", "amount"],
        form: Form::Json,
        by_set: true,
    },
    Template {
        name: "text key",
        ddl: "create table {s} (id text primary key, n int, t text)",
        key: &["id"],
        keys: name_of,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "short key",
        ddl: "create table {s} (id varchar(5) primary key, v varchar(10))",
        key: &["id"],
        keys: limited,
        columns: &["v"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "values that only the server can judge",
        ddl: "create table {s} (id bigint primary key, j jsonb, t text)",
        key: &["id"],
        keys: integer,
        columns: &["j", "t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "indexes that may refuse a row",
        ddl: "create table {s} (id bigint primary key, n int, t text); create index on {s} ((1000 / (n - 33))) where n > 20; \
              create index on {s} (t)",
        key: &["id"],
        keys: integer,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "a generated column that may fail",
        ddl: "create table {s} (id bigint primary key, n int, g int generated always as (1000 / (n - 44)) stored)",
        key: &["id"],
        keys: integer,
        columns: &["n"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "a mandatory column of this node",
        ddl: "create table {s} (id bigint primary key, n int, own int not null)",
        key: &["id"],
        keys: integer,
        columns: &["n"],
        form: Form::Urlenc,
        by_set: false,
    },
    Template {
        name: "an interval with a modifier",
        ddl: "create table {s} (id bigint primary key, i interval hour, n int)",
        key: &["id"],
        keys: integer,
        columns: &["i", "n"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "plain",
        ddl: "create table {s} (id bigint primary key, n int not null, t text, amount numeric(8,2), at timestamptz, c char(3))",
        key: &["id"],
        keys: integer,
        columns: &["n", "t", "amount", "at", "c"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "numeric key",
        ddl: "create table {s} (id numeric primary key, t text)",
        key: &["id"],
        keys: numeric,
        columns: &["t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "numeric key with a modifier",
        ddl: "create table {s} (id numeric(10,2) primary key, t text)",
        key: &["id"],
        keys: numeric,
        columns: &["t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "instant as key",
        ddl: "create table {s} (id timestamptz primary key, t text, n int)",
        key: &["id"],
        keys: instant,
        columns: &["t", "n"],
        form: Form::Json,
        by_set: true,
    },
    Template {
        name: "citext key",
        ddl: "create table {s} (id citext primary key, t citext)",
        key: &["id"],
        keys: caseless,
        columns: &["t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "caseless collation",
        ddl: "create table {s} (id text collate caseless primary key, t text)",
        key: &["id"],
        keys: caseless,
        columns: &["t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "padded key",
        ddl: "create table {s} (id char(6) primary key, t text)",
        key: &["id"],
        keys: padded,
        columns: &["t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "composite key",
        ddl: "create table {s} (a int, \"B b\" text, n int, t text, primary key (\"B b\", a))",
        key: &["a", "B b"],
        keys: composite,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "composite inexact key, not primary",
        ddl: "create table {s} (a int not null, b numeric not null, n int, t text); create unique index on {s} (a, b)",
        key: &["a", "b"],
        keys: mixed,
        columns: &["n", "t"],
        form: Form::Json,
        by_set: true,
    },
    Template {
        name: "generated, identity, user types, a constant default",
        ddl: "create table {s} (id bigint generated always as identity primary key, n int, m mood, ma mood[], \
              twice int generated always as (n * 2) stored, more int not null default 7)",
        key: &["id"],
        keys: integer,
        columns: &["n", "m", "ma"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "check",
        ddl: "create table {s} (id int primary key, n int check (n <> 3), t text, check (length(t) < 20 or n is null or length(t) > 100))",
        key: &["id"],
        keys: integer,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "partial updates",
        ddl: "create table {s} (id int primary key, n int, t text)",
        key: &["id"],
        keys: integer,
        columns: &["n", "t"],
        form: Form::Sql,
        by_set: true,
    },
    Template {
        name: "only a key",
        ddl: "create table {s} (id int primary key)",
        key: &["id"],
        keys: integer,
        columns: &[],
        form: Form::Urlenc,
        by_set: true,
    },
    Template {
        name: "another unique column",
        ddl: "create table {s} (id int primary key, n int unique, t text)",
        key: &["id"],
        keys: integer,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: false,
    },
    Template {
        name: "no key",
        ddl: "create table {s} (id int, n int, t text)",
        key: &["id"],
        keys: integer,
        columns: &["n", "t"],
        form: Form::Urlenc,
        by_set: false,
    },
    Template {
        name: "deferrable key",
        ddl: "create table {s} (id int primary key deferrable, n int)",
        key: &["id"],
        keys: integer,
        columns: &["n"],
        form: Form::Urlenc,
        by_set: false,
    },
    Template {
        name: "a default by order",
        ddl: "create table {s} (id int primary key, n int, nr serial)",
        key: &["id"],
        keys: integer,
        columns: &["n"],
        form: Form::Urlenc,
        by_set: false,
    },
    Template {
        name: "partitioned",
        ddl: "create table {s} (id int primary key, n int) partition by range (id); \
              create table {s}_1 partition of {s} for values from (minvalue) to (5); \
              create table {s}_2 partition of {s} for values from (5) to (maxvalue)",
        key: &["id"],
        keys: integer,
        columns: &["n"],
        form: Form::Urlenc,
        by_set: false,
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
        columns: &["n"],
        form: Form::Urlenc,
        by_set: false,
    },
];
