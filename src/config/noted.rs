//! An environment that remembers which files were read from it, so that a watch knows when the config is another, and the texts of
//! the config's own, so that it can be read again as it was.
//!
//! The law: a file's stamp is taken before it is read, so a change in between is seen later, never missed; and for who
//! serves requests meanwhile nothing is opened that may never end (a pipe, a device).
//!
//! It does not compare stamps and does not watch: that is `reload::watch`.

use std::cell::RefCell;
use std::fmt;
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

/// The files of a config, the one that names the others first. They may hold secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Texts(Vec<(PathBuf, Vec<u8>)>);

impl Texts {
    /// Each file.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().map(|(path, text)| (path.as_path(), text.as_slice()))
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, text)| text.len()).sum()
    }
}

impl FromIterator<(PathBuf, Vec<u8>)> for Texts {
    fn from_iter<I: IntoIterator<Item = (PathBuf, Vec<u8>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(path, _)| path)).finish()
    }
}

/// Another environment, and which of its files were read, with their stamps from before that.
pub struct Noted<'a> {
    below: &'a dyn Environ,
    files: RefCell<Vec<(PathBuf, Stamp)>>,
    texts: RefCell<Vec<(PathBuf, Vec<u8>)>>,
    /// Where the config's own files are read instead.
    kept: Option<&'a Texts>,
    /// Whether what is no regular file may be read, which may wait for ever.
    waits: bool,
}

impl<'a> Noted<'a> {
    /// One whose files nobody has read yet.
    pub fn new(below: &'a dyn Environ) -> Self {
        Self { below, files: RefCell::default(), texts: RefCell::default(), kept: None, waits: true }
    }

    /// The same for who cannot wait: a pipe is refused.
    pub fn without_waiting(self) -> Self {
        Self { waits: false, ..self }
    }

    /// The same, with the config's own files as they were.
    pub fn as_kept(self, kept: Option<&'a Texts>) -> Self {
        Self { kept, ..self }
    }

    /// The files that were read, each once, and the texts of the config's own.
    pub fn into_read(self) -> (Vec<(PathBuf, Stamp)>, Texts) {
        let mut files = self.files.into_inner();
        files.sort();
        files.dedup_by(|one, other| one.0 == other.0);
        (files, Texts(self.texts.into_inner()))
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

    fn text(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        let text = match self.kept {
            None => self.file(path)?,
            Some(kept) => {
                let known = kept.iter().find(|(known, _)| *known == path).map(|(_, text)| text.to_vec());
                known.ok_or_else(|| std::io::Error::new(ErrorKind::NotFound, "it was not kept"))?
            }
        };
        self.texts.borrow_mut().push((path.to_owned(), text.clone()));
        Ok(text)
    }
}
