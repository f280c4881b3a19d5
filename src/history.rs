//! The last good configs, so that one of them can be put in force again.
//!
//! The law: what is kept is the text of the config's own files, as it was read, and nothing of the files of secrets that it names; it is
//! readable by its owner alone. A number is given once. One that is the same as the newest is not kept twice; the oldest go.
//!
//! What is in force is the reloader's business: here is only written down which of them somebody has pinned.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::noted::Texts;

/// How many are kept.
const MOST: usize = 10;
/// The most bytes of text that are kept of one.
const MOST_BYTES: usize = 16 << 20;
/// The form of a file here. Another is another number, so that two versions of Tollgate can share a folder.
const FORMAT: u32 = 1;
/// Where it is written which one is pinned.
const PINNED: &str = "pinned";

/// A folder of configs.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

/// One that is kept, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// When it was put in force, in milliseconds since 1970.
    pub at: u64,
    /// The file that it began with.
    pub main: PathBuf,
    /// How many files it is.
    pub files: usize,
    /// Whether it is pinned.
    pub pinned: bool,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    at: u64,
    files: Vec<(PathBuf, String)>,
}

impl History {
    /// The one below the state folder `state`.
    pub fn below(state: &Path) -> Self {
        Self { folder: state.join("history") }
    }

    /// Keeps `texts`, which were put in force `at` this time: their number.
    pub fn keep(&self, texts: &Texts, at: u64) -> io::Result<u64> {
        if texts.bytes() > MOST_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "a config of more than 16 MiB is not kept"));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut numbers = self.numbers()?;
        let newest = numbers.last().copied().unwrap_or(0);
        if newest > 0 && self.texts(newest).is_ok_and(|known| known == *texts) {
            return Ok(newest);
        }
        let files = texts.iter().map(|(path, text)| (path.to_owned(), String::from_utf8_lossy(text).into_owned()));
        let written = Written { format: FORMAT, at, files: files.collect() };
        let number = self.write(newest + 1, &serde_json::to_vec(&written)?)?;
        numbers.push(number);
        let pinned = self.pinned();
        let old = numbers.len().saturating_sub(MOST);
        for number in numbers.into_iter().take(old).filter(|number| Some(*number) != pinned) {
            fs::remove_file(self.path(number))?;
        }
        Ok(number)
    }

    /// Those that are there, the newest first.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let pinned = self.pinned();
        let mut out = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            let Written { at, files, .. } = self.read(number)?;
            let main = files.first().map(|(path, _)| path.clone()).unwrap_or_default();
            out.push(Kept { number, at, main, files: files.len(), pinned: pinned == Some(number) });
        }
        Ok(out)
    }

    /// The texts of `number`.
    pub fn texts(&self, number: u64) -> io::Result<Texts> {
        let files = self.read(number)?.files.into_iter();
        Ok(files.map(|(path, text)| (path, text.into_bytes())).collect())
    }

    /// Writes down which one is pinned.
    pub fn pin(&self, number: Option<u64>) -> io::Result<()> {
        match number {
            Some(number) => fs::write(self.folder.join(PINNED), number.to_string()),
            None => match fs::remove_file(self.folder.join(PINNED)) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    fn pinned(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join(PINNED)).ok()?.trim().parse().ok()
    }

    /// Whole or not at all, and never over another process's: the first number from `number` on that is free.
    fn write(&self, number: u64, bytes: &[u8]) -> io::Result<u64> {
        let draft = self.folder.join(format!("draft.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let mut number = number;
        let linked = written.and_then(|()| {
            loop {
                match fs::hard_link(&draft, self.path(number)) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                    linked => return linked,
                }
            }
        });
        let _ = fs::remove_file(&draft);
        linked.map(|()| number)
    }

    fn read(&self, number: u64) -> io::Result<Written> {
        let bytes = fs::read(self.path(number)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, format!("no config {number} is kept")),
            _ => error,
        })?;
        let written: Written = serde_json::from_slice(&bytes)?;
        if written.format == FORMAT {
            return Ok(written);
        }
        Err(io::Error::other(format!("config {number} was kept by another version of Tollgate")))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    /// The numbers that are taken, in order.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let number = |name: String| name.strip_suffix(".json")?.parse::<u64>().ok();
        let mut numbers = Vec::new();
        for entry in entries {
            numbers.extend(entry?.file_name().into_string().ok().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn texts(text: &str) -> Texts {
        [(PathBuf::from("/etc/a.yaml"), text.as_bytes().to_vec())].into_iter().collect()
    }

    #[test]
    fn ten_are_kept_each_once_and_the_pinned_one_stays() {
        let state = std::env::temp_dir().join(format!("tollgate-history-{}", std::process::id()));
        let history = History::below(&state);
        assert_eq!(history.list().expect("none yet"), []);
        assert_eq!(history.keep(&texts("0"), 7).expect("kept"), 1);
        assert_eq!(history.keep(&texts("0"), 8).expect("the same"), 1);
        history.pin(Some(1)).expect("pinned");
        for number in 1..=11_u64 {
            assert_eq!(history.keep(&texts(&number.to_string()), number).expect("kept"), number + 1);
        }
        let list = history.list().expect("list");
        let numbers: Vec<u64> = list.iter().map(|kept| kept.number).collect();
        assert_eq!(numbers, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1]);
        assert_eq!(list.iter().filter(|kept| kept.pinned).map(|kept| kept.at).collect::<Vec<_>>(), [7]);
        assert_eq!(history.texts(12).expect("texts"), texts("11"));
        assert!(history.texts(2).is_err_and(|error| error.kind() == ErrorKind::NotFound));
        let mode = fs::metadata(history.path(12)).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        history.pin(None).expect("unpinned");
        assert!(history.list().expect("list").iter().all(|kept| !kept.pinned));
        fs::remove_dir_all(&state).expect("removed");
    }
}
