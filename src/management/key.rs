//! A key as LiteLLM's clients write it in a request and read it in an answer.
//!
//! The law: a record is changed whole or not at all. A field that is left out stays as it is; null takes a limit or a name away, as in
//! LiteLLM, and leaves a list as it is. A field that says nothing is let pass, known or not. What LiteLLM enforces inside `metadata` is enforced here or refused there too. In an answer every field of LiteLLM's
//! is there, and one that Tollgate does not have is as LiteLLM leaves it empty; the key is named by its id.

use serde_json::{Value, json};

use super::duration::span;
use super::fault::BadField;
use super::value::{
    Body, flag, is_empty, known, label, mapping, nearest, number, numbers, refuse_unenforced, word, words,
};
use crate::auth::{KeyRecord, KeyType, Time};
use crate::clock::rfc3339;

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
    "allowed_cache_controls",
    "auto_rotate",
    "budget_duration",
    "budget_id",
    "budget_limits",
    "config",
    "allowed_vector_store_indexes",
    "budget_fallbacks",
    "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model",
    "disable_global_guardrails",
    "disabled_callbacks",
    "enable_prompt_caching",
    "end_user_budget_id",
    "enforced_batch_output_expires_after",
    "enforced_file_expires_after",
    "enforced_params",
    "guardrails",
    "logging",
    "max_budget",
    "mcp_rpm_limit",
    "model_itpm_limit",
    "model_max_budget",
    "model_otpm_limit",
    "model_tpm_limit",
    "object_permission",
    "organization_id",
    "permissions",
    "policies",
    "project_id",
    "prompts",
    "require_trace_id",
    "rotation_interval",
    "router_settings",
    "rpm_limit_type",
    "secret_manager_settings",
    "soft_budget",
    "spend",
    "tag_rpm_limit",
    "throttle_on_budget_exceeded",
    "tpd_limit",
    "tpm_limit",
    "tpm_limit_type",
];

/// Those that stand in requests alone.
const NOT_SHOWN: &[&str] = &["new_master_key", "send_invite_email", "temp_budget_expiry", "temp_budget_increase"];

/// Fields that LiteLLM reads in `metadata` as if they stood beside it.
const IN_METADATA: &[&str] = &["allowed_passthrough_routes", "denied_passthrough_routes", "model_rpm_limit", "tags"];

/// Fields that only the holder of the master key may set, as in LiteLLM.
const MASTERS: &[&str] = &["allowed_passthrough_routes", "denied_passthrough_routes"];

/// `record` with the fields of `body`, but for `own`, which the call reads itself.
pub fn apply(record: &KeyRecord, body: &Body, own: &[&str], now: Time) -> Result<KeyRecord, BadField> {
    let metadata = body.get("metadata").and_then(Value::as_object);
    refuse_unenforced(&[NOT_ENFORCED, NOT_SHOWN].concat(), [Some(body), metadata], says_nothing)?;
    let mut changed = KeyRecord { updated_at: now, ..record.clone() };
    // First what stands in `metadata`: the same field beside it wins.
    for (name, value) in metadata.into_iter().flatten() {
        if let Some(name) = known(IN_METADATA, name) {
            set(&mut changed, name, value, now)?;
        }
    }
    for (name, value) in body.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        if let Some(name) = known(KEPT, name) {
            set(&mut changed, name, value, now)?;
        } else if !is_empty(value) && !says_nothing(name, value) {
            return Err(BadField::Unknown(nearest(name, KEPT)));
        }
    }
    Ok(changed)
}

/// The field of `body` that only the master key may set.
pub fn masters(body: &Body) -> Option<&'static str> {
    let metadata = body.get("metadata").and_then(Value::as_object);
    let set = |name: &str| [Some(body), metadata].into_iter().flatten().any(|map| map.contains_key(name));
    MASTERS.iter().find(|name| set(name)).copied()
}

/// Values that clients of LiteLLM send for what is so anyway.
fn says_nothing(name: &str, value: &Value) -> bool {
    match name {
        // Nothing has been spent.
        "spend" => value.as_f64() == Some(0.0),
        // The limit is the key's own, whatever is left of its team's.
        "rpm_limit_type" => value == "best_effort_throughput",
        _ => false,
    }
}

fn set(record: &mut KeyRecord, name: &'static str, value: &Value, now: Time) -> Result<(), BadField> {
    match name {
        // LiteLLM leaves these alone too.
        "models"
        | "allowed_routes"
        | "allowed_passthrough_routes"
        | "denied_passthrough_routes"
        | "tags"
        | "model_rpm_limit"
        | "metadata"
        | "blocked"
            if value.is_null() => {}
        "models" => record.models = words(name, value)?,
        "rpm_limit" => record.quota.requests = number(name, value)?,
        "max_parallel_requests" => record.quota.parallel = number(name, value)?,
        "model_rpm_limit" => record.quota.model_requests = numbers(name, value)?.into_iter().collect(),
        "duration" if value == "" => {}
        "duration" => record.expires = end(name, value, now)?,
        "allowed_routes" => record.allowed_routes = words(name, value)?,
        "key_type" => {
            let wanted = BadField::Value(name, "default, llm_api, management or read_only");
            if let Some(word) = word(name, value)? {
                record.key_type = KeyType::named(&word).ok_or(wanted)?;
            }
        }
        "allowed_passthrough_routes" => record.allowed_passthrough = words(name, value)?,
        "denied_passthrough_routes" => record.denied_passthrough = words(name, value)?,
        "blocked" => record.blocked = flag(name, value)?,
        "key_alias" => record.alias = label(name, value)?,
        "metadata" => {
            record.metadata = mapping(name, value)?;
            record.metadata.retain(|name, _| known(IN_METADATA, name).is_none());
        }
        "tags" => record.tags = words(name, value)?,
        "user_id" => record.user_id = label(name, value)?,
        "team_id" => record.team_id = label(name, value)?,
        // `KEPT` has no other; a test says so.
        _ => return Err(BadField::Unknown(None)),
    }
    Ok(())
}

/// When a key of this duration ends; LiteLLM takes `-1` for never.
fn end(name: &'static str, value: &Value, now: Time) -> Result<Option<Time>, BadField> {
    let wanted = BadField::Value(name, "a number and s, m, h, d, w or mo, as 30d");
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text == "-1" => Ok(None),
        Value::String(text) => span(text).and_then(|span| now.checked_add(span)).map(Some).ok_or(wanted),
        _ => Err(wanted),
    }
}

/// How a key stands at `now`, in LiteLLM's words.
pub fn status(record: &KeyRecord, now: Time) -> &'static str {
    match record.expires {
        _ if record.blocked => "revoked",
        Some(end) if end <= now => "expired",
        _ => "active",
    }
}

/// A key in an answer, as it is at `now`.
pub fn show(record: &KeyRecord, now: Time) -> Body {
    let id = record.id.hex();
    let shown = json!({
        "token": id, "token_id": id, "key_name": record.name, "key_alias": record.alias, "models": record.models,
        "key_type": record.key_type.name(), "allowed_routes": record.allowed_routes,
        "allowed_passthrough_routes": record.allowed_passthrough,
        "denied_passthrough_routes": record.denied_passthrough, "rpm_limit": record.quota.requests,
        "max_parallel_requests": record.quota.parallel, "model_rpm_limit": record.quota.model_requests,
        "expires": record.expires.map(rfc3339), "blocked": record.blocked, "status": status(record, now),
        "team_id": record.team_id, "user_id": record.user_id, "metadata": record.metadata, "tags": record.tags,
        "created_at": rfc3339(record.created_at), "updated_at": rfc3339(record.updated_at),
        "created_by": record.created_by,
    });
    let empty = json!({
        "access_group_ids": [], "aliases": {}, "auto_rotate": false, "budget_limits": [], "budget_reset_at": null,
        "config": {}, "enforced_params": [], "guardrails": [], "last_active": null, "litellm_budget_table": null,
        "model_max_budget": {}, "model_spend": {}, "permissions": {}, "spend": 0.0, "updated_by": null,
    });
    let mut out: Body = NOT_ENFORCED.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    for part in [empty, shown] {
        if let Value::Object(part) = part {
            out.extend(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::value::read;
    use super::*;
    use crate::auth::{Digest, Salt};

    fn record() -> KeyRecord {
        KeyRecord::new(Salt::new(*b"salt").id(&Digest::of(b"key")), "sk-...".into(), 1)
    }

    fn changed(body: &str) -> Result<KeyRecord, BadField> {
        apply(&record(), &read(body.as_bytes())?, &["key"], 1000)
    }

    #[test]
    fn what_is_kept_arrives_in_the_record() {
        let body = r#"{"key": "sk-x", "models": ["a"], "rpm_limit": 0, "max_parallel_requests": 2, "tags": ["t"],
            "model_rpm_limit": {"a": 3}, "duration": "30s", "allowed_routes": ["/a"], "key_type": "management",
            "allowed_passthrough_routes": ["/p"], "denied_passthrough_routes": ["/d"], "blocked": true, "spend": 0.0,
            "key_alias": "n", "metadata": {"x": 1}, "user_id": "u", "team_id": "w", "max_budget": null, "aliases": {}}"#;
        let record = changed(body).expect("valid");
        assert_eq!((record.quota.requests, record.quota.parallel, record.expires), (Some(0), Some(2), Some(31_000)));
        assert_eq!(record.quota.model_requests.get("a"), Some(&3));
        assert_eq!((record.key_type, record.blocked, record.updated_at), (KeyType::Management, true, 1000));
        assert_eq!((record.alias.as_deref(), record.team_id.as_deref()), (Some("n"), Some("w")));
        assert_eq!((&record.denied_passthrough, record.metadata.len()), (&vec!["/d".to_owned()], 1));
        assert_eq!(changed("").expect("no body").quota.requests, None);
        let nulls = r#"{"rpm_limit": null, "duration": "-1", "models": null, "key_alias": null, "blocked": null,
            "key_type": null, "metadata": null, "max_parallel_requests": null}"#;
        let after = apply(&record, &read(nulls.as_bytes()).expect("JSON"), &[], 2000).expect("valid");
        assert_eq!((after.quota.requests, after.quota.parallel, after.expires), (None, None, None));
        assert_eq!((after.models.len(), after.alias), (1, None));
        assert_eq!((after.blocked, after.key_type, after.metadata.len()), (true, KeyType::Management, 1));
    }

    #[test]
    fn what_metadata_enforces_is_enforced() {
        let body = r#"{"metadata": {"allowed_passthrough_routes": ["/p"], "tags": ["t"], "model_rpm_limit": {"a": 1},
            "mine": true}, "tags": ["beside"]}"#;
        let record = changed(body).expect("valid");
        assert_eq!((record.allowed_passthrough, record.tags), (vec!["/p".to_owned()], vec!["beside".to_owned()]));
        assert_eq!((record.quota.model_requests.get("a"), record.metadata.len()), (Some(&1), 1));
        let refused = changed(r#"{"metadata": {"model_tpm_limit": {"a": 1}}}"#);
        assert_eq!(refused, Err(BadField::NotEnforced(vec!["model_tpm_limit"])));
        for (body, expected) in [
            (r#"{"metadata": {"denied_passthrough_routes": []}}"#, Some("denied_passthrough_routes")),
            (r#"{"allowed_passthrough_routes": []}"#, Some("allowed_passthrough_routes")),
            (r#"{"models": []}"#, None),
        ] {
            assert_eq!(masters(&read(body.as_bytes()).expect("JSON")), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_kept_is_refused_by_name() {
        for (body, expected) in [
            (r#"{"tpm_limit": 0}"#, BadField::NotEnforced(vec!["tpm_limit"])),
            (r#"{"max_budget": 1.5}"#, BadField::NotEnforced(vec!["max_budget"])),
            (
                r#"{"tpm_limit": 1, "metadata": {"guardrails": ["x"]}, "budget_id": "b"}"#,
                BadField::NotEnforced(vec!["budget_id", "guardrails", "tpm_limit"]),
            ),
            (r#"{"spend": 1.5}"#, BadField::NotEnforced(vec!["spend"])),
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

    #[test]
    fn every_field_is_shown() {
        let shown = show(&record(), 10);
        for name in KEPT.iter().chain(NOT_ENFORCED).filter(|name| **name != "duration") {
            assert!(shown.contains_key(*name), "{name}");
        }
    }

    #[test]
    fn a_key_says_how_it_stands() {
        for (blocked, expires, expected) in [
            (false, None, "active"),
            (false, Some(11), "active"),
            (false, Some(10), "expired"),
            (true, None, "revoked"),
            (true, Some(1), "revoked"),
        ] {
            let shown = show(&KeyRecord { blocked, expires, ..record() }, 10);
            assert_eq!(shown["status"], expected);
            assert_eq!(shown["created_at"], "1970-01-01T00:00:00.001Z");
            assert!(shown["tpm_limit"].is_null() && shown["token"] == record().id.hex());
        }
    }
}
