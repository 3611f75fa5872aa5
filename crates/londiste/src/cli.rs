//! The command line of `londiste INI COMMAND [args]`.
//!
//! Exit status: 0, 1 for errors, 2 for options that the parser refuses, 3 for an unhealthy `status --check`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use pgq::cascade::NodeType;
use skytools::Result;
use skytools::config::Config;
use skytools::program::{self, CommonArgs, PidfileUse, Program, print};
use skytools::service::Signals;

use crate::argv::Split;
use crate::command::expansion::full_name;
use crate::command::session::{Session, expect_args};
use crate::command::{
    add_seq, add_table, change_handler, change_provider, create_node, drop_node, execute, members, missing,
    node_info, pause, refresh_trigger, remove_seq, remove_table, resync, seqs, show_handlers, status, tables,
    tag_dead, wait_node, wait_sync,
};
use crate::{compare, copy, worker};

/// The program: both generations' section names are understood.
pub const PROGRAM: Program = Program::new("londiste", &["londiste", "londiste3"]);

/// Keys of the sample configuration.
pub const TEMPLATE: &str = "\
# database of this node
db = dbname=mydb

# queue that the node belongs to, the same on all nodes
queue_name = replika

# for create-*, instead of arguments: name of the node, connect string under which other nodes reach it (without
# password), connect string of the node to read from
#node_name =
#public_node_location =
#initial_provider_location =

# added to the connect strings of other nodes, such as: user=londiste sslmode=verify-full
#remote_extra_connstr =

# how many tables are copied at once
#parallel_copies = 1

# seconds that add-table waits for a lock
#lock_timeout = 10

# only these tables and sequences enter the lists of this node; not these
#register_only_tables =
#register_only_seqs =
#register_skip_tables =
#register_skip_seqs =
";

/// Table replication on PgQ.
#[derive(Debug, clap::Parser)]
#[command(
    name = "londiste",
    disable_version_flag = true,
    infer_long_args = true,
    subcommand_required = true,
    override_usage = "londiste [OPTIONS] INI COMMAND [ARGS]",
    after_help = "Options may stand anywhere and may be abbreviated. `londiste COMMAND --help` describes a command."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The options of every command, the configuration file, and a command's own arguments.
#[derive(Debug, clap::Args)]
struct With<T: clap::Args> {
    #[command(flatten)]
    common: CommonArgs,
    /// Configuration file.
    #[arg(value_name = "INI")]
    ini: PathBuf,
    #[command(flatten)]
    args: T,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make this database the root of a queue.
    CreateRoot(With<create_node::Args>),
    /// Make this database a node that holds a copy of the queue.
    CreateBranch(With<create_node::Args>),
    /// Make this database a node that only receives.
    CreateLeaf(With<create_node::Args>),
    /// Pause the node's worker.
    Pause(With<pause::Args>),
    /// Let the node's worker go on.
    Resume(With<pause::Args>),
    /// Wait until the node has caught up with the root.
    WaitRoot(With<wait_node::Args>),
    /// Wait until the node has caught up with its provider.
    WaitProvider(With<wait_node::Args>),
    /// Wait until all tables are in sync.
    WaitSync(With<wait_sync::Args>),
    /// Show all nodes.
    Status(With<status::Args>),
    /// Show the local node.
    NodeStatus(With<status::NodeArgs>),
    /// Show where the local node and its provider are.
    NodeInfo(With<node_info::Args>),
    /// Show the nodes that are known here.
    Members(With<members::Args>),
    /// Read from another node.
    ChangeProvider(With<change_provider::Args>),
    /// Remove a node from the cascade.
    DropNode(With<drop_node::Args>),
    /// Tell all nodes that one is gone.
    TagDead(With<tag_dead::Args>),
    /// Tell all nodes that one is back.
    TagAlive(With<tag_dead::Args>),
    /// Replicate tables.
    AddTable(With<add_table::Args>),
    /// Stop replicating tables.
    RemoveTable(With<remove_table::Args>),
    /// Change the handler of a table.
    ChangeHandler(With<change_handler::Args>),
    /// Write the generated capture of tables anew.
    RefreshTrigger(With<refresh_trigger::Args>),
    /// Replicate sequences.
    AddSeq(With<add_seq::Args>),
    /// Stop replicating sequences.
    RemoveSeq(With<remove_seq::Args>),
    /// Copy tables again.
    Resync(With<resync::Args>),
    /// Run SQL files on the root and have all nodes run them.
    Execute(With<execute::Args>),
    /// Accepted and without effect, as in SkyTools 3.
    #[command(hide = true)]
    Check(With<Nothing>),
    /// Accepted and without effect, as in SkyTools 3.
    #[command(hide = true)]
    Fkeys(With<Nothing>),
    /// Show the tables of this node.
    Tables(With<tables::Args>),
    /// Show the sequences of the queue.
    Seqs(With<seqs::Args>),
    /// Show what could be added to this node.
    Missing(With<missing::Args>),
    /// Show the handlers that tables may have.
    ShowHandlers(With<show_handlers::Args>),
    /// Replay events on this node, and copy its tables.
    Worker(With<worker::Args>),
    /// Copy one table in a process of its own.
    Copy(With<copy::Args>),
    /// Compare tables with their source; the exit status is the number that differ.
    Compare(With<compare::Args>),
}

/// No arguments of its own.
#[derive(Debug, clap::Args)]
struct Nothing {
    #[arg(hide = true)]
    args: Vec<String>,
}

/// Runs the program; the first of `args` is its name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_else(|| "londiste".into());
    let given: Vec<OsString> = args.collect();
    let root = Cli::command();
    let split = Split::new(&root, &given);
    if let Some(code) = without_command(&root, &split) {
        return code;
    }
    match Cli::try_parse_from(split.reordered(program)) {
        Ok(cli) => dispatch(cli.command),
        Err(e) => refused(&e),
    }
}

/// What can be answered without a command: help, version, sample configuration, and what is missing.
fn without_command(root: &clap::Command, split: &Split) -> Option<ExitCode> {
    let asked = |names: &[&str]| split.options.iter().any(|o| names.iter().any(|n| o == OsStr::new(n)));
    let known = |name: &OsStr| name.to_str().is_some_and(|n| root.find_subcommand(n).is_some());
    if split.command.as_deref().is_some_and(known) {
        return None;
    }
    if asked(&["--ini", "-V", "--version"]) && split.command.is_none() {
        let common = parse_common(split)?;
        return Some(program::run(&program_of(PidfileUse::None), &common, None, |_, _| async {
            Ok(ExitCode::SUCCESS)
        }));
    }
    if asked(&["-h", "--help"]) {
        let mut root = root.clone();
        // `londiste COMMAND --help`: the command stands where the configuration file would.
        let command =
            split.ini.as_deref().and_then(OsStr::to_str).and_then(|name| root.find_subcommand_mut(name));
        let help = match command {
            Some(command) => command
                .clone()
                .override_usage(format!("londiste [OPTIONS] INI {}", command.get_name()))
                .render_help(),
            None => root.render_help(),
        };
        say(&help.to_string());
        return Some(ExitCode::SUCCESS);
    }
    match (&split.ini, &split.command) {
        (None, _) => say("need config file, use --help for help.\n"),
        (Some(ini), None) if known(ini) => {
            say(&format!("need config file: write \"londiste INI {}\"\n", ini.to_string_lossy()));
        }
        (Some(ini), None) if asked(&["-s", "--stop", "-k", "--kill", "-r", "--reload"]) => {
            say(&format!(
                "need command: what runs is the worker, write \"londiste {} worker\"\n",
                ini.to_string_lossy()
            ));
        }
        (Some(_), None) => say("need command, use --help for help\n"),
        (Some(_), Some(command)) => {
            say(&format!("Unknown command '{}', use --help for help\n", command.to_string_lossy()));
        }
    }
    Some(ExitCode::from(1))
}

fn say(text: &str) {
    if let Err(e) = print(text) {
        tracing::error!("{}", e.chain());
    }
}

/// The common options alone. `None` when there are others: then the parser says what is wrong.
fn parse_common(split: &Split) -> Option<CommonArgs> {
    #[derive(clap::Parser)]
    #[command(disable_version_flag = true, infer_long_args = true)]
    struct Alone {
        #[command(flatten)]
        common: CommonArgs,
    }
    let args = std::iter::once(OsString::from("londiste")).chain(split.options.iter().cloned());
    Alone::try_parse_from(args).ok().map(|alone| alone.common)
}

/// The parser's message; status 2, or 0 for help. Nowhere is left to report that the terminal is gone.
fn refused(error: &clap::Error) -> ExitCode {
    drop(error.print());
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// The program with the pidfile that a command uses: those that only look use none.
fn program_of(pidfile: PidfileUse) -> Program {
    Program { pidfile, template: &[TEMPLATE], ..PROGRAM }
}

const ADMIN: PidfileUse = PidfileUse::Suffix(Cow::Borrowed(".admin"));

/// Runs one administrative command.
fn admin<T, F>(pidfile: PidfileUse, with: With<T>, run: F) -> ExitCode
where
    T: clap::Args,
    F: AsyncFnOnce(&Session, &T) -> Result<ExitCode>,
{
    let With { common, ini, args } = with;
    let path = ini.clone();
    program::run(&program_of(pidfile), &common, Some(&path), async move |config, signals| {
        let session = Session::new(config, ini, signals)?;
        run(&session, &args).await
    })
}

/// Runs what works on its own with the configuration: worker, copy, compare.
fn daemon<T, F, Fut>(pidfile: PidfileUse, with: With<T>, run: F) -> ExitCode
where
    T: clap::Args,
    F: FnOnce(Config, T, Signals) -> Fut,
    Fut: Future<Output = Result<ExitCode>>,
{
    let With { common, ini, args } = with;
    program::run(&program_of(pidfile), &common, Some(&ini), |config, signals| run(config, args, signals))
}

fn nothing(command: &str, given: &Nothing) -> Result<ExitCode> {
    expect_args(command, &given.args, &[])?;
    Ok(ExitCode::SUCCESS)
}

fn dispatch(command: Command) -> ExitCode {
    use PidfileUse::None as NoPidfile;
    match command {
        Command::CreateRoot(w) => admin(ADMIN, w, async |s, a| create_node::run(s, NodeType::Root, a).await),
        Command::CreateBranch(w) => {
            admin(ADMIN, w, async |s, a| create_node::run(s, NodeType::Branch, a).await)
        }
        Command::CreateLeaf(w) => admin(ADMIN, w, async |s, a| create_node::run(s, NodeType::Leaf, a).await),
        Command::Pause(w) => admin(ADMIN, w, async |s, a| pause::run(s, true, a).await),
        Command::Resume(w) => admin(ADMIN, w, async |s, a| pause::run(s, false, a).await),
        Command::WaitRoot(w) => {
            admin(ADMIN, w, async |s, a| wait_node::run(s, wait_node::Target::Root, a).await)
        }
        Command::WaitProvider(w) => {
            admin(ADMIN, w, async |s, a| wait_node::run(s, wait_node::Target::Provider, a).await)
        }
        Command::WaitSync(w) => admin(NoPidfile, w, wait_sync::run),
        Command::Status(w) => admin(NoPidfile, w, status::run),
        Command::NodeStatus(w) => admin(NoPidfile, w, status::run_node),
        Command::NodeInfo(w) => admin(NoPidfile, w, node_info::run),
        Command::Members(w) => admin(ADMIN, w, members::run),
        Command::ChangeProvider(w) => admin(ADMIN, w, change_provider::run),
        Command::DropNode(w) => admin(ADMIN, w, drop_node::run),
        Command::TagDead(w) => admin(ADMIN, w, async |s, a| tag_dead::run(s, true, a).await),
        Command::TagAlive(w) => admin(ADMIN, w, async |s, a| tag_dead::run(s, false, a).await),
        Command::AddTable(w) => admin(ADMIN, w, add_table::run),
        Command::RemoveTable(w) => admin(ADMIN, w, remove_table::run),
        Command::ChangeHandler(w) => admin(ADMIN, w, change_handler::run),
        Command::RefreshTrigger(w) => admin(ADMIN, w, refresh_trigger::run),
        Command::AddSeq(w) => admin(ADMIN, w, add_seq::run),
        Command::RemoveSeq(w) => admin(ADMIN, w, remove_seq::run),
        Command::Resync(w) => admin(ADMIN, w, resync::run),
        Command::Execute(w) => admin(ADMIN, w, execute::run),
        Command::Check(w) => admin(NoPidfile, w, async |_, a: &Nothing| nothing("check", a)),
        Command::Fkeys(w) => admin(NoPidfile, w, async |_, a: &Nothing| nothing("fkeys", a)),
        Command::Tables(w) => admin(NoPidfile, w, tables::run),
        Command::Seqs(w) => admin(NoPidfile, w, seqs::run),
        Command::Missing(w) => admin(NoPidfile, w, missing::run),
        Command::ShowHandlers(w) => admin(NoPidfile, w, async |_, a| show_handlers::run(a)),
        Command::Worker(w) => daemon(PidfileUse::Main, w, worker::command),
        Command::Compare(w) => daemon(PidfileUse::Suffix(".repair".into()), w, compare::command),
        Command::Copy(w) => {
            let suffix = format!(".copy.{}", full_name(&w.args.table));
            daemon(PidfileUse::Suffix(suffix.into()), w, copy::command)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> std::result::Result<Command, clap::error::ErrorKind> {
        let args: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let split = Split::new(&Cli::command(), &args);
        Cli::try_parse_from(split.reordered("londiste".into())).map(|c| c.command).map_err(|e| e.kind())
    }

    #[test]
    fn options_anywhere_and_abbreviated() {
        for line in [
            "-v c.ini add-table a --wait --dest-t=b",
            "--dest-t b c.ini --wait-s add-table -v a",
            "c.ini add-table --wait-sync -v --dest-table b a",
        ] {
            let Ok(Command::AddTable(with)) = parse(line) else { panic!("{line}") };
            assert_eq!(with.ini, PathBuf::from("c.ini"), "{line}");
            assert_eq!(with.common.verbose, 1, "{line}");
            let text = format!("{:?}", with.args);
            assert!(text.contains("tables: [\"a\"]") && text.contains("wait_sync: true"), "{line}: {text}");
            assert!(text.contains("dest_table: Some(\"b\")"), "{line}: {text}");
        }
    }

    #[test]
    fn what_the_parser_refuses() {
        use clap::error::ErrorKind;
        assert_eq!(parse("c.ini status --all").unwrap_err(), ErrorKind::UnknownArgument);
        // --create is a name of its own, --cr could be --create or --create-full.
        assert!(parse("c.ini add-table --create a").is_ok());
        assert!(parse("c.ini add-table --cr a").is_err());
        assert_eq!(
            parse("c.ini add-table --find-copy-node --copy-node=x a").unwrap_err(),
            ErrorKind::ArgumentConflict
        );
    }

    #[test]
    fn names_that_look_like_options_come_after_two_dashes() {
        let Ok(Command::AddTable(with)) = parse("c.ini add-table -- --create") else { panic!() };
        assert!(format!("{:?}", with.args).contains("tables: [\"--create\"]"));
    }
}
