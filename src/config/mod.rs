//! A file becomes a [`Config`]: plain data, every value valid, every reference replaced.
//!
//! `raw` reads YAML into a tree that knows its lines, `include` merges further files, `fields` lists every key,
//! `endpoint` and `model` are its entries, `section` reads one mapping, `env` is the only door to variables and secret files (`dotenv` reads
//! `.env` for it), `validate` puts it together, `diff` says how two of them differ.
//! The law: either a `Config` and no problem, or every problem at once. Rules about paths, targets and headers stand
//! beside their types, one floor up; `snapshot` applies them and reports into the same [`Report`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::secret::Secret;

mod diff;
mod dotenv;
mod endpoint;
pub mod env;
pub mod error;
mod fields;
mod include;
pub mod listen;
pub mod log;
pub mod model;
pub mod noted;
mod raw;
mod schema;
mod section;
pub mod stored;
mod validate;

pub use diff::Diff;
pub use endpoint::{
    Endpoint, HeaderText, IdentityText, MemberText, QueryText, TargetText, TlsText, is_credential_name,
};
pub use fields::{SHAPES, Shape, Standing};
pub use schema::json_schema;

/// What the command line says instead of the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--host`.
    pub host: Option<String>,
    /// `--port`.
    pub port: Option<u16>,
    /// `SERVER_ROOT_PATH`.
    pub root_path: Option<String>,
    /// `--ssl_certfile_path`.
    pub tls_cert: Option<PathBuf>,
    /// `--ssl_keyfile_path`.
    pub tls_key: Option<PathBuf>,
    /// Where a running process listens already, whatever the file says now.
    pub serving: Vec<listen::Listen>,
    /// Where it serves what is no route.
    pub serving_inside: Vec<listen::Listen>,
    /// The entries that the API has made.
    pub stored: Vec<Arc<stored::Stored>>,
    /// Adapters that the program has beside the built-in ones, by id.
    pub adapters: Vec<String>,
}

/// A valid config.
#[derive(Debug)]
pub struct Config {
    /// The file as a whole, for problems that have no better place.
    pub site: Site,
    /// Where to listen.
    pub listen: Vec<listen::Listen>,
    /// Every listener that requests can come to: those of the file, and those that are there already.
    pub reachable: Vec<listen::Listen>,
    /// Where what is counted can be read; none: beside the first of `listen`, if that is free.
    pub admin: Option<Vec<listen::Listen>>,
    /// Whether it can be read beside the routes, too.
    pub metrics_on_main: bool,
    /// Whether it then asks for a key.
    pub metrics_need_key: bool,
    /// Whether the config is read again when its files change.
    pub watch: bool,
    /// The path below which the proxy stands, as something before it says.
    pub root_path: Option<(String, Site)>,
    /// How the log is written.
    pub log: log::Log,
    /// The admin key; none when the file and the environment have none.
    pub master_key: Option<Secret>,
    /// The one header that holds the key, when it replaces the usual places.
    pub key_header: Option<(String, Site)>,
    /// The routes, in the file's order, and those that the API has made.
    pub endpoints: Arc<Vec<Endpoint>>,
    /// Models and how they are routed to.
    pub models: model::Models,
    /// Limits of the whole proxy.
    pub limits: Limits,
    /// How upstreams are reached.
    pub network: Network,
    /// What clients may use, and who is believed.
    pub edge: Edge,
    /// The file of the key store, where the config names one.
    pub store: Option<(PathBuf, Site)>,
    /// The virtual keys of the file.
    pub keys: Vec<KeyText>,
    /// Whether a virtual key must be granted each route by name.
    pub grants_required: bool,
}

/// An entry of `tollgate.keys`.
#[derive(Debug, PartialEq)]
pub struct KeyText {
    /// The entry.
    pub site: Site,
    /// The key, or its digest.
    pub secret: KeySecret,
    /// Its name.
    pub alias: Option<String>,
    /// LiteLLM's word for what it may call.
    pub key_type: Option<(String, Site)>,
    /// Requests a minute.
    pub requests: Option<u32>,
    /// Requests at once.
    pub parallel: Option<u32>,
    /// Requests a minute, by model.
    pub model_requests: Vec<(String, u32)>,
    /// The models it may use.
    pub models: Vec<String>,
    /// The paths it may call.
    pub allowed_routes: Vec<String>,
    /// The routes it may use.
    pub allowed_passthrough: Vec<String>,
    /// The routes it may not use.
    pub denied_passthrough: Vec<String>,
    /// When it ends.
    pub expires: Option<(String, Site)>,
    /// Whether it opens nothing.
    pub blocked: bool,
    /// Its team.
    pub team_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// Words for reports.
    pub tags: Vec<String>,
}

/// How the file says which key it is.
#[derive(Debug, PartialEq)]
pub enum KeySecret {
    /// By the key.
    Key(Secret),
    /// By its SHA-256.
    Digest(String, Site),
}

/// What clients may use of the proxy, and whose word on addresses is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Bytes of a head.
    pub header_bytes: usize,
    /// Fields of a head.
    pub header_fields: usize,
    /// Bytes of a target.
    pub target_bytes: usize,
    /// Connections held; none: as many as the process's files allow.
    pub connections: Option<usize>,
    /// Connections held from one address.
    pub connections_per_address: Option<usize>,
    /// Requests a minute over the whole proxy.
    pub requests: Option<u32>,
    /// Requests a minute from one address whose key nobody knows.
    pub failures: u32,
    /// Requests served at once.
    pub in_flight: usize,
    /// Bytes of memory above which requests are refused; none: what the container allows.
    pub memory: Option<u64>,
    /// Bytes a second that a body must bring.
    pub body_rate: f64,
    /// Seconds for a head.
    pub header_seconds: f64,
    /// Seconds between requests.
    pub keepalive_seconds: f64,
    /// Seconds over which the rate of a body is measured.
    pub body_seconds: f64,
    /// Seconds in which a client takes nothing.
    pub write_seconds: f64,
    /// Seconds in which idle connections hear of a stop.
    pub notice_seconds: f64,
    /// Seconds that requests may take to end after it.
    pub drain_seconds: f64,
    /// Seconds that streams may take.
    pub stream_seconds: f64,
    /// Networks whose word is taken.
    pub trusted_proxies: Vec<(String, Site)>,
    /// Whether `X-Forwarded-*` is sent to upstreams.
    pub forwarded_headers: bool,
}

/// Limits of the whole proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub request_bytes: Option<u64>,
    /// The most requests in flight.
    pub parallel: Option<usize>,
    /// The most requests a minute.
    pub requests: Option<u32>,
    /// The most requests a minute from one address whose key nobody knows.
    pub failures: u32,
}

/// How upstreams are reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// PEM certificates trusted beside the system's.
    pub ca_pem: Option<(Vec<u8>, Site)>,
    /// Addresses given by hand.
    pub resolve: Vec<Override>,
    /// Name servers; empty: the system's.
    pub dns_servers: Vec<SocketAddr>,
    /// Seconds for TCP, and again for TLS.
    pub connect_seconds: f64,
    /// Seconds an unused connection is kept.
    pub idle_seconds: f64,
}

/// One line of `tollgate.resolve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The host name, in lower case.
    pub host: String,
    /// The port it counts for; none: every port.
    pub port: Option<u16>,
    /// The address to use; its port 0 means the target's own.
    pub address: SocketAddr,
}

impl Config {
    /// Whether the file says nothing that could be asked for, as while it is being written.
    pub fn says_nothing(&self) -> bool {
        let no_routes = self.endpoints.iter().all(|endpoint| endpoint.is_made) && self.models.deployments.is_empty();
        no_routes && self.keys.is_empty() && self.master_key.is_none()
    }
}

/// Reads the file at `path`. What could be read is there even when the report has problems, so that the rules of higher
/// floors can add theirs; it may be served only when the report is clean in the end.
pub fn load(path: &Path, environ: &dyn Environ, overrides: &Overrides) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let config = include::read(path, environ, &mut report)
        .and_then(|node| validate::config(&node, path, environ, overrides, &mut report));
    (config, report)
}
