//! One entry of `model_list`.
//!
//! Who serves it is `backend`'s, parameters of requests are `parameters`'; names of headers are judged one floor up.

use sha2::{Digest as _, Sha256};

use super::backend::{self, Params, Served};
use super::endpoint::required;
use super::models::Credential;
use super::{Defaults, headers, order, parameters, quota, seconds};
use crate::config::HeaderText;
use crate::config::env::{Environ, names_variable};
use crate::config::error::{Report, Site};
use crate::config::fields::{Kind, MODEL, MODEL_INFO, MODEL_OWN, MODEL_PARAMS};
use crate::config::model::{Backend, Deployment};
use crate::config::raw::{Node, Value};
use crate::config::section::{Section, expand_at, shorten};
use crate::provider;

/// Parameters that only some models take.
const TAKES: &[&str] = &["top_k", "reasoning_content"];
/// OpenAI's field for the organization that is charged.
const ORGANIZATION: &str = "OpenAI-Organization";

/// An entry, and what its group is weighed by.
pub(super) struct Read {
    pub(super) deployment: Deployment,
    /// Where its id is written.
    pub(super) id_site: Option<Site>,
    pub(super) weight: Option<f64>,
    pub(super) rpm: Option<f64>,
    pub(super) tpm: Option<f64>,
}

/// What the entry `node` is called, whatever is wrong with the rest of it.
pub(super) fn name_of(node: &Node) -> Option<String> {
    let Value::Map(entries) = &node.value else { return None };
    match entries.iter().find(|entry| entry.key == "model_name").map(|entry| &entry.node.value) {
        Some(Value::Text(name) | Value::Number(name)) => Some(name.clone()),
        _ => None,
    }
}

/// Reads the entry `node` at `site`.
pub(super) fn read(
    node: &Node,
    site: &Site,
    credentials: &[Credential<'_>],
    defaults: &Defaults,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<Read> {
    let accepted = defaults.accepted.as_slice();
    let read = with_numbers(node, site, environ, report);
    let entry = Section::open(read.as_ref().unwrap_or(node), &site.path, &MODEL, accepted, report)?;
    let own = entry.section("tollgate", &MODEL_OWN, &[], report);
    let takes = own.as_ref().map_or_else(Vec::new, |own| takes(own, report));
    let name = name(&entry, report);
    let info = entry.section("model_info", &MODEL_INFO, accepted, report);
    let info_text = |key: &str, report: &mut Report| info.as_ref().and_then(|info| info.text(key, report));
    let id = info_text("id", report).filter(|(id, site)| is_id(id, site, report));
    let base_model = info_text("base_model", report).map(|(text, _)| without_prefix(&text).to_owned());
    let mode = info_text("mode", report).map(|(text, _)| text);
    let section = parameters_of(&entry, accepted, report)?;
    let params = Params { own: &section, credential: credential(&section, credentials, report) };
    let served = backend::read(&params, name.as_deref(), environ, report);
    let tpm = tokens(&section, report);
    let limit = section.number("rpm", report);
    let weight = section.number("weight", report);
    let headers = fields(&params, environ, report);
    let requests = limit.and_then(|_| quota(&section, "rpm", report));
    let parallel = quota(&section, "max_parallel_requests", report);
    let order = order(&section, report);
    let timeout_seconds = seconds(Some(&section), "timeout", report);
    let stream_timeout_seconds = seconds(Some(&section), "stream_timeout", report);
    let parameters = parameters::read(&section, report);
    let (name, Served { lead, model, base_model: meant }) = (name?, served?);
    let deployment = Deployment {
        id: id.as_ref().map_or_else(|| digest(&name, &lead, &model), |(id, _)| id.clone()),
        has_own_id: id.is_some(),
        site: entry.site().clone(),
        name,
        lead,
        model,
        requests,
        parallel,
        weight: 1.0,
        order,
        timeout_seconds,
        stream_timeout_seconds,
        headers,
        defaults: parameters,
        takes,
        allow_metadata: defaults.allow_metadata,
        base_model: base_model.or(meant.map(str::to_owned)),
        mode,
    };
    Some(Read { deployment, id_site: id.map(|(_, site)| site), weight, rpm: limit, tpm })
}

fn parameters_of<'n>(entry: &Section<'n>, accepted: &[String], report: &mut Report) -> Option<Section<'n>> {
    if entry.entry("litellm_params").is_none() {
        report.problem(entry.site(), "`litellm_params` is missing", "write `model` below it: PROVIDER/NAME");
    }
    entry.section("litellm_params", &MODEL_PARAMS, accepted, report)
}

fn tokens(section: &Section<'_>, report: &mut Report) -> Option<f64> {
    let site = section.site_of(section.entry("tpm")?);
    let what = "`tpm` is a weight here and no limit: tokens are not counted yet";
    report.notice(&site, what, "write rpm for a limit");
    section.number("tpm", report)
}

/// Further fields of every request.
fn fields(params: &Params<'_, '_>, environ: &dyn Environ, report: &mut Report) -> Vec<HeaderText> {
    let mut out = headers::plain(params.own, "extra_headers", environ, report);
    out.extend(headers::plain(params.own, "headers", environ, report));
    out.extend(organization(params, environ, report));
    out
}

/// The entry, numbers of its parameters in the place of what refers to them; none: nothing does.
fn with_numbers(node: &Node, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Node> {
    let mut read = node.clone();
    let Value::Map(entries) = &mut read.value else { return None };
    let Value::Map(params) = &mut entries.iter_mut().find(|entry| entry.key == "litellm_params")?.node.value else {
        return None;
    };
    let mut any = false;
    for entry in params {
        let is_number = MODEL_PARAMS.field(&entry.key).is_some_and(|field| field.kind == Kind::Number);
        let Value::Text(text) = &entry.node.value else { continue };
        if !is_number || !names_variable(text) {
            continue;
        }
        any = true;
        let path = format!("{}.litellm_params.{}", site.path, entry.key);
        let site = Site { place: entry.place.clone(), path };
        let number = expand_at(text, &site, environ, report).filter(|value| {
            let good = value.text.expose().parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0);
            if !good {
                report.problem(
                    &site,
                    format!("the value of `{}` is not a number that can be used here", shorten(text)),
                    "write a plain number that is not negative",
                );
            }
            good
        });
        entry.node.value = number.map_or(Value::Null, |number| Value::Number(number.text.expose().to_owned()));
    }
    any.then_some(read)
}

/// `azure/gpt-4o` has the rules of `gpt-4o`.
fn without_prefix(model: &str) -> &str {
    let of_provider = |(prefix, rest)| provider::of_prefix(prefix).map(|_| rest);
    model.split_once('/').and_then(of_provider).unwrap_or(model)
}

fn name(entry: &Section<'_>, report: &mut Report) -> Option<String> {
    let (name, site) = required(entry, "model_name", "what clients ask for", report)?;
    let fault = if name.trim() != name || name.is_empty() || name.contains(char::is_control) {
        Some(("a name is not empty, and has no space around it", "write what clients send as `model`"))
    } else if names_variable(&name) {
        Some(("a name is not expanded: os.environ/ has no meaning in it", "write the name itself"))
    } else if name.matches('*').count() > 1 {
        Some(("a name holds at most one `*`", "write an entry for each kind of name"))
    } else {
        None
    };
    if let Some((what, mend)) = fault {
        report.problem(&site, what, mend);
    }
    fault.is_none().then_some(name)
}

/// It stands in a field of answers.
fn is_id(id: &str, site: &Site, report: &mut Report) -> bool {
    let good = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    if !good {
        report.problem(site, "an id is a word of printable ASCII", "write another, or leave it out");
    }
    good
}

fn takes(own: &Section<'_>, report: &mut Report) -> Vec<String> {
    let mut out = Vec::new();
    for (name, site) in own.texts("takes", report).unwrap_or_default() {
        if TAKES.contains(&name.as_str()) {
            out.push(name);
        } else {
            let what = format!("`{}` is not a parameter that is known to differ", shorten(&name));
            report.problem(&site, what, format!("write {}", TAKES.join(" or ")));
        }
    }
    out
}

fn credential<'c, 'n>(
    section: &Section<'_>,
    credentials: &'c [Credential<'n>],
    report: &mut Report,
) -> Option<&'c Section<'n>> {
    let (name, site) = section.text("litellm_credential_name", report)?;
    let found = credentials.iter().find(|known| known.name == name);
    if found.is_none() {
        let what = format!("no entry of credential_list is called `{}`", shorten(&name));
        let known: Vec<&str> = credentials.iter().map(|known| known.name.as_str()).collect();
        let mend = if known.is_empty() { "add it".into() } else { format!("write one of: {}", known.join(", ")) };
        report.problem(&site, what, mend);
    }
    found.map(|known| &known.values)
}

fn organization(params: &Params<'_, '_>, environ: &dyn Environ, report: &mut Report) -> Option<HeaderText> {
    let (section, key) = params.holding(&["organization"], report)?;
    let (value, site) = section.expanded(key, environ, report)?;
    Some(HeaderText { name: ORGANIZATION.into(), value, site })
}

/// What an entry without an id is known by: the group and the upstream, whatever else is said of them. It stands in answers, so
/// that no key and no base that came from a reference is part of it.
fn digest(group: &str, lead: &Backend, model: &str) -> String {
    let (provider, base) = match lead {
        Backend::Provider { provider, base, secret, .. } => (provider.name, if *secret { "" } else { base.as_str() }),
        Backend::Unserved(_) => ("", ""),
    };
    let mut hash = Sha256::new();
    for part in [group, provider, base, model] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
