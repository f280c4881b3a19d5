//! The salt beside the store.
//!
//! The law: made once, 32 random bytes, readable by its owner alone; never made anew for a store that has one already, since
//! that would make every key in it unknown.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Fault;
use crate::auth::Salt;
use crate::secret;

/// The salt that stands in `file`.
pub(super) fn read(file: &Path) -> Result<Option<Salt>, Fault> {
    match fs::read(file) {
        Ok(bytes) if bytes.len() >= 16 => Ok(Some(Salt::new(bytes))),
        Ok(_) => Err(Fault::OtherSalt),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(file, &error)),
    }
}

/// Makes one in `file`, or takes the one that another process has made meanwhile.
pub(super) fn make(file: &Path) -> Result<Salt, Fault> {
    let bytes: [u8; 32] = secret::random().map_err(|error| failed(file, &error))?;
    let draft = file.with_extension(format!("salt.{}", std::process::id()));
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).and_then(|mut open| {
            open.write_all(&bytes)?;
            open.sync_all()
        });
    // A link appears whole, and never over another.
    let linked = written.and_then(|()| fs::hard_link(&draft, file));
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(file, &error)),
    }
    if let Some(Ok(folder)) = file.parent().map(fs::File::open) {
        folder.sync_all().map_err(|error| failed(file, &error))?;
    }
    read(file)?.ok_or_else(|| Fault::Failed(format!("{}: it is gone again", file.display())))
}

fn failed(file: &Path, error: &std::io::Error) -> Fault {
    Fault::Failed(format!("{}: {error}", file.display()))
}
