//! What a connection takes from the process's surroundings; tests put their own in its place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Environment variables, home directory and operating system user.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// `None` reads the process's own variables.
    vars: Option<BTreeMap<String, String>>,
    home: Option<PathBuf>,
    user: Option<String>,
}

impl Environment {
    /// That of this process.
    pub(super) fn of_process() -> Self {
        let account = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let home = std::env::var_os("HOME")
            .filter(|h| !h.is_empty())
            .map(PathBuf::from)
            .or_else(|| account.as_ref().map(|a| a.dir.clone()));
        Environment { vars: None, home, user: account.map(|a| a.name) }
    }

    /// An invented one.
    #[cfg(test)]
    pub(super) fn invented(vars: &[(&str, &str)], home: Option<&Path>, user: &str) -> Self {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment { vars: Some(vars), home: home.map(Path::to_owned), user: Some(user.to_owned()) }
    }

    /// A variable that is set and not empty.
    pub(super) fn var(&self, name: &str) -> Option<String> {
        let value = match &self.vars {
            Some(vars) => vars.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        value.filter(|v| !v.is_empty())
    }

    /// The user's home directory.
    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The operating system's name of the user, the default database role.
    pub(super) fn os_user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}
