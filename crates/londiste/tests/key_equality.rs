//! Keys of types whose equality is not one of `pg_catalog`: a change has to find the row whose key is equal by the key's
//! own index, however it is spelled, whatever the `search_path`, and by that index.

mod support;

use anyhow::{Context, Result, ensure};
use londiste::apply::session::{self, SourceStyle};
use londiste::apply::{Applier, Carried, Counts, TableShape, Tables, plan};
use pgq::change::{self, Op};
use pgq::{Event, NewEvent};
use skytools::urlenc;
use support::{Pair, admin};
use tokio_postgres::Client;

/// A kind of key. `{c}` stands for the schema of citext.
struct Key {
    name: &'static str,
    sql_type: &'static str,
    /// The n-th key as it is stored, and as another text of the same key.
    texts: fn(usize) -> [String; 2],
    /// Whether a primary key can be made of it.
    primary: bool,
    /// Whether many changes of the table go by set.
    by_set: bool,
}

const fn key(name: &'static str, sql_type: &'static str, texts: fn(usize) -> [String; 2]) -> Key {
    Key { name, sql_type, texts, primary: true, by_set: true }
}

const fn in_order(key: Key) -> Key {
    Key { by_set: false, ..key }
}

fn word(n: usize) -> [String; 2] {
    [format!("ab{n}"), format!("AB{n}")]
}

fn list(n: usize) -> [String; 2] {
    [format!("{{ab{n}}}"), format!("{{AB{n}}}")]
}

fn octets(n: usize) -> [String; 2] {
    [format!("\\x61{n:02x}"), format!("a\\{n:03o}")]
}

fn label(n: usize) -> [String; 2] {
    [format!("k{n}"), format!("k{n}")]
}

const KEYS: &[Key] = &[
    key("citext", "{c}.citext", word),
    in_order(key("domain over citext", "s.name", word)),
    in_order(key("domain over a domain", "s.short_name", word)),
    key("array of citext", "{c}.citext[]", list),
    in_order(key("domain over an array", "s.names", list)),
    key("array of integers", "int[]", |n| [format!("{{1,{n}}}"), format!("[1:2]={{ 1, {n} }}")]),
    key("row with citext", "s.pair", |n| [format!("(1,ab{n})"), format!("(1,AB{n})")]),
    key("range of citext", "s.span", |n| [format!("[ab{n},ab{n}z)"), format!("[AB{n},AB{n}Z)")]),
    in_order(key("domain over a range", "s.spans", |n| {
        [format!("[ab{n},ab{n}z)"), format!("[AB{n},AB{n}Z)")]
    })),
    key("enum", "s.kind", label),
    in_order(key("domain over an enum", "s.kinds", label)),
    key("type with an equality of its own", "s.code", octets),
    key("type with the equality of another", "s.word", octets),
    key("enum with an operator beside its index", "s.shaded", label),
    in_order(Key { primary: false, ..key("type that is hashed only", "s.tag", octets) }),
];

/// Rows of a table.
const ROWS: usize = 80;

/// A type of bytes, with functions to compare it; operators it has unless it is called `word`.
fn bytes(name: &str) -> String {
    let function = |suffix: &str, args: &str, result: &str, symbol: &str| {
        format!(
            "create function s.{name}_{suffix}({args}) returns {result} language internal immutable strict as '{symbol}'; "
        )
    };
    let (one, two) = (format!("s.{name}"), format!("s.{name}, s.{name}"));
    let mut sql = format!("create type {one}; ");
    sql.push_str(&function("in", "cstring", &one, "byteain"));
    sql.push_str(&function("out", &one, "cstring", "byteaout"));
    sql.push_str(&format!("create type {one} (input = s.{name}_in, output = s.{name}_out, like = bytea); "));
    if name != "word" {
        sql.push_str(&function("eq", &two, "boolean", "byteaeq"));
        sql.push_str(&function("lt", &two, "boolean", "bytealt"));
        sql.push_str(&function("cmp", &two, "int", "byteacmp"));
        sql.push_str(&function("hash", &one, "int", "hashvarlena"));
        // Either is true of its operator class.
        let joins = if name == "tag" { "hashes" } else { "merges" };
        sql.push_str(&format!(
            "create operator s.=== (leftarg = {one}, rightarg = {one}, function = s.{name}_eq, commutator = operator(s.===), {joins}); \
             create operator s.< (leftarg = {one}, rightarg = {one}, function = s.{name}_lt); "
        ));
    }
    sql
}

fn types(citext: &str) -> String {
    let labels: Vec<String> = (0..2 * ROWS).map(|n| format!("'k{n}'")).collect();
    let labels = labels.join(", ");
    format!(
        "create schema if not exists {citext}; create extension citext schema {citext}; create schema s; \
         create domain s.name as {citext}.citext; create domain s.short_name as s.name check (length(value) < 10); \
         create domain s.names as {citext}.citext[]; create type s.pair as (a int, b {citext}.citext); \
         create type s.span as range (subtype = {citext}.citext); create domain s.spans as s.span; \
         create type s.kind as enum ({labels}); create domain s.kinds as s.kind; \
         create type s.shaded as enum ({labels}); \
         create function s.never(s.shaded, s.shaded) returns boolean language sql immutable as 'select false'; \
         create operator s.= (leftarg = s.shaded, rightarg = s.shaded, function = s.never); \
         {}{}{} \
         create operator class s.code_ops default for type s.code using btree as operator 1 s.<, operator 3 s.===, function 1 s.code_cmp(s.code, s.code); \
         create cast (s.word as s.code) without function as implicit; \
         create operator class s.tag_ops default for type s.tag using hash as operator 1 s.===, function 1 s.tag_hash(s.tag)",
        bytes("code"),
        bytes("word"),
        bytes("tag")
    )
}

fn table(key: &Key, citext: &str) -> String {
    let constraint = if key.primary { "primary key" } else { "not null" };
    let index = if key.primary { "" } else { "; create index on public.t using hash (k)" };
    let sql_type = key.sql_type.replace("{c}", citext);
    format!("drop table if exists public.t; create table public.t (k {sql_type} {constraint}, v text){index}")
}

fn event(id: usize, op: char, key: &str, v: &str) -> Result<Event> {
    let data = urlenc::encode_row([("k", Some(key)), ("v", Some(v))]);
    let new = NewEvent::new(format!("{op}:k"), data).extra1("public.t");
    Ok(Event::synthetic(i64::try_from(id)?, 1, &new))
}

/// Every change names its row by the other text of its key.
fn history(texts: fn(usize) -> [String; 2]) -> Result<Vec<Event>> {
    let mut steps: Vec<(char, String, &str)> = Vec::new();
    for n in 0..ROWS {
        let [stored, other] = texts(n);
        match n {
            0..=19 => steps.push(('U', other, "updated")),
            // Enough neighbours for statements with 32 keys and with 8, and some that are left.
            20..=62 => steps.push(('D', other, "")),
            63..=69 => {
                steps.push(('U', other.clone(), "updated"));
                steps.push(('D', stored, ""));
                steps.push(('I', other, "inserted"));
            }
            _ => {}
        }
    }
    // Inserted, changed under the other text, and gone again.
    for n in ROWS..ROWS + 9 {
        let [one, other] = texts(n);
        steps.push(('I', one.clone(), "new"));
        steps.push(('U', other.clone(), "updated"));
        steps.push(('D', if n.is_multiple_of(2) { one } else { other }, ""));
    }
    steps.iter().enumerate().map(|(id, (op, key, v))| event(id + 1, *op, key, v)).collect()
}

/// The rows after [`history`], by text.
async fn expected(client: &Client, key: &Key, sql_type: &str) -> Result<Vec<(String, String)>> {
    let mut rows = Vec::new();
    for n in 0..ROWS {
        let [stored, other] = (key.texts)(n);
        match n {
            0..=19 => rows.push((other, "updated".to_owned())),
            20..=62 => {}
            63..=69 => rows.push((other, "inserted".to_owned())),
            _ => rows.push((stored, "old".to_owned())),
        }
    }
    for row in &mut rows {
        let sql = format!("select ('{}'::{sql_type})::text", row.0);
        row.0 = client.query_one(&sql, &[]).await?.get(0);
    }
    rows.sort();
    Ok(rows)
}

async fn apply(mut applier: Applier<'_>, events: &[Event]) -> Result<(Counts, String)> {
    for event in events {
        let change = change::decode(event)?.context("a change")?;
        applier.apply(event, &change, "public.t").await?;
    }
    applier.flush().await?;
    Ok((applier.counts(), applier.describe()))
}

/// The statements of ordered replay use the key's index.
async fn by_index(client: &Client, key: &Key) -> Result<()> {
    let shape = TableShape::require(client, "public.t", "here").await?;
    let carried = Carried { columns: &["k", "v"], key: &[("k", 0)] };
    let make = |op| plan(&shape, op, carried, &|_| false);
    let (update, delete) = (make(Op::Update)?.context("a plan")?, make(Op::Delete)?.context("a plan")?);
    let k = format!("'{}'", (key.texts)(1)[1]);
    let mut statements = vec![(delete.sql.clone(), vec![k.clone()])];
    let values = update.params.iter().map(|&at| if at == 0 { k.clone() } else { "'v'".to_owned() });
    statements.push((update.sql.clone(), values.collect()));
    if let Some(sql) = delete.for_rows(8) {
        statements.push((sql, vec![k; 8]));
    }
    for (sql, values) in statements {
        client.batch_execute(&format!("prepare p as {sql}")).await.with_context(|| sql.clone())?;
        let explain = format!("explain (costs off) execute p({})", values.join(", "));
        let lines = client.query(&explain, &[]).await?;
        let text: Vec<String> = lines.iter().map(|row| row.get(0)).collect();
        ensure!(text.iter().any(|line| line.contains("Index Cond")), "{sql}: {text:#?}");
        client.batch_execute("deallocate p").await?;
    }
    Ok(())
}

async fn check(client: &Client, key: &Key, citext: &str, by_set: bool) -> Result<()> {
    client.batch_execute(&table(key, citext)).await?;
    for n in 0..ROWS {
        let sql = format!("insert into public.t values ('{}', 'old')", (key.texts)(n)[0]);
        client.batch_execute(&sql).await?;
    }
    by_index(client, key).await?;
    let mut tables = Tables::new();
    client.batch_execute("begin").await?;
    let applier = if by_set {
        Applier::by_set_from(client, &mut tables, 0)
    } else {
        Applier::new(client, &mut tables, false)
    };
    let events = history(key.texts)?;
    let (counts, how) = apply(applier, &events).await?;
    client.batch_execute("commit").await?;
    ensure!(counts.missing_rows == 0, "{counts:?}, {how}");
    ensure!((counts.inserts, counts.updates, counts.deletes) == (16, 36, 59), "{counts:?}, {how}");
    ensure!(how.contains("by set") == (by_set && key.by_set), "{how}");
    let found = client.query("select k::text, v from public.t", &[]).await?;
    let mut found: Vec<(String, String)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    found.sort();
    ensure!(found == expected(client, key, &key.sql_type.replace("{c}", citext)).await?, "{found:#?}");
    Ok(())
}

/// Everything that goes wrong is reported at once.
async fn keys_of(citext: &str) -> Result<()> {
    let db = testkit::database().await?;
    db.connect().await?.batch_execute(&types(citext)).await?;
    let mut wrong = Vec::new();
    for path in ["''", "public, ct, s", "s, ct, public, pg_catalog"] {
        for key in KEYS {
            for by_set in [false, true] {
                let client = db.connect().await?;
                let style = SourceStyle::load(&client).await?;
                session::prepare_apply(&client, "q", &style).await?;
                client.batch_execute(&format!("set search_path = {path}")).await?;
                if let Err(e) = check(&client, key, citext, by_set).await {
                    wrong.push(format!("{}, path {path}, sets {by_set}: {e:#}", key.name));
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_the_equality_of_their_key() -> Result<()> {
    keys_of("public").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_where_citext_has_a_schema_of_its_own() -> Result<()> {
    keys_of("ct").await
}

/// Whatever else the database has, statements for ordinary types say no more than they must.
#[tokio::test(flavor = "multi_thread")]
async fn ordinary_types_are_compared_by_a_plain_sign() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    client.batch_execute(&types("public")).await?;
    client
        .batch_execute(
            "create domain s.positive as int check (value > 0); \
             create table t (a smallint, b int, c bigint, d numeric(8, 2), e text, f varchar(9), g char(3), h uuid, i date, \
               j timestamptz, k boolean, l bytea, m inet, n jsonb, o name, p oid, q double precision, r int4range, s interval, \
               t bit(3), u s.kind, v s.pair, w s.span, x s.positive, y int4multirange, \
               primary key (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y))",
        )
        .await?;
    let shape = TableShape::require(&client, "public.t", "here").await?;
    let mut expected = Vec::new();
    for (n, name) in shape.key.iter().enumerate() {
        let column = shape.column(name).context("a column")?;
        ensure!(column.listable, "{name}");
        expected.push(format!("{name} = ${}::{}", n + 1, column.type_sql));
    }
    ensure!(expected.len() == 25);
    let names: Vec<&str> = shape.key.iter().map(String::as_str).collect();
    let key: Vec<(&str, usize)> = names.iter().enumerate().map(|(n, name)| (*name, n)).collect();
    let carried = Carried { columns: &names, key: &key };
    let sql = plan(&shape, Op::Delete, carried, &|_| false)?.context("a plan")?.sql;
    let expected = format!("delete from only public.t where {}", expected.join(" and "));
    ensure!(sql.replace('"', "") == expected.replace('"', ""), "{sql}");
    Ok(())
}

/// A generic trigger takes a key of citext that changes its case for the same key, and says so by one update.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_its_case_at_the_provider_does_so_here() -> Result<()> {
    for citext in ["public", "ct"] {
        let pair = Pair::new().await?;
        pair.both(&format!(
            "create schema if not exists {citext}; create extension citext schema {citext}; \
             create table t (k {citext}.citext primary key, v text)"
        ))
        .await?;
        let leaf = pair.leaf.name();
        pair.on_leaf.batch_execute(&format!("alter database {leaf} set search_path = ''")).await?;
        pair.on_root
            .batch_execute("insert into t select 'key ' || g, 'v' from generate_series(1, 400) g")
            .await?;
        admin(
            &pair.on_root,
            "select * from londiste.local_add_table('q', 'public.t', array['form=generic'])",
        )
        .await?;
        pair.add_on_leaf("public.t", "").await?;
        let worker = pair.worker("")?;
        pair.until_state("public.t", &["ok"]).await?;
        // Few go in order, many as a set.
        for few_or_many in [10, 300] {
            let some = format!("(select k from t order by k::text limit {few_or_many})");
            pair.on_root.batch_execute(&format!("update t set k = upper(k::text) where k in {some}")).await?;
            pair.until_caught_up().await?;
            ensure!(pair.assert_same("t").await? == 400, "{citext}");
            pair.on_root
                .batch_execute(&format!("update t set k = lower(k::text), v = v || 'w' where k in {some}"))
                .await?;
            pair.until_caught_up().await?;
            ensure!(pair.assert_same("t").await? == 400, "{citext}");
        }
        // Said by the trigger as updates, so these were found by citext's equality.
        let kinds = pair
            .on_root
            .query_one(
                "select count(*) filter (where ev_type = 'U:k'), count(*) from pgq.event_template where ev_extra1 = 'public.t'",
                &[],
            )
            .await?;
        let (updates, all): (i64, i64) = (kinds.get(0), kinds.get(1));
        ensure!(updates == 620 && all == 620, "{updates} updates among {all} changes");
        pair.on_root.batch_execute("delete from t where k in (select k from t limit 50)").await?;
        pair.until_caught_up().await?;
        ensure!(pair.assert_same("t").await? == 350, "{citext}");
        worker.stop().await?;
    }
    Ok(())
}
