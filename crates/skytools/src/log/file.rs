//! The log file: rotated by size, opened again on request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// An append-only file that is moved to `.1`, `.2` … when it grows past a size.
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    count: u32,
}

impl RotatingFile {
    /// Opens or creates the file. A `max_size` or `count` of zero means that it never rotates.
    pub fn open(path: &Path, max_size: u64, count: u32) -> io::Result<Self> {
        let (file, size) = open(path)?;
        Ok(RotatingFile { path: path.to_owned(), file, size, max_size, count })
    }

    /// The name of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file under its name again; on failure the old one stays in use.
    pub fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }

    /// Writes one line, which ends with a newline; rotates first when it would not fit.
    pub fn write(&mut self, line: &str) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let full = self.size > 0 && self.size.saturating_add(length) > self.max_size;
        if full && self.max_size > 0 && self.count > 0 {
            // A failed rotation must not lose the line: the old file just keeps growing.
            if let Err(error) = self.rotate() {
                let note = format!("cannot rotate this log file: {error}\n");
                self.file.write_all(note.as_bytes())?;
            }
        }
        self.file.write_all(line.as_bytes())?;
        self.size = self.size.saturating_add(length);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.count).rev() {
            let (from, to) = (self.numbered(number), self.numbered(number + 1));
            if from.exists() {
                std::fs::rename(from, to)?;
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.reopen()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}
