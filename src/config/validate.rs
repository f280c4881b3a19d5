//! The tree of a file becomes a [`Config`]; every problem is gathered on the way.
//!
//! The law of the master key stands here: one that everybody knows must be permitted by name where any listener is reachable from
//! outside. `open` has the law of open routes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::env::{Environ, Overlay, is_variable_name};
use crate::config::error::{Report, Site};
use crate::config::fields::{DNS, GENERAL, LITELLM, SHAPES, STORE, Standing, TIMEOUTS, TOLLGATE, TOP};
use crate::config::listen::{Listen, all_loopback};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, expand_at, scalar, shorten};
use crate::config::{Config, Endpoint, Limits, Network, Overrides};
use crate::secret::Secret;

mod adapters;
mod backend;
mod deployment;
mod edge;
mod endpoint;
mod headers;
mod keys;
mod listen;
mod log;
mod made;
mod models;
mod network;
mod open;
mod parameters;
mod router;
mod targets;
mod tls;

/// LiteLLM's default silence, in seconds.
const DEFAULT_SILENCE: f64 = 600.0;
/// Master keys that stand in public documentation.
const PUBLIC_KEYS: &[&str] = &[
    "sk-1234",
    "sk-12345",
    "sk-123456",
    "sk-0000",
    "sk-1111",
    "sk-master",
    "sk-master-key",
    "sk-test",
    "sk-key",
    "sk-litellm",
    "sk-admin",
    "sk-password",
    "sk-secret",
    "sk-changeme",
    "changeme",
    "master",
    "password",
    "secret",
    "your-master-key",
    "sk-your-master-key",
    "sk-my-master-key",
    "test",
    "admin",
];

/// LiteLLM's own words for accepting a public master key.
const PERMIT: &str = "dangerously_permit_weak_or_unset_master_key";
const PERMIT_VARIABLE: &str = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY";

/// What entries need to know of the rest of the file.
pub(super) struct Defaults {
    pub(super) auth: Option<bool>,
    pub(super) silence_seconds: f64,
    pub(super) retry_non_idempotent: bool,
    pub(super) allow_metadata: bool,
    pub(super) accepted: Vec<String>,
    pub(super) adapters: adapters::Adapters,
}

impl Defaults {
    fn read(
        own: Option<&Section<'_>>,
        general: Option<&Section<'_>>,
        overrides: &Overrides,
        accepted: Vec<String>,
        report: &mut Report,
    ) -> Self {
        let flag = |key: &str, report: &mut Report| own.and_then(|own| own.boolean(key, report));
        Self {
            auth: flag("default_auth", report),
            silence_seconds: seconds(general, "pass_through_request_timeout", report).unwrap_or(DEFAULT_SILENCE),
            retry_non_idempotent: flag("retry_non_idempotent", report).unwrap_or(false),
            allow_metadata: flag("allow_metadata", report).unwrap_or(false),
            adapters: adapters::Adapters::read(own, &overrides.adapters, report),
            accepted,
        }
    }
}

/// Validates the tree of the file at `path`.
pub fn config(
    node: &Node,
    path: &Path,
    environ: &dyn Environ,
    overrides: &Overrides,
    report: &mut Report,
) -> Option<Config> {
    let accepted = accepted(node);
    let top = Section::open(node, "", &TOP, &accepted, report)?;
    let environ = overlay(&top, path, environ, report);
    let own = top.section("tollgate", &TOLLGATE, &accepted, report);
    let general = top.section("general_settings", &GENERAL, &accepted, report);
    let library = top.section("litellm_settings", &LITELLM, &accepted, report);
    check_accepted(own.as_ref(), report);
    let folder = path.parent().unwrap_or(Path::new(""));
    let edge = edge::read(own.as_ref(), report);
    let listen = listen::read(own.as_ref(), overrides, folder, &edge, top.site(), report);
    let admin = own.as_ref().and_then(|own| listen::admin(own, report));
    // A socket that a reload cannot close is as reachable as before.
    let outside = [listen.as_slice(), &overrides.serving].concat();
    let reachable = [&outside, admin.as_deref().unwrap_or_default(), &overrides.serving_inside].concat();
    let (master_key, key_meant) = master_key(general.as_ref(), &environ, &reachable, top.site(), report);
    let flag = |key: &str, report: &mut Report| own.as_ref().and_then(|own| own.boolean(key, report));
    let defaults = Defaults::read(own.as_ref(), general.as_ref(), overrides, accepted, report);
    let models = models::read(&top, library.as_ref(), &defaults, &environ, report);
    let mut endpoints = endpoints(general.as_ref(), &defaults, &environ, report);
    if endpoints.is_empty() && models.deployments.is_empty() && report.is_clean() {
        let what = "the file has no routes: every request will be answered 404";
        report.notice(top.site(), what, "add general_settings.pass_through_endpoints or model_list");
    }
    endpoints.extend(made::read(&overrides.stored, own.as_ref(), &defaults, &environ, report));
    refuse_database(general.as_ref(), report);
    let store = own.as_ref().and_then(|own| store(own, folder, report));
    let keys = own.as_ref().map_or_else(Vec::new, |own| keys::read(own, &environ, report));
    network::proxies(top.site(), &environ, report);
    unique_ids(&endpoints, report);
    // Keys of the file open routes too, and so do those of a store that somebody has set up.
    let openable = key_meant || !keys.is_empty() || store.is_some();
    open::routes(&endpoints, &outside, openable, report);
    let models = open::models(models, &endpoints, &outside, openable, report);
    Some(Config {
        site: top.site().clone(),
        admin,
        reachable,
        metrics_need_key: library
            .and_then(|library| library.boolean("require_auth_for_metrics_endpoint", report))
            .unwrap_or(false),
        watch: flag("watch", report).unwrap_or(false),
        metrics_on_main: flag("metrics_on_main", report).unwrap_or(false),
        root_path: overrides.root_path.clone().map(|path| (path, Site::variable("SERVER_ROOT_PATH"))),
        log: log::read(own.as_ref(), folder, report),
        key_header: general.as_ref().and_then(|general| general.text("litellm_key_header_name", report)),
        limits: Limits { requests: edge.requests, failures: edge.failures, ..limits(general.as_ref(), report) },
        models,
        store,
        keys,
        grants_required: own.as_ref().is_some_and(|own| keys::grants_required(own, report)),
        network: network(own.as_ref(), &environ, report),
        edge,
        listen,
        master_key,
        endpoints: Arc::new(endpoints),
    })
}

/// The routes of the file.
fn endpoints(
    general: Option<&Section<'_>>,
    defaults: &Defaults,
    environ: &dyn Environ,
    report: &mut Report,
) -> Vec<Endpoint> {
    let list = general.and_then(|general| general.list("pass_through_endpoints", report)).unwrap_or_default();
    let read = |(node, site): (_, Site)| endpoint::read(node, &site, defaults, environ, report);
    list.into_iter().filter_map(read).collect()
}

/// Read before anything else, since every other section asks it.
fn accepted(node: &Node) -> Vec<String> {
    let find = |node: &Node, key: &str| match &node.value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| entry.node.clone()),
        _ => None,
    };
    match find(node, "tollgate").and_then(|own| find(&own, "accept_unsupported")).map(|node| node.value) {
        Some(Value::List(items)) => items
            .into_iter()
            .filter_map(|item| match item.value {
                Value::Text(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// What is accepted must be something that would be refused otherwise: a slip here would protect nothing.
fn check_accepted(own: Option<&Section<'_>>, report: &mut Report) {
    for (name, site) in own.and_then(|own| own.texts("accept_unsupported", report)).unwrap_or_default() {
        let known = SHAPES.iter().any(|shape| {
            shape.fields.iter().any(|field| {
                field.standing == Standing::Protective
                    && (name == field.name || name == format!("{}.{}", shape.path, field.name))
            })
        });
        if !known {
            let what = format!("`{}` is not a key that would be refused", shorten(&name));
            report.problem(&site, what, "remove it, or write the key as the message that refused it does");
        }
    }
}

fn overlay<'a>(top: &Section<'_>, path: &Path, below: &'a dyn Environ, report: &mut Report) -> Overlay<'a> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut variables = HashMap::new();
    if let Some(section) = top.map("environment_variables", report) {
        let bare = Overlay { below, variables: HashMap::new(), folder: folder.clone() };
        for entry in section.entries() {
            let site = section.site_of(entry);
            if matches!(entry.node.value, Value::Null) {
                report.problem(&site, format!("`{}` has no value", shorten(&entry.key)), "give it one, or remove it");
                continue;
            }
            if !is_variable_name(&entry.key) {
                let what = format!("`{}` is no name that os.environ/ could refer to", shorten(&entry.key));
                report.problem(&site, what, "use letters, digits and underscores");
                continue;
            }
            let expanded = scalar(&entry.node, &site, report).and_then(|text| expand_at(&text, &site, &bare, report));
            if let Some(expanded) = expanded {
                variables.insert(entry.key.clone(), expanded.text);
            }
        }
    }
    Overlay { below, variables, folder }
}

/// The key, and whether somebody meant to set one.
fn master_key(
    general: Option<&Section<'_>>,
    environ: &dyn Environ,
    listen: &[Listen],
    top: &Site,
    report: &mut Report,
) -> (Option<Secret>, bool) {
    let permitted = general.and_then(|g| g.boolean(PERMIT, report)).unwrap_or(false)
        || environ.variable(PERMIT_VARIABLE).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let written = general.is_some_and(|general| general.entry("master_key").is_some());
    let (key, site, name) = match general.filter(|_| written) {
        Some(general) => match general.expanded("master_key", environ, report) {
            Some((expanded, site)) => (expanded.text, site, "the master key"),
            None => return (None, true),
        },
        None => match environ.variable("LITELLM_MASTER_KEY") {
            Some(key) => (Secret::new(key), top.clone(), "the master key in LITELLM_MASTER_KEY"),
            None => return (None, false),
        },
    };
    let text = key.expose();
    if text.is_empty() || !text.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        let what = format!("{name} is empty, or holds spaces or other than ASCII");
        report.problem(&site, what, "write a key such as sk-… of 20 random characters or more");
        return (None, true);
    }
    if PUBLIC_KEYS.contains(&text) {
        let reachable = !all_loopback(listen);
        let what = format!("{name} is one that everybody knows");
        if reachable && !permitted {
            let what = format!("{what}, and a listener is reachable from outside");
            report.problem(&site, what, format!("choose another, or set {PERMIT}: true"));
        } else if reachable {
            report.notice(&site, format!("{what}, and a listener is reachable from outside"), "");
        } else {
            report.notice(&site, format!("{what}; it is accepted on loopback only"), "");
        }
    }
    (Some(key), true)
}

/// A positive number of seconds.
pub(super) fn seconds(section: Option<&Section<'_>>, key: &str, report: &mut Report) -> Option<f64> {
    seconds_or_none(section, key, report).filter(|value| *value > 0.0 || no_timeout(section, key, *value, report))
}

/// A number of seconds, 0 among them. No clock goes further than the bound.
pub(super) fn seconds_or_none(section: Option<&Section<'_>>, key: &str, report: &mut Report) -> Option<f64> {
    let value = section?.number(key, report)?;
    Some(value).filter(|value| *value <= 31_536_000.0 || no_timeout(section, key, *value, report))
}

/// Says so: false.
fn no_timeout(section: Option<&Section<'_>>, key: &str, value: f64, report: &mut Report) -> bool {
    let Some(section) = section else { return false };
    if let Some(entry) = section.entry(key) {
        report.problem(
            &section.site_of(entry),
            format!("{value} seconds is no timeout"),
            "write a number above 0, at most a year",
        );
    }
    false
}

/// A limit on requests; 0 lets none pass.
pub(super) fn quota(section: &Section<'_>, key: &str, report: &mut Report) -> Option<u32> {
    section.count(key, report).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// Lower ones are tried first; what says nothing comes last.
pub(super) fn order(section: &Section<'_>, report: &mut Report) -> u32 {
    quota(section, "order", report).unwrap_or(super::model::LAST)
}

fn limits(general: Option<&Section<'_>>, report: &mut Report) -> Limits {
    let Some(general) = general else { return Limits::default() };
    let megabytes = general.number("max_request_size_mb", report);
    Limits {
        // A float-to-int cast saturates, which is the right end for a limit beyond 2^64 bytes.
        request_bytes: megabytes.map(|megabytes| (megabytes * 1_000_000.0) as u64),
        parallel: general.count("global_max_parallel_requests", report),
        ..Limits::default()
    }
}

/// A database of LiteLLM's holds keys that nobody here would know.
fn refuse_database(general: Option<&Section<'_>>, report: &mut Report) {
    let Some((general, entry)) = general.and_then(|general| Some((general, general.entry("database_url")?))) else {
        return;
    };
    if matches!(&entry.node.value, Value::Text(text) if text.trim().is_empty()) {
        return;
    }
    let what = "PostgreSQL is not served as key store yet, so the keys in it would open nothing";
    let mend =
        "remove it: keys are kept in an embedded SQLite file (tollgate.store), where /key/generate makes them anew";
    report.problem(&general.site_of(entry), what, mend);
}

fn store(own: &Section<'_>, folder: &Path, report: &mut Report) -> Option<(PathBuf, Site)> {
    let section = own.section("store", &STORE, &[], report)?;
    let Some((path, site)) = section.text("sqlite", report) else {
        report.problem(section.site(), "no kind of store stands here", "write sqlite: FILE");
        return None;
    };
    if path.trim().is_empty() {
        report.problem(&site, "no file stands here", "write one, as tollgate.db");
        return None;
    }
    Some((folder.join(path), site))
}

fn network(own: Option<&Section<'_>>, environ: &dyn Environ, report: &mut Report) -> Network {
    let timeouts = own.and_then(|own| own.section("timeouts", &TIMEOUTS, &[], report));
    let dns = own.and_then(|own| own.section("dns", &DNS, &[], report));
    Network {
        ca_pem: own.and_then(|own| network::ca_file(own, environ, report)),
        resolve: own
            .and_then(|own| own.map("resolve", report))
            .map_or_else(Vec::new, |map| network::overrides(&map, report)),
        dns_servers: dns.map_or_else(Vec::new, |dns| network::servers(&dns, report)),
        connect_seconds: seconds(timeouts.as_ref(), "connect", report).unwrap_or(5.0),
        idle_seconds: seconds(timeouts.as_ref(), "idle", report).unwrap_or(30.0),
    }
}

fn unique_ids(endpoints: &[Endpoint], report: &mut Report) {
    let mut seen: HashMap<&str, &Site> = HashMap::new();
    for (id, site) in endpoints.iter().filter_map(|endpoint| endpoint.id.as_ref()) {
        match seen.get(id.as_str()) {
            Some(first) => {
                report.problem(
                    site,
                    format!("the id `{}` stands at {} already", shorten(id), first.place),
                    "give each its own",
                );
            }
            None => {
                seen.insert(id, site);
            }
        }
    }
}
