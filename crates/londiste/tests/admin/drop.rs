//! `drop-node`, `tag-dead`, `change-provider`.

use anyhow::Result;

use crate::nodes::{Node, pair};

#[tokio::test]
async fn leaf_is_dropped_from_anywhere() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key)")?;
    leaf.sql("create table a (id int primary key)")?;
    root.run(&["add-table", "a"]).await?.ok();
    leaf.run(&["add-table", "a"]).await?.ok();
    root.sql("select pgq.register_consumer('q', 'w_leaf.copy.public.a')")?;
    root.run(&["drop-node"]).await?.fails(1, &["expects 1", "node_name"]);
    root.run(&["drop-node", "n1"]).await?.fails(1, &["node still has subscribers", "n2"]);
    root.run(&["drop-node", "nosuch"]).await?.fails(1, &["nosuch", "members"]);
    root.run(&["drop-node", "n2"]).await?.says(&["[n1] Node dropped: n2", "w_leaf.copy.public.a"]);
    // Nothing of it keeps events on the root, and its tables may be written again.
    assert_eq!(
        root.sql(
            "select string_agg(consumer_name, ' ' order by consumer_name) from pgq.get_consumer_info('q')"
        )?,
        ".global_watermark"
    );
    assert_eq!(leaf.sql("select count(*) from pgq_node.node_info")?, "0");
    leaf.sql("insert into a values (1)")?;
    root.run(&["drop-node", "n2"]).await?.fails(1, &["\"n2\" is not known"]);
    root.run(&["drop-node", "n1"]).await?.ok();
    assert_eq!(root.sql("select count(*) from pgq.queue")?, "0");
    Ok(())
}

#[tokio::test]
async fn an_unreachable_node_is_reported() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("update pgq_node.node_location set node_location = 'host=/nonexistent' where node_name = 'n2'")?;
    root.run(&["drop-node", "n2"]).await?.fails(1, &["not gone everywhere", "drop-node n2"]);
    assert_eq!(root.sql("select count(*) from pgq_node.subscriber_info")?, "0");
    // The node itself still believes in it, and its own configuration finishes the work.
    leaf.run(&["drop-node", "n2"]).await?.ok();
    assert_eq!(leaf.sql("select count(*) from pgq_node.node_info")?, "0");
    Ok(())
}

#[tokio::test]
async fn dead_and_alive() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.run(&["tag-dead"]).await?.fails(1, &["needs the name"]);
    root.run(&["tag-dead", "x"]).await?.fails(1, &["\"x\" is not known"]);
    root.run(&["tag-dead", "n1"]).await?.fails(1, &["is the local one"]);
    root.run(&["tag-dead", "n2"]).await?.says(&["Tagging node 'n2' as dead"]);
    root.run(&["status", "--check"]).await?.fails(3, &["n2 (dead)", "problem: n2: tagged dead"]);
    root.run(&["tag-alive", "n2"]).await?.ok();
    let locations =
        "select string_agg(node_name || dead, ' ' order by node_name) from pgq_node.node_location";
    assert_eq!(root.sql(locations)?, "n1false n2false");
    assert_eq!(leaf.sql(locations)?, "n1false n2false");
    Ok(())
}

#[tokio::test]
async fn provider_is_changed_and_kept_on_refusal() -> Result<()> {
    let (root, leaf) = pair().await?;
    let branch = Node::new("w_branch").await?;
    let provider = format!("--provider={}", root.db.connstr());
    branch.run(&["create-branch", "n3", branch.db.connstr(), &provider]).await?.ok();
    leaf.sql(&format!("select pgq_node.register_location('q', 'n3', '{}', false)", branch.db.connstr()))?;
    leaf.run(&["change-provider"]).await?.fails(1, &["Please give --provider"]);
    leaf.run(&["change-provider", "--provider=x"]).await?.fails(1, &["\"x\" is not known"]);
    leaf.run(&["change-provider", "--provider=n2"]).await?.fails(1, &["itself"]);
    leaf.run(&["change-provider", "--provider=n1"]).await?.says(&["already 'n1' as provider"]);
    root.run(&["change-provider", "--provider=n2"]).await?.fails(1, &["is the root"]);
    let state = "select provider_node || paused from pgq_node.local_state";
    assert_eq!(leaf.sql(state)?, "n1false");
    branch.sql("select pgq.register_consumer('q', 'w_leaf')")?;
    leaf.run(&["change-provider", "--provider=n3"])
        .await?
        .fails(1, &["consumer \"w_leaf\" reads queue \"q\" on node \"n3\" already", "job_name"]);
    assert_eq!(leaf.sql(state)?, "n1false");
    // Its own, left over from a change that did not end.
    branch.sql("select pgq.unregister_consumer('q', 'w_leaf')")?;
    branch.sql("select pgq_node.register_subscriber('q', 'n2', 'w_leaf', null)")?;
    let move_it = leaf.spawn(&["change-provider", "--provider=n3"])?;
    let moving = tokio::spawn(crate::nodes::outcome(move_it));
    // In place of the worker: it sees each change of its state.
    let db = leaf.db.connect().await?;
    testkit::wait_for("the move", crate::nodes::LIMIT, || async {
        db.execute("select pgq_node.set_consumer_uptodate('q', 'w_leaf', true)", &[]).await?;
        Ok(moving.is_finished().then_some(()))
    })
    .await?;
    moving.await??.says(&["Subscriber registered: n2", "resumed"]);
    assert_eq!(leaf.sql(state)?, "n3false");
    assert_eq!(branch.sql("select subscriber_node from pgq_node.subscriber_info")?, "n2");
    assert_eq!(root.sql("select string_agg(subscriber_node, ' ') from pgq_node.subscriber_info")?, "n3");
    Ok(())
}
