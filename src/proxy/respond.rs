//! The one place that answers for Tollgate itself.
//!
//! The law of early answers: no byte of a body is ever read as a request. A body of at most [`SMALL`] bytes is read first,
//! and the connection lives on; a client that waits for `100 Continue` is answered and let go; a larger body is answered
//! with `Connection: close`, and what still comes is thrown away for a while, so that the client can read the answer
//! instead of running into a reset.

use std::time::Duration;

use bytes::Bytes;
use http::{Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, Result, Session};
use pingora::proxy::FailToProxy;
use tokio::time::{Instant, timeout_at};

use super::ctx::RequestCtx;
use super::fault;
use super::forward::CALL_ID;
use crate::health::{Probe, Standing};
use crate::metrics::CONTENT_TYPE;
use crate::rejection::Rejection;

/// How many configs have been in force, for who manages them.
const GENERATION: &str = "x-tollgate-generation";
/// The largest body that is read to keep a connection.
const SMALL: u64 = 64 << 10;
/// The most that is thrown away of a larger one.
const MOST_DISCARDED: u64 = 64 << 20;
/// How long it is thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// An answer of ours.
pub(super) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Whether the connection ends with it.
    ends: bool,
}

impl Answer {
    /// The answer that says `rejection`.
    pub(super) fn refusing(rejection: &Rejection, session: &Session, ctx: &RequestCtx) -> Self {
        let mut headers = rejection.headers();
        headers.extend(ctx.request_id().map(|name| (name, ctx.record.call_id().to_owned())));
        Self {
            status: rejection.status_in(ctx.dialect),
            headers,
            body: Bytes::from(ctx.said(rejection, session.req_header())),
            ends: rejection.ends_connection(),
        }
    }

    /// The answer to a question after our health.
    pub(super) fn telling(probe: Probe, standing: Standing) -> Self {
        let (status, body) = probe.answer(standing);
        Self { status, headers: Vec::new(), body: Bytes::from(body.into_owned()), ends: false }
    }

    /// The answer that says which methods a path takes.
    pub(super) fn allowing(methods: [&'static str; 2]) -> Self {
        let headers = vec![("Allow", methods.join(", "))];
        Self { status: 204, headers, body: Bytes::new(), ends: false }
    }

    /// An answer of JSON that anybody may keep.
    pub(super) fn listing(value: &serde_json::Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: Bytes::from(value.to_string()), ends: false }
    }

    /// What Prometheus reads.
    pub(super) fn measured(text: String) -> Self {
        Self {
            status: 200,
            headers: vec![("Content-Type", CONTENT_TYPE.to_owned())],
            body: Bytes::from(text),
            ends: false,
        }
    }

    /// The answer to a call of the key API. It may hold a key, so nobody keeps it.
    pub(super) fn saying(value: &serde_json::Value, generation: u64) -> Self {
        let headers = vec![("Cache-Control", "no-store".to_owned()), (GENERATION, generation.to_string())];
        Self { status: 200, headers, body: Bytes::from(value.to_string()), ends: false }
    }
}

/// Answers a request whose body has not been touched.
pub(super) async fn early(session: &mut Session, ctx: &mut RequestCtx, answer: Answer) -> Result<()> {
    let read = session.downstream_session.is_body_done();
    let waits = !read && waits(session);
    let small = read || declared(session).is_none_or(|declared| declared <= SMALL);
    let stays = !answer.ends && !ctx.is_draining();
    if stays && !waits && small && discard(session, SMALL).await {
        return write(session, ctx, answer).await;
    }
    session.downstream_session.set_keepalive(None);
    write(session, ctx, answer).await?;
    if !waits {
        discard(session, MOST_DISCARDED).await;
    }
    Ok(())
}

/// The length that the client declares of its body.
pub(super) fn declared(session: &Session) -> Option<u64> {
    session.req_header().headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// Whether an HTTP/2 client declares a body of no bytes. Over HTTP/1 that is the end of the message; here bytes may follow, which break
/// it (RFC 9113 section 8.1.1), and no upstream should have heard of it by then.
pub(super) fn says_none(session: &Session) -> bool {
    session.req_header().version == Version::HTTP_2 && declared(session) == Some(0)
}

/// Whether the body ends within `patience` without having begun.
pub(super) async fn ends(session: &mut Session, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        match timeout_at(end, session.downstream_session.read_request_body()).await {
            Ok(Ok(None)) => return true,
            Ok(Ok(Some(bytes))) if bytes.is_empty() => {}
            _ => return false,
        }
    }
}

/// Whether the client waits for `100 Continue`; HTTP/1.0 knows none.
pub(super) fn waits(session: &Session) -> bool {
    let header = session.req_header();
    header.version != Version::HTTP_10 && header.headers.contains_key(header::EXPECT)
}

/// Answers a request that failed on its way to or from the upstream; or lets a broken answer be seen as broken.
pub(super) async fn late(session: &mut Session, error: &Error, ctx: &mut RequestCtx) -> FailToProxy {
    let rejection = fault::reading(error, ctx);
    ctx.release();
    ctx.record.failed(error, rejection.as_ref());
    ctx.rejection.clone_from(&rejection);
    let answered = session.response_written().is_some_and(|header| !header.status.is_informational());
    let mut status = 0;
    match rejection {
        _ if answered => {
            if let Some(vitals) = &ctx.vitals {
                vitals.must_break();
            }
            reset(session);
        }
        None => {}
        Some(rejection) => {
            status = rejection.status();
            session.downstream_session.set_keepalive(None);
            let answer = Answer::refusing(&rejection, session, ctx);
            if write(session, ctx, answer).await.is_ok() {
                discard(session, MOST_DISCARDED).await;
            }
        }
    }
    FailToProxy { error_code: status, can_reuse_downstream: false }
}

/// Reads and forgets what is left of the body. False when there was more, or it did not come in time.
async fn discard(session: &mut Session, most: u64) -> bool {
    let end = Instant::now() + LINGER;
    let mut seen = 0;
    while !session.downstream_session.is_body_done() {
        match timeout_at(end, session.downstream_session.read_request_body()).await {
            Ok(Ok(Some(bytes))) => seen += bytes.len() as u64,
            Ok(Ok(None)) => return true,
            Ok(Err(_)) | Err(_) => return false,
        }
        if seen > most {
            return false;
        }
    }
    true
}

async fn write(session: &mut Session, ctx: &mut RequestCtx, answer: Answer) -> Result<()> {
    let mut header = ResponseHeader::build(answer.status, Some(6))?;
    // RFC 9110 section 8.6: what has no body says nothing of its length.
    if answer.status != 204 {
        header.insert_header("Content-Type", "application/json")?;
        header.insert_header("Content-Length", answer.body.len())?;
    }
    header.insert_header(CALL_ID, ctx.record.call_id())?;
    for (name, value) in answer.headers {
        header.insert_header(name, value)?;
    }
    ctx.record.answered(answer.status);
    let bodiless = session.req_header().method == http::Method::HEAD;
    session.downstream_session.write_response_header(Box::new(header)).await?;
    let bytes = if bodiless { Bytes::new() } else { answer.body };
    session.downstream_session.write_response_body(bytes, true).await
}

/// A client of HTTP/1.0 takes the end of the connection for the end of the body, unless it is a reset.
fn reset(session: &Session) {
    use std::os::fd::RawFd;

    use nix::libc::linger;
    use nix::sys::socket::{setsockopt, sockopt};

    if let Some(stream) = session.downstream_session.stream() {
        let descriptor: RawFd = stream.id();
        let now = linger { l_onoff: 1, l_linger: 0 };
        if let Err(error) = setsockopt(descriptor, sockopt::Linger, &now) {
            log::debug!("a broken answer could not be reset: {error}");
        }
    }
}
