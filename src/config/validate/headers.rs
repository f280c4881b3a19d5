//! `headers` of an entry and of one of its targets.
//!
//! The law: LiteLLM's pseudo-headers become what they mean, Langfuse's two keys HTTP Basic credentials. Names and values are judged one
//! floor up.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::HeaderText;
use crate::config::env::{Environ, Expanded};
use crate::config::error::{Report, Site};
use crate::config::raw::{Entry, Value};
use crate::config::section::{Section, expand_at, scalar, shorten};
use crate::secret::Secret;

const LANGFUSE_PUBLIC: &str = "LANGFUSE_PUBLIC_KEY";
const LANGFUSE_SECRET: &str = "LANGFUSE_SECRET_KEY";
/// The pseudo-header that names the client header which holds the Tollgate key.
pub(super) const USER_KEY: &str = "litellm_user_api_key";

/// The fields under `key` of `section`, references replaced.
pub(super) fn plain(section: &Section<'_>, key: &str, environ: &dyn Environ, report: &mut Report) -> Vec<HeaderText> {
    let Some(map) = section.map(key, report) else { return Vec::new() };
    let read = |entry| field(&map, entry, environ, report);
    map.entries().iter().filter_map(read).collect()
}

fn field(map: &Section<'_>, entry: &Entry, environ: &dyn Environ, report: &mut Report) -> Option<HeaderText> {
    let site = map.site_of(entry);
    let text = text(entry, &site, report)?;
    let value = expand_at(&text, &site, environ, report)?;
    Some(HeaderText { name: entry.key.clone(), value, site })
}

fn text(entry: &Entry, site: &Site, report: &mut Report) -> Option<String> {
    if matches!(entry.node.value, Value::Null) {
        report.problem(site, format!("`{}` has no value", shorten(&entry.key)), "give it one, or remove it");
        return None;
    }
    scalar(&entry.node, site, report)
}

/// Which header of the client holds the Tollgate key.
type KeyHeader = Option<(String, Site)>;

/// The fields of an entry, and the header that holds a client's key.
pub(super) fn read(section: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> (Vec<HeaderText>, KeyHeader) {
    let Some(map) = section.map("headers", report) else { return (Vec::new(), None) };
    let (mut out, mut key_header) = (Vec::new(), None);
    let (mut public, mut secret) = (None, None);
    for entry in map.entries() {
        let site = map.site_of(entry);
        let Some(text) = text(entry, &site, report) else { continue };
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
