//! A config file read, compiled, and what it has to say for itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::complain;
use super::settings::Settings;
use super::state::{self, State};
use crate::auth::Book;
use crate::config::env::Process;
use crate::config::error::Report;
use crate::config::noted::{Noted, Stamp, Texts};
use crate::config::{self, Config};
use crate::snapshot::{self, Snapshot};
use crate::{edge, logger, trust};

/// Warnings that are printed; a file with more has one cause for many.
const MOST_NOTICES: usize = 200;

/// Reads the file at `path`, for who only looks: no store is opened. There is a config and a snapshot exactly when the report has
/// no problem.
pub(super) fn load(path: &Path, environ: &Process, settings: &Settings) -> (Option<(Config, Snapshot)>, Report) {
    let (config, mut report) = config::load(path, environ, &settings.overrides);
    let compiled = config.and_then(|config| {
        let snapshot = compile(&config, &Arc::new(Book::passing()), settings, &mut report)?;
        Some((config, snapshot))
    });
    finish(&mut report, settings);
    (compiled.filter(|_| report.is_clean()), report)
}

/// What a server starts with.
pub(super) struct Ready {
    pub(super) config: Config,
    pub(super) snapshot: Snapshot,
    pub(super) state: State,
    /// The files that it was read from.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// The texts of its own.
    pub(super) texts: Texts,
}

/// Reads the file at `path` to serve it: the store is opened as soon as nothing else is wrong, and made if it may be.
pub(super) fn ready(path: &Path, environ: &Process, settings: &Settings, make: bool) -> (Option<Ready>, Report) {
    let environ = Noted::new(environ);
    let (config, mut report) = config::load(path, &environ, &settings.overrides);
    let made = config.and_then(|config| {
        let opened = if report.is_clean() { state::open(Some(&config), settings, make).map(Some) } else { Ok(None) };
        let (state, book) = match opened {
            Ok(state) => {
                let book = state.as_ref().map_or_else(|| Arc::new(Book::passing()), |state| Arc::clone(&state.book));
                (state, book)
            }
            Err(what) => {
                let site = config.store.as_ref().map_or(&config.site, |(_, site)| site);
                report.problem(site, what, "mend it, or name another file with tollgate.store or --state-dir");
                return None;
            }
        };
        let snapshot = compile(&config, &book, settings, &mut report)?;
        Some((config, snapshot, state?))
    });
    finish(&mut report, settings);
    let (files, texts) = environ.into_read();
    let made = made.filter(|_| report.is_clean());
    (made.map(|(config, snapshot, state)| Ready { config, snapshot, state, files, texts }), report)
}

/// Whether what is only opened when it is served could be.
pub(super) fn look(config: &Config, report: &mut Report) {
    trust::check(config.network.ca_pem.as_ref(), report);
    edge::check_certificates(&config.listen, report);
    if let Err(error) = logger::check(&config.log.to) {
        let site = config.log.to_site.as_ref().unwrap_or(&config.site);
        report.problem(
            site,
            format!("the access log cannot be written there: {error}"),
            "make its folder, or name another place",
        );
    }
}

fn compile(config: &Config, book: &Arc<Book>, settings: &Settings, report: &mut Report) -> Option<Snapshot> {
    look(config, report);
    snapshot::draft(config, book, &settings.adapters, None, report).map(|draft| draft.publish().0)
}

fn finish(report: &mut Report, settings: &Settings) {
    report.sort();
    // Flags and variables come before the file, as they were given before it.
    report.notices.splice(0..0, settings.notices.iter().cloned());
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
