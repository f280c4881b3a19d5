//! Entries of `pass_through_endpoints` in requests and answers: LiteLLM's model of them.
//!
//! The law: whether an entry can be served is judged by the rules of the config file, not here; an answer holds no value of a header
//! and no parameter that may be a secret, and what comes back masked leaves the value as it was.

use serde_json::{Map, Value, json};

use super::fault::{BadField, Fault};
use super::value::{Body, is_empty};
use crate::config::env::{Expanded, is_variable_name};
use crate::config::{Endpoint, QueryText, TargetText, is_credential_name};

/// Stands for a value that nobody is shown.
const MASK: &str = "*****";

/// Fields that say nothing of an entry.
const SAID_ELSEWHERE: &[&str] = &["id", "is_from_config", "problem"];

/// The entry that `body` makes, as it is kept.
pub fn new(body: &Body) -> Result<Body, Fault> {
    let lacks = |body: &Body, field: &str| body.get(field).is_none_or(is_empty);
    let own = body.get("tollgate").and_then(Value::as_object);
    let several = [Some(body), own].into_iter().flatten().any(|body| !lacks(body, "targets"));
    for field in ["path", "target"] {
        if lacks(body, field) && !(several && field == "target") {
            return Err(BadField::Missing(field).into());
        }
    }
    let mut entry = changed(&Map::new(), body)?;
    // LiteLLM's model says so.
    entry.entry("auth").or_insert(Value::Bool(true));
    Ok(entry)
}

/// The entry `before`, with what `body` says; null takes a field away.
pub fn changed(before: &Body, body: &Body) -> Result<Body, Fault> {
    let mut entry = before.clone();
    for (name, value) in body.iter().filter(|(name, _)| !SAID_ELSEWHERE.contains(&name.as_str())) {
        // LiteLLM's, which nobody runs here: none is none.
        if name == "guardrails" && is_empty(value) {
            continue;
        }
        match value {
            Value::Null => entry.remove(name),
            value => entry.insert(name.clone(), unmasked(name, value, before.get(name))?),
        };
    }
    Ok(entry)
}

/// `value`, with what it has masked as it is in `before`.
fn unmasked(name: &str, value: &Value, before: Option<&Value>) -> Result<Value, Fault> {
    match value {
        Value::Object(map) => {
            let inner = |(name, value): (&String, &Value)| {
                let known = before.and_then(|before| before.get(name));
                Ok((name.clone(), unmasked(name, value, known)?))
            };
            map.iter().map(inner).collect::<Result<Map<_, _>, Fault>>().map(Value::Object)
        }
        Value::Array(items) => {
            let inner = |(at, value): (usize, &Value)| unmasked(name, value, before.and_then(|before| before.get(at)));
            items.iter().enumerate().map(inner).collect::<Result<Vec<_>, Fault>>().map(Value::Array)
        }
        Value::String(text) if text.contains(MASK) => {
            // An item of `targets` that is text is a target.
            let name = if name == "targets" { "target" } else { name };
            let kept = before.filter(|before| before.as_str().is_some_and(|known| shown_text(name, known) == *text));
            kept.cloned().ok_or(Fault::Masked)
        }
        other => Ok(other.clone()),
    }
}

/// An entry that is kept under `id`, for an answer; `problem`: why it is not served.
pub fn show(id: &str, entry: &Body, problem: Option<String>) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), id.into());
    for (name, value) in entry {
        out.insert(name.clone(), shown(name, value));
    }
    out.insert("is_from_config".into(), false.into());
    if let Some(problem) = problem {
        out.insert("problem".into(), problem.into());
    }
    out.into()
}

/// A field of an entry, or of one of its targets.
fn shown(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("headers", Value::Object(map)) => each(map, |_, text| literal(text)),
        ("default_query_params", Value::Object(map)) => each(map, shown_text),
        ("target", Value::String(text)) => shown_text("target", text).into(),
        ("targets", Value::Array(items)) => {
            items.iter().map(|item| shown(if item.is_string() { "target" } else { "tollgate" }, item)).collect()
        }
        ("tollgate", Value::Object(map)) => {
            map.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect::<Map<_, _>>().into()
        }
        (_, other) => other.clone(),
    }
}

/// An entry of the config file.
pub fn show_fixed(endpoint: &Endpoint) -> Value {
    let headers = endpoint.headers.iter().map(|header| (header.name.clone(), Value::from(MASK)));
    let query = endpoint.default_query.iter().map(|text| (text.name.clone(), value(text).into()));
    let targets = endpoint.targets.iter().map(|member| {
        let headers = member.headers.iter().map(|header| (header.name.clone(), Value::from(MASK)));
        json!({
            "target": member.target.as_ref().map(|(target, _)| target_text(target)),
            "headers": headers.collect::<Map<_, _>>(), "weight": member.weight,
        })
    });
    json!({
        "id": id(endpoint), "path": endpoint.name(),
        "target": endpoint.target.as_ref().map(|(target, _)| target_text(target)), "targets": targets.collect::<Vec<_>>(),
        "headers": headers.collect::<Map<_, _>>(), "default_query_params": query.collect::<Map<_, _>>(),
        "auth": endpoint.auth.unwrap_or(false), "forward_headers": endpoint.forward_headers,
        "include_subpath": endpoint.include_subpath,
        "methods": endpoint.methods.as_ref().map(|list| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()),
        "cost_per_request": endpoint.cost_per_request, "timeout": endpoint.silence_seconds, "is_from_config": true,
    })
}

/// What an entry is known by: its `id`, else what it serves.
pub fn id(endpoint: &Endpoint) -> String {
    endpoint.id.as_ref().map_or_else(|| endpoint.identity().trim_end().to_owned(), |(id, _)| id.clone())
}

fn target_text(target: &TargetText) -> String {
    match target {
        TargetText::Adapter { name, .. } => name.clone(),
        TargetText::Url { base, secret, query } => {
            let base = if *secret { MASK } else { base };
            let query: Vec<String> = query.iter().map(|text| format!("{}={}", text.name, value(text))).collect();
            if query.is_empty() { base.to_owned() } else { format!("{base}?{}", query.join("&")) }
        }
    }
}

fn value(text: &QueryText) -> &str {
    let plain = |value: &'_ Expanded| !value.secret && !is_credential_name(&text.name);
    match &text.value {
        Some(value) if plain(value) => value.text.expose(),
        Some(_) => MASK,
        None => "",
    }
}

fn each(map: &Body, show: impl Fn(&str, &str) -> String) -> Value {
    let shown = |(name, value): (&String, &Value)| {
        (name.clone(), value.as_str().map_or_else(|| value.clone(), |text| show(name, text).into()))
    };
    map.iter().map(shown).collect::<Map<_, _>>().into()
}

/// A value of the entry, as answers show it.
fn shown_text(name: &str, text: &str) -> String {
    match text.split_once('?') {
        Some((base, query)) if name == "target" => {
            let parts = query.split('&').map(|part| match part.split_once('=') {
                Some((name, value)) if is_credential_name(name) => format!("{name}={}", literal(value)),
                _ => part.to_owned(),
            });
            format!("{base}?{}", parts.collect::<Vec<_>>().join("&"))
        }
        _ if name == "target" => text.to_owned(),
        // A field of `headers`, or a parameter that may be a credential.
        _ => literal(text),
    }
}

/// The names of variables are no secrets; everything else may be.
fn literal(text: &str) -> String {
    let names = |word: &str| word.strip_prefix("os.environ/").is_some_and(is_variable_name);
    let words: Vec<&str> = text.split(' ').map(|word| if names(word) { word } else { MASK }).collect();
    // How many words a secret has is nobody's business either.
    if words.contains(&MASK) && !words.iter().any(|word| *word != MASK) { MASK.into() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> Body {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn values_are_masked_and_come_back_as_they_were() {
        let entry = new(&body(json!({
            "path": "/a", "target": "https://a.test/x?key=abc&b=1", "id": null, "is_from_config": false, "guardrails": null,
            "headers": {"Authorization": "Bearer secret-1", "X-Key": "Bearer os.environ/NAME", "X-Count": 5},
            "default_query_params": {"b": "2", "api_key": "secret-2"},
        })))
        .expect("an entry");
        assert_eq!(entry["auth"], json!(true));
        let shown = show("id-1", &entry, None);
        let text = shown.to_string();
        assert!(!text.contains("secret") && !text.contains("abc"), "{text}");
        assert_eq!(shown["headers"]["X-Key"], "***** os.environ/NAME");
        // What was shown, changed in one place and sent back.
        let mut sent = body(shown);
        sent.insert("path".into(), "/b".into());
        let after = changed(&entry, &sent).expect("changed");
        assert_eq!(after["path"], "/b");
        for field in ["target", "headers", "default_query_params"] {
            assert_eq!(after[field], entry[field], "{field}");
        }
        let several = json!([
            "https://a.test/x?key=secret-3", {"target": "https://b.test/?token=secret-4", "headers": {"X-Key": "secret-5"}},
        ]);
        for body_of in [
            json!({"path": "/a", "targets": several}),
            json!({"path": "/a", "tollgate": {"targets": several, "rpm_limit": 5}}),
        ] {
            let entry = new(&body(body_of)).expect("an entry of several targets");
            let shown = show("id-2", &entry, None);
            assert!(!shown.to_string().contains("secret"), "{shown}");
            assert_eq!(changed(&entry, &body(shown)), Ok(entry));
        }
        assert!(new(&body(json!({"path": "/a", "targets": []}))).is_err());
        for (text, expected) in [
            ("os.environ/USER:literal", MASK),
            ("os.environ/KEY", "os.environ/KEY"),
            ("os.environ/A os.environ/B-literal", "os.environ/A *****"),
            ("literal", MASK),
        ] {
            assert_eq!(literal(text), expected, "{text}");
        }
        let masked = body(json!({"headers": {"X-New": MASK}}));
        assert_eq!(changed(&entry, &masked), Err(Fault::Masked));
        assert!(changed(&entry, &body(json!({"headers": null}))).is_ok_and(|entry| !entry.contains_key("headers")));
    }
}
