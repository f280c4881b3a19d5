//! Keys in pages (`/key/list`).
//!
//! The law: who asks sees what is within its scope and nothing else, not even in the counts; the order is total, so that no key
//! is on two pages or on none while nothing changes.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::{Book, Key, KeyRecord, Time};
use crate::management::{Asked, BadField, Fault, Query, key};

/// LiteLLM's parameters. What is shown besides, of whom, has no meaning where there are no users.
const PARAMETERS: &[&str] = &[
    "page",
    "size",
    "user_id",
    "team_id",
    "organization_id",
    "project_id",
    "access_group_id",
    "key_hash",
    "key_alias",
    "search",
    "status",
    "return_full_object",
    "include_team_keys",
    "include_created_by_keys",
    "agent_id",
    "expires",
    "substring_matching",
    "sort_by",
    "sort_order",
    "expand",
];

/// What keys are put in order by.
const ORDERS: &[&str] = &[
    "created_at",
    "updated_at",
    "expires",
    "key_alias",
    "key_name",
    "team_id",
    "token",
    "user_id",
    "spend",
    "max_budget",
];

/// The page that `query` asks for.
pub(super) fn keys(book: &Book, asked: &Asked, now: Time) -> Result<Value, Fault> {
    let query = Query::read(asked.query.as_deref(), PARAMETERS)?;
    let page = query.number("page", 1..=1_000_000_000)?.unwrap_or(1);
    let size = query.number("size", 1..=100)?.unwrap_or(10);
    let whole = query.flag("return_full_object")? || query.text("expand").is_some();
    let wanted = "created_at, updated_at, expires, key_alias, key_name, team_id, token, user_id, spend or max_budget";
    let by = query.word("sort_by", ORDERS, wanted)?.unwrap_or("created_at");
    let falling = query.word("sort_order", &["asc", "desc"], "asc or desc")?.unwrap_or("desc") == "desc";
    let filter = Filter::read(&query, book, now)?;
    let mut found: Vec<Arc<Key>> =
        book.keys().into_iter().filter(|key| asked.asker.sees(&key.record) && filter.takes(&key.record)).collect();
    found.sort_by(|one, other| {
        let order = order(by, &one.record, &other.record);
        (if falling { order.reverse() } else { order }).then_with(|| one.record.id.cmp(&other.record.id))
    });
    let total = found.len();
    let shown = found.iter().skip((page - 1) * size).take(size).map(|key| match whole {
        true => Value::Object(key::show(&key.record, now)),
        false => key.record.id.hex().into(),
    });
    Ok(json!({
        "keys": shown.collect::<Vec<Value>>(), "total_count": total, "current_page": page,
        "total_pages": total.div_ceil(size),
    }))
}

/// Which keys are asked for.
struct Filter<'q> {
    query: &'q Query,
    id: Option<String>,
    status: Option<&'q str>,
    /// Whether keys that have ended are asked for, or those that have not.
    ended: Option<bool>,
    /// Whether a part of an alias or user will do.
    parts: bool,
    now: Time,
}

impl<'q> Filter<'q> {
    fn read(query: &'q Query, book: &Book, now: Time) -> Result<Self, BadField> {
        let states = ["active", "expired", "revoked", "deleted"];
        let status = query.word("status", &states, "active, expired, revoked or deleted")?;
        // Any name of a key will do; one that is unknown finds nothing.
        let id = query.text("key_hash").map(|name| book.named(name).map_or(String::new(), |key| key.record.id.hex()));
        let ended = query.word("expires", &["active", "expired"], "active or expired")?.map(|word| word == "expired");
        Ok(Self { query, id, status, ended, parts: query.flag("substring_matching")?, now })
    }

    fn takes(&self, record: &KeyRecord) -> bool {
        let is = |name: &str, value: Option<&str>| self.query.text(name).is_none_or(|wanted| value == Some(wanted));
        let holds = |value: Option<&str>, part: &str| {
            value.is_some_and(|value| value.to_lowercase().contains(&part.to_lowercase()))
        };
        let is_like = |name: &str, value: Option<&str>| match self.query.text(name) {
            Some(part) if self.parts => holds(value, part),
            _ => is(name, value),
        };
        let id = record.id.hex();
        is_like("user_id", record.user_id.as_deref())
            && is_like("key_alias", record.alias.as_deref())
            && is("team_id", record.team_id.as_deref())
            && ["organization_id", "project_id", "access_group_id", "agent_id"].iter().all(|name| is(name, None))
            && self.id.as_ref().is_none_or(|wanted| *wanted == id)
            && self.query.text("search").is_none_or(|text| text == id || holds(record.alias.as_deref(), text))
            && self.status.is_none_or(|status| status == key::status(record, self.now))
            && self.ended.is_none_or(|ended| ended == record.expires.is_some_and(|end| end <= self.now))
    }
}

fn order(by: &str, one: &KeyRecord, other: &KeyRecord) -> Ordering {
    match by {
        "updated_at" => one.updated_at.cmp(&other.updated_at),
        "expires" => one.expires.cmp(&other.expires),
        "key_alias" => one.alias.cmp(&other.alias),
        "key_name" => one.name.cmp(&other.name),
        "team_id" => one.team_id.cmp(&other.team_id),
        "token" => one.id.cmp(&other.id),
        "user_id" => one.user_id.cmp(&other.user_id),
        "spend" | "max_budget" => Ordering::Equal,
        _ => one.created_at.cmp(&other.created_at),
    }
}
