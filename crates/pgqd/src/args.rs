//! The command line of the original: single-letter switches that may be joined, and one configuration file.

use std::ffi::OsString;
use std::path::PathBuf;

use skytools::program::CommonArgs;

/// Shown by `-h` and `--help`.
pub(crate) fn help(name: &str) -> String {
    format!("usage: {name} [switches] config.file\n\n{SWITCHES}")
}

const SWITCHES: &str = "\
Switches:
  -v      Say more; twice: everything
  -q      Say nothing on the terminal
  -d      Go into the background (needs a pidfile)
  -h      Show this help (also --help)
  -V      Show the version
  --ini   Show a sample configuration file

For a running pgqd, found by the configuration file's pidfile:
  -r      Reload the configuration (SIGHUP)
  -s      Stop after what is being done (SIGINT)
  -k      Stop at once (SIGTERM)
";

/// Shown by `--ini`.
pub(crate) const SAMPLE: &str = "\
[pgqd]

# log file; ~ is your home directory
logfile = /var/log/postgresql/pgqd.log

# process id file; needed for -d, -s, -k and -r
pidfile = /var/run/postgresql/pgqd.pid

## what to serve

# libpq connect string without dbname
#base_connstr =

# the database in which the list of databases is read
#initial_database = template1

# serve only these databases (comma separated) instead of all
#database_list =

# write to syslog too
#syslog = 1
#syslog_ident = pgqd
#syslog_facility = daemon

## how often, in seconds

# look for new and dropped databases, and for pgq in those without
#check_period = 60

# put events whose retry time has come back into their queues
#retry_period = 30

# rotate tables, and the other maintenance
#maint_period = 120

# make ticks
#ticker_period = 1

# log counts of ticks, maintenance rounds and retried events; 0: never
#stats_period = 30

# replace the ticker's connection
#connection_lifetime = 3600
";

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Help,
    Sample,
    Version,
    Run { file: PathBuf, common: CommonArgs },
}

/// Parses the arguments; an error is the text for standard error.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // As in the original, these two win wherever they stand.
    if arguments.iter().any(|a| a == "--help") {
        return Ok(Parsed::Help);
    }
    if arguments.iter().any(|a| a == "--ini") {
        return Ok(Parsed::Sample);
    }
    let mut common = CommonArgs::default();
    let mut files = Vec::new();
    let mut only_files = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let Some(switches) = text.strip_prefix('-').filter(|s| !only_files && !s.is_empty()) else {
            files.push(PathBuf::from(argument));
            continue;
        };
        if switches == "-" {
            only_files = true;
            continue;
        }
        for switch in switches.chars() {
            match switch {
                'h' => return Ok(Parsed::Help),
                'V' => return Ok(Parsed::Version),
                'v' => common.verbose = common.verbose.saturating_add(1),
                'q' => common.quiet = true,
                'd' => common.daemon = true,
                // Of several the last one counts.
                'r' | 's' | 'k' => {
                    (common.reload, common.stop, common.kill) = (switch == 'r', switch == 's', switch == 'k');
                }
                _ => return Err(format!("there is no switch {text}\n\n{SWITCHES}")),
            }
        }
    }
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(Parsed::Run { file, common }),
        (None, _) => Err("requires config file; --help shows the switches\n".to_owned()),
        (Some(_), false) => Err("takes one config file only; --help shows the switches\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Parsed, String> {
        super::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn switches_may_be_joined_and_stand_anywhere() {
        let Ok(Parsed::Run { file, common }) = parse(&["-vd", "x.ini", "-v"]) else {
            panic!("not understood")
        };
        assert_eq!(file, PathBuf::from("x.ini"));
        assert!(common.daemon && !common.quiet && common.verbose == 2);
        let Ok(Parsed::Run { common, .. }) = parse(&["-r", "-s", "--", "-x.ini"]) else {
            panic!("not understood")
        };
        assert!(common.stop && !common.reload);
        assert!(matches!(parse(&["-x", "--help"]), Ok(Parsed::Help)));
        assert!(matches!(parse(&["a", "b", "--ini"]), Ok(Parsed::Sample)));
        assert!(matches!(parse(&["-V"]), Ok(Parsed::Version)));
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        assert!(parse(&[]).unwrap_err().contains("config file"));
        assert!(parse(&["-q"]).unwrap_err().contains("config file"));
        assert!(parse(&["a", "b"]).unwrap_err().contains("one"));
        assert!(parse(&["-dx", "a"]).unwrap_err().contains("-dx"));
        assert!(parse(&["--nonsense", "a"]).is_err());
    }

    #[test]
    fn the_sample_is_a_configuration() {
        let text = SAMPLE.replace("\n#", "\n").replace("\n# ", "\n#");
        assert!(text.contains("ticker_period = 1"));
        skytools::config::Config::from_text(SAMPLE, &["pgqd"], &[]).unwrap();
    }
}
