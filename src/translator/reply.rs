//! What the client sees of an answer, and whether it is still there to see it.
//!
//! The law: every answer says which call, group and deployment it came of and how often it was tried; nothing in it names an
//! upstream's host.

use std::future::Future;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap};
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;

use super::Witness;
use super::exchange::{Answer, Attempt};
use super::serve::{Ended, Wish};
use crate::header::{OVERHEAD, milliseconds};
use crate::rejection::{Dialect, Rejection};
use crate::snapshot::Service;
use crate::translate::Call;

/// The type of a stream of events.
pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";
/// The type of everything else.
pub(super) const JSON: &str = "application/json";

/// Runs `work` unless the client leaves first. Its request has been read.
pub(super) async fn unless_gone<T>(http: &mut ServerSession, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = gone(http) => None,
    }
}

/// Ends when the client has left.
pub(super) async fn gone(http: &mut ServerSession) {
    // Whatever comes after a whole request, its end too, ends the call.
    while let Ok(Some(_)) = http.read_body_or_idle(true).await {}
}

/// Whether the body is a stream of events.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Whether the body has a coding, although none was asked for.
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The head of an answer that a deployment gave.
pub(super) fn head(
    attempt: Attempt<'_>,
    answer: &Answer,
    kind: &str,
    length: Option<usize>,
    witness: &dyn Witness,
) -> Result<ResponseHeader> {
    let mut head = plain(attempt.wish, kind, length)?;
    if let Some(deployment) = &attempt.member.deployment {
        head.insert_header("x-litellm-model-id", deployment.id.as_str())?;
    }
    head.insert_header("x-litellm-model-group", attempt.asked.group.name.as_str())?;
    head.insert_header("x-litellm-attempted-retries", attempt.count.retries)?;
    head.insert_header("x-litellm-attempted-fallbacks", attempt.count.fallbacks)?;
    if let Some(own) = witness.own() {
        head.insert_header(OVERHEAD, milliseconds(own))?;
    }
    if !answer.dropped.is_empty() {
        // Field names alone; one that no header can hold is told without its odd letters.
        let names = answer.dropped.join(", ");
        let names: String = names.chars().filter(|letter| (' '..='~').contains(letter)).take(1000).collect();
        head.insert_header("x-tollgate-dropped", names)?;
    }
    let upstreams = answer
        .session
        .response_header()
        .and_then(|head| ["x-request-id", "request-id"].iter().find_map(|name| head.headers.get(*name)).cloned());
    // An id that holds what no text may tell is none.
    let id = upstreams.as_ref().and_then(|id| id.to_str().ok());
    if let Some(id) = id.filter(|id| attempt.wish.snapshot.scrub.clean(id) == **id) {
        head.insert_header("llm_provider-x-request-id", id)?;
    }
    Ok(head)
}

/// The head of an answer.
fn plain(wish: Wish<'_>, kind: &str, length: Option<usize>) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(200, Some(20))?;
    head.insert_header("Content-Type", kind)?;
    match length {
        Some(length) => head.insert_header("Content-Length", length)?,
        None => {
            head.insert_header("Cache-Control", "no-cache")?;
            // What buffers streams on the way would hold back events.
            head.insert_header("X-Accel-Buffering", "no")?;
        }
    }
    name(&mut head, wish.service, wish.id)?;
    for (name, value) in wish.standing {
        head.insert_header(name, value.clone())?;
    }
    Ok(head)
}

/// Tells the id of the call, as everybody is told it and as the clients of the service look for it.
fn name(head: &mut ResponseHeader, service: &Service, id: &str) -> Result<()> {
    head.insert_header("x-litellm-call-id", id)?;
    match service.dialect() {
        Some(Dialect::Anthropic) => head.insert_header("request-id", id),
        _ => head.insert_header("x-request-id", id),
    }
}

/// Says why `call` is not served.
pub(super) async fn refuse(
    http: &mut ServerSession,
    service: &Service,
    rejection: &Rejection,
    call: &Call<'_>,
) -> Result<()> {
    let dialect = service.dialect().unwrap_or_default();
    let body = service.says(rejection, dialect, call);
    let mut head = ResponseHeader::build(rejection.status_in(dialect), Some(8))?;
    head.insert_header("Content-Type", JSON)?;
    head.insert_header("Content-Length", body.len())?;
    name(&mut head, service, call.id)?;
    for (name, value) in rejection.headers() {
        head.insert_header(name, value)?;
    }
    let body = if http.req_header().method == Method::HEAD { Vec::new() } else { body };
    http.write_response_header(Box::new(head)).await?;
    http.write_response_body(Bytes::from(body), true).await
}

/// Sends an answer of one piece that no deployment gave.
pub(super) async fn whole(http: &mut ServerSession, wish: Wish<'_>, witness: &mut dyn Witness, body: Bytes) -> Ended {
    match plain(wish, JSON, Some(body.len())) {
        Ok(head) => send(http, head, body, witness).await,
        Err(_) => Ended::Gone,
    }
}

/// Sends a head and the whole of a body.
pub(super) async fn send(
    http: &mut ServerSession,
    head: ResponseHeader,
    body: Bytes,
    witness: &mut dyn Witness,
) -> Ended {
    let length = body.len();
    witness.release();
    if say(http, head, witness).await.is_err() {
        return Ended::Gone;
    }
    witness.body(length);
    match http.write_response_body(body, true).await {
        Ok(()) => Ended::Whole,
        Err(_) => Ended::Gone,
    }
}

/// Begins a stream. HTTP/1.0 knows no chunks: there the connection's end ends it.
pub(super) async fn begin(http: &mut ServerSession, mut head: ResponseHeader, witness: &mut dyn Witness) -> Result<()> {
    match http.req_header().version {
        http::Version::HTTP_10 => http.set_keepalive(None),
        _ => head.insert_header(header::TRANSFER_ENCODING, "chunked")?,
    }
    witness.streams();
    say(http, head, witness).await
}

/// Sends a head. A stop may have been asked for since the call began.
async fn say(http: &mut ServerSession, head: ResponseHeader, witness: &mut dyn Witness) -> Result<()> {
    if witness.ends_connection() {
        http.set_keepalive(None);
    }
    witness.answered(head.status.as_u16());
    http.write_response_header(Box::new(head)).await
}
