//! Triggers that are gone: `status`, `tables --verbose` and `refresh-trigger` of tables that `pgq.capture` does not know.

use anyhow::Result;
use serde_json::Value;

use crate::nodes::{Node, pair};

/// Triggers of the tables, but for those on TRUNCATE, with their arguments.
fn triggers(node: &Node, tables: &str) -> Result<String> {
    node.sql(&format!(
        "select string_agg(format('%s %s %s', t.tgrelid::regclass, t.tgname, replace(encode(t.tgargs, 'escape'), '\\000', ' ')), '|'
                           order by t.tgrelid::regclass::text, t.tgname collate \"C\")
           from pg_trigger t join pg_proc p on p.oid = t.tgfoid
          where t.tgrelid::regclass::text = any ('{{{tables}}}') and p.proname ~ 'triga$' and t.tgtype & 32 = 0"
    ))
}

async fn json(node: &Node) -> Result<Value> {
    Ok(serde_json::from_str(&node.run(&["status", "--json"]).await?.ok())?)
}

#[tokio::test]
async fn a_trigger_that_is_gone_is_told_and_put_back() -> Result<()> {
    let (root, leaf) = pair().await?;
    for node in [&root, &leaf] {
        node.sql(
            "create table g (id int primary key); create table w (id int primary key); create table n (id int primary key);
             create table p (id int primary key) partition by range (id); create table p1 partition of p for values from (0) to (9);
             create table s (id int primary key)",
        )?;
    }
    for args in [
        &["add-table", "g", "--trigger-form=generic"][..],
        &["add-table", "w", "--trigger-arg=when=id > 1", "--trigger-flags=IU"],
        &["add-table", "s", "--trigger-flags=BIUDS"],
        &["add-table", "p"],
        &["add-table", "n", "--no-triggers"],
    ] {
        root.run(args).await?.ok();
    }
    leaf.run(&["add-table", "g", "p", "--expect-sync"]).await?.ok();
    leaf.run(&["add-table", "n", "--expect-sync", "--no-triggers"]).await?.ok();
    let healthy = async || -> Result<()> {
        let text = root.run(&["status"]).await?.ok();
        assert!(!text.contains("ERR:") && !text.contains("WARN:"), "{text}");
        root.run(&["tables", "--verbose"]).await?.ok();
        leaf.run(&["tables", "--verbose"]).await?.ok();
        Ok(())
    };
    healthy().await?;
    let as_added = triggers(&root, "p,s,w")?;

    // Dropped, in part or altogether; and what was put in the place of the table has none.
    root.sql(
        "drop trigger _londiste_q on p; drop trigger \"!_londiste_q\" on p; drop trigger \"!_londiste_q\" on w;
         drop trigger zzz__londiste_q on s;
         create table g2 (like g including all); drop table g; alter table g2 rename to g",
    )?;
    let said = [
        "table public.g: trigger _londiste_q is missing: nothing is captured; put it back with \"refresh-trigger public.g\" and copy the table again below (resync)",
        "table public.p: trigger _londiste_q is missing: nothing is captured",
        "table public.s: trigger zzz__londiste_q is missing: nothing is captured",
        "table public.w: trigger \"!_londiste_q\" is missing: updates are not captured",
    ];
    for node in [&root, &leaf] {
        node.run(&["status"]).await?.says(&said.map(|s| s.split("; ").next().unwrap_or(s)));
        let problems = said.map(|s| format!("problem: n1: {s}"));
        node.run(&["status", "--check"]).await?.fails(3, &problems.each_ref().map(String::as_str));
    }
    assert_eq!(
        json(&leaf).await?["nodes"][1]["tables"]["list"][3]["capture"]["form"],
        "none",
        "{:#}",
        json(&leaf).await?
    );
    root.run(&["tables", "--verbose"]).await?.fails(
        1,
        &["none, ERR: trigger _londiste_q is missing", said[0].split_once(": ").map_or("", |s| s.1)],
    );

    // A wish that is not possible leaves all as it is, one that is need not be what was noted.
    root.run(&["refresh-trigger", "p", "--trigger-form=row"])
        .await?
        .fails(1, &["it is partitioned", "nothing of that was changed"]);
    root.run(&["refresh-trigger", "p", "--trigger-form=statement"])
        .await?
        .fails(1, &["it is partitioned", "nothing of that was changed"]);
    root.run(&["status"]).await?.says(&[said[1]]);
    root.run(&["refresh-trigger", "g", "--trigger-form=statement"])
        .await?
        .says(&["Capture put back", "(resync): public.g"]);
    assert_eq!(root.sql("select form from pgq.capture where rel_name = 'g'")?, "statement");
    root.run(&["refresh-trigger", "--all"]).await?.says(&[
        "Capture put back; what was changed meanwhile must be copied again below (resync): public.p",
        "(resync): public.s",
        "(resync): public.w",
        "The table has no capture, nothing to do: public.n",
    ]);
    assert_eq!(triggers(&root, "p,s,w")?, as_added);
    healthy().await?;

    // Disabled on one partition alone.
    root.sql("alter table p1 disable trigger all")?;
    root.run(&["status"]).await?.says(&[
        "ERR: table public.p: partition public.p1: trigger \"!_londiste_q\" is disabled: nothing is captured",
    ]);
    root.run(&["refresh-trigger", "p"]).await?.says(&["Capture put back"]);
    healthy().await?;

    // A leaf loses nothing, so it is not at fault.
    leaf.sql("drop trigger _londiste_q on p; alter table g disable trigger _londiste_q")?;
    let warned = [
        "WARN: table public.g: trigger _londiste_q is disabled: changes made here are not refused; put it back with \"refresh-trigger public.g\"",
        "WARN: table public.p: trigger _londiste_q is missing: changes made here are not refused; put it back with \"refresh-trigger public.p\"",
    ];
    leaf.run(&["node-status"]).await?.says(&warned);
    root.run(&["status"]).await?.says(&warned);
    let problems = json(&root).await?["problems"].to_string();
    assert!(!problems.contains("table"), "{problems}");
    leaf.run(&["tables", "--verbose"])
        .await?
        .fails(1, &["trigger _londiste_q is disabled", "none, WARN: trigger _londiste_q is missing"]);
    leaf.run(&["refresh-trigger", "--all"]).await?.says(&[
        "Changes made here are refused again: public.g",
        "Changes made here are refused again: public.p",
    ]);
    leaf.run(&["refresh-trigger", "--all"]).await?.says(&["captures nothing"]);
    healthy().await?;
    let refused = leaf.sql("insert into p values (1)").err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("to queue 'q': change not allowed (INSERT)"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn what_was_never_wanted_is_not_lost() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("create table mine (id int primary key); create table old (id int primary key); create table i (id int primary key)")?;
    root.run(&["add-table", "mine", "--no-triggers"]).await?.ok();
    root.run(&["add-table", "i", "--trigger-flags=I", "--trigger-form=generic"]).await?.ok();
    root.run(&["add-table", "old"]).await?.ok();
    // As the original makes it, and as an older installation that noted nothing.
    root.sql(
        "select pgq.uncapture_table('q', 'public.old'); delete from londiste.table_capture where table_name = 'public.old';
         create trigger _londiste_q after insert or update or delete on old for each row execute function pgq.logutriga('q')",
    )?;
    let healthy = async || -> Result<()> {
        root.run(&["tables", "--verbose"]).await?.ok();
        let text = root.run(&["status"]).await?.ok();
        assert!(!text.contains("ERR:"), "{text}");
        Ok(())
    };
    healthy().await?;
    // Triggers of somebody's own, in the place of ours.
    root.sql("alter trigger _londiste_q on i rename to my_own; create trigger own after insert on mine for each row execute function pgq.jsontriga('q')")?;
    healthy().await?;
    root.sql("drop trigger own on mine")?;
    healthy().await?;
    // Gone, nobody knows from what: then it is not known to be wanted so, either.
    root.sql("drop trigger _londiste_q on old")?;
    root.run(&["status"])
        .await?
        .says(&["ERR: table public.old: trigger _londiste_q is missing: nothing is captured"]);
    root.sql("select londiste._remember_capture('q', 'public.old')")?;
    healthy().await?;
    root.run(&["refresh-trigger", "old"])
        .await?
        .says(&["The table has no capture, nothing to do: public.old"]);
    // The handler may change that.
    root.run(&["change-handler", "old", "--handler=londiste"]).await?.ok();
    root.sql("select pgq.uncapture_table('q', 'public.old')")?;
    root.run(&["status"]).await?.says(&["ERR: table public.old: trigger _londiste_q is missing"]);
    Ok(())
}
