//! Prints the events of queue "orders", at least once each, until Ctrl-C. Reminders come again after a minute, once.
//!
//! ```text
//! cargo run -p pgq --example consumer -- "dbname=shop"
//! ```

use std::time::Duration;

use pgq::consumer::{Consumer, Outcome};
use skytools::db::ConnectString;
use skytools::{Error, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let connstr = std::env::args().nth(1).ok_or_else(|| Error::usage("usage: consumer CONNSTR"))?;
    let consumer = Consumer::new(ConnectString::parse(&connstr)?, "orders", "printer");
    if consumer.register().await? {
        println!("registered: events from now on");
    }
    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("no Ctrl-C here: {error}");
        }
    };
    let totals = consumer
        .for_each_event(ctrl_c, async |event| {
            println!("{} {} {}", event.id(), event.ev_type().unwrap_or("-"), event.data().unwrap_or("-"));
            if event.ev_type() == Some("order.reminder") && event.retry().is_none() {
                return Ok(Outcome::Retry(Duration::from_secs(60)));
            }
            Ok(Outcome::Done)
        })
        .await?;
    println!("{} events in {} batches", totals.events, totals.batches);
    Ok(())
}
