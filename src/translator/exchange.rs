//! One deployment, asked once.
//!
//! The law: it is sent its own credential and nothing of the client's; of the client's fields only those that trace a call go
//! on. A redirect is never followed. Whatever it answers is read within limits.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::prelude::{HttpPeer, OrErr, Result};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::client::HttpSession;
use serde_json::Value;
use tokio::time::{self, timeout, timeout_at};

use super::asking::Question;
use super::serve::{Count, Tally, Wish};
use super::{Translator, Witness, relay, reply, upload, whole};
use crate::dial::{self, Terms};
use crate::limit::Held;
use crate::provider::{self, Operation, Style};
use crate::rejection::{Rejection, UpstreamFault};
use crate::snapshot::{Asked, Deployment, Member, Outcome, Service};

/// The client's fields that go on: what traces a call (W3C Trace Context; OpenAI's reference), and who makes it.
const TRACES: &[&str] = &["traceparent", "tracestate", "idempotency-key", "user-agent"];
/// The version of Anthropic's API where the client says none.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// How long the end of an answer is waited for that is over.
const LAST: Duration = Duration::from_millis(100);

/// What is asked of whom.
#[derive(Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) wish: Wish<'a>,
    pub(super) asked: &'a Asked,
    pub(super) member: &'a Member,
    pub(super) count: Count,
    /// What it has taken of the deployment's limits.
    pub(super) held: &'a Mutex<Held>,
}

/// An upstream's answer whose head has come.
pub(super) struct Answer {
    pub(super) session: HttpSession,
    pub(super) peer: HttpPeer,
    /// Whether the request was sent whole.
    pub(super) asked_whole: bool,
    /// The longest silence in it.
    pub(super) silence: Duration,
    /// What was left out of the request.
    pub(super) dropped: Vec<String>,
    /// Whether it needs no translation.
    pub(super) native: bool,
}

/// Why there is none.
enum Failure {
    /// The upstream has failed.
    Upstream(Rejection),
    /// It was not asked: nobody would do better.
    Ours(Rejection),
    /// The client has left.
    Gone,
}

impl Attempt<'_> {
    fn deployment(&self) -> Option<&Deployment> {
        self.member.deployment.as_deref()
    }

    /// The longest wait for the first byte, and silence after it: the deployment's, or a shorter one that the client asks for.
    fn silence(&self) -> Duration {
        let usual = self.usual_silence();
        self.wanted_silence().map_or(usual, |wanted| wanted.min(usual))
    }

    fn usual_silence(&self) -> Duration {
        match self.deployment() {
            Some(deployment) if self.wish.asking.streams() => deployment.stream_silence,
            _ => self.member.silence,
        }
    }

    fn wanted_silence(&self) -> Option<Duration> {
        let streams = self.wish.asking.streams();
        let names = if streams { ["x-litellm-stream-timeout", "x-litellm-timeout"] } else { ["x-litellm-timeout"; 2] };
        let seconds = |name: &&str| self.wish.fields.get(*name)?.to_str().ok()?.trim().parse::<f64>().ok();
        let wanted = names.iter().find_map(seconds).filter(|seconds| *seconds > 0.0)?;
        Duration::try_from_secs_f64(wanted).ok()
    }

    /// What a failure says of the upstream: nothing, where only the client was in a hurry; and of an error within an answer what
    /// its status would.
    pub(super) fn outcome(&self, rejection: &Rejection) -> Outcome {
        let hurried = || self.wanted_silence().is_some_and(|wanted| wanted < self.usual_silence());
        match rejection {
            Rejection::UpstreamTimeout if hurried() => Outcome::Elsewhere,
            Rejection::UpstreamSaid { problem, retry_after } => Outcome::of(problem.status, *retry_after),
            _ => Outcome::Failed,
        }
    }

    /// An upstream has failed so; another may do better.
    pub(super) fn failed(&self, rejection: Rejection) -> Tally {
        Tally::Failed { outcome: self.outcome(&rejection), rejection, wait: None }
    }

    /// What comes next ends the answer: the deployment's place is free.
    pub(super) fn release(&self) {
        drop(std::mem::take(&mut *self.held.lock()));
    }
}

/// What a service asks of a provider of this style, and whether the client speaks its language already.
fn operation(service: &Service, style: Style) -> (Operation, bool) {
    match service {
        Service::Adapter(adapter) if style == Style::Anthropic && adapter.is_messages() => (Operation::Messages, true),
        Service::CountTokens => (Operation::CountTokens, style == Style::Anthropic),
        Service::Adapter(_) => (Operation::Chat, false),
        Service::Chat | Service::List => (Operation::Chat, true),
        Service::Completions => (Operation::Completions, true),
        Service::Embeddings => (Operation::Embeddings, true),
    }
}

/// Why `member` cannot be asked for what `service` does; none: it can be.
pub(super) fn lacks(service: &Service, member: &Member) -> Option<Rejection> {
    let provider = member.deployment.as_deref()?.provider;
    let why = provider::lacks(provider, operation(service, provider.style).0)?;
    Some(Rejection::ModelUnserved(why.to_owned()))
}

impl Translator {
    /// Asks one deployment. It is not told how it did.
    pub(super) async fn attempt(
        &self,
        http: &mut ServerSession,
        attempt: Attempt<'_>,
        witness: &mut dyn Witness,
    ) -> Tally {
        if let Some(counted) = whole::tokens(attempt).await {
            return match counted {
                Ok(body) => {
                    attempt.release();
                    Tally::Answered(reply::whole(http, attempt.wish, witness, body).await)
                }
                Err(rejection) => Tally::Failed { rejection, outcome: Outcome::Fine, wait: None },
            };
        }
        let answer = match self.ask(http, attempt, witness).await {
            Ok(answer) => answer,
            Err(Failure::Gone) => return Tally::Gone,
            Err(Failure::Ours(rejection)) => return Tally::Failed { rejection, outcome: Outcome::Fine, wait: None },
            Err(Failure::Upstream(rejection)) => return attempt.failed(rejection),
        };
        let Some(head) = answer.session.response_header() else {
            return attempt.failed(Rejection::UpstreamFailed(UpstreamFault::Protocol));
        };
        let is_stream = attempt.wish.asking.streams() && reply::is_event_stream(&head.headers);
        match head.status {
            StatusCode::OK if reply::is_coded(&head.headers) => {
                witness.note("the upstream's answer has a content-encoding that was not asked for");
                attempt.failed(Rejection::UpstreamFailed(UpstreamFault::Protocol))
            }
            StatusCode::OK if is_stream => relay::stream(self, http, attempt, answer, witness).await,
            StatusCode::OK => whole::answer(self, http, attempt, answer, witness).await,
            status => whole::refusal(self, http, attempt, answer, status.as_u16(), witness).await,
        }
    }

    async fn ask(
        &self,
        http: &mut ServerSession,
        attempt: Attempt<'_>,
        witness: &mut dyn Witness,
    ) -> Result<Answer, Failure> {
        let internal = || Failure::Ours(Rejection::Internal);
        let deployment = attempt.deployment().ok_or_else(internal)?;
        let model = deployment.model(attempt.asked.star.as_deref());
        let (operation, native) = operation(attempt.wish.service, deployment.provider.style);
        let (body, dropped) = body(attempt, deployment, &model, native).map_err(Failure::Ours)?;
        let path = provider::path(deployment.provider, operation, &model);
        let path = attempt.member.target.path_and_query(path.as_bytes(), None, &|_| None, &|_| false);
        let request = request(attempt, operation, &path, body.len()).map_err(|_| internal())?;
        witness.asked(&deployment.id, Instant::now());
        let silence = attempt.silence();
        match reply::unless_gone(http, self.exchange(attempt, &request, &body, silence, witness)).await {
            None => Err(Failure::Gone),
            Some(Ok((session, peer, asked_whole))) => {
                Ok(Answer { session, peer, asked_whole, silence, dropped, native })
            }
            Some(Err((rejection, note))) => {
                if let Some(note) = note {
                    witness.note(&note);
                }
                Err(Failure::Upstream(rejection))
            }
        }
    }

    /// Sends the request and waits for the head of the answer. A pooled connection that turns out to be dead before a byte of
    /// it has come is nobody's failure: another takes its place, once, and so it is where a server says that it has not looked.
    async fn exchange(
        &self,
        attempt: Attempt<'_>,
        request: &RequestHeader,
        body: &Bytes,
        silence: Duration,
        witness: &mut dyn Witness,
    ) -> Result<(HttpSession, HttpPeer, bool), (Rejection, Option<String>)> {
        // Who waits for an answer waits for a connection too.
        let end = time::Instant::now() + silence;
        let late = |_| (Rejection::UpstreamTimeout, None);
        let mut fresh = false;
        loop {
            let (mut session, peer, reused) = timeout_at(end, self.connect(attempt, fresh)).await.map_err(late)??;
            witness.connected(reused);
            session.set_read_timeout(None);
            session.set_write_timeout(Some(silence));
            let held = dial::holds(attempt.member);
            let sent = upload::sent(&mut session, request.clone(), body.clone(), held);
            match timeout_at(end, sent).await.map_err(late)? {
                Ok(whole) => return Ok((session, peer, whole)),
                Err(error) if !fresh && dial::is_unheard(&error, reused) => fresh = true,
                Err(error) => return Err((dial::meaning(&error), Some(dial::described(&error)))),
            }
        }
    }

    /// A connection to the deployment: one that is there, or to the first of its addresses that takes one.
    async fn connect(
        &self,
        attempt: Attempt<'_>,
        fresh: bool,
    ) -> Result<(HttpSession, HttpPeer, bool), (Rejection, Option<String>)> {
        let unreachable = |why: dial::Unreachable| (Rejection::UpstreamFailed(UpstreamFault::Resolve), Some(why.0));
        let resolver = self.resolver.load_full();
        let addresses = dial::addresses(&resolver, attempt.member).await.map_err(unreachable)?;
        let snapshot = attempt.wish.snapshot;
        let terms = Terms { connect: snapshot.connect, idle: snapshot.idle, read: None, fresh };
        let mut last = (Rejection::UpstreamFailed(UpstreamFault::Connect), None);
        for number in 0..addresses.len() {
            let Some(address) = addresses.get(number) else { break };
            dial::permit(attempt.member, address).map_err(unreachable)?;
            let peer = dial::peer(attempt.member, address, terms);
            match self.connector.get_http_session(&peer).await {
                Ok((session, reused)) => return Ok((session, peer, reused)),
                Err(error) => last = (dial::meaning(&error), Some(dial::described(&error))),
            }
        }
        Err(last)
    }

    /// Gives a connection back that has nothing left to say; any other is closed. The end of what is over already may still be
    /// on its way.
    pub(super) async fn done_with(&self, mut answer: Answer) {
        let more = async { while let Ok(Some(_)) = answer.session.read_response_body().await {} };
        let _ = timeout(LAST, more).await;
        if answer.asked_whole && answer.session.response_done() {
            // One that was made for this request alone stays for none.
            let idle = answer.peer.options.idle_timeout;
            self.connector.release_http_session(answer.session, &answer.peer, idle).await;
        } else {
            answer.session.shutdown().await;
        }
    }
}

/// The body, as the deployment takes it, and what was left out of it.
fn body(
    attempt: Attempt<'_>,
    deployment: &Deployment,
    model: &str,
    native: bool,
) -> Result<(Bytes, Vec<String>), Rejection> {
    let (asking, service) = (attempt.wish.asking, attempt.wish.service);
    let remembered = match (&asking.question, asking.remembered(service, native)) {
        (Question::Plain(named) | Question::Messages(named), None) => {
            return Ok((Bytes::from(named.renamed(&asking.body, model, &deployment.defaults)), Vec::new()));
        }
        (_, Some(Ok(remembered))) => remembered,
        (_, Some(Err(refusal))) => return Err(Rejection::Untranslated(refusal.clone().told())),
        (Question::Chat { .. }, None) => return Err(Rejection::Internal),
    };
    let mut chat = asking.chat(service).map_err(|refusal| Rejection::Untranslated(refusal.told()))?;
    for (name, value) in &deployment.defaults {
        chat.entry(name.as_str()).or_insert_with(|| value.clone());
    }
    let fitted = provider::fit(&mut chat, deployment.provider, deployment.rules(model), &deployment.takes);
    chat.insert("model".to_owned(), Value::from(model));
    let dropped = remembered.dropped.iter().cloned().chain(fitted.into_iter().map(str::to_owned)).collect();
    let body = serde_json::to_vec(&chat).map_err(|_| Rejection::Internal)?;
    Ok((Bytes::from(body), dropped))
}

fn request(attempt: Attempt<'_>, operation: Operation, path: &[u8], length: usize) -> Result<RequestHeader> {
    let Attempt { wish, member, .. } = attempt;
    let mut request = RequestHeader::build("POST", path, Some(12))?;
    request.insert_header(header::HOST, member.target.host_value.clone())?;
    request.insert_header("Content-Type", "application/json")?;
    request.insert_header("Accept", if wish.asking.streams() { "text/event-stream" } else { "application/json" })?;
    request.insert_header("Content-Length", length)?;
    request.insert_header("Via", wish.snapshot.pseudonym.via(http::Version::HTTP_11).clone())?;
    let style = member.deployment.as_ref().map(|deployment| deployment.provider.style);
    for name in TRACES {
        carry(&mut request, wish.fields, name, attempt)?;
    }
    if style == Some(Style::Anthropic) {
        request.insert_header("anthropic-version", ANTHROPIC_VERSION)?;
        for name in ["anthropic-version", "anthropic-beta"] {
            carry(&mut request, wish.fields, name, attempt)?;
        }
    }
    for header in member.headers.configured() {
        request.insert_header(header.written.clone(), header.value.clone())?;
    }
    // Where Anthropic speaks as OpenAI does, it takes its key as OpenAI does
    // (<https://docs.anthropic.com/en/api/openai-sdk>).
    if style == Some(Style::Anthropic)
        && operation == Operation::Chat
        && let Some(key) = request.remove_header("x-api-key")
    {
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", key.as_bytes()].concat())
            .or_err(ErrorType::InvalidHTTPHeader, "the key")?;
        value.set_sensitive(true);
        request.insert_header(header::AUTHORIZATION, value)?;
    }
    Ok(request)
}

/// Sends on the client's lines of one name, but for one that holds a key.
fn carry(request: &mut RequestHeader, fields: &HeaderMap, name: &'static str, attempt: Attempt<'_>) -> Result<()> {
    let is_key = |value: &[u8]| attempt.wish.snapshot.keyring.occurs_in(value);
    let mut lines = fields.get_all(name).iter().filter(|value| !is_key(value.as_bytes()));
    if let Some(first) = lines.next() {
        request.insert_header(HeaderName::from_static(name), first.clone())?;
    }
    for line in lines {
        request.append_header(HeaderName::from_static(name), line.clone())?;
    }
    Ok(())
}
