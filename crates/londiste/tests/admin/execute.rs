//! `execute`, and the commands that do nothing.

use anyhow::Result;

use crate::nodes::pair;

#[tokio::test]
async fn scripts_run_once_and_enter_the_stream() -> Result<()> {
    let (root, leaf) = pair().await?;
    root.sql("create table a (id int primary key); create table \"B\" (id int primary key)")?;
    root.run(&["add-table", "a", "B"]).await?.ok();
    let script = "-- about\n--*-- Local-Table: a,\n--*--  public.B\n\ninsert into @a@ values (1);\ninsert into @public.B@ values (2);\n";
    let one = root.write("one.sql", script)?;
    let two = root.write("two.sql", "--*-- Need-Table: no.where\nselect no_such_function();\n")?;
    root.run(&["execute", &one, &two])
        .await?
        .says(&["one.sql: executing sql", "two.sql: This SQL does not need to run on this node."]);
    assert_eq!(root.sql("select (select count(*) from a) || ' ' || (select id from \"B\")")?, "1 2");
    // Every node runs the script itself, so what it changes here is not captured.
    let event = |column: &str| {
        root.sql(&format!("select string_agg({column}, '|' order by ev_id) from pgq.event_template where ev_type <> 'pgq.location-info' and ev_type not like 'londiste.%'"))
    };
    assert_eq!(event("ev_type || ' ' || ev_extra1")?, "EXECUTE one.sql|EXECUTE two.sql");
    assert_eq!(event("ev_extra2")?, "local-table=a%2cpublic.B|need-table=no.where");
    assert_eq!(event("ev_data")?.lines().next(), Some("-- about"));
    root.run(&["execute", &one]).await?.says(&["already applied", "Skipping execution of 'one.sql'"]);
    assert_eq!(root.sql("select count(*) from a")?, "1");
    root.run(&["execute"]).await?.ok();
    leaf.run(&["execute", &one]).await?.fails(1, &["one.sql", "not root", "status"]);
    Ok(())
}

#[tokio::test]
async fn a_script_that_fails_leaves_nothing() -> Result<()> {
    let (root, _leaf) = pair().await?;
    root.sql("create table a (id int primary key)")?;
    root.run(&["add-table", "a"]).await?.ok();
    let before = root.traces()?;
    let good = root.write("good.sql", "create table made (); insert into a values (1)")?;
    for (name, script, words) in [
        ("fails.sql", "select 1/0", &["fails.sql", "division by zero", "nothing was changed"][..]),
        ("ends.sql", "create table b (); commit; create table c ()", &["ends.sql"]),
        ("key.sql", "--*-- Local-Tabel: a\nselect 1", &["key.sql", "Local-Tabel", "Local-Table"]),
        (
            "role.sql",
            "set session_replication_role = default; insert into a values (2)",
            &["role.sql", "session_replication_role at origin", "twice"],
        ),
        ("part.sql", "--*-- Local-Table: a, nosuch\nselect 1", &["part.sql", "Local-Table: nosuch"]),
    ] {
        let bad = root.write(name, script)?;
        root.run(&["execute", &good, &bad]).await?.fails(1, words);
        assert_eq!(root.traces()?, before, "{name}");
        assert_eq!(root.sql("select count(*) from a")?, "0", "{name}");
        assert_eq!(root.sql("select count(*) from londiste.applied_execute")?, "0", "{name}");
    }
    root.run(&["execute", &root.path("nosuch.sql")]).await?.fails(1, &["nosuch.sql"]);
    Ok(())
}

#[tokio::test]
async fn check_and_fkeys_are_accepted() -> Result<()> {
    let (root, _leaf) = pair().await?;
    for command in ["check", "fkeys"] {
        assert_eq!(root.run(&[command]).await?.ok(), "");
        root.run(&[command, "x"]).await?.fails(1, &[command]);
    }
    Ok(())
}
