//! One entry of `model_list` as a member of its model's group.
//!
//! The law: what is wrong with an entry is told at its place. Counts and rests are the upstream's: its group, provider, base,
//! model and credentials. Whoever stays that keeps them, wherever in the list it stands and whatever else the file now says of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::carried::Handover;
use super::entry::guard_target;
use super::group::{Group, Member};
use super::models::{Deployment, ModelGroup, Models};
use super::quota;
use crate::config::error::{Report, Site};
use crate::config::model::{self, Backend};
use crate::config::{Config, is_credential_name};
use crate::header::HeaderPlan;
use crate::limit::Holder;
use crate::provider::{Auth, Provider};
use crate::secret::Secret;
use crate::upstream::Target;
use crate::upstream::address::Reach;

/// How long a model may be silent where nobody says: LiteLLM's 600 seconds.
const SILENCE: f64 = 600.0;

/// The models of `config`.
pub(super) fn models(config: &Config, handover: &mut Handover<'_>, report: &mut Report) -> Models {
    let mut groups: Vec<(&str, Result<Vec<Member>, String>)> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut equals: HashMap<u64, u32> = HashMap::new();
    for entry in &config.models.deployments {
        let found = match &entry.lead {
            Backend::Unserved(why) => Err(why.clone()),
            Backend::Provider { .. } => match member(entry, config, &mut equals, handover, report) {
                Some(member) => Ok(member),
                None => continue,
            },
        };
        let number = *numbers.entry(&entry.name).or_insert(groups.len());
        match (groups.get_mut(number), found) {
            (None, found) => groups.push((&entry.name, found.map(|member| vec![member]))),
            (Some((_, Ok(members))), Ok(member)) => members.push(member),
            // One that is served takes the place of one that is not.
            (Some((_, unserved)), Ok(member)) => *unserved = Ok(vec![member]),
            (Some(_), Err(_)) => {}
        }
    }
    let groups = groups.into_iter().filter_map(|(name, members)| {
        let lead = match members {
            Err(why) => Err(why),
            Ok(members) => {
                let mut members = members.into_iter();
                Ok(Group::new(members.next()?, members.collect()))
            }
        };
        Some(ModelGroup { name: name.to_owned(), lead })
    });
    Models::new(groups, &config.models.router)
}

fn member(
    entry: &model::Deployment,
    config: &Config,
    equals: &mut HashMap<u64, u32>,
    handover: &mut Handover<'_>,
    report: &mut Report,
) -> Option<Member> {
    let Backend::Provider { provider, base, secret, site, key, version } = &entry.lead else { return None };
    let mut target = parse(base, *secret, site, report)?;
    target.secret = *secret;
    if let Some(version) = version {
        let value = Secret::new(version.as_str());
        if let Err(error) = target.query.add("api-version", Some(value.expose()), false, false, &|_| false) {
            report.problem(&entry.site, error.to_string(), error.mend());
        }
    }
    let reach = if entry.allow_metadata { Reach::Metadata } else { Reach::Private };
    guard_target(&target, (reach, "tollgate.allow_metadata"), site, config, report);
    let headers = headers(entry, provider, key.as_ref(), report);
    let identity = identity(entry, provider, base, key.as_ref(), equals);
    let counter = handover.counter(&identity);
    let router = &config.models.router;
    let silence = entry.timeout_seconds.or(router.timeout_seconds).unwrap_or(SILENCE);
    let stream_silence = entry.stream_timeout_seconds.or(entry.timeout_seconds).or(router.stream_timeout_seconds);
    Some(Member {
        target,
        headers,
        silence: Duration::from_secs_f64(silence),
        retry_non_idempotent: true,
        reach,
        tls: None,
        weight: entry.weight,
        order: entry.order,
        quota: quota(Holder::Deployment, entry.requests, entry.parallel, &counter),
        health: handover.health(&identity),
        deployment: Some(Box::new(Deployment {
            id: entry.id.clone(),
            provider,
            model: entry.model.clone(),
            base_model: entry.base_model.clone(),
            stream_silence: Duration::from_secs_f64(stream_silence.unwrap_or(silence)),
            defaults: entry.defaults.clone(),
            takes: entry.takes.clone(),
        })),
    })
}

fn parse(base: &str, secret: bool, site: &Site, report: &mut Report) -> Option<Target> {
    Target::parse(base, &|_| false)
        .map_err(|error| {
            let error = if secret { error.redacted() } else { error };
            report.problem(site, error.to_string(), error.mend());
        })
        .ok()
}

fn headers(entry: &model::Deployment, provider: &Provider, key: Option<&Secret>, report: &mut Report) -> HeaderPlan {
    let mut plan = HeaderPlan::new(false);
    for header in &entry.headers {
        let (name, value) = (&header.name, &header.value.text);
        let set = if header.is_secret() { plan.set(name, value) } else { plan.set_shown(name, value) };
        if let Err(error) = set {
            report.problem(&header.site, error.to_string(), error.mend());
        }
    }
    let Some(key) = key else { return plan };
    let set = match provider.auth {
        Auth::Bearer => plan.set("Authorization", &Secret::new(format!("Bearer {}", key.expose()))),
        Auth::Field(name) => plan.set(name, key),
    };
    if let Err(error) = set {
        report.problem(&entry.site, format!("the key cannot be sent: {error}"), error.mend());
    }
    plan
}

/// What tells an upstream from every other: another key or base is another one, which has not failed yet. Equals are told apart by
/// the file's own ids, or by number.
fn identity(
    entry: &model::Deployment,
    provider: &Provider,
    base: &str,
    key: Option<&Secret>,
    equals: &mut HashMap<u64, u32>,
) -> String {
    let mut hasher = DefaultHasher::new();
    (&entry.name, provider.name, base, &entry.model, key.map(Secret::expose)).hash(&mut hasher);
    for header in entry.headers.iter().filter(|header| is_credential_name(&header.name)) {
        (header.name.to_ascii_lowercase(), header.value.text.expose()).hash(&mut hasher);
    }
    entry.has_own_id.then_some(&entry.id).hash(&mut hasher);
    let digest = hasher.finish();
    let number = equals.entry(digest).or_default();
    *number += 1;
    format!("model {digest:x} {number}")
}
