//! May this request pass? Match, then authenticate, then limit.
//!
//! The law: [`step`] is a pure function of a snapshot and a request head, and the only maker of an [`Admission`]; whatever
//! serves a request must hold one. What it cannot know it asks for (`Step::Ask`), the shell answers and steps again: stores,
//! shared counters and waiting will enter there. The same admission serves every kind of route.

mod asked;
mod heard;
mod own;
mod quota;
mod refuse;

use std::net::IpAddr;
use std::sync::Arc;

pub use asked::{MODEL_BODY, Pending, may_use, resume, shown as shown_model};
pub use heard::Heard;
use quota::Wanted;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Version};

use crate::auth::{AuthFault, KeyPlaces, Principal};
use crate::clock::Moment;
use crate::health::Probe;
use crate::limit::{Held, Place};
use crate::management::{Asked, Call};
use crate::rejection::{Dialect, Rejection};
use crate::route::{Found, Match, PathError, RequestPath, is_reserved};
use crate::snapshot::{Access, Asked as AskedModel, Lead, Member, Route, Service, Snapshot};

const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The head of a request, as the client wrote it.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target: path and query in any form of RFC 9112 section 3.2.
    pub target: &'a [u8],
    /// The fields.
    pub headers: &'a HeaderMap,
    /// The protocol version.
    pub version: Version,
    /// Who sends it.
    pub client: Option<IpAddr>,
    /// Whether it came to the admin listener, where no route is served.
    pub inside: bool,
    /// When it came.
    pub now: Moment,
}

/// What comes of a step.
#[derive(Debug)]
pub enum Step {
    /// The request may pass.
    Admit(Box<Admission>),
    /// It may not.
    Reject(Refusal),
    /// Something outside must be known first.
    Ask(Question),
    /// It asks for the methods of a path.
    Methods([&'static str; 2]),
    /// Tollgate answers it itself.
    Own(Probe),
    /// It asks for what is counted.
    Metrics,
    /// It is a call of the key API.
    Manage(Box<Managed>),
}

/// What a step may need to know: every key and limit is in the snapshot, but a model may stand in the body.
#[derive(Debug)]
pub enum Question {
    /// Which model is asked for. [`resume`] goes on with the answer.
    Model(Pending),
}

/// The right to make a call of the key API.
#[derive(Debug)]
pub struct Managed {
    /// The call.
    pub asked: Asked,
    /// Who makes it.
    pub principal: Principal,
    /// What was counted against the caller's limits.
    pub held: Held,
}

/// A rejection with what the answer and the log need besides.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub rejection: Rejection,
    /// How to say it.
    pub dialect: Dialect,
    /// The route that refused, where one was found.
    pub route: Option<Arc<Route>>,
    /// Who was refused, where that is known.
    pub principal: Option<Principal>,
}

/// What is known of a request when it is refused.
#[derive(Default)]
struct Seen {
    route: Option<Arc<Route>>,
    principal: Option<Principal>,
}

/// The right to be served.
#[derive(Debug)]
pub struct Admission {
    /// The route.
    pub route: Arc<Route>,
    /// Who is calling; none on an open route.
    pub principal: Option<Principal>,
    /// How errors are said.
    pub dialect: Dialect,
    /// The canonical path, for logs.
    pub path: String,
    /// What the client wrote below the route's path.
    rest: Vec<u8>,
    query: Option<Vec<u8>>,
    captures: Vec<(String, Vec<u8>)>,
    place: Option<Place>,
    /// The model, as the client calls it, and who serves it.
    pub model: Option<(String, AskedModel)>,
    /// What was counted against limits; slots come back when it is dropped, or released.
    pub held: Held,
}

/// Decides over one request.
pub fn step(snapshot: &Snapshot, head: Head<'_>) -> Step {
    let mut seen = Seen::default();
    match admit(snapshot, head, &mut seen) {
        Ok(step) => step,
        Err(rejection) => {
            let Seen { route, principal } = seen;
            let dialect = dialect(head, route.as_deref());
            Step::Reject(Refusal { rejection, dialect, route, principal })
        }
    }
}

fn admit(snapshot: &Snapshot, head: Head<'_>, seen: &mut Seen) -> Result<Step, Rejection> {
    let (raw, query) = split_target(head.target);
    refuse::method(snapshot, head.method)?;
    refuse::misreadable(snapshot, head)?;
    let whole = RequestPath::parse(raw).map_err(Rejection::BadPath)?;
    let below = below_root(snapshot, &whole);
    let path = below.as_ref().unwrap_or(&whole);
    refuse::looped(snapshot, head.headers)?;
    if is_reserved(path) {
        return own::asked(snapshot, path, &whole, head, query);
    }
    if head.inside {
        let (method, path) = (head.method.to_string(), shown(snapshot, &whole));
        return Err(Rejection::NoRoute { method, path, nearest: None });
    }
    let found = find(snapshot, path, &whole, head.method)?;
    seen.route = Some(Arc::clone(found.value));
    refuse::foreign(found.value, head)?;
    // A reserved path may hold a key, as LiteLLM's own calls do; a path that is sent on may not.
    if snapshot.keyring.occurs_in(raw) {
        return Err(Rejection::KeyInPath);
    }
    let service = match &found.value.lead {
        Lead::Service(service) => Some(service),
        Lead::Group(_) => None,
    };
    if let Some(step) = service.map(|service| asked::by_method(service, head.method)).transpose()?.flatten() {
        return Ok(step);
    }
    let open = found.value.access != Access::Key;
    let principal = authenticate(snapshot, &found.value.places, open, head, path, query)?;
    if head.headers.contains_key(header::UPGRADE) && is_websocket(head.headers) {
        return Err(Rejection::Upgrade);
    }
    refuse::expectation(head)?;
    limit_body(service.map(|_| MODEL_BODY), snapshot, head.headers)?;
    let place = match &snapshot.gate {
        Some(gate) => Some(gate.enter().ok_or(Rejection::TooManyInFlight)?),
        None => None,
    };
    let mut admission = Admission {
        route: Arc::clone(found.value),
        principal,
        dialect: dialect(head, Some(found.value)),
        path: whole.canonical().into_owned(),
        model: None,
        held: Held::default(),
        rest: if found.pattern.has_subpath() { path.rest(found.pattern.len()).to_vec() } else { Vec::new() },
        query: query.map(<[u8]>::to_vec),
        captures: if takes_captures(&found.value.lead) { captures(&found, path) } else { Vec::new() },
        place,
    };
    if service.is_some_and(Service::takes_model) {
        let matched = path.canonical().into_owned();
        let wanted = Wanted { route: found.value, path: &matched, model: None, served: true };
        match &admission.principal {
            Some(Principal::Key(key)) => quota::may_come(snapshot, key, wanted, head.now.steady),
            _ => quota::may_anybody_come(snapshot, found.value, head.now.steady),
        }
        .inspect_err(|_| seen.principal.clone_from(&admission.principal))?;
        return Ok(Step::Ask(Question::Model(Pending { admission: Box::new(admission), matched })));
    }
    admission.refuse_dots()?;
    // Last, so that nothing is counted for what is refused for another reason.
    admission.held = match &admission.principal {
        Some(Principal::Key(key)) => {
            let matched = path.canonical();
            let model = model(&found, path, head.headers);
            let asked = Wanted { route: found.value, path: &matched, model: model.as_deref(), served: true };
            quota::take_for(snapshot, key, asked, head.now.steady)
        }
        _ => quota::take(snapshot, found.value, head.now.steady),
    }
    .inspect_err(|_| seen.principal.clone_from(&admission.principal))?;
    Ok(Step::Admit(Box::new(admission)))
}

/// Whether somebody may ask what the path's names stand for.
fn takes_captures(lead: &Lead) -> bool {
    match lead {
        Lead::Group(group) => group.members().any(|member| member.target.has_captures()),
        Lead::Service(_) => true,
    }
}

/// The path below `SERVER_ROOT_PATH`; none where there is no such prefix.
fn below_root<'a>(snapshot: &Snapshot, whole: &RequestPath<'a>) -> Option<RequestPath<'a>> {
    snapshot.root.as_ref().and_then(|root| root.strip(whole))
}

/// The path of `target` as routes are held against it.
pub fn matched_path<'a>(snapshot: &Snapshot, target: &'a [u8]) -> Result<RequestPath<'a>, PathError> {
    let whole = RequestPath::parse(split_target(target).0)?;
    Ok(below_root(snapshot, &whole).unwrap_or(whole))
}

/// The call of the key API that `target` makes.
pub fn call(snapshot: &Snapshot, target: &[u8]) -> Option<Call> {
    matched_path(snapshot, target).ok().and_then(|path| Call::asked_by(&path).next())
}

/// What `target` asks of Tollgate itself.
pub fn probe(snapshot: &Snapshot, target: &[u8]) -> Option<Probe> {
    matched_path(snapshot, target).ok().and_then(|path| Probe::asked_by(&path))
}

/// A path for a message: no key is repeated.
fn shown(snapshot: &Snapshot, path: &RequestPath<'_>) -> String {
    let text = path.canonical();
    if snapshot.keyring.occurs_in(text.as_bytes()) { "a path with a key in it".into() } else { text.into_owned() }
}

/// Path and query of an origin-form or absolute-form target; anything else is no path.
fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    let path = match memchr::memmem::find(target, b"://") {
        Some(at) if target.first() != Some(&b'/') => {
            let rest = target.get(at + 3..).unwrap_or_default();
            match memchr::memchr2(b'/', b'?', rest) {
                Some(at) if rest.get(at) == Some(&b'/') => rest.get(at..).unwrap_or_default(),
                Some(at) => return (b"/", rest.get(at + 1..)),
                None => b"/",
            }
        }
        _ => target,
    };
    match memchr::memchr(b'?', path) {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}

fn find<'s>(
    snapshot: &'s Snapshot,
    path: &RequestPath<'_>,
    whole: &RequestPath<'_>,
    method: &Method,
) -> Result<Match<'s, Arc<Route>>, Rejection> {
    match snapshot.routes.find(path, method) {
        Found::Route(found) => Ok(found),
        Found::OtherMethods(methods) => {
            Err(Rejection::MethodNotAllowed(methods.into_iter().map(str::to_owned).collect()))
        }
        Found::Nothing => Err(Rejection::NoRoute {
            method: method.to_string(),
            path: shown(snapshot, whole),
            nearest: nearest(snapshot, path, method),
        }),
    }
}

/// The path of the file that is most like `path`; one that holds a key is not told.
fn nearest(snapshot: &Snapshot, path: &RequestPath<'_>, method: &Method) -> Option<String> {
    let near = snapshot.routes.nearest(path, method, 1);
    near.first().map(|near| near.pattern.to_string()).filter(|text| !snapshot.keyring.occurs_in(text.as_bytes()))
}

fn authenticate(
    snapshot: &Snapshot,
    places: &KeyPlaces,
    open: bool,
    head: Head<'_>,
    path: &RequestPath<'_>,
    query: Option<&[u8]>,
) -> Result<Option<Principal>, Rejection> {
    let last = path.canon(path.len().saturating_sub(1));
    match places.authenticate(head.headers, last, query, &snapshot.keyring, open, head.now.calendar) {
        Ok(principal) => Ok(Some(principal)),
        // On an open route what nobody knows is the caller's own business.
        Err(AuthFault::Missing | AuthFault::Unknown) if open => Ok(None),
        Err(fault) => {
            let guesser = head.client.filter(|_| fault == AuthFault::Unknown);
            match guesser.and_then(|client| snapshot.failures.note(client)) {
                Some(seconds) => Err(Rejection::Guessing(seconds)),
                None => Err(Rejection::Auth { fault, places: places.described(last) }),
            }
        }
    }
}

/// The model that is asked for, where path or headers say it: `{model}`, or the header that the route names.
fn model(found: &Match<'_, Arc<Route>>, path: &RequestPath<'_>, headers: &HeaderMap) -> Option<String> {
    let header = found.value.model_from.as_ref().and_then(|name| headers.get(name)).map(HeaderValue::as_bytes);
    let said = header.or_else(|| found.pattern.capture("model", path))?;
    std::str::from_utf8(said).ok().map(|model| model.trim().to_owned()).filter(|model| !model.is_empty())
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).iter().any(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"websocket"))
}

/// A declared length is judged before the upstream hears of the request; a chunked body while it flows.
fn limit_body(usual: Option<u64>, snapshot: &Snapshot, headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(most) = snapshot.request_bytes.or(usual) else { return Ok(()) };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| declared > most) { Err(Rejection::BodyTooLarge(most)) } else { Ok(()) }
}

fn captures(found: &Match<'_, Arc<Route>>, path: &RequestPath<'_>) -> Vec<(String, Vec<u8>)> {
    let pattern = found.pattern;
    pattern
        .names()
        .filter_map(|name| pattern.capture(name, path).map(|value| (name.to_owned(), value.to_vec())))
        .collect()
}

/// In which shape an error is said: the route's, where its service has one, or what the request's head suggests.
fn dialect(head: Head<'_>, route: Option<&Route>) -> Dialect {
    if let Some(Lead::Service(service)) = route.map(|route| &route.lead)
        && let Some(dialect) = service.dialect()
    {
        return dialect;
    }
    let (path, _) = split_target(head.target);
    let messages = path.ends_with(b"/v1/messages") || path.ends_with(b"/v1/messages/count_tokens");
    // A look at a few names is cheaper than the hash of one that most requests do not have.
    if messages || head.headers.keys().any(|name| *name == ANTHROPIC_VERSION) {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}

impl Admission {
    /// Gives back what others wait for. The request is over as far as limits go, though its client may not know yet.
    pub fn release(&mut self) {
        self.place = None;
        self.held.release();
    }

    /// The path and query that `member` is asked for.
    pub fn path_and_query(&self, member: &Member, snapshot: &Snapshot) -> Vec<u8> {
        let capture =
            |name: &str| self.captures.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
        let is_key = |value: &[u8]| snapshot.keyring.occurs_in(value);
        member.target.path_and_query(&self.rest, self.query.as_deref(), &capture, &is_key)
    }

    /// A capture beside literal text can form a dot segment that neither has alone.
    fn refuse_dots(&self) -> Result<(), Rejection> {
        let Lead::Group(group) = &self.route.lead else { return Ok(()) };
        let capture =
            |name: &str| self.captures.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
        for member in group.members().filter(|member| member.target.has_captures()) {
            let written = member.target.path_and_query(&self.rest, None, &capture, &|_| false);
            RequestPath::parse(split_target(&written).0).map(|_| ()).map_err(Rejection::BadPath)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
