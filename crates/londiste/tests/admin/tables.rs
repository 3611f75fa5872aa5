//! `add-table`, `remove-table`, `resync`, `change-handler`.

use anyhow::Result;

use crate::nodes::{Node, pair};

const STATES: &str = "select string_agg(table_name || ' ' || local || ' ' || coalesce(merge_state, '-'), ', ' order by table_name)
    from londiste.table_info";

#[tokio::test]
async fn root_then_leaf() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key, v text); create table b (id int primary key); create schema s; create table s.c (id int primary key)")?;
    leaf.sql("create table a (id int primary key, v text); create table b (id int primary key)")?;
    root.run(&["add-table", "a", "public.b"])
        .await?
        .says(&["Table added: public.a", "Table added: public.b"]);
    assert_eq!(root.sql(STATES)?, "public.a true ok, public.b true ok");
    root.run(&["add-table", "a"]).await?.says(&["public.a already processed", "what to do ?"]);
    root.run(&["add-table", "s.*"]).await?.says(&["Table added: s.c"]);
    leaf.run(&["add-table", "a"])
        .await?
        .says(&["Table added: public.a", "Table public.b info missing from subscriber, adding"]);
    assert_eq!(leaf.sql(STATES)?, "public.a true -, public.b false -, s.c false -");
    leaf.run(&["add-table", "b", "--expect-sync"]).await?.ok();
    assert_eq!(leaf.sql(STATES)?, "public.a true -, public.b true ok, s.c false -");
    // The leaf refuses writes of its own from now on.
    assert!(leaf.sql("insert into a values (1)").is_err());
    leaf.run(&["remove-table", "a"]).await?.says(&["Table removed: public.a"]);
    leaf.sql("insert into a values (1)")?;
    leaf.run(&["remove-table", "a"]).await?.says(&["public.a already processed"]);
    root.run(&["remove-table", "--all"]).await?.ok();
    assert_eq!(root.sql("select count(*) from londiste.table_info")?, "0");
    Ok(())
}

#[tokio::test]
async fn a_partitioned_table_is_added_by_name_or_its_partitions_are() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql(
        "create table part (id int primary key, v text) partition by range (id);
         create table part_1 partition of part for values from (0) to (10); create table other (id int primary key)",
    )?;
    root.run(&["add-table", "part"]).await?.says(&["Table added: public.part"]);
    root.run(&["add-table", "part_1"]).await?.fails(
        1,
        &["public.part_1 is a partition of public.part, which is replicated", "remove-table public.part"],
    );
    root.run(&["add-table", "--all"]).await?.says(&["Table added: public.other"]);
    assert_eq!(root.sql(STATES)?, "public.other true ok, public.part true ok");
    root.run(&["remove-table", "part"]).await?.ok();
    root.run(&["add-table", "--all"]).await?.says(&["Table added: public.part_1"]);
    assert_eq!(root.sql(STATES)?, "public.other true ok, public.part_1 true ok");
    Ok(())
}

#[tokio::test]
async fn what_the_root_refuses_leaves_nothing() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql(
        r#"create table good (id int primary key); create table nokey (v text); create view a_view as select 1;
           create schema "dot.ted"; create table "dot.ted".t (id int primary key);
           create table "dot.table" (id int primary key);
           create table commakey ("a,b" int primary key); create sequence a_seq"#,
    )?;
    let before = root.traces()?;
    let cases: &[(&[&str], &[&str])] = &[
        (&["nosuch"], &["public.nosuch", "does not exist", "missing"]),
        (&["nokey"], &["Primary key missing on table: public.nokey", "--insert-only"]),
        (&["dot.ted.t"], &["dot.ted", "dot", "rename the schema"]),
        (&["good", "public.dot.table"], &["public.dot.table", "dot", "rename the table"]),
        (&["commakey"], &["public.commakey", "\"a,b\"", "comma"]),
        (&["a_view"], &["public.a_view is a view"]),
        (&["a_seq"], &["public.a_seq is a sequence", "add-seq"]),
        (&["pgq.tick"], &["pgq.tick", "queue itself"]),
        (&[""], &["empty"]),
        (&["s."], &["empty"]),
        (&[], &["No names", "--all"]),
        (
            &["good", "nokey", "nosuch"],
            &["2 of 3 tables", "public.nokey", "public.nosuch", "nothing was changed"],
        ),
        (&["x'; drop table good; --"], &["x'; drop table good; --"]),
        (&["good", "--merge-all", "--no-merge"], &["Cannot use merge-all and no-merge together"]),
        (&["good", "--trigger-flags=X"], &["'X'"]),
        (&["good", "--handler=nosuch"], &["nosuch"]),
        (&["good", "--handler=londiste", "--handler-arg=foo=1"], &["foo"]),
        (&["--all", "--dest-table=z"], &["--dest-table can be given only for single table"]),
    ];
    for (args, words) in cases {
        root.run(&[&["add-table"], *args].concat()).await?.fails(1, words);
    }
    assert_eq!(before, root.traces()?);
    Ok(())
}

#[tokio::test]
async fn what_the_leaf_refuses_leaves_nothing() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql(
        "create table absent (id int primary key); create table other (id int primary key, only_source int);
         create table strict (id int primary key); create table kept (id int primary key)",
    )?;
    leaf.sql(
        "create table other (id int primary key, only_target int); create table strict (id int primary key, x int not null);
         create table kept (id int primary key)",
    )?;
    let before = leaf.traces()?;
    leaf.run(&["add-table", "kept"]).await?.fails(1, &["public.kept", "node \"n1\"", "first"]);
    assert_eq!(before, leaf.traces()?);
    root.run(&["add-table", "--all"]).await?.ok();
    let cases: &[(&[&str], &[&str])] = &[
        (&["absent"], &["public.absent", "does not exist on local node", "--create"]),
        (&["other"], &["public.other", "column \"only_source\" is missing here", "ALTER TABLE"]),
        (&["strict"], &["public.strict", "\"x\"", "must not be NULL here"]),
        (&["kept", "absent"], &["public.absent"]),
        (&["kept", "--copy-node=n2"], &["Cannot use itself"]),
        (&["kept", "--copy-node=n7"], &["<n7>", "members"]),
        (&["kept", "--dest-table=nosuch.t"], &["nosuch.t"]),
    ];
    for (args, words) in cases {
        leaf.run(&[&["add-table"], *args].concat()).await?.fails(1, words);
    }
    assert_eq!(before, leaf.traces()?);
    // The usual way to protect a subscriber.
    leaf.sql("do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$")?;
    leaf.run(&["add-table", "--all", "--skip-non-existing", "--force"])
        .await?
        .says(&["public.absent does not exist on local node, skipping"]);
    assert_eq!(
        leaf.sql(STATES)?,
        "public.absent false -, public.kept true -, public.other true -, public.strict true -"
    );
    Ok(())
}

#[tokio::test]
async fn a_failed_table_is_undone_as_a_whole() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create type mood as enum ('sad', 'ok'); create table t (id int primary key, m mood)")?;
    root.run(&["add-table", "t"]).await?.ok();
    // The type exists with other labels, so the table cannot be made like that of the provider.
    leaf.sql("create type mood as enum ('happy')")?;
    let before = leaf.traces()?;
    leaf.run(&["add-table", "t", "--create"])
        .await?
        .fails(1, &["public.t", "mood", "nothing of it was changed"]);
    assert_eq!(before, leaf.traces()?);
    leaf.sql("drop type mood")?;
    leaf.run(&["add-table", "t", "--create"]).await?.says(&["Table added: public.t"]);
    assert_eq!(leaf.sql("select count(*) from pg_enum where enumtypid = 'mood'::regtype")?, "2");
    Ok(())
}

#[tokio::test]
async fn a_locked_table_is_given_up() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("create table t (id int primary key)")?;
    let before = root.traces()?;
    let mut holder = root.db.connect().await?;
    let tx = holder.transaction().await?;
    tx.batch_execute("lock table t in exclusive mode").await?;
    root.run(&["add-table", "t", "--set", "lock_timeout=0.2"])
        .await?
        .fails(1, &["public.t", "locked", "lock_timeout"]);
    tx.rollback().await?;
    assert_eq!(before, root.traces()?);
    root.run(&["add-table", "t"]).await?.ok();
    Ok(())
}

#[tokio::test]
async fn options_are_stored() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key, v text); create table k (v text)")?;
    leaf.sql("create schema other; create table other.renamed (id int primary key, v text)")?;
    root.run(&[
        "add-table",
        "a",
        "--trigger-flags=Q",
        "--trigger-arg=ignore=v",
        "--handler=londiste",
        "--handler-arg=ignore_truncate=1",
    ])
    .await?
    .ok();
    let trigger = "select pg_get_triggerdef(oid) from pg_trigger where tgname = '_londiste_q'";
    assert!(root.sql(trigger)?.contains("pgq.sqltriga('q', 'ignore=v')"), "{}", root.sql(trigger)?);
    assert_eq!(
        root.sql("select table_attrs from londiste.table_info")?,
        "handler=londiste%28ignore_truncate%3d1%29"
    );
    root.run(&["add-table", "k", "--insert-only"])
        .await?
        .says(&["public.k has no primary key", "Table added: public.k"]);
    assert!(root.sql("select pg_get_triggerdef(oid) from pg_trigger where tgname = '_londiste_q' and tgrelid = 'k'::regclass")?
        .contains("AFTER INSERT ON"));
    leaf.run(&[
        "add-table",
        "a",
        "--dest-table=other.renamed",
        "--skip-truncate",
        "--max-parallel-copy=2",
        "--find-copy-node",
    ])
    .await?
    .says(&["Table added: public.a(other.renamed)"]);
    assert_eq!(
        leaf.sql("select dest_table || ' ' || regexp_replace(table_attrs, '&?added_at=[^&]*', '') from londiste.table_info where local")?,
        "other.renamed copy_node=%3f&skip_truncate=1&max_parallel_copy=2"
    );
    leaf.run(&["change-handler", "a", "--handler=londiste", "--handler-arg=ignore_truncate=1"])
        .await?
        .says(&["Handler changed for table"]);
    leaf.run(&["change-handler", "a", "--handler=londiste", "--handler-arg=ignore_truncate=1"])
        .await?
        .says(&["nothing done"]);
    leaf.run(&["change-handler"]).await?.fails(1, &["got 0 args, but expects 1: tbl"]);
    leaf.run(&["change-handler", "z"]).await?.fails(1, &["public.z not found on this node"]);
    Ok(())
}

#[tokio::test]
async fn resync_asks_for_a_new_copy() -> Result<()> {
    let (root, leaf) = pair().await?;
    for node in [&root, &leaf] {
        node.sql("create table a (id int primary key); create table b (id int primary key)")?;
    }
    root.run(&["add-table", "a", "b"]).await?.ok();
    leaf.run(&["add-table", "a", "b", "--expect-sync"]).await?.ok();
    root.run(&["resync", "a"]).await?.fails(1, &["\"n1\" is the root"]);
    leaf.run(&["resync"]).await?.fails(1, &["No names"]);
    leaf.run(&["resync", "nosuch"]).await?.fails(1, &["public.nosuch", "tables"]);
    leaf.run(&["resync", "a", "--copy-node=n9"]).await?.fails(1, &["<n9>"]);
    leaf.run(&["resync", "a"]).await?.ok();
    assert_eq!(leaf.sql(STATES)?, "public.a true -, public.b true ok");
    leaf.run(&["resync", "b", "--find-copy-node"]).await?.ok();
    assert_eq!(
        leaf.sql(
            "select regexp_replace(table_attrs, 'added_at=[^&]*&?', '') from londiste.table_info where table_name = 'public.b'"
        )?,
        "copy_node=%3f"
    );
    root.run(&["remove-table", "a"]).await?.ok();
    leaf.run(&["resync", "a"])
        .await?
        .fails(1, &["public.a", "does not exist on provider", "--find-copy-node"]);
    Ok(())
}

#[tokio::test]
async fn an_owner_without_superuser_can_do_it_all() -> Result<()> {
    let (root, leaf) = (Node::new("w_root").await?, Node::new("w_leaf").await?);
    let mut locations = Vec::new();
    for (n, node) in [&root, &leaf].into_iter().enumerate() {
        let role = format!("owner_{n}_{}", node.db.name());
        node.sql(&format!("create role {role} login; alter database {} owner to {role}; alter schema public owner to {role}", node.db.name()))?;
        let connstr = format!("{} user={role}", node.db.connstr().replace("user=postgres", ""));
        let ini = std::fs::read_to_string(node.ini())?.replace(node.db.connstr(), &connstr);
        node.write("node.ini", &ini)?;
        locations.push(connstr);
    }
    root.run(&["create-root", "n1", &locations[0]]).await?.ok();
    let provider = format!("--provider={}", locations[0]);
    leaf.run(&["create-leaf", "n2", &locations[1], &provider]).await?.ok();
    root.sql(&format!("set role owner_0_{}; create type mood as enum ('a'); create table t (id serial primary key, m mood default 'a', g int generated always as (id * 2) stored)", root.db.name()))?;
    root.run(&["add-table", "t"]).await?.says(&["Table added: public.t"]);
    leaf.run(&["add-table", "t", "--create-full"]).await?.says(&["Table added: public.t"]);
    leaf.run(&["status"]).await?.says(&["Tables: 0/1/0"]);
    leaf.run(&["remove-table", "t"]).await?.ok();
    leaf.run(&["drop-node", "n2"]).await?.ok();
    Ok(())
}
