//! Connections that have made a request and then say nothing.
//!
//! Law: all of them were answered rightly, and all are still open when the figure is taken, or there is none. They
//! ask in waves, so that a proxy gets to hold as many upstream connections as its pool keeps.
//!
//! Not here, on purpose: TLS, and requests after the first.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::load::{ANSWER, question};

/// How many ask at once.
const WAVE: usize = 128;

/// How long one may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The clients' ends.
pub(crate) struct Idle(Vec<TcpStream>);

impl Idle {
    /// Opens `count` connections to `port`.
    pub(crate) fn open(port: u16, count: usize) -> Result<Idle, String> {
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let wave = WAVE.min(count - streams.len());
            let opened: io::Result<Vec<TcpStream>> = (0..wave).map(|_| begin(port)).collect();
            let mut opened = opened.map_err(|e| format!("connection {} and on: {e}", streams.len() + 1))?;
            for stream in &mut opened {
                finish(stream).map_err(|why| format!("one of connection {} and on: {why}", streams.len() + 1))?;
            }
            streams.append(&mut opened);
        }
        Ok(Idle(streams))
    }

    /// An error unless the server keeps every one of them open, and has nothing more to say.
    pub(crate) fn all_open(&self) -> Result<(), String> {
        let open = |stream: &&TcpStream| {
            let silent = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
            matches!(silent, Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        let count = self.0.iter().filter(open).count();
        let all = self.0.len();
        if count == all { Ok(()) } else { Err(format!("only {count} of {all} connections are still open")) }
    }
}

fn begin(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question(address, "").as_bytes())?;
    Ok(stream)
}

fn finish(stream: &mut TcpStream) -> Result<(), String> {
    let mut seen = Vec::with_capacity(1024);
    let mut piece = [0; 1024];
    // The answer is known, so its last bytes are its end.
    while !seen.ends_with(ANSWER.as_bytes()) {
        let count = stream.read(&mut piece).map_err(|e| format!("no whole answer: {e}"))?;
        if count == 0 {
            return Err(format!("ended within its answer: {}", String::from_utf8_lossy(&seen)));
        }
        seen.extend_from_slice(&piece[..count]);
    }
    if seen.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err("another status than 200".to_owned()) }
}

/// How many connections `port` of this machine has accepted and holds.
pub(crate) fn held(port: u16) -> Result<usize, String> {
    let table = fs::read_to_string("/proc/net/tcp").map_err(|e| format!("/proc/net/tcp: {e}"))?;
    let local = format!(":{port:04X}");
    // sl, local address, remote address, state; 01 is ESTABLISHED.
    let ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().take(4).collect();
        matches!(fields[..], [_, from, _, "01"] if from.ends_with(&local))
    };
    Ok(table.lines().filter(ours).count())
}
