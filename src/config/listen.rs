//! The addresses to listen on: from `--host` and `--port`, else `tollgate.listen`, else loopback on port 4000.
//!
//! The law: only loopback is served unless somebody wrote otherwise. It binds nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::error::Site;

/// LiteLLM's port.
pub const DEFAULT_PORT: u16 = 4000;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 lets the system pick.
    pub address: SocketAddr,
    /// Whether a machine without this address family may go on without it.
    pub optional: bool,
    /// TLS; none: clients speak plainly.
    pub tls: Option<Tls>,
    /// Whether the trusted proxies announce every client by the PROXY protocol.
    pub announced: bool,
}

/// The files of a listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that lead to its authority, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// The authorities of client certificates, in PEM; none: clients need none.
    pub client_ca: Option<PathBuf>,
    /// Where the file names them.
    pub site: Site,
}

impl Listen {
    fn plain(address: SocketAddr, optional: bool) -> Self {
        Self { address, optional, tls: None, announced: false }
    }
}

/// Both loopback addresses at `port`.
pub fn loopback(port: u16) -> Vec<Listen> {
    vec![
        Listen::plain(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port), false),
        Listen::plain(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port), true),
    ]
}

/// `host` alone: an address or `localhost`.
pub fn host(host: &str, port: u16) -> Option<Vec<Listen>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(loopback(port));
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let address = SocketAddr::new(bare.parse().ok()?, port);
    Some(vec![Listen::plain(address, false)])
}

/// `host:port`, or a port alone.
pub fn address(text: &str) -> Option<Vec<Listen>> {
    if let Ok(port) = text.parse() {
        return Some(loopback(port));
    }
    let (name, port) = text.rsplit_once(':')?;
    host(name, port.parse().ok()?)
}

/// Whether nobody outside this machine can reach any of them.
pub fn all_loopback(listen: &[Listen]) -> bool {
    listen.iter().all(|listen| listen.address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:2", "[::1]:2"),
            ("0.0.0.0:3", "0.0.0.0:3"),
            ("localhost:4", "127.0.0.1:4 [::1]:4"),
            ("5", "127.0.0.1:5 [::1]:5"),
        ] {
            let read: Vec<_> = address(text).expect(text).iter().map(|listen| listen.address.to_string()).collect();
            assert_eq!(read.join(" "), expected);
        }
        for text in ["", "example.com:1", "127.0.0.1", "127.0.0.1:65536", ":x"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn loopback_is_told_apart() {
        for (text, expected) in [
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            assert_eq!(all_loopback(&address(text).expect(text)), expected, "{text}");
        }
    }
}
