//! `tables`, `seqs`, `missing`, `members`, `status`, `node-status`, `node-info`, `show-handlers`.

use anyhow::Result;
use serde_json::Value;

use crate::nodes::{Node, pair};

fn json(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text)?)
}

#[tokio::test]
async fn lists_are_those_of_the_original() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key); create table b (id int primary key); create sequence s")?;
    for command in ["tables", "seqs", "missing"] {
        assert_eq!(leaf.run(&[command]).await?.ok(), "", "{command}");
        assert_eq!(leaf.run(&[command, "--json"]).await?.ok(), "[]\n", "{command}");
    }
    root.run(&["add-table", "b", "--handler=londiste", "--handler-arg=ignore_truncate=1"]).await?.ok();
    root.run(&["add-seq", "s"]).await?.ok();
    assert_eq!(
        root.run(&["tables"]).await?.ok(),
        "Tables on node\n\
         table_name       merge_state      table_attrs\n\
         ---------------  ---------------  -----------------------------------------\n\
         public.b         ok               {'handler': 'londiste(ignore_truncate=1)'}\n\n\n"
            .replace("-----------------------------------------\n", &format!("{}\n", "-".repeat(42)))
    );
    let verbose = json(&root.run(&["tables", "--verbose", "--json"]).await?.ok())?;
    assert_eq!(verbose[0]["apply_mode"], "set");
    root.sql("alter table b add v int unique")?;
    let verbose = root.run(&["tables", "-v"]).await?.ok();
    assert!(verbose.contains("ordered: unique index b_v_key besides the key"), "{verbose}");
    // what captures it, and what of it where that is not everything
    assert!(verbose.contains("row"), "{verbose}");
    root.sql("drop trigger \"~_londiste_q\" on b; drop trigger \"!_londiste_q\" on b")?;
    root.run(&["tables", "--verbose"]).await?.fails(
        1,
        &["row: insert", "trigger \"~_londiste_q\", \"!_londiste_q\" is gone", "refresh-trigger public.b"],
    );
    root.run(&["refresh-trigger", "b"]).await?.ok();
    // a trigger may see more than is captured
    for (options, form) in [
        ("'tgflags=IU'", "row: insert, update"),
        ("'tgflags=ID'", "row: insert, delete"),
        ("'form=generic', 'tgflags=ID'", "generic: insert, delete"),
        ("'tgflags=IUD'", "row"),
        ("'tgflags=IU'", "row: insert, update"),
    ] {
        root.sql(&format!("select pgq.capture_table('q', 'public.b', {options})"))?;
        let verbose = json(&root.run(&["tables", "--verbose", "--json"]).await?.ok())?;
        assert_eq!(verbose[0]["capture"], serde_json::json!({"form": form, "problem": null}), "{options}");
    }
    assert_eq!(root.run(&["tables", "--names-only"]).await?.ok(), "public.b\n");
    assert_eq!(
        json(&root.run(&["tables", "--names-only", "--json"]).await?.ok())?,
        serde_json::json!(["public.b"])
    );
    assert_eq!(
        json(&root.run(&["tables", "--json"]).await?.ok())?[0]["table_attrs"]["handler"],
        "londiste(ignore_truncate=1)"
    );
    assert_eq!(
        root.run(&["seqs"]).await?.ok(),
        "Sequences on node\n\
         seq_name         local            last_value\n\
         ---------------  ---------------  ---------------\n\
         public.s         True             30001\n\n\n"
    );
    assert!(root.run(&["missing"]).await?.ok().contains("\nr                public.a\n"));
    let members = json(&root.run(&["members", "--json"]).await?.ok())?;
    assert_eq!(members[1]["node_name"], "n2");
    assert_eq!(members[1]["dead"], false);
    assert!(root.run(&["members"]).await?.ok().starts_with("Member info on n1@q:\nnode_name "));
    Ok(())
}

#[tokio::test]
async fn status_draws_the_tree_and_checks_it() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key)")?;
    leaf.sql("create table a (id int primary key)")?;
    root.run(&["add-table", "a"]).await?.ok();
    leaf.run(&["add-table", "a"]).await?.ok();
    let text = leaf.run(&["status"]).await?.ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        &lines[..4],
        ["Queue: q   Local node: n2", "", "n1 (root)", "  |                           Tables: 1/0/0"],
        "{text}"
    );
    assert_eq!(lines[5], "  +--: n2 (leaf)", "{text}");
    assert_eq!(lines[6], "                              Tables: 0/1/0", "{text}");
    assert!(lines[7].contains("Lag: ") && lines[7].contains(", Tick: 1, NOT UPTODATE"), "{text}");
    assert_eq!(lines.len(), 8, "{text}");
    assert_eq!(leaf.run(&["status", "--compact"]).await?.ok().lines().count(), 4);
    leaf.run(&["status", "--tables"]).await?.says(&["Table: public.a none"]);
    leaf.run(&["status", "--check"]).await?.fails(3, &["problem: n2: table public.a is not in sync"]);

    for (node, worker) in [(&root, "w_root"), (&leaf, "w_leaf")] {
        node.sql(&format!("select pgq_node.set_consumer_uptodate('q', '{worker}', true)"))?;
    }
    leaf.sql("select londiste.local_set_table_state('q', 'public.a', null, 'ok')")?;
    let value = json(&leaf.run(&["status", "--check", "--json"]).await?.ok())?;
    assert_eq!(value["problems"], serde_json::json!([]));
    assert_eq!(value["nodes"][0]["tables"]["list"][0]["state"], "ok");
    assert_eq!(value["nodes"][0]["provider"], "n1");
    root.sql("update pgq.tick set tick_time = now() - interval '1 hour'")?;
    leaf.run(&["status", "--check"]).await?.ok();
    leaf.run(&["status", "--max-lag=60"]).await?.fails(3, &["problem: n2: lag 1h"]);
    leaf.sql("select pgq_node.set_consumer_error('q', 'w_leaf', e'boom\\nand more')")?;
    leaf.run(&["status", "--check"]).await?.fails(3, &["ERR: w_leaf: boom\n", "problem: n2: w_leaf: boom"]);
    // Without --check the status is that of the original.
    leaf.run(&["status"]).await?.says(&["ERR: w_leaf: boom"]);
    leaf.sql("update pgq_node.node_location set node_location = 'host=/nonexistent dbname=x' where node_name = 'n1'")?;
    leaf.run(&["status"]).await?.says(&["Node 'n1' failure: ", "n1 (dead)"]);
    leaf.run(&["status", "--check"]).await?.fails(3, &["problem: n1: cannot be read"]);
    Ok(())
}

#[tokio::test]
async fn local_node_in_words() -> Result<()> {
    let (root, leaf) = pair().await?;
    let text = leaf.run(&["node-status"]).await?.ok();
    assert!(
        text.starts_with("n2 (leaf)\n    Provider: n1\n    Subscribers: \n    Tables: 0/0/0\n    Lag: "),
        "{text}"
    );
    let text = root.run(&["node-status"]).await?.ok();
    assert!(text.starts_with("n1 (root)\n    Provider: n1\n    Subscribers: n2\n"), "{text}");
    assert_eq!(
        json(&root.run(&["node-status", "--json"]).await?.ok())?["subscribers"],
        serde_json::json!(["n2"])
    );
    let expected = format!(
        "Node: n2  Type: leaf  Queue: q\nStatus: NON-UP-TO-DATE\nProvider: n1\nConnect strings:\n  Local   : {leaf}\n  Public  : {leaf}\n  Provider: {root}\n",
        leaf = leaf.db.connstr(),
        root = root.db.connstr()
    );
    assert_eq!(leaf.run(&["node-info"]).await?.ok(), expected);
    assert!(root.run(&["node-info"]).await?.ok().contains("\nProvider: --\n"));
    assert_eq!(json(&leaf.run(&["node-info", "--json"]).await?.ok())?["type"], "leaf");
    Ok(())
}

#[tokio::test]
async fn a_stored_password_is_never_shown() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("update pgq_node.node_location set node_location = node_location || ' password=hunter2'")?;
    for command in ["members", "node-info", "status", "node-status"] {
        for form in [&[command][..], &[command, "--json"]] {
            let outcome = root.run(form).await?;
            assert!(
                !format!("{}{}", outcome.stdout, outcome.stderr).contains("hunter2"),
                "{form:?}: {}",
                outcome.stdout
            );
            outcome.ok();
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_a_node_every_listing_says_so() -> Result<()> {
    let node = Node::new("w").await?;
    for command in
        ["tables", "seqs", "missing", "members", "status", "node-status", "node-info", "wait-sync", "pause"]
    {
        node.run(&[command]).await?.fails(1, &["Unknown queue: q", "create-root"]);
    }
    node.run(&["show-handlers"]).await?.says(&["londiste - "]);
    node.run(&["show-handlers", "londiste"]).await?.says(&["ignore_truncate"]);
    node.run(&["show-handlers", "nosuch"]).await?.fails(1, &["\"nosuch\"", "londiste"]);
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("create table a (id int primary key); create table b (id int primary key)")?;
    root.run(&["add-table", "a", "b"]).await?.ok();
    root.sql("update londiste.table_info set table_attrs = 'x=%zz' where table_name = 'public.a'")?;
    root.run(&["tables"]).await?.fails(1, &["public.a", "ERR: table public.a", "x=%zz", "public.b"]);
    root.run(&["tables", "--names-only"]).await?.fails(1, &["public.a\npublic.b\n"]);
    let listed = root.run(&["tables", "--json"]).await?;
    assert!(
        json(&listed.stdout)?[0]["table_attrs"]["error"].as_str().is_some_and(|e| e.contains("public.a"))
    );
    root.run(&["status"]).await?.says(&["Tables: 1/1/0", "ERR: table public.a"]);
    root.run(&["status", "--check"]).await?.fails(3, &["problem: n1: table public.a"]);
    Ok(())
}
