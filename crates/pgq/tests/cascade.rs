//! The calls of schema `pgq_node`: every statement is valid, and a root with a leaf goes through its life.

use anyhow::{Context as _, Result};
use pgq::cascade::{self, NewNode, NodeType};
use skytools::ErrorKind;

#[tokio::test]
async fn every_statement_prepares() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    for statement in cascade::sql::ALL {
        client.prepare(statement).await.with_context(|| (*statement).to_owned())?;
    }
    assert!(cascade::version(&client).await?.is_some_and(|v| v.as_str() >= "3.5"));
    Ok(())
}

#[tokio::test]
async fn a_root_and_a_leaf() -> Result<()> {
    let (root_db, leaf_db) = (testkit::database().await?, testkit::database().await?);
    let (mut root, leaf) = (root_db.connect().await?, leaf_db.connect().await?);
    assert_eq!(cascade::load_node_info(&root, "q").await?, None);
    assert!(cascade::is_root_node(&root, "q").await.is_err());

    let tx = root.transaction().await?;
    cascade::register_location(&tx, "q", "n1", Some("dbname=one"), false).await?.log();
    let new = NewNode {
        node_type: NodeType::Root,
        node_name: "n1",
        worker_name: "w1",
        provider_node: None,
        global_watermark: None,
        combined_queue: None,
    };
    assert_eq!(cascade::create_node(&tx, "q", &new).await?.code, 200);
    tx.commit().await?;
    let again = cascade::create_node(&root, "q", &new).await.unwrap_err();
    assert_eq!(again.to_string(), "Node already initialized");
    assert!(cascade::is_root_node(&root, "q").await?);

    let info = cascade::load_node_info(&root, "q").await?.context("the root")?;
    assert_eq!((info.node_type, info.node_name.as_str()), (NodeType::Root, "n1"));
    assert_eq!(info.provider_node.as_deref(), Some("n1"));

    let (reply, watermark) = {
        cascade::register_location(&root, "q", "n2", Some("dbname=two"), false).await?.log();
        cascade::register_subscriber(&root, "q", "n2", "w2", None).await?
    };
    assert_eq!(reply.note, "Subscriber registered: n2");
    for (node, location) in [("n1", "dbname=one"), ("n2", "dbname=two")] {
        cascade::register_location(&leaf, "q", node, Some(location), false).await?.log();
    }
    let new = NewNode {
        node_type: NodeType::Leaf,
        node_name: "n2",
        worker_name: "w2",
        provider_node: Some("n1"),
        global_watermark: Some(watermark),
        ..new
    };
    cascade::create_node(&leaf, "q", &new).await?.log();
    assert!(cascade::is_leaf_node(&leaf, "q").await?);
    let subscribers = cascade::subscriber_info(&root, "q").await?;
    assert_eq!((subscribers[0].node.as_str(), subscribers[0].worker.as_str()), ("n2", "w2"));
    assert_eq!(cascade::queue_locations(&leaf, "q").await?.len(), 2);

    // The worker's life: applied, failed, paused, gone.
    let state = cascade::worker_state(&leaf, "q").await?;
    assert_eq!((state.worker_name.as_str(), state.consumer.completed_tick), ("w2", watermark));
    assert_eq!(state.consumer.provider_location, "dbname=one");
    assert!(cascade::set_consumer_error(&leaf, "q", "w2", Some("boom")).await?);
    assert!(!cascade::set_consumer_error(&leaf, "q", "nobody", Some("boom")).await?);
    assert_eq!(cascade::consumer_info(&leaf, "q").await?[0].cur_error.as_deref(), Some("boom"));
    cascade::set_consumer_completed(&leaf, "q", "w2", watermark + 7).await?;
    cascade::set_consumer_uptodate(&leaf, "q", "w2", true).await?.log();
    assert_eq!(cascade::set_consumer_paused(&leaf, "q", "w2", true).await?.code, 200);
    assert_eq!(cascade::set_consumer_paused(&leaf, "q", "w2", true).await?.code, 201);
    let state = cascade::consumer_state(&leaf, "q", "w2").await?;
    assert_eq!((state.completed_tick, state.paused, state.uptodate), (watermark + 7, true, false));
    assert_eq!(state.cur_error, None);
    let unknown = cascade::consumer_state(&leaf, "q", "nobody").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);

    cascade::set_consumer_paused(&leaf, "q", "w2", false).await?.log();
    one_process_at_a_time(&leaf_db, watermark + 7).await?;

    cascade::register_consumer(&leaf, "q", "w2.copy.public.t", "n1", watermark).await?.log();
    assert_eq!(cascade::consumer_info(&leaf, "q").await?.len(), 2);
    cascade::unregister_consumer(&leaf, "q", "w2.copy.public.t").await?.log();

    assert_eq!(cascade::set_subscriber_watermark(&root, "q", "n2", watermark).await?.code, 100);
    cascade::set_global_watermark(&root, "q", None).await?.log();
    cascade::maint_watermark(&root, "q").await?;
    assert_eq!(cascade::set_partition_watermark(&root, "q", "other", 1).await?.code, 201);

    let refused = cascade::drop_node(&leaf, "q", "n1").await.unwrap_err();
    assert_eq!(refused.to_string(), "Cannot drop provider node: n1");
    cascade::drop_node(&leaf, "q", "n2").await?.log();
    assert_eq!(cascade::load_node_info(&leaf, "q").await?, None);
    cascade::unregister_subscriber(&root, "q", "n2").await?.log();
    assert_eq!(cascade::unregister_subscriber(&root, "q", "n2").await?.code, 304);
    assert_eq!(cascade::unregister_location(&root, "q", "n2").await?.code, 200);
    Ok(())
}

#[tokio::test]
async fn roles_are_swapped_in_steps() -> Result<()> {
    let db = testkit::database().await?;
    let client = db.connect().await?;
    for node in ["n1", "n2"] {
        cascade::register_location(&client, "q", node, Some("dbname=x"), false).await?.log();
    }
    let new = NewNode {
        node_type: NodeType::Root,
        node_name: "n1",
        worker_name: "w1",
        provider_node: None,
        global_watermark: None,
        combined_queue: None,
    };
    cascade::create_node(&client, "q", &new).await?.log();
    assert!(cascade::demote_root(&client, "q", 3, "n2").await.is_err(), "steps in wrong order");
    cascade::demote_root(&client, "q", 1, "n2").await?.reply.log();
    let last = cascade::demote_root(&client, "q", 2, "n2").await?.last_tick.context("the final tick")?;
    cascade::demote_root(&client, "q", 3, "n2").await?.reply.log();
    let info = cascade::load_node_info(&client, "q").await?.context("the node")?;
    assert_eq!((info.node_type, info.worker_last_tick), (NodeType::Branch, Some(last)));
    cascade::change_consumer_provider(&client, "q", "w1", "n2").await?.log();
    cascade::promote_branch(&client, "q").await?.log();
    assert!(cascade::is_root_node(&client, "q").await?);
    assert_eq!(cascade::promote_branch(&client, "q").await?.code, 301);
    cascade::set_node_attrs(&client, "q", Some("sync_watermark=n2")).await?.log();
    let info = cascade::load_node_info(&client, "q").await?.context("the node")?;
    assert_eq!(info.node_attrs.as_deref(), Some("sync_watermark=n2"));
    Ok(())
}

/// Two processes of one consumer: the second neither works beside the first, nor with the position that it has read before.
async fn one_process_at_a_time(leaf: &testkit::TestDb, completed: i64) -> Result<()> {
    let (one, two) = (leaf.connect().await?, leaf.connect().await?);
    cascade::begin_batch(&one, "q", "w2", completed).await?;
    let beside = cascade::begin_batch(&two, "q", "w2", completed).await.err().context("not refused")?;
    assert_eq!(beside.kind(), ErrorKind::Transient, "{}", beside.chain());
    assert!(beside.to_string().contains("another process is applying"), "{beside}");
    two.batch_execute("rollback").await?;
    let other = cascade::begin_batch(&two, "q", "nobody", completed).await.err().context("not refused")?;
    assert_eq!(other.kind(), ErrorKind::NotFound, "{}", other.chain());
    two.batch_execute("rollback").await?;

    cascade::set_consumer_completed(&one, "q", "w2", completed + 1).await?;
    one.batch_execute("commit").await?;
    let late = cascade::begin_batch(&two, "q", "w2", completed).await.err().context("not refused")?;
    assert_eq!(late.kind(), ErrorKind::Transient, "{}", late.chain());
    assert!(late.to_string().contains(&format!("from tick {completed} to {}", completed + 1)), "{late}");
    two.batch_execute("rollback").await?;

    let stale =
        cascade::ensure_completed(&two, "q", "w2", completed).await.err().context("taken for current")?;
    assert_eq!((stale.kind(), stale.to_string()), (ErrorKind::Transient, late.to_string()));
    cascade::ensure_completed(&two, "q", "w2", completed + 1).await?;
    cascade::begin_batch(&two, "q", "w2", completed + 1).await?;
    two.batch_execute("rollback").await?;
    Ok(())
}
