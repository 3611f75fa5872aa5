//! Tests of the program frame.

use clap::Parser;

use super::*;

#[derive(Parser)]
#[command(disable_version_flag = true)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    ini: Option<PathBuf>,
}

fn parse(args: &[&str]) -> CommonArgs {
    Cli::try_parse_from([&["prog"], args].concat()).unwrap().common
}

#[test]
fn the_last_control_switch_wins() {
    assert_eq!(parse(&[]).signal(), None);
    assert_eq!(parse(&["-r", "-s"]).signal(), Some(Signal::SIGINT));
    assert_eq!(parse(&["-s", "-k", "-r"]).signal(), Some(Signal::SIGHUP));
    assert_eq!(parse(&["--kill", "-k"]).signal(), Some(Signal::SIGTERM));
}

#[test]
fn verbosity() {
    assert_eq!(parse(&["-q"]).verbosity(), -1);
    assert_eq!(parse(&["-q", "-v"]).verbosity(), 1);
    assert_eq!(parse(&["-vvv"]).verbosity(), 2);
}

#[test]
fn overrides() {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(parse(&["--set", " A = b=c ", "--set=x="]).set, [pair("a", "b=c"), pair("x", "")]);
    for bad in ["x", "=y"] {
        assert!(Cli::try_parse_from(["prog", "--set", bad]).is_err());
    }
}

#[test]
fn template_with_overrides() {
    let fragments = ["# the queue\nqueue = \n#delay = 1\nname = old\nkeep = 1\n", "\n", "last = 2\n"];
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let set =
        [pair("queue", "q"), pair("delay", "5"), pair("name", "new"), pair("more", "m"), pair("delay", "6")];
    let text = render_template("sec", &fragments, &set);
    assert_eq!(
        text,
        "[sec]\n\n# the queue\nqueue = q\n#delay = 1\ndelay = 6\n#name = old\nname = new\nkeep = 1\n\nlast = 2\n\nmore = m\n"
    );
}

#[test]
fn the_sample_is_a_valid_configuration() {
    let text = render_template("sec", &[BASE_TEMPLATE], &[]);
    let config = Config::from_text(&text, &["sec"], &[]).unwrap();
    assert!(config.get_file("pidfile").unwrap().is_some_and(|path| path.ends_with("pid/sec.pid")));
}

/// A child process that is ended when the test ends.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start() -> Sleeper {
        Sleeper(std::process::Command::new("sleep").arg("600").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn control_switches_reach_the_process_of_the_same_command() {
    use std::os::unix::process::ExitStatusExt as _;
    let dir = tempfile::tempdir().unwrap();
    let ini = dir.path().join("p.ini");
    std::fs::write(&ini, format!("[prog]\npidfile = {}/p.pid\n", dir.path().display())).unwrap();
    let (mut worker, mut copy) = (Sleeper::start(), Sleeper::start());
    let pidfile = |name: &str, process: &Sleeper| {
        std::fs::write(dir.path().join(name), format!("{}\n", process.0.id())).unwrap();
    };
    pidfile("p.pid", &worker);
    pidfile("p.pid.copy.a.b", &copy);
    let send = |pidfile: PidfileUse| {
        let program = Program { pidfile, ..Program::new("prog", &["prog"]) };
        let body = |_, _| async { panic!("nothing is run when a signal is sent") };
        run(&program, &parse(&["-q", "-k"]), Some(&ini), body)
    };
    assert_eq!(send(PidfileUse::None), ExitCode::SUCCESS);
    assert_eq!(send(PidfileUse::Suffix(".copy.a.b".into())), ExitCode::SUCCESS);
    assert_eq!(copy.0.wait().unwrap().signal(), Some(15));
    assert!(worker.0.try_wait().unwrap().is_none(), "the signal went to the worker");
    assert_eq!(send(PidfileUse::Main), ExitCode::SUCCESS);
    assert_eq!(worker.0.wait().unwrap().signal(), Some(15));
}
