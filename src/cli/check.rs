//! `tollgate check`: everything that is wrong with a config file, and nothing served; `--diff`: what a reload would do.

use std::path::Path;

use super::load::{load, print};
use super::output::{complain, count, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK};
use crate::config::env::Process;
use crate::config::{Config, Diff};

/// Checks the file at `path`.
pub(super) fn run(environ: &Process, settings: &Settings, path: &Path) -> u8 {
    let (compiled, report) = load(path, environ, settings);
    print(&report);
    match compiled {
        Some((config, _)) => {
            let (routes, warnings) = (count(config.endpoints.len(), "route"), count(report.notices.len(), "warning"));
            let models = match config.models.deployments.len() {
                0 => String::new(),
                number => format!("{}, ", count(number, "deployment")),
            };
            say(&format!("{}: {routes}, {models}{warnings}\n", path.display()));
            OK
        }
        None => {
            complain(&format!("{}: {}\n", path.display(), count(report.problems.len(), "error")));
            BAD_CONFIG
        }
    }
}

/// Says what a reload of `new` would do where `old` is in force.
pub(super) fn diff(environ: &Process, settings: &Settings, old: &Path, new: &Path) -> u8 {
    let read = |path: &Path| -> Option<Config> {
        let (compiled, mut report) = load(path, environ, settings);
        // Warnings are for `check` itself.
        report.notices.clear();
        print(&report);
        compiled.map(|(config, _)| config)
    };
    let (Some(old), Some(new)) = (read(old), read(new)) else { return BAD_CONFIG };
    let diff = Diff::between(&old, &new);
    let mut out = String::new();
    for line in &diff.applied {
        out += &format!("applied: {line}\n");
    }
    for line in &diff.restart {
        out += &format!("needs a restart: {line}\n");
    }
    say(if diff.is_empty() { "unchanged\n" } else { &out });
    OK
}
