//! `tollgate` itself: load, bind, say what is served, serve.

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Instant;

use super::load::{Ready, print, ready};
use super::output::{complain, count, say};
use super::settings::Settings;
use super::{BAD_CONFIG, OK, welcome};
use crate::config::LogFormat;
use crate::config::env::Process;
use crate::logger;
use crate::proxy::Format;
use crate::server::{self, Options, Workers};

/// Serves the file at `path` until a signal ends it.
pub(super) fn run(environ: &Process, settings: &Settings, path: &Path) -> u8 {
    let begun = Instant::now();
    logger::start(settings.level);
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
    let Some(Ready { config, snapshot, state }) = ready else {
        return Err(format!("{}: not started, {}\n", path.display(), count(report.problems.len(), "error")));
    };
    let bound = server::bind(&config.listen)
        .map_err(|error| format!("error: {error}; stop what listens there, or choose another with --port\n"))?;
    say(&server::announce(&bound, &config));
    let described = state.described.clone();
    let admin = state.serve(config.master_key.clone()).map_err(|text| format!("error: {text}\n"))?;
    say(&welcome::after(&bound, &config, &described));
    log::debug!("started in {:?}", begun.elapsed());
    let options = Options { format: format(config.log_format, settings.debug), detailed: settings.detailed };
    workers.serve(bound, &config, snapshot, admin, options).map_err(|error| format!("error: {error}\n"))
}

fn format(wanted: LogFormat, debug: bool) -> Format {
    match wanted {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
        LogFormat::Auto if debug || stdout().is_terminal() => Format::Text,
        LogFormat::Auto => Format::Json,
    }
}
