//! `tollgate reload` and `tollgate rollback`: have the Tollgate on this machine read its config again, or put one in force that it has
//! kept, and say what has come of it; `tollgate history` lists those.
//!
//! The law: exit 0 when it is in force, 1 when it is not, and stderr has the words of `check`. The master key is the config's,
//! or LITELLM_MASTER_KEY; it is sent to this machine's own addresses alone.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::ask::{address, ask};
use super::output::{complain, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK};
use crate::clock;
use crate::config::env::{Environ, Process};
use crate::config::{self, Overrides};
use crate::history::{History, Kept};
use crate::secret::Secret;

/// How long a reload may take: a file of ten thousand routes takes about a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for the file, or for the config of a number.
pub(super) fn run(environ: &Process, settings: &Settings, number: Option<u64>) -> u8 {
    match number {
        None => end(reloaded(environ, settings, "/config/reload", "")),
        Some(number) => end(reloaded(environ, settings, "/config/rollback", &json!({ "number": number }).to_string())),
    }
}

/// Lists the configs that were kept.
pub(super) fn history(settings: &Settings) -> u8 {
    let listed = settings.state_dir.as_deref().ok_or("there is no state folder: set --state-dir".to_owned());
    end(listed.and_then(|folder| {
        let list = History::below(folder).list().map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(if list.is_empty() { "no config was kept yet\n".into() } else { list.iter().map(line).collect() })
    }))
}

fn line(kept: &Kept) -> String {
    let Kept { number, at, main, files, pinned } = kept;
    let more = if *files > 1 { format!(" and {} more", files - 1) } else { String::new() };
    let pinned = if *pinned { "  pinned" } else { "" };
    format!("{number:>6}  {}  {}{more}{pinned}\n", clock::rfc3339(*at), main.display())
}

fn end(done: Result<String, String>) -> u8 {
    match done {
        Ok(text) => {
            say(&text);
            OK
        }
        Err(text) => {
            complain(&format!("error: {text}\n"));
            BAD_CONFIG
        }
    }
}

fn reloaded(environ: &Process, settings: &Settings, path: &str, body: &str) -> Result<String, String> {
    let address = address(&settings.overrides)?;
    let key = key(environ, settings.config.as_deref(), &settings.overrides)
        .ok_or("there is no master key: name the config with --config, or set LITELLM_MASTER_KEY")?;
    let request =
        format!("POST {path} HTTP/1.1\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n", key.expose(), body.len());
    let (status, body) = ask(address, &request, body, PATIENCE).map_err(|error| format!("{address}: {error}"))?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    if status == 200 {
        return Ok(told(&answer));
    }
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    Err(message.map_or_else(|| format!("{address} answers {status}"), str::to_owned))
}

/// The key that the running one knows; a file that has other problems may still say it.
fn key(environ: &Process, path: Option<&Path>, overrides: &Overrides) -> Option<Secret> {
    let from_file = path.and_then(|path| config::load(path, environ, overrides).0?.master_key);
    from_file.or_else(|| environ.variable("LITELLM_MASTER_KEY").map(Secret::new))
}

/// What the answer says, a line for each change.
fn told(answer: &Value) -> String {
    let mut out = format!("{}, generation {}\n", answer["status"].as_str().unwrap_or("reloaded"), answer["generation"]);
    if let Some(number) = answer["pinned"].as_u64() {
        out += &format!("  config {number} is pinned until the next reload\n");
    }
    let lists = [("applied", ""), ("needs_restart", "needs a restart: "), ("warnings", "warning: ")];
    for (list, before) in lists {
        for line in answer.get(list).and_then(Value::as_array).into_iter().flatten() {
            out += &format!("  {before}{}\n", line.as_str().unwrap_or_default());
        }
    }
    out
}
