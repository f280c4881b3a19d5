//! The command line: LiteLLM's flags, in snake and kebab case, and Tollgate's own commands.
//!
//! The law: exit 0 after a clean stop, 1 for a config or a port that cannot be used, 2 for a command line that makes no sense.

use std::ffi::OsString;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, Subcommand};
use log::Level;

use crate::config::env::{Environ, Process};
use crate::config::error::Report;
use crate::config::listen;
use crate::config::{self, Config, Overrides};
use crate::proxy::Format;
use crate::server::{self, Options, Workers};
use crate::snapshot::{self, Snapshot};
use crate::{edge, logger, trust};

/// Exit codes.
const OK: u8 = 0;
const BAD_CONFIG: u8 = 1;
const BAD_USAGE: u8 = 2;
/// Warnings that are printed; a file with more has one cause for many.
const MOST_NOTICES: usize = 200;

/// An edge proxy for AI APIs: your keys in front, the providers' secrets behind.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, disable_help_subcommand = true, args_conflicts_with_subcommands = false)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The config file, LiteLLM's or one of your own [env: CONFIG_FILE_PATH]
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1 and ::1]
    #[arg(long, global = true, value_name = "ADDRESS")]
    host: Option<String>,
    /// The port to listen on; 0 lets the system pick [default: 4000]
    #[arg(long, global = true)]
    port: Option<u16>,
    /// Worker threads [default: the cores this process may use]
    #[arg(long = "num_workers", global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// The certificate that listeners show which have none of their own, in PEM [env: SSL_CERTFILE_PATH]
    #[arg(long = "ssl_certfile_path", global = true, value_name = "FILE", requires = "ssl_keyfile_path")]
    ssl_certfile_path: Option<PathBuf>,
    /// The key of --ssl_certfile_path, in PEM [env: SSL_KEYFILE_PATH]
    #[arg(long = "ssl_keyfile_path", global = true, value_name = "FILE", requires = "ssl_certfile_path")]
    ssl_keyfile_path: Option<PathBuf>,
    /// Say more
    #[arg(long, global = true)]
    debug: bool,
    /// Say more, and describe every upstream request: names of headers, never values
    #[arg(long = "detailed_debug", global = true)]
    detailed_debug: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Check a config file: every problem at once, exit 1 if there is any
    Check,
    /// Print the JSON Schema of the config file
    Schema,
}

/// Runs the command line `arguments` and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments.into_iter().map(snake)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { BAD_USAGE } else { OK };
        }
    };
    match arguments.command {
        Some(Command::Schema) => {
            let schema = serde_json::to_string_pretty(&config::json_schema()).unwrap_or_default();
            say(&format!("{schema}\n"));
            OK
        }
        Some(Command::Check) => with_config(&arguments, check),
        None => with_config(&arguments, serve),
    }
}

/// `--num-workers` is `--num_workers`.
fn snake(argument: OsString) -> OsString {
    match argument.to_str().and_then(|text| text.strip_prefix("--")) {
        Some(flag) => {
            let (name, value) = flag.split_at(flag.find('=').unwrap_or(flag.len()));
            format!("--{}{value}", name.replace('-', "_")).into()
        }
        None => argument,
    }
}

fn with_config(arguments: &Arguments, command: fn(&Arguments, &Path) -> u8) -> u8 {
    if let Some(host) = arguments.host.as_deref().filter(|host| listen::host(host, 0).is_none()) {
        complain(&format!("--host {host}: write an address, such as 127.0.0.1, ::1 or 0.0.0.0\n"));
        return BAD_USAGE;
    }
    let named = arguments.config.clone().or_else(|| Process.variable("CONFIG_FILE_PATH").map(PathBuf::from));
    match named {
        Some(path) => command(arguments, &path),
        None => {
            complain(
                "tollgate needs a config file. Next steps:\n  tollgate --config config.yaml         serve it on http://localhost:4000\n  tollgate check --config config.yaml   say what is wrong with it\n  tollgate --help                       all flags\n",
            );
            BAD_USAGE
        }
    }
}

fn load(arguments: &Arguments, path: &Path) -> (Option<(Config, Snapshot)>, Report) {
    let overrides = Overrides {
        host: arguments.host.clone(),
        port: arguments.port,
        tls_cert: arguments.ssl_certfile_path.clone(),
        tls_key: arguments.ssl_keyfile_path.clone(),
        ..Overrides::default()
    };
    let (config, mut report) = config::load(path, &Process, &overrides);
    let compiled = config.and_then(|config| {
        trust::check(config.network.ca_pem.as_ref(), &mut report);
        edge::check_certificates(&config.listen, &mut report);
        snapshot::compile(&config, &mut report).map(|snapshot| (config, snapshot))
    });
    report.sort();
    (compiled.filter(|_| report.is_clean()), report)
}

fn print_report(report: &Report) {
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

fn check(arguments: &Arguments, path: &Path) -> u8 {
    let (compiled, report) = load(arguments, path);
    print_report(&report);
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

fn serve(arguments: &Arguments, path: &Path) -> u8 {
    let begun = Instant::now();
    let debug = arguments.debug || arguments.detailed_debug;
    logger::start(if debug { Level::Debug } else { Level::Info });
    let code = match start(arguments, path, debug, begun) {
        Ok(()) => OK,
        Err(text) => {
            complain(&text);
            BAD_CONFIG
        }
    };
    logger::flush();
    code
}

fn start(arguments: &Arguments, path: &Path, debug: bool, begun: Instant) -> Result<(), String> {
    let cores = || std::thread::available_parallelism().ok().map(usize::from);
    let threads = arguments.workers.map(usize::from).or_else(cores).unwrap_or(1);
    let workers = Workers::start(threads).map_err(|error| format!("error: {error}\n"))?;
    let (compiled, report) = load(arguments, path);
    print_report(&report);
    let Some((config, snapshot)) = compiled else {
        return Err(format!("{}: not started, {}\n", path.display(), count(report.problems.len(), "error")));
    };
    let bound = server::bind(&config.listen)
        .map_err(|error| format!("error: {error}; stop what listens there, or choose another with --port\n"))?;
    say(&server::announce(&bound, &config));
    log::debug!("started in {:?}", begun.elapsed());
    let format = if debug || stdout().is_terminal() { Format::Text } else { Format::Json };
    let options = Options { format, detailed: arguments.detailed_debug };
    workers.serve(bound, &config, snapshot, options).map_err(|error| format!("error: {error}\n"))
}

/// `1 error`, `2 errors`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Prints to stdout. A closed pipe is no reason to stop.
fn say(text: &str) {
    let _ = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
}

/// Prints to stderr.
fn complain(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}
