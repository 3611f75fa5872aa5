//! Databases with a configuration file each, and the program to call.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use testkit::{Process, Spawn, TestDb};

/// No command of these tests takes longer on any machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The `londiste` program, without arguments.
pub fn londiste() -> Result<Spawn> {
    // Built with the tests of this crate: target/debug/examples, beside target/debug/deps of this test.
    let test = std::env::current_exe()?;
    let path = test.ancestors().nth(2).context("this test's directory")?.join("examples").join("londiste");
    ensure!(path.is_file(), "{} is not built", path.display());
    Ok(Process::command(path))
}

/// What a finished command said.
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Fails unless the status is 0; returns standard output.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Fails unless the status is `code` and every word was said.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) {
        let text = format!("{}{}", self.stdout, self.stderr);
        assert_eq!(self.code, code, "{text}");
        for word in words {
            assert!(text.contains(word), "does not say {word:?}:\n{text}");
        }
    }

    /// Fails unless the status is 0 and every word was said.
    #[track_caller]
    pub fn says(self, words: &[&str]) {
        self.fails(0, words);
    }
}

/// A database and the configuration of a node in it.
pub struct Node {
    pub db: TestDb,
    dir: TempDir,
}

impl Node {
    /// An empty database, configuration for queue `q`, job `job`.
    pub async fn new(job: &str) -> Result<Node> {
        let node = Node { db: testkit::empty_database().await?, dir: tempfile::tempdir()? };
        node.write(
            "node.ini",
            &format!(
                "[londiste]\njob_name = {job}\ndb = {}\nqueue_name = q\npidfile = {}/%(job_name)s.pid\n",
                node.db.connstr(),
                node.dir.path().display()
            ),
        )?;
        Ok(node)
    }

    /// Writes a file beside the configuration and returns its path.
    pub fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.path(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// The path of a file beside the configuration.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Path of the configuration.
    pub fn ini(&self) -> String {
        self.path("node.ini")
    }

    /// The command, not started yet.
    pub fn spawn(&self, args: &[&str]) -> Result<Spawn> {
        Ok(londiste()?.args([self.ini()]).args(args))
    }

    /// Runs `londiste node.ini ARGS…`.
    pub async fn run(&self, args: &[&str]) -> Result<Outcome> {
        outcome(self.spawn(args)?).await
    }

    /// One value of a query, as text.
    pub fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.db.psql(sql)?.trim().to_owned())
    }

    /// Everything that a command may have left behind.
    pub fn traces(&self) -> Result<String> {
        self.sql(
            "select string_agg(x, e'\\n' order by x) from (
               select 'schema ' || nspname as x from pg_namespace
               union all select 'relation ' || c.oid::regclass from pg_class c join pg_namespace n on n.oid = relnamespace
                  where nspname !~ '^pg_|^information_schema$' and relkind in ('r', 'S', 'v', 'c')
               union all select 'trigger ' || tgname || ' ' || tgrelid::regclass from pg_trigger where not tgisinternal
               union all select 'type ' || t.oid::regtype from pg_type t where typtype in ('e', 'd')
                  and typnamespace = 'public'::regnamespace) t",
        )
        .and_then(|objects| {
            let rows = if self.sql("select to_regclass('londiste.table_info') is not null")? == "t" {
                self.sql(
                    "select string_agg(x, e'\\n' order by x) from (
                       select 'table ' || t::text as x from londiste.table_info t
                       union all select 'seq ' || seq_name || local from londiste.seq_info
                       union all select 'node ' || node_name from pgq_node.node_info
                       union all select 'location ' || node_name from pgq_node.node_location
                       union all select 'subscriber ' || subscriber_node from pgq_node.subscriber_info
                       union all select 'queue ' || queue_name from pgq.queue
                       union all select 'consumer ' || consumer_name from pgq.get_consumer_info()) t",
                )?
            } else {
                String::new()
            };
            Ok(format!("{objects}\n{rows}"))
        })
    }
}

/// Runs a program to its end.
pub async fn outcome(spawn: Spawn) -> Result<Outcome> {
    let process = spawn.run(LIMIT).await?;
    let code = process.status().and_then(|s| s.code()).unwrap_or(-1);
    Ok(Outcome { code, stdout: process.stdout(), stderr: process.stderr() })
}

/// A root `n1` and a leaf `n2` of queue `q`.
pub async fn pair() -> Result<(Node, Node)> {
    let (root, leaf) = (Node::new("w_root").await?, Node::new("w_leaf").await?);
    root.run(&["create-root", "n1", root.db.connstr()]).await?.ok();
    let provider = format!("--provider={}", root.db.connstr());
    leaf.run(&["create-leaf", "n2", leaf.db.connstr(), &provider]).await?.ok();
    Ok((root, leaf))
}
