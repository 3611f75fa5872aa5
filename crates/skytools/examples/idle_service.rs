//! The smallest service: it counts its rounds until it is told to stop.
//!
//! ```text
//! printf '[idle_service]\npidfile = /tmp/idle.pid\nloop_delay = 5\n' > /tmp/idle.ini
//! cargo run -p skytools --example idle_service -- -v /tmp/idle.ini
//! ```

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use skytools::Result;
use skytools::config::Config;
use skytools::program::{CommonArgs, Program, run};
use skytools::service::{Job, Turn, Work, run_loop};

fn program() -> Program {
    Program {
        template: &["# 1: the first round never ends\n#hang = 0\n"],
        ..Program::new("idle_service", &["idle_service", "idle"])
    }
}

/// Counts rounds.
#[derive(Parser)]
#[command(disable_version_flag = true)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    /// The configuration file.
    ini: Option<PathBuf>,
}

struct Counter {
    hang: bool,
    message: String,
}

impl Job for Counter {
    async fn work(&mut self, turn: &mut Turn) -> Result<Work> {
        turn.stats.increase("rounds", 1);
        tracing::info!(message_key = %self.message, "at work");
        if self.hang {
            std::future::pending::<()>().await;
        }
        Ok(Work::Idle)
    }

    fn reload(&mut self, config: &Config) -> Result<()> {
        self.message = config.get_or("message", "none")?;
        Ok(())
    }

    async fn reset(&mut self) {
        tracing::debug!("nothing to reset");
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(&program(), &cli.common, cli.ini.as_deref(), async |mut config, signals| {
        let mut job = Counter { hang: config.get_bool("hang", false)?, message: String::new() };
        job.reload(&config)?;
        let name = config.job_name();
        run_loop(&name, &mut config, &signals, job).await?;
        Ok(ExitCode::SUCCESS)
    })
}
