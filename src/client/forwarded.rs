//! `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! The law: the list is read from its end, the nearest first; each address is believed only as long as the one that reported
//! it is trusted; what cannot be read ends the walk at the last address that was believed. `Forwarded` stands for both.

use std::net::{IpAddr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::trust::Trusted;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The most proxies in a row.
const MOST_HOPS: usize = 32;

/// Where the client is, whose connection comes from `peer`.
pub fn client(peer: SocketAddr, headers: &HeaderMap, trusted: &Trusted) -> SocketAddr {
    if !trusted.contains(peer.ip()) {
        return peer;
    }
    let has_forwarded = headers.contains_key(FORWARDED);
    let name = if has_forwarded { FORWARDED } else { X_FORWARDED_FOR };
    let mut nearest = peer;
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.take(MOST_HOPS) {
        let text = std::str::from_utf8(hop).unwrap_or_default().trim();
        let node = if has_forwarded { for_parameter(text) } else { Some(text) };
        let Some(address) = node.and_then(read_node) else { return nearest };
        nearest = address;
        if !trusted.contains(address.ip()) {
            break;
        }
    }
    nearest
}

/// The value of `for=` in one element, without its quotes.
fn for_parameter(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case("for").then_some(bare)
    })
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`; a port that is missing is 0.
fn read_node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address.to_canonical(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_ends_at_the_first_stranger() {
        let trusted = Trusted::new(["10.0.0.0/8", "::1"].iter().map(|text| text.parse().expect("network")).collect());
        for (peer, name, values, expected) in [
            ("9.9.9.9:5", "x-forwarded-for", vec!["1.1.1.1"], "9.9.9.9:5"),
            ("10.0.0.1:5", "x-forwarded-for", vec![], "10.0.0.1:5"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["1.1.1.1"], "1.1.1.1:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["127.0.0.1, 1.1.1.1"], "1.1.1.1:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["127.0.0.1, 1.1.1.1, 10.0.0.2"], "1.1.1.1:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["6.6.6.6", "1.1.1.1"], "1.1.1.1:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["1.1.1.1, nonsense"], "10.0.0.1:5"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["1.1.1.1, "], "10.0.0.1:5"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["1.1.1.1:4711"], "1.1.1.1:4711"),
            ("[::1]:5", "x-forwarded-for", vec!["2001:db8::1"], "[2001:db8::1]:0"),
            ("10.0.0.1:5", "x-forwarded-for", vec!["::ffff:1.1.1.1"], "1.1.1.1:0"),
            ("10.0.0.1:5", "forwarded", vec!["for=1.1.1.1;proto=https, for=10.0.0.2"], "1.1.1.1:0"),
            ("10.0.0.1:5", "forwarded", vec!["proto=http;For=\"[2001:db8::1]:80\""], "[2001:db8::1]:80"),
            ("10.0.0.1:5", "forwarded", vec!["for=unknown"], "10.0.0.1:5"),
            ("10.0.0.1:5", "forwarded", vec!["for=_hidden, for=10.0.0.2"], "10.0.0.2:0"),
            ("10.0.0.1:5", "x-real-ip", vec!["1.1.1.1"], "10.0.0.1:5"),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(HeaderName::from_static(name), value.parse().expect("value"));
            }
            let found = client(peer.parse().expect(peer), &headers, &trusted);
            assert_eq!(found.to_string(), expected, "{peer} {name} {values:?}");
        }
    }
}
