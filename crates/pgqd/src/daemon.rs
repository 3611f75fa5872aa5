//! The daemon: keeps one set of loops per database, reloads, stops.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use skytools::config::Config;
use skytools::log::{self, LogOptions};
use skytools::service::Signals;
use skytools::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::database::{Database, Shared, shown};
use crate::settings::Settings;
use crate::{detect, maint, retry, stats, ticker};

/// How long loops may take to end after a stop; longer than a request to cancel.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until a signal ends it: SIGINT with status 0, SIGTERM with status 1, as the original.
pub(crate) async fn run(mut config: Config, signals: Signals, log_options: LogOptions) -> Result<ExitCode> {
    log::init(&config, &log_options)?;
    tracing::info!("Starting pgqd {}", env!("CARGO_PKG_VERSION"));
    let (settings, watched) = watch::channel(Arc::new(Settings::load(&config)?));
    let shared = Shared { settings: watched, stats: Arc::default(), look_again: Arc::new(Notify::new()) };
    let (found, mut databases) = mpsc::channel(1);
    let mut service = JoinSet::new();
    service.spawn(detect::run(shared.clone(), found));
    service.spawn(stats::run(shared.clone()));
    let mut served = Served { shared, stops: BTreeMap::new(), loops: JoinSet::new() };
    let mut reloads = signals.reload_count();
    loop {
        tokio::select! {
            biased;
            () = signals.stopped() => break,
            seen = signals.reloaded(reloads) => {
                reloads = seen;
                reload(&mut config, &settings, &log_options);
            }
            Some(names) = databases.recv() => served.set(&names),
            Some(ended) = served.loops.join_next() => check(ended)?,
            Some(ended) = service.join_next() => {
                check(ended)?;
                return Err(Error::new(ErrorKind::Internal, "a task that should never end has ended"));
            }
        }
    }
    let terminated = signals.terminate_requested();
    if !terminated {
        tracing::info!("Got SIGINT, shutting down");
    }
    served.set(&BTreeSet::new());
    let all_ended = async {
        while let Some(ended) = served.loops.join_next().await {
            check(ended)?;
        }
        Ok::<(), Error>(())
    };
    tokio::select! {
        ended = all_ended => ended?,
        () = signals.terminated() => {}
        () = tokio::time::sleep(FAREWELL) => tracing::warn!("some connections did not close in time"),
    }
    Ok(if signals.terminate_requested() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A loop that panicked would leave its database without ticks silently: better to end and be started again.
fn check(ended: Result<(), JoinError>) -> Result<()> {
    ended.map_err(|e| Error::new(ErrorKind::Internal, "a loop of pgqd failed").with_source(e))
}

/// Reads everything again; a file with a mistake changes nothing.
fn reload(config: &mut Config, settings: &watch::Sender<Arc<Settings>>, log_options: &LogOptions) {
    tracing::info!("Got SIGHUP, re-reading config");
    let mut fresh = config.clone();
    let loaded = fresh.reload().and_then(|()| {
        let loaded = Settings::load(&fresh)?;
        log::init(&fresh, log_options)?;
        Ok(loaded)
    });
    match loaded {
        Ok(loaded) => {
            *config = fresh;
            settings.send_replace(Arc::new(loaded));
        }
        Err(error) => {
            let hint = error.hint_text().unwrap_or("Correct the file and send SIGHUP again.");
            tracing::error!(hint, "going on with the old configuration: {}", error.chain());
        }
    }
}

/// The databases that are served, and their loops.
struct Served {
    shared: Shared,
    stops: BTreeMap<String, watch::Sender<bool>>,
    loops: JoinSet<()>,
}

impl Served {
    /// Starts the loops of databases that are new, and stops those of databases that are gone.
    fn set(&mut self, names: &BTreeSet<String>) {
        self.stops.retain(|name, stop| {
            let stays = names.contains(name);
            if !stays {
                tracing::info!("Unregister database: {}", shown(name));
                stop.send_replace(true);
            }
            stays
        });
        for name in names {
            if !self.stops.contains_key(name) {
                let stop = self.start(name);
                self.stops.insert(name.clone(), stop);
            }
        }
    }

    fn start(&mut self, name: &str) -> watch::Sender<bool> {
        let (stop, stopping) = watch::channel(false);
        let (usable, when_usable) = watch::channel(false);
        let db = Database::new(name, self.shared.clone(), stopping);
        let (ticking, maintaining, retrying) = (db.for_loop(), db.for_loop(), db.for_loop());
        self.loops.spawn(ticking.clone().until_stopped(ticker::run(ticking, usable)));
        self.loops.spawn(maintaining.clone().until_stopped(maint::run(maintaining, when_usable.clone())));
        self.loops.spawn(retrying.clone().until_stopped(retry::run(retrying, when_usable)));
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;

    #[tokio::test]
    async fn databases_come_and_go() {
        let settings = Settings::load(
            &Config::from_text("[pgqd]\nbase_connstr = host=/nonexistent", &["pgqd"], &[]).unwrap(),
        );
        let (_sender, watched) = watch::channel(Arc::new(settings.unwrap()));
        let shared = Shared {
            settings: watched,
            stats: Arc::new(Stats::default()),
            look_again: Arc::new(Notify::new()),
        };
        let mut served = Served { shared, stops: BTreeMap::new(), loops: JoinSet::new() };
        let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
        served.set(&set(&["a", "b"]));
        assert_eq!(served.loops.len(), 6);
        served.set(&set(&["b", "c"]));
        assert_eq!(served.stops.keys().collect::<Vec<_>>(), ["b", "c"]);
        for _ in 0..3 {
            served.loops.join_next().await.unwrap().unwrap();
        }
        assert_eq!(served.loops.len(), 6);
        served.set(&BTreeSet::new());
        while let Some(ended) = served.loops.join_next().await {
            ended.unwrap();
        }
    }
}
