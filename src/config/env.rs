//! The only door to the environment: variables, secret files, systemd credentials; and how a value refers to them.
//!
//! A value may hold `os.environ/NAME` anywhere and any number of times (NAME is letters, digits and underscores), and a
//! word of it may be `file:PATH` or `credential:NAME`. The law: what is referred to is never printed, never expanded a
//! second time, and must be there: unset, empty, or holding a line end, NUL or other than printable ASCII is an error.
//!
//! It does not read the config file itself, and nothing here runs once requests are served.

use std::collections::HashMap;
use std::env::VarError;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::dotenv;
use crate::secret::Secret;

/// The file of variables in the working folder.
const DOTENV: &str = ".env";

const VARIABLE: &str = "os.environ/";
const FILE: &str = "file:";
const CREDENTIAL: &str = "credential:";

/// Where values come from. A test passes a map, the binary the process's own environment.
pub trait Environ {
    /// The variable `name`; `None` when it is not set or is not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
    /// The bytes of the file at `path`.
    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Whether the variable `name` may be read here.
    fn grants(&self, _name: &str) -> bool {
        true
    }
    /// The bytes of a file of the config itself.
    fn text(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.file(path)
    }
}

/// The environment of this process, and below it the `.env` of the working folder.
#[derive(Debug, Default)]
pub struct Process {
    dotenv: HashMap<String, Secret>,
}

impl Process {
    /// Reads `.env`, if there is one. A line that cannot be read is an error, which names it.
    pub fn with_dotenv() -> Result<Self, String> {
        let bytes = match std::fs::read(DOTENV) {
            Ok(bytes) => bytes,
            // Python's virtual environments are folders of that name.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => Vec::new(),
            Err(error) => return Err(format!("{DOTENV}: it cannot be read: {error}")),
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{DOTENV}: it is not UTF-8"))?;
        let dotenv = dotenv::parse(&text).map_err(|error| format!("{DOTENV}:{error}"))?;
        Ok(Self { dotenv })
    }
}

impl Environ for Process {
    fn variable(&self, name: &str) -> Option<String> {
        match std::env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotUnicode(_)) => None,
            Err(VarError::NotPresent) => self.dotenv.get(name).map(|value| value.expose().to_owned()),
        }
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// An environment with the file's own `environment_variables:` laid over it.
pub struct Overlay<'a> {
    /// What lies below.
    pub below: &'a dyn Environ,
    /// What the file sets.
    pub variables: HashMap<String, Secret>,
    /// The folder that relative `file:` paths count from.
    pub folder: PathBuf,
}

impl Environ for Overlay<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        match self.variables.get(name) {
            Some(value) => Some(value.expose().to_owned()),
            None => self.below.variable(name),
        }
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        self.below.file(&self.folder.join(path))
    }
}

/// Text with its references replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Expanded {
    /// The whole text.
    pub text: Secret,
    /// Whether any of it came from a reference: then it is a secret.
    pub secret: bool,
}

/// Why a reference has no value. Names the reference, never what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceError {
    /// The reference as it stands in the file: `os.environ/NAME`, `file:PATH`, `credential:NAME`.
    pub reference: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There, but empty.
    Empty,
    /// Holds the named character, which no header or URL may hold.
    Forbidden(&'static str),
    /// No name after the marker.
    Nameless,
    /// Set or not, it may not be read here.
    NotGranted,
    /// There is no `$CREDENTIALS_DIRECTORY`.
    NoCredentials,
    /// Not set, or not UTF-8.
    Unset,
    /// The file cannot be read, with the system's words.
    Unreadable(String),
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = &self.reference;
        match &self.fault {
            Fault::Empty => write!(f, "`{reference}` is empty"),
            Fault::Forbidden(what) => write!(f, "the value of `{reference}` holds {what}"),
            Fault::Nameless => write!(f, "`{reference}` names nothing"),
            Fault::NotGranted => write!(f, "`{reference}` may not be read by entries that the API makes"),
            Fault::NoCredentials => write!(f, "`{reference}`: systemd handed over no credentials"),
            Fault::Unset => write!(f, "`{reference}` is not set"),
            Fault::Unreadable(why) => write!(f, "`{reference}` cannot be read: {why}"),
        }
    }
}

impl ReferenceError {
    /// What the operator should do.
    pub fn mend(&self) -> String {
        match &self.fault {
            Fault::Empty => "give it a value".into(),
            Fault::Forbidden(_) => "the value must be one line of printable ASCII".into(),
            Fault::Nameless => "write os.environ/NAME, file:PATH or credential:NAME".into(),
            Fault::NotGranted => "list the variable under tollgate.api_secrets".into(),
            Fault::NoCredentials => "add LoadCredential= to the unit, or use file:PATH".into(),
            Fault::Unset => match self.reference.strip_prefix(VARIABLE) {
                Some(name) => format!("export {name} before starting, or set it under environment_variables"),
                None => "set it".into(),
            },
            Fault::Unreadable(_) => "check the path and its permissions".into(),
        }
    }
}

/// Replaces every reference in `text`. All faults are returned, not only the first.
pub fn expand(text: &str, environ: &dyn Environ) -> Result<Expanded, Vec<ReferenceError>> {
    expand_some(text, true, environ)
}

/// Replaces `os.environ/NAME` alone: in a URL `file:` is a scheme.
pub fn expand_variables(text: &str, environ: &dyn Environ) -> Result<Expanded, Vec<ReferenceError>> {
    expand_some(text, false, environ)
}

/// Whether `text` refers to a variable, for places where that has no meaning.
pub fn names_variable(text: &str) -> bool {
    text.contains(VARIABLE)
}

/// Whether a variable of this name can be referred to.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn expand_some(text: &str, words: bool, environ: &dyn Environ) -> Result<Expanded, Vec<ReferenceError>> {
    let mut out = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut secret = false;
    let mut rest = text;
    while let Some((before, reference, after)) = next_reference(rest, out.is_empty(), words) {
        out.push_str(before);
        secret = true;
        match lookup(reference, environ) {
            Ok(value) => out.push_str(value.expose()),
            Err(fault) => {
                faults.push(ReferenceError { reference: reference.to_owned(), fault });
                // Something must stand here, or the next word would seem to begin the value.
                out.push('x');
            }
        }
        rest = after;
    }
    out.push_str(rest);
    if faults.is_empty() { Ok(Expanded { text: Secret::new(out), secret }) } else { Err(faults) }
}

/// Splits at the first reference: what stands before it, itself, what stands after.
fn next_reference(text: &str, at_start: bool, words: bool) -> Option<(&str, &str, &str)> {
    let variable = text.find(VARIABLE).map(|start| {
        let name_at = start + VARIABLE.len();
        let length = text
            .get(name_at..)
            .map_or(0, |name| name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len()));
        (start, name_at + length)
    });
    let word = [FILE, CREDENTIAL]
        .into_iter()
        .filter(|_| words)
        .filter_map(|marker| word_reference(text, marker, at_start))
        .min();
    let (start, end) = match (variable, word) {
        (Some(variable), Some(word)) => variable.min(word),
        (one, other) => one.or(other)?,
    };
    Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?))
}

/// A `marker` that begins a word; it reaches to the next space.
fn word_reference(text: &str, marker: &str, at_start: bool) -> Option<(usize, usize)> {
    text.match_indices(marker).find_map(|(start, _)| {
        let begins = match text.get(..start)?.chars().next_back() {
            None => at_start,
            Some(before) => before == ' ',
        };
        let tail = text.get(start..)?;
        let end = start + tail.find(' ').unwrap_or(tail.len());
        begins.then_some((start, end))
    })
}

fn lookup(reference: &str, environ: &dyn Environ) -> Result<Secret, Fault> {
    let value = if let Some(name) = reference.strip_prefix(VARIABLE) {
        named(name)?;
        if !environ.grants(name) {
            return Err(Fault::NotGranted);
        }
        environ.variable(name).ok_or(Fault::Unset)?
    } else if let Some(path) = reference.strip_prefix(FILE) {
        named(path)?;
        read(Path::new(path), environ)?
    } else {
        let name = reference.strip_prefix(CREDENTIAL).unwrap_or(reference);
        named(name)?;
        if name.contains('/') || name == ".." {
            return Err(Fault::Unreadable("a credential's name is one word".into()));
        }
        let folder = environ.variable("CREDENTIALS_DIRECTORY").ok_or(Fault::NoCredentials)?;
        read(&Path::new(&folder).join(name), environ)?
    };
    check(&value).map(|()| Secret::new(value))
}

fn named(name: &str) -> Result<(), Fault> {
    if name.is_empty() { Err(Fault::Nameless) } else { Ok(()) }
}

/// Reads a secret file; one final line end, as editors leave it, is not part of the secret.
fn read(path: &Path, environ: &dyn Environ) -> Result<String, Fault> {
    let bytes = environ.file(path).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let mut text = String::from_utf8(bytes).map_err(|_| Fault::Forbidden("bytes that are not ASCII"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The law of values that end up in a header or a URL.
fn check(value: &str) -> Result<(), Fault> {
    if value.trim().is_empty() {
        return Err(Fault::Empty);
    }
    match value.chars().find(|c| !(' '..='~').contains(c)) {
        None => Ok(()),
        Some('\r' | '\n') => Err(Fault::Forbidden("a line end")),
        Some('\0') => Err(Fault::Forbidden("a NUL")),
        Some(c) if c.is_ascii() => Err(Fault::Forbidden("a control character")),
        Some(_) => Err(Fault::Forbidden("a character that is not ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake;

    impl Environ for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            let value = match name {
                "A" => "one",
                "B_2" => "two",
                "LOOKS" => "os.environ/A",
                "LINES" => "a\r\nX-Injected: 1",
                "NUL" => "a\0b",
                "UMLAUT" => "gr\u{fc}n",
                "EMPTY" => "",
                "CREDENTIALS_DIRECTORY" => "/creds",
                _ => return None,
            };
            Some(value.to_owned())
        }

        fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
            match path.to_str() {
                Some("/s/key") => Ok(b"from-file\n".to_vec()),
                Some("/creds/token") => Ok(b"from-cred\r\n".to_vec()),
                Some("/s/two-lines") => Ok(b"a\n\n".to_vec()),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            }
        }
    }

    #[test]
    fn references_expand_anywhere_and_once() {
        for (text, expected, secret) in [
            ("plain", "plain", false),
            ("bearer os.environ/A", "bearer one", true),
            ("os.environ/A:os.environ/B_2!", "one:two!", true),
            ("a os.environ/A z", "a one z", true),
            ("file:/s/key", "from-file", true),
            ("Bearer file:/s/key", "Bearer from-file", true),
            ("credential:token", "from-cred", true),
            ("os.environ/A credential:token", "one from-cred", true),
            ("os.environ/LOOKS", "os.environ/A", true),
            ("profile:/s/key", "profile:/s/key", false),
        ] {
            let expanded = expand(text, &Fake).expect(text);
            assert_eq!((expanded.text.expose(), expanded.secret), (expected, secret), "{text}");
        }
    }

    #[test]
    fn faults_name_the_reference_and_never_the_value() {
        for (text, reference, fault) in [
            ("x os.environ/NOPE y", "os.environ/NOPE", Fault::Unset),
            ("os.environ/", "os.environ/", Fault::Nameless),
            ("os.environ/EMPTY", "os.environ/EMPTY", Fault::Empty),
            ("os.environ/LINES", "os.environ/LINES", Fault::Forbidden("a line end")),
            ("os.environ/NUL", "os.environ/NUL", Fault::Forbidden("a NUL")),
            ("os.environ/UMLAUT", "os.environ/UMLAUT", Fault::Forbidden("a character that is not ASCII")),
            ("file:/s/two-lines", "file:/s/two-lines", Fault::Forbidden("a line end")),
            ("file:", "file:", Fault::Nameless),
        ] {
            let faults = expand(text, &Fake).expect_err(text);
            assert_eq!(faults, [ReferenceError { reference: reference.into(), fault }], "{text}");
            assert!(!format!("{}{}", faults[0], faults[0].mend()).contains("Injected"));
        }
        assert_eq!(expand("os.environ/N1 os.environ/N2", &Fake).expect_err("two").len(), 2);
        assert!(expand("file:/nope", &Fake).is_err());
    }
}
