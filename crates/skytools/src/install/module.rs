//! The SQL modules and what they need of each other.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// A schema with its tables and functions, kept as plain SQL under `sql/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    /// Queues, ticks, batches, consumers, capture triggers.
    Pgq,
    /// Position of a consumer kept in the target database.
    PgqExt,
    /// Several subconsumers sharing the batches of one consumer.
    PgqCoop,
    /// Nodes of a cascade.
    PgqNode,
    /// Replicated tables and sequences.
    Londiste,
}

impl Module {
    /// Every module, each after those that it needs.
    pub const ALL: [Module; 5] =
        [Module::Pgq, Module::PgqExt, Module::PgqCoop, Module::PgqNode, Module::Londiste];

    /// The name of the module, of its schema and of its directory under `sql/`.
    pub const fn name(self) -> &'static str {
        match self {
            Module::Pgq => "pgq",
            Module::PgqExt => "pgq_ext",
            Module::PgqCoop => "pgq_coop",
            Module::PgqNode => "pgq_node",
            Module::Londiste => "londiste",
        }
    }

    /// The modules that have to be installed before this one.
    pub const fn needs(self) -> &'static [Module] {
        match self {
            Module::Pgq | Module::PgqExt => &[],
            Module::PgqCoop | Module::PgqNode => &[Module::Pgq],
            Module::Londiste => &[Module::Pgq, Module::PgqNode],
        }
    }

    /// Whether this build contains the module.
    pub fn is_available(self) -> bool {
        super::bundle::embedded(&format!("{}/install.sql", self.name())).is_some()
    }

    /// The modules of this build, each after those that it needs.
    pub fn available() -> Vec<Module> {
        Module::ALL.into_iter().filter(|m| m.is_available()).collect()
    }

    /// The given modules with all that they need, each once, in the order of installation.
    pub fn with_needed(modules: &[Module]) -> Vec<Module> {
        Module::ALL
            .into_iter()
            .filter(|m| modules.iter().any(|wanted| wanted == m || wanted.needs().contains(m)))
            .collect()
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Module {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Module::ALL.into_iter().find(|m| m.name() == text).filter(|m| m.is_available());
        found.ok_or_else(|| {
            let names: Vec<&str> = Module::available().into_iter().map(Module::name).collect();
            Error::usage(format!("unknown module \"{text}\""))
                .hint(format!("Modules are: {}.", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needed_modules_come_first() {
        assert_eq!(
            Module::with_needed(&[Module::Londiste]),
            [Module::Pgq, Module::PgqNode, Module::Londiste]
        );
        assert_eq!(Module::with_needed(&[Module::PgqExt, Module::Pgq]), [Module::Pgq, Module::PgqExt]);
        for (at, module) in Module::ALL.iter().enumerate() {
            assert!(module.needs().iter().all(|n| Module::ALL[..at].contains(n)), "{module}");
        }
    }

    #[test]
    fn unknown_names_list_the_known() {
        let error = "pgqq".parse::<Module>().unwrap_err();
        assert!(error.hint_text().unwrap().contains("pgq"));
    }
}
