//! Set-based apply against ordered apply: random histories go both ways, and rows, counts and errors must agree.
//!
//! The seed is printed; `SET_APPLY_SEED` repeats it, `SET_APPLY_ROUNDS` runs more.

use anyhow::{Context, Result, ensure};
use londiste::apply::Tables;
use londiste::apply::session;
use londiste::apply::set::{Explainer, Mode, Why};
use pgq::{Event, NewEvent};

mod dice;
mod drift;
mod events;
mod history;
mod play;
mod random;
mod templates;
mod values;
mod ways;

use history::Step;
use play::{TYPES, by_set, prepared};

#[tokio::test(flavor = "multi_thread")]
async fn every_obstacle_is_found_in_the_catalog() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    client.batch_execute(TYPES).await?;
    client
        .batch_execute(
            "create domain positive as int check (value > 0); create function two() returns int language sql as 'select 2'; \
             create function nothing() returns trigger language plpgsql as 'begin return null; end'",
        )
        .await?;
    let explainer = Explainer::open(&client).await?;
    let explain = |table: &'static str| explainer.explain(table);
    let name = |s: &str| s.to_owned();
    let ordered = |why: Why| Mode::Ordered(why);
    let cases: &[(&str, Mode)] = &[
        ("create table t (id int primary key, v text check (v <> ''), w int references t)", Mode::Set),
        ("create table t (id int primary key deferrable)", ordered(Why::DeferrableKey(name("t_pkey")))),
        ("create table t (id int, v int unique)", ordered(Why::NullableKey(name("v")))),
        ("create table t (id int)", ordered(Why::NoKey)),
        ("create table t (id int primary key, v int unique)", ordered(Why::OtherUnique(name("t_v_key")))),
        (
            "create table t (id int primary key, r int4range, exclude using gist (r with &&))",
            ordered(Why::Exclusion(name("t_r_excl"))),
        ),
        (
            "create table t (id int not null); create unique index u on t (id) where id > 0",
            ordered(Why::OtherUnique(name("u"))),
        ),
        (
            "create table t (id int not null); create unique index u on t ((id + 1))",
            ordered(Why::OtherUnique(name("u"))),
        ),
        (
            "create table t (id text not null); create unique index u on t (id collate caseless)",
            ordered(Why::KeyEquality(name("u"))),
        ),
        (
            "create table t (id text not null); create unique index u on t (id text_pattern_ops)",
            ordered(Why::KeyEquality(name("u"))),
        ),
        ("create table t (id int not null, v int); create unique index u on t (id) include (v)", Mode::Set),
        ("create table t (id int primary key) partition by list (id)", ordered(Why::Inheritance)),
        (
            "create table p (id int); create table t (primary key (id)) inherits (p)",
            ordered(Why::Inheritance),
        ),
        ("create table t (id int primary key, p positive)", ordered(Why::Domain(name("p")))),
        ("create table t (id int primary key, p positive[])", Mode::Set),
        (
            "create table t (id int primary key, v int default two())",
            ordered(Why::DefaultFunction(name("v"))),
        ),
        (
            "create table t (id int primary key, v int check (v <> two()))",
            ordered(Why::Check { name: name("t_v_check"), function: true }),
        ),
        (
            "create table t (id int primary key, v mood check (v <> 'sad'))",
            ordered(Why::Check { name: name("t_v_check"), function: false }),
        ),
        (
            "create table t (id int primary key, v int generated always as identity)",
            ordered(Why::Identity(name("v"))),
        ),
        (
            "create table t (id int primary key); create trigger a after insert on t execute function nothing(); \
             create trigger b after insert on t execute function nothing(); alter table t enable replica trigger b",
            ordered(Why::Trigger(name("b"))),
        ),
        (
            "create table t (id int primary key); create trigger a after insert on t execute function nothing()",
            Mode::Set,
        ),
        (
            "create table t (id int primary key) partition by hash (id); \
             create table t1 partition of t for values with (modulus 1, remainder 0); \
             create trigger a after insert on t1 execute function nothing(); alter table t1 enable always trigger a",
            ordered(Why::Trigger(name("a"))),
        ),
        (
            "create table t (id int primary key) partition by hash (id); create table t1 partition of t for values with (modulus 1, remainder 0)",
            ordered(Why::Inheritance),
        ),
        (
            "create table t (id int primary key); create rule r as on insert to t do instead nothing; alter table t enable always rule r",
            ordered(Why::Rule(name("r"))),
        ),
    ];
    for (ddl, mode) in cases {
        client.batch_execute(&format!("begin; {ddl}")).await.context(*ddl)?;
        ensure!(explain("public.t").await? == *mode, "{ddl}: {}", explain("public.t").await?);
        client.batch_execute("rollback").await?;
    }
    ensure!(explain("public.t").await.is_err());
    Ok(())
}

/// An insert of rows `from..=to`.
fn inserts(from: i64, to: i64) -> Vec<Step> {
    (from..=to)
        .map(|id| {
            let new = NewEvent::new("I:id", format!("id={id}&v=text+{id}")).extra1("x.y");
            Step::Change { table: 0, event: Event::synthetic(id, 1, &new) }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_table_between_batches_are_noticed_and_the_catalog_does_not_grow() -> Result<()> {
    let db = testkit::database().await?;
    let (client, other) = (prepared(&db).await?, db.connect().await?);
    other.batch_execute("create schema b; create table b.t0 (id int primary key, v text)").await?;
    let mut cache = Tables::new();
    let mut id = 0;
    let mut batch = async |cache: &mut Tables| -> Result<String> {
        id += 100;
        let (end, how) = by_set(&client, cache, &inserts(id - 99, id), "b", 10, usize::MAX).await?;
        ensure!(end.as_ref().is_ok_and(|c| c.inserts == 100), "{end:?}");
        Ok(how)
    };
    ensure!(batch(&mut cache).await? == "b.t0: 100 by set");
    // Whatever is written to a catalog row makes a new version of it.
    let catalog = "select (select string_agg(oid || ':' || xmin || ':' || relfilenode, ' ' order by oid) from pg_class), \
         (select string_agg(oid || ':' || xmin, ' ' order by oid) from pg_type), \
         (select count(*) from pg_attribute), (select count(*) from pg_statistic s join pg_class c on c.oid = s.starelid where relpersistence = 't')";
    let versions = |row: &tokio_postgres::Row| -> (String, String, i64, i64) {
        (row.get(0), row.get(1), row.get(2), row.get(3))
    };
    let before = versions(&other.query_one(catalog, &[]).await?);
    for _ in 0..5 {
        ensure!(batch(&mut cache).await? == "b.t0: 100 by set");
    }
    ensure!(versions(&other.query_one(catalog, &[]).await?) == before, "batches write to the catalog");
    for (ddl, how) in [
        ("create unique index other on b.t0 (v)", "b.t0: 100 in order (unique index other besides the key)"),
        ("drop index b.other", "b.t0: 100 by set"),
        ("alter table b.t0 add w int default 5", "b.t0: 100 by set"),
        (
            "alter table b.t0 alter w set default random() * 10",
            "b.t0: 100 in order (column w, which is not in the events, has no default, or one that may depend on order)",
        ),
        ("alter table b.t0 drop w, alter v type varchar(30)", "b.t0: 100 by set"),
        (
            "create rule r as on update to b.t0 do also nothing; alter table b.t0 enable always rule r",
            "b.t0: 100 in order (rule r applies during replay)",
        ),
        ("drop rule r on b.t0; alter table b.t0 add check (length(v) > 2)", "b.t0: 100 by set"),
        ("create table b.child () inherits (b.t0)", "b.t0: 100 in order (partitioned or inherited)"),
        (
            "drop table b.child; alter table b.t0 rename v to x; alter table b.t0 add v text",
            "b.t0: 100 in order (check constraint t0_v_check uses a column that is not in the events)",
        ),
        ("alter table b.t0 drop x", "b.t0: 100 by set"),
        // The temporary tables hold on to nothing of the user's.
        ("create type mood as enum ('a'); alter table b.t0 add m mood", "b.t0: 100 by set"),
        ("alter table b.t0 drop m; drop type mood", "b.t0: 100 by set"),
    ] {
        other.batch_execute(ddl).await.context(ddl)?;
        let said = batch(&mut cache).await.context(ddl)?;
        ensure!(said == how, "{ddl}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_has_room_to_sort_a_batch() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    for (before, after) in [("4MB", "64MB"), ("64kB", "64MB"), ("100MB", "100MB")] {
        client.batch_execute(&format!("set work_mem = '{before}'")).await?;
        session::prepare_reader(&client).await?;
        let found: String = client.query_one("show work_mem", &[]).await?.get(0);
        ensure!(found == after, "{before} became {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_the_way_is_named_by_its_event() -> Result<()> {
    let db = testkit::database().await?;
    let (client, other) = (prepared(&db).await?, db.connect().await?);
    other.batch_execute("create schema b; create table b.t0 (id int primary key, v text); insert into b.t0 values (57, 'here')").await?;
    let mut cache = Tables::new();
    let (end, how) = by_set(&client, &mut cache, &inserts(1, 100), "b", 10, usize::MAX).await?;
    let error = end.expect_err("a duplicate");
    ensure!(error.contains("[ev_id=57,") && error.contains("duplicate key"), "{error}");
    ensure!(how.contains("failed"), "{how}");
    // Inserted and deleted again: nothing is left to insert, and yet it is an error.
    let mut steps = inserts(1, 100);
    for id in 1..=100_i64 {
        let gone = NewEvent::new("D:id", format!("id={id}&v")).extra1("x.y");
        steps.push(Step::Change { table: 0, event: Event::synthetic(100 + id, 1, &gone) });
    }
    let (end, _) = by_set(&client, &mut Tables::new(), &steps, "b", 10, usize::MAX).await?;
    ensure!(end.expect_err("a duplicate").contains("[ev_id=57,"));
    other.batch_execute("delete from b.t0").await?;
    let (end, how) = by_set(&client, &mut Tables::new(), &steps, "b", 10, usize::MAX).await?;
    let counts = end.map_err(anyhow::Error::msg)?;
    ensure!((counts.inserts, counts.deletes, counts.missing_rows) == (100, 100, 0), "{counts:?}");
    ensure!(how == "b.t0: 200 by set", "{how}");
    Ok(())
}
