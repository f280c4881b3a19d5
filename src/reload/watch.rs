//! Whether the files of the config have changed (`tollgate.watch`).
//!
//! The law: a change is told once, when the files have been at rest for one look, so that a half-written one is rarely met; a link
//! that leads elsewhere is a change, and so is a file that is gone. It looks at what the file system says of a file, never into it.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::noted::{Stamp, stamp};

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// Files, and how they were.
#[derive(Debug, Default)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    /// When they were last read.
    read: Vec<Stamp>,
    /// When it was last looked.
    seen: Vec<Stamp>,
}

impl Watch {
    /// Files that were read when they were as their stamps say.
    pub(super) fn new(files: Vec<(PathBuf, Stamp)>) -> Self {
        let (files, read): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        Self { files, seen: read.clone(), read }
    }

    /// The same files are about to be read.
    pub(super) fn again(&mut self) {
        self.read = self.stamps();
        self.seen.clone_from(&self.read);
    }

    /// Whether they have changed since they were read, and are at rest.
    pub(super) fn look(&mut self) -> bool {
        let now = self.stamps();
        let rests = now == self.seen;
        self.seen = now;
        rests && self.seen != self.read
    }

    fn stamps(&self) -> Vec<Stamp> {
        self.files.iter().map(|file| stamp(file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_is_told_once_when_it_rests() {
        let folder = std::env::temp_dir().join(format!("tollgate-watch-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let file = folder.join("a.yaml");
        fs::write(&file, "one").expect("write");
        let mut watch = Watch::new(vec![(file.clone(), stamp(&file))]);
        assert!(!watch.look() && !watch.look());
        fs::write(&file, "another").expect("write");
        assert_eq!([watch.look(), watch.look()], [false, true], "not before it rests");
        watch.again();
        assert!(!watch.look());
        fs::remove_file(&file).expect("remove");
        assert_eq!([watch.look(), watch.look()], [false, true]);
        watch.again();
        let (one, other) = (folder.join("1"), folder.join("2"));
        fs::write(&one, "same").expect("write");
        fs::write(&other, "same").expect("write");
        std::os::unix::fs::symlink(&one, &file).expect("link");
        watch.look();
        watch.again();
        fs::remove_file(&file).expect("remove");
        std::os::unix::fs::symlink(&other, &file).expect("link");
        assert_eq!([watch.look(), watch.look()], [false, true], "a link that leads elsewhere");
        fs::remove_dir_all(&folder).expect("remove");
    }
}
