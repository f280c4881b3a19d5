//! What no request may be, whatever it asks for.
//!
//! The law: judged by its head alone, before keys and routes are; but for models that are open, where the head must show that
//! it comes from this machine's own programs.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Version};

use super::Head;
use crate::framing::{Fault, is_length, looks_alike};
use crate::rejection::Rejection;
use crate::route::Methods;
use crate::snapshot::{Access, Route, Snapshot};

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

/// Where nobody has set a key models are for this machine's own programs. Its browser is one of them, and asks what any web page
/// wants (CORS forbids the page to read the answer, not to spend the key); a page whose name was made to resolve to this machine
/// reads the answer too, but cannot write another `Host`.
pub(super) fn foreign(route: &Route, head: Head<'_>) -> Result<(), Rejection> {
    if route.access != Access::Local {
        return Ok(());
    }
    let mut origins = head.headers.get_all(header::ORIGIN).iter();
    // A page tells its origin as `null` where it is not to be known.
    let strange = |origin: &HeaderValue| {
        origin
            .to_str()
            .ok()
            .and_then(|text| text.split_once("://"))
            .is_none_or(|(_, rest)| !is_loopback(rest.as_bytes()))
    };
    let hosts = head.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let mut hosts = hosts.chain(authority(head.target));
    if origins.any(strange) || hosts.any(|host| !is_loopback(host)) {
        return Err(Rejection::ForeignOrigin);
    }
    Ok(())
}

/// The authority of a target in absolute form.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(target, b"://").filter(|_| target.first() != Some(&b'/'))?;
    let rest = target.get(at + 3..)?;
    rest.split(|byte| matches!(byte, b'/' | b'?')).next()
}

/// Whether `HOST` or `HOST:PORT` is this machine, and can be nothing else.
fn is_loopback(authority: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(authority) else { return false };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => text.split_once(':').map_or((text, Some("")), |(host, port)| (host, Some(port))),
    };
    let is_port = port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case("localhost");
    is_port && (is_name || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machine() {
        for (authority, expected) in [
            ("localhost", true),
            ("LOCALHOST:4000", true),
            ("localhost.:4000", true),
            ("127.0.0.1", true),
            ("127.9.9.9:1", true),
            ("[::1]", true),
            ("[::1]:4000", true),
            ("[::ffff:127.0.0.1]:4000", true),
            ("", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1@evil.example", false),
            ("localhost:80@evil.example", false),
            ("[::1].evil.example", false),
            ("10.0.0.1:4000", false),
            ("[fe80::1]:4000", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_loopback(authority.as_bytes()), expected, "{authority}");
        }
        assert_eq!(authority(b"http://evil.example/v1?a=b"), Some(&b"evil.example"[..]));
        assert_eq!(authority(b"/v1/http://x"), None);
    }
}
