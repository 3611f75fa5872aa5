//! Sums the orders up into a table of the queue's own database: kill it at any moment and start it again, no order
//! counts twice or is forgotten. With a second connect string the table is in another database, which remembers the
//! position in schema `pgq_ext`. It knows a consumer by the names of its queue and its own: a second shop that feeds the same
//! reports needs a consumer of another name.
//!
//! ```text
//! cargo run -p pgq --example exactly_once -- "dbname=shop" ["dbname=reports" [consumer]]
//! ```

use pgq::consumer::{Batch, CallbackResult, Consumer};
use skytools::db::ConnectString;
use skytools::{Error, Result};
use tokio_postgres::Transaction;

const TABLE: &str = "create table if not exists turnover (name text primary key, orders int8 not null)";

async fn sum_up(batch: &mut Batch, tx: &mut Transaction<'_>) -> CallbackResult {
    let mut orders = 0_i64;
    while let Some(event) = batch.next_event().await? {
        orders += i64::from(event.ev_type() == Some("order.created"));
    }
    tx.execute(
        "insert into turnover values ('all', $1) on conflict (name) do update set orders = turnover.orders + $1",
        &[&orders],
    )
    .await?;
    println!("batch {}: {orders} orders", batch.info().batch_id);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let source =
        args.next().ok_or_else(|| Error::usage("usage: exactly_once CONNSTR [TARGET-CONNSTR [CONSUMER]]"))?;
    let source = ConnectString::parse(&source)?;
    let target = args.next().map(|text| ConnectString::parse(&text)).transpose()?;
    let name = args.next().unwrap_or_else(|| "turnover".to_owned());
    target.as_ref().unwrap_or(&source).connect("exactly_once").await?.batch_execute(TABLE).await?;

    // Ends when there is nothing to do; a service would pass a shutdown future instead.
    let consumer = Consumer::new(source, "orders", name).until_idle(true);
    match &target {
        None => consumer.register().await?,
        Some(target) => consumer.register_for(target).await?,
    };
    let forever = std::future::pending();
    let totals = match &target {
        None => consumer.for_each_batch_in_transaction(forever, sum_up).await?,
        Some(target) => consumer.for_each_batch_to(target, forever, sum_up).await?,
    };
    println!("{} batches", totals.batches);
    Ok(())
}
