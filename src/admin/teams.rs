//! What calls about teams plan and answer.
//!
//! The law: a team that goes takes its keys with it, as in LiteLLM: a key without its team would have lost its limits.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Planned, Request};
use crate::auth::{Book, Key, TeamRecord, Time};
use crate::management::{Asked, BadField, Fault, Query, key, label, team, word, words};
use crate::store::Change;

pub(super) fn new(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, now, .. } = request;
    asker.may_set(body)?;
    let id = body.get("team_id").map_or(Ok(None), |value| label("team_id", value))?;
    let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    if book.team(&id).is_some() {
        return Err(Fault::TeamTaken);
    }
    asker.may_change_team_of(of(book, &id).iter().map(|key| &**key))?;
    let record = team::apply(&TeamRecord::new(id, *now), body, &["team_id"], *now)?;
    let answer = team::show(&record);
    Ok((vec![put(record)], answer.into()))
}

pub(super) fn update(book: &Book, request: &Request) -> Planned {
    request.asker.may_set(&request.body)?;
    let before = named(book, request)?;
    let record = team::apply(&before, &request.body, &["team_id"], request.now)?;
    let answer = json!({ "team_id": record.id, "data": team::show(&record) });
    Ok((vec![put(record)], answer))
}

pub(super) fn delete(book: &Book, request: &Request) -> Planned {
    let Request { asker, body, .. } = request;
    if body.keys().any(|name| name != "team_ids") {
        return Err(BadField::Unknown(Some("team_ids")).into());
    }
    let ids = body.get("team_ids").map_or(Ok(Vec::new()), |value| words("team_ids", value))?;
    if ids.is_empty() {
        return Err(BadField::Missing("team_ids").into());
    }
    let mut changes = Vec::new();
    for id in &ids {
        let known = book.team(id).filter(|team| asker.sees_team(&team.record.id));
        asker.may_remove(&known.ok_or(Fault::NoTeam)?.record)?;
        let keys = of(book, id);
        asker.may_change_team_of(keys.iter().map(|key| &**key))?;
        changes.push(Change::NoTeam(id.clone()));
        changes.extend(keys.iter().filter(|key| !key.fixed).map(|key| Change::NoKey(key.record.id)));
    }
    Ok((changes, json!({ "deleted_teams": ids })))
}

pub(super) fn block(book: &Book, request: &Request) -> Planned {
    set_blocked(book, request, true)
}

pub(super) fn unblock(book: &Book, request: &Request) -> Planned {
    set_blocked(book, request, false)
}

fn set_blocked(book: &Book, request: &Request, blocked: bool) -> Planned {
    let before = named(book, request)?;
    let record = TeamRecord { blocked, updated_at: request.now, ..before };
    let answer = team::show(&record);
    Ok((vec![put(record)], answer.into()))
}

/// A team with its keys.
pub(super) fn info(book: &Book, asked: &Asked, now: Time) -> Result<Value, Fault> {
    let query = Query::read(asked.query.as_deref(), &["team_id", "key_limit"])?;
    let most = query.number("key_limit", 0..=usize::MAX)?.unwrap_or(usize::MAX);
    let id = query.text("team_id").ok_or(BadField::Missing("team_id"))?;
    let found = book.team(id).filter(|_| asked.asker.sees_team(id)).ok_or(Fault::NoTeam)?;
    let mut keys = of(book, id);
    keys.sort_by_key(|key| (key.record.created_at, key.record.id));
    let keys: Vec<Value> = keys.iter().take(most).map(|found| key::show(&found.record, now).into()).collect();
    Ok(json!({
        "team_id": id, "team_info": team::show(&found.record), "keys": keys, "team_memberships": [],
    }))
}

/// Every team that may be seen.
pub(super) fn list(book: &Book, asked: &Asked, _: Time) -> Result<Value, Fault> {
    let query = Query::read(asked.query.as_deref(), &["user_id", "organization_id", "team_id", "team_alias"])?;
    let is = |name: &str, value: Option<&str>| query.text(name).is_none_or(|wanted| value == Some(wanted));
    // Nobody is a member of a team, and no team is of an organization.
    let asked_for = |team: &TeamRecord| {
        is("user_id", None)
            && is("organization_id", None)
            && is("team_id", Some(&team.id))
            && is("team_alias", team.alias.as_deref())
    };
    let mut teams: Vec<_> = book
        .teams()
        .into_iter()
        .filter(|team| asked.asker.sees_team(&team.record.id) && asked_for(&team.record))
        .collect();
    teams.sort_by(|one, other| (&one.record.alias, &one.record.id).cmp(&(&other.record.alias, &other.record.id)));
    Ok(teams.iter().map(|found| Value::Object(team::show(&found.record))).collect())
}

/// The team that a request would change.
fn named(book: &Book, request: &Request) -> Result<TeamRecord, Fault> {
    let id = request.body.get("team_id").map_or(Ok(None), |value| word("team_id", value))?;
    let id = id.ok_or(BadField::Missing("team_id"))?;
    let found = book.team(&id).filter(|_| request.asker.sees_team(&id)).ok_or(Fault::NoTeam)?;
    request.asker.may_change_team_of(of(book, &id).iter().map(|key| &**key))?;
    Ok(found.record.clone())
}

/// The keys of a team, or that wait for it.
fn of(book: &Book, id: &str) -> Vec<Arc<Key>> {
    book.keys().into_iter().filter(|key| key.record.team_id.as_deref() == Some(id)).collect()
}

fn put(record: TeamRecord) -> Change {
    Change::Team(Box::new(record))
}
