//! A database with queues is replicated as a whole by PostgreSQL's own logical replication, as for an upgrade: all tables are
//! published, PgQ's too, and the schema is copied with pg_dump.

use anyhow::{Result, ensure};
use cluster::Cluster;
use testkit::{PATIENCE, Process, wait_for};
use tokio_postgres::Client;

const ROLES: [&str; 5] = ["pgq_reader", "pgq_writer", "pgq_admin", "londiste_reader", "londiste_writer"];

const SETUP: &str = "
    create table app (id int primary key);
    insert into app values (0);
    select pgq.create_queue('q'), pgq.register_consumer('q', 'before'), pgq_coop.register_subconsumer('q', 'main', 'sub');
    update pgq.queue set queue_external_ticker = true;
    select pgq_node.register_location('n', 'root', 'dbname=x', false);
    select pgq_node.create_node('n', 'root', 'root', 'w', null, null, null);
    select pgq_ext.set_last_tick('c', 1), pgq_ext.set_batch_done('c', 1), pgq_ext.set_event_done('c', 1, 1);";

/// Consumers that come and go and get further, as far as it is the keys' concern. Each ends with what it began.
const CHANGES: [&str; 3] = [
    "select pgq.register_consumer('q', 'after'), pgq_coop.register_subconsumer('q', 'main', 'sub2');
     select pgq_node.register_consumer('n', 'after', 'root', 1);
     select pgq_ext.set_last_tick('after', 1), pgq_ext.set_batch_done('after', 1), pgq_ext.set_event_done('after', 1, 1)",
    "select pgq.insert_event('q', 't', 'd');
     select pgq.ticker('q', 2, now(), 100);
     select pgq.finish_batch(pgq.next_batch('q', 'before')), pgq.finish_batch(pgq.next_batch('q', 'after'));
     select pgq_coop.finish_batch(pgq_coop.next_batch('q', 'main', 'sub2'));
     select pgq_node.set_consumer_completed('n', 'after', 2);
     select pgq_ext.set_last_tick('after', 2), pgq_ext.set_batch_done('after', 2), pgq_ext.set_event_done('after', 2, 1)",
    "select pgq_coop.unregister_subconsumer('q', 'main', 'sub2', 0), pgq.unregister_consumer('q', 'after');
     select pgq_node.unregister_consumer('n', 'after');
     select pgq_ext.set_last_tick('after', null);
     select pgq.register_consumer('q', 'after');
     select pgq.unregister_consumer('q', 'after')",
];

const TABLES: [&str; 8] = [
    "pgq.subscription",
    "pgq.subscription_key",
    "pgq_node.local_state",
    "pgq_node.local_state_key",
    "pgq_ext.completed_tick",
    "pgq_ext.completed_batch",
    "pgq_ext.partial_batch",
    "pgq_ext.position_key",
];

/// A database, and a copy of its schema in another cluster.
struct Copied {
    from: Client,
    to: Client,
    source: String,
    _clusters: [Cluster; 2],
}

impl Copied {
    async fn new() -> Result<Copied> {
        let first =
            testkit::own_cluster(|b| b.conf("wal_level = logical").conf("max_replication_slots = 30"))
                .await?;
        let second = testkit::own_cluster(|b| b.conf("wal_retrieve_retry_interval = '200ms'")).await?;
        let source = testkit::database_on(&first, "db")?;
        let from = testkit::connect(&source).await?;
        from.batch_execute(SETUP).await?;
        for role in ROLES {
            second.psql("postgres", &format!("create role {role}"))?;
        }
        second.create_database("db")?;
        let schema = first.dir().join("schema.sql").display().to_string();
        succeed(&first, "pg_dump", &["-s", "-f", &schema, "-d", &source]).await?;
        let target = second.connstr("db");
        succeed(&second, "psql", &["-q", "-v", "ON_ERROR_STOP=1", "-f", &schema, "-d", &target]).await?;
        let to = testkit::connect(&target).await?;
        Ok(Copied { from, to, source, _clusters: [first, second] })
    }

    async fn subscribe(&self, publication: &str) -> Result<()> {
        let source = self.source.replace('\'', "''");
        self.to
            .batch_execute(&format!("create subscription s connection '{source}' publication {publication}"))
            .await?;
        self.synced().await
    }

    /// Waits for the first copy of all tables.
    async fn synced(&self) -> Result<()> {
        let sql = "select coalesce(string_agg(srrelid::regclass::text, ' ' order by srrelid) filter (where srsubstate <> 'r'), ''), count(*) from pg_subscription_rel";
        let outcome = wait_for("the first copy of all tables", PATIENCE, || async {
            let row = self.to.query_one(sql, &[]).await?;
            Ok((row.get::<_, &str>(0).is_empty() && row.get::<_, i64>(1) > 0).then_some(()))
        })
        .await;
        let left: String = self.to.query_one(sql, &[]).await?.get(0);
        outcome.map_err(|e| e.context(format!("not copied yet: {left}\n{}", self.errors())))
    }

    /// Waits until everything up to now has arrived, and compares.
    async fn arrived(&self) -> Result<()> {
        self.from.batch_execute("insert into app select max(id) + 1 from app").await?;
        let newest = "select max(id) from app";
        let id: i32 = self.from.query_one(newest, &[]).await?.get(0);
        wait_for("the application's row", PATIENCE, || async {
            Ok((self.to.query_one(newest, &[]).await?.get::<_, Option<i32>>(0) == Some(id)).then_some(()))
        })
        .await
        .map_err(|e| e.context(self.errors()))?;
        for table in TABLES {
            let sql =
                format!("select coalesce(string_agg(t::text, ' ' order by t::text), '') from {table} t");
            let here: String = self.from.query_one(&sql, &[]).await?.get(0);
            let there: String = self.to.query_one(&sql, &[]).await?.get(0);
            ensure!(here == there, "{table}:\n{here}\n{there}");
        }
        Ok(())
    }

    fn errors(&self) -> String {
        let log = self._clusters[1].log();
        let mut lines: Vec<&str> = log.lines().filter(|l| l.contains("ERROR")).rev().take(5).collect();
        lines.reverse();
        lines.join("\n")
    }
}

async fn succeed(cluster: &Cluster, program: &str, args: &[&str]) -> Result<()> {
    let path = cluster.installation().client_program(program)?;
    let process = Process::command(path).args(args).label(program).run(PATIENCE).await?;
    ensure!(process.status().is_some_and(|s| s.success()), "{program} {args:?}: {}", process.output());
    Ok(())
}

#[tokio::test]
async fn a_whole_database_is_replicated() -> Result<()> {
    let db = Copied::new().await?;
    db.from.batch_execute("create publication everything for all tables").await?;
    db.subscribe("everything").await?;
    db.arrived().await?;
    for change in CHANGES {
        db.from.batch_execute(change).await?;
        db.arrived().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_keys_may_be_copied_last() -> Result<()> {
    let db = Copied::new().await?;
    let keys: Vec<&str> = TABLES.into_iter().filter(|t| t.ends_with("_key")).collect();
    let rows: Vec<&str> = TABLES.into_iter().filter(|t| !t.ends_with("_key")).collect();
    db.from
        .batch_execute(&format!(
            "create publication rows for table app, {}; create publication keys for table {}",
            rows.join(", "),
            keys.join(", ")
        ))
        .await?;
    db.subscribe("rows").await?;
    db.from.batch_execute(CHANGES[0]).await?;
    db.arrived().await?;
    db.to.batch_execute("alter subscription s set publication rows, keys").await?;
    db.synced().await?;
    db.arrived().await?;
    for change in &CHANGES[1..] {
        db.from.batch_execute(change).await?;
        db.arrived().await?;
    }
    Ok(())
}
