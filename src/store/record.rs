//! Keys and teams at rest: a JSON object each, under LiteLLM's names.
//!
//! The law: what is written is read back the same; a field that this version does not know is no error, since a newer one may
//! share the store. The id is not in it: it is the row's key.

use serde_json::{Map, Value, json};

use crate::auth::{KeyId, KeyRecord, KeyType, Quota, TeamRecord};

/// A key's record as text.
pub(super) fn key_text(record: &KeyRecord) -> String {
    json!({
        "key_name": record.name, "key_alias": record.alias, "key_type": record.key_type.name(), "models": record.models,
        "allowed_routes": record.allowed_routes, "allowed_passthrough_routes": record.allowed_passthrough,
        "denied_passthrough_routes": record.denied_passthrough, "quota": quota_value(&record.quota),
        "expires": record.expires, "blocked": record.blocked, "team_id": record.team_id, "user_id": record.user_id,
        "metadata": record.metadata, "tags": record.tags, "line": record.line.map(|id| id.hex()),
        "created_by": record.created_by, "created_at": record.created_at, "updated_at": record.updated_at,
    })
    .to_string()
}

/// The key that `text` is; none: it is damaged.
pub(super) fn key(id: &str, text: &str) -> Option<KeyRecord> {
    let map = object(text)?;
    Some(KeyRecord {
        alias: word(&map, "key_alias"),
        key_type: KeyType::named(map.get("key_type")?.as_str()?)?,
        models: words(&map, "models"),
        allowed_routes: words(&map, "allowed_routes"),
        allowed_passthrough: words(&map, "allowed_passthrough_routes"),
        denied_passthrough: words(&map, "denied_passthrough_routes"),
        quota: quota(map.get("quota")?),
        expires: map.get("expires").and_then(Value::as_u64),
        blocked: map.get("blocked")?.as_bool()?,
        team_id: word(&map, "team_id"),
        user_id: word(&map, "user_id"),
        metadata: map.get("metadata")?.as_object()?.clone(),
        tags: words(&map, "tags"),
        line: word(&map, "line").and_then(|id| KeyId::parse(&id)),
        created_by: word(&map, "created_by"),
        updated_at: map.get("updated_at")?.as_u64()?,
        ..KeyRecord::new(KeyId::parse(id)?, word(&map, "key_name")?, map.get("created_at")?.as_u64()?)
    })
}

/// A team's record as text.
pub(super) fn team_text(record: &TeamRecord) -> String {
    json!({
        "team_alias": record.alias, "models": record.models, "allowed_passthrough_routes": record.allowed_passthrough,
        "denied_passthrough_routes": record.denied_passthrough, "quota": quota_value(&record.quota), "blocked": record.blocked,
        "metadata": record.metadata, "created_at": record.created_at, "updated_at": record.updated_at,
    })
    .to_string()
}

/// The team that `text` is; none: it is damaged.
pub(super) fn team(id: &str, text: &str) -> Option<TeamRecord> {
    let map = object(text)?;
    Some(TeamRecord {
        id: id.to_owned(),
        alias: word(&map, "team_alias"),
        models: words(&map, "models"),
        allowed_passthrough: words(&map, "allowed_passthrough_routes"),
        denied_passthrough: words(&map, "denied_passthrough_routes"),
        quota: quota(map.get("quota")?),
        blocked: map.get("blocked")?.as_bool()?,
        metadata: map.get("metadata")?.as_object()?.clone(),
        created_at: map.get("created_at")?.as_u64()?,
        updated_at: map.get("updated_at")?.as_u64()?,
    })
}

fn quota_value(quota: &Quota) -> Value {
    json!({"rpm_limit": quota.requests, "max_parallel_requests": quota.parallel, "model_rpm_limit": quota.model_requests})
}

fn quota(value: &Value) -> Quota {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let models = value.get("model_rpm_limit").and_then(Value::as_object);
    Quota {
        requests: number(value.get("rpm_limit")),
        parallel: number(value.get("max_parallel_requests")),
        model_requests: models
            .into_iter()
            .flatten()
            .filter_map(|(model, most)| Some((model.clone(), number(Some(most))?)))
            .collect(),
    }
}

fn object(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text).ok()
}

fn word(map: &Map<String, Value>, name: &str) -> Option<String> {
    map.get(name)?.as_str().map(str::to_owned)
}

fn words(map: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = map.get(name).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}
