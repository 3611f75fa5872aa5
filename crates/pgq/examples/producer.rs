//! Writes an order and its event in one transaction, then a thousand events in bulk.
//!
//! ```text
//! cargo run -p pgq --example producer -- "dbname=shop"
//! ```

use pgq::{NewEvent, producer, queue};
use skytools::db::ConnectString;
use skytools::{Error, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let connstr = std::env::args().nth(1).ok_or_else(|| Error::usage("usage: producer CONNSTR"))?;
    let mut db = ConnectString::parse(&connstr)?.connect("producer").await?;
    queue::create_queue(&*db, "orders").await?;
    db.batch_execute("create table if not exists orders (id bigserial primary key, total int not null)")
        .await?;

    // The event exists exactly if the order does.
    let tx = db.transaction().await?;
    let order: i64 =
        tx.query_one("insert into orders (total) values (100) returning id", &[]).await?.try_get(0)?;
    let event = NewEvent::new("order.created", format!(r#"{{"id":{order},"total":100}}"#));
    let event_id = producer::insert_event(&tx, "orders", &event).await?;
    tx.commit().await?;
    println!("order {order} is event {event_id}");

    // Many at once go by COPY. On a transaction this would run in a savepoint; here it is one of its own.
    let reminders = (1..=1000).map(|n| NewEvent::new("order.reminder", format!(r#"{{"number":{n}}}"#)));
    let count = producer::insert_events(&mut *db, "orders", reminders).await?;
    println!("{count} reminders");
    Ok(())
}
