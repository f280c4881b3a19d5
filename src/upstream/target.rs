//! The URL of a route.
//!
//! The law: `http` or `https`, a host, maybe a port, a path; no user, no fragment, no host in a spelling that only some
//! resolvers read as a number. `{name}` of the route's path may stand in its path and query, never in scheme, host or port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::HeaderValue;

use super::query::QueryPlan;

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// A parsed target.
#[derive(Debug)]
pub struct Target {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Who is dialled.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// What the `Host` field says: the host, and the port where it is not the scheme's own.
    pub authority: String,
    /// The same, as the value of a field.
    pub host_value: HeaderValue,
    path: Vec<Piece>,
    /// The parameters that are added.
    pub query: QueryPlan,
    /// Whether a part of the URL came from a reference, so that nobody may see its path.
    pub secret: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Capture(String),
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// Braces outside the path, or not in pairs.
    Braces,
    /// A fragment.
    Fragment,
    /// No host, or one that is neither a name nor a plain address.
    Host(String),
    /// A path with spaces, control characters, dot segments or other than ASCII.
    Path,
    /// Not 1 to 65535.
    Port(String),
    /// A query where only a path can be: in what a reference stands for.
    Query,
    /// Neither `http` nor `https`.
    Scheme(String),
    /// `{name}` that the route's path does not have.
    UnknownName(String),
    /// `user:password@`.
    UserInfo,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Braces => f.write_str("the target has braces where no name can stand"),
            Self::Fragment => f.write_str("the target has a fragment, which is never sent"),
            Self::Host(host) if host.is_empty() => f.write_str("the target has no host"),
            Self::Host(host) => write!(f, "`{host}` is not a host"),
            Self::Path => f.write_str("the target's path holds dot segments, spaces or other than printable ASCII"),
            Self::Port(port) => write!(f, "`{port}` is not a port"),
            Self::Query => f.write_str("the target has a query inside of what a reference stands for"),
            Self::Scheme(scheme) => write!(f, "`{scheme}` is not a scheme that can be dialled"),
            Self::UnknownName(name) => write!(f, "the path has no `{{{name}}}`"),
            Self::UserInfo => f.write_str("the target has a user or a password in it"),
        }
    }
}

impl TargetError {
    /// The same without the text that was wrong, for targets that came from the environment.
    pub fn redacted(self) -> Self {
        let hidden = || "***".to_owned();
        match self {
            Self::Host(_) => Self::Host(hidden()),
            Self::Port(_) => Self::Port(hidden()),
            Self::Scheme(_) => Self::Scheme(hidden()),
            Self::UnknownName(_) => Self::UnknownName(hidden()),
            other => other,
        }
    }

    /// What to write instead.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Braces => "write {name} in the target's path or query",
            Self::Fragment => "remove `#` and what follows",
            Self::Host(_) => "write https://host/path",
            Self::Path => "write the path as it is to be sent, escaped as %XX",
            Self::Port(_) => "write 1 to 65535",
            Self::Query => "write the query in the file: os.environ/URL?name=os.environ/VALUE",
            Self::Scheme(_) => {
                "write http:// or https://; adapters are adapter:anthropic and names that end in anthropic_adapter"
            }
            Self::UnknownName(_) => "use a name that stands in the route's path",
            Self::UserInfo => "put credentials under headers",
        }
    }
}

impl Target {
    /// Parses `base`, a URL without its query. `known`: the names of the route's path.
    pub fn parse(base: &str, known: &dyn Fn(&str) -> bool) -> Result<Self, TargetError> {
        let (scheme, rest) = base.split_once("://").ok_or_else(|| TargetError::Scheme(excerpt(base)))?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(TargetError::Scheme(excerpt(scheme))),
        };
        if rest.contains('#') {
            return Err(TargetError::Fragment);
        }
        if rest.contains('?') {
            return Err(TargetError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(TargetError::UserInfo);
        }
        if authority.contains(['{', '}']) {
            return Err(TargetError::Braces);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let usual = if tls { 443 } else { 80 };
        let port = port.unwrap_or(usual);
        let authority = if port == usual { host.to_string() } else { format!("{host}:{port}") };
        let host_value = HeaderValue::from_str(&authority).map_err(|_| TargetError::Host(excerpt(&authority)))?;
        let path = path_pieces(path, known)?;
        Ok(Self { tls, host, port, authority, host_value, path, query: QueryPlan::default(), secret: false })
    }

    /// Whether a `{name}` stands in path or query.
    pub fn has_captures(&self) -> bool {
        self.path.iter().any(|piece| matches!(piece, Piece::Capture(_))) || self.query.has_captures()
    }

    /// Writes the path and query of the upstream request. `rest` is what the client wrote after the route's path, from its
    /// slash on; a lone slash or nothing leaves the target's path as it is.
    pub fn path_and_query<'a>(
        &self,
        rest: &[u8],
        query: Option<&[u8]>,
        capture: &dyn Fn(&str) -> Option<&'a [u8]>,
        is_key: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        for piece in &self.path {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Capture(name) => out.extend_from_slice(capture(name).unwrap_or_default()),
            }
        }
        if rest.len() > 1 {
            if out.last() == Some(&b'/') {
                out.pop();
            }
            out.extend_from_slice(rest);
        }
        if out.is_empty() {
            out.push(b'/');
        }
        self.query.write(query, capture, is_key, &mut out);
        out
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Host(excerpt(text));
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return inside.parse::<Ipv6Addr>().map(|ip| Self::Ip(ip.into())).map_err(|_| wrong());
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // `2130706433`, `0x7f.1` and `127.1` are addresses to some resolvers and names to others.
        let numeric = name.rsplit('.').next().is_some_and(|label| {
            label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x") || label.starts_with("0X")
        });
        if name.len() > 253 || numeric || !name.split('.').all(label_fits) {
            return Err(wrong());
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), TargetError> {
    let bracket = authority.rfind(']').unwrap_or(0);
    if authority.starts_with('[') && bracket == 0 {
        return Err(TargetError::Host(excerpt(authority)));
    }
    match authority.get(bracket..).and_then(|tail| tail.rfind(':')) {
        None => Ok((authority, None)),
        Some(at) => {
            let (host, port) = authority.split_at(bracket + at);
            let digits = port.trim_start_matches(':');
            let valid = digits.bytes().all(|byte| byte.is_ascii_digit());
            match digits.parse::<u16>() {
                Ok(number) if valid && number != 0 => Ok((host, Some(number))),
                _ => Err(TargetError::Port(excerpt(digits))),
            }
        }
    }
}

fn path_pieces(path: &str, known: &dyn Fn(&str) -> bool) -> Result<Vec<Piece>, TargetError> {
    let mut out = Vec::new();
    let mut rest = path;
    while let Some((before, name, after)) = next_capture(rest) {
        if !known(name) {
            return Err(TargetError::UnknownName(name.to_owned()));
        }
        out.push(Piece::Text(before.as_bytes().to_vec()));
        out.push(Piece::Capture(name.to_owned()));
        rest = after;
    }
    out.push(Piece::Text(rest.as_bytes().to_vec()));
    for piece in &out {
        let Piece::Text(text) = piece else { continue };
        if text.iter().any(|byte| matches!(byte, b'{' | b'}')) {
            return Err(TargetError::Braces);
        }
        if !text
            .iter()
            .all(|byte| (0x21..0x7f).contains(byte) && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'|'))
        {
            return Err(TargetError::Path);
        }
    }
    let decoded = super::query::decode(path.as_bytes());
    if decoded.split(|byte| matches!(byte, b'/' | b';' | b'\\')).any(|segment| matches!(segment, b"." | b"..")) {
        return Err(TargetError::Path);
    }
    Ok(out)
}

/// Splits at the first `{name}`.
pub(super) fn next_capture(text: &str) -> Option<(&str, &str, &str)> {
    let (before, tail) = text.split_once('{')?;
    let (name, after) = tail.split_once('}')?;
    let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    fits.then_some((before, name, after))
}

/// As much of a wrong text as a message should repeat.
fn excerpt(text: &str) -> String {
    text.chars().flat_map(char::escape_debug).take(60).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Target, TargetError> {
        Target::parse(url, &|name| name == "id")
    }

    #[test]
    fn targets_are_read() {
        for (url, tls, port, authority) in [
            ("https://api.cohere.com/v1/rerank", true, 443, "api.cohere.com"),
            ("HTTPS://API.Cohere.com", true, 443, "api.cohere.com"),
            ("http://127.0.0.1:8080/", false, 8080, "127.0.0.1:8080"),
            ("http://[::1]:81/x", false, 81, "[::1]:81"),
            ("https://up:443/x", true, 443, "up"),
            ("http://my_service.internal./x", false, 80, "my_service.internal"),
        ] {
            let target = parse(url).expect(url);
            assert_eq!((target.tls, target.port, target.authority.as_str()), (tls, port, authority), "{url}");
        }
    }

    #[test]
    fn what_is_no_target() {
        for url in [
            "",
            "api.cohere.com/v1",
            "ftp://x/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "http://",
            "http:///x",
            "https://up:0/",
            "https://up:65536/",
            "https://up:x/",
            "https://up:+1/",
            "https://[::1/",
            "https://u:p@up/",
            "https://u@up/",
            "https://up/#f",
            "https://up/x?y",
            "https://up/a b",
            "https://a b/",
            "https://up/../x",
            "https://up/%2e%2e/x",
            "https://up/{no}",
            "https://{id}/x",
            "https://up:{id}/x",
            "https://up/{id",
            "https://up/}",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://127.1/",
            "http://0177.0.0.1/",
            "http://-a/",
            "http://a..b/",
            "http://up\u{e9}/",
            "https://up/\u{e9}",
            "https://up:80:90/",
            "https:/up/x",
            "https://up\\x/",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_rest_is_joined_with_one_slash() {
        for (url, rest, expected) in [
            ("https://up/base", "", "/base"),
            ("https://up/base", "/", "/base"),
            ("https://up/base/", "/", "/base/"),
            ("https://up/base", "/x/y/", "/base/x/y/"),
            ("https://up/base/", "/x", "/base/x"),
            ("https://up", "", "/"),
            ("https://up", "/x%2Fy", "/x%2Fy"),
            ("https://up/base", "//evil.test/x", "/base//evil.test/x"),
            ("https://up/jobs/{id}/status", "", "/jobs/a%2Fb/status"),
        ] {
            let written = parse(url).expect(url).path_and_query(rest.as_bytes(), None, &|_| Some(b"a%2Fb"), &|_| false);
            assert_eq!(String::from_utf8_lossy(&written), expected, "{url} + {rest}");
        }
    }

    proptest! {
        /// Whatever is asked for below a route, the upstream's path begins with the target's.
        #[test]
        fn the_prefix_of_the_target_stays(rest in "(/[a-z0-9%:@;.\\\\]{0,8}){0,4}", query in proptest::option::of("[a-z=&/?:@%]{0,12}")) {
            let target = parse("https://up.test:8443/base/v1").expect("parses");
            let out = target.path_and_query(rest.as_bytes(), query.as_deref().map(str::as_bytes), &|_| None, &|_| false);
            prop_assert!(out.starts_with(b"/base/v1"));
            prop_assert_eq!((target.tls, target.port, target.authority.as_str()), (true, 8443, "up.test:8443"));
        }

        #[test]
        fn no_text_panics(url in "\\PC{0,40}") {
            if let Ok(target) = parse(&url) {
                prop_assert!(target.port != 0 && !target.authority.is_empty());
            }
        }
    }
}
