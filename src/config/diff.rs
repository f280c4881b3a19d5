//! What differs between two configs, for who reloads.
//!
//! The law: every difference that has an effect is named, by what it is about and never by a value; what only a restart can
//! change is told apart. Comments, order of keys and lines are no difference.

use std::collections::BTreeMap;

use super::model::Deployment;
use super::{Config, Edge, Endpoint, KeySecret, KeyText};

/// What a reload changes, and what it cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// What is applied.
    pub applied: Vec<String>,
    /// What needs a restart.
    pub restart: Vec<String>,
}

impl Diff {
    /// What changes from `old` to `new`.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut diff = Self::default();
        diff.routes(&old.endpoints, &new.endpoints);
        diff.models(&old.models.deployments, &new.models.deployments);
        diff.keys(&old.keys, &new.keys);
        diff.settings(old, new);
        diff
    }

    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.restart.is_empty()
    }

    fn routes(&mut self, old: &[Endpoint], new: &[Endpoint]) {
        let named = |list| by(list, Endpoint::identity);
        let (old, new) = (named(old), named(new));
        for (verb, name) in changes(&old, &new) {
            self.applied.push(format!("route {} {verb}", name.trim_end()));
        }
    }

    /// By name, and by number where a name stands more than once.
    fn models(&mut self, old: &[Deployment], new: &[Deployment]) {
        let (old, new) = (numbered(old), numbered(new));
        for (verb, name) in changes(&old, &new) {
            self.applied.push(format!("model {name} {verb}"));
        }
    }

    /// By number: what a key could be named by is a secret, or is not there.
    fn keys(&mut self, old: &[KeyText], new: &[KeyText]) {
        let named = |list| by(list, |key: &KeyText| key.secret.text().to_owned());
        let (old, new) = (named(old), named(new));
        for verb in ["added", "changed", "removed"] {
            let count = changes(&old, &new).filter(|(known, _)| *known == verb).count();
            if count > 0 {
                self.applied.push(format!("tollgate.keys: {count} {verb}"));
            }
        }
    }

    fn settings(&mut self, old: &Config, new: &Config) {
        let (edge, other) = (&old.edge, &new.edge);
        let (network, further) = (&old.network, &new.network);
        let (limits, beside) = (&old.limits, &new.limits);
        let applied = [
            ("general_settings.master_key", old.master_key == new.master_key),
            ("general_settings.litellm_key_header_name", old.key_header == new.key_header),
            ("general_settings.max_request_size_mb", limits.request_bytes == beside.request_bytes),
            ("general_settings.global_max_parallel_requests", limits.parallel == beside.parallel),
            ("tollgate.log_format", old.log.format == new.log.format),
            ("tollgate.log_to", old.log.to == new.log.to),
            ("tollgate.log_sample", old.log.sample == new.log.sample),
            ("tollgate.log_level", old.log.level == new.log.level),
            ("tollgate.passthrough_grants", old.grants_required == new.grants_required),
            ("tollgate.limits", used(edge) == used(other)),
            ("tollgate.timeouts", times(old) == times(new)),
            ("tollgate.trusted_proxies", edge.trusted_proxies == other.trusted_proxies),
            ("tollgate.forwarded_headers", edge.forwarded_headers == other.forwarded_headers),
            ("tollgate.metrics_on_main", old.metrics_on_main == new.metrics_on_main),
            ("litellm_settings.require_auth_for_metrics_endpoint", old.metrics_need_key == new.metrics_need_key),
            ("router_settings", old.models.router == new.models.router),
            ("tollgate.watch", old.watch == new.watch),
            ("tollgate.resolve", network.resolve == further.resolve),
            ("tollgate.dns", network.dns_servers == further.dns_servers),
        ];
        let restart = [
            ("tollgate.listen", old.listen == new.listen),
            ("tollgate.admin_listen", old.admin == new.admin),
            ("tollgate.store", old.store == new.store),
            ("tollgate.ca_file", network.ca_pem == further.ca_pem),
        ];
        let changed = |list: &[(&str, bool)]| -> Vec<String> {
            list.iter().filter(|(_, same)| !same).map(|(name, _)| format!("{name} changed")).collect()
        };
        self.applied.extend(changed(&applied));
        self.restart.extend(changed(&restart));
    }
}

impl KeySecret {
    /// What tells one key from another. It is a secret.
    fn text(&self) -> &str {
        match self {
            Self::Key(key) => key.expose(),
            Self::Digest(digest, _) => digest,
        }
    }
}

/// `tollgate.limits`.
fn used(edge: &Edge) -> impl PartialEq + use<> {
    let head = (edge.header_bytes, edge.header_fields, edge.target_bytes);
    let connections = (edge.connections, edge.connections_per_address);
    (head, connections, edge.requests, edge.failures, edge.in_flight, edge.memory, edge.body_rate)
}

/// `tollgate.timeouts`.
fn times(config: &Config) -> [f64; 9] {
    let (edge, network) = (&config.edge, &config.network);
    [
        edge.header_seconds,
        edge.keepalive_seconds,
        edge.body_seconds,
        edge.write_seconds,
        edge.notice_seconds,
        edge.drain_seconds,
        edge.stream_seconds,
        network.connect_seconds,
        network.idle_seconds,
    ]
}

fn numbered(list: &[Deployment]) -> BTreeMap<String, &Deployment> {
    let mut out = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for deployment in list {
        let number = seen.entry(&deployment.name).or_default();
        *number += 1;
        let name = match *number {
            1 => deployment.name.clone(),
            number => format!("{} ({number})", deployment.name),
        };
        out.insert(name, deployment);
    }
    out
}

fn by<T>(list: &[T], name: impl Fn(&T) -> String) -> BTreeMap<String, &T> {
    list.iter().map(|item| (name(item), item)).collect()
}

/// What was added, changed and removed, by name.
fn changes<'m, T: PartialEq>(
    old: &'m BTreeMap<String, &T>,
    new: &'m BTreeMap<String, &T>,
) -> impl Iterator<Item = (&'static str, &'m str)> {
    let kept = new.iter().filter_map(|(name, item)| match old.get(name) {
        None => Some(("added", name.as_str())),
        Some(before) if before != item => Some(("changed", name.as_str())),
        Some(_) => None,
    });
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| ("removed", name.as_str()));
    kept.chain(gone)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::env::Environ;
    use crate::config::{Overrides, load};

    struct Files<'a>(&'a str);

    impl Environ for Files<'_> {
        fn variable(&self, name: &str) -> Option<String> {
            Some(format!("value-of-{name}"))
        }

        fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.as_bytes().to_vec())
        }
    }

    fn config(text: &str) -> Config {
        let (config, report) = load(Path::new("t.yaml"), &Files(text), &Overrides::default());
        assert!(report.is_clean(), "{:?}", report.problems);
        config.expect("a config")
    }

    const BASE: &str = "general_settings:
  master_key: os.environ/A
  pass_through_endpoints:
    - {path: /a, target: 'https://a.test/', headers: {Authorization: os.environ/B}, auth: true}
    - {path: /b, target: 'https://b.test/', methods: [GET]}
model_list:
  - {model_name: gpt-4o, litellm_params: {model: o3, api_key: os.environ/M, api_base: &b https://m.test}}
  - {model_name: gpt-4o, litellm_params: {model: gpt-4o, api_key: os.environ/M, api_base: *b}}
  - {model_name: all/*, litellm_params: {model: openai/*, api_key: os.environ/M, api_base: *b}}
tollgate: {limits: {in_flight: 5}, keys: [{key: os.environ/sk-one}]}
";

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let restart = |name: &str| Diff { restart: vec![format!("{name} changed")], ..Diff::default() };
        let applied =
            |list: &[&str]| Diff { applied: list.iter().map(|line| (*line).to_owned()).collect(), ..Diff::default() };
        for (from, to, expected) in [
            ("", "", Diff::default()),
            ("general_settings:", "# moved by a line\ngeneral_settings:", Diff::default()),
            ("os.environ/B", "os.environ/C", applied(&["route /a changed"])),
            ("auth: true", "auth: false", applied(&["route /a changed"])),
            ("path: /b", "path: /c", applied(&["route /c GET added", "route /b GET removed"])),
            ("methods: [GET]", "methods: [get]", applied(&["route /b GET changed"])),
            ("os.environ/A", "os.environ/AA", applied(&["general_settings.master_key changed"])),
            ("sk-one", "sk-two", applied(&["tollgate.keys: 1 added", "tollgate.keys: 1 removed"])),
            ("os.environ/sk-one", "os.environ/sk-one, rpm_limit: 5", applied(&["tollgate.keys: 1 changed"])),
            ("model: gpt-4o", "model: gpt-5", applied(&["model gpt-4o (2) changed"])),
            ("model: openai/*", "model: mistral/*", applied(&["model all/* changed"])),
            ("model_name: all/*", "model_name: any/*", applied(&["model any/* added", "model all/* removed"])),
            ("tollgate: {", "router_settings: {num_retries: 5}\ntollgate: {", applied(&["router_settings changed"])),
            ("in_flight: 5", "in_flight: 6", applied(&["tollgate.limits changed"])),
            ("tollgate: {", "tollgate: {timeouts: {idle: 3}, ", applied(&["tollgate.timeouts changed"])),
            ("tollgate: {", "tollgate: {log_format: json, ", applied(&["tollgate.log_format changed"])),
            ("tollgate: {", "tollgate: {listen: ['127.0.0.1:1'], ", restart("tollgate.listen")),
            ("tollgate: {", "tollgate: {store: {sqlite: x.db}, ", restart("tollgate.store")),
        ] {
            let diff = Diff::between(&config(BASE), &config(&BASE.replacen(from, to, 1)));
            assert_eq!(diff, expected, "{from} -> {to}");
        }
    }
}
