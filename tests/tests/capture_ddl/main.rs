//! Definitions that change behind the back of a writer: transactions whose snapshot is older, prepared statements kept, prepared
//! transactions, hierarchies. `capture_random` mixes all of this; here each has a name.

mod meaning;

use anyhow::{Context, Result, ensure};
use testkit::TestDb;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Which triggers the promises hold for.
const FORMS: &[&str] = &["row", "statement", "generic"];

/// Changes of table `t`, and what an event of its row says afterwards (`generic` and `row` agree).
const CHANGES: &[(&str, &str)] = &[
    ("alter table t add column extra text default 'e&'", "id=1&k2=2&v=3&extra=e%26"),
    ("alter table t alter column v type text using 'x&' || v", "id=1&k2=2&v=x%263"),
    ("alter table t alter column v type date using '2024-02-01'", "id=1&k2=2&v=2024-02-01"),
    ("alter table t drop constraint t_pkey, add primary key (k2)", "id=1&k2=2&v=3"),
    ("alter table t drop constraint t_pkey, add primary key (id, k2)", "id=1&k2=2&v=3"),
    ("alter table t rename column v to \"w=\"", "id=1&k2=2&w%3d=3"),
    (
        "alter table t rename column id to x; alter table t rename column k2 to id; alter table t rename column x to k2",
        "k2=1&id=2&v=3",
    ),
    ("alter table t drop column v", "id=1&k2=2"),
    ("alter table t drop column v, add column v text default 'new'", "id=1&k2=2&v=new"),
    ("alter table t rename to u", "id=1&k2=2&v=3"),
    ("alter table t set schema other", "id=1&k2=2&v=3"),
];

async fn database() -> Result<(TestDb, Client)> {
    let db = testkit::database().await?;
    let admin = db.connect().await?;
    admin.batch_execute("select pgq.create_queue('q'); create schema other").await?;
    Ok((db, admin))
}

/// Table `t` with one row, captured anew; its events are taken away.
async fn table(admin: &Client, form: &str) -> Result<()> {
    admin
        .batch_execute(&format!(
            "drop table if exists t, u, other.t;
             create table t (id int primary key, k2 int not null, v int); insert into t values (1, 2, 3);
             select pgq.capture_table('q', 't', 'form={form}'); update t set k2 = k2; truncate pgq.event_1_0"
        ))
        .await
        .with_context(|| form.to_owned())
}

/// The name of the table after a change.
fn renamed(change: &str) -> &'static str {
    match change {
        c if c.ends_with("rename to u") => "u",
        c if c.ends_with("schema other") => "other.t",
        _ => "t",
    }
}

/// Type, data and table of the events so far.
async fn events(admin: &Client) -> Result<Vec<String>> {
    let rows = admin
        .query("select concat_ws(' ', ev_type, ev_data, ev_extra1) from pgq.event_1 order by ev_id", &[])
        .await?;
    admin.batch_execute("delete from pgq.event_1_0").await?;
    Ok(rows.iter().map(|r| r.get(0)).collect())
}

/// Runs a statement; the number of rows that it has changed.
async fn changed(client: &Client, sql: &str) -> Result<u64, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .iter()
        .map(|m| if let SimpleQueryMessage::CommandComplete(rows) = m { *rows } else { 0 })
        .sum())
}

/// The file of the table, whatever it is called: another one after an ALTER that wrote it anew.
async fn file(admin: &Client, name: &str) -> Result<String> {
    Ok(admin.query_one("select pg_relation_filepath($1::text::regclass)", &[&name]).await?.get(0))
}

/// The event that an update of the one row must give after a change.
async fn expected(admin: &Client, name: &str, data: &str) -> Result<String> {
    let key: String = admin
        .query_one(
            "select string_agg(a.attname, ',' order by array_position(i.indkey::int2[], a.attnum))
               from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
              where i.indrelid = $1::text::regclass and i.indisprimary",
            &[&name],
        )
        .await?
        .get(0);
    let full = if name.contains('.') { name.to_owned() } else { format!("public.{name}") };
    Ok(format!("U:{key} {data} {full}"))
}

#[tokio::test]
async fn writers_with_an_older_snapshot_follow_or_are_sent_back() -> Result<()> {
    let (db, admin) = database().await?;
    for form in FORMS {
        for level in ["repeatable read", "serializable"] {
            for (change, data) in CHANGES {
                table(&admin, form).await?;
                let name = renamed(change);
                let old = db.connect().await?;
                old.batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class"))
                    .await?;
                let before = file(&admin, "t").await?;
                admin.batch_execute(change).await?;
                // to a snapshot older than its file a table is empty
                let rows = u64::from(file(&admin, name).await? == before);
                let update = format!("update {name} set k2 = k2");
                match changed(&old, &update).await {
                    Ok(count) => {
                        old.batch_execute("commit").await?;
                        let (seen, right) = (events(&admin).await?, expected(&admin, name, data).await?);
                        ensure!(count == rows, "{form}, {level}, {change}: {count} rows");
                        let right = vec![right; usize::try_from(count)?];
                        ensure!(seen == right, "{form}, {level}, {change}: {seen:?}, not {right:?}");
                    }
                    Err(error) => {
                        let code = error.code().map(|c| c.code().to_owned()).unwrap_or_default();
                        // an old snapshot may know neither the name nor the column
                        ensure!(
                            ["40001", "42P01", "42703"].contains(&code.as_str()),
                            "{form}, {level}, {change}: {error:?}"
                        );
                        old.batch_execute("rollback").await?;
                        ensure!(events(&admin).await?.is_empty());
                    }
                }
                // run again, it succeeds
                old.batch_execute(&format!("begin isolation level {level}; {update}; commit")).await?;
                let (seen, right) = (events(&admin).await?, expected(&admin, name, data).await?);
                ensure!(seen == [right.clone()], "{form}, {level}, {change}, again: {seen:?}, not {right}");
            }
        }
    }
    Ok(())
}

/// A table that an older snapshot does not show at all, under a name that was another's.
#[tokio::test]
async fn writers_with_an_older_snapshot_are_sent_back_from_a_younger_table() -> Result<()> {
    let (db, admin) = database().await?;
    // Its capture, too, may be younger than the snapshot, and it may have been altered since.
    let more = ("select pgq.uncapture_table('q', 't')", "alter table t add x int;");
    for (form, (before, after)) in FORMS.iter().flat_map(|form| [(form, ("", "")), (form, more)]) {
        table(&admin, form).await?;
        admin.batch_execute(before).await?;
        let old = db.connect().await?;
        old.batch_execute("begin isolation level repeatable read; select count(*) from pg_class").await?;
        admin
            .batch_execute(&format!(
                "drop table t; create table t (id int primary key, w text); select pgq.capture_table('q', 't', 'form={form}'); {after} truncate pgq.event_1_0"
            ))
            .await?;
        let mut committed = String::new();
        for (kind, change) in
            [("I", "insert into t values (7, 'x')"), ("U", "update t set w = 'y'"), ("D", "delete from t")]
        {
            old.batch_execute("savepoint s").await?;
            match changed(&old, change).await {
                Ok(count) => committed += &kind.repeat(usize::try_from(count)?),
                Err(error) => {
                    let code = error.code().map(|c| c.code().to_owned()).unwrap_or_default();
                    ensure!(code == "40001", "{form}, {change}: {error:?}");
                    old.batch_execute("rollback to s").await?;
                }
            }
        }
        old.batch_execute("commit; insert into t values (8, 'z')").await?;
        let events = events(&admin).await?;
        let kinds: String = events.iter().map(|e| &e[..1]).collect();
        ensure!(kinds == committed + "I", "{form}: {events:?}");
    }
    Ok(())
}

/// What a snapshot does not show of a table, the AFTER triggers need not know: another BEFORE trigger, which changes rows or keeps changes back, and a unique
/// index. Of sessions that never wrote the table, that have, and whose earlier transactions were alike.
#[tokio::test]
async fn an_older_snapshot_logs_what_younger_triggers_make_of_its_changes() -> Result<()> {
    let (db, admin) = database().await?;
    admin
        .batch_execute(
            "create function meddle() returns trigger language plpgsql as
             $$ begin if tg_op = 'DELETE' then return case when old.id = 2 then old end; end if; new.v := 99; return case when new.id <> 3 then new end; end $$",
        )
        .await?;
    const CHANGES: &str =
        "update t set k2 = 7; delete from t where id in (2, 4); update t set id = 8 where id = 1";
    let before = ["", "update t set v = v", "begin isolation level serializable; update t set v = v; commit"];
    for level in ["repeatable read", "serializable"] {
        for history in before {
            table(&admin, "row").await?;
            let writer = db.connect().await?;
            admin.batch_execute("insert into t values (2, 2, 2), (3, 3, 3), (4, 4, 4)").await?;
            writer.batch_execute(history).await?;
            writer
                .batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class"))
                .await?;
            admin
                .batch_execute(
                    "truncate pgq.event_1_0; create unique index on t (v, id);
                     create trigger \"~~last\" before update or delete on t for each row execute function meddle()",
                )
                .await?;
            writer.batch_execute(&format!("{CHANGES}; commit")).await?;
            let (seen, label) = (events(&admin).await?, format!("{level}, {history:?}"));
            let right = [
                "U:id id=1&k2=7&v=99",
                "U:id id=2&k2=7&v=99",
                "U:id id=4&k2=7&v=99",
                "D:id id=2&k2=7&v=99",
                "D:id id=1&k2=7&v=99",
                "I:id id=8&k2=7&v=99",
            ]
            .map(|e| format!("{e} public.t"));
            ensure!(seen == right, "{label}: {seen:?}");
            // the next one sees it, and nothing gets lost; who may be sure refuses, as one may that looks anew because of the index
            let next = format!("begin isolation level {level}; update t set k2 = 5 where id = 8; commit");
            let right = match writer.batch_execute(&next).await {
                Ok(()) => vec!["U:id id=8&k2=5&v=99 public.t"],
                Err(error) => {
                    ensure!(
                        format!("{error:?}").contains("fires behind that of capture"),
                        "{label}: {error:?}"
                    );
                    writer.batch_execute("rollback").await?;
                    Vec::new()
                }
            };
            let seen = events(&admin).await?;
            ensure!(seen == right, "{label}, the next transaction: {seen:?}");
            let refused = writer.batch_execute("update t set k2 = 6 where id = 8").await;
            ensure!(
                refused.is_err_and(|e| format!("{e:?}").contains("fires behind that of capture")),
                "{label}"
            );
            // and it is gone
            admin.batch_execute("drop trigger \"~~last\" on t").await?;
            for level in [level, "read committed"] {
                writer
                    .batch_execute(&format!(
                        "begin isolation level {level}; update t set k2 = k2 + 1; delete from t where id = 3; insert into t values (3, 3, 3); commit"
                    ))
                    .await?;
            }
            let seen = events(&admin).await?;
            let kinds: String = seen.iter().map(|e| &e[..1]).collect();
            ensure!(kinds == "UUUDIUUUDI", "{label}: {seen:?}");
        }
    }
    Ok(())
}

/// Whoever captures a table in a transaction whose snapshot shows triggers that are gone gets new ones.
#[tokio::test]
async fn capture_put_on_by_an_older_snapshot_is_there() -> Result<()> {
    let (db, admin) = database().await?;
    let other = db.connect().await?;
    for form in FORMS {
        table(&admin, form).await?;
        other.batch_execute("begin isolation level repeatable read; select count(*) from pg_class").await?;
        // made anew: the same names, others to the snapshot
        admin
            .batch_execute(&format!(
                "select pgq.uncapture_table('q', 't'); select pgq.capture_table('q', 't', 'form={form}')"
            ))
            .await?;
        let names: String = other
            .query_one(
                "select string_agg(format('drop trigger if exists %I on t', tgname), '; ') from pg_trigger where tgrelid = 't'::regclass and not tgisinternal",
                &[],
            )
            .await?
            .get(0);
        other.batch_execute(&names).await?;
        let made = other.batch_execute(&format!("select pgq.capture_table('q', 't', 'form={form}')")).await;
        if let Err(error) = made {
            // the row of pgq.capture is another, too
            ensure!(error.code().is_some_and(|c| c.code() == "40001"), "{form}: {error:?}");
            other.batch_execute("rollback").await?;
        } else {
            other.batch_execute("commit").await?;
        }
        admin
            .batch_execute("insert into t values (2, 3, 4); update t set v = 5; delete from t where id = 1")
            .await?;
        let events = events(&admin).await?;
        ensure!(events.len() == 4, "{form}: {events:?}");
    }
    Ok(())
}

/// The tables of events are exchanged while a writer has an old snapshot: it writes on, by every way of writing.
#[tokio::test]
async fn an_older_snapshot_writes_after_a_rotation() -> Result<()> {
    let (db, admin) = database().await?;
    let writer = db.connect().await?;
    for form in FORMS {
        table(&admin, form).await?;
        admin.batch_execute("insert into t values (2, 3, 4); delete from pgq.event_1").await?;
        writer.batch_execute("begin isolation level repeatable read; select count(*) from t").await?;
        for step in [
            "update pgq.queue set queue_rotation_period = '0'",
            "select pgq.ticker()",
            "select pgq.maint_rotate_tables_step1('q')",
            "select pgq.maint_rotate_tables_step2()",
        ] {
            admin.batch_execute(step).await?;
        }
        let key = if *form == "generic" {
            "update t set v = 7 where id = 1"
        } else {
            "update t set id = 7 where id = 1"
        };
        writer
            .batch_execute(&format!("insert into t values (3, 4, 5); update t set v = 6 where id = 3; {key}; delete from t where id = 2; commit"))
            .await
            .with_context(|| form.to_string())?;
        let events: i64 = admin.query_one("select count(*) from pgq.event_1", &[]).await?.get(0);
        ensure!(events == if *form == "generic" { 4 } else { 5 }, "{form}: {events}");
        admin.batch_execute("delete from pgq.event_1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_prepared_statement_writes_what_the_table_is_now() -> Result<()> {
    let (db, admin) = database().await?;
    for form in FORMS {
        for mode in ["force_generic_plan", "force_custom_plan"] {
            for (change, data) in CHANGES {
                table(&admin, form).await?;
                let writer = db.connect().await?;
                writer
                    .batch_execute(&format!(
                        "set plan_cache_mode = {mode}; prepare p as update t set k2 = k2; execute p; execute p"
                    ))
                    .await?;
                events(&admin).await?;
                admin.batch_execute(change).await?;
                let name = renamed(change);
                if name != "t" {
                    // the statement names a table that is gone
                    ensure!(writer.batch_execute("execute p").await.is_err(), "{change}");
                    writer
                        .batch_execute(&format!("deallocate p; prepare p as update {name} set k2 = k2"))
                        .await?;
                } else if let Err(error) = writer.batch_execute("execute p").await {
                    anyhow::bail!("{form}, {mode}, {change}: {error:?}");
                } else {
                    let (seen, right) = (events(&admin).await?, expected(&admin, name, data).await?);
                    ensure!(seen == [right.clone()], "{form}, {mode}, {change}: {seen:?}, not {right}");
                }
                writer.batch_execute("execute p").await?;
                let (seen, right) = (events(&admin).await?, expected(&admin, name, data).await?);
                ensure!(
                    seen == [right.clone()],
                    "{form}, {mode}, {change}, once more: {seen:?}, not {right}"
                );
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_prepared_transaction_brings_its_events_when_it_is_committed() -> Result<()> {
    let (db, admin) = database().await?;
    for form in FORMS {
        table(&admin, form).await?;
        let writer = db.connect().await?;
        for (nr, (end, count)) in [("commit", 2), ("rollback", 0)].into_iter().enumerate() {
            let gid = format!("{}_{form}_{nr}", db.name());
            // the definition changes in the same transaction: the code written anew is prepared with it
            writer
                .batch_execute(&format!(
                    "begin; alter table t add column c{nr} text; savepoint s; update t set v = 4; rollback to s;
                     update t set v = 5; update t set c{nr} = 'c'; prepare transaction '{gid}'"
                ))
                .await?;
            ensure!(events(&admin).await?.is_empty(), "{form}: events of an undecided transaction");
            writer.batch_execute(&format!("{end} prepared '{gid}'")).await?;
            let seen = events(&admin).await?;
            ensure!(seen.len() == count, "{form}, {end}: {seen:?}");
            ensure!(seen.is_empty() || seen[1] == "U:id id=1&k2=2&v=5&c0=c public.t", "{form}: {seen:?}");
        }
        writer.batch_execute("update t set v = 6").await?;
        ensure!(events(&admin).await? == ["U:id id=1&k2=2&v=6&c0=c public.t"], "{form}");
    }
    Ok(())
}

#[tokio::test]
async fn a_captured_table_stays_captured_in_a_hierarchy() -> Result<()> {
    let (db, admin) = database().await?;
    // by statement it is not possible
    for form in ["row", "generic"] {
        table(&admin, form).await?;
        admin
            .batch_execute(
                "drop table if exists root, mother;
                 create table root (v int, id int primary key, k2 int not null) partition by range (id);
                 create table mother (v int, k2 int not null)",
            )
            .await?;
        let old = db.connect().await?;
        old.batch_execute("begin isolation level repeatable read; select count(*) from pg_class").await?;
        admin.batch_execute("alter table root attach partition t for values from (0) to (100)").await?;
        // the writer's snapshot shows no partition; to be one, columns are described anew, for which it may be sent back
        if let Err(error) = old.batch_execute("insert into t values (2, 2, 2); commit").await {
            ensure!(error.code().is_some_and(|c| c.code() == "40001"), "{form}: {error:?}");
            old.batch_execute("rollback; insert into t values (2, 2, 2)").await?;
        }
        admin
            .batch_execute(
                "insert into root (id, k2, v) values (3, 3, 3); update root set v = 4 where id = 3; delete from root where id = 2;
                 truncate root; alter table root detach partition t; insert into t values (1, 1, 1);
                 alter table t inherit mother; update mother set v = 2; truncate mother; alter table t no inherit mother; insert into t values (9, 9, 9)",
            )
            .await?;
        let seen = events(&admin).await?;
        let right = [
            "I:id id=2&k2=2&v=2",
            "I:id id=3&k2=3&v=3",
            "U:id id=3&k2=3&v=4",
            "D:id id=2&k2=2&v=2",
            "R ",
            "I:id id=1&k2=1&v=1",
            "U:id id=1&k2=1&v=2",
            "R ",
            "I:id id=9&k2=9&v=9",
        ]
        .map(|e| format!("{e} public.t"));
        ensure!(seen == right, "{form}: {seen:?}");
    }

    // the parent itself: one trigger for all partitions, events in its name
    admin
        .batch_execute(
            "drop table root; create table root (id int primary key, v int) partition by range (id);
             create table low partition of root for values from (0) to (10); create table high partition of root for values from (10) to (20);
             select pgq.capture_table('q', 'root', 'ev_extra1=''public.root''')",
        )
        .await?;
    admin.batch_execute("insert into root values (1, 1), (11, 11); update root set v = 2 where id = 1; update high set v = 12; delete from low").await?;
    let seen = events(&admin).await?;
    let right = ["I:id id=1&v=1", "I:id id=11&v=11", "U:id id=1&v=2", "U:id id=11&v=12", "D:id id=1&v=2"]
        .map(|e| format!("{e} public.root"));
    ensure!(seen == right, "{seen:?}");
    // a row that moves is a delete and an insert of the partitions
    admin.batch_execute("update root set id = 1 where id = 11").await?;
    let seen = events(&admin).await?;
    ensure!(seen == ["D:id id=11&v=12 public.root", "I:id id=1&v=12 public.root"], "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_gone_and_back_is_followed_whatever_the_replica_identity() -> Result<()> {
    let (_db, admin) = database().await?;
    for form in FORMS {
        for identity in ["full", "nothing", "using index other_key", "default"] {
            table(&admin, form).await?;
            admin
                .batch_execute(&format!(
                    "create unique index other_key on t (k2); alter table t replica identity {identity};
                     alter table t drop constraint t_pkey; insert into t values (5, 5)"
                ))
                .await?;
            let error = admin.batch_execute("update t set v = 1").await;
            ensure!(
                error
                    .as_ref()
                    .is_err_and(|e| format!("{e:?}").contains("Update/Delete on table without pkey")),
                "{form}, {identity}: {error:?}"
            );
            admin.batch_execute("alter table t add primary key (id); insert into t values (6, 6); update t set v = 7 where id = 6").await?;
            let seen = events(&admin).await?;
            ensure!(
                seen == [
                    "I: id=5&k2=5&v public.t",
                    "I:id id=6&k2=6&v public.t",
                    "U:id id=6&k2=6&v=7 public.t"
                ],
                "{form}, {identity}: {seen:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_value_of_20_mb_is_written_as_it_is() -> Result<()> {
    let (_db, admin) = database().await?;
    for form in FORMS {
        admin
            .batch_execute(&format!(
                "drop table if exists big; create table big (id int primary key, v text, b bytea);
                 select pgq.capture_table('q', 'big', 'form={form}');
                 insert into big values (1, repeat(E'ab\\u00e9 &=%+\\x01\\n', 2000000), decode(repeat('00ff41', 6700000), 'hex'));
                 insert into big values (2, repeat('plain', 4000000), null);"
            ))
            .await
            .with_context(|| form.to_owned())?;
        // built here from the documented format
        let right: bool = admin
            .query_one(
                "select count(*) = 2 and bool_and(e.ev_data = case e.ev_type || left(e.ev_data, 4)
                     when 'I:idid=1' then 'id=1&v=' || repeat('ab%c3%a9+%26%3d%25%2b%01%0a', 2000000) || '&b=%5cx' || repeat('00ff41', 6700000)
                     when 'I:idid=2' then 'id=2&v=' || repeat('plain', 4000000) || '&b' end)
                   from pgq.event_1 e",
                &[],
            )
            .await?
            .get(0);
        ensure!(right, "{form}");
        events(&admin).await?;
    }
    Ok(())
}
