//! The request an upstream sees, and the answer a client sees.
//!
//! The law: Pingora has removed hop-by-hop and nominated fields before this runs, so that no client can strip what is
//! injected here; a configured field stands exactly once; a known key is in no field that is sent on. On the way back status,
//! body and fields stay as the upstream gave them, but for what speaks for a connection or in Tollgate's name.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Result;
use smallvec::SmallVec;

use super::ctx::RequestCtx;
use super::fault;
use crate::header::{is_withheld, nominated, passed_name};
use crate::rejection::{Rejection, UpstreamFault};

/// The header that leads from an answer to its log line.
pub(super) const CALL_ID: &str = "x-litellm-call-id";

/// Rewrites the client's request for the upstream of this attempt.
pub(super) fn request(request: &mut RequestHeader, ctx: &mut RequestCtx) -> Result<()> {
    let (Some(member), Some(admission)) = (ctx.member(), ctx.admission.as_ref()) else {
        return Err(fault::rejected(ctx, Rejection::Internal));
    };
    let plan = &member.headers;
    let keyring = &ctx.snapshot.keyring;
    let mut passed: SmallVec<[(HeaderName, HeaderValue); 4]> = SmallVec::new();
    let mut removed: SmallVec<[HeaderName; 16]> = SmallVec::new();
    let told = if ctx.snapshot.forwarded_headers { told_of_client(request, ctx) } else { Told::default() };
    for (name, value) in &request.headers {
        let holds_key = keyring.occurs_in(value.as_bytes());
        if let Some(wanted) = passed_name(name).filter(|wanted| !holds_key && !plan.sets(wanted)) {
            passed.push((wanted, value.clone()));
        }
        if (holds_key || !plan.forwards(name) || plan.sets(name)) && removed.last() != Some(name) {
            removed.push(name.clone());
        }
    }
    for name in &removed {
        request.remove_header(name);
    }
    for (name, _) in &passed {
        request.remove_header(name);
    }
    for (name, value) in passed {
        request.append_header(name, value)?;
    }
    let path = admission.path_and_query(member, &ctx.snapshot);
    if path != request.raw_path() {
        request.set_raw_path(&path)?;
    }
    request.insert_header(header::HOST, member.target.host_value.clone())?;
    request.append_header(header::VIA, ctx.snapshot.pseudonym.via(ctx.record.version).clone())?;
    if ctx.snapshot.forwarded_headers {
        tell_of_client(request, &told, ctx)?;
    }
    join_cookies(request)?;
    for header in plan.configured() {
        request.insert_header(header.written.clone(), header.value.clone())?;
    }
    Ok(())
}

/// What the proxies before us, which are trusted, have said of the client.
#[derive(Default)]
struct Told {
    chain: Vec<String>,
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

fn told_of_client(request: &RequestHeader, ctx: &RequestCtx) -> Told {
    let fields = &request.headers;
    if !ctx.record.peer.is_some_and(|peer| ctx.snapshot.trusted.contains(peer.ip())) {
        return Told { host: fields.get(header::HOST).cloned(), ..Told::default() };
    }
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
    Told {
        chain: fields.get_all("x-forwarded-for").iter().filter_map(text).collect(),
        proto: fields.get("x-forwarded-proto").cloned(),
        host: fields.get("x-forwarded-host").or_else(|| fields.get(header::HOST)).cloned(),
    }
}

/// `X-Forwarded-For` gets the peer of this connection behind what trusted proxies wrote; the rest says what the client saw.
fn tell_of_client(request: &mut RequestHeader, told: &Told, ctx: &RequestCtx) -> Result<()> {
    let peer = ctx.record.peer.map(|peer| peer.ip().to_canonical().to_string());
    let chain: Vec<&str> = told.chain.iter().map(String::as_str).chain(peer.as_deref()).collect();
    request.insert_header("X-Forwarded-For", chain.join(", "))?;
    match &told.proto {
        Some(proto) => request.insert_header("X-Forwarded-Proto", proto.clone())?,
        None => request.insert_header("X-Forwarded-Proto", if ctx.record.tls { "https" } else { "http" })?,
    }
    if let Some(host) = &told.host {
        request.insert_header("X-Forwarded-Host", host.clone())?;
    }
    Ok(())
}

/// HTTP/2 lets a client send its cookies in crumbs, of which HTTP/1 knows nothing (RFC 9113 section 8.2.3).
fn join_cookies(request: &mut RequestHeader) -> Result<()> {
    let mut crumbs = request.headers.get_all(header::COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else { return Ok(()) };
    let whole =
        [first, second].into_iter().chain(crumbs).map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    request.insert_header(header::COOKIE, whole)?;
    Ok(())
}

/// Removes from trailers what is removed from heads.
pub(super) fn trailers(trailers: &mut HeaderMap) {
    let removed: SmallVec<[HeaderName; 4]> = trailers.keys().filter(|name| is_withheld(name)).cloned().collect();
    for name in removed {
        trailers.remove(name);
    }
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
    response.insert_header(CALL_ID, ctx.record.call_id())?;
    // Pingora chunks what has no length, but HTTP/1.0 knows no chunks: there the connection's end ends the body.
    if request.version == Version::HTTP_10 {
        response.remove_header(&header::TRANSFER_ENCODING);
    }
    Ok(())
}
