//! `target` and `targets` of an entry.
//!
//! The law: an entry leads to one target or to several; several are URLs. Each is parsed alike, wherever it stands; whether a URL can be
//! dialled is judged one floor up.

use super::adapters::Adapters;
use super::endpoint::{either, required};
use super::{headers, order};
use crate::config::env::{Environ, Expanded, expand_variables, names_variable};
use crate::config::error::{Report, Site};
use crate::config::fields::MEMBER;
use crate::config::model::LAST;
use crate::config::raw::{Node, Value};
use crate::config::section::Section;
use crate::config::{MemberText, QueryText, TargetText};

type Target = (TargetText, Site);

const WHAT: &str = "the URL to send requests to";

/// The target of the entry, or its targets: plain, or in its `tollgate`.
pub(super) fn read(
    entry: &Section<'_>,
    own: Option<&Section<'_>>,
    adapters: &Adapters,
    environ: &dyn Environ,
    report: &mut Report,
) -> (Option<Target>, Vec<MemberText>) {
    let mut lists = either(entry, own).filter_map(|section| Some((section, section.entry("targets")?)));
    let Some((section, list)) = lists.next() else {
        let Some((text, site)) = required(entry, "target", WHAT, report) else { return (None, Vec::new()) };
        return (one(&text, &site, adapters, environ, report).map(|target| (target, site)), Vec::new());
    };
    let site = section.site_of(list);
    if let Some((other, again)) = lists.next() {
        let what = format!("`targets` stands at {} already", site.place);
        report.problem(&other.site_of(again), what, "keep one of the two");
    }
    if entry.entry("target").is_some() {
        report.problem(&site, "both `target` and `targets` say where the entry leads", "remove one of the two");
    }
    let items = section.list("targets", report).unwrap_or_default();
    if items.is_empty() && matches!(list.node.value, Value::List(_)) {
        report.problem(&site, "`targets` holds no target", "write one, or `target`");
    }
    let read = |(node, site): (&Node, Site)| member(node, &site, adapters, environ, report);
    let members: Vec<MemberText> = items.into_iter().filter_map(read).collect();
    if !members.is_empty() && members.iter().all(|member| member.weight == 0.0) {
        report.problem(&site, "no target has a weight above 0, so none would ever be picked", "give one a weight");
    }
    (None, members)
}

fn member(
    node: &Node,
    site: &Site,
    adapters: &Adapters,
    environ: &dyn Environ,
    report: &mut Report,
) -> Option<MemberText> {
    let url = |text: &str, site: &Site, report: &mut Report| {
        let target = one(text, site, adapters, environ, report)?;
        if matches!(target, TargetText::Adapter { .. }) {
            report.problem(
                site,
                "an adapter is not one of several targets",
                "write it as `target` of an entry of its own",
            );
            return None;
        }
        Some((target, site.clone()))
    };
    if let Value::Text(text) = &node.value {
        let target = url(text, site, report);
        return Some(MemberText { site: site.clone(), target, headers: Vec::new(), weight: 1.0, order: LAST });
    }
    let section = Section::open(node, &site.path, &MEMBER, &[], report)?;
    let target = required(&section, "target", WHAT, report).and_then(|(text, site)| url(&text, &site, report));
    let (headers, key_header) = headers::read(&section, environ, report);
    if let Some((_, site)) = key_header {
        report.problem(
            &site,
            format!("`{}` is about clients, whichever target they are sent to", headers::USER_KEY),
            "write it under the entry's own headers",
        );
    }
    Some(MemberText {
        site: site.clone(),
        target,
        headers,
        weight: section.number("weight", report).unwrap_or(1.0),
        order: order(&section, report),
    })
}

/// A target of an entry.
fn one(text: &str, site: &Site, adapters: &Adapters, environ: &dyn Environ, report: &mut Report) -> Option<TargetText> {
    if let Some(found) = adapters.find(text) {
        return match found {
            Ok(id) => Some(TargetText::Adapter { name: text.to_owned(), id: id.to_owned() }),
            Err(fault) => {
                report.problem(site, fault.what, fault.mend);
                None
            }
        };
    }
    if text.contains('#') {
        report.problem(site, "the target has a fragment, which is never sent", "remove `#` and what follows");
        return None;
    }
    let (base, query) = match text.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (text, None),
    };
    let base = variables(base, site, environ, report);
    let query = match query {
        Some(query) => target_query(query, site, environ, report),
        None => Some(Vec::new()),
    };
    let (base, query) = (base?, query?);
    Some(TargetText::Url { base: base.text.expose().to_owned(), secret: base.secret, query })
}

/// The text with its variables replaced; a URL holds no other references.
pub(super) fn variables(text: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Expanded> {
    expand_variables(text, environ)
        .map_err(|faults| faults.iter().for_each(|fault| report.problem(site, fault.to_string(), fault.mend())))
        .ok()
}

fn target_query(query: &str, site: &Site, environ: &dyn Environ, report: &mut Report) -> Option<Vec<QueryText>> {
    let mut out = Vec::new();
    let mut all = true;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        if names_variable(name) {
            report.problem(site, "the name of a parameter is not expanded", "write NAME=os.environ/VARIABLE");
            all = false;
            continue;
        }
        let value = value.map(|value| variables(value, site, environ, report));
        all &= !matches!(value, Some(None));
        let value = value.flatten();
        // A referenced value is plain text; what the file spells out is in URL form already.
        let encoded = !value.as_ref().is_some_and(|value| value.secret);
        out.push(QueryText { name: name.to_owned(), value, encoded });
    }
    all.then_some(out)
}
