//! Ticks: one call of `pgq.ticker()` each `ticker_period`.
//!
//! `pgq.ticker()` is one statement for all queues, so one queue that fails would stop them all. When it fails, the
//! queues are ticked one by one for a while, and only those that fail rest.

use std::collections::HashMap;
use std::time::Duration;

use skytools::{Error, ErrorKind, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::database::{Database, Session};
use crate::sql;
use crate::trouble::Trouble;

/// The wait after an error that the server reported.
const ERROR_WAIT: Duration = Duration::from_secs(10);

/// How long queues are ticked one by one before all together is tried again.
const ONE_BY_ONE: Duration = Duration::from_secs(60);

/// How long ticks have been refused by one holder of the lock before that is told.
const BLOCKED: Duration = Duration::from_secs(5);

/// How a session with the database ended, when nothing failed.
enum End {
    /// There is no usable pgq here; look again later.
    NoPgq,
    /// The connection is to be replaced.
    Outdated,
}

/// The version that was logged last, once one was; the version function may return NULL.
type VersionShown = Option<Option<String>>;

/// Ticks a database for ever. `usable` turns true when pgq was found, which lets maintenance and retry begin.
pub(crate) async fn run(db: Database, usable: watch::Sender<bool>) {
    let mut trouble = db.trouble("ticker");
    let mut blocked = Blocked { trouble: db.trouble("ticker"), since: None, holder: None };
    let mut version_shown = VersionShown::default();
    loop {
        match session(&db, &usable, &mut trouble, &mut blocked, &mut version_shown).await {
            Ok(End::Outdated) => {}
            Ok(End::NoPgq) => db.pause(|s| s.check_period).await,
            Err(error) => {
                db.suspect(&error);
                let wait = trouble.met(&error, ERROR_WAIT);
                db.pause(|_| wait).await;
            }
        }
    }
}

async fn session(
    db: &Database,
    usable: &watch::Sender<bool>,
    trouble: &mut Trouble,
    blocked: &mut Blocked,
    version_shown: &mut VersionShown,
) -> Result<End> {
    let session = db.connect().await?;
    if session.value(sql::HAS_PGQ).await?.is_none() {
        tracing::debug!("{}: no pgq", db.shown());
        *version_shown = None;
        session.close().await?;
        return Ok(End::NoPgq);
    }
    let version = session.value(sql::VERSION).await?;
    let good = version.as_deref().and_then(|v| v.chars().next()).is_some_and(|first| first >= '3');
    // Once per version, not at each new connection.
    if version_shown.as_ref() != Some(&version) {
        match (&version, good) {
            (Some(version), true) => tracing::info!("{}: pgq version ok: {version}", db.shown()),
            _ => tracing::info!("{}: bad pgq version, ignoring", db.shown()),
        }
        *version_shown = Some(version);
    }
    if !good {
        session.close().await?;
        return Ok(End::NoPgq);
    }
    usable.send_replace(true);
    loop {
        match session.value(&sql::tick(None)).await {
            Ok(done) => count(db, &session, done, blocked).await?,
            // Trouble with one queue, or with all: find out.
            Err(error) if is_about_a_queue(&error) => {
                trouble.tell(&error);
                if !one_by_one(db, &session).await? {
                    return Err(error);
                }
                if session.is_outdated(&db.settings()) {
                    return Ok(End::Outdated);
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        trouble.over();
        if session.is_outdated(&db.settings()) {
            // Nothing is held while nothing is done.
            session.close().await?;
            db.pause(|s| s.ticker_period).await;
            return Ok(End::Outdated);
        }
        db.pause(|s| s.ticker_period).await;
        if session.is_outdated(&db.settings()) {
            return Ok(End::Outdated);
        }
    }
}

/// Somebody else holds the lock under which ticks are made.
struct Blocked {
    trouble: Trouble,
    /// Since when no tick of ours was possible.
    since: Option<Instant>,
    /// The transaction that held the lock at the last look.
    holder: Option<String>,
}

/// NULL means that another daemon, or a consumer, was ticking at this moment, which is as good; but one that does not end
/// its transaction keeps all queues from ticking.
async fn count(db: &Database, session: &Session, done: Option<String>, blocked: &mut Blocked) -> Result<()> {
    if done.is_some() {
        db.shared.stats.tick();
        blocked.since = None;
        blocked.holder = None;
        blocked.trouble.over();
        return Ok(());
    }
    tracing::debug!("{}: somebody else ticks this database", db.shown());
    if blocked.since.get_or_insert_with(Instant::now).elapsed() < BLOCKED {
        return Ok(());
    }
    let mut columns =
        session.query(sql::TICK_LOCK_HOLDER).await?.pop().unwrap_or_default().into_iter().flatten();
    let before = std::mem::replace(&mut blocked.holder, columns.next());
    if let Some(who) = columns.next()
        && before == blocked.holder
    {
        blocked.trouble.tell(&Error::new(
            ErrorKind::Transient,
            format!("no queue gets ticks while {who} keeps the lock of a tick: it called pgq.ticker or pgq.tick_on_demand in a transaction that is still open"),
        ));
    }
    Ok(())
}

/// Whether the other queues may be fine: neither the connection nor the right to tick is the matter.
fn is_about_a_queue(error: &Error) -> bool {
    let is_lock = error.sqlstate().is_some_and(|s| s.code() == "55P03");
    let general = matches!(
        error.kind(),
        ErrorKind::Connection | ErrorKind::Transient | ErrorKind::Permission | ErrorKind::Internal
    );
    // 25006: a standby, or a database set to read only.
    let read_only = error.sqlstate().is_some_and(|s| s.code() == "25006");
    is_lock || !general && !read_only
}

/// Ticks each queue by itself. A queue that fails rests for a while, the others go on at their pace. Returns false
/// when there is no queue that works, so that it was no queue's fault.
async fn one_by_one(db: &Database, session: &Session) -> Result<bool> {
    let end = Instant::now() + ONE_BY_ONE;
    let mut any_works = false;
    let mut resting: HashMap<String, (Instant, Trouble)> = HashMap::new();
    while Instant::now() < end && !session.is_outdated(&db.settings()) {
        let queues = session.column(sql::QUEUES_TO_TICK).await?;
        let mut ticked = 0;
        for queue in &queues {
            if resting.get(queue).is_some_and(|(until, _)| Instant::now() < *until) {
                continue;
            }
            match session.value(&sql::tick(Some(queue))).await {
                Ok(_) => {
                    ticked += 1;
                    if let Some((_, mut trouble)) = resting.remove(queue) {
                        trouble.over();
                    }
                }
                Err(error) if is_about_a_queue(&error) => {
                    let (until, trouble) = resting.entry(queue.clone()).or_insert_with(|| {
                        (Instant::now(), db.trouble(&format!("queue {queue:?} gets no ticks, the others do")))
                    });
                    trouble.tell(&error);
                    *until = Instant::now() + ERROR_WAIT;
                }
                Err(error) => return Err(error),
            }
        }
        any_works |= ticked > 0;
        if !any_works {
            return Ok(false);
        }
        if ticked > 0 {
            db.shared.stats.tick();
        }
        db.pause(|s| s.ticker_period).await;
        if resting.is_empty() {
            break;
        }
    }
    Ok(true)
}
