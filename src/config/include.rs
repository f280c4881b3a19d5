//! `include:`: further files merged into the one that names them.
//!
//! The law: mappings merge, lists grow at their end, and a scalar that both files set to different values is an error
//! naming both places; nothing is dropped. Names of included files count from the file that names them, everything else in
//! them from the main file. Naming a file twice, or in a circle, is an error.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::config::env::Environ;
use crate::config::error::{Place, Report, Site};
use crate::config::raw::{self, Entry, Node, Value};
use crate::config::section::scalar;

/// The most files one config may consist of.
pub const MAX_FILES: usize = 100;

/// Reads `path` and all that it includes.
pub fn read(path: &Path, environ: &dyn Environ, report: &mut Report) -> Option<Node> {
    let mut seen = Vec::new();
    let site = Site { place: Place { file: Arc::from(path.display().to_string()), line: 0 }, path: String::new() };
    file(path, &site, environ, &mut seen, report)
}

fn file(
    path: &Path,
    named_at: &Site,
    environ: &dyn Environ,
    seen: &mut Vec<PathBuf>,
    report: &mut Report,
) -> Option<Node> {
    let name: Arc<str> = Arc::from(path.display().to_string());
    let plain = plain(path);
    if seen.contains(&plain) || seen.len() >= MAX_FILES {
        report.problem(named_at, format!("`{name}` is included twice, or in a circle"), "include each file once");
        return None;
    }
    seen.push(plain);
    let bytes = match environ.text(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            report.problem(named_at, format!("`{name}` cannot be read: {error}"), "check the path and its permissions");
            return None;
        }
    };
    let mut node = match raw::parse(&name, &bytes) {
        Ok(node) => node,
        Err(error) => {
            let site = Site { place: Place { file: name, line: error.line }, path: String::new() };
            report.problem(&site, error.what, if error.line == 0 { "" } else { "mend the file at this line" });
            return None;
        }
    };
    for (included, site) in take_includes(&mut node, report) {
        let path = path.parent().unwrap_or(Path::new("")).join(included);
        if let Some(other) = file(&path, &site, environ, seen, report) {
            merge(&mut node, other, "", report);
        }
    }
    Some(node)
}

/// The path without `.` and `..`, for comparing.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            _ => out.push(part),
        }
    }
    out
}

/// Takes the `include` key out of the tree.
fn take_includes(node: &mut Node, report: &mut Report) -> Vec<(String, Site)> {
    let Value::Map(entries) = &mut node.value else { return Vec::new() };
    let Some(index) = entries.iter().position(|entry| entry.key == "include") else { return Vec::new() };
    let entry = entries.remove(index);
    match entry.node.value {
        Value::Null => Vec::new(),
        Value::List(items) => items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| {
                let site = Site { place: item.place.clone(), path: format!("include[{index}]") };
                scalar(item, &site, report).map(|path| (path, site))
            })
            .collect(),
        other => {
            let site = Site { place: entry.place.clone(), path: "include".into() };
            report.problem(&site, format!("{} is not a list", other.kind()), "write a list of file names");
            Vec::new()
        }
    }
}

fn merge(into: &mut Node, from: Node, path: &str, report: &mut Report) {
    match (&mut into.value, from.value) {
        (_, Value::Null) => {}
        (Value::Null, other) => *into = Node { place: from.place, value: other },
        (Value::List(items), Value::List(more)) => items.extend(more),
        (Value::Map(entries), Value::Map(more)) => merge_entries(entries, more, path, report),
        (Value::Bool(one), Value::Bool(other)) if *one == other => {}
        (Value::Number(one), Value::Number(other)) | (Value::Text(one), Value::Text(other)) if *one == other => {}
        _ => {
            let site = Site { place: from.place, path: path.to_owned() };
            report.problem(
                &site,
                format!("`{path}` is set to something else at {}", into.place),
                "keep one of the two",
            );
        }
    }
}

fn merge_entries(entries: &mut Vec<Entry>, more: Vec<Entry>, path: &str, report: &mut Report) {
    for entry in more {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                merge(&mut known.node, entry.node, &path, report);
            }
            None => entries.push(entry),
        }
    }
}
