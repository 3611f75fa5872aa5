//! The start of a measured replay: the same tables replicated three ways side by side, each in a database of its own.

use anyhow::Result;

use crate::Settings;
use crate::nodes::{Kind, Londiste, Native, Servers};

/// The databases: native logical replication, ours, and the original.
const DATABASES: [&str; 3] = ["native", "ours", "python"];
/// Which of them is ours.
pub const OURS: usize = 1;

/// All of them, in step.
pub struct Replicas<'a> {
    /// Their databases.
    pub databases: &'static [&'static str],
    /// What they are called.
    pub names: Vec<String>,
    /// PostgreSQL's own.
    pub native: Native<'a>,
    /// Ours, and the original's unless it was to be left out.
    pub londiste: Vec<Londiste<'a>>,
}

/// The databases of the replicas that are wanted.
pub fn databases(settings: &Settings) -> &'static [&'static str] {
    if settings.without_python { &DATABASES[..2] } else { &DATABASES }
}

impl<'a> Replicas<'a> {
    /// Replicates the tables, which exist on both sides of all [`databases`], and waits until they are in step.
    ///
    /// # Errors
    /// A peer is missing; a server or a command fails.
    pub fn start(servers: &'a Servers, settings: &Settings, tables: &[String]) -> Result<Replicas<'a>> {
        let databases = databases(settings);
        let native = Native::publish(servers, databases[0], tables)?;
        native.subscribe(true)?;
        let mut names = vec![format!("{} logical replication", servers.version())];
        let mut londiste = Vec::new();
        for (db, kind) in databases[1..].iter().zip([Kind::Ours, Kind::Python]) {
            let mut one = Londiste::start(servers, &settings.tools, kind, db)?;
            one.publish(tables)?;
            one.subscribe(tables)?;
            names.push(one.name.clone());
            londiste.push(one);
        }
        Ok(Replicas { databases, names, native, londiste })
    }

    /// Ends applying in one of them.
    ///
    /// # Errors
    /// It does not end.
    pub fn hold(&mut self, at: usize) -> Result<()> {
        match self.londiste_at(at) {
            None => self.native.enable(false),
            Some(londiste) => londiste.stop_leaf(),
        }
    }

    /// Begins again what [`Replicas::hold`] has ended.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn go_on(&mut self, at: usize) -> Result<()> {
        match self.londiste_at(at) {
            None => self.native.enable(true),
            Some(londiste) => londiste.start_leaf(),
        }
    }

    /// Makes everything committed so far ready to be replayed.
    ///
    /// # Errors
    /// The server refuses.
    pub fn tick(&mut self, at: usize) -> Result<()> {
        self.londiste_at(at).map_or(Ok(()), |londiste| londiste.tick())
    }

    /// Nothing for native replication.
    fn londiste_at(&mut self, at: usize) -> Option<&mut Londiste<'a>> {
        self.londiste.get_mut(at.checked_sub(1)?)
    }

    /// Fails when a daemon of Londiste has ended.
    ///
    /// # Errors
    /// One has.
    pub fn check_londiste(&mut self) -> Result<()> {
        self.londiste.iter_mut().try_for_each(Londiste::check)
    }

    /// Fails when a daemon has ended, or a subscription is switched off.
    ///
    /// # Errors
    /// One has.
    pub fn check(&mut self) -> Result<()> {
        self.native.check()?;
        self.check_londiste()
    }
}
