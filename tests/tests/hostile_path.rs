//! Somebody may create objects in a schema of everybody's `search_path`, as in `public` of databases from before PostgreSQL 15:
//! whatever the programs do there, they call none of them.

use anyhow::{Result, ensure};
use e2e::pair::{LIMIT, Pair, QUEUE};
use testkit::{PATIENCE, skytools, wait_for};

/// Operators whose arguments fit better than those of PostgreSQL's own, which take a cast; also where those come first in the path.
/// They work, and count calls by programs (a number that no rollback takes back).
const HOSTILE: &str = r#"
create schema hostile;
grant usage on schema hostile to public;
create sequence hostile.calls minvalue 0 start 0;
create table hostile.who (said text);
do $do$
declare
    _types text[] := '{oid,regclass,regproc,regprocedure,regnamespace,regtype,regrole,int2,int4,int8,name,text,varchar,"\"char\"",bool,timestamptz,interval,numeric,float8,"text[]","name[]","oid[]","int2[]",int2vector,oidvector,xid,txid_snapshot}';
    _l text; _r text; _o text; _result text; _nr int4 := 0;
begin
    foreach _o in array '{=,<>,<,>,<=,>=,~,!~,~~,&,|,+,-,||,*,/,@>,<@}'::text[] loop
    foreach _l in array _types loop
    foreach _r in array _types loop
        continue when exists (select 1 from pg_operator where oprname = _o and oprnamespace = 'pg_catalog'::regnamespace
                                 and oprleft = _l::regtype and oprright = _r::regtype);
        begin
            execute format('select pg_typeof(null::%s operator(pg_catalog.%s) null::%s)', _l, _o, _r) into _result;
            _nr := _nr + 1;
            execute format($f$create function hostile.f%1$s(l %2$s, r %3$s) returns %4$s language plpgsql as $$
                declare res %4$s;
                begin
                    if current_setting('application_name') not in ('', 'psql') then
                        perform nextval('hostile.calls');
                        raise warning 'hostile: %%: %%', %5$L, current_query();
                    end if;
                    execute 'select $1 operator(pg_catalog.%6$s) $2' into res using l, r;
                    return res;
                end $$ $f$, _nr, _l, _r, _result, _l || ' ' || _o || ' ' || _r, _o);
            execute format('create operator hostile.%s (leftarg = %s, rightarg = %s, function = hostile.f%s)', _o, _l, _r, _nr);
        exception when others then null;
        end;
    end loop; end loop; end loop;
    if _nr < 300 then raise exception 'only % operators', _nr; end if;
end $do$;
alter database db set search_path = public, hostile;
"#;

/// Calls by programs so far.
async fn calls(db: &tokio_postgres::Client) -> Result<Option<i64>> {
    Ok(db.query_one("select pg_sequence_last_value('hostile.calls')", &[]).await?.get(0))
}

async fn run(args: &[&str]) -> Result<()> {
    let process = skytools(args.iter().copied())?.run(LIMIT).await?;
    ensure!(process.status().is_some_and(|s| s.success()), "{args:?}: {}", process.output());
    Ok(())
}

#[tokio::test]
async fn programs_call_operators_of_nobody_else() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    for cluster in [&pair.source, &pair.target] {
        cluster.psql("db", HOSTILE)?;
        run(&["install", "--db", &pair.connstr(cluster)]).await?;
    }
    pair.start().await?;
    let (source, target) = (pair.source_db().await?, pair.target_db().await?);
    let tables = "create table parent (id int4 primary key, t text, at timestamptz default now());
        create table child (id int8 primary key, parent int4 references parent, v numeric);
        create table parts (id int4 primary key) partition by range (id);
        create table parts1 partition of parts for values from (0) to (1000);
        create sequence numbers";
    source.batch_execute(tables).await?;
    source.batch_execute("insert into parent select g, g from generate_series(1, 50) g").await?;
    target.batch_execute(tables).await?;
    // The operators do work: who names none by its schema gets them.
    let trap = testkit::connect(&format!("{} application_name=trap", pair.connstr(&pair.source))).await?;
    trap.query("select oid = 'parent'::regclass from pg_class limit 1", &[]).await?;
    ensure!(calls(&source).await? == Some(0), "the trap does not work");
    source.batch_execute("select setval('hostile.calls', 0, false)").await?;

    for node in ["root", "leaf"] {
        for args in [
            &["add-table", "parent", "child", "parts"][..],
            &["add-seq", "numbers"],
            &["status"],
            &["members"],
            &["tables", "--verbose"],
            &["seqs"],
            &["missing"],
        ] {
            pair.londiste(node, args).await?;
        }
    }
    pair.wait_in_sync().await?;
    source
        .batch_execute(
            "insert into child select g, g, g from generate_series(1, 50) g; update parent set t = 'x' where id < 9;
             delete from child where id = 7; insert into parts values (1), (2); select nextval('numbers')",
        )
        .await?;
    let script = pair.dir().join("script.sql");
    std::fs::write(&script, "update parent set t = 'script' where id = 20;")?;
    pair.londiste("root", &["execute", &script.display().to_string()]).await?;
    pair.londiste("root", &["refresh-trigger", "--all"]).await?;
    pair.wait_replayed().await?;
    pair.londiste("leaf", &["compare"]).await?;
    pair.londiste("leaf", &["resync", "parent"]).await?;
    pair.wait_in_sync().await?;
    for cluster in [&pair.source, &pair.target] {
        let connstr = pair.connstr(cluster);
        for args in [
            &["verify", "--db", &connstr][..],
            &["verify", "--repair", "--db", &connstr],
            &["install", "--db", &connstr],
        ] {
            run(args).await?;
        }
    }
    // Who holds back all ticks is asked for by name.
    let holder = pair.source_db().await?;
    holder.batch_execute("select pg_advisory_lock(1885827428, 1)").await?;
    let log = pair.dir().join("pgqd.log");
    wait_for("pgqd to name who holds its lock", PATIENCE, || async {
        Ok(std::fs::read_to_string(&log)?.contains("no queue gets ticks while").then_some(()))
    })
    .await?;
    holder.batch_execute("select pg_advisory_unlock(1885827428, 1)").await?;
    let rotated = format!("select queue_cur_table from pgq.get_queue_info('{QUEUE}')");
    source
        .batch_execute(&format!("select pgq.set_queue_config('{QUEUE}', 'rotation_period', '1 second')"))
        .await?;
    let before: i32 = source.query_one(&rotated, &[]).await?.get(0);
    wait_for("a rotation", PATIENCE, || async {
        Ok((source.query_one(&rotated, &[]).await?.get::<_, i32>(0) != before).then_some(()))
    })
    .await?;
    for table in ["parent", "child", "parts"] {
        pair.londiste("leaf", &["remove-table", table]).await?;
    }
    pair.londiste("root", &["remove-table", "parent", "child", "parts"]).await?;
    for (node, db) in [("source", &source), ("target", &target)] {
        ensure!(
            calls(db).await?.is_none(),
            "on the {node} somebody else's operators were called: see the server's log"
        );
    }
    Ok(())
}
