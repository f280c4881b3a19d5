//! A team as LiteLLM's clients write it in a request and read it in an answer.
//!
//! The law: as for a key. Members are not kept, since there are no users: who names one is told so.

use serde_json::{Value, json};

use super::fault::BadField;
use super::value::{Body, flag, is_empty, known, label, mapping, nearest, number, numbers, refuse_unenforced, words};
use crate::auth::{TeamRecord, Time};
use crate::clock::rfc3339;

/// Fields that are enforced or kept.
const KEPT: &[&str] = &[
    "team_alias",
    "models",
    "rpm_limit",
    "max_parallel_requests",
    "model_rpm_limit",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "blocked",
    "metadata",
];

/// Fields of LiteLLM's that are not enforced.
const NOT_ENFORCED: &[&str] = &[
    "access_group_ids",
    "admins",
    "allowed_vector_store_indexes",
    "allow_team_guardrail_config",
    "budget_duration",
    "budget_limits",
    "default_team_member_models",
    "disable_global_guardrails",
    "guardrails",
    "logging",
    "max_budget",
    "members",
    "members_with_roles",
    "model_aliases",
    "model_max_budget",
    "model_tpm_limit",
    "model_itpm_limit",
    "model_otpm_limit",
    "object_permission",
    "organization_id",
    "policies",
    "prompts",
    "require_trace_id",
    "router_settings",
    "rpm_limit_type",
    "secret_manager_settings",
    "soft_budget",
    "soft_budget_alerting_emails",
    "tags",
    "team_member_budget",
    "team_member_budget_duration",
    "team_member_key_duration",
    "team_member_model_max_budget",
    "team_member_permissions",
    "team_member_rpm_limit",
    "team_member_tpm_limit",
    "tpd_limit",
    "tpm_limit",
    "tpm_limit_type",
];

/// Fields that LiteLLM reads in `metadata` as if they stood beside it.
const IN_METADATA: &[&str] = &["allowed_passthrough_routes", "denied_passthrough_routes", "model_rpm_limit"];

/// `record` with the fields of `body`, but for `own`, which the call reads itself.
pub fn apply(record: &TeamRecord, body: &Body, own: &[&str], now: Time) -> Result<TeamRecord, BadField> {
    let metadata = body.get("metadata").and_then(Value::as_object);
    refuse_unenforced(NOT_ENFORCED, [Some(body), metadata], |_, _| false)?;
    let mut changed = TeamRecord { updated_at: now, ..record.clone() };
    for (name, value) in metadata.into_iter().flatten() {
        if let Some(name) = known(IN_METADATA, name) {
            set(&mut changed, name, value)?;
        }
    }
    for (name, value) in body.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        if let Some(name) = known(KEPT, name) {
            set(&mut changed, name, value)?;
        } else if !is_empty(value) {
            return Err(BadField::Unknown(nearest(name, KEPT)));
        }
    }
    Ok(changed)
}

fn set(record: &mut TeamRecord, name: &'static str, value: &Value) -> Result<(), BadField> {
    match name {
        "team_alias" => record.alias = label(name, value)?,
        "models"
        | "model_rpm_limit"
        | "allowed_passthrough_routes"
        | "denied_passthrough_routes"
        | "blocked"
        | "metadata"
            if value.is_null() => {}
        "models" => record.models = words(name, value)?,
        "rpm_limit" => record.quota.requests = number(name, value)?,
        "max_parallel_requests" => record.quota.parallel = number(name, value)?,
        "model_rpm_limit" => record.quota.model_requests = numbers(name, value)?.into_iter().collect(),
        "allowed_passthrough_routes" => record.allowed_passthrough = words(name, value)?,
        "denied_passthrough_routes" => record.denied_passthrough = words(name, value)?,
        "blocked" => record.blocked = flag(name, value)?,
        "metadata" => {
            record.metadata = mapping(name, value)?;
            record.metadata.retain(|name, _| known(IN_METADATA, name).is_none());
        }
        // `KEPT` has no other; a test says so.
        _ => return Err(BadField::Unknown(None)),
    }
    Ok(())
}

/// A team in an answer.
pub fn show(record: &TeamRecord) -> Body {
    let shown = json!({
        "team_id": record.id, "team_alias": record.alias, "models": record.models, "rpm_limit": record.quota.requests,
        "max_parallel_requests": record.quota.parallel, "model_rpm_limit": record.quota.model_requests,
        "allowed_passthrough_routes": record.allowed_passthrough,
        "denied_passthrough_routes": record.denied_passthrough, "blocked": record.blocked,
        "metadata": record.metadata, "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at), "admins": [], "budget_duration": null, "budget_reset_at": null,
        "max_budget": null, "members": [], "members_with_roles": [], "model_id": null, "organization_id": null,
        "spend": 0.0, "team_member_permissions": [], "tpm_limit": null,
    });
    match shown {
        Value::Object(shown) => shown,
        _ => Body::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::read;
    use super::*;

    fn changed(body: &str) -> Result<TeamRecord, BadField> {
        apply(&TeamRecord::new("t".into(), 1), &read(body.as_bytes())?, &["team_id"], 1000)
    }

    #[test]
    fn what_is_kept_arrives_and_the_rest_is_refused() {
        let body = r#"{"team_id": "t", "team_alias": "n", "models": ["a"], "rpm_limit": 1, "max_parallel_requests": 2,
            "model_rpm_limit": {"a": 3}, "blocked": true, "members_with_roles": [], "tpm_limit": null,
            "metadata": {"x": 1, "allowed_passthrough_routes": ["/p"]}}"#;
        let record = changed(body).expect("valid");
        assert_eq!((record.alias.as_deref(), record.quota.requests, record.blocked), (Some("n"), Some(1), true));
        assert_eq!((&record.allowed_passthrough, record.metadata.len()), (&vec!["/p".to_owned()], 1));
        assert_eq!(show(&record)["rpm_limit"], 1);
        for (body, expected) in [
            (r#"{"max_budget": 1}"#, BadField::NotEnforced(vec!["max_budget"])),
            (
                r#"{"members_with_roles": [{"role": "admin", "user_id": "u"}]}"#,
                BadField::NotEnforced(vec!["members_with_roles"]),
            ),
            (r#"{"team_alais": "x"}"#, BadField::Unknown(Some("team_alias"))),
        ] {
            assert_eq!(changed(body), Err(expected), "{body}");
        }
        for name in KEPT {
            assert!(matches!(changed(&format!(r#"{{"{name}": 1.5}}"#)), Err(BadField::Value(..))), "{name}");
        }
    }
}
