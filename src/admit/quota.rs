//! What a caller may do, and how much: the second half of an admission.
//!
//! The law: what a key is denied is denied whatever else is granted; what cannot be known is not guessed, a key that is limited to
//! models on a route whose model nobody can tell before forwarding is refused, unless the route is granted to it by name. All
//! limits of a request are taken together or none.
//!
//! A model is known by every name that leads to it: what is asked for, what that is an alias of, and the group that serves it. A list
//! of models that has one of them allows it, as in LiteLLM; a limit on one of them holds. Lists are exact, but a limit holds in
//! whatever case its name is written, since a pattern passes a name on and some upstreams do not mind its case. The two paths of a
//! built-in service are one: what names one of them names both.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::auth::{Key, Quota, Team, is_like};
use crate::limit::{Claim, Counter, Counters, Held, Holder, Local};
use crate::rejection::{Denied, Rejection};
use crate::snapshot::{Lead, Route, Snapshot, twin};

/// What is asked for: the route, and the model where it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) route: &'a Route,
    pub(super) path: &'a str,
    pub(super) model: Option<&'a str>,
    /// Whether somebody serves it.
    pub(super) served: bool,
}

/// Limits that one request rarely has more of.
type Claims = SmallVec<[Claim; 4]>;

/// Takes what the holder of `key` needs for the request, or says why it may not pass.
pub(super) fn take_for(snapshot: &Snapshot, key: &Key, asked: Wanted<'_>, now: u64) -> Result<Held, Rejection> {
    let team = team(snapshot, key)?;
    let names = match &asked.route.lead {
        Lead::Service(_) => asked.model.map(|model| snapshot.models.known_as(model)).unwrap_or_default(),
        // Of what upstreams call a model the file's own names say nothing.
        Lead::Group(_) => asked.model.into_iter().collect(),
    };
    permit(snapshot, key, team.as_deref(), asked, &names)?;
    // Who may not ask for a model is not told whether it exists.
    if !asked.served {
        return Err(Rejection::NoModel(super::asked::shown(snapshot, asked.model.unwrap_or_default())));
    }
    let mut claims = Claims::new();
    claim(key, team.as_deref(), &names, &mut claims);
    all(snapshot, asked.route, claims, now)
}

/// Whether the holder of `key` may ask at all, as far as that can be said before the model is known: who may not is not read
/// from.
pub(super) fn may_come(snapshot: &Snapshot, key: &Key, asked: Wanted<'_>, now: u64) -> Result<(), Rejection> {
    let team = team(snapshot, key)?;
    permit_route(snapshot, key, team.as_deref(), asked)?;
    let mut claims = Claims::new();
    claim(key, team.as_deref(), &[], &mut claims);
    claims.extend([&asked.route.quota, &snapshot.quota].into_iter().flatten().cloned());
    Local.check(&claims, now).map_err(Rejection::Limited)
}

/// The same for who needs no key.
pub(super) fn may_anybody_come(snapshot: &Snapshot, route: &Route, now: u64) -> Result<(), Rejection> {
    let claims: Claims = [&route.quota, &snapshot.quota].into_iter().flatten().cloned().collect();
    Local.check(&claims, now).map_err(Rejection::Limited)
}

/// Takes what the holder of `key` needs for a call of the key API.
pub(super) fn take_own(snapshot: &Snapshot, key: &Key, now: u64) -> Result<Held, Rejection> {
    let team = team(snapshot, key)?;
    let mut claims = Claims::new();
    claim(key, team.as_deref(), &[], &mut claims);
    taken(&claims, now)
}

/// Takes what any request on `route` needs.
pub(super) fn take(snapshot: &Snapshot, route: &Route, now: u64) -> Result<Held, Rejection> {
    all(snapshot, route, Claims::new(), now)
}

fn all(snapshot: &Snapshot, route: &Route, mut claims: Claims, now: u64) -> Result<Held, Rejection> {
    claims.extend([&route.quota, &snapshot.quota].into_iter().flatten().cloned());
    taken(&claims, now)
}

fn taken(claims: &Claims, now: u64) -> Result<Held, Rejection> {
    if claims.is_empty() {
        return Ok(Held::default());
    }
    Local.take(claims, now).map_err(Rejection::Limited)
}

/// The key's team. One that is gone cannot lend its limits.
fn team(snapshot: &Snapshot, key: &Key) -> Result<Option<Arc<Team>>, Rejection> {
    let Some(id) = &key.record.team_id else { return Ok(None) };
    let team = snapshot.keyring.book().and_then(|book| book.team(id));
    match team {
        Some(team) if team.record.blocked => Err(Rejection::Denied(Denied::TeamBlocked)),
        Some(team) => Ok(Some(team)),
        None => Err(Rejection::Denied(Denied::TeamGone)),
    }
}

fn permit(
    snapshot: &Snapshot,
    key: &Key,
    team: Option<&Team>,
    asked: Wanted<'_>,
    names: &[&str],
) -> Result<(), Rejection> {
    permit_route(snapshot, key, team, asked)?;
    permit_model(key, team, asked, names)
}

fn permit_route(snapshot: &Snapshot, key: &Key, team: Option<&Team>, asked: Wanted<'_>) -> Result<(), Rejection> {
    let record = &key.record;
    let denied = |why| Err(Rejection::Denied(why));
    if !record.key_type.uses_routes() {
        return denied(Denied::KeyType);
    }
    let grants = grants(key, team);
    let granted = names_route(grants, asked);
    if names_route(&record.denied_passthrough, asked)
        || team.is_some_and(|team| names_route(&team.record.denied_passthrough, asked))
    {
        return denied(Denied::Route);
    }
    // Grants are for routes of the file, as in LiteLLM.
    let must_be_granted = !asked.route.is_built_in && (snapshot.grants_required || !grants.is_empty());
    if must_be_granted && !granted {
        return denied(Denied::Route);
    }
    if !record.allowed_routes.is_empty() && !allows_route(&record.allowed_routes, asked) {
        return denied(Denied::Route);
    }
    Ok(())
}

/// What a key is granted; one that names no route itself has its team's.
fn grants<'a>(key: &'a Key, team: Option<&'a Team>) -> &'a [String] {
    let of_team = team.map(|team| team.record.allowed_passthrough.as_slice()).unwrap_or_default();
    let own = &key.record.allowed_passthrough;
    if own.is_empty() { of_team } else { own }
}

fn names_route(list: &[String], asked: Wanted<'_>) -> bool {
    list.iter().any(|entry| asked.is_covered(entry))
}

fn permit_model(key: &Key, team: Option<&Team>, asked: Wanted<'_>, names: &[&str]) -> Result<(), Rejection> {
    let record = &key.record;
    let denied = |why| Err(Rejection::Denied(why));
    let limited_to_models = !record.models.is_empty()
        || !record.quota.model_requests.is_empty()
        || team.is_some_and(|team| !team.record.models.is_empty() || !team.record.quota.model_requests.is_empty());
    match asked.model {
        _ if !limited_to_models => Ok(()),
        // Which models there are is said of those that the key may use.
        None if names_route(grants(key, team), asked) || asked.route.lists_models() => Ok(()),
        None => denied(Denied::ModelUnknown),
        Some(_) if lists(key, team, names) => Ok(()),
        Some(_) => denied(Denied::Model),
    }
}

/// Whether the lists of models of a key and of its team have one of `names`, which are one model's.
fn lists(key: &Key, team: Option<&Team>, names: &[&str]) -> bool {
    let has = |known: &String| names.iter().any(|name| is_like(known, name));
    let allowed = |models: &[String]| models.is_empty() || models.iter().any(has);
    allowed(&key.record.models) && team.is_none_or(|team| allowed(&team.record.models))
}

/// Whether the holder of `key` may ask for `model`.
pub(super) fn may_use(snapshot: &Snapshot, key: &Key, model: &str) -> bool {
    team(snapshot, key).is_ok_and(|team| lists(key, team.as_deref(), &snapshot.models.known_as(model)))
}

/// LiteLLM's words for groups of routes; every route of the file is one for calling an API.
fn allows_route(allowed: &[String], asked: Wanted<'_>) -> bool {
    allowed
        .iter()
        .any(|entry| matches!(entry.as_str(), "llm_api_routes" | "pass_through_routes") || asked.is_covered(entry))
}

impl Wanted<'_> {
    /// Whether an entry of a list of paths names what is asked for.
    fn is_covered(&self, entry: &str) -> bool {
        let named = |route: Cow<'_, str>, path: Cow<'_, str>| covers(entry, &route, &path);
        let (route, path) = (self.route.path.as_str(), self.path);
        named(route.into(), path.into()) || (self.route.is_built_in && named(twin(route), twin(path)))
    }
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

fn claim(key: &Key, team: Option<&Team>, names: &[&str], claims: &mut Claims) {
    let quota = &key.record.quota;
    claim_for(Holder::Key, key.counter(), quota, claims);
    claim_model(Holder::Model, quota, names, |model| key.model(model), claims);
    if let Some(team) = team {
        let quota = &team.record.quota;
        claim_for(Holder::Team, team.counter(), quota, claims);
        claim_model(Holder::ModelOfTeam, quota, names, |model| team.model(model), claims);
    }
}

fn claim_for(holder: Holder, counter: &Arc<Counter>, quota: &Quota, claims: &mut Claims) {
    if quota.requests.is_some() || quota.parallel.is_some() {
        let counter = Arc::clone(counter);
        claims.push(Claim { holder, counter, requests: quota.requests, parallel: quota.parallel });
    }
}

fn claim_model(
    holder: Holder,
    quota: &Quota,
    names: &[&str],
    counter: impl Fn(&str) -> Option<Arc<Counter>>,
    claims: &mut Claims,
) {
    for (model, most) in &quota.model_requests {
        if names.iter().any(|name| name.eq_ignore_ascii_case(model))
            && let Some(counter) = counter(model)
        {
            claims.push(Claim { holder, counter, requests: Some(*most), parallel: None });
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
}
