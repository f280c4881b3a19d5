//! Asking the Tollgate that runs on this machine, for commands that have no other program to ask.
//!
//! The law: it asks at `--host` and `--port`, the addresses that the running one was given, and at loopback where that listens
//! everywhere; each step takes a bounded time. It speaks HTTP/1.1 without TLS.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::config::{Overrides, listen};

/// As much of an answer as is read.
const ENOUGH: usize = 1 << 20;

/// Where the running one listens.
pub(super) fn address(overrides: &Overrides) -> Result<SocketAddr, String> {
    let port = overrides.port.unwrap_or(listen::DEFAULT_PORT);
    let listen =
        overrides.host.as_deref().map_or_else(|| Some(listen::loopback(port)), |host| listen::host(host, port));
    let first = listen.as_ref().and_then(|listen| listen.first());
    let first = first.ok_or("--host: write an address, such as 127.0.0.1, ::1 or 0.0.0.0")?;
    // An address that means "everywhere" to who listens means nothing to who asks.
    let ip = match first.address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Ok(SocketAddr::new(ip, port))
}

/// Status and body of the answer to `request`, a start line and fields with CR LF, and `body`, within `patience` for each step.
pub(super) fn ask(address: SocketAddr, request: &str, body: &str, patience: Duration) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("{request}Host: {address}\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !is_whole(&answer) && answer.len() < ENOUGH {
        match stream.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.split_ascii_whitespace();
    let version = words.next().filter(|version| version.starts_with("HTTP/1."));
    let status = version.and_then(|_| words.next()?.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer is not HTTP"))?;
    Ok((status, body.to_owned()))
}

/// Whether nothing more belongs to the answer. Who closes the connection says so too.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    // None is announced: the status is all that there is to know.
    length.and_then(|(_, length)| length.trim().parse::<usize>().ok()).is_none_or(|length| body.len() >= length)
}
