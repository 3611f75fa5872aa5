//! Definitions that give the same columns another meaning: they may hold null, have exchanged their names, or another index or partition
//! key is about them. Nothing of the row's own format changes, so code generated before would run on, and log what is wrong.

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::{FORMS, database};

/// What a write must come to, by the form of capture: its events, separated by `;`, or `!` and how the refusal begins.
type Right = [String; 3];

/// A change of definitions and what is written after it. `{n}` stands for the number of the transaction, so that each has rows of its own.
struct Case {
    what: String,
    /// The table as captured.
    set: String,
    /// What is captured, and with which option.
    captured: &'static [&'static str],
    option: &'static str,
    forms: &'static [&'static str],
    writers: &'static [Writer],
    /// What the session may have written before; leaves all as it was.
    warm: &'static str,
    /// Each a transaction of its own.
    change: Vec<String>,
    writes: Vec<(String, Right)>,
}

/// The isolation level of a writer that has looked around before the change, and what its session has done before that.
type Writer = (&'static str, Before);

/// Those that there are.
const WRITERS: &[Writer] = &[
    ("read committed", Before::Written),
    ("repeatable read", Before::Written),
    ("serializable", Before::WrittenAlike),
    ("repeatable read", Before::Nothing),
];

#[derive(Debug, Clone, Copy)]
enum Before {
    Nothing,
    Written,
    /// In a transaction of the same isolation level.
    WrittenAlike,
}

fn all(right: impl Into<String>) -> Right {
    let right = right.into();
    [right.clone(), right.clone(), right]
}

fn by_form(row: &str, statement: &str, generic: &str) -> Right {
    [row, statement, generic].map(str::to_owned)
}

/// An update that changes the key, which only generated capture can log.
fn key_changed(events: &str) -> Right {
    by_form(events, events, "!primary key update not allowed")
}

fn writes(list: &[(&str, Right)]) -> Vec<(String, Right)> {
    list.iter().map(|(sql, right)| ((*sql).to_owned(), right.clone())).collect()
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// Columns that lose NOT NULL, of types whose texts are written in different ways.
fn nulls() -> Vec<Case> {
    let table = "create table t (id int primary key, b text not null default 'x', i int not null default 7, d date not null default '2024-02-01',
                     s numeric not null default 1.50);
                 insert into t (id) select n * 10 + k from generate_series(1, 3) n, generate_series(0, 4) k";
    let all_columns = |how: &str| {
        let parts = ["b", "i", "d", "s"].map(|c| format!("alter {c} {how} not null"));
        format!("alter table t {}", parts.join(", "))
    };
    let (drop, set) = (all_columns("drop"), all_columns("set"));
    let refresh = "select pgq.refresh_capture()".to_owned();
    let write = "insert into t (id) values (6); delete from t where id = 6".to_owned();
    let case = |what: &str, writers: &'static [Writer], before: &str, change: &[&String]| Case {
        what: what.to_owned(),
        set: format!("{table}; {before}"),
        captured: &["t"],
        option: "",
        forms: FORMS,
        writers,
        warm: "insert into t (id) values (5); update t set i = i where id = 5; delete from t where id = 5",
        change: change.iter().map(|s| (*s).clone()).collect(),
        writes: writes(&[
            ("update t set b = null where id = {n}0", all("t U:id id={n}0&b&i=7&d=2024-02-01&s=1.50")),
            ("update t set i = null where id = {n}1", all("t U:id id={n}1&b=x&i&d=2024-02-01&s=1.50")),
            ("update t set d = null where id = {n}2", all("t U:id id={n}2&b=x&i=7&d&s=1.50")),
            ("update t set s = null where id = {n}3", all("t U:id id={n}3&b=x&i=7&d=2024-02-01&s")),
            ("insert into t values ({n}5, null, null, null, null)", all("t I:id id={n}5&b&i&d&s")),
            ("insert into t (id, b) values ({n}6, '')", all("t I:id id={n}6&b=&i=7&d=2024-02-01&s=1.50")),
            (
                "update t set id = {n}9, b = null, i = null where id = {n}4",
                key_changed(
                    "t D:id id={n}4&b=x&i=7&d=2024-02-01&s=1.50; t I:id id={n}9&b&i&d=2024-02-01&s=1.50",
                ),
            ),
            ("delete from t where id = {n}2", all("t D:id id={n}2&b=x&i=7&d&s=1.50")),
        ]),
    };
    vec![
        case("drop not null", WRITERS, "", &[&drop]),
        // code written for the one and for the other
        case("refreshed between set and drop not null", &WRITERS[..2], &drop, &[&set, &refresh, &drop]),
        case(
            "written between drop, set and drop not null",
            &WRITERS[1..3],
            "",
            &[&drop, &write, &set, &write, &drop],
        ),
    ]
}

/// Names that two columns exchange.
fn exchanges() -> Vec<Case> {
    let exchange = |table: &str| {
        format!(
            "alter table {table} rename a to x; alter table {table} rename b to a; alter table {table} rename x to b"
        )
    };
    let case = |what: &str, set: &str, writes| Case {
        what: what.to_owned(),
        set: set.to_owned(),
        captured: &["t"],
        option: "",
        forms: FORMS,
        writers: WRITERS,
        warm: "insert into t values (5, '5', '5'); update t set a = '6', b = '6' where id = 5; delete from t where id = 5",
        change: vec![exchange("t")],
        writes,
    };
    let fill = "insert into t select n * 10 + k, n * 100 + 10 + k, n * 100 + 50 + k from generate_series(1, 3) n, generate_series(0, 2) k";
    vec![
        case(
            "NOT NULL and nullable columns exchange their names",
            &format!("create table t (id int primary key, a text not null, b text); {fill}"),
            writes(&[
                ("update t set a = null where id = {n}0", all("t U:id id={n}0&b={n}10&a")),
                ("insert into t (id, b) values ({n}5, '')", all("t I:id id={n}5&b=&a")),
                ("update t set id = {n}9 where id = {n}0", key_changed("t D:id id={n}0&b={n}10&a; t I:id id={n}9&b={n}10&a")),
                ("delete from t where id = {n}5", all("t D:id id={n}5&b=&a")),
            ]),
        ),
        case(
            "unique columns exchange their names",
            &format!("create table t (id int primary key, a int unique, b int unique); {fill}"),
            writes(&[
                ("update t set a = -{n} where id = {n}2", all("t U:id id={n}2&b={n}12&a=-{n}")),
                (
                    "update t set id = id + 5, b = b - 1 where id in ({n}0, {n}1)",
                    by_form(
                        "t D:id id={n}0&b={n}10&a={n}50; t I:id id={n}5&b={n}09&a={n}50; t D:id id={n}1&b={n}11&a={n}51; t I:id id={n}6&b={n}10&a={n}51",
                        "t D:id id={n}0&b={n}10&a={n}50; t D:id id={n}1&b={n}11&a={n}51; t I:id id={n}5&b={n}09&a={n}50; t I:id id={n}6&b={n}10&a={n}51",
                        "!primary key update not allowed",
                    ),
                ),
                ("delete from t where id = {n}2", all("t D:id id={n}2&b={n}12&a=-{n}")),
            ]),
        ),
        Case { forms: &["row", "statement"], writers: &WRITERS[1..3], ..case(
            "the key and another unique column exchange their names",
            &format!(
                "create table t (id int not null, a int not null primary key, b int not null unique); {fill}"
            ),
            writes(&[
                ("update t set a = -{n} where id = {n}0", all("t U:b id={n}0&b={n}10&a=-{n}")),
                (
                    "update t set b = -{n} where id = {n}1",
                    key_changed("t D:b id={n}1&b={n}11&a={n}51; t I:b id={n}1&b=-{n}&a={n}51"),
                ),
                ("delete from t where id = {n}2", all("t D:b id={n}2&b={n}12&a={n}52")),
            ]),
        ) },
        Case {
            what: "the partition key and another column exchange their names".to_owned(),
            set: "create table root (id int, a int, b int) partition by range (a);
                  create table low partition of root for values from (0) to (10); alter table low add primary key (id);
                  create table high partition of root for values from (10) to (20); alter table high add primary key (id);
                  insert into root select n * 10 + k, 1, 2 from generate_series(1, 3) n, generate_series(0, 1) k"
                .to_owned(),
            captured: &["low", "high"],
            option: "",
            forms: &["row", "generic"],
            writers: WRITERS,
            warm: "insert into root values (5, 1, 1); update root set b = 15 where id = 5; update root set a = 15 where id = 5; delete from root where id = 5",
            change: vec![exchange("root")],
            writes: writes(&[
                ("update root set b = 15 where id = {n}0", all("low D:id id={n}0&b=1&a=2; high I:id id={n}0&b=15&a=2")),
                ("update root set a = 15 where id = {n}1", all("low U:id id={n}1&b=1&a=15")),
                ("delete from root where id in ({n}0, {n}1)", all("low D:id id={n}1&b=1&a=15; high D:id id={n}0&b=15&a=2")),
            ]),
        },
    ]
}

/// Indexes, triggers and partitions that make of an update something else, or of two rows one.
fn claims() -> Vec<Case> {
    let key =
        "create table t (id int not null, v int not null default 1); create unique index t_key on t (id)";
    let fill = "insert into t select n * 10 + k from generate_series(1, 3) n, generate_series(0, 2) k";
    let warm = "insert into t values (5); update t set v = v where id = 5; delete from t where id = 5";
    let late = "!the key of this table is deferrable, and no trigger has it checked";
    let moved = "!primary key update not allowed: the key is deferrable";
    let statement = "!update and delete not allowed: the key is deferrable";
    let mut cases = Vec::new();
    for (how, writers) in [("deferrable", &WRITERS[..2]), ("deferrable initially deferred", WRITERS)] {
        cases.push(Case {
            what: format!("unique using index {how}"),
            set: format!("{key}; {fill}"),
            captured: &["t"],
            option: "pkey=id",
            forms: &["row", "statement"],
            writers,
            warm,
            change: vec![format!("alter table t add constraint t_key unique using index t_key {how}")],
            writes: writes(&[
                ("insert into t values ({n}5)", by_form(late, "t I:id id={n}5&v=1", "")),
                ("update t set v = 2 where id = {n}0", by_form("t U:id id={n}0&v=2", statement, "")),
                ("update t set id = {n}9 where id = {n}1", by_form(moved, statement, "")),
                ("delete from t where id = {n}2", by_form("t D:id id={n}2&v=1", statement, "")),
            ]),
        });
    }
    cases.push(Case {
        what: "unique using index deferrable, captured again".to_owned(),
        set: format!("{key}; {fill}"),
        captured: &["t"],
        option: "pkey=id",
        forms: &["row"],
        writers: &WRITERS[..1],
        warm,
        change: strings(&[
            "alter table t add constraint t_key unique using index t_key deferrable initially deferred",
            "select pgq.capture_table('q', 't', 'pkey=id')",
        ]),
        writes: writes(&[
            ("insert into t values ({n}5)", all("t I:id id={n}5&v=1")),
            ("insert into t values ({n}6), ({n}0)", all("!")),
            ("update t set v = 2 where id = {n}5", all("t U:id id={n}5&v=2")),
            ("update t set id = {n}9 where id = {n}1", all(moved)),
        ]),
    });
    for change in ["alter table t disable trigger \"!!_londiste_q\"", "drop trigger \"!!_londiste_q\" on t"] {
        cases.push(Case {
            what: change.to_owned(),
            set: format!("create table t (id int primary key deferrable, v int not null default 1); {fill}"),
            captured: &["t"],
            option: "",
            forms: &["row"],
            writers: &WRITERS[1..3],
            warm,
            change: strings(&[change]),
            writes: writes(&[
                ("insert into t values ({n}5)", all(late)),
                ("update t set v = 2 where id = {n}0", all("t U:id id={n}0&v=2")),
                ("delete from t where id = {n}0", all("t D:id id={n}0&v=2")),
            ]),
        });
    }
    let nobody = "!Update/Delete of a row whose key is null";
    cases.push(Case {
        what: "drop not null of pkey=".to_owned(),
        set: format!("{key}; {fill}"),
        captured: &["t"],
        option: "pkey=id",
        forms: &["row", "statement"],
        writers: &WRITERS[..3],
        warm,
        change: strings(&["alter table t alter id drop not null"]),
        writes: writes(&[
            ("update t set id = null where id = {n}0", all("t D:id id={n}0&v=1; t I:id id&v=1")),
            ("insert into t values (null, 3)", all("t I:id id&v=3")),
            ("update t set v = 4 where id is null", all(nobody)),
            ("update t set id = {n}9 where ctid = (select min(ctid) from t where id is null)", all(nobody)),
            ("delete from t", all(nobody)),
            ("update t set v = 5 where id = {n}1", all("t U:id id={n}1&v=5")),
        ]),
    });
    cases.push(Case {
        what: "a leaf goes below another level".to_owned(),
        set: "create table root (id int, p int, q int) partition by range (p);
              create table leaf partition of root for values from (0) to (10); alter table leaf add primary key (id);
              create table mid partition of root for values from (10) to (20) partition by range (q);
              create table rest partition of mid for values from (10) to (20); alter table rest add primary key (id)"
            .to_owned(),
        captured: &["leaf", "rest"],
        option: "",
        forms: &["row", "generic"],
        writers: WRITERS,
        warm: "insert into root values (5, 1, 1); update root set q = 15 where id = 5; delete from root where id = 5",
        change: strings(&[
            "alter table root detach partition leaf; alter table mid attach partition leaf for values from (0) to (10)",
        ]),
        writes: writes(&[
            ("insert into root values ({n}0, 12, 5), ({n}1, 12, 5)", all("leaf I:id id={n}0&p=12&q=5; leaf I:id id={n}1&p=12&q=5")),
            ("update root set q = 15 where id = {n}0", all("leaf D:id id={n}0&p=12&q=5; rest I:id id={n}0&p=12&q=15")),
            ("update root set q = 6 where id = {n}1", all("leaf U:id id={n}1&p=12&q=6")),
            ("delete from root where id in ({n}0, {n}1)", all("leaf D:id id={n}1&p=12&q=6; rest D:id id={n}0&p=12&q=15")),
        ]),
    });
    cases
}

impl Case {
    async fn set(&self, admin: &Client, form: &str) -> Result<()> {
        let mut sql = format!("drop table if exists t, root; {};", self.set);
        for table in self.captured {
            let option = if self.option.is_empty() { String::new() } else { format!(", '{}'", self.option) };
            sql += &format!("select pgq.capture_table('q', '{table}', 'form={form}'{option});");
        }
        admin.batch_execute(&sql).await.with_context(|| sql.clone())
    }

    /// The writes of one transaction, or of several without `begin`; whether it was sent back.
    async fn write(
        &self,
        writer: &Client,
        form: usize,
        begin: Option<&str>,
        nr: usize,
    ) -> Result<(bool, Vec<String>)> {
        let mut expected = Vec::new();
        for (sql, right) in &self.writes {
            let fill = |text: &str| text.replace("{n}", &nr.to_string());
            let (sql, right) = (fill(sql), fill(&right[form]));
            if begin.is_some() {
                writer.batch_execute("savepoint s").await?;
            }
            let refused = right.strip_prefix('!');
            match writer.batch_execute(&sql).await {
                Ok(()) => {
                    ensure!(refused.is_none(), "{sql} was not refused");
                    expected.extend(right.split("; ").map(sorted));
                }
                Err(error) => {
                    let error = error.as_db_error().context("the server is gone")?.clone();
                    if begin.is_some_and(|level| level != "read committed") && error.code().code() == "40001"
                    {
                        writer.batch_execute("rollback").await?;
                        return Ok((true, Vec::new()));
                    }
                    ensure!(
                        refused.is_some_and(|start| error.message().starts_with(start)),
                        "{sql}: {} {}",
                        error.code().code(),
                        error.message()
                    );
                    if begin.is_some() {
                        writer.batch_execute("rollback to s").await?;
                    }
                }
            }
        }
        if begin.is_some() {
            writer.batch_execute("commit").await?;
        }
        Ok((false, expected))
    }
}

/// An event with its columns in the order of their names: a consumer goes by those.
fn sorted(event: &str) -> String {
    let (start, data) = event.rsplit_once(' ').unwrap_or(("", event));
    let mut parts: Vec<&str> = data.split('&').collect();
    parts.sort_unstable();
    format!("{start} {}", parts.join("&"))
}

async fn events(admin: &Client) -> Result<Vec<String>> {
    let rows = admin
        .query("select concat_ws(' ', replace(ev_extra1, 'public.', ''), ev_type, ev_data) from pgq.event_1 order by ev_id", &[])
        .await?;
    admin.batch_execute("delete from pgq.event_1_0").await?;
    Ok(rows.iter().map(|r| sorted(r.get(0))).collect())
}

async fn follow(cases: Vec<Case>) -> Result<()> {
    let (db, admin) = database().await?;
    for case in cases {
        for form in case.forms {
            let number = FORMS.iter().position(|f| f == form).context("no such form")?;
            // the generic trigger reads what the table is like
            let writers = match *form {
                "row" => case.writers,
                "statement" => &case.writers[case.writers.len() / 2..],
                _ => &case.writers[..1],
            };
            for (level, history) in writers {
                let before = match history {
                    Before::Nothing => String::new(),
                    Before::Written => case.warm.to_owned(),
                    Before::WrittenAlike => format!("begin isolation level {level}; {}; commit", case.warm),
                };
                let label = format!("{}, {form}, {level}, {history:?}", case.what);
                case.set(&admin, form).await.context(label.clone())?;
                let writer = db.connect().await?;
                writer.batch_execute(&before).await.context(label.clone())?;
                writer
                    .batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class"))
                    .await?;
                for sql in &case.change {
                    admin.batch_execute(sql).await.with_context(|| format!("{label}: {sql}"))?;
                }
                admin.batch_execute("delete from pgq.event_1_0").await?;
                // a snapshot from before; what is planned then, in a transaction that sees all; a later transaction of the same level
                for (nr, begin) in [(1, Some(*level)), (2, None), (3, Some(*level))] {
                    if let Some(level) = begin.filter(|_| nr > 1) {
                        writer.batch_execute(&format!("begin isolation level {level}")).await?;
                    }
                    let label = format!("{label}, transaction {nr}");
                    let (sent_back, right) =
                        case.write(&writer, number, begin, nr).await.context(label.clone())?;
                    ensure!(!sent_back || nr == 1, "{label}: sent back though nothing was altered since");
                    let seen = events(&admin).await?;
                    ensure!(seen == right, "{label}:\n  {seen:#?},\nnot {right:#?}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn columns_that_may_hold_null_from_now_on() -> Result<()> {
    follow(nulls()).await
}

#[tokio::test]
async fn columns_that_exchange_their_names() -> Result<()> {
    follow(exchanges()).await
}

#[tokio::test]
async fn keys_and_partitions_that_mean_something_else() -> Result<()> {
    follow(claims()).await
}
