//! What a caller may do, and how much: the second half of an admission.
//!
//! The law: what a key is denied is denied whatever else is granted; what cannot be known is not guessed, a key that is limited to
//! models on a route whose model nobody can tell before forwarding is refused, unless the route is granted to it by name. All
//! limits of a request are taken together or none.

use smallvec::SmallVec;

use crate::auth::{Key, Team};
use crate::limit::{Claim, Counters, Held, Holder, Local};
use crate::rejection::{Denied, Rejection};
use crate::snapshot::{Route, Snapshot};

/// What is asked for: the route, and the model where it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) route: &'a Route,
    pub(super) path: &'a str,
    pub(super) model: Option<&'a str>,
}

/// Limits that one request rarely has more of.
type Claims = SmallVec<[Claim; 4]>;

/// Takes what the holder of `key` needs for the request, or says why it may not pass.
pub(super) fn take_for(snapshot: &Snapshot, key: &Key, asked: Asked<'_>, now: u64) -> Result<Held, Rejection> {
    let team = team(snapshot, key)?;
    permit(snapshot, key, team.as_deref(), asked)?;
    let mut claims = Claims::new();
    claim(key, team.as_deref(), asked.model, &mut claims);
    all(snapshot, asked.route, claims, now)
}

/// Takes what any request on `route` needs.
pub(super) fn take(snapshot: &Snapshot, route: &Route, now: u64) -> Result<Held, Rejection> {
    all(snapshot, route, Claims::new(), now)
}

fn all(snapshot: &Snapshot, route: &Route, mut claims: Claims, now: u64) -> Result<Held, Rejection> {
    claims.extend([&route.quota, &snapshot.quota].into_iter().flatten().cloned());
    if claims.is_empty() {
        return Ok(Held::default());
    }
    Local.take(&claims, now).map_err(Rejection::Limited)
}

/// The key's team. One that is gone cannot lend its limits.
fn team(snapshot: &Snapshot, key: &Key) -> Result<Option<std::sync::Arc<Team>>, Rejection> {
    let Some(id) = &key.record.team_id else { return Ok(None) };
    let team = snapshot.keyring.book().and_then(|book| book.team(id));
    match team {
        Some(team) if team.record.blocked => Err(Rejection::Denied(Denied::TeamBlocked)),
        Some(team) => Ok(Some(team)),
        None => Err(Rejection::Denied(Denied::TeamGone)),
    }
}

fn permit(snapshot: &Snapshot, key: &Key, team: Option<&Team>, asked: Asked<'_>) -> Result<(), Rejection> {
    let record = &key.record;
    let denied = |why| Err(Rejection::Denied(why));
    if !record.key_type.uses_routes() {
        return denied(Denied::KeyType);
    }
    let names_route = |list: &[String]| list.iter().any(|entry| covers(entry, &asked.route.path, asked.path));
    let granted = names_route(&record.allowed_passthrough);
    if names_route(&record.denied_passthrough) {
        return denied(Denied::Route);
    }
    let must_be_granted = snapshot.grants_required || !record.allowed_passthrough.is_empty();
    if must_be_granted && !granted {
        return denied(Denied::Route);
    }
    if !record.allowed_routes.is_empty() && !allows_route(&record.allowed_routes, asked) {
        return denied(Denied::Route);
    }
    let limited_to_models = !record.models.is_empty()
        || !record.quota.model_requests.is_empty()
        || team.is_some_and(|team| !team.record.models.is_empty());
    match asked.model {
        _ if !limited_to_models => Ok(()),
        None if granted => Ok(()),
        None => denied(Denied::ModelUnknown),
        Some(model) => {
            let allowed = |models: &[String]| models.is_empty() || models.iter().any(|known| is_like(known, model));
            let both = allowed(&record.models) && team.is_none_or(|team| allowed(&team.record.models));
            if both { Ok(()) } else { denied(Denied::Model) }
        }
    }
}

/// LiteLLM's words for groups of routes; every route of the file is one for calling an API.
fn allows_route(allowed: &[String], asked: Asked<'_>) -> bool {
    allowed.iter().any(|entry| {
        matches!(entry.as_str(), "llm_api_routes" | "pass_through_routes")
            || covers(entry, &asked.route.path, asked.path)
    })
}

/// Whether an entry of a list names the route, or a path that the request is at or below: `/a`, `/a/*`.
fn covers(entry: &str, route: &str, path: &str) -> bool {
    if let Some(prefix) = entry.strip_suffix('*') {
        return path.starts_with(prefix) || path == prefix.trim_end_matches('/');
    }
    let entry = entry.trim_end_matches('/');
    entry == route.trim_end_matches('/')
        || path.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `model` is the known one, or of its family: `gpt-*`.
fn is_like(known: &str, model: &str) -> bool {
    match known.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => known == model || known == "all-proxy-models" || known == "all-team-models",
    }
}

fn claim(key: &Key, team: Option<&Team>, model: Option<&str>, claims: &mut Claims) {
    let quota = &key.record.quota;
    let mut add = |holder, counter: &std::sync::Arc<_>, requests, parallel: Option<u32>| {
        claims.push(Claim { holder, counter: std::sync::Arc::clone(counter), requests, parallel });
    };
    if quota.requests.is_some() || quota.parallel.is_some() {
        add(Holder::Key, &key.counter, quota.requests, quota.parallel);
    }
    if let Some(model) = model
        && let Some(most) = quota.model_requests.get(model)
        && let Some(counter) = key.model(model)
    {
        add(Holder::Model, &counter, Some(*most), None);
    }
    if let Some(team) = team {
        let quota = &team.record.quota;
        if quota.requests.is_some() || quota.parallel.is_some() {
            add(Holder::Team, &team.counter, quota.requests, quota.parallel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_paths() {
        for (entry, route, path, expected) in [
            ("/v1/rerank", "/v1/rerank", "/v1/rerank", true),
            ("/v1/rerank/", "/v1/rerank", "/v1/rerank", true),
            ("/v1", "/v1/rerank", "/v1/rerank", true),
            ("/v1/re", "/v1/rerank", "/v1/rerank", false),
            ("/v1/*", "/v1/rerank", "/v1/rerank", true),
            ("/v1/*", "/v1", "/v1", true),
            ("/v1*", "/v1x", "/v1x", true),
            ("/a/{b}", "/a/{b}", "/a/c", true),
            ("/v2", "/v1", "/v1/a", false),
            ("", "/v1", "/v1", true),
        ] {
            assert_eq!(covers(entry, route, path), expected || entry.is_empty(), "{entry} {route} {path}");
        }
    }

    #[test]
    fn models_by_name_and_family() {
        for (known, model, expected) in
            [("gpt-4", "gpt-4", true), ("gpt-4", "gpt-4o", false), ("gpt-*", "gpt-4o", true), ("*", "x", true)]
        {
            assert_eq!(is_like(known, model), expected, "{known} {model}");
        }
    }
}
