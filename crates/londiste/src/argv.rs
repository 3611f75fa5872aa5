//! The original's command line, `[options] INI COMMAND [args]` with options anywhere, put into the order that the
//! parser understands: command, options, configuration file, arguments.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// First positional argument.
    pub ini: Option<OsString>,
    /// Second positional argument.
    pub command: Option<OsString>,
    /// Options with their values, in order.
    pub options: Vec<OsString>,
    /// All other positional arguments.
    pub args: Vec<OsString>,
}

impl Split {
    /// Takes `args` (without the program's name) apart. Whether an option takes a value is looked up in the
    /// definition of the command, once that is known.
    pub fn new(root: &Command, args: &[OsString]) -> Self {
        let all: Vec<&Command> = root.get_subcommands().collect();
        let first = split(&all, args);
        let named =
            first.command.as_deref().and_then(OsStr::to_str).and_then(|name| root.find_subcommand(name));
        match named {
            Some(command) => split(&[command], args),
            None => first,
        }
    }

    /// The command line in the parser's order. `COMMAND [options] -- INI args`.
    pub fn reordered(self, program: OsString) -> Vec<OsString> {
        let mut out = vec![program];
        out.extend(self.command);
        out.extend(self.options);
        out.push("--".into());
        out.extend(self.ini);
        out.extend(self.args);
        out
    }
}

fn split(commands: &[&Command], args: &[OsString]) -> Split {
    let mut out = Split::default();
    let mut positional = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            positional.extend(rest.by_ref().cloned());
        } else if let Some(name) = text.strip_prefix("--") {
            out.options.push(arg.clone());
            if !name.contains('=') && long_takes_value(commands, name) {
                out.options.extend(rest.next().cloned());
            }
        } else if text.len() > 1 && text.starts_with('-') {
            // No short option takes a value.
            out.options.push(arg.clone());
        } else {
            positional.push(arg.clone());
        }
    }
    let mut positional = positional.into_iter();
    out.ini = positional.next();
    out.command = positional.next();
    out.args = positional.collect();
    out
}

/// Whether the option that `name` means, itself or as a prefix of one, takes a value. An ambiguous prefix is the
/// parser's to complain about.
fn long_takes_value(commands: &[&Command], name: &str) -> bool {
    let options = || commands.iter().flat_map(|c| c.get_arguments());
    let exact = options().find(|a| a.get_long() == Some(name));
    let meant = exact.or_else(|| options().find(|a| a.get_long().is_some_and(|long| long.starts_with(name))));
    meant.is_some_and(takes_value)
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction;

    fn root() -> Command {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let value = |name: &'static str| Arg::new(name).long(name);
        Command::new("londiste")
            .subcommand(
                Command::new("add-table").arg(value("dest-table")).arg(flag("create")).arg(value("set")),
            )
            .subcommand(Command::new("status").arg(flag("compact")).arg(value("set")))
    }

    fn run(line: &str) -> Split {
        let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
        Split::new(&root(), &args)
    }

    fn parts(split: &Split) -> (String, String, String, String) {
        let one = |x: &Option<OsString>| x.clone().unwrap_or_default().into_string().unwrap();
        let many = |x: &[OsString]| x.join(OsStr::new(" ")).into_string().unwrap();
        (one(&split.ini), one(&split.command), many(&split.options), many(&split.args))
    }

    #[test]
    fn options_stand_anywhere() {
        let expected =
            ("c.ini".into(), "add-table".into(), "-v --create --dest-table x".into(), "a b".into());
        for line in [
            "-v --create --dest-table x c.ini add-table a b",
            "c.ini -v add-table --create a --dest-table x b",
            "c.ini add-table a b -v --create --dest-table x",
        ] {
            assert_eq!(parts(&run(line)), expected, "{line}");
        }
        assert_eq!(
            parts(&run("--dest x c.ini add-table --dest-table=y a")),
            ("c.ini".into(), "add-table".into(), "--dest x --dest-table=y".into(), "a".into())
        );
    }

    #[test]
    fn after_two_dashes_everything_is_positional() {
        assert_eq!(
            parts(&run("c.ini add-table -- --create -x")),
            ("c.ini".into(), "add-table".into(), String::new(), "--create -x".into())
        );
    }

    #[test]
    fn what_is_missing_is_missing() {
        assert_eq!(parts(&run("c.ini")), ("c.ini".into(), String::new(), String::new(), String::new()));
        assert_eq!(parts(&run("-V")).2, "-V");
        let line = run("c.ini status --compact").reordered("londiste".into());
        assert_eq!(line, ["londiste", "status", "--compact", "--", "c.ini"]);
    }
}
