//! `tollgate health`: asks the Tollgate on this machine whether it is alive, for containers that have no other program to ask.
//!
//! The law: exit 0 after a 200, 1 after anything else, within a few seconds. It reads no config file: it asks at `--host` and
//! `--port`, the addresses that the running one was given, and at loopback where that listens everywhere. It speaks no TLS.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::output::complain;
use crate::config::{Overrides, listen};

/// How long each step may take; a container's health check gives the whole no more than a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// As much of an answer as is read: the first line is enough.
const ENOUGH: usize = 1024;

/// Asks where `overrides` say that it listens, and returns the exit code. What is printed says why the answer is no.
pub(super) fn run(overrides: &Overrides) -> u8 {
    let port = overrides.port.unwrap_or(listen::DEFAULT_PORT);
    let listen =
        overrides.host.as_deref().map_or_else(|| Some(listen::loopback(port)), |host| listen::host(host, port));
    let Some(first) = listen.as_ref().and_then(|listen| listen.first()) else {
        complain("--host: write an address, such as 127.0.0.1, ::1 or 0.0.0.0\n");
        return super::BAD_USAGE;
    };
    let address = SocketAddr::new(reachable(first.address.ip()), port);
    let why = match status(address) {
        Ok(200) => return super::OK,
        Ok(other) => format!("answers {other}"),
        Err(error) => error.to_string(),
    };
    complain(&format!("not healthy: {address}: {why}\n"));
    super::BAD_CONFIG
}

/// An address that means "everywhere" to who listens means nothing to who asks.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn status(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /health/liveliness HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < ENOUGH {
        match stream.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let mut words = text.split_ascii_whitespace();
    let version = words.next().filter(|version| version.starts_with("HTTP/1."));
    version.and_then(|_| words.next()?.parse().ok()).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}
