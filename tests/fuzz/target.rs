//! The target rule: whatever a client sends, scheme, host and the target's own path stay.

use tollgate::route::RequestPath;
use tollgate::upstream::{Host, Target};

use super::reading::has_dot_segment;

/// The input is three lines: the URL of the file, the path below the route, the query.
pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(Ok(url)) = lines.next().map(std::str::from_utf8) else { return };
    let (rest, query) = (lines.next().unwrap_or_default(), lines.next());
    let rest = rest.split(|byte| *byte == b'?').next().unwrap_or_default();
    let Ok(target) = Target::parse(url, &|_| false) else { return };
    let (scheme, after) = url.split_once("://").expect("a target has a scheme");
    assert_eq!(target.tls, scheme.eq_ignore_ascii_case("https"));
    let (authority, own) = after.split_at(after.find('/').unwrap_or(after.len()));
    same_host(&target, authority);
    // Only what the path rule has let through is ever joined.
    let Ok(path) = RequestPath::parse(rest) else { return };
    let joined = target.path_and_query(path.rest(0), query, &|_| None, &|_| false);
    let prefix = own.trim_end_matches('/').as_bytes();
    assert!(joined.starts_with(b"/"), "no path: {joined:?}");
    assert!(joined.starts_with(prefix), "the target's path is left: {joined:?}");
    let path = joined.split(|byte| *byte == b'?').next().unwrap_or_default();
    assert!(!has_dot_segment(path), "a dot segment is sent: {path:?}");
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        assert!(joined.ends_with(&[b"?", query].concat()), "the client's query is changed: {joined:?}");
    }
}

/// What is dialled, and what the `Host` field says, is what the file's reader sees before the first slash.
fn same_host(target: &Target, authority: &str) {
    let written = authority.to_ascii_lowercase();
    assert!(!written.contains(['@', '#', '?', '\\', '{', '}']) && written.is_ascii(), "{written}");
    let host = match &target.host {
        Host::Name(name) => name.clone(),
        Host::Ip(std::net::IpAddr::V4(ip)) => ip.to_string(),
        // IPv6 has many spellings; only the brackets are sure.
        Host::Ip(std::net::IpAddr::V6(_)) => "[".to_owned(),
    };
    assert!(written.starts_with(&host), "{host} for {written}");
    let usual = if target.tls { 443 } else { 80 };
    let shown = target.authority.ends_with(&format!(":{}", target.port));
    assert!(shown || target.port == usual, "{} on port {}", target.authority, target.port);
    assert!(target.port != 0);
}
