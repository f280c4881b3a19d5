//! `model_list` and `credential_list`: every deployment, and what holds for groups of them.
//!
//! The law: ids are one deployment's each; a group is weighed by what its entries say alike, `weight` before `rpm` before `tpm`, as
//! in LiteLLM. An entry that does not say it counts as 1 beside weights, and beside limits as the largest, since nothing limits it.

use std::collections::HashMap;

use super::deployment::{self, Read};
use super::{Defaults, router};
use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::fields::{CREDENTIAL, CREDENTIAL_VALUES, ROUTER};
use crate::config::model::{Backend, Deployment, Models};
use crate::config::section::{Section, shorten};

/// A named credential.
pub(super) struct Credential<'n> {
    pub(super) name: String,
    pub(super) values: Section<'n>,
}

/// Everything that the file says of models.
pub(super) fn read(
    top: &Section<'_>,
    library: Option<&Section<'_>>,
    defaults: &Defaults,
    environ: &dyn Environ,
    report: &mut Report,
) -> Models {
    let accepted = defaults.accepted.as_slice();
    let router = top.section("router_settings", &ROUTER, accepted, report);
    let credentials = credentials(top, report);
    let list = top.list("model_list", report).unwrap_or_default();
    // What could not be read is named all the same, so that nothing that refers to it is called unknown.
    let names: Vec<String> = list.iter().filter_map(|(node, _)| deployment::name_of(node)).collect();
    let mut read = Vec::with_capacity(list.len());
    for (node, site) in list {
        read.extend(deployment::read(node, &site, &credentials, defaults, environ, report));
    }
    weigh(&mut read);
    let deployments = unique(read, report);
    for Deployment { site, name, lead, .. } in &deployments {
        if let Backend::Unserved(why) = lead {
            report.notice(site, format!("`{}` is answered 501: {}", shorten(name), why.trim_end_matches('.')), "");
        }
    }
    Models { router: router::read(router.as_ref(), library, &names, report), deployments, is_open: false }
}

fn credentials<'n>(top: &Section<'n>, report: &mut Report) -> Vec<Credential<'n>> {
    let mut out: Vec<Credential<'n>> = Vec::new();
    for (node, site) in top.list("credential_list", report).unwrap_or_default() {
        let Some(section) = Section::open(node, &site.path, &CREDENTIAL, &[], report) else { continue };
        let Some((name, site)) = super::endpoint::required(&section, "credential_name", "a name for it", report) else {
            continue;
        };
        if out.iter().any(|known| known.name == name) {
            report.problem(
                &site,
                format!("the credential `{}` stands twice", shorten(&name)),
                "give each its own name",
            );
            continue;
        }
        let values = section.section("credential_values", &CREDENTIAL_VALUES, &[], report);
        match values {
            Some(values) => out.push(Credential { name, values }),
            None if section.entry("credential_values").is_none() => {
                report.problem(section.site(), "`credential_values` is missing", "write api_key below it");
            }
            None => {}
        }
    }
    out
}

/// By one measure for the whole group: what none of it says counts for nothing.
fn weigh(read: &mut [Read]) {
    let mut groups: HashMap<String, Vec<&mut Read>> = HashMap::new();
    for entry in read {
        groups.entry(entry.deployment.name.clone()).or_default().push(entry);
    }
    for group in groups.values_mut() {
        let most = |measure: fn(&Read) -> Option<f64>| group.iter().filter_map(|read| measure(read)).reduce(f64::max);
        let measures: [fn(&Read) -> Option<f64>; 3] = [|read| read.weight, |read| read.rpm, |read| read.tpm];
        // Beside one that may have nothing, who has no limit still serves.
        let limit = |most: f64| if most > 0.0 { most } else { 1.0 };
        let usual = [most(measures[0]).map(|_| 1.0), most(measures[1]).map(limit), most(measures[2]).map(limit)];
        let Some((measure, usual)) = measures.iter().zip(usual).find_map(|(measure, usual)| Some((measure, usual?)))
        else {
            continue;
        };
        for read in group {
            read.deployment.weight = measure(read).unwrap_or(usual);
        }
    }
}

fn unique(read: Vec<Read>, report: &mut Report) -> Vec<Deployment> {
    let mut seen: HashMap<String, Site> = HashMap::new();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut out = Vec::with_capacity(read.len());
    for Read { mut deployment, id_site, .. } in read {
        match &id_site {
            Some(site) => match seen.get(&deployment.id) {
                Some(first) => report.problem(
                    site,
                    format!("the id `{}` stands at {} already", shorten(&deployment.id), first.place),
                    "give each its own",
                ),
                None => {
                    seen.insert(deployment.id.clone(), site.clone());
                }
            },
            // Entries of one upstream have one digest, since neither keys nor settings are part of it.
            None => {
                let digest = deployment.id.clone();
                let number = numbers.entry(digest.clone()).or_default();
                while seen.contains_key(&deployment.id) {
                    *number += 1;
                    deployment.id = format!("{digest}-{}", *number + 1);
                }
                seen.insert(deployment.id.clone(), deployment.site.clone());
            }
        }
        out.push(deployment);
    }
    out
}

#[cfg(test)]
mod tests;
