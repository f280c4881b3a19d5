//! A config file read, compiled, and what it has to say for itself.

use std::path::Path;

use super::output::complain;
use super::settings::Settings;
use crate::config::env::Process;
use crate::config::error::Report;
use crate::config::{self, Config};
use crate::snapshot::{self, Snapshot};
use crate::{edge, trust};

/// Warnings that are printed; a file with more has one cause for many.
const MOST_NOTICES: usize = 200;

/// Reads the file at `path`. There is a config and a snapshot exactly when the report has no problem.
pub(super) fn load(path: &Path, environ: &Process, settings: &Settings) -> (Option<(Config, Snapshot)>, Report) {
    let (config, mut report) = config::load(path, environ, &settings.overrides);
    let compiled = config.and_then(|config| {
        trust::check(config.network.ca_pem.as_ref(), &mut report);
        edge::check_certificates(&config.listen, &mut report);
        snapshot::compile(&config, &mut report).map(|snapshot| (config, snapshot))
    });
    report.sort();
    // Flags and variables come before the file, as they were given before it.
    report.notices.splice(0..0, settings.notices.iter().cloned());
    (compiled.filter(|_| report.is_clean()), report)
}

/// Prints the problems of `report`, then its notices.
pub(super) fn print(report: &Report) {
    let mut text = String::new();
    for problem in &report.problems {
        text += &format!("error: {problem}\n");
    }
    for notice in report.notices.iter().take(MOST_NOTICES) {
        text += &format!("warning: {notice}\n");
    }
    if let Some(more) = report.notices.len().checked_sub(MOST_NOTICES).filter(|more| *more > 0) {
        text += &format!("warning: and {more} more\n");
    }
    complain(&text);
}
