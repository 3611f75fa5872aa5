//! Our queue and the original's programs, both ways: a Python consumer and producer, Debian's pgqd, the original
//! extension. Real processes throughout.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pgq::consumer::{Consumer, Outcome};
use pgq::{NewEvent, producer, queue};
use skytools::db::ConnectString;
use testkit::{PATIENCE, Process};

const QUEUE: &str = "interop";

/// Writes each event as a line of JSON; the first delivery of type "again" is put back.
const PYTHON_CONSUMER: &str = r#"
import json, sys
import pgq

class Writer(pgq.Consumer):
    def process_event(self, db, ev):
        with open(self.cf.get('output'), 'a') as f:
            fields = [ev.id, ev.type, ev.data, ev.extra1, ev.extra2, ev.extra3, ev.extra4, ev.retry]
            f.write(json.dumps(fields) + '\n')
        if ev.type == 'again' and ev.retry is None:
            ev.tag_retry(0)
        else:
            ev.tag_done()

Writer('writer', 'src_db', sys.argv[1:]).start()
"#;

/// Writes events singly and in bulk, as Python producers do.
const PYTHON_PRODUCER: &str = r#"
import sys, datetime
import psycopg2
import pgq.producer

db = psycopg2.connect(sys.argv[1])
curs = db.cursor()
pgq.producer.insert_event(curs, sys.argv[2], 'single', 'tab\tbackslash\\ ü \U0001F600', extra4='')
now = datetime.datetime.now(datetime.timezone.utc)
rows = [[now, 'bulk', 'row %d' % n, None] for n in range(1000)]
pgq.producer.bulk_insert_events(curs, rows, ['time', 'type', 'data', 'extra1'], sys.argv[2])
db.commit()
"#;

/// Debian's pgqd on one database, ticking as fast as it can.
fn debian_pgqd(dir: &Path, db: &str) -> Result<Process> {
    let connstr = testkit::shared_cluster()?.connstr(db);
    let (base, _) = connstr.split_once(" dbname=").context("a connect string")?;
    let config = dir.join("pgqd.ini");
    let text = format!(
        "[pgqd]\nbase_connstr = {base}\ninitial_database = postgres\ndatabase_list = {db}\n\
         ticker_period = 0.05\nretry_period = 0.2\nmaint_period = 1\ncheck_period = 1\nsyslog = 0\n\
         pidfile = {0}/pgqd.pid\nlogfile = {0}/pgqd.log\n",
        dir.display()
    );
    std::fs::write(&config, text)?;
    Process::command(testkit::debian_originals()?.pgqd).args([config]).label("Debian's pgqd").start()
}

fn awkward() -> Vec<NewEvent<'static>> {
    let controls: String = (1..=0x1f_u8).chain([0x7f]).map(char::from).collect();
    vec![
        NewEvent::empty(),
        NewEvent::new("", "").extra1("").extra2("").extra3("").extra4(""),
        NewEvent::new("type", "ü \u{1F600} \\N \\. 'q' \"q\" %s {} null").extra2("two").extra4("four"),
        NewEvent::new("controls", controls),
        NewEvent::new("long", "x".repeat(100_000)),
        NewEvent::new("again", "comes twice"),
    ]
}

type Line = (i64, [Option<String>; 6], Option<i32>);

fn lines(path: &Path) -> Result<Vec<Line>> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(Vec::new()) };
    // The last line may be half written.
    text.lines()
        .filter(|l| l.ends_with(']'))
        .map(|line| {
            let (id, a, b, c, d, e, f, retry) = serde_json::from_str(line)?;
            Ok((id, [a, b, c, d, e, f], retry))
        })
        .collect()
}

#[tokio::test]
async fn a_python_consumer_reads_our_queue_ticked_by_debians_pgqd() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let db = testkit::database().await?;
    let mut client = db.connect().await?;
    queue::create_queue(&client, QUEUE).await?;
    let output = dir.path().join("events.json");
    let (script, config) = (dir.path().join("writer.py"), dir.path().join("writer.ini"));
    std::fs::write(&script, PYTHON_CONSUMER)?;
    std::fs::write(
        &config,
        format!(
            "[writer]\njob_name = python_writer\nsrc_db = {}\nqueue_name = {QUEUE}\nloop_delay = 0.1\noutput = {}\n",
            db.connstr(),
            output.display()
        ),
    )?;
    let python = testkit::python()?.python();
    let program = |extra: Option<&str>| {
        let args = [script.display().to_string(), config.display().to_string()];
        Process::command(&python).args(args).args(extra).label("the Python consumer")
    };
    program(Some("--register")).succeed(PATIENCE).await?;
    ensure!(
        queue::consumer_info(&client, QUEUE, "python_writer").await?.is_some(),
        "Python registered itself"
    );

    let pgqd = debian_pgqd(dir.path(), db.name())?;
    let consumer = program(None).start()?;
    let mut expected = Vec::new();
    for event in awkward() {
        let id = producer::insert_event(&client, QUEUE, &event).await?;
        expected.push((id, event.texts().map(|t| t.map(str::to_owned))));
    }
    producer::insert_events(&mut client, QUEUE, (0..2000).map(|n| NewEvent::new("n", n.to_string()))).await?;

    let seen = testkit::wait_for("every event in Python's file", PATIENCE, async || {
        let seen = lines(&output)?;
        Ok((seen.len() >= expected.len() + 2001).then_some(seen))
    })
    .await?;
    let (first, again): (Vec<_>, Vec<_>) = seen.into_iter().partition(|(.., retry)| retry.is_none());
    assert_eq!(
        first.iter().map(|(id, t, _)| (*id, t.clone())).take(expected.len()).collect::<Vec<_>>(),
        expected
    );
    let numbers: Vec<_> = first[expected.len()..].iter().filter_map(|(_, t, _)| t[1].clone()).collect();
    assert_eq!(numbers, (0..2000).map(|n| n.to_string()).collect::<Vec<_>>());
    // pgqd moved the one that was put back.
    let (id, texts) = expected.last().context("an event")?;
    assert_eq!(again, [(*id, texts.clone(), Some(1))]);
    drop((consumer, pgqd));
    Ok(())
}

#[tokio::test]
async fn our_consumer_reads_our_queue_that_debians_pgqd_ticks() -> Result<()> {
    let db = testkit::database().await?;
    both_ways(&db).await
}

#[tokio::test]
async fn our_consumer_reads_a_queue_of_the_original_extension() -> Result<()> {
    testkit::debian_originals()?;
    let db = testkit::empty_database().await?;
    db.psql("create extension pgq")?;
    both_ways(&db).await
}

/// A Python producer, Debian's pgqd, our consumer: once with a retry that pgqd moves.
async fn both_ways(db: &testkit::TestDb) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let client = db.connect().await?;
    queue::create_queue(&client, QUEUE).await?;
    let consumer = Consumer::new(ConnectString::parse(db.connstr())?, QUEUE, "ours")
        .poll_interval(Duration::from_millis(20));
    ensure!(consumer.register().await?);
    let pgqd = debian_pgqd(dir.path(), db.name())?;
    let script = dir.path().join("producer.py");
    std::fs::write(&script, PYTHON_PRODUCER)?;
    Process::command(testkit::python()?.python())
        .args([script.as_os_str()])
        .args([db.connstr(), QUEUE])
        .label("the Python producer")
        .succeed(PATIENCE)
        .await?;

    let (mut seen, mut retried) = (Vec::new(), None);
    let (done, all) = tokio::sync::oneshot::channel::<()>();
    let mut done = Some(done);
    let running = consumer.for_each_event(async move { all.await.unwrap_or_default() }, async |event| {
        if event.retry().is_some() {
            retried = Some((event.id(), event.retry()));
            if let Some(done) = done.take() {
                done.send(()).map_err(|()| "nobody waits")?;
            }
            return Ok(Outcome::Done);
        }
        seen.push((event.id(), event.texts().map(|t| t.map(str::to_owned))));
        Ok(if event.data() == Some("row 500") { Outcome::Retry(Duration::ZERO) } else { Outcome::Done })
    });
    tokio::time::timeout(PATIENCE, running)
        .await
        .context("our consumer did not see the retried event in time")??;

    assert_eq!(seen.len(), 1001);
    let text = |t: &str| Some(t.to_owned());
    let single = [text("single"), text("tab\tbackslash\\ ü \u{1F600}"), None, None, None, text("")];
    assert_eq!(seen[0].1, single);
    for (n, (_, texts)) in seen[1..].iter().enumerate() {
        assert_eq!(texts, &[text("bulk"), text(&format!("row {n}")), None, None, None, None]);
    }
    assert_eq!(retried, Some((seen[501].0, Some(1))));
    drop(pgqd);
    Ok(())
}
