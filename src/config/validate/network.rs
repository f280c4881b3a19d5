//! `tollgate.ca_file`, `tollgate.resolve` and `tollgate.dns`.
//!
//! Nothing is connected to or resolved here.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::config::Override;
use crate::config::env::Environ;
use crate::config::error::{Report, Site};
use crate::config::section::{Section, scalar, shorten};

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
