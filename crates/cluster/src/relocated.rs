//! A copy of an installation with an extension directory of its own.
//!
//! PostgreSQL finds its libraries and shared files relative to the place of its executable, after resolving
//! symbolic links. So the server programs are copied (or hard-linked) and everything else is linked, except the
//! directory of the extensions, which is a real one: control files can be added and left out without touching the
//! machine's own installation, and without root.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Error, Installation, Result};

/// A relocated installation; its directory is removed on drop (after the clusters that use it, please).
#[derive(Debug)]
pub struct Relocated {
    installation: Installation,
    root: tempfile::TempDir,
    extension_dir: PathBuf,
    library_dir: PathBuf,
}

impl Installation {
    /// Copies this installation to a temporary directory, leaving out the extensions of which `leave_out` says so
    /// (it is asked with the extension's name, such as `pgq_node`).
    ///
    /// # Errors
    /// The installation has no `pg_config`, or copying fails.
    pub fn relocate(&self, leave_out: impl Fn(&str) -> bool) -> Result<Relocated> {
        let bindir = self.configured("bindir")?;
        let sharedir = self.configured("sharedir")?;
        let libdir = self.configured("pkglibdir")?;
        let root = tempfile::Builder::new()
            .prefix("pgcopy-")
            .tempdir()
            .map_err(|e| Error::io("making a directory for a copy of PostgreSQL failed", e))?;
        let failed =
            |e| Error::io(format!("copying {} to {} failed", bindir.display(), root.path().display()), e);
        // The server's user must be able to look inside.
        fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .map_err(failed)?;

        let prefix = common_prefix(&[&bindir, &sharedir, &libdir]);
        let inside = |dir: &Path| root.path().join(dir.strip_prefix(&prefix).unwrap_or(dir));
        let (new_bin, new_share, new_lib) = (inside(&bindir), inside(&sharedir), inside(&libdir));

        fs::create_dir_all(&new_bin).map_err(failed)?;
        for entry in fs::read_dir(self.bindir()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let source = entry.path().canonicalize().map_err(failed)?;
            let target = new_bin.join(entry.file_name());
            if fs::hard_link(&source, &target).is_err() {
                fs::copy(&source, &target).map_err(failed)?;
            }
        }
        link_entries(&libdir, &new_lib, &|_| false).map_err(failed)?;
        link_entries(&sharedir, &new_share, &|name| name == "extension").map_err(failed)?;
        let extension_dir = new_share.join("extension");
        let unwanted = |file: &str| leave_out(extension_of(file));
        link_entries(&sharedir.join("extension"), &extension_dir, &unwanted).map_err(failed)?;

        let installation = Installation::with_library_path(new_bin, self.library_path().map(Path::to_owned))?;
        Ok(Relocated { installation, root, extension_dir, library_dir: new_lib })
    }
}

impl Relocated {
    /// The copied binaries, for [`crate::Builder::installation`].
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Where control files and scripts of extensions go; a plain directory of this copy.
    #[must_use]
    pub fn extension_dir(&self) -> &Path {
        &self.extension_dir
    }

    /// Where shared objects go (`$libdir`).
    #[must_use]
    pub fn library_dir(&self) -> &Path {
        &self.library_dir
    }

    /// The top of the copy.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}

/// `pgq_node--3.5.sql` and `pgq_node.control` both belong to `pgq_node`.
fn extension_of(file: &str) -> &str {
    let stem = file.split_once("--").map_or(file, |(name, _)| name);
    stem.strip_suffix(".control").unwrap_or(stem)
}

fn link_entries(from: &Path, to: &Path, skip: &dyn Fn(&str) -> bool) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !skip(&entry.file_name().to_string_lossy()) {
            symlink(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn common_prefix(paths: &[&Path]) -> PathBuf {
    let mut prefix = paths.first().map(|p| p.to_path_buf()).unwrap_or_default();
    while !paths.iter().all(|p| p.starts_with(&prefix)) && prefix.pop() {}
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_an_extension() {
        assert_eq!(extension_of("pgq.control"), "pgq");
        assert_eq!(extension_of("pgq_node--3.5.sql"), "pgq_node");
        assert_eq!(extension_of("pgq--3.2--3.5.sql"), "pgq");
    }

    #[test]
    fn common_directory() {
        let [a, b, c] =
            ["/usr/lib/postgresql/15/bin", "/usr/share/postgresql/15", "/usr/lib/postgresql/15/lib"]
                .map(Path::new);
        assert_eq!(common_prefix(&[a, b, c]), Path::new("/usr"));
        assert_eq!(common_prefix(&[Path::new("/x/bin"), Path::new("/x/share")]), Path::new("/x"));
    }
}
