//! What may be typed after `tollgate key`.
//!
//! The law: fields have the names of the key API, and its meanings; lists are written with commas, mappings as JSON.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key and print it; it is shown this once
    Generate {
        #[command(flatten)]
        fields: Box<KeyFields>,
        /// The key itself, in place of one that is made up
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// List the keys, the newest first
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a key, as JSON
    Info {
        /// The key, its SHA-256, its token or its alias
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Change a key: what is not named stays as it is
    Update {
        /// The key, its SHA-256, its token or its alias
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        fields: Box<KeyFields>,
    },
    /// Put another key in a key's place and print it
    Regenerate {
        /// The key, its SHA-256, its token or its alias
        #[arg(value_name = "KEY")]
        key: String,
        #[command(flatten)]
        fields: Box<KeyFields>,
        /// How long the old one still counts, as 24h [default: not at all]
        #[arg(long = "grace_period", value_name = "SPAN")]
        grace_period: Option<String>,
    },
    /// Block keys: they open nothing until they are unblocked
    Block {
        /// Keys, their SHA-256, tokens or aliases
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Unblock keys
    Unblock {
        /// Keys, their SHA-256, tokens or aliases
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Delete keys
    Delete {
        /// Keys, their SHA-256, tokens or aliases
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

/// The fields of a key.
#[derive(Debug, Args)]
pub(in crate::cli) struct KeyFields {
    /// A name for it, which no other key has
    #[arg(long = "key_alias", value_name = "NAME")]
    pub(in crate::cli) key_alias: Option<String>,
    /// How long it counts: a number and s, m, h, d, w or mo; -1: for ever
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    pub(in crate::cli) duration: Option<String>,
    /// Requests a minute
    #[arg(long = "rpm_limit", value_name = "N")]
    pub(in crate::cli) rpm_limit: Option<u32>,
    /// Requests at once
    #[arg(long = "max_parallel_requests", value_name = "N")]
    pub(in crate::cli) max_parallel_requests: Option<u32>,
    /// Requests a minute by model, as {"gpt-4o": 10}
    #[arg(long = "model_rpm_limit", value_name = "JSON")]
    pub(in crate::cli) model_rpm_limit: Option<String>,
    /// The models it may use
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(in crate::cli) models: Option<Vec<String>>,
    /// The paths it may call
    #[arg(long = "allowed_routes", value_name = "A,B", value_delimiter = ',')]
    pub(in crate::cli) allowed_routes: Option<Vec<String>>,
    /// The pass-through routes it may use
    #[arg(long = "allowed_passthrough_routes", value_name = "A,B", value_delimiter = ',')]
    pub(in crate::cli) allowed_passthrough_routes: Option<Vec<String>>,
    /// Those that it may not use, whatever else is said
    #[arg(long = "denied_passthrough_routes", value_name = "A,B", value_delimiter = ',')]
    pub(in crate::cli) denied_passthrough_routes: Option<Vec<String>>,
    /// default, llm_api, management or read_only
    #[arg(long = "key_type", value_name = "TYPE")]
    pub(in crate::cli) key_type: Option<String>,
    /// Its team
    #[arg(long = "team_id", value_name = "ID")]
    pub(in crate::cli) team_id: Option<String>,
    /// Its user
    #[arg(long = "user_id", value_name = "ID")]
    pub(in crate::cli) user_id: Option<String>,
    /// Words for reports
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(in crate::cli) tags: Option<Vec<String>>,
    /// Whatever is kept with it
    #[arg(long, value_name = "JSON")]
    pub(in crate::cli) metadata: Option<String>,
}
