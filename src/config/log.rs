//! How the log is written.

use std::path::PathBuf;

use log::LevelFilter;

use super::error::Site;

/// `tollgate.log_*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// How access lines look.
    pub format: LogFormat,
    /// Where they go.
    pub to: LogTo,
    /// Where that is said.
    pub to_site: Option<Site>,
    /// The share of requests without any fault that have a line, above 0 and at most 1.
    pub sample: f64,
    /// How much is said besides; none: nobody said.
    pub level: Option<LevelFilter>,
}

/// How access lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal or under `--debug`, JSON otherwise.
    #[default]
    Auto,
    /// A JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where access lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTo {
    /// To the standard output.
    #[default]
    Stdout,
    /// Nowhere.
    Nowhere,
    /// To the end of a file.
    File(PathBuf),
    /// To the socket of systemd's journal.
    Journal(PathBuf),
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, to: LogTo::Stdout, to_site: None, sample: 1.0, level: None }
    }
}
