//! The request an upstream sees, and the answer a client sees.
//!
//! The law: Pingora has removed hop-by-hop and nominated fields before this runs, so that no client can strip what is
//! injected here; a configured field stands exactly once; a known key is in no field that is sent on. On the way back status,
//! body and fields stay as the upstream gave them, but for what speaks for a connection or in Tollgate's name.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, Result};
use smallvec::SmallVec;

use super::ctx::RequestCtx;
use super::{fault, spelling};
use crate::header::{Fields, Hop, OVERHEAD, SetHeader, is_withheld, milliseconds, nominated};
use crate::rejection::{Rejection, UpstreamFault, standing_headers};

/// The header that leads from an answer to its log line.
pub(super) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");

/// Rewrites the client's request for the upstream of this attempt.
pub(super) fn request(request: &mut RequestHeader, ctx: &mut RequestCtx) -> Result<()> {
    let (Some(member), Some(admission)) = (ctx.member(), ctx.admission.as_ref()) else {
        return Err(fault::rejected(ctx, Rejection::Internal));
    };
    let path = admission.path_and_query(member, &ctx.snapshot);
    if path != request.raw_path() {
        request.set_raw_path(&path)?;
    }
    let told = if ctx.snapshot.forwarded_headers { told_of_client(request, ctx) } else { Vec::new() };
    let via = ctx.snapshot.pseudonym.via(ctx.record.version);
    let hop = Hop { host: &member.target.host_value, via, told: &told };
    member.headers.rewrite(&mut Message(request), hop, |value| ctx.snapshot.keyring.occurs_in(value))
}

/// Pingora's message, which remembers how names are written over HTTP/1.
struct Message<'a>(&'a mut RequestHeader);

impl Fields for Message<'_> {
    type Error = Box<Error>;

    fn map(&self) -> &HeaderMap {
        &self.0.headers
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.0.append_header(name, value).map(|_| ())
    }

    fn replace(&mut self, name: HeaderName, value: HeaderValue) -> Result<()> {
        self.0.insert_header(name, value)
    }

    fn configure(&mut self, header: &SetHeader) -> Result<()> {
        self.0.insert_header(header.written.clone(), header.value.clone())
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What an upstream is told of the client: `X-Forwarded-For` gets the peer of this connection behind what trusted proxies
/// wrote, the rest says what the client saw.
fn told_of_client(request: &RequestHeader, ctx: &RequestCtx) -> Vec<SetHeader> {
    let fields = &request.headers;
    let trusted = ctx.record.peer.is_some_and(|peer| ctx.snapshot.trusted.contains(peer.ip()));
    let from_proxies = |name| fields.get_all(name).iter().filter(|_| trusted);
    let peer = ctx.record.peer.map(|peer| peer.ip().to_canonical().to_string());
    let chain = from_proxies(FORWARDED_FOR).filter_map(|value| value.to_str().ok()).chain(peer.as_deref());
    let chain = HeaderValue::from_str(&chain.collect::<Vec<_>>().join(", ")).ok();
    let seen = HeaderValue::from_static(if ctx.record.tls { "https" } else { "http" });
    let proto = from_proxies(FORWARDED_PROTO).next().cloned().or(Some(seen));
    let host = from_proxies(FORWARDED_HOST).next().or_else(|| fields.get(header::HOST)).cloned();
    [
        (FORWARDED_FOR, "X-Forwarded-For", chain),
        (FORWARDED_PROTO, "X-Forwarded-Proto", proto),
        (FORWARDED_HOST, "X-Forwarded-Host", host),
    ]
    .into_iter()
    .filter_map(|(name, written, value)| Some(SetHeader::plain(name, written, value?)))
    .collect()
}

/// Removes from trailers what is removed from heads.
pub(super) fn trailers(trailers: &mut HeaderMap) {
    let removed: SmallVec<[HeaderName; 4]> = trailers.keys().filter(|name| is_withheld(name)).cloned().collect();
    for name in removed {
        trailers.remove(name);
    }
}

/// Says whose answer it is, and how the caller's limits stand. The upstream's own words under the standard names are worth more:
/// they are left.
fn tell(response: &mut ResponseHeader, ctx: &RequestCtx) -> Result<()> {
    let id = HeaderValue::from_str(ctx.record.call_id()).ok().map(|id| (CALL_ID, id));
    let own = ctx.record.own().map(|own| (OVERHEAD, milliseconds(own)));
    let held = ctx.admission.as_ref().map(|admission| &admission.held);
    let standing = held.filter(|held| !held.standings.is_empty()).map(|held| {
        let upstreams_own = response.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit-"));
        standing_headers(held, !upstreams_own)
    });
    spelling::tell(response, id.into_iter().chain(own).chain(standing.unwrap_or_default()))
}

/// Types of bodies that are sent piece by piece, as long as there is something to say.
const STREAMS: &[&str] =
    &["text/event-stream", "application/x-ndjson", "application/jsonl", "application/vnd.amazon.eventstream"];

fn is_stream(response: &ResponseHeader) -> bool {
    let Some(kind) = response.headers.get(header::CONTENT_TYPE) else { return false };
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    STREAMS.iter().any(|stream| stream.as_bytes().eq_ignore_ascii_case(kind))
}

/// Whether no body follows (RFC 9112 section 6.3).
fn is_bodiless(request: &RequestHeader, response: &ResponseHeader) -> bool {
    request.method == Method::HEAD
        || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || response.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() == b"0")
}

/// Rewrites the upstream's answer for the client.
pub(super) fn response(request: &RequestHeader, response: &mut ResponseHeader, ctx: &mut RequestCtx) -> Result<()> {
    let mut removed: SmallVec<[HeaderName; 8]> = SmallVec::new();
    removed.extend(response.headers.keys().filter(|name| is_withheld(name)).cloned());
    if let Some(connection) = response.headers.get(header::CONNECTION)
        && !connection.as_bytes().eq_ignore_ascii_case(b"keep-alive")
        && !connection.as_bytes().eq_ignore_ascii_case(b"close")
    {
        removed.extend(response.headers.get_all(header::CONNECTION).iter().flat_map(nominated));
    }
    for name in &removed {
        response.remove_header(name);
    }
    // Nothing was asked to switch to: what follows would not be HTTP.
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(fault::rejected(ctx, Rejection::UpstreamFailed(UpstreamFault::Protocol)));
    }
    if response.status.is_informational() {
        return Ok(());
    }
    ctx.record.answered(response.status.as_u16());
    if is_stream(response) {
        ctx.streams();
    }
    tell(response, ctx)?;
    if is_bodiless(request, response) {
        ctx.release();
    }
    // Pingora chunks what has no length, but HTTP/1.0 knows no chunks: there the connection's end ends the body.
    if request.version == Version::HTTP_10 {
        response.remove_header(&header::TRANSFER_ENCODING);
    }
    Ok(())
}
