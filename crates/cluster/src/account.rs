//! The operating system account that the server runs as.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, chown};

use crate::{Error, Result};

/// The account for `initdb` and `postgres`: the caller's own, or for root an unprivileged one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    switch_to: Option<(Uid, Gid)>,
}

impl Account {
    /// The caller's account, except that root becomes `postgres` (or `$CLUSTER_USER`).
    pub(crate) fn for_server() -> Result<Account> {
        if !Uid::effective().is_root() {
            return Ok(Account { switch_to: None });
        }
        let name = std::env::var("CLUSTER_USER").unwrap_or_else(|_| "postgres".to_owned());
        let user = User::from_name(&name)
            .map_err(|e| Error::io(format!("looking up the user {name:?} failed"), e.into()))?
            .ok_or_else(|| {
                Error::new(format!(
                    "running as root, and there is no user {name:?} to run the PostgreSQL server as"
                ))
                .hint(format!(
                    "create it (useradd --system {name}), or name an existing unprivileged user in CLUSTER_USER, or run as another user"
                ))
            })?;
        if user.uid.is_root() {
            return Err(Error::new(format!("CLUSTER_USER names {name:?}, which is root"))
                .hint("PostgreSQL refuses to run as root: name an unprivileged user"));
        }
        Ok(Account { switch_to: Some((user.uid, user.gid)) })
    }

    /// Makes `command` run under this account.
    pub(crate) fn apply(self, command: &mut Command) {
        if let Some((uid, gid)) = self.switch_to {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    /// Gives `path` to this account.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        match self.switch_to {
            None => Ok(()),
            Some((uid, gid)) => chown(path, Some(uid), Some(gid)).map_err(|e| {
                Error::io(format!("giving {} to the server's user failed", path.display()), e.into())
            }),
        }
    }
}
