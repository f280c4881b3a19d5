//! The config: a snapshot and no problem, or problems that each have a place in the file and show no secret.

use std::path::Path;
use std::sync::Arc;

use tollgate::auth::Book;
use tollgate::config::env::Environ;
use tollgate::config::{self, Overrides};
use tollgate::snapshot;

const SECRET: &str = "canary-of-the-fuzzer";

struct File<'a>(&'a [u8]);

impl Environ for File<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "SECRET" => Some(SECRET.to_owned()),
            "PORT" => Some("8443".to_owned()),
            "LINES" => Some(format!("{SECRET}\n{SECRET}")),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        match path.to_str() {
            Some("t.yaml") => Ok(self.0.to_vec()),
            Some("secret") => Ok(SECRET.as_bytes().to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// The input is the file.
pub fn check(input: &[u8]) {
    let (config, mut report) = config::load(Path::new("t.yaml"), &File(input), &Overrides::default());
    let before = report.problems.len();
    let compiled =
        config.as_ref().and_then(|config| snapshot::compile(config, &Arc::new(Book::passing()), &mut report));
    assert_eq!(compiled.is_none(), config.is_none() || report.problems.len() > before, "{:?}", report.problems);
    assert!(config.is_some() || !report.is_clean(), "no config, and nobody says why");
    if let Some(config) = config.as_ref().filter(|_| report.is_clean()) {
        assert!(!config.listen.is_empty() || !config.endpoints.is_empty());
    }
    // A reader counts lines by any line end.
    let lines = 1 + input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let lines = lines + String::from_utf8_lossy(input).matches(['\u{85}', '\u{2028}', '\u{2029}']).count();
    for (message, must_have_line) in
        report.problems.iter().map(|one| (one, true)).chain(report.notices.iter().map(|one| (one, false)))
    {
        let text = message.to_string();
        let line = message.site.place.line;
        assert!(line <= lines, "{text}: there are {lines} lines");
        assert!(line > 0 || message.site.path.is_empty() || !must_have_line, "no line: {text}");
        assert!(!text.contains(SECRET), "a secret is shown: {text}");
        assert!(!text.contains(char::is_control), "a message of several lines, or worse: {text:?}");
        assert!(!message.what.is_empty());
    }
}
