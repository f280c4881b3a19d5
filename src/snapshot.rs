//! A [`Config`] compiled: everything a request needs to know, immutable, shared by one `Arc`.
//!
//! The law: a request meets exactly one snapshot; a snapshot exists only when every rule of every route holds. The rules
//! stand beside their types; here their faults get the place in the file and become problems of the [`Report`].

mod built_in;
mod carried;
mod deployment;
mod entry;
mod group;
mod health;
mod keys;
mod models;
mod scrub;
mod service;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use carried::{Carried, Handover};
pub use group::{Group, Member, NoMember, Picked, Tried};
pub use health::{Health, Outcome, Patience};
pub use models::{Asked, Deployment, ModelGroup, Models};
pub use scrub::Scrub;
pub use service::{Service, twin};

use http::Version;
use http::header::{self, HeaderName, HeaderValue};

use crate::auth::{Book, KeyPlaces, KeyRecord, Keyring};
use crate::client::Trusted;
use crate::config::Config;
use crate::config::error::{Place, Report, Site};
use crate::header::{is_framing, is_hop_by_hop};
use crate::limit::{Claim, Counter, Failures, Gate, Holder};
use crate::route::{Methods, Pattern, Root, Table};
use crate::translate::Adapters;

/// What a request meets.
#[derive(Debug)]
pub struct Snapshot {
    /// The routes.
    pub routes: Table<Arc<Route>>,
    /// The path below which this proxy stands, where something before it has one.
    pub root: Option<Root>,
    /// Where a key may stand in a request for Tollgate itself.
    pub places: KeyPlaces,
    /// The keys.
    pub keyring: Keyring,
    /// Fields of a head.
    pub header_fields: usize,
    /// Bytes of a target.
    pub target_bytes: usize,
    /// The largest request body, in bytes.
    pub request_bytes: Option<u64>,
    /// The limit on requests in flight, where there is one.
    pub gate: Option<Gate>,
    /// The name under which this process signs `Via`, so that it knows a request it has sent itself.
    pub pseudonym: Arc<Pseudonym>,
    /// Failed credentials.
    pub failures: Failures,
    /// How much the whole proxy serves.
    pub quota: Option<Claim>,
    /// The models.
    pub models: Models,
    /// What no text of an upstream may tell.
    pub scrub: Scrub,
    /// What the next snapshot takes over.
    carried: Carried,
    /// Whether nothing can be asked of it.
    pub says_nothing: bool,
    /// Whether `/metrics` is served beside the routes.
    pub metrics_on_main: bool,
    /// Whether it then asks for a key.
    pub metrics_need_key: bool,
    /// Whether a virtual key must be granted each pass-through route by name, as in LiteLLM.
    pub grants_required: bool,
    /// Whose word on a client's address is taken.
    pub trusted: Arc<Trusted>,
    /// Whether upstreams are told who is calling, in `X-Forwarded-*`.
    pub forwarded_headers: bool,
    /// How long connecting may take: TCP, and again TLS.
    pub connect: Duration,
    /// How long an unused upstream connection is kept.
    pub idle: Duration,
}

/// A name that no other process has, and the `Via` fields that hold it (RFC 9110 section 7.6.3).
#[derive(Debug)]
pub struct Pseudonym {
    name: String,
    via: [HeaderValue; 2],
}

impl Pseudonym {
    fn new() -> Self {
        let name = format!("tollgate-{:08x}", uuid::Uuid::new_v4().as_fields().0);
        let via = ["1.1", "2"].map(|version| {
            // Made of ASCII alone; were it not, an empty field would still be a valid one.
            HeaderValue::from_str(&format!("{version} {name}")).unwrap_or(HeaderValue::from_static(""))
        });
        Self { name, via }
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.name.as_bytes()
    }

    /// The field for a request that came over `version`.
    pub fn via(&self, version: Version) -> &HeaderValue {
        let [one, two] = &self.via;
        if version == Version::HTTP_2 { two } else { one }
    }
}

/// A route and what it leads to.
#[derive(Debug)]
pub struct Route {
    /// The pattern, for logs.
    pub name: String,
    /// The file's own name for it.
    pub id: Option<String>,
    /// Where it stands in the file.
    pub place: Place,
    /// Who may use it.
    pub access: Access,
    /// Where a key may stand.
    pub places: KeyPlaces,
    /// What it leads to.
    pub lead: Lead,
    /// US dollars a request.
    pub cost: Option<f64>,
    /// The path, as the file has it; what keys are granted.
    pub path: String,
    /// The header that says which model is asked for.
    pub model_from: Option<HeaderName>,
    /// How much the route serves.
    pub quota: Option<Claim>,
    /// Whether no entry of the file made it.
    pub is_built_in: bool,
}

impl Route {
    /// Whether it asks for no model, but which there are.
    pub fn lists_models(&self) -> bool {
        matches!(self.lead, Lead::Service(Service::List))
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Who has a key.
    Key,
    /// Programs of this machine: it asks models, and nobody has set a key.
    Local,
    /// Everybody.
    Open,
}

/// What a route leads to.
#[derive(Debug)]
pub enum Lead {
    /// Models, by way of the translation service.
    Service(Service),
    /// Upstreams.
    Group(Box<Group>),
}

/// A snapshot that is not in force yet, and the keys of its config.
#[derive(Debug)]
pub struct Draft {
    snapshot: Snapshot,
    keys: Vec<KeyRecord>,
}

impl Draft {
    /// Puts it in force: from now on its keys are those of the config. Whether one was taken out.
    pub fn publish(self) -> (Snapshot, bool) {
        let taken = self.snapshot.keyring.book().is_some_and(|book| book.fix(self.keys));
        (self.snapshot, taken)
    }
}

/// Compiles `config`, whose keys are put into `book`. There is a snapshot exactly when nothing was added to the report.
pub fn compile(config: &Config, book: &Arc<Book>, report: &mut Report) -> Option<Snapshot> {
    draft(config, book, &Adapters::default(), None, report).map(|draft| draft.publish().0)
}

/// Compiles `config` to follow `before`: what is counted there goes on being counted.
pub fn draft(
    config: &Config,
    book: &Arc<Book>,
    adapters: &Adapters,
    before: Option<&Snapshot>,
    report: &mut Report,
) -> Option<Draft> {
    let problems = report.problems.len();
    let places = places(config, report);
    let root = root(config, report);
    let mut handover = Handover::from(before.map(|before| &before.carried));
    let models = deployment::models(config, &mut handover, report);
    let mut built: Vec<(Pattern, Methods, Arc<Route>)> = Vec::new();
    let mut sites: Vec<Site> = Vec::new();
    let mut around = entry::Around { config, places: &places, adapters, handover: &mut handover };
    for endpoint in &*config.endpoints {
        if let Some(entry) = entry::route(endpoint, &mut around, report) {
            sites.push(endpoint.path.as_ref().map_or_else(|| endpoint.site.clone(), |(_, site)| site.clone()));
            built.push(entry);
        }
    }
    if !models.is_empty() {
        built_in::add(&mut built, config, &places, adapters);
    }
    let routes = match Table::build(built) {
        Ok(routes) => Some(routes),
        Err(conflicts) => {
            for conflict in conflicts {
                let (Some(first), Some(second)) = (sites.get(conflict.first), sites.get(conflict.second)) else {
                    continue;
                };
                report.problem(
                    second,
                    format!("the same path and method are served by {} at {} already", first.path, first.place),
                    "remove one, or give each its own methods",
                );
            }
            None
        }
    };
    let trusted = trusted(config, report);
    let keys = keys::records(book, &config.keys, report);
    let routes = routes.filter(|_| report.problems.len() == problems)?;
    let limits = &config.limits;
    let scrub = Scrub::of(members(&routes, &models));
    let counted = before.and_then(|before| before.quota.as_ref()).map(|claim| Arc::clone(&claim.counter));
    let snapshot = Snapshot {
        routes,
        models,
        scrub,
        carried: handover.done(),
        root,
        places,
        keyring: Keyring::new(config.master_key.clone()).with_book(Arc::clone(book)),
        quota: quota(Holder::Proxy, limits.requests, None, &counted.unwrap_or_default()),
        says_nothing: config.says_nothing(),
        metrics_on_main: config.metrics_on_main,
        metrics_need_key: config.metrics_need_key,
        grants_required: config.grants_required,
        header_fields: config.edge.header_fields,
        target_bytes: config.edge.target_bytes,
        request_bytes: limits.request_bytes,
        failures: match before {
            Some(before) => before.failures.with_most(limits.failures),
            None => Failures::new(limits.failures),
        },
        gate: limits.parallel.map(|most| match before.and_then(|before| before.gate.as_ref()) {
            Some(gate) => gate.with_most(most),
            None => Gate::new(most),
        }),
        pseudonym: before.map_or_else(|| Arc::new(Pseudonym::new()), |before| Arc::clone(&before.pseudonym)),
        trusted: Arc::new(trusted),
        forwarded_headers: config.edge.forwarded_headers,
        connect: Duration::from_secs_f64(config.network.connect_seconds),
        idle: Duration::from_secs_f64(config.network.idle_seconds),
    };
    Some(Draft { snapshot, keys })
}

/// Every upstream that requests are sent to.
fn members<'s>(routes: &'s Table<Arc<Route>>, models: &'s Models) -> impl Iterator<Item = &'s Member> {
    let of_routes = routes.values().filter_map(|route| match &route.lead {
        Lead::Group(group) => Some(&**group),
        Lead::Service(_) => None,
    });
    let of_models = models.groups().filter_map(|group| group.lead.as_ref().ok());
    of_routes.chain(of_models).flat_map(Group::members)
}

fn quota(holder: Holder, requests: Option<u32>, parallel: Option<u32>, counter: &Arc<Counter>) -> Option<Claim> {
    let counter = Arc::clone(counter);
    (requests.is_some() || parallel.is_some()).then_some(Claim { holder, counter, requests, parallel })
}

fn trusted(config: &Config, report: &mut Report) -> Trusted {
    let read = config.edge.trusted_proxies.iter().filter_map(|(text, site)| {
        let network = text.parse().ok();
        if network.is_none() {
            report.problem(site, format!("`{text}` is not a network"), "write ADDRESS or ADDRESS/BITS, as 10.0.0.0/8");
        }
        network
    });
    Trusted::new(read.collect())
}

fn root(config: &Config, report: &mut Report) -> Option<Root> {
    let (text, site) = config.root_path.as_ref()?;
    match Root::parse(text) {
        Ok(root) => root,
        Err(error) => {
            report.problem(site, error.to_string(), error.mend());
            None
        }
    }
}

fn places(config: &Config, report: &mut Report) -> KeyPlaces {
    let named = config.key_header.as_ref().and_then(|(name, site)| header_name(name, site, report));
    KeyPlaces::new(named)
}

fn header_name(name: &str, site: &Site, report: &mut Report) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    let usable = parsed.filter(|name| !is_hop_by_hop(name) && !is_framing(name) && *name != header::HOST);
    if usable.is_none() {
        report.problem(site, format!("`{name}` is not a header that can hold a key"), "name one such as X-Company-Key");
    }
    usable
}
