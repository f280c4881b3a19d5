//! `tollgate.log_format`, `log_to`, `log_sample` and `log_level`.
//!
//! Whether a file can be written is not judged here: it is looked at when it is about to be.

use std::path::Path;

use log::LevelFilter;

use crate::config::error::Report;
use crate::config::log::{Log, LogFormat, LogTo};
use crate::config::raw::Value;
use crate::config::section::{Section, shorten};

/// Where systemd's journal listens; one of a namespace is named by its own socket.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Reads them; files are relative to `folder`.
pub(super) fn read(own: Option<&Section<'_>>, folder: &Path, report: &mut Report) -> Log {
    let Some(own) = own else { return Log::default() };
    Log {
        format: format(own, report),
        to: to(own, folder, report),
        to_site: own.entry("log_to").map(|entry| own.site_of(entry)),
        sample: sample(own, report),
        level: level(own, report),
    }
}

fn format(own: &Section<'_>, report: &mut Report) -> LogFormat {
    let Some((text, site)) = own.text("log_format", report) else { return LogFormat::Auto };
    match text.as_str() {
        "auto" => LogFormat::Auto,
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ => {
            let what = format!("`{}` is not a format of the log", shorten(&text));
            report.problem(&site, what, "write text, json or auto");
            LogFormat::Auto
        }
    }
}

fn to(own: &Section<'_>, folder: &Path, report: &mut Report) -> LogTo {
    if own.entry("log_to").is_some_and(|entry| matches!(entry.node.value, Value::Bool(false))) {
        return LogTo::Nowhere;
    }
    let Some((text, site)) = own.text("log_to", report) else { return LogTo::Stdout };
    match text.as_str() {
        "stdout" => LogTo::Stdout,
        "journald" => LogTo::Journal(JOURNAL.into()),
        _ => match text.strip_prefix("journald:") {
            Some(socket) if socket.starts_with('/') => LogTo::Journal(socket.into()),
            // What is no path is a slip, not a file in this folder.
            None if text.contains('/') => LogTo::File(folder.join(&text)),
            _ => {
                let what = format!("`{}` is no place for the log", shorten(&text));
                report.problem(
                    &site,
                    what,
                    "write stdout, journald, journald:/SOCKET, a path such as ./access.log, or false",
                );
                LogTo::Stdout
            }
        },
    }
}

fn sample(own: &Section<'_>, report: &mut Report) -> f64 {
    let Some(share) = own.number("log_sample", report) else { return 1.0 };
    if share > 0.0 && share <= 1.0 {
        return share;
    }
    if let Some(entry) = own.entry("log_sample") {
        let what = format!("{share} is no share of the requests");
        report.problem(
            &own.site_of(entry),
            what,
            "write a number above 0, at most 1; for no lines at all, log_to: false",
        );
    }
    1.0
}

fn level(own: &Section<'_>, report: &mut Report) -> Option<LevelFilter> {
    let (text, site) = own.text("log_level", report)?;
    let level = match text.to_ascii_lowercase().as_str() {
        "debug" => LevelFilter::Debug,
        "info" => LevelFilter::Info,
        "warning" | "warn" => LevelFilter::Warn,
        "error" => LevelFilter::Error,
        _ => {
            let what = format!("`{}` is not a level of the log", shorten(&text));
            report.problem(&site, what, "write debug, info, warning or error");
            return None;
        }
    };
    Some(level)
}
