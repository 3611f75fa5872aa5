//! Settings for a new cluster, and its making.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::account::Account;
use crate::installation::run;
use crate::server::SUPERUSER;
use crate::watchdog::Watchdog;
use crate::{Cluster, Error, Installation, Result};

/// The longest path a unix socket address holds (Linux: 108 bytes with the terminating zero).
const SOCKET_PATH_LIMIT: usize = 107;

/// How often another loopback port is tried when the chosen one was taken in the meantime.
const PORT_ATTEMPTS: usize = 5;

/// Settings for a new cluster; made by [`Cluster::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    major: Option<u32>,
    installation: Option<Installation>,
    conf: Vec<String>,
    locale: String,
    encoding: String,
    initdb_args: Vec<String>,
    max_connections: u32,
    tcp: bool,
    initdb_cache: Option<PathBuf>,
    data: Option<PathBuf>,
    directory: Option<PathBuf>,
}

impl Builder {
    pub(crate) fn new() -> Builder {
        Builder {
            major: None,
            installation: None,
            conf: Vec::new(),
            locale: "C.UTF-8".to_owned(),
            encoding: "UTF8".to_owned(),
            initdb_args: Vec::new(),
            max_connections: 100,
            tcp: false,
            initdb_cache: None,
            data: None,
            directory: None,
        }
    }

    /// The major version wanted; `None` takes the first installation found.
    #[must_use]
    pub fn version(mut self, major: Option<u32>) -> Self {
        self.major = major;
        self
    }

    /// Exactly these binaries.
    #[must_use]
    pub fn installation(mut self, installation: &Installation) -> Self {
        self.installation = Some(installation.clone());
        self
    }

    /// A line for `postgresql.conf`; later lines win over earlier ones and over the defaults.
    #[must_use]
    pub fn conf(mut self, line: impl Into<String>) -> Self {
        self.conf.push(line.into());
        self
    }

    /// The locale (default `C.UTF-8`).
    #[must_use]
    pub fn locale(mut self, locale: impl Into<String>) -> Self {
        self.locale = locale.into();
        self
    }

    /// The encoding (default `UTF8`).
    #[must_use]
    pub fn encoding(mut self, encoding: impl Into<String>) -> Self {
        self.encoding = encoding.into();
        self
    }

    /// A further argument for `initdb`, such as `--data-checksums`.
    #[must_use]
    pub fn initdb_arg(mut self, argument: impl Into<String>) -> Self {
        self.initdb_args.push(argument.into());
        self
    }

    /// `max_connections` (default 100).
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Listen on a free port of the loopback address too.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Where the result of `initdb` is kept, per binary and settings, and copied from. Clusters made from one copy
    /// have the same system identifier.
    #[must_use]
    pub fn initdb_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.initdb_cache = Some(directory.into());
        self
    }

    /// Start on a copy of this data directory (a base backup, say) in place of a fresh one.
    #[must_use]
    pub fn data(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data = Some(directory.into());
        self
    }

    /// The directory to make the cluster in, which must not exist; by default a short one in the temporary directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Makes the cluster and starts it.
    ///
    /// # Errors
    /// No installation, no account to run as, `initdb` or the start fails. Nothing is left behind.
    pub fn start(self) -> Result<Cluster> {
        let mut last = None;
        for _ in 0..PORT_ATTEMPTS {
            let mut cluster = self.create()?;
            match cluster.start_again() {
                Ok(()) => return Ok(cluster),
                Err(error) if self.tcp && error.to_string().contains("could not bind") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new("the cluster did not start")))
    }

    /// Makes the cluster without starting it; [`Cluster::start_again`] does.
    ///
    /// # Errors
    /// As [`Builder::start`], up to the start.
    pub fn create(&self) -> Result<Cluster> {
        let installation = match &self.installation {
            Some(installation) => installation.clone(),
            None => Installation::find(self.major)?,
        };
        let account = Account::for_server()?;
        let port = if self.tcp { free_port()? } else { 5432 };
        let dir = self.make_directory(port)?;
        // From here on the watchdog removes the directory whatever happens. To a server SIGQUIT is an immediate shutdown.
        let watchdog = Watchdog::start(&dir, &dir.join("data"), Signal::SIGQUIT)?;
        let cluster = Cluster::new(installation, account, dir, port, self.tcp, watchdog);
        account.own(cluster.dir())?;
        match &self.data {
            Some(data) => {
                copy_tree(data, &cluster.data_dir())?;
                if nix::unistd::Uid::effective().is_root() {
                    give_tree(cluster.dir(), &cluster.data_dir())?;
                }
            }
            None => self.initdb(&cluster, account)?,
        }
        for line in self.conf_lines(&cluster) {
            cluster.append("postgresql.conf", &line)?;
        }
        Ok(cluster)
    }

    fn make_directory(&self, port: u16) -> Result<PathBuf> {
        let fits =
            |dir: &Path| dir.as_os_str().len() + format!("/.s.PGSQL.{port}").len() <= SOCKET_PATH_LIMIT;
        if let Some(dir) = &self.directory {
            let dir = std::path::absolute(dir).map_err(|e| Error::io(format!("{}", dir.display()), e))?;
            if !fits(&dir) {
                return Err(Error::new(format!(
                    "{} is too long for the path of a unix socket",
                    dir.display()
                ))
                .hint("name a directory with a shorter path"));
            }
            private_directory(&dir)?;
            return resolved(&dir);
        }
        let base = std::env::temp_dir();
        let base = if fits(&base.join("pg-123456")) { base } else { PathBuf::from("/tmp") };
        let dir = tempfile::Builder::new()
            .prefix("pg-")
            .tempdir_in(&base)
            .map_err(|e| Error::io(format!("making a directory in {} failed", base.display()), e))?
            .keep();
        resolved(&dir)
    }

    fn initdb(&self, cluster: &Cluster, account: Account) -> Result<()> {
        let cached =
            self.initdb_cache.as_ref().map(|cache| cache.join(self.cache_key(cluster.installation())));
        if let Some(cached) = cached.as_ref().filter(|path| path.is_dir()) {
            return copy_tree(cached, &cluster.data_dir());
        }
        let mut command = cluster.installation().command("initdb");
        command
            .arg("-D")
            .arg(cluster.data_dir())
            .args(["-U", SUPERUSER, "-A", "trust", "--no-sync", "--no-instructions"])
            .args(["-E", &self.encoding, "--locale", &self.locale])
            .args(&self.initdb_args)
            .current_dir(cluster.dir());
        account.apply(&mut command);
        run(&mut command)?;
        match cached {
            Some(cached) => store_in_cache(&cluster.data_dir(), &cached),
            None => Ok(()),
        }
    }

    /// Names the binary (place, size, time) and everything that changes what initdb makes.
    fn cache_key(&self, installation: &Installation) -> String {
        let mut hash = DefaultHasher::new();
        let program = installation.program("postgres");
        program.hash(&mut hash);
        if let Ok(meta) = program.metadata() {
            (meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hash);
        }
        (&self.locale, &self.encoding, &self.initdb_args).hash(&mut hash);
        nix::unistd::Uid::effective().as_raw().hash(&mut hash);
        std::env::var_os("CLUSTER_USER").hash(&mut hash);
        format!("initdb-{}-{:016x}", installation.version(), hash.finish())
    }

    fn conf_lines(&self, cluster: &Cluster) -> Vec<String> {
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        let mut lines = vec![
            "# throw-away cluster".to_owned(),
            format!("listen_addresses = '{listen}'"),
            format!("unix_socket_directories = '{}'", cluster.dir().to_string_lossy().replace('\'', "''")),
            format!("port = {}", cluster.port()),
            format!("max_connections = {}", self.max_connections),
            "max_prepared_transactions = 20".to_owned(),
            "shared_buffers = 128MB".to_owned(),
            // The data is thrown away; a machine that loses power loses the test run too.
            "fsync = off".to_owned(),
            "timezone = 'UTC'".to_owned(),
            "log_timezone = 'UTC'".to_owned(),
            "lc_messages = 'C'".to_owned(),
            "logging_collector = off".to_owned(),
            "log_destination = 'stderr'".to_owned(),
            "log_line_prefix = '%m [%p] %u@%d %a '".to_owned(),
        ];
        lines.extend(self.conf.iter().cloned());
        lines
    }
}

fn private_directory(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(|e| Error::io(format!("making the directory {} failed", dir.display()), e))
}

/// Processes are known by their working directory, which the kernel tells without symbolic links.
fn resolved(dir: &Path) -> Result<PathBuf> {
    dir.canonicalize().map_err(|e| Error::io(format!("resolving {} failed", dir.display()), e))
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::io("finding a free port of 127.0.0.1 failed", e))
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-a").arg("--reflink=auto").arg("--").arg(from).arg(to)).map(drop)
}

/// Gives a tree to the owner of `like`.
fn give_tree(like: &Path, tree: &Path) -> Result<()> {
    let mut reference = std::ffi::OsString::from("--reference=");
    reference.push(like);
    run(Command::new("chown").arg("-R").arg(reference).arg("--").arg(tree)).map(drop)
}

/// Copies beside its final place and renames, so that nobody ever sees half a copy; whoever comes second loses.
fn store_in_cache(data: &Path, cached: &Path) -> Result<()> {
    let failed = |e| Error::io(format!("filling the cache {} failed", cached.display()), e);
    let parent = cached.parent().unwrap_or(cached);
    std::fs::create_dir_all(parent).map_err(failed)?;
    let staging = tempfile::Builder::new().prefix("filling-").tempdir_in(parent).map_err(failed)?;
    let copy = staging.path().join("data");
    copy_tree(data, &copy)?;
    match std::fs::rename(&copy, cached) {
        Err(e) if !cached.is_dir() => Err(failed(e)),
        _ => Ok(()),
    }
}
