//! `tollgate explain METHOD URL`: what would become of a request, and why.
//!
//! The law: the verdict is [`admit::step`]'s and the upstream's request is written by the functions that write it when
//! Tollgate serves; here they are only printed. Secrets are stars. Nothing is connected to or resolved, and no store is made.
//!
//! `upstream` prints what an admitted request would be sent as.

mod upstream;

use std::path::Path;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

use super::again::Sources;
use super::arguments::Request;
use super::load::{Ready, print, ready};
use super::output::{complain, say};
use super::settings::Settings;
use super::{BAD_CONFIG, BAD_USAGE, OK};
use crate::admit::{self, Head, Question, Step};
use crate::clock::Moment;
use crate::config::env::Process;
use crate::health::{Probe, Standing};
use crate::rejection::Rejection;
use crate::route::{Found, Near, Pattern, RequestPath, WhyNot, is_reserved};
use crate::snapshot::{Access, Route, Snapshot};

/// How many other routes are named.
const OTHERS: usize = 3;
/// Where the text of a row begins.
const COLUMN: usize = 11;

/// Explains `request` under the file at `path`. 0: it would be served, 1: it would be refused.
pub(super) fn run(request: &Request, environ: &Process, settings: &Settings, path: &Path) -> u8 {
    let asked = match Asked::read(request) {
        Ok(asked) => asked,
        Err(text) => {
            complain(&format!("error: {text}\n"));
            return BAD_USAGE;
        }
    };
    let (ready, mut report) = ready(path, environ, settings, false);
    // Warnings are for `check`.
    report.notices.clear();
    print(&report);
    let Some(Ready { config, snapshot, state, texts, .. }) = ready else { return BAD_CONFIG };
    // The keys and entries of the store, as a server would know them.
    let kept = state.serve(Box::new(|| {})).and_then(|parts| {
        let overrides = settings.overrides.clone();
        let adapters = settings.adapters.clone();
        Sources { path: path.to_owned(), overrides, adapters, shelf: parts.shelf }.added_to((config, snapshot), &texts)
    });
    let snapshot = match kept {
        Ok((_, snapshot)) => snapshot,
        Err(text) => {
            complain(&format!("error: {text}\n"));
            return BAD_CONFIG;
        }
    };
    let (page, served) = explained(&asked, &snapshot);
    say(&page.0);
    if served { OK } else { BAD_CONFIG }
}

/// The request as it would come over HTTP/1.1.
struct Asked {
    method: Method,
    target: String,
    headers: HeaderMap,
}

impl Asked {
    fn read(request: &Request) -> Result<Self, String> {
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|_| format!("{} is not a method; write GET, POST, …", request.method))?;
        // A client keeps the fragment to itself.
        let target = request.url.split('#').next().unwrap_or_default().to_owned();
        let plain = target.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !plain || !(target.starts_with('/') || target.contains("://")) {
            return Err("the URL is no path such as /v1/rerank and no URL; escape other than ASCII as %XX".into());
        }
        let mut headers = HeaderMap::new();
        for line in &request.headers {
            let read = line.split_once(':').and_then(|(name, value)| {
                let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
                Some((name, HeaderValue::from_str(value.trim()).ok()?))
            });
            // It may hold a key: it is not repeated.
            let (name, value) =
                read.ok_or("a header is not `NAME: VALUE`; write -H 'content-type: application/json'")?;
            headers.append(name, value);
        }
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        }
        Ok(Self { method, target, headers })
    }

    fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            target: self.target.as_bytes(),
            headers: &self.headers,
            version: Version::HTTP_11,
            client: None,
            inside: false,
            now: Moment::now(),
        }
    }
}

/// Rows of a label and its text.
struct Page(String);

impl Page {
    fn row(&mut self, label: &str, text: &str) {
        self.0 += format!("{label:COLUMN$}{text}").trim_end();
        self.0.push('\n');
    }
}

fn explained(asked: &Asked, snapshot: &Snapshot) -> (Page, bool) {
    let mut page = Page(String::new());
    match admit::step(snapshot, asked.head()) {
        Step::Admit(admission) => {
            page.row("answer", "the upstream's");
            route(&mut page, asked, snapshot, Some(&admission.route));
            let caller = match (&admission.principal, admission.route.access) {
                (Some(principal), Access::Key) => format!("{}, by the key in the request", principal.name()),
                (Some(principal), Access::Local | Access::Open) => {
                    format!("{}, though nobody needs a key here", principal.name())
                }
                (None, _) => "anybody: the route is open".to_owned(),
            };
            page.row("caller", &caller);
            upstream::rows(&mut page, asked, snapshot, &admission);
            (page, true)
        }
        Step::Own(probe) => {
            let (status, body) = probe.answer(Standing::default());
            page.row("answer", &format!("{status} {body}"));
            page.row("route", "none: Tollgate answers this path itself");
            page.row("caller", if probe == Probe::Models { "who has a key" } else { "anybody" });
            (page, true)
        }
        Step::Metrics => {
            page.row("answer", "200, what is counted");
            page.row("route", "none: Tollgate answers this path itself");
            page.row("caller", "anybody");
            (page, true)
        }
        Step::Manage(managed) => {
            page.row("answer", &format!("what {} says", managed.asked.call.name()));
            page.row("route", "none: Tollgate answers this path itself");
            page.row("caller", &format!("{}, by the key in the request", managed.principal.name()));
            (page, true)
        }
        Step::Reject(refusal) => {
            let rejection = &refusal.rejection;
            page.row("answer", &format!("{} {}", rejection.status(), rejection.reason()));
            page.row("", &rejection.message());
            route(&mut page, asked, snapshot, refusal.route.as_deref());
            if let Rejection::Auth { .. } = rejection {
                page.row("caller", "nobody who may use the route");
            }
            (page, false)
        }
        Step::Ask(Question::Model(pending)) => {
            page.row("answer", "a model's, as the body names it");
            route(&mut page, asked, snapshot, Some(pending.route()));
            let caller = pending.principal().map_or_else(
                || "anybody: the route is open".to_owned(),
                |principal| format!("{}, by the key in the request", principal.name()),
            );
            page.row("caller", &caller);
            let names = snapshot.models.names();
            let none = "none: whatever the body asks for is refused, 404";
            page.row("models", if names.is_empty() { none.to_owned() } else { names.join(", ") }.as_str());
            page.row("body", &format!("at most {} bytes", pending.most_bytes(snapshot)));
            (page, !names.is_empty())
        }
        Step::Methods(methods) => {
            page.row("answer", &format!("204, Allow: {}", methods.join(", ")));
            (page, true)
        }
    }
}

/// The route that serves the path, why, and why not the others.
fn route(page: &mut Page, asked: &Asked, snapshot: &Snapshot, route: Option<&Route>) {
    let Ok(path) = admit::matched_path(snapshot, asked.target.as_bytes()) else { return };
    if is_reserved(&path) {
        return page.row("route", "none: the path is Tollgate's own");
    }
    let shown = |text: &[u8]| {
        if snapshot.keyring.occurs_in(text) { "***".into() } else { String::from_utf8_lossy(text).into_owned() }
    };
    let found = match (route, snapshot.routes.find(&path, &asked.method)) {
        (Some(route), Found::Route(found)) => {
            page.row("route", &format!("{} ({})", name(found.pattern), place(route)));
            page.row("because", &because(found.pattern, &path, shown));
            true
        }
        _ => {
            page.row("route", "none");
            false
        }
    };
    let near = snapshot.routes.nearest(&path, &asked.method, OTHERS);
    // What begins with another segment is nothing that anybody would have expected.
    let telling = near.iter().enumerate().filter(|(at, near)| near.why != WhyNot::Differs(1) || (*at == 0 && !found));
    let mut label = "others";
    for (_, near) in telling {
        page.row(label, &format!("{} ({}): {}", name(near.pattern), place(near.value), why_not(near, &path, shown)));
        label = "";
    }
}

/// Where the route stands in the file.
fn place(route: &Route) -> String {
    if route.is_built_in { "built in".into() } else { route.place.to_string() }
}

fn name(pattern: &Pattern) -> String {
    format!("{}{}", pattern.to_string().trim_end_matches('/'), if pattern.has_subpath() { "/*" } else { "" })
}

fn because(pattern: &Pattern, path: &RequestPath<'_>, shown: impl Fn(&[u8]) -> String) -> String {
    let captured: Vec<String> =
        pattern.names().filter_map(|name| Some(format!("{name} = {}", shown(pattern.capture(name, path)?)))).collect();
    let template = if captured.is_empty() { String::new() } else { format!(", with {}", captured.join(", ")) };
    if path.len() > pattern.len() {
        format!("no longer route serves the path, and this one serves everything below it{template}")
    } else if captured.is_empty() {
        "the path is the route's own".to_owned()
    } else {
        format!("the path fits the template{template}")
    }
}

fn why_not(near: &Near<'_, Arc<Route>>, path: &RequestPath<'_>, shown: impl Fn(&[u8]) -> String) -> String {
    match &near.why {
        WhyNot::Differs(segment) => {
            format!("segment {segment} of the path is `{}`", shown(path.canon(segment - 1)))
        }
        WhyNot::Ends => "it ends where the path goes on, and has no include_subpath: true".to_owned(),
        WhyNot::GoesOn => "it goes on where the path ends".to_owned(),
        WhyNot::LessSpecific => "it serves the path too, and is less specific".to_owned(),
        WhyNot::OtherMethods(methods) => format!("it serves the path, but only {}", methods.join(", ")),
    }
}
