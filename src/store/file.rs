//! The store's file, as the file system knows it.
//!
//! The law: what is made is its owner's alone; a file is known again by its device and number, not by its name.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::Fault;

/// A file of our own, before SQLite would make one that others can read.
pub(super) fn make(path: &Path) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::Failed(error.to_string());
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(|_| ()).map_err(failed)
}

/// Which file stands there.
pub(super) fn identity(path: &Path) -> Result<(u64, u64), Fault> {
    match fs::metadata(path) {
        Ok(file) => Ok((file.dev(), file.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Fault::Gone),
        Err(error) => Err(Fault::Failed(error.to_string())),
    }
}

/// Whether nothing stands in the log beside the file that is not in the file yet.
pub(super) fn is_whole(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match fs::metadata(log) {
        Ok(log) => log.len() == 0,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// The name by which SQLite reads a file as one that nobody changes.
pub(super) fn immutable(path: &Path) -> OsString {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = b"file://".to_vec();
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(*byte),
            other => uri.extend_from_slice(format!("%{other:02x}").as_bytes()),
        }
    }
    uri.extend_from_slice(b"?immutable=1");
    OsString::from_vec(uri)
}
