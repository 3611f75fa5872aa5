//! Retry: events whose time has come go back into their queues, each `retry_period`.

use std::time::Duration;

use skytools::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::database::Database;
use crate::sql;

/// The wait after an error that the server reported; `retry_period` when that is shorter.
const ERROR_WAIT: Duration = Duration::from_secs(20);

/// Serves the retry queue of a database for ever, once `usable` says that pgq is there.
pub(crate) async fn run(db: Database, mut usable: watch::Receiver<bool>) {
    if usable.wait_for(|usable| *usable).await.is_err() {
        return;
    }
    let mut trouble = db.trouble("retry");
    loop {
        match round(&db).await {
            Ok(()) => {
                trouble.over();
                db.pause(|s| s.retry_period).await;
            }
            Err(error) => {
                db.suspect(&error);
                let wait = trouble.met(&error, ERROR_WAIT);
                db.pause(|_| wait).await;
            }
        }
    }
}

/// Moves events, some at a time, until none is due.
async fn round(db: &Database) -> Result<()> {
    let session = db.connect().await?;
    loop {
        let text = session.value(&sql::guarded(sql::RETRY)).await?.unwrap_or_default();
        let moved: u64 = text.parse().map_err(|e| {
            Error::new(ErrorKind::Data, format!("pgq.maint_retry_events returned {text:?}")).with_source(e)
        })?;
        db.shared.stats.retried(moved);
        if moved == 0 {
            break;
        }
    }
    session.close().await
}
