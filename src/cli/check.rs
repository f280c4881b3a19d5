//! `tollgate check`: everything that is wrong with a config file, and nothing served.

use std::path::Path;

use super::load::{load, print};
use super::output::{complain, count, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK};
use crate::config::env::Process;

/// Checks the file at `path`.
pub(super) fn run(environ: &Process, settings: &Settings, path: &Path) -> u8 {
    let (compiled, report) = load(path, environ, settings);
    print(&report);
    match compiled {
        Some((config, _)) => {
            let (routes, warnings) = (count(config.endpoints.len(), "route"), count(report.notices.len(), "warning"));
            say(&format!("{}: {routes}, {warnings}\n", path.display()));
            OK
        }
        None => {
            complain(&format!("{}: {}\n", path.display(), count(report.problems.len(), "error")));
            BAD_CONFIG
        }
    }
}
