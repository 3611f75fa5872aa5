//! Tables that are not copied by ranges.

use anyhow::{Result, ensure};

use crate::fixture::{Fixture, ONE};
use crate::support::admin;

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_do_not_suit_stay_in_one_transaction() -> Result<()> {
    let f = Fixture::empty().await?;
    let pair = &f.pair;
    pair.both("create table nokey (a int, b text); create table part (id int primary key, v text)").await?;
    pair.on_root
        .batch_execute("insert into nokey select g, repeat('x', 100) from generate_series(1, 20000) g; insert into part select g, repeat('x', 100) from generate_series(1, 20000) g")
        .await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.nokey', array['tgflags=I'])")
        .await?;
    pair.add_on_leaf("public.nokey", "'tgflags=I'").await?;
    admin(&pair.on_root, "select * from londiste.local_add_table('q', 'public.part', array['tgflags=IUDQ'])")
        .await?;
    pair.add_on_leaf("public.part", "").await?;
    let worker = f.worker(ONE)?;
    for table in ["public.nokey", "public.part"] {
        pair.until_state(table, &["ok"]).await?;
    }
    ensure!(f.done("true").await? == 0);
    ensure!(pair.assert_same("nokey").await? == 20_000 && pair.assert_same("part").await? == 20_000);
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn small_tables_are_not_divided() -> Result<()> {
    let f = Fixture::new().await?;
    let worker = f.worker("")?;
    f.until_equal().await?;
    ensure!(f.done("true").await? == 0);
    // A copy that is stopped at its very end leaves its consumer to the next worker.
    f.pair.until_no_copy_consumers().await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listing_says_how_a_table_would_be_copied() -> Result<()> {
    let f = Fixture::empty().await?;
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        // table, what the root's trigger is given, what the leaf is given, SQL on the leaf, what is said
        ("small", "", "", "", "whole: it has 0 MiB, ranges begin at 128 MiB (copy_ranges_from)"),
        (
            "nokey",
            "'tgflags=I'",
            "'tgflags=I'",
            "alter table nokey drop constraint nokey_pkey",
            "whole: it has no primary key",
        ),
        ("part", "'ignore=v'", "", "", "whole: its events on the source do not carry whole rows"),
        (
            "generic",
            "'form=generic'",
            "",
            "",
            "whole: it has 0 MiB, ranges begin at 128 MiB (copy_ranges_from)",
        ),
        ("filtered", "'when=id > 5'", "", "", "whole: its events on the source do not carry whole rows"),
        ("stays", "", "'skip_truncate'", "", "whole: rows that are there already are to stay"),
        (
            "marked",
            "",
            "",
            "create unique index mine on marked (v); comment on index mine is 'mine'",
            "whole: unique or exclusion index mine cannot be dropped",
        ),
        (
            "watched",
            "",
            "",
            "create trigger mine after insert on watched for each row execute function note(); alter table watched enable always trigger mine",
            "whole: trigger mine fires for replicated rows",
        ),
        (
            "other",
            "",
            "",
            "alter table other drop constraint other_pkey; alter table other add primary key (v)",
            "whole: the primary keys of source and target differ",
        ),
        (
            "unlogged",
            "",
            "",
            "alter table unlogged set unlogged",
            "whole: it is not an ordinary, logged table here",
        ),
        ("away", "", "", "drop table away", "unknown: table public.away does not exist on this node"),
    ];
    for (table, root, leaf, sql, _) in cases {
        f.pair.both(&format!("create table {table} (id int primary key, v text not null unique)")).await?;
        if *table == "nokey" {
            f.pair.on_root.batch_execute("alter table nokey drop constraint nokey_pkey").await?;
        }
        let add =
            format!("select * from londiste.local_add_table('q', 'public.{table}', array[{root}]::text[])");
        admin(&f.pair.on_root, &add).await?;
        f.pair.add_on_leaf(&format!("public.{table}"), leaf).await?;
        f.pair.on_leaf.batch_execute(sql).await?;
    }
    let listed: serde_json::Value =
        serde_json::from_str(&f.londiste(&["tables", "--verbose", "--json"]).await?)?;
    let said = |table: &str| {
        let name = format!("public.{table}");
        let rows = listed.as_array().into_iter().flatten();
        rows.into_iter()
            .find(|r| r["table_name"] == name)
            .map_or("", |r| r["copy_mode"].as_str().unwrap_or(""))
    };
    for (table, .., expected) in cases {
        ensure!(said(table).starts_with(expected), "{table}: {:?} instead of {expected:?}", said(table));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_under_way_is_listed_as_such() -> Result<()> {
    let f = Fixture::interrupted().await?;
    let listed = f.londiste(&["tables", "--verbose"]).await?;
    ensure!(listed.contains("by ranges"), "{listed}");
    Ok(())
}
