//! What no request may be, whatever it asks for.
//!
//! The law: judged by its head alone, before keys and routes are.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Version};

use super::Head;
use crate::framing::{Fault, is_length, looks_alike};
use crate::rejection::Rejection;
use crate::route::Methods;
use crate::snapshot::Snapshot;

/// What HTTP/2 allows and an HTTP/1 origin could misread; of HTTP/1 the edge has judged every line.
pub(super) fn misreadable(snapshot: &Snapshot, head: Head<'_>) -> Result<(), Rejection> {
    if head.version != Version::HTTP_2 {
        return Ok(());
    }
    if head.target.len() > snapshot.target_bytes {
        return Err(Rejection::BadFrame(Fault::TargetTooLong));
    }
    if head.headers.len() > snapshot.header_fields {
        return Err(Rejection::BadFrame(Fault::TooLarge));
    }
    // RFC 9113 section 8.3.1: there a path is a path, or `*`.
    if !matches!(head.target, [b'/', ..] | b"*") {
        return Err(Rejection::BadFrame(Fault::Target));
    }
    if head.headers.keys().any(|name| looks_alike(name.as_str().as_bytes())) {
        return Err(Rejection::BadFrame(Fault::LookAlike));
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    if lengths.next().is_some_and(|length| !is_length(length.as_bytes())) || lengths.next().is_some() {
        return Err(Rejection::BadFrame(Fault::Length));
    }
    Ok(())
}

/// The one asks for a tunnel, the other for an echo of credentials; some upstreams read methods in any case. A key is a legal
/// method, and would stand in logs.
pub(super) fn method(snapshot: &Snapshot, method: &Method) -> Result<(), Rejection> {
    if matches!(*method, Method::GET | Method::POST) {
        return Ok(());
    }
    let never = ["CONNECT", "TRACE"].iter().any(|never| method.as_str().eq_ignore_ascii_case(never));
    if !never && !snapshot.keyring.occurs_in(method.as_str().as_bytes()) {
        return Ok(());
    }
    Err(Rejection::MethodNotAllowed(Methods::any().names().into_iter().map(str::to_owned).collect()))
}

/// RFC 9110 section 10.1.1 knows one expectation; HTTP/1.0 knows none, and there it means nothing.
pub(super) fn expectation(head: Head<'_>) -> Result<(), Rejection> {
    let other = |value: &HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"100-continue");
    if head.version != Version::HTTP_10 && head.headers.get_all(header::EXPECT).iter().any(other) {
        return Err(Rejection::Expectation);
    }
    Ok(())
}

/// A request that this process has sent comes back signed in `Via` (RFC 9110 section 7.6.3).
pub(super) fn looped(snapshot: &Snapshot, headers: &HeaderMap) -> Result<(), Rejection> {
    let ours = snapshot.pseudonym.as_bytes();
    let looped = headers.get_all(header::VIA).iter().any(|via| memchr::memmem::find(via.as_bytes(), ours).is_some());
    if looped { Err(Rejection::Loop) } else { Ok(()) }
}
