//! Reading one large batch of events of 200 bytes.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pgq::batch::{self, BatchLimits};
use skytools::install::Module;

use crate::harness::rotate;
use crate::report::{Better, Report, Target, figures};
use crate::session::Session;
use crate::{Settings, ground, program};

/// Consumes one batch with the library's defaults and prints the seconds it took, without the start of Python.
const PYTHON: &str = r#"
import sys, time
import pgq

class Reader(pgq.Consumer):
    count = 0
    def process_event(self, db, ev):
        self.count += 1
    def work(self):
        self.get_database('src_db')
        self.began = time.perf_counter()
        result = super().work()
        print(self.count, time.perf_counter() - self.began)
        self.stop()
        return result

Reader('reader', 'src_db', sys.argv[1:]).start()
"#;

/// Runs the comparison.
///
/// # Errors
/// A server or a contender fails.
pub fn run(settings: &Settings) -> Result<()> {
    let events = settings.scaled(500_000);
    let python = settings.tools.python()?;
    let cluster = ground::cluster()?;
    ground::original(&cluster, "orig")?;
    let ours = ground::ours(&cluster, "ours", &[Module::Pgq])?;
    let dir = tempfile::tempdir()?;
    for db in ["orig", "ours"] {
        cluster.psql(
            db,
            &format!(
                "select pgq.create_queue('q'); select pgq.register_consumer('q', 'reader');
                 insert into pgq.event_1_0 (ev_id, ev_time, ev_type, ev_data)
                    select nextval('pgq.event_1_id_seq'), now(), 'type', repeat('x', 200) from generate_series(1, {events});
                 select pgq.ticker('q'); vacuum analyze pgq.event_1_0;",
            ),
        )?;
    }
    let ini = dir.path().join("reader.ini");
    let script = dir.path().join("reader.py");
    std::fs::write(&script, PYTHON)?;
    std::fs::write(
        &ini,
        format!("[reader]\njob_name = reader\nsrc_db = {}\nqueue_name = q\n", cluster.connstr("orig")),
    )?;
    // Every run reads the same batch.
    let again = "select pgq.register_consumer_at('q', 'reader', 1)";
    let session = Session::open(&cluster, "ours")?;

    let copied = || ground::seconds(&cluster, "ours", "\\o /dev/null\ncopy pgq.event_1_0 to stdout");
    let by_python = || {
        cluster.psql("orig", again)?;
        let printed =
            program::succeed(Command::new(python.interpreter()).args([script.as_os_str(), ini.as_os_str()]))?;
        let (count, seconds) = printed.trim().split_once(' ').context("what the Python consumer prints")?;
        ensure!(count.parse::<u64>()? == events, "Python read {count} of {events} events");
        Ok(seconds.parse()?)
    };
    let by_ours = || {
        cluster.psql("ours", again)?;
        let client: &tokio_postgres::Client = &session.connection;
        session.runtime.block_on(async {
            let began = Instant::now();
            let info = batch::next_batch(client, "q", "reader", &BatchLimits::default())
                .await?
                .context("a batch")?;
            let mut stream = batch::events(client, info.batch_id, None).await?;
            let (mut count, mut bytes) = (0, 0);
            while let Some(event) = stream.next_event().await? {
                count += 1;
                bytes += event.data().map_or(0, str::len);
            }
            batch::finish_batch(client, info.batch_id).await?;
            ensure!(count == events && bytes > 0, "{count} of {events} events were read");
            Ok(began.elapsed().as_secs_f64())
        })
    };
    let names = [
        "COPY table TO STDOUT".to_owned(),
        format!("Python pgq.Consumer {} on PgQ 3.5 (C)", python.pgq),
        format!("{ours} Rust consumer"),
    ];
    let runs = rotate(names.len(), settings.rounds, |at| match at {
        0 => copied(),
        1 => by_python(),
        _ => by_ours(),
    })?;
    Report {
        title: format!("read one batch of {events} events of 200 bytes"),
        unit: "s",
        better: Better::Lower,
        reference: 0,
        figures: figures(&names, &runs, 2, &[Target::Ratio(0, 0.6), Target::Ratio(1, 5.0)], |seconds| {
            *seconds
        }),
    }
    .print(&settings.output);
    Ok(())
}
