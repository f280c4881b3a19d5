//! An environment that remembers which files were read from it, so that a watch knows when the config is another.
//!
//! The law: a file's stamp is taken before it is read, so a change in between is seen later, never missed; and for who
//! serves requests meanwhile nothing is opened that may never end (a pipe, a device).
//!
//! It does not compare stamps and does not watch: that is `reload::watch`.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::env::Environ;

/// What the file system says of a file: device, number, length, and when it was changed; none: there is no such file.
pub type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The stamp of the file at `path`, or where a link there leads.
pub fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// Another environment, and which of its files were read, with their stamps from before that.
pub struct Noted<'a> {
    below: &'a dyn Environ,
    files: RefCell<Vec<(PathBuf, Stamp)>>,
    /// Whether what is no regular file may be read, which may wait for ever.
    waits: bool,
}

impl<'a> Noted<'a> {
    /// One whose files nobody has read yet.
    pub fn new(below: &'a dyn Environ) -> Self {
        Self { below, files: RefCell::default(), waits: true }
    }

    /// The same for who cannot wait: a pipe is refused.
    pub fn without_waiting(self) -> Self {
        Self { waits: false, ..self }
    }

    /// The files that were read, each once.
    pub fn into_files(self) -> Vec<(PathBuf, Stamp)> {
        let mut files = self.files.into_inner();
        files.sort();
        files.dedup_by(|one, other| one.0 == other.0);
        files
    }
}

impl Environ for Noted<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.below.variable(name)
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.files.borrow_mut().push((path.to_owned(), stamp(path)));
        let is_other = |file: std::fs::Metadata| !file.is_file() && !file.is_dir();
        if !self.waits && std::fs::metadata(path).is_ok_and(is_other) {
            return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
        }
        self.below.file(path)
    }
}
