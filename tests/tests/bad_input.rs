//! Bad input gives an error that names the object and the next step, a status, and leaves nothing half-done.

use anyhow::{Result, ensure};
use e2e::pair::{LIMIT, Pair};
use testkit::{Process, skytools};

/// Runs a command that must fail; the text must contain every word of `words`.
async fn fails(pair: &Pair, node: &str, args: &[&str], words: &[&str]) -> Result<()> {
    let process = pair.londiste_any(node, args).await?;
    must_fail(&process, &format!("{node} {args:?}"), words)
}

fn must_fail(process: &Process, what: &str, words: &[&str]) -> Result<()> {
    let text = process.output();
    let code = process.status().and_then(|s| s.code());
    ensure!(code.is_some_and(|c| c != 0 && c < 128), "{what}: status {code:?}\n{text}");
    ensure!(!text.contains("panicked"), "{what}: panic\n{text}");
    for word in words {
        ensure!(text.contains(word), "{what}: does not say {word:?}\n{text}");
    }
    Ok(())
}

/// Everything that commands may have left behind in the database, as one text.
async fn traces(pair: &Pair) -> Result<String> {
    let mut all = String::new();
    for (cluster, name) in [(&pair.source, "source"), (&pair.target, "target")] {
        let text = cluster.psql(
            "db",
            "select string_agg(x, e'\\n' order by x) from (
                select 'table ' || queue_name || ' ' || table_name || ' ' || local || ' ' || coalesce(merge_state, '-') as x from londiste.table_info
                union all select 'seq ' || seq_name from londiste.seq_info
                union all select 'trigger ' || tgrelid::regclass || ' ' || tgname from pg_trigger where not tgisinternal
                union all select 'queue ' || queue_name from pgq.queue union all select 'consumer ' || co_name from pgq.consumer
                union all select 'node ' || node_name from pgq_node.node_info union all select 'location ' || node_name from pgq_node.node_location
                union all select 'relation ' || c.oid::regclass from pg_class c where relnamespace not in (select oid from pg_namespace where nspname ~ '^pg_' or nspname in ('pgq', 'information_schema')) and relkind in ('r', 'S', 'p', 'c')
                union all select 'schema ' || nspname from pg_namespace) t",
        )?;
        all.push_str(&format!("== {name}\n{text}\n"));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_is_named_and_leaves_nothing() -> Result<()> {
    let mut pair = Pair::clusters(None).await?;
    pair.source.psql(
        "db",
        r#"create table public.good (id int primary key, v text);
           create table public.nokey (v text);
           create schema "dot.ted"; create table "dot.ted".t (id int primary key);
           create table public."dot.table" (id int primary key);
           create table public.commakey ("a,b" int primary key);
           create table public.missing_there (id int primary key);
           create table public.other_columns (id int primary key, a int, only_source int);
           create table public."it's; drop table good; --" (id int primary key);
           create view public.a_view as select 1 as x;"#,
    )?;
    pair.target
        .psql("db", "create table public.other_columns (id int primary key, a int, only_target int)")?;

    // Before any node exists.
    fails(&pair, "leaf", &["add-table", "good"], &["create-"]).await?;
    pair.start().await?;
    let root =
        |args: &'static [&'static str], words: &'static [&'static str]| fails(&pair, "root", args, words);
    let leaf =
        |args: &'static [&'static str], words: &'static [&'static str]| fails(&pair, "leaf", args, words);

    let before = traces(&pair).await?;
    root(&["add-table", "public.nosuch"], &["nosuch"]).await?;
    root(&["add-table", "nokey"], &["nokey", "--insert-only"]).await?;
    root(&["add-table", "dot.ted.t"], &["dot.ted"]).await?;
    root(&["add-table", "public.dot.table"], &["dot.table"]).await?;
    root(&["add-table", "commakey"], &["commakey", "a,b"]).await?;
    root(&["add-table", "a_view"], &["a_view"]).await?;
    root(&["add-table", ""], &["empty"]).await?;
    root(&["add-table", "good", "nokey"], &["nokey"]).await?;
    root(&["add-table", "x'; drop table public.good; --"], &["drop table public.good"]).await?;
    root(&["add-seq", "nosuch_seq"], &["nosuch_seq"]).await?;
    root(&["remove-table", "public.nosuch"], &["nosuch"]).await?;
    root(&["frobnicate"], &["frobnicate"]).await?;
    root(&["add-table"], &[]).await?;
    leaf(&["add-table", "good"], &["good"]).await?;
    leaf(&["resync", "good"], &["good"]).await?;
    leaf(&["create-leaf"], &[])
        .await
        .or_else(|e| if e.to_string().contains("Some(0)") { Ok(()) } else { Err(e) })?;
    assert_eq!(before, traces(&pair).await?, "a failed command left something behind");

    pair.londiste("root", &["add-table", "missing_there", "other_columns", "it's; drop table good; --"])
        .await?;
    pair.londiste("leaf", &["wait-root"]).await?;
    let before = traces(&pair).await?;
    leaf(&["add-table", "missing_there"], &["missing_there", "--create"]).await?;
    leaf(&["add-table", "other_columns"], &["other_columns", "only_source"]).await?;
    assert_eq!(before, traces(&pair).await?, "a failed command left something behind");
    // SQL in a name is a name.
    pair.londiste("leaf", &["add-table", "it's; drop table good; --", "--create", "--wait-sync"]).await?;
    assert_eq!(pair.source.psql("db", "select count(*) from public.good")?.trim(), "0");
    Ok(())
}

#[tokio::test]
async fn configuration_and_connect_strings() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<std::path::PathBuf> {
        let path = dir.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let cases = [
        ("[londiste]\nqueue_name = q\n", &["db"][..]),
        ("[londiste]\ndb = dbname=x\n", &["queue_name"]),
        ("[other]\ndb = dbname=x\n", &["londiste"]),
        ("db = dbname=x\n", &[]),
        ("[londiste]\nqueue_name = q\ndb = host=/nonexistent dbname=x\n", &["/nonexistent"]),
        ("[londiste]\nqueue_name = q\ndb = host=127.0.0.1 port=1 dbname=x\n", &["127.0.0.1", "1"]),
        ("[londiste]\nqueue_name = q\ndb = hots=/tmp dbname=x\n", &["hots"]),
        ("[londiste]\nqueue_name = q\ndb = host='/tmp dbname=x\n", &[]),
        ("[londiste]\nqueue_name = q\ndb = %(nosuch)s\n", &["nosuch"]),
        ("[londiste]\nqueue_name = q\ndb = host=/nonexistent password=hunter2 dbname=x\n", &["/nonexistent"]),
    ];
    for (n, (text, words)) in cases.iter().enumerate() {
        let ini = write(&format!("{n}.ini"), text)?;
        for command in ["tables", "worker"] {
            let mut spawn = skytools(["londiste".into(), ini.clone(), command.into()])?;
            if command == "worker" {
                // A daemon goes on trying; for a test it runs its work once.
                spawn = spawn.args(["--set", "loop_delay=-1"]);
            }
            let process = spawn.run(LIMIT).await?;
            must_fail(&process, text, words)?;
            ensure!(!process.output().contains("hunter2"), "the password was shown: {}", process.output());
        }
    }
    let missing = dir.path().join("missing.ini");
    let process = skytools(["londiste".into(), missing, "status".into()])?.run(LIMIT).await?;
    must_fail(&process, "missing file", &["missing.ini"])
}
