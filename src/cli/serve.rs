//! `tollgate` itself: load, bind, say what is served, serve.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use log::LevelFilter;

use super::again::Sources;
use super::load::{Ready, print, ready};
use super::output::{complain, count, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK, welcome};
use crate::admin::Admin;
use crate::config::Overrides;
use crate::config::env::Process;
use crate::history::History;
use crate::logger;
use crate::proxy::Format;
use crate::reload::{self, Wish};
use crate::server::{self, Bound, Options, Setup, Workers};

/// Serves the file at `path` until a signal ends it.
pub(super) fn run(environ: &Process, settings: &Settings, path: &Path) -> u8 {
    let begun = Instant::now();
    logger::start(settings.level.unwrap_or(LevelFilter::Info));
    let code = match start(environ, settings, path, begun) {
        Ok(()) => OK,
        Err(text) => {
            complain(&text);
            BAD_CONFIG
        }
    };
    logger::flush();
    code
}

fn start(environ: &Process, settings: &Settings, path: &Path, begun: Instant) -> Result<(), String> {
    let cores = || std::thread::available_parallelism().ok().map(usize::from);
    let threads = settings.workers.map(usize::from).or_else(cores).unwrap_or(1);
    let workers = Workers::start(threads).map_err(|error| format!("error: {error}\n"))?;
    let (ready, report) = ready(path, environ, settings, true);
    print(&report);
    let Some(Ready { config, snapshot, state, files, texts }) = ready else {
        return Err(format!("{}: not started, {}\n", path.display(), count(report.problems.len(), "error")));
    };
    let bound = server::bind(&config)
        .map_err(|error| format!("error: {error}; stop what listens there, or choose another with --port\n"))?;
    logger::access_to(&config.log.to).map_err(|error| format!("error: tollgate.log_to: {error}\n"))?;
    let described = state.described.clone();
    let overrides = serving(settings, &bound);
    let (reloads, asked) = reload::channel(texts.clone());
    let moved = reloads.clone();
    let parts =
        state.serve(Box::new(move || moved.notify(Wish::Entries))).map_err(|text| format!("error: {text}\n"))?;
    let adapters = settings.adapters.clone();
    let sources = Sources { path: path.to_owned(), overrides, adapters, shelf: Arc::clone(&parts.shelf) };
    let (config, snapshot) = sources.added_to((config, snapshot), &texts).map_err(|text| format!("error: {text}\n"))?;
    let judge = sources.clone().judge(reloads.clone(), Arc::clone(&parts.book));
    let admin = Admin::new(parts, config.master_key.clone(), reloads, judge);
    admin.follow(&config, false);
    say(&server::announce(&bound, &config));
    say(&welcome::after(&bound, &config, &described));
    log::debug!("started in {:?}", begun.elapsed());
    let readable = settings.debug || stdout().is_terminal();
    let usual_format = if readable { Format::Text } else { Format::Json };
    let setup = Setup {
        config,
        snapshot,
        admin: Arc::new(admin),
        options: Options { usual_format, detailed: settings.detailed, level: settings.level },
        asked,
        files,
        texts,
        history: settings.state_dir.as_deref().map(History::below),
        source: Box::new(move |before, kept| sources.again(before, kept)),
    };
    workers.serve(bound, setup).map_err(|error| format!("error: {error}\n"))
}

/// What beats the file while `bound` stays open.
fn serving(settings: &Settings, bound: &[Bound]) -> Overrides {
    let listening = |inside| bound.iter().filter(move |bound| bound.is_inside() == inside).map(Bound::listen).cloned();
    Overrides {
        serving: listening(false).collect(),
        serving_inside: listening(true).collect(),
        ..settings.overrides.clone()
    }
}
