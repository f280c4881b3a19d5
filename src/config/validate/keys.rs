//! `tollgate.keys` and `tollgate.passthrough_grants`.
//!
//! The law: an entry names its key once, by itself or by its digest. What ids, types and times mean is judged beside their types,
//! one floor up.

use super::quota;
use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::fields::KEY;
use crate::config::raw::Node;
use crate::config::section::{Section, shorten};
use crate::config::{KeySecret, KeyText};

/// The keys of the file.
pub(super) fn read(own: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> Vec<KeyText> {
    let entries = own.list("keys", report).unwrap_or_default();
    entries.into_iter().filter_map(|(node, site)| read_entry(node, &site, environ, report)).collect()
}

/// Whether keys need a grant for each route.
pub(super) fn grants_required(own: &Section<'_>, report: &mut Report) -> bool {
    match own.text("passthrough_grants", report) {
        Some((word, _)) if word == "required" => true,
        Some((word, site)) if word != "open" => {
            report.problem(&site, format!("`{}` is no way to grant routes", shorten(&word)), "write open or required");
            false
        }
        _ => false,
    }
}

fn read_entry(node: &Node, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<KeyText> {
    let section = Section::open(node, &site.path, &KEY, &[], report)?;
    let texts = |key: &str, report: &mut Report| -> Vec<String> {
        section.texts(key, report).unwrap_or_default().into_iter().map(|(text, _)| text).collect()
    };
    let text = |key: &str, report: &mut Report| section.text(key, report).map(|(text, _)| text);
    let entry = KeyText {
        secret: secret(&section, environ, report)?,
        alias: text("key_alias", report),
        key_type: section.text("key_type", report),
        requests: quota(&section, "rpm_limit", report),
        parallel: quota(&section, "max_parallel_requests", report),
        model_requests: model_requests(&section, report),
        models: texts("models", report),
        allowed_routes: texts("allowed_routes", report),
        allowed_passthrough: texts("allowed_passthrough_routes", report),
        denied_passthrough: texts("denied_passthrough_routes", report),
        expires: section.text("expires", report),
        blocked: section.boolean("blocked", report).unwrap_or(false),
        team_id: text("team_id", report),
        user_id: text("user_id", report),
        tags: texts("tags", report),
        site: section.site().clone(),
    };
    Some(entry)
}

fn secret(section: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> Option<KeySecret> {
    match (section.entry("key").is_some(), section.entry("hash").is_some()) {
        (true, false) => {
            let (key, site) = section.expanded("key", environ, report)?;
            if !key.secret {
                report.notice(&site, "a key stands in the file itself", "write os.environ/NAME, file:PATH or its hash");
            }
            Some(KeySecret::Key(key.text))
        }
        (false, true) => section.text("hash", report).map(|(text, site)| KeySecret::Digest(text, site)),
        (false, false) => {
            let what = "neither `key` nor `hash` says which key this is";
            report.problem(section.site(), what, "write key: os.environ/NAME");
            None
        }
        (true, true) => {
            report.problem(section.site(), "both `key` and `hash` say which key this is", "remove one of the two");
            None
        }
    }
}

fn model_requests(section: &Section<'_>, report: &mut Report) -> Vec<(String, u32)> {
    let Some(map) = section.map("model_rpm_limit", report) else { return Vec::new() };
    let names = map.entries().iter().map(|entry| entry.key.clone());
    names.filter_map(|name| quota(&map, &name, report).map(|most| (name.clone(), most))).collect()
}
