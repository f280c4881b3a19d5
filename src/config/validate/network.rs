//! `tollgate.ca_file`, `tollgate.resolve` and `tollgate.dns`; and the proxies in the environment, which are not used.
//!
//! Nothing is connected to or resolved here.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::config::Override;
use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::section::{Section, scalar, shorten};

/// Variables by which other programs find a proxy for their own requests.
const PROXIES: &[&str] = &["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// The bytes of the certificates that are trusted beside the system's.
pub(super) fn ca_file(own: &Section<'_>, environ: &dyn Environ, report: &mut Report) -> Option<(Vec<u8>, Site)> {
    let (path, site) = own.text("ca_file", report)?;
    match environ.file(Path::new(&path)) {
        Ok(bytes) => Some((bytes, site)),
        Err(error) => {
            report.problem(&site, format!("`{path}` cannot be read: {error}"), "name a readable PEM file");
            None
        }
    }
}

/// Says which variables ask for a proxy in vain. Their values may hold a password, and are not shown.
pub(super) fn proxies(file: &Site, environ: &dyn Environ, report: &mut Report) {
    let set = |name: &&str| environ.variable(name).is_some_and(|value| !value.trim().is_empty());
    let names: Vec<String> = PROXIES.iter().copied().filter(set).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return;
    }
    let (verb, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    let what = format!("{} {verb} set and not honoured: upstreams are dialled directly", names.join(", "));
    report.notice(file, what, format!("unset {it}, or let the firewall through to the upstreams"));
}

/// `host` or `host:port` to an address, as curl's `--resolve` and `--connect-to`.
pub(super) fn overrides(map: &Section<'_>, report: &mut Report) -> Vec<Override> {
    let mut out = Vec::new();
    for entry in map.entries() {
        let site = map.site_of(entry);
        let Some(text) = scalar(&entry.node, &site, report) else { continue };
        let Some(address) = address(&text, 0) else {
            report.problem(&site, format!("`{}` is not an address", shorten(&text)), "write ADDRESS or ADDRESS:PORT");
            continue;
        };
        let (host, port) = match entry.key.rsplit_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().ok()),
            None => (entry.key.as_str(), None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let wrong_port = entry.key.contains(':') && port.is_none_or(|port| port == 0);
        if host.is_empty() || !host.chars().all(fits) || wrong_port {
            report.problem(&site, format!("`{}` is not a host", shorten(&entry.key)), "write HOST or HOST:PORT");
            continue;
        }
        out.push(Override { host: host.to_ascii_lowercase(), port, address });
    }
    out
}

/// Name servers.
pub(super) fn servers(dns: &Section<'_>, report: &mut Report) -> Vec<SocketAddr> {
    let mut out = Vec::new();
    for (text, site) in dns.texts("servers", report).unwrap_or_default() {
        match address(&text, DNS_PORT) {
            Some(address) => out.push(address),
            None => report.problem(
                &site,
                format!("`{}` is not an address", shorten(&text)),
                "write ADDRESS or ADDRESS:PORT",
            ),
        }
    }
    out
}

fn address(text: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port))
}
