//! Maintenance: what `pgq.maint_operations()` lists, each `maint_period`, on a connection of its own.
//!
//! The connection is closed between rounds. Each operation stands by itself: one that fails is told and the next
//! one runs (the original gave up the round, so that one bad operation starved those after it), and a VACUUM, which
//! returns no row, is a success.

use std::time::Duration;

use skytools::{Error, ErrorKind, Result};
use tokio::sync::watch;

use crate::database::{Database, Session};
use crate::sql;
use crate::trouble::Trouble;

/// The wait after a round in which something failed; `maint_period` when that is shorter.
const ERROR_WAIT: Duration = Duration::from_secs(20);

/// How often an operation is repeated in a round while it says that there is more to do.
const MOST_REPEATS: u32 = 1000;

/// One line of the work to do: a function (or `vacuum`), and its argument.
type Operation = (String, Option<String>);

/// Maintains a database for ever, once `usable` says that pgq is there.
pub(crate) async fn run(db: Database, mut usable: watch::Receiver<bool>) {
    if usable.wait_for(|usable| *usable).await.is_err() {
        return;
    }
    let mut trouble = db.trouble("maint");
    loop {
        match round(&db, &mut trouble).await {
            Ok(true) => {
                trouble.over();
                db.shared.stats.maintained();
                db.pause(|s| s.maint_period).await;
            }
            Ok(false) => db.pause(|s| s.maint_period.min(ERROR_WAIT)).await,
            Err(error) => {
                db.suspect(&error);
                let wait = trouble.met(&error, ERROR_WAIT);
                db.pause(|_| wait).await;
            }
        }
    }
}

/// One round; false when an operation failed.
async fn round(db: &Database, trouble: &mut Trouble) -> Result<bool> {
    let session = db.connect().await?;
    let mut all_done = true;
    if session.value(sql::HAS_MAINT_OPERATIONS).await?.is_some() {
        let rows = session.query(sql::MAINT_OPERATIONS).await?;
        let operations = rows.into_iter().filter_map(|row| {
            let mut columns = row.into_iter();
            Some((columns.next()??, columns.next().flatten()))
        });
        for operation in operations {
            all_done &= perform(db, &session, &operation, trouble).await?;
        }
    } else {
        for operation in old_operations(&session).await? {
            all_done &= perform(db, &session, &operation, trouble).await?;
        }
        // Which tables need it is known only after the rotation.
        for table in session.column(sql::OLD_TABLES_TO_VACUUM).await? {
            all_done &= perform(db, &session, &("vacuum".to_owned(), Some(table)), trouble).await?;
        }
    }
    session.close().await?;
    Ok(all_done)
}

/// pgq 3.0 has no list: every queue is asked, then the second step for all.
async fn old_operations(session: &Session) -> Result<Vec<Operation>> {
    let queues = session.column(sql::OLD_QUEUES).await?;
    let first = queues.into_iter().map(|queue| ("pgq.maint_rotate_tables_step1".to_owned(), Some(queue)));
    Ok(first.chain([("pgq.maint_rotate_tables_step2".to_owned(), None)]).collect())
}

/// Runs one operation, again while it returns a number other than zero. Returns false when it failed in a way that
/// leaves the connection good.
async fn perform(
    db: &Database,
    session: &Session,
    operation: &Operation,
    trouble: &mut Trouble,
) -> Result<bool> {
    let (name, argument) = operation;
    let Some(statement) = sql::operation(name, argument.as_deref()) else {
        tracing::error!("{}: maint: skipping {name:?}({argument:?}), which is no operation", db.shown());
        return Ok(false);
    };
    for _ in 0..MOST_REPEATS {
        tracing::debug!("{}: {statement}", db.shown());
        match session.value(&sql::guarded(&statement)).await {
            Ok(Some(more)) if is_more(&more) => {}
            Ok(_) => return Ok(true),
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                trouble.tell(&error.context(format!("{statement} failed")));
                return Ok(false);
            }
        }
    }
    tracing::warn!("{}: {statement} always has more to do; going on with the next operation", db.shown());
    Ok(true)
}

/// The first column read as C's `atoi` does: what is no number is zero.
fn is_more(value: &str) -> bool {
    value.trim().parse::<i64>().is_ok_and(|number| number != 0)
}

/// Whether nothing more can be done on this connection.
fn is_fatal(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection
}
