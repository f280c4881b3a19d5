//! The fields of a key in a request, as LiteLLM names them.
//!
//! The law: null says nothing, and neither does an empty value of a field that is not enforced; such a field with a value is
//! refused, and so is a name that LiteLLM does not know. A record is changed whole or not at all.

use std::fmt;

use serde_json::{Map, Value};

use super::duration::span;
use crate::auth::{KeyRecord, KeyType, Time};

/// Fields that are enforced or kept.
const KEPT: &[&str] = &[
    "models",
    "rpm_limit",
    "max_parallel_requests",
    "model_rpm_limit",
    "duration",
    "allowed_routes",
    "key_type",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "blocked",
    "key_alias",
    "metadata",
    "tags",
    "user_id",
    "team_id",
];

/// Fields of LiteLLM's that are not enforced.
const NOT_ENFORCED: &[&str] = &[
    "access_group_ids",
    "agent_id",
    "aliases",
    "auto_rotate",
    "budget_duration",
    "budget_id",
    "budget_limits",
    "config",
    "default_estimated_output_tokens",
    "enforced_params",
    "guardrails",
    "max_budget",
    "model_max_budget",
    "model_tpm_limit",
    "object_permission",
    "organization_id",
    "permissions",
    "project_id",
    "rotation_interval",
    "router_settings",
    "rpm_limit_type",
    "soft_budget",
    "spend",
    "tag_rpm_limit",
    "throttle_on_budget_exceeded",
    "tpd_limit",
    "tpm_limit",
    "tpm_limit_type",
];

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadField {
    /// It is not an object of JSON.
    Body,
    /// LiteLLM enforces it, and Tollgate does not yet.
    NotEnforced(&'static str),
    /// Nobody knows it; the nearest that is known.
    Unknown(Option<&'static str>),
    /// It takes another kind of value.
    Value(&'static str, &'static str),
}

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => write!(f, "The body must be a JSON object."),
            Self::NotEnforced(name) => write!(f, "`{name}` is not enforced yet, so it is not accepted: leave it out."),
            // The name itself could be a key that slipped to the wrong side of a colon.
            Self::Unknown(None) => write!(f, "The body has a field that is not known."),
            Self::Unknown(Some(near)) => write!(f, "The body has a field that is not known; did you mean `{near}`?"),
            Self::Value(name, wanted) => write!(f, "`{name}` must be {wanted}."),
        }
    }
}

/// The object in `body`; no body is an empty one. Deeper than 128 levels is refused by the parser.
pub fn read(body: &[u8]) -> Result<Map<String, Value>, BadField> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| BadField::Body)
}

/// `record` with the fields of `body`, but for `own`, which the endpoint reads itself.
pub fn apply(record: &KeyRecord, body: &Map<String, Value>, own: &[&str], now: Time) -> Result<KeyRecord, BadField> {
    let mut changed = KeyRecord { updated_at: now, ..record.clone() };
    for (name, value) in body.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        let known = |list: &'static [&'static str]| list.iter().find(|known| *known == name).copied();
        if let Some(name) = known(KEPT) {
            if !value.is_null() {
                set(&mut changed, name, value, now)?;
            }
        } else if let Some(name) = known(NOT_ENFORCED) {
            if !is_empty(value) {
                return Err(BadField::NotEnforced(name));
            }
        } else {
            return Err(BadField::Unknown(nearest(name)));
        }
    }
    Ok(changed)
}

fn set(record: &mut KeyRecord, name: &'static str, value: &Value, now: Time) -> Result<(), BadField> {
    match name {
        "models" => record.models = words(name, value)?,
        "rpm_limit" => record.quota.requests = Some(number(name, value)?),
        "max_parallel_requests" => record.quota.parallel = Some(number(name, value)?),
        "model_rpm_limit" => {
            let map = value.as_object().ok_or(BadField::Value(name, "a mapping of models to numbers"))?;
            let read = map.iter().map(|(model, most)| Ok((model.clone(), number(name, most)?)));
            record.quota.model_requests = read.collect::<Result<_, _>>()?;
        }
        "duration" => {
            let wanted = BadField::Value(name, "a number and s, m, h, d, w or mo, as 30d");
            let end = value.as_str().and_then(span).and_then(|span| now.checked_add(span));
            record.expires = Some(end.ok_or(wanted)?);
        }
        "allowed_routes" => record.allowed_routes = words(name, value)?,
        "key_type" => {
            let wanted = BadField::Value(name, "default, llm_api, management or read_only");
            record.key_type = value.as_str().and_then(KeyType::named).ok_or(wanted)?;
        }
        "allowed_passthrough_routes" => record.allowed_passthrough = words(name, value)?,
        "denied_passthrough_routes" => record.denied_passthrough = words(name, value)?,
        "blocked" => record.blocked = value.as_bool().ok_or(BadField::Value(name, "true or false"))?,
        "key_alias" => record.alias = word(name, value)?,
        "metadata" => record.metadata = value.as_object().ok_or(BadField::Value(name, "a mapping"))?.clone(),
        "tags" => record.tags = words(name, value)?,
        "user_id" => record.user_id = word(name, value)?,
        "team_id" => record.team_id = word(name, value)?,
        // `KEPT` has no other; a test says so.
        _ => return Err(BadField::Unknown(None)),
    }
    Ok(())
}

fn word(name: &'static str, value: &Value) -> Result<Option<String>, BadField> {
    let text = value.as_str().ok_or(BadField::Value(name, "text"))?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn words(name: &'static str, value: &Value) -> Result<Vec<String>, BadField> {
    let wanted = BadField::Value(name, "a list of text");
    let list = value.as_array().ok_or(wanted.clone())?;
    list.iter().map(|word| word.as_str().map(str::to_owned).ok_or(wanted.clone())).collect()
}

fn number(name: &'static str, value: &Value) -> Result<u32, BadField> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or(BadField::Value(name, "a whole number, not negative"))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        // 0 is a limit.
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn nearest(name: &str) -> Option<&'static str> {
    // Longer than any field: it need not be compared.
    if name.len() > 64 {
        return None;
    }
    let near = KEPT.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min()?;
    (near.0 <= 3).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Digest, Salt};

    fn changed(body: &str) -> Result<KeyRecord, BadField> {
        let record = KeyRecord::new(Salt::new(*b"salt").id(&Digest::of(b"key")), "sk-...".into(), 1);
        apply(&record, &read(body.as_bytes())?, &["key"], 1000)
    }

    #[test]
    fn what_is_kept_arrives_in_the_record() {
        let body = r#"{"key": "sk-x", "models": ["a"], "rpm_limit": 0, "max_parallel_requests": 2, "tags": ["t"],
            "model_rpm_limit": {"a": 3}, "duration": "30s", "allowed_routes": ["/a"], "key_type": "management",
            "allowed_passthrough_routes": ["/p"], "denied_passthrough_routes": ["/d"], "blocked": true,
            "key_alias": "n", "metadata": {"x": 1}, "user_id": "u", "team_id": "w", "max_budget": null, "aliases": {}}"#;
        let record = changed(body).expect("valid");
        assert_eq!((record.quota.requests, record.quota.parallel, record.expires), (Some(0), Some(2), Some(31_000)));
        assert_eq!(record.quota.model_requests.get("a"), Some(&3));
        assert_eq!((record.key_type, record.blocked, record.updated_at), (KeyType::Management, true, 1000));
        assert_eq!((record.alias.as_deref(), record.team_id.as_deref()), (Some("n"), Some("w")));
        assert_eq!((record.denied_passthrough, record.metadata.len()), (vec!["/d".to_owned()], 1));
        assert_eq!(changed("").expect("no body").quota.requests, None);
    }

    #[test]
    fn what_is_not_kept_is_refused_by_name() {
        for (body, expected) in [
            (r#"{"tpm_limit": 0}"#, BadField::NotEnforced("tpm_limit")),
            (r#"{"max_budget": 1.5}"#, BadField::NotEnforced("max_budget")),
            (r#"{"rpm_limt": 5}"#, BadField::Unknown(Some("rpm_limit"))),
            (r#"{"something_else": 5}"#, BadField::Unknown(None)),
            (r#"{"rpm_limit": -1}"#, BadField::Value("rpm_limit", "a whole number, not negative")),
            (r#"{"models": "a"}"#, BadField::Value("models", "a list of text")),
            (r#"{"blocked": "no"}"#, BadField::Value("blocked", "true or false")),
            ("[]", BadField::Body),
            ("{", BadField::Body),
            (&"[".repeat(200), BadField::Body),
        ] {
            assert_eq!(changed(body), Err(expected), "{body}");
        }
    }

    #[test]
    fn every_field_that_is_kept_is_set() {
        for name in KEPT {
            let outcome = changed(&format!(r#"{{"{name}": 1.5}}"#));
            assert!(matches!(outcome, Err(BadField::Value(..))), "{name}: {outcome:?}");
        }
    }
}
