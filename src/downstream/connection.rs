//! A connection and what has been read of it.
//!
//! The law: what is read waits in an inbox until it is known whose it is; an idle connection holds no buffer. What belongs to
//! the next request stays here while this one is served.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::silence::Alarm;
use super::socket::Transport;
use super::vitals::Vitals;
use crate::framing::{Body, Fault};

/// How much is read at once into the inbox.
const PIECE: usize = 8 << 10;
/// The most that is read ahead while a request is served: what comes later stays in the kernel.
const AHEAD: usize = 64 << 10;
/// The most that is thrown away of a client that must read its answer first.
const MOST_DISCARDED: usize = 1 << 20;
/// How long it is thrown away.
const LINGER: Duration = Duration::from_secs(2);

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    /// The transport.
    pub transport: Transport,
    /// Read, and not anybody's yet.
    pub inbox: BytesMut,
    /// What of the request under way is still to come.
    pub body: Body,
    /// What edge and request share.
    pub vitals: Arc<Vitals>,
    /// Where the client is, when that is not where the socket leads.
    pub digest: Option<Arc<SocketDigest>>,
    /// Whether the client has said that nothing more comes.
    pub ended: bool,
    pub(super) alarm: Alarm,
}

/// Where a lent connection comes back to.
#[derive(Debug, Default)]
pub struct Slot(Mutex<Option<Box<Connection>>>);

impl Slot {
    /// Gives it back.
    pub(super) fn put(&self, connection: Box<Connection>) {
        *self.0.lock() = Some(connection);
    }

    /// Takes what has come back.
    pub fn take(&self) -> Option<Box<Connection>> {
        self.0.lock().take()
    }
}

impl Connection {
    /// A connection of which nothing has been read.
    pub fn new(transport: Transport) -> Self {
        let digest = transport.socket().get_socket_digest();
        Self {
            transport,
            inbox: BytesMut::new(),
            body: Body::Done,
            vitals: Arc::new(Vitals::default()),
            digest,
            ended: false,
            alarm: Alarm::default(),
        }
    }

    /// Reads what is there into the inbox: how much; 0 at the end.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [MaybeUninit::<u8>::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        match Pin::new(&mut self.transport).poll_read(cx, &mut piece) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                self.ended |= piece.filled().is_empty();
                self.inbox.extend_from_slice(piece.filled());
                Poll::Ready(Ok(piece.filled().len()))
            }
        }
    }

    /// The first `count` bytes of the inbox.
    pub fn split(&mut self, count: usize) -> BytesMut {
        // Taking all of it keeps the buffer's simple representation, and leaves none behind.
        if count == self.inbox.len() { std::mem::take(&mut self.inbox) } else { self.inbox.split_to(count) }
    }

    /// Reads on in the body of the request under way, and never beyond it.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.inbox.is_empty() {
            return self.poll_body_directly(cx, buf);
        }
        let most = self.inbox.len().min(buf.remaining());
        let piece = self.inbox.get(..most).unwrap_or_default();
        match self.body.take(piece) {
            Ok(taken) => {
                buf.put_slice(piece.get(..taken).unwrap_or_default());
                drop(self.split(taken));
                Poll::Ready(Ok(()))
            }
            Err(fault) => Poll::Ready(Err(self.broken(fault))),
        }
    }

    fn poll_body_directly(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.vitals.pace.is_late() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.transport).poll_read(cx, buf) {
            Poll::Pending => {
                self.vitals.pace.starve();
                return Poll::Pending;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {}
        }
        let come = buf.filled().get(before..).unwrap_or_default();
        self.ended |= come.is_empty();
        self.vitals.pace.feed(come.len());
        match self.body.take(come) {
            Ok(taken) => {
                self.inbox.extend_from_slice(come.get(taken..).unwrap_or_default());
                buf.set_filled(before + taken);
                Poll::Ready(Ok(()))
            }
            Err(fault) => {
                buf.set_filled(before);
                Poll::Ready(Err(self.broken(fault)))
            }
        }
    }

    fn broken(&mut self, fault: Fault) -> io::Error {
        self.vitals.found(fault);
        io::Error::new(io::ErrorKind::InvalidData, fault.text())
    }

    /// Waits, while a request is served, for what ends the wait: an empty read when the client has left, `TimedOut` when the
    /// upstream has been silent for too long. What the client sends meanwhile is its next request.
    pub(super) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended && self.inbox.len() < AHEAD {
            match self.poll_fill(cx) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.alarm.poll(&self.vitals.silence, cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes an answer of the edge's own.
    pub async fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes).await?;
        self.transport.flush().await
    }

    /// Ends the connection in order. `unread`: something is still coming; it is thrown away for a while, so that the client
    /// can read its answer instead of running into a reset (RFC 9112 section 9.6).
    pub async fn close(mut self, unread: bool) {
        let end = Instant::now() + LINGER;
        if timeout_at(end, self.transport.shutdown()).await.is_err() || !unread || self.ended {
            return;
        }
        let mut waste = vec![0; PIECE];
        let mut seen = 0;
        while let Ok(Ok(count)) = timeout_at(end, self.transport.read(&mut waste)).await {
            seen += count;
            if count == 0 || seen > MOST_DISCARDED {
                return;
            }
        }
    }
}
