//! The keys of the config as records of the book.
//!
//! The law: a key begins with `sk-` and is long enough not to be guessed; each stands once. Their times are RFC 3339's.

use rustc_hash::FxHashSet;

use crate::auth::{Book, Digest, KeyRecord, KeyType, Quota, Time, is_key, shown_name};
use crate::clock::parse_rfc3339;
use crate::config::error::Report;
use crate::config::{KeySecret, KeyText};

/// The keys of the file, with the ids that `book` knows them by.
pub(super) fn records(book: &Book, keys: &[KeyText], report: &mut Report) -> Vec<KeyRecord> {
    let mut seen = FxHashSet::default();
    let mut records = Vec::new();
    for text in keys {
        let Some(record) = record(book, text, report) else { continue };
        if seen.insert(record.id) {
            records.push(record);
        } else {
            report.problem(&text.site, "this key stands in the list already", "remove one of the two");
        }
    }
    records
}

fn record(book: &Book, text: &KeyText, report: &mut Report) -> Option<KeyRecord> {
    let (digest, name) = match &text.secret {
        KeySecret::Key(key) => {
            let key = key.expose();
            if !is_key(key) {
                let what =
                    "the key does not begin with sk-, is too short, or holds other than letters, digits, -, _ and .";
                report.problem(&text.site, what, "make one with: echo sk-$(openssl rand -hex 16)");
                return None;
            }
            (Digest::of(key.as_bytes()), shown_name(key))
        }
        KeySecret::Digest(hex, site) => {
            let digest = Digest::parse(hex);
            if digest.is_none() {
                report.problem(site, "a hash is 64 hexadecimal digits", "write what sha256sum prints for the key");
            }
            (digest?, "sk-...".into())
        }
    };
    Some(KeyRecord {
        alias: text.alias.clone(),
        key_type: key_type(text, report)?,
        models: text.models.clone(),
        allowed_routes: text.allowed_routes.clone(),
        allowed_passthrough: text.allowed_passthrough.clone(),
        denied_passthrough: text.denied_passthrough.clone(),
        quota: Quota {
            requests: text.requests,
            parallel: text.parallel,
            model_requests: text.model_requests.iter().cloned().collect(),
        },
        expires: expires(text, report),
        blocked: text.blocked,
        team_id: text.team_id.clone(),
        user_id: text.user_id.clone(),
        tags: text.tags.clone(),
        ..KeyRecord::new(book.id(&digest), name, 0)
    })
}

fn key_type(text: &KeyText, report: &mut Report) -> Option<KeyType> {
    let Some((word, site)) = &text.key_type else { return Some(KeyType::default()) };
    let known = KeyType::named(word);
    if known.is_none() {
        report.problem(site, format!("`{word}` is no type of key"), "write default, llm_api, management or read_only");
    }
    known
}

fn expires(text: &KeyText, report: &mut Report) -> Option<Time> {
    let (written, site) = text.expires.as_ref()?;
    let read = parse_rfc3339(written);
    if read.is_none() {
        report.problem(site, format!("`{written}` is no time"), "write one in UTC, as 2027-01-31T00:00:00Z");
    }
    read
}
