//! What real triggers write is decoded to what the table holds.

use anyhow::Result;
use pgq::change::{self, Format, Op};

use crate::fixture::{Fixture, QUEUE, Schema, on_both};

on_both!(urlencoded_rows, sql_rows, json_rows);

const TABLE: &str = r#"
    create schema "odd schema";
    create table "odd schema"."Table 'x'" (
        id int8, "Key ""2""" text, "where" text, flag bool, n numeric, b bytea, a text[], t timestamptz, c char(5),
        primary key (id, "Key ""2""")
    );"#;

const CHANGES: &str = r#"
    insert into "odd schema"."Table 'x'" values
        (1, 'a&b=c', E'tab\t new\nline \\ ''quoted'' "double" %2c + \U0001F600', true, 1.50, '\x00ff', '{a,NULL,"x y"}', '2001-02-03 04:05:06.789+00', 'ab'),
        (2, '', null, false, 'NaN', '', '{}', 'infinity', ''),
        (-3, ' where id=''1'' and ', 'null', null, null, null, null, null, null);
    update "odd schema"."Table 'x'" set "where" = coalesce("where", '') || E' and \\', flag = null, n = 2 where id > 0;
    delete from "odd schema"."Table 'x'" where id = 2;
    truncate "odd schema"."Table 'x'";"#;

async fn captured(schema: Schema, function: &str) -> Result<(Fixture, Vec<pgq::Event>)> {
    let f = Fixture::new(schema).await?;
    f.client.batch_execute(TABLE).await?;
    let queue = skytools::quote::literal(QUEUE);
    f.client
        .batch_execute(&format!(
            r#"create trigger cap after insert or update or delete on "odd schema"."Table 'x'"
               for each row execute function {function}({queue});
               create trigger cap_t after truncate on "odd schema"."Table 'x'" execute function {function}({queue});"#
        ))
        .await?;
    f.client.batch_execute(CHANGES).await?;
    f.tick().await?;
    let (_, events) = f.read().await?;
    assert_eq!(events.len(), 7);
    Ok((f, events))
}

const FIRST: &str = "tab\t new\nline \\ 'quoted' \"double\" %2c + \u{1F600}";

async fn urlencoded_rows(schema: Schema) -> Result<()> {
    let (_f, events) = captured(schema, "pgq.logutriga").await?;
    let rows: Vec<_> =
        events.iter().map(|e| change::decode(e)).collect::<Result<Option<Vec<_>>, _>>()?.expect("rows");
    let ops: Vec<Op> = rows.iter().map(|r| r.op).collect();
    assert_eq!(ops, [Op::Insert, Op::Insert, Op::Insert, Op::Update, Op::Update, Op::Delete, Op::Truncate]);
    assert!(rows.iter().all(|r| r.table == "odd schema.Table 'x'" && r.format == Format::Urlenc));
    let first = &rows[0];
    let names: Vec<&str> = first.columns.iter().map(|(n, _)| n.as_ref()).collect();
    assert_eq!(names, ["id", "Key \"2\"", "where", "flag", "n", "b", "a", "t", "c"]);
    assert_eq!(first.key_names, ["id", "Key \"2\""]);
    assert_eq!(first.key[1].1.as_deref(), Some("a&b=c"));
    assert_eq!(first.get("where"), Some(Some(FIRST)));
    assert_eq!((first.get("flag"), first.get("n")), (Some(Some("t")), Some(Some("1.50"))));
    assert_eq!((first.get("b"), first.get("a")), (Some(Some("\\x00ff")), Some(Some("{a,NULL,\"x y\"}"))));
    assert_eq!(first.get("c"), Some(Some("ab   ")));
    assert_eq!(
        (rows[1].get("where"), rows[1].get("b"), rows[1].get("n")),
        (Some(None), Some(Some("\\x")), Some(Some("NaN")))
    );
    assert_eq!(rows[2].get("where"), Some(Some("null")));
    assert_eq!(rows[2].get("n"), Some(None));
    assert_eq!(rows[4].get("where"), Some(Some(" and \\")));
    assert_eq!(rows[5].key[0].1.as_deref(), Some("2"));
    Ok(())
}

async fn sql_rows(schema: Schema) -> Result<()> {
    let (_f, events) = captured(schema, "pgq.sqltriga").await?;
    let rows: Vec<_> =
        events.iter().map(|e| change::decode(e)).collect::<Result<Option<Vec<_>>, _>>()?.expect("rows");
    assert!(rows[..6].iter().all(|r| r.table == "odd schema.Table 'x'" && r.format == Format::Sql));
    assert_eq!(rows[0].columns.len(), 9);
    assert_eq!(rows[0].get("where"), Some(Some(FIRST)));
    assert_eq!((rows[0].get("b"), rows[0].get("flag")), (Some(Some("\\x00ff")), Some(Some("t"))));
    assert_eq!(
        (rows[2].get("Key \"2\""), rows[2].get("where"), rows[2].get("t")),
        (Some(Some(" where id='1' and ")), Some(Some("null")), Some(None))
    );
    let update = &rows[3];
    let mut changed: Vec<&str> = update.columns.iter().map(|(n, _)| n.as_ref()).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["flag", "n", "where"]);
    assert_eq!(update.get("where"), Some(Some(&*format!("{FIRST} and \\"))));
    assert_eq!(update.get("flag"), Some(None));
    let key: Vec<_> = update.key.iter().map(|(n, v)| (n.as_ref(), v.as_deref())).collect();
    assert_eq!(key, [("id", Some("1")), ("Key \"2\"", Some("a&b=c"))]);
    assert_eq!(
        (rows[5].op, rows[5].key[0].1.as_deref(), rows[5].key[1].1.as_deref()),
        (Op::Delete, Some("2"), Some(""))
    );
    assert_eq!(rows[6].op, Op::Truncate);
    Ok(())
}

async fn json_rows(schema: Schema) -> Result<()> {
    let (_f, events) = captured(schema, "pgq.jsontriga").await?;
    let rows: Vec<_> =
        events.iter().map(|e| change::decode(e)).collect::<Result<Option<Vec<_>>, _>>()?.expect("rows");
    assert!(rows.iter().all(|r| r.table == "odd schema.Table 'x'" && r.format == Format::Json));
    assert_eq!(rows[0].key_names, ["id", "Key \"2\""]);
    assert_eq!(rows[0].get("where"), Some(Some(FIRST)));
    assert_eq!(
        (rows[0].get("id"), rows[0].get("flag"), rows[0].get("n")),
        (Some(Some("1")), Some(Some("t")), Some(Some("1.50")))
    );
    assert_eq!((rows[1].get("where"), rows[1].get("t")), (Some(None), Some(Some("infinity"))));
    assert_eq!(rows[6].op, Op::Truncate);
    Ok(())
}
