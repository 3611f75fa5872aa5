//! Damage and foreign owners of an installation: what installing again puts right, and what it names.

mod support;

use anyhow::Result;
use skytools::ErrorKind;
use skytools::db::Connection;
use skytools::install::{Module, install, script, uninstall, verify};
use support::{connect, contents, fresh};

/// What `create … if not exists` leaves.
const MENDED: &[&str] = &[
    "alter table pgq.queue disable trigger all",
    "alter table pgq.queue disable trigger queue_state_trigger; alter table pgq.queue enable trigger queue_code_trigger",
    "drop trigger queue_code_delete_trigger on pgq.queue",
    "drop trigger queue_code_trigger on pgq.queue",
    "drop trigger subscription_key_truncate_trigger on pgq.subscription",
    "drop trigger table_info_trigger_sync on londiste.table_info",
    "alter table pgq.tick alter tick_time drop default, alter tick_event_seq drop not null",
    "alter table pgq.queue alter queue_data_pfx set default 'x', alter queue_switch_step2 set not null",
    "alter table pgq.tick drop constraint tick_pkey",
    "alter table pgq.tick drop constraint tick_queue_fkey, add constraint tick_queue_fkey foreign key (tick_queue) references pgq.queue not valid",
    "alter table pgq.queue drop constraint queue_pkey cascade",
    "drop sequence pgq.queue_queue_id_seq cascade",
    "alter sequence pgq.batch_id_seq increment 7 cycle",
    "alter table pgq.apply_token set unlogged",
    "grant create on schema pgq to public; revoke select on pgq.tick from public; grant usage on sequence pgq.batch_id_seq to public",
    "drop schema pgq_node cascade",
    // the last: the other index stays, as an addition
    "drop index pgq.rq_retry_idx; create index rq_retry_idx on pgq.retry_queue (ev_id)",
];

#[tokio::test]
async fn what_the_files_leave_is_mended() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    install(&mut connection, &[Module::Londiste]).await?;
    connection.batch_execute("select pgq.create_queue('q')").await?;
    let whole = contents(&mut connection).await?;
    for damage in MENDED {
        connection.batch_execute(damage).await?;
        let states = verify(&mut connection, &[Module::Pgq, Module::PgqNode, Module::Londiste]).await?;
        assert!(!states.iter().all(|s| s.is_clean()), "{damage}");
        let outcomes = install(&mut connection, &[Module::Londiste]).await?;
        for outcome in &outcomes {
            assert_eq!(outcome.state.differences, [], "{damage}");
        }
        if !damage.contains("create index") {
            assert!(contents(&mut connection).await? == whole, "{damage}");
        }
    }
    Ok(())
}

/// What is in the way, and what would lose something, is left with the statement that a person may run.
const BY_HAND: &[(&str, &str, &str)] = &[
    (
        "alter table pgq.tick enable row level security",
        "alter table pgq.tick disable row level security, no force row level security",
        "",
    ),
    (
        "create rule nope as on insert to pgq.retry_queue do instead nothing",
        "drop rule nope on pgq.retry_queue",
        "",
    ),
    (
        "create trigger mine before insert on pgq.tick for each row execute function suppress_redundant_updates_trigger()",
        "drop trigger mine on pgq.tick",
        "",
    ),
    (
        "alter table pgq.tick drop constraint tick_pkey; insert into pgq.tick select * from pgq.tick",
        "alter table pgq.tick add PRIMARY KEY (tick_queue, tick_id)",
        "delete from pgq.tick a using pgq.tick b where a.ctid > b.ctid and (a.tick_queue, a.tick_id) = (b.tick_queue, b.tick_id)",
    ),
];

#[tokio::test]
async fn what_is_not_mended_is_named_with_its_statement() -> Result<()> {
    let (_db, mut connection) = fresh().await?;
    install(&mut connection, &[Module::Pgq]).await?;
    connection.batch_execute("select pgq.create_queue('q')").await?;
    for (damage, statement, before) in BY_HAND {
        connection.batch_execute(damage).await?;
        let outcomes = install(&mut connection, &[Module::Pgq]).await?;
        let left = &outcomes[0].state.differences;
        assert_eq!(left.len(), 1, "{damage}: {left:#?}");
        assert_eq!(left[0].by_hand.as_deref(), Some(*statement), "{damage}");
        assert_eq!(left[0].error.is_some(), !before.is_empty(), "{damage}: {left:#?}");
        connection.batch_execute(before).await?;
        connection.batch_execute(statement).await?;
        assert!(verify(&mut connection, &[Module::Pgq]).await?[0].is_clean(), "{damage}");
    }
    // A trigger that fires behind the change is the user's business.
    connection
        .batch_execute("create trigger mine after insert on pgq.tick for each row execute function suppress_redundant_updates_trigger()")
        .await?;
    let state = verify(&mut connection, &[Module::Pgq]).await?.remove(0);
    assert!(state.is_clean() && state.additions == ["table pgq.tick trigger mine"], "{state:?}");
    Ok(())
}

/// Objects in our schemas by owner.
async fn owners(connection: &Connection) -> Result<Vec<String>> {
    let sql = "select distinct pg_get_userbyid(owner)::text
        from (select nspname, nspowner from pg_namespace
              union all select relnamespace::regnamespace::text, relowner from pg_class
              union all select pronamespace::regnamespace::text, proowner from pg_proc) o (schema, owner)
        where schema in ('pgq', 'pgq_node', 'londiste', 'pgq_coop', 'pgq_ext')";
    Ok(connection.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Whoever installs, everything belongs to one role: what belongs to two does not work.
#[tokio::test]
async fn everything_belongs_to_the_owner_whoever_installs() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b).await?;
    cluster.psql(
        "postgres",
        "create role app login; create role other login; create role member login in role app; create database app; grant create on database app to app",
    )?;
    let connstr = cluster.connstr("app");
    let mut admin = connect(&connstr).await?;
    let mut app = connect(&format!("{connstr} user=app")).await?;
    let mut member = connect(&format!("{connstr} user=member")).await?;
    install(&mut app, &[Module::Pgq]).await?;
    app.batch_execute("select pgq.create_queue('q')").await?;
    cluster.psql("app", "revoke create on database app from app; revoke create on schema pgq from app")?;

    // A superuser makes the roles and the other modules, and what was lost of the first.
    let lost = "drop function pgq._server() cascade; drop table pgq.queue_server cascade; drop sequence pgq.event_1_state_seq; drop sequence pgq.batch_id_seq";
    cluster.psql("app", lost)?;
    let outcomes = install(&mut admin, &Module::available()).await?;
    for outcome in &outcomes {
        assert_eq!(outcome.state.differences, [], "{}", outcome.module);
        assert!(outcome.state.missing_roles.is_empty(), "{outcome:?}");
    }
    // pgq_ext needs no other module, and belongs to who has installed it.
    assert_eq!(owners(&admin).await?.len(), 2);
    uninstall(&mut admin, &[Module::PgqExt], false).await?;
    assert_eq!(owners(&admin).await?, ["app"]);
    let may = "select has_database_privilege('app', 'app', 'create')";
    assert!(!admin.query_one(may, &[]).await?.try_get::<_, bool>(0)?, "lent, not given");
    let works = "select pgq.insert_event('q', 't', 'd'), pgq.force_tick('q'), pgq.create_queue('new'), pgq.drop_queue('new')";
    app.batch_execute(works).await?;
    app.batch_execute("select pgq.ticker()").await?;

    // Objects of others are found, and given back by who may do that.
    let modules = [Module::Pgq, Module::PgqNode, Module::Londiste];
    for damage in [
        "alter table pgq.queue owner to postgres",
        "alter schema pgq owner to other",
        "alter function pgq.ticker(text) owner to other; alter table pgq.tick owner to other; alter table pgq.event_1_0 owner to postgres",
        "alter table londiste.table_info owner to postgres; alter function londiste.version() owner to postgres",
        "alter sequence pgq.batch_id_seq owner to postgres; alter sequence pgq.event_1_tick_seq owner to other",
    ] {
        cluster.psql("app", damage)?;
        let states = verify(&mut admin, &modules).await?;
        let strange: Vec<_> = states.iter().flat_map(|s| &s.differences).collect();
        assert!(!strange.is_empty(), "{damage}");
        assert!(
            strange
                .iter()
                .all(|d| d.aspect.as_deref() == Some("owner") && d.expected.as_deref() == Some("app")),
            "{damage}: {strange:#?}"
        );
        let error = install(&mut app, &modules).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Permission, "{damage}: {error:?}");
        let outcomes = install(&mut admin, &modules).await?;
        assert!(outcomes.iter().all(|o| o.state.is_clean()), "{damage}: {outcomes:#?}");
        assert_eq!(owners(&admin).await?, ["app"], "{damage}");
        app.batch_execute(works).await?;
        app.batch_execute("select pgq.ticker()").await?;
    }

    // psql would make objects of two owners.
    let by_psql = cluster.psql("app", &script(&modules)?).unwrap_err().to_string();
    assert!(by_psql.contains("schema pgq belongs to role \"app\""), "{by_psql}");

    // A member of the owner, without any other right, mends as the owner.
    cluster.psql("app", "drop function pgq._server() cascade; drop table pgq.queue_server cascade; grant create on database app to app")?;
    let outcomes = install(&mut member, &modules).await?;
    assert!(outcomes.iter().all(|o| o.state.is_clean()), "{outcomes:#?}");
    assert_eq!(owners(&admin).await?, ["app"]);
    Ok(())
}
