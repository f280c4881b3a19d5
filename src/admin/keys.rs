//! What calls about keys plan and answer.
//!
//! The law: a key is shown whole once, by the call that makes it; an alias names one key; a key of the config is not touched.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Planned, Request};
use crate::auth::{Book, Digest, Key, KeyId, KeyRecord, Time, is_key, shown_name};
use crate::management::{Asked, Asker, BadField, Body, Fault, Query, Scope, key, span, word, words};
use crate::secret::{self, Secret};
use crate::store::Change;

/// A key that nobody can guess: 128 bits, as LiteLLM's.
pub(super) fn fresh() -> Result<Secret, Fault> {
    let bytes: [u8; 16] = secret::random().map_err(|error| Fault::Store(error.to_string()))?;
    Ok(Secret::new(format!("sk-{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// Whether `body` wants this key made.
pub(super) fn brings(body: &Body, known: &Secret) -> bool {
    let named = ["key", "new_key"].into_iter().filter_map(|name| body.get(name)?.as_str());
    named.into_iter().any(|key| known.matches(key.as_bytes()))
}

pub(super) fn generate(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, now, .. } = request;
    asker.may_set(body)?;
    let text = wanted_key(book, request, "key")?;
    let id = book.id(&Digest::of(text.expose().as_bytes()));
    let blank = KeyRecord {
        created_by: Some(asker.name.clone()),
        team_id: match &asker.scope {
            Scope::Team(team) => Some(team.clone()),
            _ => None,
        },
        ..KeyRecord::new(id, shown_name(text.expose()), *now)
    };
    let record = key::apply(&blank, body, &["key"], *now)?;
    check(book, asker, &record, &record.id)?;
    let answer = made(&text, &record, *now);
    Ok((vec![put(record)], answer))
}

pub(super) fn update(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, now, .. } = request;
    asker.may_set(body)?;
    let before = named(book, request)?;
    // An alias beside the key is a new one; alone it says which key.
    let own: &[&str] = if has(body, "key") { &["key", "token"] } else { &["key", "key_alias", "token"] };
    let record = key::apply(&before.record, body, own, *now)?;
    check(book, asker, &record, &record.id)?;
    let mut answer = key::show(&record, *now);
    answer.insert("key".into(), said(body.get("key").and_then(Value::as_str), &record).into());
    Ok((vec![put(record)], answer.into()))
}

pub(super) fn regenerate(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, now, .. } = request;
    asker.may_set(body)?;
    let before = named(book, request)?;
    let text = wanted_key(book, request, "new_key")?;
    let record = KeyRecord {
        id: book.id(&Digest::of(text.expose().as_bytes())),
        name: shown_name(text.expose()),
        line: Some(before.record.line.unwrap_or(before.record.id)),
        ..key::apply(&before.record, body, &["key", "new_key", "grace_period"], *now)?
    };
    check(book, asker, &record, &before.record.id)?;
    let answer = made(&text, &record, *now);
    let old = match grace(body, *now)? {
        None => Change::NoKey(before.record.id),
        Some(end) => put(KeyRecord {
            alias: None,
            expires: Some(before.record.expires.map_or(end, |expires| expires.min(end))),
            updated_at: *now,
            ..before.record.clone()
        }),
    };
    Ok((vec![put(record), old], answer))
}

pub(super) fn delete(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, .. } = request;
    if body.keys().any(|name| !["keys", "key_aliases"].contains(&name.as_str())) {
        return Err(BadField::Unknown(Some("keys")).into());
    }
    let list = |name| body.get(name).map_or(Ok(Vec::new()), |value| words(name, value));
    let (keys, aliases) = (list("keys")?, list("key_aliases")?);
    if keys.is_empty() && aliases.is_empty() {
        return Err(BadField::Missing("keys").into());
    }
    let mut found = Vec::new();
    for key in keys.iter().map(|key| book.named(key)).chain(aliases.iter().map(|alias| book.aliased(alias))) {
        found.push(changeable(asker, key)?);
    }
    let said = keys.iter().chain(&aliases).zip(&found).map(|(name, key)| said(Some(name), &key.record));
    let answer = json!({ "deleted_keys": said.collect::<Vec<_>>() });
    Ok((found.iter().map(|key| Change::NoKey(key.record.id)).collect(), answer))
}

pub(super) fn block(book: &Book, request: &Request) -> Planned {
    set_blocked(book, request, true)
}

pub(super) fn unblock(book: &Book, request: &Request) -> Planned {
    set_blocked(book, request, false)
}

fn set_blocked(book: &Book, request: &Request, blocked: bool) -> Planned {
    let before = named(book, request)?;
    let record = KeyRecord { blocked, updated_at: request.now, ..before.record.clone() };
    let answer = key::show(&record, request.now);
    Ok((vec![put(record)], answer.into()))
}

/// A key in an answer, its own when none is named.
pub(super) fn info(book: &Book, asked: &Asked, now: Time) -> Result<Value, Fault> {
    let asker = &asked.asker;
    let query = Query::read(asked.query.as_deref(), &["key"])?;
    let found = match (query.text("key"), asker.key) {
        (Some(text), _) => book.named(text),
        (None, Some(own)) => book.get(&own),
        (None, None) => return Err(BadField::Missing("key").into()),
    };
    match found {
        Some(found) if asker.sees(&found.record) || asker.key == Some(found.record.id) => {
            Ok(json!({ "key": said(query.text("key"), &found.record), "info": key::show(&found.record, now) }))
        }
        None if asker.scope == Scope::All => Err(Fault::NoKey),
        _ => Err(Fault::NotYours),
    }
}

/// A key as the request has named it, unless that was by the key itself.
fn said(name: Option<&str>, record: &KeyRecord) -> String {
    name.filter(|name| !is_key(name)).map_or_else(|| record.id.hex(), str::to_owned)
}

/// The answer that shows a key whole.
fn made(text: &Secret, record: &KeyRecord, now: Time) -> Value {
    let mut answer = key::show(record, now);
    answer.insert("key".into(), text.expose().into());
    answer.into()
}

/// The key that `field` brings, or the fresh one.
fn wanted_key(book: &Book, request: &Request, field: &'static str) -> Result<Secret, Fault> {
    let brought = request.body.get(field).map_or(Ok(None), |value| word(field, value))?;
    let text = match (brought, &request.fresh) {
        (Some(text), _) if !is_key(&text) => return Err(Fault::WeakKey),
        (Some(text), _) => Secret::new(text),
        (None, Some(fresh)) => fresh.clone(),
        (None, None) => return Err(Fault::NoKey),
    };
    if book.find(text.expose().as_bytes()).is_some() { Err(Fault::KeyTaken) } else { Ok(text) }
}

/// The key that a request names: by `key`, in its path, or by its alias.
fn named(book: &Book, request: &Request) -> Result<Arc<Key>, Fault> {
    let text = |name| request.body.get(name).map_or(Ok(None), |value| word(name, value));
    let found = match (text("key")?.or(request.named.clone()), text("key_alias")?) {
        (Some(name), _) => book.named(&name),
        (None, Some(alias)) => book.aliased(&alias),
        (None, None) => return Err(BadField::Missing("key").into()),
    };
    changeable(&request.asker, found)
}

fn changeable(asker: &Asker, found: Option<Arc<Key>>) -> Result<Arc<Key>, Fault> {
    match found {
        None if asker.scope == Scope::All => Err(Fault::NoKey),
        // Who sees a part only is not told what there is besides.
        None => Err(Fault::NotYours),
        Some(found) => {
            asker.may_change(&found.record)?;
            if found.fixed { Err(Fault::Fixed) } else { Ok(found) }
        }
    }
}

/// Whether the key that is known as `own` so far may be as `record`.
fn check(book: &Book, asker: &Asker, record: &KeyRecord, own: &KeyId) -> Result<(), Fault> {
    asker.may_leave(record)?;
    let holder = record.alias.as_ref().and_then(|alias| book.aliased(alias));
    if holder.is_some_and(|holder| holder.record.id != *own) {
        return Err(Fault::AliasTaken);
    }
    match &record.team_id {
        Some(team) if book.team(team).is_none() => Err(Fault::NoTeam),
        _ => Ok(()),
    }
}

/// When a key ends that another takes the place of; none: at once.
fn grace(body: &Body, now: Time) -> Result<Option<Time>, Fault> {
    const WANTED: BadField = BadField::Value("grace_period", "a number and s, m, h, d, w or mo, as 24h");
    let text = body.get("grace_period").map_or(Ok(None), |value| word("grace_period", value))?;
    match text.as_deref() {
        None | Some("0s") => Ok(None),
        Some(text) => Ok(Some(span(text).and_then(|span| now.checked_add(span)).ok_or(WANTED)?)),
    }
}

fn has(body: &Body, name: &str) -> bool {
    body.get(name).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()))
}

fn put(record: KeyRecord) -> Change {
    Change::Key(Box::new(record))
}
