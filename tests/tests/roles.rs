//! Who may do what, as a matrix of functions, tables and roles; and installation by an owner who is no superuser.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;

/// The roles, each with those whose rights it has as well. Nobody is a role without any right of its own.
const ROLES: &[(&str, &[&str])] = &[
    ("nobody", &[]),
    ("pgq_reader", &[]),
    ("pgq_writer", &[]),
    ("pgq_admin", &["pgq_reader", "pgq_writer"]),
    ("londiste_reader", &["pgq_reader"]),
    ("londiste_writer", &["pgq_admin", "pgq_reader", "pgq_writer"]),
];

/// Functions by schema and by the roles that may execute them. `public` is everybody, an empty list the owner alone.
/// All of an overloaded function counts. Lower case words of the original come first, additions after.
const FUNCTIONS: &[(&str, &[&str], &str)] = &[
    (
        "pgq",
        &["public"],
        "seq_getval get_queue_info get_consumer_info quote_fqname version \
         _apply_allowed _capture_nested _capture_number _capture_key _capture_never_null _capture_constraint_triggers _trigger_number _trigger_first _trigger_which _urlencode _urlencode_bytes _event_encoding _trigger_plan _trigger_urlenc _trigger_json _trigger_sql \
         _assert_queue_state _assert_still_open _count_tx_event",
    ),
    (
        "pgq",
        &["pgq_reader"],
        "batch_event_sql batch_event_tables find_tick_helper register_consumer register_consumer_at \
         unregister_consumer next_batch_info next_batch next_batch_custom get_batch_events get_batch_info \
         get_batch_cursor event_retry batch_retry force_tick finish_batch",
    ),
    ("pgq", &["pgq_writer"], "insert_event current_event_table jsontriga sqltriga logutriga insert_events"),
    (
        "pgq",
        &["pgq_admin"],
        "ticker tick_on_demand maint_retry_events maint_rotate_tables_step1 maint_rotate_tables_step2 maint_tables_to_vacuum maint_sample_capture \
         maint_operations upgrade_schema grant_perms _grant_perms_from tune_storage seq_setval create_queue \
         drop_queue set_queue_config insert_event_raw event_retry_raw _settle_queue_state refresh_queue_code",
    ),
    ("pgq", &["pgq_admin", "londiste_writer"], "apply_token capture_table uncapture_table refresh_capture"),
    ("pgq", &[], "rebase_transactions"),
    ("pgq_node", &["public"], "is_root_node is_leaf_node version"),
    (
        "pgq_node",
        &["pgq_writer", "pgq_admin"],
        "register_consumer unregister_consumer change_consumer_provider set_consumer_uptodate \
         set_consumer_paused set_consumer_completed set_consumer_error",
    ),
    (
        "pgq_node",
        &["pgq_reader", "pgq_writer", "pgq_admin"],
        "get_consumer_info get_consumer_state get_queue_locations get_node_info get_subscriber_info \
         register_subscriber unregister_subscriber set_subscriber_watermark",
    ),
    (
        "pgq_node",
        &["pgq_admin"],
        "create_node drop_node demote_root promote_branch set_node_attrs get_worker_state set_global_watermark \
         set_partition_watermark register_location unregister_location upgrade_schema maint_watermark",
    ),
    (
        "londiste",
        &["public"],
        "find_column_types find_table_fkeys find_rel_oid find_table_oid find_seq_oid is_replica_func \
         quote_fqname make_fqname split_fqname version can_set_replica_role",
    ),
    ("londiste", &["londiste_reader", "londiste_writer"], "get_seq_list get_table_list _coordinate_copy"),
    ("londiste", &["pgq_admin", "londiste_writer"], "periodic_maintenance root_check_seqs"),
    (
        "londiste",
        &["londiste_writer"],
        "local_add_seq local_add_table local_change_handler local_remove_seq local_remove_table \
         local_set_table_attrs local_set_table_state local_set_table_struct local_show_missing \
         global_add_table global_remove_table global_update_seq global_remove_seq \
         get_table_pending_fkeys get_valid_pending_fkeys drop_table_fkey restore_table_fkey \
         execute_start execute_finish root_notify_change create_partition is_obsolete_partition \
         list_obsolete_partitions drop_obsolete_partitions create_trigger drop_table_triggers \
         table_info_trigger set_session_replication_role upgrade_schema",
    ),
    ("pgq_coop", &["public"], "version"),
    (
        "pgq_coop",
        &["pgq_reader"],
        "register_subconsumer unregister_subconsumer next_batch next_batch_custom finish_batch",
    ),
    ("pgq_ext", &["public"], "version"),
    (
        "pgq_ext",
        &["pgq_writer"],
        "upgrade_schema get_last_tick set_last_tick is_batch_done set_batch_done is_event_done set_event_done",
    ),
];

/// Tables: the rights of everybody, of readers, of writers and of administrators.
const TABLES: &[(&str, &str, &str, &str, &str)] = &[
    ("pgq.consumer pgq.queue pgq.tick pgq.subscription", "r", "r", "r", "arwd"),
    ("pgq.event_template pgq.event_1 pgq.event_1_0", "", "r", "", "arD"),
    ("pgq.retry_queue", "", "", "", "arwd"),
    ("pgq.apply_token", "", "", "", ""),
    ("pgq.queue_server", "", "", "", "r"),
    (
        "pgq_node.node_location pgq_node.node_info pgq_node.local_state pgq_node.subscriber_info",
        "",
        "r",
        "r",
        "arwd",
    ),
    (
        "londiste.table_info londiste.seq_info londiste.pending_fkeys londiste.applied_execute",
        "r",
        "r",
        "r",
        "arwd",
    ),
];

/// Runs SQL as a role that logs in itself, so that no right of a superuser is in the background.
fn as_role(cluster: &Cluster, db: &str, role: &str, sql: &str) -> Result<String> {
    let mut child = cluster
        .psql_command(db)?
        .args(["-qAt", "-f", "-", "-d"])
        // of the same keyword twice, the last counts
        .arg(format!("{} user={role}", cluster.connstr(db)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("running psql")?;
    // an early end of psql is told by its status
    let fed = child.stdin.take().context("psql's input")?.write_all(sql.as_bytes());
    let output = child.wait_with_output().context("waiting for psql")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "as {role}: {stderr}");
    fed.context("feeding psql")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn may(role: &str, granted: &[&str]) -> bool {
    let inherited = ROLES.iter().find(|(name, _)| *name == role).map_or(&[][..], |(_, parents)| *parents);
    granted.iter().any(|g| *g == "public" || *g == role || inherited.contains(g))
}

/// What a function's line of the matrix says: which of the given roles may execute it. Functions beginning with an
/// underscore that are in no list are parts of others: whatever the others' callers may, everybody else may not.
fn check_functions(cluster: &Cluster, db: &str, roles: &[&str]) -> Result<()> {
    let mut declared: BTreeMap<String, &[&str]> = BTreeMap::new();
    for (schema, granted, names) in FUNCTIONS {
        for name in names.split_whitespace() {
            let twice = declared.insert(format!("{schema}.{name}"), granted);
            ensure!(twice.is_none(), "{schema}.{name} is listed twice");
        }
    }
    let mut wrong = String::new();
    let mut seen = BTreeSet::new();
    for role in roles {
        let found = cluster.psql(
            db,
            &format!(
                "select n.nspname || '.' || p.proname, p.oid::regprocedure,
                        has_function_privilege('{role}', p.oid, 'execute')
                   from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                  where n.nspname in ('pgq', 'pgq_node', 'londiste', 'pgq_coop', 'pgq_ext') order by 2::text"
            ),
        )?;
        for line in found.lines() {
            let (name, rest) = line.split_once('|').context("a line of psql")?;
            let (function, has) = rest.rsplit_once('|').context("a line of psql")?;
            seen.insert(name.to_owned());
            let has = has == "t";
            let expected = match declared.get(name) {
                // an internal function: its guard may be any, but it is open to everybody only where it is said
                granted if name.contains("._") && granted.is_none_or(|g| g.contains(&"public")) => {
                    has && (*role != "nobody" || granted.is_some())
                }
                Some(granted) => may(role, granted),
                None => {
                    writeln!(wrong, "{function} has no line in the matrix")?;
                    continue;
                }
            };
            if has != expected {
                writeln!(wrong, "{role} {} execute {function}", if has { "may" } else { "may not" })?;
            }
        }
    }
    for name in declared.keys().filter(|name| !name.contains("._") && !seen.contains(*name)) {
        writeln!(wrong, "{name} does not exist")?;
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

fn check_tables(cluster: &Cluster, db: &str, roles: &[&str]) -> Result<()> {
    let letters = [
        ('a', "insert"),
        ('r', "select"),
        ('w', "update"),
        ('d', "delete"),
        ('D', "truncate"),
        ('x', "references"),
        ('t', "trigger"),
    ];
    let mut wrong = String::new();
    for (tables, everybody, reader, writer, admin) in TABLES {
        for table in tables.split_whitespace() {
            for role in roles {
                let mut rights = (*everybody).to_owned();
                for (name, more) in [("pgq_reader", reader), ("pgq_writer", writer), ("pgq_admin", admin)] {
                    if may(role, &[name]) {
                        rights += more;
                    }
                }
                let found = cluster.psql(
                    db,
                    &letters
                        .map(|(_, right)| {
                            format!("select has_table_privilege('{role}', '{table}', '{right}');")
                        })
                        .concat(),
                )?;
                for ((letter, right), has) in letters.iter().zip(found.lines()) {
                    if (has == "t") != rights.contains(*letter) {
                        writeln!(wrong, "{role}: {right} on {table} is {has}")?;
                    }
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

/// A cluster with a database `app` of the role `owner`, and the role nobody.
fn owned(attributes: &str) -> Result<Cluster> {
    let cluster = testkit::own_cluster_blocking(|b| b)?;
    cluster.psql(
        "postgres",
        &format!(
            "create role owner login {attributes}; create role nobody login; create role app_user login;
             create database app owner owner"
        ),
    )?;
    Ok(cluster)
}

fn install(cluster: &Cluster) -> Result<()> {
    let mut sql = String::from("\\set ON_ERROR_STOP 1\nset client_min_messages = warning;\n");
    for module in testkit::MODULES {
        let file = testkit::places::sql_dir().join(module).join("install.sql");
        writeln!(sql, "begin;\n\\i {}\ncommit;", file.display())?;
    }
    as_role(cluster, "app", "owner", &sql).map(drop)
}

/// What the owner, a writer of a captured table and the guarded functions do, whatever roles there are.
fn works_for_the_owner(cluster: &Cluster) -> Result<()> {
    let owner = |sql: &str| as_role(cluster, "app", "owner", sql);
    owner(
        "select pgq.create_queue('q'); select pgq.register_consumer('q', 'c');
         create table public.t (id int primary key, v text);
         grant usage on schema public to app_user;
         grant select, insert, update, delete on public.t to app_user;
         create trigger cap after insert or update or delete on public.t
            for each row execute function pgq.logutriga('q', 'backup');",
    )?;
    let change = "insert into t values (1, 'a b'); update t set v = null; delete from t";
    let refused = as_role(cluster, "app", "app_user", change);
    ensure!(
        refused
            .as_ref()
            .is_err_and(|e| e.to_string().contains("permission denied for function insert_event")),
        "as with the original, a writer of a captured table writes the queue: {refused:?}"
    );
    // without the role, the owner grants the function; a later installation leaves that alone
    let writer = cluster.psql("app", "select to_regrole('pgq_writer') is not null")?;
    if writer.trim() == "t" {
        cluster.psql("app", "grant pgq_writer to app_user")?;
    } else {
        owner(
            "grant execute on function pgq.insert_event(text, text, text, text, text, text, text) to app_user",
        )?;
        install(cluster)?;
    }
    as_role(cluster, "app", "app_user", change)?;
    let refused = as_role(cluster, "app", "app_user", "select pgq.create_queue('theirs')");
    ensure!(refused.is_err(), "a writer may make queues");
    owner("select pgq.ticker()")?;
    owner("select pgq.force_tick('q'), pgq.force_tick('q'); select pgq.ticker('q')")?;
    let events = owner(
        "select b from pgq.next_batch('q', 'c') b \\gset
         select ev_type, ev_data, ev_extra2 from pgq.get_batch_events(:b); select pgq.finish_batch(:b)",
    )?;
    ensure!(events == "I:id|id=1&v=a+b|\nU:id|id=1&v|id=1&v=a+b\nD:id|id=1&v|\n1", "{events}");
    owner(
        "select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2();
         select pgq_node.register_location('rep', 'n', 'dbname=app', false);
         select pgq_node.create_node('rep', 'root', 'n', 'w', null, null, null);
         select londiste.local_add_table('rep', 'public.t');
         select pgq.maint_operations();
         select pgq.drop_queue('q', true);",
    )?;
    Ok(())
}

const ALL: &[&str] =
    &["nobody", "pgq_reader", "pgq_writer", "pgq_admin", "londiste_reader", "londiste_writer"];

#[test]
fn every_function_and_table_is_open_to_its_roles_and_to_nobody_else() -> Result<()> {
    let cluster = testkit::own_cluster_blocking(|b| b)?;
    let db = "app";
    testkit::database_on(&cluster, db)?;
    cluster.psql(db, "create role nobody; select pgq.create_queue('q')")?;
    check_functions(&cluster, db, ALL)?;
    check_tables(&cluster, db, ALL)
}

#[test]
fn an_owner_without_createrole_installs_with_everything_closed() -> Result<()> {
    let cluster = owned("")?;
    for _ in 0..2 {
        install(&cluster)?;
        let roles =
            cluster.psql("app", "select count(*) from pg_roles where rolname ~ '^(pgq|londiste)_'")?;
        ensure!(roles.trim() == "0", "the owner created roles");
        check_functions(&cluster, "app", &["nobody"])?;
    }
    works_for_the_owner(&cluster)?;

    // an administrator adds the roles, the next installation their rights, on queues that exist as well
    as_role(&cluster, "app", "owner", "select pgq.create_queue('before the roles')")?;
    cluster.psql(
        "app",
        "create role pgq_reader; create role pgq_writer; create role pgq_admin in role pgq_reader, pgq_writer;
         create role londiste_reader in role pgq_reader; create role londiste_writer in role pgq_admin",
    )?;
    install(&cluster)?;
    check_functions(&cluster, "app", ALL)?;
    let closed = cluster.psql(
        "app",
        "select count(*) from pgq.queue, generate_series(0, queue_ntables - 1) n
          where not has_table_privilege('pgq_reader', queue_data_pfx || '_' || n, 'select')",
    )?;
    ensure!(closed.trim() == "0", "{closed} event tables of older queues stayed closed to pgq_reader");
    Ok(())
}

#[test]
fn an_owner_without_createrole_uses_the_roles_that_exist() -> Result<()> {
    let cluster = owned("")?;
    cluster.psql(
        "postgres",
        "create role pgq_reader; create role pgq_writer; create role pgq_admin in role pgq_reader, pgq_writer",
    )?;
    install(&cluster)?;
    check_functions(&cluster, "app", &["nobody", "pgq_reader", "pgq_writer", "pgq_admin"])?;
    works_for_the_owner(&cluster)
}

#[test]
fn an_owner_with_createrole_makes_the_roles() -> Result<()> {
    let cluster = owned("createrole")?;
    for _ in 0..2 {
        install(&cluster)?;
        check_functions(&cluster, "app", ALL)?;
    }
    works_for_the_owner(&cluster)
}

#[test]
fn an_owner_with_createrole_completes_what_another_began() -> Result<()> {
    // pgq_reader belongs to somebody else: from PostgreSQL 16 the owner may not put roles into it
    let cluster = owned("createrole")?;
    cluster.psql("postgres", "create role pgq_reader")?;
    install(&cluster)?;
    check_functions(&cluster, "app", &["nobody", "pgq_reader", "pgq_writer"])?;
    works_for_the_owner(&cluster)
}

#[test]
fn what_a_user_put_into_our_schemas_keeps_its_rights() -> Result<()> {
    let cluster = owned("createrole")?;
    install(&cluster)?;
    let schemas = ["pgq", "pgq_node", "londiste", "pgq_coop", "pgq_ext"];
    for schema in schemas {
        as_role(
            &cluster,
            "app",
            "owner",
            &format!(
                "create function {schema}.theirs() returns int language sql return 1;
                 create function {schema}.guarded() returns int language sql return 1;
                 revoke all on function {schema}.guarded() from public;
                 grant execute on function {schema}.guarded() to app_user;"
            ),
        )?;
    }
    install(&cluster)?;
    for schema in schemas {
        as_role(&cluster, "app", "app_user", &format!("select {schema}.theirs(), {schema}.guarded()"))?;
        let refused = as_role(&cluster, "app", "nobody", &format!("select {schema}.guarded()"));
        ensure!(refused.is_err(), "{schema}.guarded() was opened");
        as_role(&cluster, "app", "nobody", &format!("select {schema}.theirs()"))?;
    }
    Ok(())
}
