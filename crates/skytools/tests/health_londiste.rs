//! Tables that Londiste replicates and that have lost their trigger.

use anyhow::{Result, ensure};
use skytools::db::{ConnectString, Connection};
use skytools::install::health::{self, Health};
use skytools::install::{Module, ModuleState};

/// A root with generic triggers, and a leaf.
const NODES: &str = "
    select pgq_node.register_location(q, n, 'dbname=' || n, false) from unnest('{r,l}'::text[]) q, unnest('{here,there}'::text[]) n;
    select pgq_node.create_node('r', 'root', 'here', 'r_w', null, null, null);
    select pgq_node.create_node('l', 'leaf', 'here', 'l_w', 'there', 1, null);
    create table g (id int primary key);
    create table p (id int primary key) partition by range (id);
    create table p1 partition of p for values from (0) to (9);
    create table n (id int primary key);
    create table d (id int primary key);
    select londiste.local_add_table('r', 'g', '{form=generic}');
    select londiste.local_add_table('r', 'p');
    select londiste.local_add_table('r', 'n', '{no_triggers}');
    select londiste.global_add_table('l', 'd');
    select londiste.local_add_table('l', 'd', '{expect_sync}');";

async fn check(connection: &mut Connection) -> Result<Health> {
    let state = ModuleState {
        module: "londiste".to_owned(),
        version: Some("4".to_owned()),
        fresh_version: "4".to_owned(),
        differences: Vec::new(),
        additions: Vec::new(),
        missing_roles: Vec::new(),
    };
    Ok(health::check(connection, Module::Londiste, &state).await?)
}

#[tokio::test]
async fn generic_triggers_that_are_gone_are_found() -> Result<()> {
    let db = testkit::database().await?;
    let mut connection = ConnectString::parse(db.connstr())?.connect("health test").await?;
    connection.batch_execute(NODES).await?;
    let health = check(&mut connection).await?;
    ensure!(health.is_good(), "{health:#?}");

    // A leaf loses nothing: that is a warning only.
    connection
        .batch_execute(
            "drop trigger _londiste_r on p; drop trigger \"!_londiste_r\" on p; drop trigger _londiste_l on d;
             create table g2 (like g including all); drop table g; alter table g2 rename to g",
        )
        .await?;
    let health = check(&mut connection).await?;
    let told: Vec<String> = health.findings.iter().map(|f| format!("{}: {}", f.object, f.problem)).collect();
    assert_eq!(
        told,
        [
            "table public.g, queue r: trigger _londiste_r is missing: nothing is captured",
            "table public.p, queue r: trigger _londiste_r is missing: nothing is captured",
        ]
    );
    for finding in &health.findings {
        ensure!(finding.module == "londiste" && !finding.repairable, "{finding:#?}");
        ensure!(finding.remedy.contains("londiste INI refresh-trigger public."), "{finding:#?}");
        ensure!(finding.remedy.contains("londiste resync"), "{finding:#?}");
        let stay = finding.remedy.split_once("If it is to stay so: ").map(|s| s.1).unwrap_or_default();
        connection.batch_execute(stay).await?;
    }
    ensure!(check(&mut connection).await?.is_good());

    // Where that cannot be told it is said.
    for damage in [
        "alter table pgq_node.node_info rename column node_type to kind",
        "alter function londiste._lost_capture(text) rename to gone",
    ] {
        connection.batch_execute(damage).await?;
        let health = check(&mut connection).await?;
        ensure!(health.unchecked.is_some() && health.findings.is_empty(), "{damage}: {health:#?}");
    }
    Ok(())
}
