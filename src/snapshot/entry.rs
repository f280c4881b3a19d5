//! One entry of `pass_through_endpoints` as a route.
//!
//! The law: every part of an entry is judged, also when another part is wrong, so that all of its problems are told at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::{Access, Group, Lead, Member, Route, header_name, quota, tls};
use crate::auth::KeyPlaces;
use crate::config::error::{Report, Site};
use crate::config::listen::Listen;
use crate::config::{Endpoint, Network, QueryText, TargetText};
use crate::header::HeaderPlan;
use crate::limit::{Counter, Holder};
use crate::route::{Methods, Pattern};
use crate::upstream::address::{self, Reach};
use crate::upstream::{Host, Target};

pub(super) fn route(
    endpoint: &Endpoint,
    places: &KeyPlaces,
    network: &Network,
    listen: &[Listen],
    counter: &Arc<Counter>,
    report: &mut Report,
) -> Option<(Pattern, Methods, Arc<Route>)> {
    let pattern = pattern(endpoint, report);
    let methods = methods(endpoint, report);
    let mut places = places.clone();
    if let Some((name, site)) = &endpoint.user_key_header
        && let Some(name) = header_name(name, site, report)
    {
        places = places.with_header(name);
    }
    if endpoint.langfuse_credentials {
        places = places.with_langfuse();
    }
    let headers = headers(endpoint, report);
    let model_from = endpoint.model_from.as_ref().and_then(|(name, site)| header_name(name, site, report));
    let names: Vec<&str> = pattern.iter().flat_map(Pattern::names).collect();
    let (text, site) = endpoint.target.as_ref()?;
    let lead = match text {
        TargetText::Adapter { .. } => {
            let _ = endpoint.tls.as_ref().and_then(|text| tls::profile(text, None, report));
            Lead::Adapter
        }
        TargetText::Url { base, secret, query } => {
            let target = parse_target(base, *secret, site, &names, report);
            let mut target = add_query(target?, endpoint, query, site, &names, report);
            target.secret = *secret;
            guard_target(&target, endpoint, site, network, listen, report);
            let tls = endpoint.tls.as_ref().and_then(|text| tls::profile(text, Some(&target), report));
            Lead::Group(Box::new(Group {
                first: Member {
                    target,
                    headers,
                    silence: Duration::from_secs_f64(endpoint.silence_seconds),
                    retry_non_idempotent: endpoint.retry_non_idempotent,
                    reach: allowed(endpoint),
                    tls,
                },
            }))
        }
    };
    let pattern = pattern?;
    let route = Route {
        name: pattern.to_string(),
        id: endpoint.id.as_ref().map(|(id, _)| id.clone()),
        place: endpoint.site.place.clone(),
        access: if endpoint.auth == Some(true) { Access::Key } else { Access::Open },
        places,
        lead,
        cost: endpoint.cost_per_request,
        path: endpoint.name().to_owned(),
        model_from,
        quota: quota(Holder::Route, endpoint.requests, endpoint.parallel, counter),
    };
    Some((pattern, methods?, Arc::new(route)))
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

fn headers(endpoint: &Endpoint, report: &mut Report) -> HeaderPlan {
    let mut plan = HeaderPlan::new(endpoint.forward_headers);
    for header in &endpoint.headers {
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
fn guard_target(
    target: &Target,
    endpoint: &Endpoint,
    site: &Site,
    network: &Network,
    listen: &[Listen],
    report: &mut Report,
) {
    let address = match &target.host {
        Host::Ip(ip) => Some(SocketAddr::new(*ip, target.port)),
        Host::Name(name) => network
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
    let ours = listen.iter().map(|listen| listen.address).any(|ours| match address {
        Some(theirs) => theirs.port() == ours.port() && reaches(ours.ip(), theirs.ip()),
        None => loopback_name && target.port == ours.port() && (ours.ip().is_unspecified() || ours.ip().is_loopback()),
    });
    if ours {
        report.problem(site, "the target is this proxy itself", "name the API that requests are meant for");
    }
    match address.map(|address| address::reach(address.ip())).filter(|reach| *reach > allowed(endpoint)) {
        Some(Reach::Metadata) => report.problem(
            site,
            "the target is a metadata address, which hands out this machine's own credentials",
            "remove it, or set allow_metadata: true",
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
