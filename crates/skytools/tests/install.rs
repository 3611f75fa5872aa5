//! Installing, verifying and removing the SQL modules on a live server.

mod support;

use std::path::PathBuf;

use anyhow::Result;
use skytools::ErrorKind;
use skytools::install::{Action, Module, in_use, install, script, uninstall, verify};
use support::{connect, contents, fresh};

/// The committed manifests are those of the SQL. `SKYTOOLS_UPDATE_MANIFEST=1` writes them anew.
#[tokio::test]
async fn the_committed_manifests_are_those_of_the_sql() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    // The second time every role exists, whoever made it.
    for _ in 0..2 {
        install(&mut connection, &Module::available()).await?;
    }
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sql/manifest");
    let update = std::env::var_os("SKYTOOLS_UPDATE_MANIFEST").is_some();
    for manifest in contents(&mut connection).await? {
        let path = directory.join(format!("{}.json", manifest.module));
        let text = manifest.to_json()?;
        if update {
            std::fs::create_dir_all(&directory)?;
            std::fs::write(&path, &text)?;
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "sql/manifest/{}.json is not that of the SQL; run:\n\
             SKYTOOLS_UPDATE_MANIFEST=1 cargo test -p skytools --test install the_committed_manifests",
            manifest.module
        );
    }
    Ok(())
}

#[tokio::test]
async fn twice_changes_nothing_and_says_so() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    let first = install(&mut connection, &[Module::Londiste]).await?;
    let names: Vec<&str> = first.iter().map(|o| o.module.as_str()).collect();
    assert_eq!(names, ["pgq", "pgq_node", "londiste"]);
    assert!(first.iter().all(|o| o.action == Action::Installed && o.version_before.is_none()));
    for outcome in &first {
        assert_eq!(outcome.state.differences, [], "{}", outcome.module);
        assert_eq!(outcome.state.additions, Vec::<String>::new());
    }
    let before = contents(&mut connection).await?;
    let second = install(&mut connection, &[Module::Londiste]).await?;
    assert!(second.iter().all(|o| o.action == Action::Unchanged), "{second:?}");
    assert_eq!(before, contents(&mut connection).await?);
    Ok(())
}

#[tokio::test]
async fn the_script_for_psql_installs_the_same() -> Result<()> {
    let (_db, mut by_program) = fresh().await?;
    install(&mut by_program, &Module::available()).await?;
    let db = testkit::empty_database().await?;
    for _ in 0..2 {
        db.psql(&script(&Module::available())?)?;
    }
    let mut by_psql = connect(db.connstr()).await?;
    assert_eq!(contents(&mut by_program).await?, contents(&mut by_psql).await?);
    Ok(())
}

#[tokio::test]
async fn damage_is_listed_and_mended() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    install(&mut connection, &[Module::Londiste]).await?;
    connection
        .batch_execute(
            "create or replace function pgq.version() returns text language sql as 'select ''3.0''::text';
             drop function pgq.finish_batch(bigint);
             alter table pgq.queue alter column queue_ticker_max_count set default 1;
             grant execute on function pgq_node.drop_node(text, text) to public;
             create function pgq.mine(text) returns text language sql as 'select $1';
             create table pgq.my_table (a int primary key);
             select pgq.create_queue('verified');",
        )
        .await?;
    let states = verify(&mut connection, &[Module::Pgq, Module::PgqNode, Module::Londiste]).await?;
    assert!(!states[0].is_clean() && !states[1].is_clean() && states[2].is_clean());
    let found: Vec<String> = states
        .iter()
        .flat_map(|s| &s.differences)
        .map(|d| format!("{}: {}", d.object, d.aspect.as_deref().unwrap_or("missing")))
        .collect();
    for expected in [
        "function pgq.finish_batch(bigint): missing",
        "function pgq.version(): body",
        "table pgq.queue column queue_ticker_max_count: default",
        "function pgq_node.drop_node(text, text): grant to public",
    ] {
        assert!(found.iter().any(|f| f == expected), "{expected} is not in {found:#?}");
    }
    assert_eq!(states[0].additions, ["function pgq.mine(text)", "table pgq.my_table"]);

    let outcomes = install(&mut connection, &[Module::Londiste]).await?;
    let actions: Vec<Action> = outcomes.iter().map(|o| o.action).collect();
    assert_eq!(actions, [Action::Upgraded, Action::Upgraded, Action::Unchanged]);
    assert_eq!(outcomes[0].version_before.as_deref(), Some("3.0"));
    for outcome in &outcomes {
        assert_eq!(outcome.state.differences, [], "{}", outcome.module);
    }
    let row = connection.query_one("select count(*) from pgq.queue", &[]).await?;
    assert_eq!(row.try_get::<_, i64>(0)?, 1);
    Ok(())
}

#[tokio::test]
async fn an_error_leaves_nothing_and_names_file_and_line() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    // Something of another kind in the way of a later module.
    connection.batch_execute("create schema londiste; create type londiste.table_info as (a int)").await?;
    let error = install(&mut connection, &[Module::Londiste]).await.unwrap_err();
    assert!(error.to_string().starts_with("installing module londiste: sql/londiste/"), "{error}");
    let row = connection.query_one("select to_regnamespace('pgq') is null", &[]).await?;
    assert!(row.try_get::<_, bool>(0)?, "schema pgq was left behind");
    Ok(())
}

#[tokio::test]
async fn installations_at_the_same_time_take_turns() -> Result<()> {
    let db = testkit::empty_database().await?;
    let other = testkit::empty_database().await?;
    let mut tasks = Vec::new();
    for number in 0..6 {
        let connstr = if number % 3 == 0 { other.connstr() } else { db.connstr() }.to_owned();
        tasks.push(tokio::spawn(async move {
            let mut connection = connect(&connstr).await?;
            let outcomes = install(&mut connection, &[Module::Londiste]).await?;
            anyhow::Ok(outcomes.iter().filter(|o| o.action == Action::Installed).count())
        }));
    }
    let mut installed = 0;
    for task in tasks {
        installed += task.await??;
    }
    assert_eq!(installed, 2 * 3, "three modules in each of two databases");
    Ok(())
}

/// Events are UTF-8 in any database, as consumers decode them.
#[tokio::test]
async fn neither_encoding_nor_old_ways_of_writing_strings_matter() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    for (encoding, texts) in
        [("LATIN1", ["\u{e9}", "\u{c3}\u{a9}"]), ("EUC_JP", ["\u{3042}", "\u{6f22}\u{5b57}"])]
    {
        let name = encoding.to_lowercase();
        cluster.psql(
            "postgres",
            &format!(
                "create database {name} template template0 encoding '{encoding}' locale 'C'; \
                 alter database {name} set standard_conforming_strings = off"
            ),
        )?;
        let mut client = connect(&cluster.connstr(&name)).await?;
        install(&mut client, &[Module::Londiste, Module::PgqExt, Module::PgqCoop]).await?;
        for state in verify(&mut client, &Module::ALL).await? {
            assert!(state.is_clean(), "{encoding}: {state:?}");
        }
        client
            .batch_execute(
                "select pgq_node.register_location('q', 'root', 'dbname=x', false); \
                 select pgq_node.create_node('q', 'root', 'root', 'w', null, null, null); \
                 create table row_ (id int primary key, v text); create table by_ (id int primary key, v text); \
                 create table gen (id int primary key, v text); create table own (id int primary key, v text); \
                 select pgq.capture_table('q', 'row_'), pgq.capture_table('q', 'by_', 'form=statement'), \
                        pgq.capture_table('q', 'gen', 'form=generic'); \
                 select londiste.local_add_table('q', 'public.own', array['when=id > 0']); \
                 select londiste.local_show_missing('q')",
            )
            .await?;
        let long = texts.concat().repeat(40_000);
        // more characters than are replaced one after the other
        let first: u32 = texts[0].chars().next().map_or(0, |c| u32::from(c) & !0x3f) + 2;
        let many: Vec<char> = (first..first + 60).filter_map(char::from_u32).collect();
        let mixed: String = many.iter().map(|c| format!("x{c}")).collect();
        for table in ["row_", "by_", "gen", "own"] {
            for (id, text) in (1..).zip([texts[0], texts[1], "plain", &long, &mixed]) {
                client.execute(&format!("insert into {table} values ({id}, $1)"), &[&text]).await?;
            }
            let events = client
                .query(
                    "select ev_data from pgq.event_1 where ev_extra1 = 'public.' || $1 order by ev_id",
                    &[&table],
                )
                .await?;
            let data: Vec<String> = events.iter().map(|e| e.get(0)).collect();
            let escaped = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
            let wanted = [
                format!("id=1&v={}", escaped(texts[0])),
                format!("id=2&v={}", escaped(texts[1])),
                "id=3&v=plain".to_owned(),
                format!("id=4&v={}", escaped(&long)),
                format!(
                    "id=5&v={}",
                    many.iter().map(|c| format!("x{}", escaped(&c.to_string()))).collect::<String>()
                ),
            ];
            assert!(
                data == wanted,
                "{encoding}, {table}: {:?}",
                data.iter().map(|d| d.get(..60).unwrap_or(d)).collect::<Vec<_>>()
            );
        }
        client.batch_execute("select londiste.local_remove_table('q', 'public.own')").await?;
        client
            .batch_execute(
                "select pgq.maint_sample_capture(func_arg) from pgq.maint_operations() where func_name = 'pgq.maint_sample_capture'",
            )
            .await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_owner_without_superuser_installs_without_the_roles() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    cluster.psql(
        "postgres",
        "create role owner login; create role guest login; create database app owner owner",
    )?;
    let connstr = cluster.connstr("app");
    let as_role = |role: &str| format!("{connstr} user={role}");

    let mut guest = connect(&as_role("guest")).await?;
    let error = install(&mut guest, &[Module::Pgq]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(
        error.hint_text().is_some_and(|h| h.contains("grant create on database app to guest")),
        "{error:?}"
    );

    let mut owner = connect(&as_role("owner")).await?;
    let outcomes = install(&mut owner, &[Module::Londiste]).await?;
    assert!(outcomes[0].state.missing_roles.contains(&"pgq_reader".to_owned()), "{outcomes:?}");
    for outcome in &outcomes {
        assert_eq!(outcome.state.differences, [], "{}", outcome.module);
    }
    let again = install(&mut owner, &[Module::Londiste]).await?;
    assert!(again.iter().all(|o| o.action == Action::Unchanged), "{again:?}");
    let error = guest.query_one("select pgq.create_queue('x')", &[]).await.unwrap_err();
    assert_eq!(error.code().map(|c| c.code()), Some("42501"));
    let error = install(&mut guest, &[Module::Pgq]).await.map(drop);
    assert!(error.is_ok(), "looking at an unchanged installation needs no rights: {error:?}");

    // A role that may create roles completes the installation.
    cluster.psql("app", "alter role owner createrole")?;
    let completed = install(&mut owner, &[Module::Londiste]).await?;
    assert!(completed.iter().any(|o| o.action == Action::Upgraded));
    assert!(
        completed.iter().all(|o| o.state.missing_roles.is_empty() && o.state.is_clean()),
        "{completed:#?}"
    );

    // Another role's schema is not touched.
    cluster.psql("app", "create or replace function pgq.version() returns text language sql as 'select null::text'; grant create on database app to guest")?;
    let error = install(&mut guest, &[Module::Pgq]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Permission);
    assert!(error.to_string().contains("belongs to role \"owner\""), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_is_in_use_is_not_removed() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    install(&mut connection, &[Module::Londiste]).await?;
    connection
        .batch_execute(
            "select pgq.create_queue('q \"1'); select pgq.register_consumer('q \"1', 'con sumer');
             create schema \"App\";
             create table \"App\".\"T t\" (id int primary key);
             create trigger \"Cap ture\" after insert or update or delete on \"App\".\"T t\"
                 for each row execute function pgq.logutriga('q \"1');
             create table part (id int) partition by range (id);
             create table part_1 partition of part for values from (0) to (10);
             create trigger cap after insert on part for each row execute function pgq.logutriga('q \"1', 'pkey=id');
             create view \"App\".queues as select queue_name from pgq.queue;",
        )
        .await?;
    let found = in_use(&*connection, &[Module::Pgq]).await?;
    let shown: Vec<String> = found.iter().map(|u| format!("{} {}", u.kind, u.what)).collect();
    assert!(shown.contains(&"consumer con sumer on queue q \"1".to_owned()), "{shown:#?}");
    assert!(shown.iter().any(|s| s.starts_with("trigger") && s.contains("Cap ture")), "{shown:#?}");
    assert!(shown.iter().any(|s| s.starts_with("dependent view \"App\".queues")), "{shown:#?}");

    let error = uninstall(&mut connection, &[Module::Pgq], true).await.unwrap_err();
    assert!(error.to_string().contains("needs it"), "{error}");
    let before = contents(&mut connection).await?;
    let error = uninstall(&mut connection, &[], false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    for part in ["con sumer", "Cap ture", "\"App\".queues"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    assert_eq!(before, contents(&mut connection).await?);

    let removal = uninstall(&mut connection, &[], true).await?;
    assert_eq!(removal.modules, ["londiste", "pgq_node", "pgq"]);
    assert_eq!(removal.dropped.len(), found.len());
    assert!(contents(&mut connection).await?.is_empty());
    connection.batch_execute("insert into \"App\".\"T t\" values (1); insert into part values (1)").await?;
    let nothing = uninstall(&mut connection, &[], false).await?;
    assert!(nothing.modules.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_unused_installation_is_removed_without_force() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    install(&mut connection, &[Module::Londiste]).await?;
    let removal = uninstall(&mut connection, &[Module::Londiste], false).await?;
    assert_eq!(removal.modules, ["londiste"]);
    let states = verify(&mut connection, &[Module::Londiste, Module::Pgq]).await?;
    assert!(states[0].version.is_none() && states[1].is_clean());
    uninstall(&mut connection, &[], false).await?;
    Ok(())
}

/// The extensions of the original become plain modules, with the queue, its events and its consumer in place.
#[tokio::test]
async fn an_original_installation_is_adopted_in_place() -> Result<()> {
    let originals = testkit::debian_originals()?;
    let installation = originals.installation.clone();
    let cluster = testkit::own_cluster(move |b| b.installation(&installation)).await?;
    cluster.create_database("app")?;
    let mut connection = connect(&cluster.connstr("app")).await?;
    connection
        .batch_execute(
            "create extension pgq; create extension pgq_node; create extension londiste;
             select pgq.create_queue('live'); select pgq.register_consumer('live', 'reader');
             select pgq.insert_event('live', 'kind', 'before'), pgq.ticker();
             create table t (id int primary key);
             create trigger cap after insert on t for each row execute function pgq.logutriga('live');
             insert into t values (1);",
        )
        .await?;
    let outcomes = install(&mut connection, &[Module::Londiste]).await?;
    for outcome in &outcomes {
        assert_eq!(outcome.action, Action::Upgraded);
        assert!(outcome.version_before.as_deref().is_some_and(|v| v.starts_with('3')), "{outcome:?}");
        assert_eq!(outcome.state.differences, [], "{}", outcome.module);
    }
    let again = install(&mut connection, &[Module::Londiste]).await?;
    assert!(again.iter().all(|o| o.action == Action::Unchanged), "{again:?}");
    connection
        .batch_execute("insert into t values (2); select pgq.insert_event('live', 'kind', 'after')")
        .await?;
    connection.batch_execute("select pgq.ticker('live')").await?;
    connection.batch_execute("select pgq.force_tick('live'); select pgq.ticker('live')").await?;
    let mut seen: Vec<String> = Vec::new();
    while let Some(batch) = connection
        .query_one("select pgq.next_batch('live', 'reader')", &[])
        .await?
        .try_get::<_, Option<i64>>(0)?
    {
        for row in connection.query("select ev_data from pgq.get_batch_events($1)", &[&batch]).await? {
            seen.push(row.try_get(0)?);
        }
        connection.query_one("select pgq.finish_batch($1)", &[&batch]).await?;
    }
    assert_eq!(seen, ["before", "id=1", "id=2", "after"]);
    let extensions =
        connection.query("select extname from pg_extension where extname <> 'plpgsql'", &[]).await?;
    assert!(extensions.is_empty());
    Ok(())
}

/// An extension that needs an adopted one is released with it, or dumps would bring the adopted one's old functions back.
#[tokio::test]
async fn adopting_one_module_releases_the_extensions_that_need_it() -> Result<()> {
    let installation = testkit::debian_originals()?.installation;
    let cluster = testkit::own_cluster(move |b| b.installation(&installation)).await?;
    cluster.create_database("app")?;
    let mut connection = connect(&cluster.connstr("app")).await?;
    connection
        .batch_execute("create extension pgq; create extension pgq_node; create extension londiste")
        .await?;
    let node = "select md5(prosrc) from pg_proc where oid = 'pgq_node.create_node'::regproc";
    let before: String = connection.query_one(node, &[]).await?.try_get(0)?;
    install(&mut connection, &[Module::Pgq]).await?;
    let extensions = "select string_agg(extname, ' ') from pg_extension where extname <> 'plpgsql'";
    assert_eq!(connection.query_one(extensions, &[]).await?.try_get::<_, Option<String>>(0)?, None);
    assert_eq!(before, connection.query_one(node, &[]).await?.try_get::<_, String>(0)?);
    let outcomes = install(&mut connection, &[Module::Londiste]).await?;
    let actions: Vec<Action> = outcomes.iter().map(|o| o.action).collect();
    assert_eq!(actions, [Action::Unchanged, Action::Upgraded, Action::Upgraded]);
    assert!(outcomes.iter().all(|o| o.state.is_clean()), "{outcomes:?}");
    Ok(())
}
