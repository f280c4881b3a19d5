//! One entry of `general_settings.pass_through_endpoints`.
//!
//! Paths, targets and header names are only carried here; their own rules judge them, one floor up.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Defaults, quota, seconds, tls};
use crate::config::env::{Environ, Expanded, expand_variables, names_variable};
use crate::config::error::{Report, Site};
use crate::config::fields::{ENTRY, ENTRY_OWN};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, expand_at, scalar, shorten};
use crate::config::{Endpoint, HeaderText, QueryText, TargetText};
use crate::secret::Secret;

const LANGFUSE_PUBLIC: &str = "LANGFUSE_PUBLIC_KEY";
const LANGFUSE_SECRET: &str = "LANGFUSE_SECRET_KEY";
/// The pseudo-header that names the client header which holds the Tollgate key.
const USER_KEY: &str = "litellm_user_api_key";

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
    let target = required(&section, "target", "the URL to send requests to", report)
        .and_then(|(text, site)| target(&text, &site, environ, report).map(|target| (target, site)));
    let (headers, user_key_header) = headers(&section, environ, report);
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
        targets: Vec::new(),
        site: section.site().clone(),
        path,
        target,
    })
}

/// An own option stands in the entry or in its `tollgate`.
fn either<'s, 'n>(
    section: &'s Section<'n>,
    own: Option<&'s Section<'n>>,
) -> impl Iterator<Item = &'s Section<'n>> + use<'s, 'n> {
    std::iter::once(section).chain(own)
}

fn required(section: &Section<'_>, key: &str, doc: &str, report: &mut Report) -> Option<(String, Site)> {
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
            format!("`{USER_KEY}` asks for a key, and auth: false asks for none"),
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

fn target(text: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<TargetText> {
    if let Some(name) = adapter(text) {
        report.notice(site, format!("the adapter `{name}` is not served yet: the route answers 501"), "");
        return Some(TargetText::Adapter { name: name.to_owned(), id: "anthropic".into() });
    }
    if text.contains('#') {
        report.problem(site, "the target has a fragment, which is never sent", "remove `#` and what follows");
        return None;
    }
    let (base, query) = match text.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (text, None),
    };
    let base = variables(base, site, environ, report);
    let query = match query {
        Some(query) => target_query(query, site, environ, report),
        None => Some(Vec::new()),
    };
    let (base, query) = (base?, query?);
    Some(TargetText::Url { base: base.text.expose().to_owned(), secret: base.secret, query })
}

/// The text with its variables replaced; a URL holds no other references.
fn variables(text: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Expanded> {
    expand_variables(text, environ)
        .map_err(|faults| faults.iter().for_each(|fault| report.problem(site, fault.to_string(), fault.mend())))
        .ok()
}

/// `adapter:anthropic`, or a dotted Python name that ends in `anthropic_adapter`.
fn adapter(text: &str) -> Option<&str> {
    let dotted =
        text.contains('.') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    (text == "adapter:anthropic" || (dotted && text.ends_with("anthropic_adapter"))).then_some(text)
}

fn target_query(query: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Vec<QueryText>> {
    let mut out = Vec::new();
    let mut all = true;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        if names_variable(name) {
            report.problem(site, "the name of a parameter is not expanded", "write NAME=os.environ/VARIABLE");
            all = false;
            continue;
        }
        let value = value.map(|value| variables(value, site, environ, report));
        all &= !matches!(value, Some(None));
        let value = value.flatten();
        // A referenced value is plain text; what the file spells out is in URL form already.
        let encoded = !value.as_ref().is_some_and(|value| value.secret);
        out.push(QueryText { name: name.to_owned(), value, encoded });
    }
    all.then_some(out)
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

type KeyHeader = Option<(String, Site)>;

fn headers(section: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> (Vec<HeaderText>, KeyHeader) {
    let Some(map) = section.map("headers", report) else { return (Vec::new(), None) };
    let (mut out, mut key_header) = (Vec::new(), None);
    let (mut public, mut secret) = (None, None);
    for entry in map.entries() {
        let site = map.site_of(entry);
        if matches!(entry.node.value, Value::Null) {
            report.problem(&site, format!("`{}` has no value", shorten(&entry.key)), "give it one, or remove it");
            continue;
        }
        let Some(text) = scalar(&entry.node, &site, report) else { continue };
        // The name of a header is no secret, and is not looked up.
        if entry.key == USER_KEY {
            key_header = Some((text, site));
            continue;
        }
        let Some(value) = expand_at(&text, &site, environ, report) else { continue };
        match entry.key.as_str() {
            LANGFUSE_PUBLIC => public = Some((value, site)),
            LANGFUSE_SECRET => secret = Some((value, site)),
            name => out.push(HeaderText { name: name.to_owned(), value, site }),
        }
    }
    match (public, secret) {
        (Some((public, site)), Some((secret, _))) => {
            if public.text.expose().contains(':') {
                report.problem(
                    &site,
                    "the public key holds a colon, which ends it in Basic credentials",
                    "check the key",
                );
            } else if let Some(other) = out.iter().find(|header| header.name.eq_ignore_ascii_case("authorization")) {
                let what = format!("the Langfuse keys become Authorization, which is set at {} too", other.site.place);
                report.problem(&site, what, "keep one of the two");
            } else {
                out.push(langfuse(&public, &secret, site));
            }
        }
        // One of the two may be missing because its own reference failed, which has been said already.
        (None, None) => {}
        (Some((_, site)), None) if !has(&map, LANGFUSE_SECRET) => {
            alone(&site, LANGFUSE_PUBLIC, LANGFUSE_SECRET, report)
        }
        (None, Some((_, site))) if !has(&map, LANGFUSE_PUBLIC) => {
            alone(&site, LANGFUSE_SECRET, LANGFUSE_PUBLIC, report)
        }
        _ => {}
    }
    (out, key_header)
}

fn has(map: &Section<'_>, key: &str) -> bool {
    map.entry(key).is_some()
}

fn alone(site: &Site, one: &str, other: &str, report: &mut Report) {
    report.problem(
        site,
        format!("`{one}` stands without `{other}`"),
        "set both: together they become HTTP Basic credentials",
    );
}

/// Langfuse takes its two keys as HTTP Basic credentials (RFC 7617).
fn langfuse(public: &Expanded, secret: &Expanded, site: Site) -> HeaderText {
    let pair = Secret::new(format!("{}:{}", public.text.expose(), secret.text.expose()));
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    HeaderText { name: "Authorization".into(), value: Expanded { text, secret: true }, site }
}
