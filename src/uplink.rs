//! A plain connection on which a request goes to its upstream.
//!
//! The law: what is written in one go leaves in one segment. Pingora sends the head of a request and then its body, and each costs
//! the kernel, the network and the upstream what both cost together. So the kernel holds back what fills no segment (TCP_CORK,
//! tcp(7)) until whoever runs the request lets it go, which is when the request waits for something. Should nobody, the kernel
//! does so after 200 ms: a piece may be late then, and is never lost.
//!
//! It does not know when a request waits. Connections with TLS are left alone: their handshake, and HTTP/2 on them, write from
//! places that nobody here sees.

use std::io;
use std::os::fd::{AsFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;

/// Has the kernel hold back what fills no segment.
///
/// # Errors
/// It is no TCP socket.
pub fn hold(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_tcp_cork(true)
}

/// Lets go what is held back on `descriptor`. One that is gone holds nothing.
pub fn push(descriptor: RawFd) {
    // It is set already, and setting it sends what waits.
    if let Err(error) = setsockopt(descriptor, sockopt::TcpNoDelay, &true) {
        log::debug!("what was held back could not be sent: {error}");
    }
}

/// No connection.
const NONE: RawFd = -1;

/// Where the request under way is being sent.
#[derive(Debug)]
pub struct Uplink(AtomicI32);

impl Default for Uplink {
    fn default() -> Self {
        Self(AtomicI32::new(NONE))
    }
}

impl Uplink {
    /// From now on it is `descriptor`; none: nothing is held back.
    pub fn leads_to(&self, descriptor: Option<RawFd>) {
        self.0.store(descriptor.unwrap_or(NONE), Ordering::Relaxed);
    }

    /// Lets go what is held back.
    pub fn push(&self) {
        let descriptor = self.0.load(Ordering::Relaxed);
        if descriptor != NONE {
            push(descriptor);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_held_leaves_in_one_piece_when_it_is_pushed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let mut near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
        let (mut far, _) = listener.accept().expect("a connection");
        hold(&near).expect("a TCP socket");
        let uplink = Uplink::default();
        uplink.push();
        uplink.leads_to(Some(near.as_raw_fd()));
        far.set_nonblocking(true).expect("a socket");
        let mut seen = [0; 16];
        // Within 200 ms, after which the kernel sends it; once of many times, for a machine that does something else.
        let held = (0..20).any(|_| {
            near.write_all(b"head").expect("written");
            let empty = matches!(far.read(&mut seen), Err(error) if error.kind() == ErrorKind::WouldBlock);
            near.write_all(b"body").expect("written");
            let empty = empty && matches!(far.read(&mut seen), Err(error) if error.kind() == ErrorKind::WouldBlock);
            uplink.push();
            far.set_nonblocking(false).expect("a socket");
            let whole = empty && matches!(far.read(&mut seen), Ok(8));
            far.set_nonblocking(true).expect("a socket");
            while far.read(&mut seen).is_ok() {}
            whole
        });
        assert!(held, "nothing was held back");
        push(NONE);
    }
}
