//! `router_settings`, and what `litellm_settings` says of the same.
//!
//! The law: `router_settings` wins; a group that is named is there, or a name with a `*` serves it.

use std::collections::HashSet;

use super::{quota, seconds, seconds_or_none};
use crate::config::error::{Report, Site};
use crate::config::model::{Alias, Router, captured};
use crate::config::raw::{Entry, Node, Value};
use crate::config::section::{Section, scalar, shorten};

/// LiteLLM's ways to pick that are not served.
const STRATEGIES: &[&str] = &[
    "least-busy",
    "usage-based-routing",
    "usage-based-routing-v2",
    "latency-based-routing",
    "cost-based-routing",
    "priority",
    "lar1",
];
const SHUFFLE: &str = "simple-shuffle";
/// What stands for every group among fallbacks.
const ANY: &str = "*";

/// Reads both; `names`: those of the groups.
pub(super) fn read(
    router: Option<&Section<'_>>,
    library: Option<&Section<'_>>,
    names: &[String],
    report: &mut Report,
) -> Router {
    let usual = Router::default();
    if let Some(router) = router {
        strategy(router, report);
    }
    let mut groups = Groups::new(names);
    let aliases = router.map_or_else(Vec::new, |router| aliases(router, &groups, report));
    groups.names.extend(aliases.iter().map(|alias| alias.name.as_str()));
    let both = || router.into_iter().chain(library);
    let (fallbacks, mut any) = both()
        .find(|section| section.entry("fallbacks").is_some())
        .map_or_else(Default::default, |section| groups.fallbacks(section, report));
    if let Some(section) = both().find(|section| section.entry("default_fallbacks").is_some()) {
        for (name, site) in section.texts("default_fallbacks", report).unwrap_or_default() {
            if groups.has(&name, &site, report) {
                any.push(name);
            }
        }
    }
    let never = router.and_then(|router| router.boolean("disable_cooldowns", report)).unwrap_or(false);
    let mut count = |key: &str| both().find_map(|section| quota(section, key, report));
    let (retries, allowed_fails) = (count("num_retries"), count("allowed_fails"));
    let rest = both().find_map(|section| seconds_or_none(Some(section), "cooldown_time", report));
    Router {
        retries: retries.unwrap_or(usual.retries),
        retry_after_seconds: seconds_or_none(router, "retry_after", report).unwrap_or(usual.retry_after_seconds),
        allowed_fails: allowed_fails.unwrap_or(usual.allowed_fails),
        cooldown_seconds: if never { 0.0 } else { rest.unwrap_or(usual.cooldown_seconds) },
        timeout_seconds: seconds(router, "timeout", report).or_else(|| seconds(library, "request_timeout", report)),
        stream_timeout_seconds: seconds(router, "stream_timeout", report),
        fallbacks,
        default_fallbacks: any,
        aliases,
    }
}

fn strategy(router: &Section<'_>, report: &mut Report) {
    let Some((name, site)) = router.text("routing_strategy", report).filter(|(name, _)| name != SHUFFLE) else {
        return;
    };
    let what = if STRATEGIES.contains(&name.as_str()) {
        format!("`{name}` is not served yet: deployments are picked at random, by their weights")
    } else {
        format!("`{}` is not a routing strategy", shorten(&name))
    };
    report.problem(&site, what, format!("write {SHUFFLE}, or remove it"));
}

fn aliases(router: &Section<'_>, groups: &Groups<'_>, report: &mut Report) -> Vec<Alias> {
    let Some(map) = router.map("model_group_alias", report) else { return Vec::new() };
    let mut out = Vec::new();
    for entry in map.entries() {
        let site = map.site_of(entry);
        if groups.names.contains(entry.key.as_str()) {
            let what = format!("`{}` is the name of a group already", shorten(&entry.key));
            report.problem(&site, what, "write another");
            continue;
        }
        let Some((group, hidden)) = alias(&map, entry, &site, report) else { continue };
        if groups.has(&group, &site, report) {
            out.push(Alias { name: entry.key.clone(), group, hidden });
        }
    }
    out
}

/// A group, or a mapping that names it.
fn alias(map: &Section<'_>, entry: &Entry, site: &Site, report: &mut Report) -> Option<(String, bool)> {
    if !matches!(entry.node.value, Value::Map(_)) {
        return scalar(&entry.node, site, report).map(|group| (group, false));
    }
    let inner = map.map(&entry.key, report)?;
    let hidden = inner.boolean("hidden", report).unwrap_or(false);
    let Some((group, _)) = inner.text("model", report) else {
        report.problem(site, "`model` is missing", "write model: GROUP");
        return None;
    };
    Some((group, hidden))
}

/// What can be named.
struct Groups<'g> {
    names: HashSet<&'g str>,
    patterns: HashSet<&'g str>,
}

type Fallbacks = (Vec<(String, Vec<String>)>, Vec<String>);

impl<'g> Groups<'g> {
    fn new(names: &'g [String]) -> Self {
        let (patterns, names) = names.iter().map(String::as_str).partition(|name| name.contains('*'));
        Self { names, patterns }
    }

    fn has(&self, name: &str, site: &Site, report: &mut Report) -> bool {
        let known = self.names.contains(name) || self.patterns.iter().any(|pattern| captured(pattern, name).is_some());
        if !known {
            let what = format!("`{}` is not a model of model_list", shorten(name));
            report.problem(site, what, self.nearest(name));
        }
        known
    }

    fn nearest(&self, name: &str) -> String {
        let near = self
            .names
            .iter()
            .map(|known| (strsim::damerau_levenshtein(name, known), *known))
            .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
            .min();
        near.map_or("add it there".into(), |(_, known)| format!("did you mean `{}`?", shorten(known)))
    }

    /// By group, and those of every group.
    fn fallbacks(&self, section: &Section<'_>, report: &mut Report) -> Fallbacks {
        let mut out = Fallbacks::default();
        let mut seen = HashSet::new();
        for (node, site) in section.list("fallbacks", report).unwrap_or_default() {
            let Value::Map(entries) = &node.value else {
                let what = format!("{} stands here", node.value.kind());
                report.problem(&site, what, "write {group: [the groups to try after it]}");
                continue;
            };
            for entry in entries {
                let site = Site { place: entry.place.clone(), path: format!("{}.{}", site.path, entry.key) };
                let known = entry.key == ANY || self.has(&entry.key, &site, report);
                let after = self.listed(&entry.node, &site, report);
                if entry.key != ANY && !seen.insert(entry.key.as_str()) {
                    let what = format!("`{}` has fallbacks already", shorten(&entry.key));
                    report.problem(&site, what, "write one list");
                } else if entry.key == ANY {
                    out.1.extend(after);
                } else if known {
                    out.0.push((entry.key.clone(), after));
                }
            }
        }
        out
    }

    fn listed(&self, node: &Node, site: &Site, report: &mut Report) -> Vec<String> {
        let Value::List(items) = &node.value else {
            let what = format!("{} is not a list", node.value.kind());
            report.problem(site, what, "write a list of groups");
            return Vec::new();
        };
        let mut out = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let site = Site { place: item.place.clone(), path: format!("{}[{index}]", site.path) };
            let name = scalar(item, &site, report).filter(|name| self.has(name, &site, report));
            out.extend(name);
        }
        out
    }
}
