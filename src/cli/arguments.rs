//! What may be typed: commands, flags, and their help.
//!
//! The law: as close to what was typed as possible; nothing is read from the environment or a file here. A flag may be
//! written with underscores or with hyphens.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::translate::Adapters;
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use super::litellm;

mod key;

pub(super) use key::{KeyCommand, KeyFields};

/// Command lines to copy.
pub(super) const EXAMPLES: &str = "  tollgate init                                        write config.yaml
  tollgate check --config config.yaml                  say everything that is wrong with it
  tollgate explain --config config.yaml POST /openai/chat/completions -H 'x-api-key: sk-...'
  tollgate --config config.yaml --detailed_debug       serve it, and describe every request
  tollgate key generate --key_alias ci --rpm_limit 60 --duration 30d    make a key
  tollgate completions bash > ~/.local/share/bash-completion/completions/tollgate
";

/// What holds for flags and variables alike.
pub(super) const PRECEDENCE: &str =
    "A flag beats its variable, a variable beats the config file. Variables may stand in a file .env in the working folder; the
process's own win. LiteLLM's other flags are accepted; each that has no effect says so once. Variables without a flag:
LITELLM_MASTER_KEY (where the file has no master_key), LITELLM_SALT_KEY (for the key store), LITELLM_LOG (DEBUG, INFO, WARNING,
ERROR), SERVER_ROOT_PATH.
";

/// An edge proxy for AI APIs: your keys in front, the providers' secrets behind.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true,
    override_usage = "tollgate --config FILE [flags]    serve\n       tollgate COMMAND [flags]",
    after_help = format!("Examples:\n{EXAMPLES}\n{PRECEDENCE}")
)]
pub(super) struct Arguments {
    /// The adapters that the program has.
    #[arg(skip)]
    pub(super) adapters: Adapters,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    /// The config file, LiteLLM's or one of your own [env: CONFIG_FILE_PATH]
    #[arg(long, short, global = true, value_name = "FILE", help_heading = "Serving")]
    pub(super) config: Option<PathBuf>,
    /// The address to listen on [env: HOST] [default: 127.0.0.1 and ::1]
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Serving")]
    pub(super) host: Option<String>,
    /// The port to listen on; 0 lets the system pick [env: PORT] [default: 4000]
    #[arg(long, global = true, help_heading = "Serving")]
    pub(super) port: Option<u16>,
    /// Worker threads [env: NUM_WORKERS] [default: the cores this process may use]
    #[arg(long = "num_workers", global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Serving")]
    pub(super) workers: Option<u16>,
    /// The key of --ssl_certfile_path, in PEM [env: SSL_KEYFILE_PATH]
    #[arg(long = "ssl_keyfile_path", global = true, value_name = "FILE", help_heading = "Serving")]
    pub(super) tls_key: Option<PathBuf>,
    /// The certificate that listeners show which have none of their own, in PEM [env: SSL_CERTFILE_PATH]
    #[arg(long = "ssl_certfile_path", global = true, value_name = "FILE", help_heading = "Serving")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The folder for state [env: STATE_DIRECTORY] [default: $XDG_STATE_HOME/tollgate]
    #[arg(long = "state-dir", alias = "state_dir", global = true, value_name = "FOLDER", help_heading = "Serving")]
    pub(super) state_dir: Option<PathBuf>,
    /// Check the config file and end, as `tollgate check`
    #[arg(long = "validate_config", alias = "skip_server_startup", global = true, help_heading = "Serving")]
    validate_config: bool,
    /// Say more [env: DEBUG]
    #[arg(long, global = true, help_heading = "Log")]
    pub(super) debug: bool,
    /// Say more, and describe every upstream request, secrets masked [env: DETAILED_DEBUG]
    #[arg(long = "detailed_debug", global = true, help_heading = "Log")]
    pub(super) detailed_debug: bool,
    /// Print version
    #[arg(long, short = 'V', short_alias = 'v', action = ArgAction::Version)]
    version: Option<bool>,
    /// LiteLLM's flags that were given and have no effect.
    #[arg(skip)]
    pub(super) without_effect: Vec<&'static str>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a first config file, with comments
    Init {
        /// Where to; `-` is stdout [default: config.yaml]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Check a config file: every problem at once, exit 1 if there is any
    Check {
        /// Say what a reload of NEW would do where OLD is in force
        #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
        diff: Option<Vec<PathBuf>>,
    },
    /// Ask the Tollgate on this machine whether it is alive: exit 0 if it is, 1 if not
    Health,
    /// Have the Tollgate on this machine read its config again: exit 0 if it is in force, 1 if not
    Reload,
    /// List the last ten good configs, the newest first
    History,
    /// Have the Tollgate on this machine serve a config of its history, until the next reload
    Rollback {
        /// Its number in `tollgate history`
        #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
        number: u64,
    },
    /// Say what would become of a request: route, caller, upstream, headers; nothing is connected to
    Explain(Request),
    /// Make, list, change, block and delete keys in the store, also while a server runs on it
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say what an adapter makes of stdin: a request, an answer or a stream of the model
    Translate {
        /// The adapter's id
        #[arg(long, value_name = "ID", default_value = "anthropic")]
        adapter: String,
        /// What stdin is
        #[arg(long, value_enum)]
        direction: Direction,
        /// The request that an answer is to, for what the answer repeats of it
        #[arg(long, value_name = "FILE")]
        request: Option<PathBuf>,
    },
    /// Complete the request on stdin without a server: by the models of --config, or by the one that is named
    Complete {
        /// The adapter's id
        #[arg(long, value_name = "ID", default_value = "anthropic")]
        adapter: String,
        /// The model, in place of the request's own; without --config as LiteLLM names it, with its provider's variables
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// Print the JSON Schema of the config file
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        #[arg(value_parser = clap::builder::EnumValueParser::<Shell>::new())]
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// What is translated.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Direction {
    /// A caller's request
    Request,
    /// A model's answer of one piece
    Response,
    /// A model's stream
    Stream,
}

/// A request that `explain` is asked about.
#[derive(Debug, clap::Args)]
pub(super) struct Request {
    /// GET, POST, …
    #[arg(value_name = "METHOD")]
    pub(super) method: String,
    /// The path and query, or the whole URL
    #[arg(value_name = "URL")]
    pub(super) url: String,
    /// A header of the request; repeat it for more
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,
}

impl Arguments {
    /// Reads a command line, the program's name first.
    pub(super) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = Self::description().try_get_matches_from(line.into_iter().map(snake))?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments.without_effect = litellm::given(&matches);
        if let Some((_, inner)) = matches.subcommand() {
            arguments.without_effect.extend(litellm::given(inner));
            arguments.without_effect.sort_unstable();
            arguments.without_effect.dedup();
        }
        Ok(arguments)
    }

    /// The command line as clap reads it, with the help in groups.
    fn description() -> clap::Command {
        let advertised = Self::advertised();
        let template =
            format!("{{about}}\n\n{{usage-heading}} {{usage}}\n\n{}{{all-args}}{{after-help}}", groups(&advertised));
        // The groups list the commands already.
        let hidden = |command: clap::Command| command.hide(true);
        advertised.mut_subcommands(hidden).help_template(template).args(litellm::flags())
    }

    /// The command line without what has no effect.
    pub(super) fn advertised() -> clap::Command {
        Self::command()
    }

    /// Whether a server is to be started, when no command is given.
    pub(super) fn serves(&self) -> bool {
        !self.validate_config && !litellm::no_server(&self.without_effect)
    }
}

/// The commands by what they are for, as the help prints them.
const GROUPS: &[(&str, &[&str])] = &[
    ("To begin", &["init"]),
    ("Before you serve", &["check", "explain", "schema"]),
    ("Without a server", &["complete", "translate"]),
    ("While it serves", &["key", "reload", "history", "rollback", "health"]),
    ("Around it", &["completions", "man"]),
];

fn groups(advertised: &clap::Command) -> String {
    let mut out = String::new();
    for (title, names) in GROUPS {
        out += &format!("{title}:\n");
        for command in names.iter().filter_map(|name| advertised.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            out += &format!("  {:12} {about}\n", command.get_name());
        }
        out.push('\n');
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::description().debug_assert();
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let advertised = Arguments::advertised();
        let mut known: Vec<&str> = advertised.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        known.sort_unstable();
        assert_eq!(grouped, known);
    }

    #[test]
    fn an_unknown_flag_has_a_suggestion() {
        let line = ["tollgate", "--detailed_debg"].map(OsString::from);
        let error = Arguments::read(line).expect_err("unknown").to_string();
        assert!(error.contains("--detailed_debug"), "{error}");
    }
}
