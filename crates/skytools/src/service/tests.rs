//! Tests of the service loop, on a paused clock: no test waits for real time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::quiet::FailureClock;
use super::*;
use crate::config::Config;
use crate::{Error, ErrorKind, Result};

type Step = Box<dyn FnMut(&mut Turn) -> Result<Work> + Send>;

/// Plays steps and writes down what the loop does.
struct Script {
    steps: Vec<Step>,
    journal: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn note(&self, what: impl Into<String>) {
        self.journal.lock().unwrap().push(what.into());
    }
}

impl Job for Script {
    async fn startup(&mut self, _: &Signals) -> Result<()> {
        self.note("startup");
        Ok(())
    }
    async fn work(&mut self, turn: &mut Turn) -> Result<Work> {
        self.note("work");
        if self.steps.is_empty() {
            return std::future::pending().await;
        }
        self.steps.remove(0)(turn)
    }
    fn reload(&mut self, config: &Config) -> Result<()> {
        self.note(format!("reload {}", config.get("x")?));
        Ok(())
    }
    async fn reset(&mut self) {
        self.note("reset");
    }
    async fn failed(&mut self, error: &Error) {
        self.note(format!("failed {error}"));
    }
    async fn shutdown(&mut self) -> Result<()> {
        self.note("shutdown");
        Ok(())
    }
}

async fn play(text: &str, signals: &Signals, steps: Vec<Step>) -> (Result<()>, Vec<String>) {
    let mut config = Config::from_text(&format!("[main]\nx = 1\n{text}"), &["main"], &[]).unwrap();
    let journal = Arc::new(Mutex::new(Vec::new()));
    let job = Script { steps, journal: journal.clone() };
    let outcome = run_loop("job", &mut config, signals, job).await;
    let seen = journal.lock().unwrap().clone();
    (outcome, seen)
}

fn step(outcome: impl FnMut(&mut Turn) -> Result<Work> + Send + 'static) -> Step {
    Box::new(outcome)
}

#[tokio::test(start_paused = true)]
async fn stops_after_the_current_round() {
    let signals = Signals::manual();
    let handle = signals.clone();
    let steps = vec![
        step(|_| Ok(Work::More)),
        step(|_| Ok(Work::Idle)),
        step(move |_| {
            handle.request_stop();
            Ok(Work::More)
        }),
    ];
    let begun = tokio::time::Instant::now();
    let (outcome, seen) = play("loop_delay = 5\n", &signals, steps).await;
    outcome.unwrap();
    assert_eq!(seen, ["startup", "work", "work", "work", "shutdown", "reset"]);
    assert_eq!(begun.elapsed().as_secs(), 5, "only the idle round sleeps");
}

#[tokio::test(start_paused = true)]
async fn loop_delay_zero_and_below() {
    let rounds = |text: &'static str| async move {
        let steps = vec![step(|_| Ok(Work::More)), step(|_| Ok(Work::Idle))];
        play(text, &Signals::manual(), steps).await.1.iter().filter(|s| *s == "work").count()
    };
    assert_eq!(rounds("loop_delay = 0\n").await, 2);
    assert_eq!(rounds("loop_delay = -1\n").await, 1);
}

#[tokio::test(start_paused = true)]
async fn failures_reset_and_sleep() {
    let signals = Signals::manual();
    let handle = signals.clone();
    let steps = vec![
        step(|_| Err(Error::state("boom"))),
        step(move |_| {
            handle.request_stop();
            Ok(Work::Idle)
        }),
    ];
    let begun = tokio::time::Instant::now();
    let (outcome, seen) = play("exception_sleep = 7\n", &signals, steps).await;
    outcome.unwrap();
    assert_eq!(seen, ["startup", "work", "reset", "failed boom", "reset", "work", "shutdown", "reset"]);
    assert_eq!(begun.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn failures_that_end_the_program() {
    let failing = || vec![step(|_| Err(Error::state("boom")))];
    for text in ["loop_delay = -1\n", "loop_delay = 0\n"] {
        let (outcome, seen) = play(text, &Signals::manual(), failing()).await;
        assert_eq!(outcome.unwrap_err().to_string(), "boom");
        assert_eq!(seen.last().map(String::as_str), Some("reset"));
    }
    let steps = vec![step(|_| Err(Error::usage("wrong")))];
    assert!(play("", &Signals::manual(), steps).await.0.is_err());
}

#[tokio::test(start_paused = true)]
async fn terminate_abandons_the_round() {
    let signals = Signals::manual();
    let handle = signals.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        handle.request_terminate();
    });
    let (outcome, seen) = play("", &signals, Vec::new()).await;
    outcome.unwrap();
    assert_eq!(seen, ["startup", "work", "shutdown", "reset"]);
}

#[tokio::test(start_paused = true)]
async fn signals_end_the_idle_sleep_at_once() {
    for reload in [false, true] {
        let signals = Signals::manual();
        let handle = signals.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            if reload {
                handle.request_reload();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            handle.request_stop();
        });
        let begun = tokio::time::Instant::now();
        let steps = vec![step(|_| Ok(Work::Idle)), step(|_| Ok(Work::Idle))];
        let (outcome, seen) = play("loop_delay = 1000\n", &signals, steps).await;
        outcome.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert_eq!(seen.contains(&"reload 1".to_owned()), reload);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_reload_ends_one_sleep_only() {
    let signals = Signals::manual();
    signals.request_reload();
    assert_eq!(signals.sleep(Duration::from_secs(1)).await, Wake::Reload);
    assert_eq!(signals.sleep(Duration::from_secs(1)).await, Wake::Elapsed);
    assert!(signals.take_reload() && !signals.take_reload());
    assert_eq!(signals.reload_count(), 1);
    signals.request_stop();
    assert_eq!(signals.sleep(Duration::from_secs(1)).await, Wake::Stop);
    signals.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn statistics_are_cleared_after_each_round() {
    let signals = Signals::manual();
    let handle = signals.clone();
    let rounds = Arc::new(AtomicUsize::new(0));
    let counter = rounds.clone();
    let steps = vec![
        step(|turn| {
            turn.stats.increase("count", 1);
            assert!(turn.looping);
            Ok(Work::More)
        }),
        step(move |turn| {
            assert!(turn.stats.is_empty());
            counter.fetch_add(1, Ordering::SeqCst);
            handle.request_stop();
            Ok(Work::More)
        }),
    ];
    play("", &signals, steps).await.0.unwrap();
    assert_eq!(rounds.load(Ordering::SeqCst), 1);
}

#[test]
fn quiet_failures() {
    let text = "[main]\nexception_quiet = psycopg2.OperationalError, State\nexception_grace = 10\nexception_reset = 20\n";
    let config = Config::from_text(text, &["main"], &[]).unwrap();
    let mut clock = FailureClock::new(&config).unwrap();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let connection = Error::new(ErrorKind::Connection, "x");
    assert!(clock.failed(&connection, at(0)));
    assert!(clock.failed(&Error::state("x"), at(1)));
    assert!(!clock.failed(&Error::data("x"), at(2)));
    assert_eq!(clock.consecutive, 3);
    clock.succeeded(at(3));
    assert_eq!(clock.consecutive, 0);
    assert!(!clock.failed(&connection, at(11)), "the grace counts from the first failure");
    clock.succeeded(at(25));
    assert!(clock.failed(&connection, at(26)), "a late success starts over");
}
