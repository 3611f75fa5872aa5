//! `create-root`, `create-leaf`.

use anyhow::Result;

use crate::nodes::{Node, pair};

#[tokio::test]
async fn root_is_created_once() -> Result<()> {
    let root = Node::new("w_root").await?;
    root.run(&["create-root", "n1", root.db.connstr()]).await?.says(&[
        "Installing pgq",
        "Installing pgq_node",
        "Installing londiste",
        "Node \"n1\" initialized for queue \"q\" with type \"root\"",
        "Done",
    ]);
    let before = root.traces()?;
    assert_eq!(root.sql("select node_type || worker_name from pgq_node.node_info")?, "rootw_root");
    root.run(&["create-root", "n1", root.db.connstr()]).await?.says(&["Node is already initialized as root"]);
    root.run(&["create-root", "other", root.db.connstr()])
        .await?
        .fails(1, &["already node \"n1\" (root)", "drop-node n1"]);
    root.run(&["create-leaf", "n1", root.db.connstr(), "--provider=dbname=x"])
        .await?
        .fails(1, &["already node \"n1\" (root)"]);
    assert_eq!(before, root.traces()?);
    Ok(())
}

#[tokio::test]
async fn names_and_locations_come_from_the_configuration_too() -> Result<()> {
    let root = Node::new("w").await?;
    let location = format!("public_node_location={}", root.db.connstr());
    root.run(&["create-root", "--set", "node_name=from ini", "--set", &location]).await?.ok();
    assert_eq!(root.sql("select node_name from pgq_node.node_info")?, "from ini");
    Ok(())
}

#[tokio::test]
async fn what_is_refused_leaves_nothing() -> Result<()> {
    let (root, other) = (Node::new("w_root").await?, Node::new("w_other").await?);
    let here = other.db.connstr().to_owned();
    let there = root.db.connstr().to_owned();
    let before = other.traces()?;
    let secret = format!("{here} password=hunter2");
    let provider = format!("--provider={there}");
    let cases: &[(&[&str], &[&str])] = &[
        (&["create-root"], &["Node name must be given"]),
        (&["create-root", ""], &["Node name must be given"]),
        (&["create-root", "a,b", &here], &["\"a,b\"", "comma"]),
        (&["create-root", "n"], &["Node public location must be given"]),
        (&["create-root", "n", &here, "x"], &["Too many args"]),
        (&["create-root", "n", &secret], &["password", ".pgpass"]),
        (&["create-root", "n", "hots=x"], &["hots"]),
        (&["create-root", "n", &there], &["points to different database", "fail=1", "--nocheck"]),
        (&["create-root", "n", &here, "--merge=x"], &["--merge can be used only for leafs"]),
        (&["create-leaf", "n", &here], &["Please specify --provider"]),
        (&["create-leaf", "n", &here, "--sync-watermark=a"], &["only for branch nodes"]),
        (&["create-leaf", "n", &here, &provider], &["provider node not found", "create the root first"]),
    ];
    for (args, words) in cases {
        let outcome = other.run(args).await?;
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
        outcome.fails(1, words);
    }
    assert_eq!(before, other.traces()?);
    root.run(&["create-root", "n1", &there]).await?.ok();
    let root_before = root.traces()?;
    other.run(&["create-leaf", "n1", &here, &provider]).await?.fails(1, &["Node 'n1' already exists"]);
    assert_eq!(before, other.traces()?);
    assert_eq!(root_before, root.traces()?);
    Ok(())
}

#[tokio::test]
async fn leaf_knows_what_its_provider_knows() -> Result<()> {
    let root = Node::new("w_root").await?;
    root.run(&["create-root", "n1", root.db.connstr()]).await?.ok();
    root.sql("create table a (id int primary key); create table b (id int primary key); create sequence s")?;
    root.run(&["add-table", "a", "b"]).await?.ok();
    root.run(&["add-seq", "s"]).await?.ok();
    let leaf = Node::new("w_leaf").await?;
    let provider = format!("--provider={}", root.db.connstr());
    leaf.run(&["create-leaf", "n2", leaf.db.connstr(), &provider, "--set", "register_skip_tables=public.b"])
        .await?
        .ok();
    assert_eq!(
        leaf.sql("select string_agg(table_name || local, ' ' order by nr) from londiste.table_info")?,
        "public.afalse"
    );
    assert_eq!(leaf.sql("select seq_name || local from londiste.seq_info")?, "public.sfalse");
    assert_eq!(
        root.sql(
            "select string_agg(consumer_name, ' ' order by consumer_name) from pgq.get_consumer_info('q')"
        )?,
        ".global_watermark .n2.watermark w_leaf"
    );
    let before = leaf.traces()?;
    leaf.run(&["create-leaf", "n2", leaf.db.connstr(), &provider])
        .await?
        .says(&["already initialized as leaf"]);
    assert_eq!(before, leaf.traces()?);
    Ok(())
}

#[tokio::test]
async fn an_interrupted_creation_is_finished_by_the_same_command() -> Result<()> {
    let (root, leaf) = (Node::new("w_root").await?, Node::new("w_leaf").await?);
    root.run(&["create-root", "n1", root.db.connstr()]).await?.ok();
    let provider = format!("--provider={}", root.db.connstr());
    let create = ["create-leaf", "n2", leaf.db.connstr(), &provider];
    // The last step fails: the combined queue does not exist.
    leaf.run(&[&create[..], &["--merge=nosuch"]].concat())
        .await?
        .fails(1, &["nosuch", "Run the same command again", "drop-node n2"]);
    assert_eq!(leaf.sql("select count(*) from pgq_node.node_info")?, "0");
    assert_eq!(root.sql("select subscriber_node from pgq_node.subscriber_info")?, "n2");
    leaf.run(&create).await?.says(&["finishing an earlier create-leaf n2", "with type \"leaf\""]);
    assert_eq!(root.sql("select count(*) from pgq_node.subscriber_info")?, "1");
    Ok(())
}

#[tokio::test]
async fn an_interrupted_creation_can_be_undone() -> Result<()> {
    let (root, leaf) = (Node::new("w_root").await?, Node::new("w_leaf").await?);
    root.run(&["create-root", "n1", root.db.connstr()]).await?.ok();
    let before = root.traces()?;
    let provider = format!("--provider={}", root.db.connstr());
    leaf.run(&["create-leaf", "n2", leaf.db.connstr(), &provider, "--merge=nosuch"])
        .await?
        .fails(1, &["nosuch"]);
    root.run(&["drop-node", "n2"]).await?.ok();
    assert_eq!(before, root.traces()?);
    Ok(())
}

#[tokio::test]
async fn a_leaf_is_no_provider() -> Result<()> {
    let (_root, leaf) = pair().await?;
    let third = Node::new("w3").await?;
    let provider = format!("--provider={}", leaf.db.connstr());
    third
        .run(&["create-leaf", "n3", third.db.connstr(), &provider])
        .await?
        .fails(1, &["Cannot subscribe to leaf node \"n2\""]);
    Ok(())
}

#[tokio::test]
async fn quotes_and_sql_in_names_are_names() -> Result<()> {
    let root = Node::new("w'; drop schema pgq cascade; --").await?;
    let ini = std::fs::read_to_string(root.ini())?
        .replace("queue_name = q", "queue_name = it's \"q\"; drop table x;");
    root.write("node.ini", &ini)?;
    let name = "n'1\"; select";
    root.run(&["create-root", name, root.db.connstr()]).await?.ok();
    assert_eq!(root.sql("select node_name from pgq_node.node_info")?, name);
    root.run(&["status"]).await?.says(&["it's \"q\"; drop table x;", "n'1\"; select (root)"]);
    Ok(())
}

#[tokio::test]
async fn the_name_of_a_worker_belongs_to_one_node() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("select pgq.register_consumer('q', 'plain')")?;
    let provider = format!("--provider={}", root.db.connstr());
    let root_before = root.traces()?;
    // Two configurations copied from others.
    let third = Node::new("w_leaf").await?;
    let before = third.traces()?;
    let create = ["create-leaf", "n3", third.db.connstr(), &provider];
    third.run(&create).await?.fails(
        1,
        &[
            "worker \"w_leaf\" of node \"n2\" reads queue \"q\" on node \"n1\" already",
            "job_name of node \"n3\"",
        ],
    );
    third.run(&[&create[..], &["--set", "job_name=plain"]].concat()).await?.fails(
        1,
        &[
            "consumer \"plain\" reads queue \"q\" on node \"n1\"",
            "job_name of node \"n3\"",
            "unregister_consumer('q', 'plain')",
        ],
    );
    assert_eq!(before, third.traces()?);
    assert_eq!(root_before, root.traces()?);
    // Half done under one name, finished under another: what the first had on the provider goes.
    third
        .run(&[&create[..], &["--set", "job_name=w_first", "--merge=nosuch"]].concat())
        .await?
        .fails(1, &["nosuch"]);
    third.run(&[&create[..], &["--set", "job_name=w_third"]].concat()).await?.ok();
    assert_eq!(
        root.sql(
            "select string_agg(consumer_name, ' ' order by consumer_name) from pgq.get_consumer_info('q')"
        )?,
        ".global_watermark .n2.watermark .n3.watermark plain w_leaf w_third"
    );
    Ok(())
}

/// A script that the provider has run is in the rows that the new leaf copies, and in its schema.
#[tokio::test]
async fn a_new_leaf_takes_scripts_of_the_past_as_applied() -> Result<()> {
    let root = Node::new("w_root").await?;
    root.run(&["create-root", "n1", root.db.connstr()]).await?.ok();
    root.sql("create table a (id int primary key)")?;
    let script = root.write("s 1.sql", "--*-- Need-Table: a\nalter table a add column c int;")?;
    root.run(&["execute", &script]).await?.ok();
    for _ in 0..2 {
        root.sql("select pgq.force_tick('q')")?;
        root.sql("select pgq.ticker('q')")?;
    }
    let leaf = Node::new("w_leaf").await?;
    let provider = format!("--provider={}", root.db.connstr());
    let create = ["create-leaf", "n2", leaf.db.connstr(), &provider];
    // Half done; the next run begins where things are then.
    leaf.run(&[&create[..], &["--merge=nosuch"]].concat()).await?.fails(1, &["nosuch"]);
    let second = root.write("s2.sql", "alter table a add column d int;")?;
    root.run(&["execute", &second]).await?.ok();
    leaf.run(&create).await?.says(&["taken as applied", "the latest first: \"s2.sql\", \"s 1.sql\""]);
    let scripts = "select string_agg(execute_file || execute_sql || execute_attrs, '|' order by execute_file) \
                   from londiste.applied_execute";
    assert_eq!(leaf.sql(scripts)?, root.sql(scripts)?);
    // It reads what comes after the newest tick; the watermark stands where it stood.
    let begins = leaf.sql("select last_tick_id from pgq_node.local_state")?;
    assert_eq!(begins, root.sql("select last_tick from pgq.get_consumer_info('q', 'w_leaf')")?);
    assert_eq!(begins, root.sql("select max(tick_id) from pgq.tick")?);
    assert_eq!(root.sql("select last_tick from pgq.get_consumer_info('q', '.n2.watermark')")?, "1");
    Ok(())
}
