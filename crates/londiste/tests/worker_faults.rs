//! Servers that crash, connections that are cut, and logins without superuser rights.

mod support;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::Cluster;
use skytools::config::Config;
use support::{PATIENCE, Running, admin};
use testkit::{Process, Spawn, wait_for};

/// Root and leaf on one cluster of their own.
struct Nodes {
    cluster: Cluster,
    root: String,
    leaf: String,
    dir: tempfile::TempDir,
}

async fn nodes(cluster: Cluster, user: Option<&str>) -> Result<Nodes> {
    let mut found = Vec::new();
    for name in ["r", "l"] {
        let connstr = match user {
            None => testkit::database_on(&cluster, name)?,
            Some(user) => {
                cluster.psql("postgres", &format!("create database {name} owner {user}"))?;
                let connstr = cluster.connstr(name).replace("user=postgres", &format!("user={user}"));
                let mut db = skytools::db::ConnectString::parse(&connstr)?.connect("install").await?;
                skytools::install::install(&mut db, &[skytools::install::Module::Londiste]).await?;
                connstr
            }
        };
        found.push(connstr);
    }
    let (root, leaf) = (found[0].clone(), found[1].clone());
    connect_nodes(cluster, root, leaf).await
}

async fn connect_nodes(cluster: Cluster, root: String, leaf: String) -> Result<Nodes> {
    let (r, l) = (testkit::connect(&root).await?, testkit::connect(&leaf).await?);
    admin(&r, &format!("select * from pgq_node.register_location('q', 'root', $c${root}$c$, false)")).await?;
    admin(&r, "select * from pgq_node.create_node('q', 'root', 'root', 'root_w', null, null, null)").await?;
    r.execute("select pgq.set_queue_config('q', 'ticker_max_lag', '100 ms')", &[]).await?;
    admin(&r, &format!("select * from pgq_node.register_location('q', 'leaf', $c${leaf}$c$, false)")).await?;
    admin(&r, "select * from pgq_node.register_subscriber('q', 'leaf', 'leaf_w', null)").await?;
    for (name, location) in [("root", &root), ("leaf", &leaf)] {
        admin(
            &l,
            &format!("select * from pgq_node.register_location('q', '{name}', $c${location}$c$, false)"),
        )
        .await?;
    }
    admin(&l, "select * from pgq_node.create_node('q', 'leaf', 'leaf', 'leaf_w', 'root', 1, null)").await?;
    Ok(Nodes { cluster, root, leaf, dir: tempfile::tempdir()? })
}

impl Nodes {
    fn text(&self) -> String {
        format!(
            "[londiste]\njob_name = leaf_w\nqueue_name = q\ndb = {}\nloop_delay = 0.1\nexception_sleep = 0.3\n",
            self.leaf
        )
    }

    fn worker(&self) -> Result<Running> {
        Running::start(Config::from_text(&self.text(), &["londiste"], &[])?)
    }

    /// `londiste INI ARGS…` on the leaf, as a process of its own.
    fn londiste(&self, args: &[&str]) -> Result<Spawn> {
        let ini = self.dir.path().join("leaf.ini");
        std::fs::write(&ini, self.text())?;
        let program = testkit::places::built_program("examples/londiste", "londiste --example londiste")?;
        Ok(Process::command(program).args([ini]).args(args))
    }

    /// How `tables --verbose` says that the table is applied.
    async fn apply_mode(&self, table: &str) -> Result<String> {
        let listing = self.londiste(&["tables", "--verbose", "--json"])?.succeed(PATIENCE).await?;
        let listing: serde_json::Value = serde_json::from_str(&listing).context(listing)?;
        let row = listing.as_array().and_then(|rows| rows.iter().find(|row| row["table_name"] == table));
        Ok(row.and_then(|row| row["apply_mode"].as_str()).context("no such line")?.to_owned())
    }

    async fn ticks(root: String) {
        loop {
            if let Ok(client) = testkit::connect(&root).await {
                while client.batch_execute("select pgq.ticker()").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until_same(&self, table: &str) -> Result<i64> {
        let sql = format!(
            "select count(*), coalesce(md5(string_agg(t::text, E'\\n' order by t::text)), '') from {table} t"
        );
        wait_for(&format!("{table} to be the same"), PATIENCE, || async {
            let (r, l) = (testkit::connect(&self.root).await?, testkit::connect(&self.leaf).await?);
            r.execute("select pgq.force_tick('q')", &[]).await?;
            let (a, b) = (r.query_one(&sql, &[]).await?, l.query_one(&sql, &[]).await?);
            let rows: i64 = a.get(0);
            let same = rows == b.get::<_, i64>(0) && a.get::<_, String>(1) == b.get::<_, String>(1);
            Ok(same.then_some(rows))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_server_loses_and_doubles_nothing() -> Result<()> {
    let mut nodes = nodes(testkit::own_cluster(|b| b.conf("fsync = off")).await?, None).await?;
    let table = "create table t (id int primary key, v text)";
    testkit::connect(&nodes.root).await?.batch_execute(table).await?;
    testkit::connect(&nodes.leaf).await?.batch_execute(table).await?;
    let root = testkit::connect(&nodes.root).await?;
    root.batch_execute("insert into t select g, repeat('x', 200) from generate_series(1, 30000) g").await?;
    admin(&root, "select * from londiste.local_add_table('q', 'public.t')").await?;
    let leaf = testkit::connect(&nodes.leaf).await?;
    admin(&leaf, "select * from londiste.global_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.local_add_table('q', 'public.t')").await?;
    drop((root, leaf));
    let ticker = tokio::spawn(Nodes::ticks(nodes.root.clone()));
    let worker = nodes.worker()?;
    let mut next = 100_000;
    for (round, pause) in [150, 400, 50, 700, 250, 90].into_iter().enumerate() {
        let root = testkit::connect(&nodes.root).await?;
        for _ in 0..20 {
            next += 1;
            root.batch_execute(&format!(
                "insert into t values ({next}, 'new'); update t set v = v || '.' where id = {next} % 1000"
            ))
            .await?;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        drop(root);
        if round % 2 == 0 {
            nodes.cluster.restart(cluster::Mode::Immediate)?;
        } else {
            nodes.cluster.crash()?;
        }
    }
    ensure!(!worker.has_ended(), "the worker gave up");
    let rows = nodes.until_same("t").await?;
    ensure!(rows >= 30_000, "{rows}");
    ticker.abort();
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_to_the_other_side_is_on_the_disk() -> Result<()> {
    let nodes = nodes(testkit::own_cluster(|b| b.conf("synchronous_commit = off")).await?, None).await?;
    let (root, leaf) = (testkit::connect(&nodes.root).await?, testkit::connect(&nodes.leaf).await?);
    let seen = "create table seen (what text); \
         create function see() returns trigger language plpgsql as $$ begin \
             insert into public.seen values (current_setting('synchronous_commit')); return null; end $$; ";
    root.batch_execute(&format!(
        "create table t (id int primary key); insert into t values (1); {seen} \
         create trigger see after insert or update on pgq.subscription for each row when (new.sub_batch is not null) execute function see()"
    ))
    .await?;
    leaf.batch_execute(&format!(
        "create table t (id int primary key); {seen} \
         create trigger see after insert on t for each row execute function see(); alter table t enable always trigger see"
    ))
    .await?;
    admin(&root, "select * from londiste.local_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.global_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.local_add_table('q', 'public.t')").await?;
    let ticker = tokio::spawn(Nodes::ticks(nodes.root.clone()));
    let worker = nodes.worker()?;
    ensure!(nodes.until_same("t").await? == 1);
    root.batch_execute("insert into t values (2)").await?;
    ensure!(nodes.until_same("t").await? == 2);
    for (client, what) in [(&root, "batches that are opened"), (&leaf, "rows, copied and replayed")] {
        let row = client.query_one("select count(*), string_agg(distinct what, ' ') from seen", &[]).await?;
        let (count, settings): (i64, &str) = (row.get(0), row.get(1));
        ensure!(count >= 2 && settings == "local", "{what}: {count}, {settings}");
    }
    ticker.abort();
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_superuser_rights_replicates_in_order() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off")).await?;
    cluster.psql("postgres", "create role app login")?;
    let nodes = nodes(cluster, Some("app")).await?;
    let (root, leaf) = (testkit::connect(&nodes.root).await?, testkit::connect(&nodes.leaf).await?);
    for client in [&root, &leaf] {
        client
            .batch_execute(
                "create table p (id int primary key, v text); \
                 create table c (id int primary key, p int references p (id), v text); \
                 create table d (id int primary key, u int unique deferrable); \
                 create table e (id int primary key, n int generated always as identity, v text); \
                 create table f (id int primary key, e int references e on delete cascade)",
            )
            .await?;
    }
    root.batch_execute("insert into p select g, 'v' from generate_series(1, 1000) g; insert into c select g, g, 'v' from generate_series(1, 1000) g; \
                        insert into d select g, g from generate_series(1, 1000) g; \
                        insert into e (id) values (1), (2), (3); insert into f values (1, 1), (2, 2)").await?;
    for table in ["public.p", "public.c", "public.d", "public.e", "public.f"] {
        admin(&root, &format!("select * from londiste.local_add_table('q', '{table}')")).await?;
        admin(&leaf, &format!("select * from londiste.global_add_table('q', '{table}')")).await?;
        admin(&leaf, &format!("select * from londiste.local_add_table('q', '{table}')")).await?;
    }
    let ticker = tokio::spawn(Nodes::ticks(nodes.root.clone()));
    for table in ["public.p", "public.c"] {
        let mode = nodes.apply_mode(table).await?;
        ensure!(mode == "ordered: the login may not set session_replication_role", "{table}: {mode}");
    }
    let worker = nodes.londiste(&["worker", "-v"])?.start()?;
    for table in ["p", "c", "d"] {
        ensure!(nodes.until_same(table).await? == 1000);
    }
    root.batch_execute(
        "begin; insert into p values (5000, 'parent'); insert into c values (5000, 5000, 'child'); commit; \
         delete from c where id < 100; delete from p where id < 100; update c set v = null where id > 500",
    )
    .await?;
    for table in ["c", "p"] {
        ensure!(nodes.until_same(table).await? == 902);
    }
    let refused = leaf.batch_execute("insert into p values (7, 'by hand')").await;
    let error = refused.err().context("the leaf's table must be protected")?;
    ensure!(error.as_db_error().is_some());
    // What had failed by set would have been replayed in order, with the same rows in the end.
    let log = worker.output();
    let how = " in order (the login may not set session_replication_role)";
    ensure!(log.contains(how) && !log.contains(" by set") && !log.contains("replaying the batch"), "{log}");
    // Values that go round within one statement: the origin's constraint has been checked behind it.
    root.batch_execute("update d set u = 1001 - u").await?;
    ensure!(nodes.until_same("d").await? == 1000);
    ensure!(
        worker.output().contains("replaying the batch with constraints that are deferred"),
        "{}",
        worker.output()
    );
    // A row that has to be replaced must not take others along. (Foreign keys come back when all tables are there.)
    wait_for("the foreign key to come back", PATIENCE, || async {
        let sql = "select count(*) from pg_constraint where conname = 'f_e_fkey' and convalidated";
        Ok((leaf.query_one(sql, &[]).await?.get::<_, i64>(0) == 1).then_some(()))
    })
    .await?;
    root.batch_execute(
        "update e set v = 'same number'; update e set n = default, v = 'another' where id = 2",
    )
    .await?;
    let error = wait_for("an error to be recorded", PATIENCE, || async {
        let sql = "select cur_error from pgq_node.local_state where consumer_name = 'leaf_w'";
        Ok(leaf.query_one(sql, &[]).await?.get::<_, Option<String>>(0))
    })
    .await?;
    ensure!(error.contains("n of public.e is GENERATED ALWAYS AS IDENTITY"), "{error}");
    leaf.batch_execute("alter table e alter n set generated by default").await?;
    ensure!(nodes.until_same("e").await? == 3 && nodes.until_same("f").await? == 2);
    ticker.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_taken_away_in_mid_session_is_named_and_nothing_is_lost() -> Result<()> {
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off")).await?;
    cluster.psql("postgres", "create role app login")?;
    let nodes = nodes(cluster, Some("app")).await?;
    // Only with the replica role are changes applied as sets, inserts by COPY straight into the table.
    nodes.cluster.psql(
        "l",
        "alter function londiste.set_session_replication_role(text, boolean) owner to postgres;
         alter function londiste.can_set_replica_role() owner to postgres;
         grant execute on function londiste.set_session_replication_role(text, boolean) to app",
    )?;
    let (root, leaf) = (testkit::connect(&nodes.root).await?, testkit::connect(&nodes.leaf).await?);
    for client in [&root, &leaf] {
        client.batch_execute("create table t (id int primary key, v text)").await?;
    }
    admin(&root, "select * from londiste.local_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.global_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.local_add_table('q', 'public.t')").await?;
    ensure!(nodes.apply_mode("public.t").await? == "set");
    let worker = nodes.worker()?;
    let ticker = tokio::spawn(Nodes::ticks(nodes.root.clone()));
    root.batch_execute("insert into t select g, 'first' from generate_series(1, 1000) g").await?;
    ensure!(nodes.until_same("t").await? == 1000);
    wait_for("the table to be replicated", PATIENCE, || async {
        let sql = "select merge_state = 'ok' and custom_snapshot is null from londiste.table_info";
        Ok(leaf.query_one(sql, &[]).await?.get::<_, bool>(0).then_some(()))
    })
    .await?;
    // The session knows the table now, and how to write into it.
    root.batch_execute("insert into t select g, 'second' from generate_series(1001, 2000) g").await?;
    ensure!(nodes.until_same("t").await? == 2000);
    leaf.batch_execute("revoke insert on t from app").await?;
    root.batch_execute(
        "insert into t select g, 'third' from generate_series(2001, 3000) g; update t set v = 'late' where id = 1",
    )
    .await?;
    let error = wait_for("an error to be recorded", PATIENCE, || async {
        let sql = "select cur_error from pgq_node.local_state where consumer_name = 'leaf_w'";
        Ok(leaf.query_one(sql, &[]).await?.get::<_, Option<String>>(0))
    })
    .await?;
    let denied = "applying changes as a set of public.t: permission denied for table t";
    ensure!(error.contains(denied), "{error}");
    let sql = "select count(*), count(*) filter (where v = 'late') from t";
    let row = leaf.query_one(sql, &[]).await?;
    ensure!((row.get::<_, i64>(0), row.get::<_, i64>(1)) == (2000, 0), "part of a batch was applied");
    leaf.batch_execute("grant insert on t to app").await?;
    ensure!(nodes.until_same("t").await? == 3000);
    ticker.abort();
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_of_the_original_serve_as_well() -> Result<()> {
    // Says which packages to install when they are missing.
    testkit::debian_originals()?;
    let cluster = testkit::own_cluster(|b| b.conf("fsync = off")).await?;
    for name in ["r", "l"] {
        cluster.create_database(name)?;
        cluster.psql(name, "create extension pgq; create extension pgq_node; create extension londiste")?;
    }
    let (root, leaf) = (cluster.connstr("r"), cluster.connstr("l"));
    let nodes = connect_nodes(cluster, root, leaf).await?;
    let (root, leaf) = (testkit::connect(&nodes.root).await?, testkit::connect(&nodes.leaf).await?);
    for client in [&root, &leaf] {
        client.batch_execute("create table p (id int primary key, v text); create table c (id int primary key, p int references p (id))").await?;
    }
    root.batch_execute("insert into p select g, 'v' from generate_series(1, 1000) g; insert into c select g, g from generate_series(1, 1000) g").await?;
    for table in ["public.p", "public.c"] {
        admin(&root, &format!("select * from londiste.local_add_table('q', '{table}')")).await?;
        admin(&leaf, &format!("select * from londiste.global_add_table('q', '{table}')")).await?;
        admin(&leaf, &format!("select * from londiste.local_add_table('q', '{table}')")).await?;
    }
    let ticker = tokio::spawn(Nodes::ticks(nodes.root.clone()));
    let worker = nodes.worker()?;
    for table in ["p", "c"] {
        ensure!(nodes.until_same(table).await? == 1000);
    }
    root.batch_execute("update p set v = E'a\\\\b''c' where id < 10; delete from c where id > 990; truncate c; insert into p values (2000, null)").await?;
    ensure!(nodes.until_same("p").await? == 1001 && nodes.until_same("c").await? == 0);
    wait_for("the foreign key to come back", PATIENCE, || async {
        let found: i64 = leaf
            .query_one("select count(*) from pg_constraint where conname = 'c_p_fkey' and convalidated", &[])
            .await?
            .get(0);
        Ok((found == 1).then_some(()))
    })
    .await?;
    ticker.abort();
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_made_again_outlives_the_end_of_its_predecessor() -> Result<()> {
    let nodes = nodes(testkit::own_cluster(|b| b.conf("fsync = off")).await?, None).await?;
    let (root, leaf) = (testkit::connect(&nodes.root).await?, testkit::connect(&nodes.leaf).await?);
    for node in [&root, &leaf] {
        node.batch_execute("create table t (id int primary key, v text)").await?;
    }
    admin(&root, "select * from londiste.local_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.global_add_table('q', 'public.t')").await?;
    admin(&leaf, "select * from londiste.local_add_table('q', 'public.t')").await?;
    let worker = nodes.worker()?;
    root.batch_execute("insert into t values (1, 'before')").await?;
    assert_eq!(nodes.until_same("t").await?, 1);
    // What drop-node and create-leaf of one name leave in the queue, when no tick was made between them.
    root.batch_execute(&format!(
        "begin;
         select pgq.insert_event('q', 'pgq.unregister-location', 'leaf', 'q', null, null, null);
         select pgq.insert_event('q', 'pgq.location-info', 'leaf', 'q', $c${}$c$, 'false', null);
         insert into t values (2, 'after');
         commit",
        nodes.leaf
    ))
    .await?;
    assert_eq!(nodes.until_same("t").await?, 2);
    let known = "select string_agg(node_name, ' ' order by node_name) from pgq_node.node_location";
    assert_eq!(leaf.query_one(known, &[]).await?.get::<_, String>(0), "leaf root");
    worker.stop().await
}
