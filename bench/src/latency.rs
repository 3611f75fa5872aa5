//! From the producer's commit to the consumer's callback, with the settings that the programs are shipped with.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use cluster::Cluster;
use pgq::consumer::{Consumer, Outcome};
use pgq::{NewEvent, producer};
use skytools::db::ConnectString;
use skytools::install::Module;
use tokio::sync::oneshot;

use crate::Settings;
use crate::ground;
use crate::harness::rotate;
use crate::peers::Tools;
use crate::program::{Daemon, wait_until};
use crate::report::{Better, Report, Target, figures};
use crate::session::Session;
use crate::workplace;

const RATES: [u32; 3] = [10, 100, 1000];

/// Writes "RUN SECONDS" for each event, whose data is "RUN TIME".
const PYTHON: &str = r#"
import sys, time
import pgq

class Reader(pgq.Consumer):
    def process_event(self, db, ev):
        now = time.time()
        run, sent = ev.data.split()
        self.out.write('%s %.6f\n' % (run, now - float(sent)))
        self.out.flush()
    def startup(self):
        super().startup()
        self.out = open(self.cf.get('output'), 'a')

Reader('reader', 'src_db', sys.argv[1:]).start()
"#;

/// Which run, and seconds from producer to callback.
type Seen = (u32, f64);

/// Runs the comparison.
///
/// # Errors
/// A peer is missing, a server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let python = settings.tools.python()?;
    let (debian, version) = Tools::debian_pgqd()?;
    let skytools = settings.tools.skytools()?;
    let cluster = ground::cluster()?;
    let original = ground::original(&cluster, "orig")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    let dir = workplace::directory()?;
    for db in ["orig", "ours"] {
        cluster.psql(db, "select pgq.create_queue('q'); select pgq.register_consumer('q', 'reader')")?;
    }
    let output = dir.path().join("seen");
    std::fs::write(&output, "")?;
    let script = dir.path().join("reader.py");
    std::fs::write(&script, PYTHON)?;
    let ini = dir.path().join("reader.ini");
    std::fs::write(
        &ini,
        format!(
            "[reader]\njob_name = reader\nsrc_db = {}\nqueue_name = q\noutput = {}\n",
            cluster.connstr("orig"),
            output.display()
        ),
    )?;
    let mut ours_pgqd = Command::new(skytools);
    ours_pgqd.arg("pgqd");
    let mut daemons = [
        pgqd(&cluster, dir.path().join("orig.ini"), "orig", Command::new(debian))?,
        pgqd(&cluster, dir.path().join("ours.ini"), "ours", ours_pgqd)?,
        Daemon::start(
            Command::new(python.interpreter()).args([&script, &ini]),
            &dir.path().join("reader.out"),
        )?,
    ];
    let reader = Reader::start(&cluster)?;
    let names = [
        format!("{original}, pgqd {version}, Python pgq.Consumer {}", python.pgq),
        format!("{ours}: SQL, pgqd, Rust consumer"),
    ];
    let producers = [Session::open(&cluster, "orig")?, Session::open(&cluster, "ours")?];
    let mut number = 0;
    for rate in RATES {
        let runs = rotate(names.len(), settings.rounds, |at| {
            number += 1;
            let count = produce(&producers[at], number, rate, settings.seconds)?;
            let seen = || match at {
                0 => from_file(&output),
                _ => reader.seen(),
            };
            let mut mine: Vec<f64> = Vec::new();
            wait_until("all events arrive", || {
                daemons.iter_mut().try_for_each(Daemon::check)?;
                mine = seen()?.into_iter().filter(|(run, _)| *run == number).map(|(_, s)| s * 1e3).collect();
                Ok(mine.len() >= count)
            })?;
            ensure!(mine.len() == count, "{} of {count} events were delivered", mine.len());
            mine.sort_by(f64::total_cmp);
            Ok((percentile(&mine, 50), percentile(&mine, 99)))
        })?;
        for (what, which, limit) in [("median", 0, 20.0), ("99th percentile", 1, 60.0)] {
            let pick = |run: &(f64, f64)| if which == 0 { run.0 } else { run.1 };
            Report {
                title: format!("latency at {rate} events/s, {what}"),
                unit: "ms",
                better: Better::Lower,
                reference: 0,
                figures: figures(&names, &runs, 1, &[Target::AtMost(limit)], pick),
            }
            .print(&settings.output);
        }
    }
    reader.stop()
}

fn pgqd(cluster: &Cluster, ini: PathBuf, db: &str, mut command: Command) -> Result<Daemon> {
    let all = cluster.connstr(db);
    let base = all.split(" dbname=").next().unwrap_or(&all);
    let place = ini.with_extension("");
    let place = place.display();
    std::fs::write(
        &ini,
        format!(
            "[pgqd]\nbase_connstr = {base}\ninitial_database = postgres\ndatabase_list = {db}\nsyslog = 0\nlogfile = {place}.log\npidfile = {place}.pid\n"
        ),
    )?;
    Daemon::start(command.arg(&ini), &ini.with_extension("out"))
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// Publishes at a steady rate, one event per transaction; returns how many.
fn produce(session: &Session, run: u32, rate: u32, seconds: u32) -> Result<usize> {
    let pause = Duration::from_secs(1) / rate;
    session.runtime.block_on(async {
        let mut clock = tokio::time::interval(pause);
        let client: &tokio_postgres::Client = &session.connection;
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < Duration::from_secs(seconds.into()) {
            clock.tick().await;
            let event = NewEvent::new("t", format!("{run} {:.6}", now()?));
            producer::insert_event(client, "q", &event).await?;
            count += 1;
        }
        Ok(count)
    })
}

fn from_file(path: &PathBuf) -> Result<Vec<Seen>> {
    let file = std::io::BufReader::new(std::fs::File::open(path)?);
    let mut seen = Vec::new();
    for line in file.lines() {
        let line = line?;
        // The last line may be half written.
        if let Some((run, seconds)) = line.split_once(' ')
            && seconds.split_once('.').is_some_and(|(_, fraction)| fraction.len() == 6)
        {
            seen.push((run.parse()?, seconds.parse()?));
        }
    }
    Ok(seen)
}

/// Our consumer, in a thread with a runtime of its own.
struct Reader {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Reader {
    fn start(cluster: &Cluster) -> Result<Reader> {
        let consumer = Consumer::new(ConnectString::parse(&cluster.connstr("ours"))?, "q", "reader");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let into = seen.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let until = async { stopped.await.unwrap_or_default() };
                consumer
                    .for_each_event(until, async |event| {
                        let now = now().map_err(|e| e.to_string())?;
                        let data = event.data().unwrap_or_default();
                        let (run, sent) = data.split_once(' ').ok_or("an event of another producer")?;
                        let entry = (run.parse::<u32>()?, now - sent.parse::<f64>()?);
                        into.lock().map_err(|e| e.to_string())?.push(entry);
                        Ok(Outcome::Done)
                    })
                    .await?;
                anyhow::Ok(())
            })
        });
        Ok(Reader { seen, stop, thread })
    }

    fn seen(&self) -> Result<Vec<Seen>> {
        ensure!(!self.thread.is_finished(), "our consumer ended");
        match self.seen.lock() {
            Ok(seen) => Ok(seen.clone()),
            Err(_) => bail!("our consumer panicked"),
        }
    }

    fn stop(self) -> Result<()> {
        self.stop.send(()).map_err(|()| anyhow::anyhow!("our consumer ended"))?;
        self.thread.join().map_err(|_| anyhow::anyhow!("our consumer panicked")).context("ending it")?
    }
}

/// The value below which `percent` of the sorted values lie (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(&values, 50) - 100.0).abs() < 1e-9);
        assert!((percentile(&values, 99) - 198.0).abs() < 1e-9);
        assert!((percentile(&values[..1], 99) - 1.0).abs() < 1e-9);
        assert!(percentile(&[], 50).is_nan());
    }
}
