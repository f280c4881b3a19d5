//! Records as LiteLLM's clients read them.
//!
//! The law: every field of LiteLLM's is there; one that Tollgate does not have is empty as LiteLLM leaves it. A key is named by
//! its id: neither itself nor its SHA-256 is known here.

use serde_json::{Value, json};

use crate::auth::{KeyRecord, TeamRecord, Time};
use crate::clock::rfc3339;

/// A key, as it is at `now`.
pub fn key(record: &KeyRecord, now: Time) -> Value {
    let status = match record.expires {
        _ if record.blocked => "revoked",
        Some(end) if end <= now => "expired",
        _ => "active",
    };
    let id = record.id.hex();
    let mut shown = json!({
        "token": id, "token_id": id, "key_name": record.name, "key_alias": record.alias, "models": record.models,
        "key_type": record.key_type.name(), "allowed_routes": record.allowed_routes,
        "allowed_passthrough_routes": record.allowed_passthrough,
        "denied_passthrough_routes": record.denied_passthrough, "rpm_limit": record.quota.requests,
        "max_parallel_requests": record.quota.parallel, "model_rpm_limit": record.quota.model_requests,
        "expires": record.expires.map(rfc3339), "blocked": record.blocked, "status": status, "team_id": record.team_id,
        "user_id": record.user_id, "metadata": record.metadata, "tags": record.tags, "spend": 0.0,
        "created_at": rfc3339(record.created_at), "updated_at": rfc3339(record.updated_at), "created_by": null,
    });
    let empty = json!({
        "access_group_ids": [], "agent_id": null, "aliases": {}, "auto_rotate": false, "budget_duration": null,
        "budget_id": null, "budget_limits": [], "config": {}, "default_estimated_output_tokens": null,
        "enforced_params": [], "guardrails": [], "max_budget": null, "model_max_budget": {}, "model_tpm_limit": null,
        "object_permission": null, "organization_id": null, "permissions": {}, "project_id": null,
        "rotation_interval": null, "router_settings": null, "rpm_limit_type": null, "soft_budget": null,
        "tag_rpm_limit": null, "throttle_on_budget_exceeded": null, "tpd_limit": null, "tpm_limit": null,
        "tpm_limit_type": null,
    });
    if let (Value::Object(shown), Value::Object(empty)) = (&mut shown, empty) {
        shown.extend(empty);
    }
    shown
}

/// A team.
pub fn team(record: &TeamRecord) -> Value {
    json!({
        "team_id": record.id, "team_alias": record.alias, "models": record.models, "rpm_limit": record.quota.requests,
        "max_parallel_requests": record.quota.parallel, "model_rpm_limit": record.quota.model_requests,
        "blocked": record.blocked, "metadata": record.metadata, "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at), "tpm_limit": null, "max_budget": null, "budget_duration": null,
        "organization_id": null, "members_with_roles": [], "spend": 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Digest, Salt};

    #[test]
    fn a_key_says_how_it_stands() {
        let record = KeyRecord::new(Salt::new(*b"salt").id(&Digest::of(b"key")), "sk-...".into(), 0);
        for (blocked, expires, expected) in [
            (false, None, "active"),
            (false, Some(11), "active"),
            (false, Some(10), "expired"),
            (true, None, "revoked"),
            (true, Some(1), "revoked"),
        ] {
            let shown = key(&KeyRecord { blocked, expires, ..record.clone() }, 10);
            assert_eq!(shown["status"], expected);
            assert_eq!(shown["created_at"], "1970-01-01T00:00:00.000Z");
            assert!(shown["tpm_limit"].is_null() && shown["token"] == record.id.hex());
        }
    }
}
