//! Databases whose encoding is not UTF-8.

use anyhow::Result;
use pgq::batch::{self, BatchLimits};
use pgq::{NewEvent, producer, queue};
use skytools::ErrorKind;
use tokio_postgres::Client;

async fn database(name: &str, encoding: &str) -> Result<Client> {
    let cluster = testkit::shared_cluster()?;
    cluster.psql(
        "postgres",
        &format!("create database {name} template template0 encoding '{encoding}' locale 'C'"),
    )?;
    testkit::install_modules(cluster, name)?;
    let client = testkit::connect(&cluster.connstr(name)).await?;
    queue::create_queue(&client, "q").await?;
    queue::register_consumer(&client, "q", "c").await?;
    Ok(client)
}

async fn next(client: &Client) -> Result<i64> {
    queue::force_tick(client, "q").await?;
    queue::ticker(client, "q").await?;
    Ok(batch::next_batch(client, "q", "c", &BatchLimits::default()).await?.expect("a batch").batch_id)
}

#[tokio::test]
async fn the_server_converts_to_utf8_and_back() -> Result<()> {
    let mut client = database("in_latin1", "LATIN1").await?;
    let text = "Grüße, señor ÿ";
    producer::insert_event(&client, "q", &NewEvent::new("single", text)).await?;
    producer::insert_events(&mut client, "q", [NewEvent::new("bulk", text)]).await?;
    let stored: i32 =
        client.query_one("select max(octet_length(ev_data)) from pgq.event_template", &[]).await?.get(0);
    assert_eq!(stored, 14, "one byte per character");
    let id = next(&client).await?;
    let events = crate::fixture::read(&client, id, None).await?;
    assert_eq!(crate::fixture::data(&events), [text, text]);
    let foreign = NewEvent::new("bulk", "\u{1F600}");
    producer::insert_events(&mut client, "q", [foreign]).await.expect_err("LATIN1 has no such character");
    Ok(())
}

#[tokio::test]
async fn bytes_without_encoding_are_refused_by_name() -> Result<()> {
    let mut client = database("in_ascii", "SQL_ASCII").await?;
    producer::insert_events(&mut client, "q", [NewEvent::new("t", "fine: ü")]).await?;
    // Its id is the next after the first event's: nothing else writes here.
    let bad: i64 = client
        .query_one("select pgq.insert_event('q', 't', convert_from('\\xfc'::bytea, 'SQL_ASCII'))", &[])
        .await?
        .get(0);
    let id = next(&client).await?;
    let before = bad - 1;
    let mut stream = batch::events(&client, id, None).await?;
    assert_eq!(stream.next_event().await?.expect("the first").data(), Some("fine: ü"));
    let error = stream.next_event().await.expect_err("not UTF-8");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.chain().contains(&format!("after event {before}")), "{}", error.chain());
    assert!(error.hint_text().is_some());
    Ok(())
}
