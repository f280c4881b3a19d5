//! The command line: LiteLLM's flags, in snake and kebab case, and Tollgate's own commands.
//!
//! `arguments` is what may be typed, `litellm` what LiteLLM's users type without effect here, `settings` what comes of flags,
//! variables and `.env`; `load` reads the config, `again` does while a process runs, `state` opens the key store; `serve`, `check`, `explain`, `key`, `reload` (with `history` and `rollback`), `health` (which `ask` a running one), `init`, `generate`, `translate` and `complete` are
//! the commands.
//! The law: exit 0 after a clean stop, 1 for a config or a port that cannot be used or a request that `explain` sees refused,
//! 2 for a command line that makes no sense.

mod again;
mod arguments;
mod ask;
mod check;
mod complete;
mod explain;
mod generate;
mod health;
mod init;
mod key;
mod litellm;
mod load;
mod output;
mod reload;
mod serve;
mod settings;
mod state;
mod translate;
mod welcome;

use std::ffi::OsString;
use std::path::Path;

use arguments::{Arguments, Command};
use output::{complain, say};
use settings::Settings;

use crate::config;
use crate::config::env::Process;
use crate::translate::Adapters;

/// Exit codes.
const OK: u8 = 0;
const BAD_CONFIG: u8 = 1;
const BAD_USAGE: u8 = 2;

/// What `tollgate` alone prints.
const NEXT_STEPS: &str = "tollgate needs a config file. Next steps:
  tollgate init                         write config.yaml, a config with comments
  tollgate check --config config.yaml   say what is wrong with it
  tollgate --config config.yaml         serve it on http://localhost:4000
tollgate --help prints every command and flag.
";

/// Runs the command line `arguments` and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    run_with(arguments, Adapters::default())
}

/// The same for a program that has further adapters.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>, adapters: Adapters) -> u8 {
    let mut arguments = match Arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { BAD_USAGE } else { OK };
        }
    };
    arguments.adapters = adapters;
    match &arguments.command {
        Some(Command::Schema) => {
            let schema = serde_json::to_string_pretty(&config::json_schema()).unwrap_or_default();
            say(&format!("{schema}\n"));
            OK
        }
        Some(Command::Translate { adapter, direction, request }) => {
            translate::run(&arguments.adapters, adapter, *direction, request.as_deref())
        }
        Some(Command::Complete { adapter, model }) => {
            with_settings(&arguments, |environ, settings| complete::run(environ, settings, adapter, model.as_deref()))
        }
        Some(Command::Init { file }) => init::run(file.as_deref().or(arguments.config.as_deref())),
        Some(Command::Completions { shell }) => generate::completions(*shell),
        Some(Command::Man) => generate::man(),
        Some(Command::Check { diff: Some(files) }) => match files.as_slice() {
            [old, new] => with_settings(&arguments, |environ, settings| check::diff(environ, settings, old, new)),
            _ => BAD_USAGE,
        },
        Some(Command::Check { diff: None }) => with_config(&arguments, check::run),
        Some(Command::Reload) => with_settings(&arguments, |environ, settings| reload::run(environ, settings, None)),
        Some(Command::Rollback { number }) => {
            with_settings(&arguments, |environ, settings| reload::run(environ, settings, Some(*number)))
        }
        Some(Command::History) => with_settings(&arguments, |_, settings| reload::history(settings)),
        Some(Command::Key(command)) => {
            with_settings(&arguments, |environ, settings| key::run(command, environ, settings))
        }
        Some(Command::Health) => with_settings(&arguments, |_, settings| health::run(&settings.overrides)),
        Some(Command::Explain(request)) => {
            with_config(&arguments, |environ, settings, path| explain::run(request, environ, settings, path))
        }
        None if arguments.serves() => with_config(&arguments, serve::run),
        None => with_config(&arguments, check::run),
    }
}

fn with_config(arguments: &Arguments, command: impl FnOnce(&Process, &Settings, &Path) -> u8) -> u8 {
    with_settings(arguments, |environ, settings| match &settings.config {
        Some(path) => command(environ, settings, path),
        None => {
            complain(NEXT_STEPS);
            BAD_USAGE
        }
    })
}

fn with_settings(arguments: &Arguments, command: impl FnOnce(&Process, &Settings) -> u8) -> u8 {
    let environ = match Process::with_dotenv() {
        Ok(environ) => environ,
        Err(text) => {
            complain(&format!("error: {text}\n"));
            return BAD_CONFIG;
        }
    };
    match Settings::gather(arguments, &environ) {
        Ok(settings) => command(&environ, &settings),
        Err(text) => {
            complain(&format!("error: {text}\n"));
            BAD_USAGE
        }
    }
}
