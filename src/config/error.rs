//! What is wrong with a config file, and how to mend it.
//!
//! The law: every message names the file and line, the dotted path of the key, the problem and the mend; all of them
//! are gathered before any is shown; none of them ever holds a secret's value.
//!
//! It does not decide what a problem is: the rules do, each beside its own parser.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Where a key stands: the file as the user named it, and the line counted from 1 (0 when it is not known).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named on the command line or in `include:`.
    pub file: Arc<str>,
    /// The line, counted from 1; 0 is the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// A key of the file: its place and its dotted path (`general_settings.pass_through_endpoints[0].target`). Where a thing stands is no
/// part of what it says: any two are equal, so that a value that has moved within its file is still the same.
#[derive(Clone, Debug)]
pub struct Site {
    /// File and line.
    pub place: Place,
    /// The dotted path; empty for the file as a whole.
    pub path: String,
}

impl PartialEq for Site {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Site {}

impl Site {
    /// The variable `name` of the environment.
    pub fn variable(name: &str) -> Self {
        Self::named(format!("${name}"))
    }

    /// The flag `name` of the command line.
    pub fn flag(name: &str) -> Self {
        Self::named(format!("--{name}"))
    }

    /// The entry `id` that the API has made.
    pub fn made(id: &str) -> Self {
        Self::named(format!("{MADE}{id}"))
    }

    /// The id of the entry that the API has made and where it stands.
    pub fn made_id(&self) -> Option<&str> {
        self.place.file.strip_prefix(MADE)
    }

    fn named(name: String) -> Self {
        Self { place: Place { file: Arc::from(name), line: 0 }, path: String::new() }
    }
}

/// How messages begin that are about an entry that the API has made.
const MADE: &str = "entry ";

/// One message: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub site: Site,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}: ", self.site.place);
        if !self.site.path.is_empty() {
            text += &format!("{}: ", self.site.path);
        }
        text += &self.what;
        if !self.mend.is_empty() {
            text += &format!("; {}", self.mend);
        }
        // Keys, values and names of files are the user's own text and may hold anything: no message may become two.
        for c in text.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// Everything a file has to say for itself: errors, which refuse it, and notices, which do not.
#[derive(Debug, Default)]
pub struct Report {
    /// What refuses the file.
    pub problems: Vec<Problem>,
    /// What the operator should know.
    pub notices: Vec<Problem>,
}

impl Report {
    /// Records a problem: the file is refused.
    pub fn problem(&mut self, site: &Site, what: impl Into<String>, mend: impl Into<String>) {
        self.problems.push(Problem { site: site.clone(), what: what.into(), mend: mend.into() });
    }

    /// Records a notice: the file stands.
    pub fn notice(&mut self, site: &Site, what: impl Into<String>, mend: impl Into<String>) {
        self.notices.push(Problem { site: site.clone(), what: what.into(), mend: mend.into() });
    }

    /// Whether the file may be served.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Puts the messages in the order of the files, so that a reader mends from top to bottom.
    pub fn sort(&mut self) {
        for list in [&mut self.problems, &mut self.notices] {
            list.sort_by(|one, other| {
                let key = |problem: &Problem| (Arc::clone(&problem.site.place.file), problem.site.place.line);
                key(one).cmp(&key(other))
            });
        }
    }
}
