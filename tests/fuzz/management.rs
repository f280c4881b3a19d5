//! Calls of the key API: what a body says is kept or refused by name, never passed over; no message repeats a key.

use serde_json::Value;
use tollgate::auth::{Digest, KeyRecord, Salt, TeamRecord};
use tollgate::management::{BadField, Query, key, read, team};

use super::reading::{shows_key, with_key};

/// Fields that are shown as they were said.
const AS_SAID: &[&str] = &[
    "models",
    "rpm_limit",
    "max_parallel_requests",
    "allowed_routes",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "blocked",
    "key_alias",
    "team_alias",
    "tags",
    "user_id",
    "key_type",
];

/// The first line is a query, the rest a body.
pub fn check(input: &[u8]) {
    let text = with_key(&String::from_utf8_lossy(input));
    let (query, body) = text.split_once('\n').unwrap_or((&text, ""));
    if let Err(bad) = Query::read(Some(query.as_bytes()), &["key", "page", "size"]) {
        quiet(&bad);
    }
    let body = match read(body.as_bytes()) {
        Ok(body) => body,
        Err(bad) => return quiet(&bad),
    };
    let blank = KeyRecord::new(Salt::new(*b"salt").id(&Digest::of(b"key")), "sk-...".into(), 1);
    match key::apply(&blank, &body, &["key"], 1000) {
        Ok(record) => {
            assert_eq!(key::apply(&record, &body, &["key"], 1000).expect("as before"), record, "twice is once");
            as_said(&body, &key::show(&record, 1000));
        }
        Err(bad) => quiet(&bad),
    }
    let blank = TeamRecord::new("t".into(), 1);
    match team::apply(&blank, &body, &["team_id"], 1000) {
        Ok(record) => {
            assert_eq!(team::apply(&record, &body, &["team_id"], 1000).expect("as before"), record, "twice is once");
            as_said(&body, &team::show(&record));
        }
        Err(bad) => quiet(&bad),
    }
}

fn quiet(bad: &BadField) {
    let message = bad.to_string();
    assert!(!shows_key(message.as_bytes()), "{message}");
    assert!(!message.is_empty() && !message.contains(['\n', '\r']), "{message:?}");
}

fn as_said(body: &serde_json::Map<String, Value>, shown: &serde_json::Map<String, Value>) {
    for (name, value) in body.iter().filter(|(_, value)| says_something(value)) {
        assert!(shown.contains_key(name) || name == "key" || name == "team_id" || name == "duration", "{name} is lost");
        if AS_SAID.contains(&name.as_str()) && shown.contains_key(name) {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(says_something),
        Value::Object(map) => map.values().any(says_something),
        Value::Bool(true) | Value::Number(_) => true,
    }
}
