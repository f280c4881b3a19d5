//! What a start prints after its listeners: the store, and a first request to paste.
//!
//! The law: nothing false. Where there is no store it says why; the request is for a route that is there, on an address that
//! answers, with a placeholder where the key stands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::listen::Listen;
use crate::config::{Config, Endpoint};
use crate::server::Bound;

/// The lines. `store`: where keys are kept.
pub(super) fn after(bound: &[Bound], config: &Config, store: &str) -> String {
    let mut out = format!("store: {store}\n");
    let plain = config.endpoints.iter().find(|endpoint| !endpoint.name().contains('{'));
    let first = plain.or(config.endpoints.first());
    if let (Some(listen), Some(endpoint)) = (easiest(bound), first) {
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        let base = format!("{scheme}://{}", reachable(listen.address));
        out += &format!("try: {}\n", curl(&base, endpoint, config));
    }
    out
}

/// The listener that is the easiest to reach from here: plain, and not behind a proxy.
fn easiest(bound: &[Bound]) -> Option<&Listen> {
    bound
        .iter()
        .filter(|bound| !bound.is_inside())
        .map(Bound::listen)
        .min_by_key(|listen| (listen.announced, listen.tls.is_some()))
}

/// The address by which this machine reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn curl(base: &str, endpoint: &Endpoint, config: &Config) -> String {
    let slash = if endpoint.name().starts_with('/') { "" } else { "/" };
    let mut out = format!("curl '{base}{slash}{}'", filled(endpoint.name()));
    if endpoint.auth == Some(true) {
        match &config.key_header {
            Some((name, _)) => out += &format!(" -H '{name}: Bearer YOUR_KEY'"),
            None => out += " -H 'Authorization: Bearer YOUR_KEY'",
        }
    }
    let listed: Vec<String> =
        endpoint.methods.iter().flatten().map(|(method, _)| method.to_ascii_uppercase()).collect();
    let method = if listed.is_empty() || listed.iter().any(|method| method == "POST") {
        "POST"
    } else {
        listed.first().map_or("POST", String::as_str)
    };
    match method {
        "GET" => {}
        "HEAD" => out += " --head",
        "POST" => out += " -H 'content-type: application/json' -d '{}'",
        "PUT" | "PATCH" => out += &format!(" -X {method} -H 'content-type: application/json' -d '{{}}'"),
        other => out += &format!(" -X {other}"),
    }
    out
}

/// The path with something where its names stand; braces mean something to curl.
fn filled(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        match c {
            '{' | '}' => {}
            // The whole stands in single quotes.
            '\'' => out += "%27",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::env::Environ;
    use crate::config::{self, Overrides};

    struct File(&'static str);

    impl Environ for File {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.as_bytes().to_vec())
        }
    }

    fn first(text: &'static str) -> String {
        let (config, report) = config::load(Path::new("t.yaml"), &File(text), &Overrides::default());
        let config = config.unwrap_or_else(|| panic!("{:?}", report.problems));
        config.endpoints.first().map_or_else(String::new, |endpoint| curl("http://h:1", endpoint, &config))
    }

    #[test]
    fn the_first_request_fits_the_route() {
        for (text, expected) in [
            (
                "general_settings: {pass_through_endpoints: [{path: /a, target: 'https://u/'}]}",
                "curl 'http://h:1/a' -H 'content-type: application/json' -d '{}'",
            ),
            (
                "general_settings: {master_key: sk-abcdef, pass_through_endpoints: [{path: a, target: 'https://u/', auth: true, methods: [GET]}]}",
                "curl 'http://h:1/a' -H 'Authorization: Bearer YOUR_KEY'",
            ),
            (
                "general_settings: {master_key: sk-abcdef, litellm_key_header_name: X-Key, pass_through_endpoints: [{path: '/m/{x}:y', target: 'https://u/', auth: true, methods: [put]}]}",
                "curl 'http://h:1/m/x:y' -H 'X-Key: Bearer YOUR_KEY' -X PUT -H 'content-type: application/json' -d '{}'",
            ),
        ] {
            assert_eq!(first(text), expected);
        }
    }

    #[test]
    fn every_address_is_one_that_answers() {
        for (bound, expected) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.0.0.1:3", "10.0.0.1:3")] {
            assert_eq!(reachable(bound.parse().expect(bound)).to_string(), expected);
        }
    }
}
