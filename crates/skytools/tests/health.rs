//! What an installation has generated: damage of every sort is found, what can be made anew is, and nothing else is touched.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use skytools::db::{ConnectString, Connection};
use skytools::install::health::{self, Finding};
use skytools::install::{Module, ModuleState, install, verify};

async fn connect(connstr: &str) -> Result<Connection> {
    Ok(ConnectString::parse(connstr)?.connect("health test").await?)
}

/// Ten queues, so that there are leaves, and tables captured for the first.
const QUEUES: &str = "
    select pgq.create_queue('q' || n) from generate_series(1, 10) n;
    create table public.t (id int primary key, v text);
    create table public.u (id int primary key, v text);
    create table public.\"W x\" (id int primary key, v text);
    select pgq.capture_table('q1', 'public.t', 'ev_extra1=''elsewhere.t''', 'tgflags=IU');
    select pgq.capture_table('q1', 'public.u', 'form=generic');
    select pgq.capture_table('q1', 'public.W x', 'trigger=mine', 'ignore=v');
    create table public.s (id int primary key, v text);
    select pgq.capture_table('q1', 'public.s', 'form=statement', 'capture_failure=mark');
    select pgq.register_consumer('q1', 'c');";

async fn damaged(damage: &str) -> Result<(testkit::TestDb, Connection)> {
    let db = testkit::database().await?;
    let mut connection = connect(db.connstr()).await?;
    connection.batch_execute(QUEUES).await?;
    let before = found(&mut connection).await?;
    ensure!(before.is_empty(), "before the damage: {before:#?}");
    connection.batch_execute(damage).await?;
    Ok((db, connection))
}

/// What comparing the module itself has shown: nothing, which need not be looked at again and again.
fn whole() -> ModuleState {
    ModuleState {
        module: "pgq".to_owned(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        fresh_version: env!("CARGO_PKG_VERSION").to_owned(),
        differences: Vec::new(),
        additions: Vec::new(),
        missing_roles: Vec::new(),
    }
}

async fn found(connection: &mut Connection) -> Result<Vec<Finding>> {
    let health = health::check(connection, Module::Pgq, &whole()).await?;
    ensure!(health.unchecked.is_none(), "{:?}", health.unchecked);
    Ok(health.findings)
}

async fn repair(connection: &mut Connection) -> Result<Vec<health::Repaired>> {
    Ok(health::repair(connection, Module::Pgq, &whole(), Duration::from_secs(10)).await?)
}

/// Captures one change of each kind on every table, for comparing what is written.
const CHANGES: &str = "
    insert into public.t values (1, 'x'); update public.t set v = 'y'; truncate public.t;
    insert into public.u values (1, 'x'); delete from public.u; truncate public.u;
    insert into public.\"W x\" values (1, 'x'); update public.\"W x\" set v = 'y', id = 1; delete from public.\"W x\"; truncate public.\"W x\";
    insert into public.s values (1, 'x'); update public.s set id = 2, v = 'y'; delete from public.s; truncate public.s;
    select pgq.insert_event('q' || n, 'type', 'data') from generate_series(1, 10) n;";

/// Everything that the event tables of these queues hold, without what differs from run to run.
async fn events(connection: &Connection) -> Result<Vec<String>> {
    let sql = "select c.relname || ' ' || concat_ws('|', ev_type, ev_data, ev_extra1, ev_extra2)
        from pgq.event_template e join pg_class c on c.oid = e.tableoid order by c.relname, ev_id";
    Ok(connection.query(sql, &[]).await?.iter().map(|r| r.get(0)).collect())
}

/// Damage, and a part of the problem that is found for it.
const REPAIRABLE: &[(&str, &str)] = &[
    ("drop function pgq._insert_tree_0(text, timestamptz, text, text, text, text, text, text, bigint)", "do not lead to the code"),
    ("do $$ begin execute (select 'drop function ' || oid::regprocedure from pg_proc
       where proname = '_insert_leaf_' || (hashtext('q3') & 3)); end $$", "which inserts its events"),
    ("grant execute on function pgq._insert_leaf_0(text, timestamptz, text, text, text, text, text, text, bigint) to public", "open to everybody"),
    ("drop sequence pgq.event_2_state_seq", "does not exist"),
    ("select setval('pgq.event_2_state_seq', 4)", "its row 0"),
    ("select setval('pgq.event_2_state_seq', 2305843009213693952 + txid_current() + 1000000)", "its row 0"),
    ("select setval('pgq.event_2_id_seq', 1, false); update pgq.tick set tick_event_seq = 100 where tick_queue = 2", "numbers would come twice"),
    // events since the last tick, and one that waits to be delivered again
    ("select pgq.insert_event('q2', 't', 'd') from generate_series(1, 5); select setval('pgq.event_2_id_seq', 2)", "is at 2, but "),
    ("insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner) values ('2100-01-01', 2, 77777, now(), 1)", "but 77777 is in use"),
    ("select setval('pgq.queue_queue_id_seq', 2)", "pgq.queue_queue_id_seq"),
    ("revoke select on sequence pgq.event_3_tick_seq from public", "roles lack rights on pgq.event_3_tick_seq"),
    ("alter table pgq.event_1_1 alter column ev_id drop default", "column ev_id has no default"),
    ("alter table pgq.subscription_key disable trigger user; delete from pgq.subscription_key", "has no key"),
    ("drop trigger _londiste_q1_truncate on public.t", "has no truncate trigger"),
    ("drop trigger _londiste_q1_truncate on public.u", "has no truncate trigger"),
    ("drop trigger mine_truncate on public.\"W x\"", "has no truncate trigger"),
    ("do $$ begin execute (select format('create or replace function pgq.%I() returns trigger language plpgsql security definer as %L',
        proname, replace(prosrc, 'elsewhere', 'nowhere')) from pg_proc where proname = '$T'); end $$", "generated for other objects"),
    ("alter function pgq.$T() security invoker", "generated for other objects"),
    ("delete from pgq.capture where rel_name = 't'", "is not registered"),
    // captured by statement
    ("drop trigger _londiste_q1_truncate on public.s", "table public.s, queue q1 has no truncate trigger"),
    ("do $$ begin execute (select format('create or replace function pgq.%I() returns trigger language plpgsql security definer as %L',
        proname, replace(prosrc, 'public.s', 'nowhere.s')) from pg_proc where proname = '$S'); end $$", "function pgq.$S() was generated for other objects"),
    ("create function pgq._capture_77() returns trigger language plpgsql as 'begin return null; end'", "nothing uses it"),
    ("insert into pgq.capture (queue_name, rel_schema, rel_name, trigger_name, options, function_name)
        values ('q1', 'public', 'gone', 'x', '{}', '_capture_99')", "the table is gone"),
    ("alter table public.t enable always trigger \"~_londiste_q1\"", "some of its triggers are ENABLE ALWAYS"),
    ("alter table public.t drop constraint t_pkey, add primary key (id) deferrable", "the key is deferrable, and no trigger has it checked"),
];

#[tokio::test]
async fn what_is_generated_is_made_anew() -> Result<()> {
    let (_db, mut connection) = damaged("select").await?;
    let changed = async |connection: &Connection| -> Result<Vec<String>> {
        connection.batch_execute("truncate pgq.event_template").await?;
        connection.batch_execute(CHANGES).await?;
        events(connection).await
    };
    let expected = changed(&connection).await?;
    ensure!(expected.len() == 24, "{expected:#?}");
    for (damage, problem) in REPAIRABLE {
        let functions = "select max(function_name) filter (where rel_name = 't'), max(function_name) filter (where rel_name = 's')
            from (select rel_name, function_name::text from pgq.capture) c";
        let functions = connection.query_one(functions, &[]).await?;
        let named = |text: &str| text.replace("$T", functions.get(0)).replace("$S", functions.get(1));
        connection.batch_execute(&named(damage)).await.context(*damage)?;
        let before = found(&mut connection).await.context(*damage)?;
        let problem = named(problem);
        let is_it = |f: &Finding| format!("{} {}", f.object, f.problem).contains(&problem) && f.repairable;
        ensure!(before.iter().any(is_it), "{damage}: {before:#?}");
        let repaired = repair(&mut connection).await.context(*damage)?;
        ensure!(repaired.iter().all(|r| r.error.is_none()), "{damage}: {repaired:#?}");
        let after = found(&mut connection).await?;
        ensure!(after.is_empty(), "{damage}: {after:#?}");
        let events = changed(&connection).await.context(*damage)?;
        ensure!(events == expected, "{damage}: {events:#?}\n{expected:#?}");
    }
    Ok(())
}

/// Damage, a part of the problem, and of the remedy.
const BY_HAND: &[(&str, &str, &str)] = &[
    (
        "alter table public.t disable trigger _londiste_q1",
        "is disabled",
        "alter table public.t enable trigger",
    ),
    (
        "alter table public.t enable replica trigger _londiste_q1",
        "for replicas only",
        "alter table public.t enable trigger",
    ),
    ("alter table public.t disable trigger _londiste_q1_truncate", "truncate trigger", "enable trigger"),
    (
        "drop trigger _londiste_q1 on public.t; drop trigger _londiste_q1_truncate on public.t",
        "was dropped",
        "pgq.capture_table('q1', 'public.t'",
    ),
    (
        "drop trigger mine on public.\"W x\"; drop trigger mine_truncate on public.\"W x\"",
        "was dropped",
        "'trigger=mine'",
    ),
    (
        "drop trigger _londiste_q1_open on public.s",
        "trigger _londiste_q1_open was dropped",
        "pgq.capture_table('q1', 'public.s', 'trigger=_londiste_q1', 'capture_failure=mark', 'form=statement')",
    ),
    (
        "drop trigger _londiste_q1 on public.s",
        "trigger _londiste_q1 was dropped: changes are not captured",
        "pgq.capture_table('q1', 'public.s', 'trigger=_londiste_q1', 'capture_failure=mark', 'form=statement')",
    ),
    (
        "drop trigger _londiste_q1 on public.s; drop trigger _londiste_q1_open on public.s; drop trigger _londiste_q1_update on public.s;
         drop trigger _londiste_q1_delete on public.s; drop trigger _londiste_q1_pin on public.s",
        "trigger _londiste_q1 was dropped: nothing is captured",
        "pgq.capture_table('q1', 'public.s', 'trigger=_londiste_q1', 'capture_failure=mark', 'form=statement')",
    ),
    (
        "alter table public.s disable trigger _londiste_q1_delete",
        "trigger _londiste_q1_delete is disabled",
        "alter table public.s enable trigger _londiste_q1_delete",
    ),
    (
        "alter table public.s disable trigger _londiste_q1_open",
        "trigger _londiste_q1_open is disabled",
        "alter table public.s enable trigger _londiste_q1_open",
    ),
    (
        "alter table public.s drop constraint s_pkey; insert into public.s values (1, 'x'); set client_min_messages = error; delete from public.s;
         alter table public.s add primary key (id); reset client_min_messages",
        "Update/Delete on table without pkey",
        "pgq.capture_table('q1', 'public.s', 'trigger=_londiste_q1', 'capture_failure=mark', 'form=statement')",
    ),
    ("drop table pgq.event_4_2", "the events in it are lost", "restore it"),
    (
        "drop index pgq.event_1_1_txid_idx",
        "no index on ev_txid",
        "create index concurrently on pgq.event_1_1",
    ),
    ("alter table pgq.event_1_1 no inherit pgq.event_1", "is no child", "inherit pgq.event_1"),
    ("create table pgq.event_77_0 (a int)", "belongs to no queue", "drop table pgq.event_77_0"),
    (
        "alter table public.t drop constraint t_pkey, add column \"a.b\" int, add column \"c,d\" int primary key",
        "cannot be generated",
        "",
    ),
    (
        "update pgq.capture set lost_since = now(), lost_reason = 'because' where rel_name = 't'",
        "because",
        "copy the table again",
    ),
    (
        "alter table pgq.event_1_0 enable row level security, force row level security",
        "row security",
        "alter table pgq.event_1_0 disable row level security",
    ),
    (
        "create rule swallow as on insert to pgq.event_1_0 do instead nothing",
        "has the rule swallow",
        "drop rule swallow on pgq.event_1_0",
    ),
    (
        "create trigger mine before insert on pgq.event_1_2 for each row execute function suppress_redundant_updates_trigger()",
        "has the trigger mine",
        "drop trigger mine on pgq.event_1_2",
    ),
    ("alter table pgq.event_1_1 set unlogged", "is unlogged", "alter table pgq.event_1_1 set logged"),
    (
        "create trigger \"~~last\" before update on public.t for each row execute function suppress_redundant_updates_trigger()",
        "trigger \"~~last\" fires behind that of capture",
        "rename to last",
    ),
    (
        "create trigger \" asked\" after update on public.u for each row when (new.v is not null) execute function pg_catalog.suppress_redundant_updates_trigger()",
        "the WHEN clause of trigger \" asked\" is asked before",
        "rename to asked",
    ),
    (
        "alter table public.u drop constraint u_pkey, add primary key (id) deferrable",
        "the key is deferrable, and the trigger is generic: changes fail",
        "make it NOT DEFERRABLE",
    ),
    (
        "alter table public.s drop constraint s_pkey, add primary key (id) deferrable",
        "the key is deferrable: updates and deletes fail",
        "or capture the table by row",
    ),
];

#[tokio::test]
async fn what_a_person_decides_is_only_named() -> Result<()> {
    let mut mended = None;
    for (damage, problem, remedy) in BY_HAND {
        let (db, mut connection) = match mended.take() {
            Some(whole) => whole,
            None => damaged("select").await?,
        };
        connection.batch_execute(damage).await.context(*damage)?;
        let before = found(&mut connection).await.context(*damage)?;
        ensure!(
            before.iter().any(|f| f.problem.contains(problem) && f.remedy.contains(remedy) && !f.repairable),
            "{damage}: {before:#?}"
        );
        repair(&mut connection).await.context(*damage)?;
        let after = found(&mut connection).await?;
        ensure!(after.iter().any(|f| f.problem.contains(problem)), "{damage} was repaired: {after:#?}");
        // A command that was named does what it says.
        if let Some(command) = before.iter().find(|f| {
            ["select pgq.capture_table", "alter table", "alter trigger", "drop rule", "drop trigger"]
                .iter()
                .any(|c| f.remedy.starts_with(c))
        }) {
            let command = command.remedy.split("; what").next().unwrap_or_default();
            connection.batch_execute(command).await.context(command.to_owned())?;
            let after = found(&mut connection).await?;
            ensure!(after.is_empty(), "{damage}: {after:#?}");
            mended = Some((db, connection));
        }
    }
    Ok(())
}

/// What belongs to another role, and what of it is found.
const STRAYS: &[(&str, &str)] = &[
    ("alter table pgq.event_1_0 owner to other", "table pgq.event_1_0"),
    ("alter table pgq.event_1 owner to other", "table pgq.event_1"),
    ("alter sequence pgq.event_1_id_seq owner to other", "sequence pgq.event_1_id_seq"),
    ("alter sequence pgq.event_1_state_seq owner to other", "sequence pgq.event_1_state_seq"),
    ("alter function pgq._capture_1() owner to other", "table public.t, queue q1"),
    (
        "alter function pgq._insert_tree_0(text, timestamptz, text, text, text, text, text, text, bigint) owner to other",
        "function pgq._insert_tree_0(",
    ),
    // lost, and made again by a superuser: what the owner has to do with them stays the owner's
    ("drop sequence pgq.event_2_state_seq", "sequence pgq.event_2_state_seq"),
    (
        "drop function pgq._insert_tree_0(text, timestamptz, text, text, text, text, text, text, bigint)",
        "functions pgq._insert_tree_*",
    ),
];

/// The owner of pgq is no superuser, and a superuser repairs: everything is the owner's again, and works.
#[tokio::test]
async fn what_a_superuser_repairs_belongs_to_the_owner() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    cluster.psql("postgres", "create role app login; create role other; create database app owner app")?;
    let mut admin = connect(&cluster.connstr("app")).await?;
    let mut app = connect(&format!("{} user=app", cluster.connstr("app"))).await?;
    install(&mut app, &[Module::Pgq]).await?;
    cluster.psql("app", "grant all on schema public to app")?;
    app.batch_execute(QUEUES).await?;
    cluster.psql("app", "grant create on schema pgq to other")?;
    for (damage, object) in STRAYS {
        admin.batch_execute(damage).await.context(*damage)?;
        let before = found(&mut admin).await?;
        ensure!(before.iter().any(|f| f.object.starts_with(object) && f.repairable), "{damage}: {before:#?}");
        let repaired = repair(&mut admin).await.context(*damage)?;
        ensure!(repaired.iter().all(|r| r.error.is_none()), "{damage}: {repaired:#?}");
        let after = found(&mut admin).await?;
        ensure!(after.is_empty(), "{damage}: {after:#?}");
        let foreign = "select count(*) from (select relowner from pg_class where relnamespace = 'pgq'::regnamespace
            union all select proowner from pg_proc where pronamespace = 'pgq'::regnamespace) o (owner) where owner <> 'app'::regrole";
        ensure!(admin.query_one(foreign, &[]).await?.try_get::<_, i64>(0)? == 0, "{damage}");
        app.batch_execute(CHANGES).await.context(*damage)?;
        app.batch_execute("select pgq.force_tick('q1')").await?;
        let tick = app.query_one("select pgq.ticker('q1')", &[]).await.context(*damage)?;
        ensure!(tick.try_get::<_, Option<i64>>(0)?.is_some(), "{damage}");
    }
    // A function that somebody else wrote under such a name does not come to run with the owner's rights.
    admin
        .batch_execute(
            "create function pgq._insert_leaf_9(int) returns int language sql security definer as 'select 1';
             create function pgq._capture_99() returns trigger language plpgsql security definer as 'begin return null; end';
             alter function pgq._insert_leaf_9(int) owner to other; alter function pgq._capture_99() owner to other;
             insert into pgq.capture (queue_name, rel_schema, rel_name, trigger_name, options, function_name)
                values ('q1', 'public', 'gone', 'x', '{}', '_capture_99')",
        )
        .await?;
    repair(&mut admin).await?;
    let left =
        "select count(*) from pg_proc where pronamespace = 'pgq'::regnamespace and proowner = 'app'::regrole
        and oid::regprocedure::text in ('pgq._insert_leaf_9(integer)', 'pgq._capture_99()')";
    ensure!(admin.query_one(left, &[]).await?.try_get::<_, i64>(0)? == 0);
    Ok(())
}

/// Looking needs the owner's rights and says so; a damaged module is to be installed first.
#[tokio::test]
async fn what_was_not_looked_at_is_told() -> Result<()> {
    let (_db, mut connection) = damaged("drop function pgq.finish_batch(bigint)").await?;
    let state = verify(&mut connection, &[Module::Pgq]).await?.remove(0);
    let health = health::check(&mut connection, Module::Pgq, &state).await?;
    ensure!(
        !health.is_good() && health.unchecked.as_deref().is_some_and(|w| w.contains("install it first")),
        "{health:?}"
    );
    ensure!(health::repair(&mut connection, Module::Pgq, &state, Duration::from_secs(1)).await?.is_empty());
    install(&mut connection, &[Module::Pgq]).await?;
    connection.batch_execute("create role health_reader; set role health_reader").await?;
    let state = verify(&mut connection, &[Module::Pgq]).await?.remove(0);
    let health = health::check(&mut connection, Module::Pgq, &state).await;
    connection.batch_execute("reset role; drop role health_reader").await?;
    let health = health?;
    ensure!(health.unchecked.as_deref().is_some_and(|w| w.contains("the owner of pgq")), "{health:?}");
    Ok(())
}
