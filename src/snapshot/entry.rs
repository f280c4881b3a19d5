//! One entry of `pass_through_endpoints` as a route.
//!
//! The law: every part of an entry is judged, also when another part is wrong, so that all of its problems are told at once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::carried::Handover;
use super::{Access, Group, Lead, Member, Route, Service, header_name, quota, tls};
use crate::auth::KeyPlaces;
use crate::config::error::{Report, Site};
use crate::config::{Config, Endpoint, HeaderText, QueryText, TargetText};
use crate::header::HeaderPlan;
use crate::limit::Holder;
use crate::route::{Methods, Pattern};
use crate::translate::Adapters;
use crate::upstream::address::{self, Reach};
use crate::upstream::{Host, Target};

/// What an entry is compiled among.
pub(super) struct Around<'a, 'b> {
    pub(super) config: &'a Config,
    pub(super) places: &'a KeyPlaces,
    pub(super) adapters: &'a Adapters,
    pub(super) handover: &'a mut Handover<'b>,
}

pub(super) fn route(
    endpoint: &Endpoint,
    around: &mut Around<'_, '_>,
    report: &mut Report,
) -> Option<(Pattern, Methods, Arc<Route>)> {
    let pattern = pattern(endpoint, report);
    let methods = methods(endpoint, report);
    let places = places(endpoint, around.places, report);
    let model_from = endpoint.model_from.as_ref().and_then(|(name, site)| header_name(name, site, report));
    let lead = lead(endpoint, pattern.as_ref(), around, report);
    let counter = around.handover.counter(&endpoint.identity());
    let (pattern, lead) = (pattern?, lead?);
    let route = Route {
        name: pattern.to_string(),
        id: endpoint.id.as_ref().map(|(id, _)| id.clone()),
        place: endpoint.site.place.clone(),
        access: match (endpoint.auth, &lead) {
            (Some(true), _) => Access::Key,
            (_, Lead::Service(_)) if around.config.models.is_open => Access::Local,
            _ => Access::Open,
        },
        places,
        lead,
        cost: endpoint.cost_per_request,
        path: endpoint.name().to_owned(),
        model_from,
        quota: quota(Holder::Route, endpoint.requests, endpoint.parallel, &counter),
        is_built_in: false,
    };
    Some((pattern, methods?, Arc::new(route)))
}

/// Where a key may stand.
fn places(endpoint: &Endpoint, usual: &KeyPlaces, report: &mut Report) -> KeyPlaces {
    let mut places = usual.clone();
    if let Some((name, site)) = &endpoint.user_key_header
        && let Some(name) = header_name(name, site, report)
    {
        places = places.with_header(name);
    }
    if endpoint.langfuse_credentials {
        places = places.with_langfuse();
    }
    places
}

/// What the entry leads to. Every target is judged, also after one that is wrong.
fn lead(
    endpoint: &Endpoint,
    pattern: Option<&Pattern>,
    around: &mut Around<'_, '_>,
    report: &mut Report,
) -> Option<Lead> {
    let names: Vec<&str> = pattern.into_iter().flat_map(Pattern::names).collect();
    if let Some((TargetText::Adapter { id, .. }, site)) = &endpoint.target {
        let _ = headers(endpoint, &[], report);
        let _ = endpoint.tls.as_ref().and_then(|text| tls::profile(text, None, report));
        let Some(adapter) = around.adapters.find(id) else {
            let known = around.adapters.ids().collect::<Vec<_>>().join(", ");
            report.problem(site, format!("there is no adapter `{id}`"), format!("there are: {known}"));
            return None;
        };
        return Some(Lead::Service(Service::Adapter(Arc::clone(adapter))));
    }
    let mut members = Vec::new();
    let mut all = true;
    let first = endpoint.target.iter().map(|target| (target, &[][..], 1.0, 1));
    let further = endpoint
        .targets
        .iter()
        .filter_map(|member| Some((member.target.as_ref()?, member.headers.as_slice(), member.weight, member.order)));
    for ((text, site), own, weight, order) in first.chain(further) {
        let Some(member) = member(endpoint, (text, site), own, &names, around, report) else {
            all = false;
            continue;
        };
        members.push(Member { weight, order, ..member });
    }
    let mut members = members.into_iter();
    let first = members.next().filter(|_| all)?;
    Some(Lead::Group(Box::new(Group::new(first, members.collect()))))
}

fn member(
    endpoint: &Endpoint,
    (text, site): (&TargetText, &Site),
    own: &[HeaderText],
    names: &[&str],
    around: &mut Around<'_, '_>,
    report: &mut Report,
) -> Option<Member> {
    let headers = headers(endpoint, own, report);
    let TargetText::Url { base, secret, query } = text else { return None };
    let target = parse_target(base, *secret, site, names, report);
    let mut target = add_query(target?, endpoint, query, site, names, report);
    target.secret = *secret;
    guard_target(&target, (allowed(endpoint), "allow_metadata"), site, around.config, report);
    let tls = endpoint.tls.as_ref().and_then(|text| tls::profile(text, Some(&target), report));
    Some(Member {
        health: around.handover.health(&identity(endpoint, base, query, &headers)),
        target,
        headers,
        silence: Duration::from_secs_f64(endpoint.silence_seconds),
        retry_non_idempotent: endpoint.retry_non_idempotent,
        reach: allowed(endpoint),
        tls,
        weight: 1.0,
        order: 1,
        quota: None,
        deployment: None,
    })
}

/// What tells an upstream of the entry from another: one with other credentials has refused none of them yet.
fn identity(endpoint: &Endpoint, base: &str, query: &[QueryText], headers: &HeaderPlan) -> String {
    let mut hasher = DefaultHasher::new();
    for header in headers.configured().iter().filter(|header| header.is_secret()) {
        (header.name.as_str(), header.value.as_bytes()).hash(&mut hasher);
    }
    for text in query.iter().chain(&endpoint.default_query).filter(|text| text.is_secret()) {
        (&text.name, text.value.as_ref().map(|value| value.text.expose())).hash(&mut hasher);
    }
    format!("{} {base} {:x}", endpoint.identity(), hasher.finish())
}

fn pattern(endpoint: &Endpoint, report: &mut Report) -> Option<Pattern> {
    let (path, site) = endpoint.path.as_ref()?;
    // LiteLLM takes a path without its first slash.
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    match Pattern::parse(&format!("{slash}{path}"), endpoint.include_subpath) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            report.problem(site, error.to_string(), error.mend());
            None
        }
    }
}

fn methods(endpoint: &Endpoint, report: &mut Report) -> Option<Methods> {
    let Some(written) = &endpoint.methods else { return Some(Methods::any()) };
    let mut all = true;
    for (name, site) in written {
        if let Err(error) = Methods::listed([name.as_str()]) {
            report.problem(site, format!("`{name}` cannot be served: {error}"), "write GET, POST, …");
            all = false;
        }
    }
    Methods::listed(written.iter().map(|(name, _)| name.as_str())).ok().filter(|_| all)
}

/// The entry's fields; `own`, those of one of its targets, stand in place of them.
fn headers(endpoint: &Endpoint, own: &[HeaderText], report: &mut Report) -> HeaderPlan {
    let mut plan = HeaderPlan::new(endpoint.forward_headers);
    let replaced = |name: &str| own.iter().any(|header| header.name.eq_ignore_ascii_case(name));
    for header in endpoint.headers.iter().filter(|header| !replaced(&header.name)).chain(own) {
        let (name, value) = (&header.name, &header.value.text);
        let set = if header.is_secret() { plan.set(name, value) } else { plan.set_shown(name, value) };
        if let Err(error) = set {
            report.problem(&header.site, error.to_string(), error.mend());
        }
    }
    plan
}

/// What came from the environment is repeated by no message.
fn parse_target(base: &str, secret: bool, site: &Site, names: &[&str], report: &mut Report) -> Option<Target> {
    Target::parse(base, &|name| names.contains(&name))
        .map_err(|error| {
            let error = if secret { error.redacted() } else { error };
            report.problem(site, error.to_string(), error.mend());
        })
        .ok()
}

fn add_query(
    mut target: Target,
    endpoint: &Endpoint,
    query: &[QueryText],
    site: &Site,
    names: &[&str],
    report: &mut Report,
) -> Target {
    for text in query.iter().chain(&endpoint.default_query) {
        let value = text.value.as_ref().map(|value| value.text.expose());
        let known = |name: &str| names.contains(&name);
        if let Err(error) = target.query.add(&text.name, value, text.encoded, text.is_secret(), &known) {
            report.problem(site, error.to_string(), error.mend());
        }
    }
    target
}

/// Refuses targets that lead back here, or to an address that hands out a machine's credentials.
/// It may lead as far as `allowed`, which `key` would change.
pub(super) fn guard_target(
    target: &Target,
    (allowed, key): (Reach, &str),
    site: &Site,
    config: &Config,
    report: &mut Report,
) {
    let address = match &target.host {
        Host::Ip(ip) => Some(SocketAddr::new(*ip, target.port)),
        Host::Name(name) => config
            .network
            .resolve
            .iter()
            .find(|line| line.host == *name && line.port.is_none_or(|port| port == target.port))
            .map(|line| {
                SocketAddr::new(
                    line.address.ip(),
                    if line.address.port() == 0 { target.port } else { line.address.port() },
                )
            }),
    };
    let loopback_name = matches!(&target.host, Host::Name(name) if name == "localhost" || name.ends_with(".localhost"));
    let ours = config.reachable.iter().map(|listen| listen.address).any(|ours| match address {
        Some(theirs) => theirs.port() == ours.port() && reaches(ours.ip(), theirs.ip()),
        None => loopback_name && target.port == ours.port() && (ours.ip().is_unspecified() || ours.ip().is_loopback()),
    });
    if ours {
        report.problem(site, "the target is this proxy itself", "name the API that requests are meant for");
    }
    match address.map(|address| address::reach(address.ip())).filter(|reach| *reach > allowed) {
        Some(Reach::Metadata) => report.problem(
            site,
            "the target is a metadata address, which hands out this machine's own credentials",
            format!("remove it, or set {key}: true"),
        ),
        Some(_) => report.problem(
            site,
            "the target is a private address, which entries that the API makes may not lead to",
            "name another, or set tollgate.api_private_targets: true",
        ),
        None => {}
    }
}

/// How far the entry may lead.
fn allowed(endpoint: &Endpoint) -> Reach {
    match (endpoint.allow_metadata, endpoint.allow_private) {
        (true, _) => Reach::Metadata,
        (false, true) => Reach::Private,
        (false, false) => Reach::Public,
    }
}

/// Whether a connection to `theirs` arrives at a listener on `ours`.
fn reaches(ours: IpAddr, theirs: IpAddr) -> bool {
    let (ours, theirs) = (ours.to_canonical(), theirs.to_canonical());
    let local = theirs.is_loopback() || theirs.is_unspecified();
    ours == theirs || (ours.is_unspecified() && local) || (theirs.is_unspecified() && ours.is_loopback())
}
