//! `tollgate init`: a first config, with comments.
//!
//! The law: it never writes over a file, and what it writes passes `tollgate check` once the variables it names are set.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::output::{complain, say};
use super::{BAD_CONFIG, OK};

/// The file; it stands among the examples, where it is checked with them.
const STARTER: &str = include_str!("../../conf/starter.yaml");
/// Where it is written when nobody says otherwise.
const USUAL: &str = "config.yaml";

/// Writes the starter to `path`; `-` is stdout.
pub(super) fn run(path: Option<&Path>) -> u8 {
    let path = path.unwrap_or(Path::new(USUAL));
    if path == Path::new("-") {
        say(STARTER);
        return OK;
    }
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(STARTER.as_bytes()))
    {
        Ok(()) => {
            say(&next(&path.display().to_string()));
            OK
        }
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::AlreadyExists => "it is there already; name another file, or move it away".to_owned(),
                _ => error.to_string(),
            };
            complain(&format!("error: {} is not written: {why}\n", path.display()));
            BAD_CONFIG
        }
    }
}

/// The way from here to a first answer.
fn next(file: &str) -> String {
    format!(
        "{file} is written. Next steps:
  export TOLLGATE_MASTER_KEY=\"sk-$(openssl rand -hex 16)\"   # the key of your own programs
  export OPENAI_API_KEY=...                                 # the provider's key, which they never see
  tollgate check --config {file}
  tollgate --config {file}
  curl http://localhost:4000/openai/models -H \"Authorization: Bearer $TOLLGATE_MASTER_KEY\"
"
    )
}
