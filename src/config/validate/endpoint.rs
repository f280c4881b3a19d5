//! One entry of `general_settings.pass_through_endpoints`.
//!
//! Paths, targets and header names are only carried here; their own rules judge them, one floor up.

use super::{Defaults, headers, quota, seconds, targets, tls};
use crate::config::env::{Environ, names_variable};
use crate::config::error::{Report, Site};
use crate::config::fields::{ENTRY, ENTRY_OWN};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, expand_at, scalar, shorten};
use crate::config::{Endpoint, QueryText, TargetText};

/// Reads the entry `node` at `site`.
pub(super) fn read(
    node: &Node,
    site: &Site,
    defaults: &Defaults,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<Endpoint> {
    let section = Section::open(node, &site.path, &ENTRY, &defaults.accepted, report)?;
    let own = section.section("tollgate", &ENTRY_OWN, &[], report);
    let path = required(&section, "path", "the path clients call", report).filter(|(path, site)| {
        let literal = !names_variable(path);
        if !literal {
            report.problem(site, "a path is not expanded: os.environ/ has no meaning in it", "write the path itself");
        }
        literal
    });
    let (target, members) = targets::read(&section, own.as_ref(), &defaults.adapters, environ, report);
    let (headers, user_key_header) = headers::read(&section, environ, report);
    let flag = |key: &str, report: &mut Report| section.boolean(key, report);
    let own_flag = |key: &str, report: &mut Report| {
        flag(key, report).or_else(|| own.as_ref().and_then(|own| own.boolean(key, report)))
    };
    let auth = section.boolean("auth", report);
    let _ = flag("merge_query_params", report);
    Some(Endpoint {
        id: section.text("id", report),
        headers,
        auth: auth_of(auth, &section, target.as_ref(), user_key_header.is_some(), defaults, report),
        forward_headers: flag("forward_headers", report).unwrap_or(false),
        include_subpath: flag("include_subpath", report).unwrap_or(false),
        methods: section.texts("methods", report).filter(|methods| !methods.is_empty()),
        silence_seconds: seconds(Some(&section), "timeout", report).unwrap_or(defaults.silence_seconds),
        default_query: default_query(&section, environ, report),
        cost_per_request: section.number("cost_per_request", report),
        langfuse_credentials: parser(&section, report),
        user_key_header,
        retry_non_idempotent: own_flag("retry_non_idempotent", report).unwrap_or(defaults.retry_non_idempotent),
        allow_metadata: own_flag("allow_metadata", report).unwrap_or(defaults.allow_metadata),
        allow_private: true,
        is_made: false,
        model_from: either(&section, own.as_ref()).find_map(|section| section.text("model_from", report)),
        requests: either(&section, own.as_ref()).find_map(|section| quota(section, "rpm_limit", report)),
        parallel: either(&section, own.as_ref()).find_map(|section| quota(section, "max_parallel_requests", report)),
        tls: tls::read(&section, own.as_ref(), environ, report),
        targets: members,
        site: section.site().clone(),
        path,
        target,
    })
}

/// An own option stands in the entry or in its `tollgate`.
pub(super) fn either<'s, 'n>(
    section: &'s Section<'n>,
    own: Option<&'s Section<'n>>,
) -> impl Iterator<Item = &'s Section<'n>> + use<'s, 'n> {
    std::iter::once(section).chain(own)
}

pub(super) fn required(section: &Section<'_>, key: &str, doc: &str, report: &mut Report) -> Option<(String, Site)> {
    if section.entry(key).is_none() {
        report.problem(section.site(), format!("`{key}` is missing"), format!("write {key}: {doc}"));
        return None;
    }
    section.text(key, report)
}

/// Naming the client's key header, or leading to an adapter, means that a key is required.
fn auth_of(
    written: Option<bool>,
    section: &Section<'_>,
    target: Option<&(TargetText, Site)>,
    names_key_header: bool,
    defaults: &Defaults,
    report: &mut Report,
) -> Option<bool> {
    if names_key_header && written == Some(false) {
        report.problem(
            section.site(),
            format!("`{}` asks for a key, and auth: false asks for none", headers::USER_KEY),
            "remove one of the two",
        );
    }
    let implied = (names_key_header || matches!(target, Some((TargetText::Adapter { .. }, _)))).then_some(true);
    written.or(implied).or(defaults.auth)
}

fn parser(section: &Section<'_>, report: &mut Report) -> bool {
    match section.text("custom_auth_parser", report) {
        Some((name, _)) if name == "langfuse" => true,
        Some((name, site)) => {
            report.problem(
                &site,
                format!("`{}` is not a parser that is known", shorten(&name)),
                "write langfuse, or remove it",
            );
            false
        }
        None => false,
    }
}

fn default_query(section: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> Vec<QueryText> {
    let Some(map) = section.map("default_query_params", report) else { return Vec::new() };
    let mut out = Vec::new();
    for entry in map.entries() {
        let site = map.site_of(entry);
        let text = match entry.node.value {
            Value::Null => Some(String::new()),
            _ => scalar(&entry.node, &site, report),
        };
        if let Some(value) = text.and_then(|text| expand_at(&text, &site, environ, report)) {
            out.push(QueryText { name: entry.key.clone(), value: Some(value), encoded: false });
        }
    }
    out
}
