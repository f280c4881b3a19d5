//! What Pingora sees of an HTTP/2 connection, with the frames counted as they pass (RFC 9113 sections 4.1 and 10.5).
//!
//! The law: frames that cost us work and carry nothing are paid for from a budget, which frames that carry something and
//! time fill up again. When it is used up the client is told so, GOAWAY with ENHANCE_YOUR_CALM, and nothing more is read.
//! Nothing is decoded beyond the nine octets before each frame; HTTP/2 itself is the h2 crate's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use super::connection::{Connection, Slot};
use super::cutter::{Cutter, GOAWAY};

/// What a client says before its first frame.
const PREFACE: u32 = 24;
/// The budget at the beginning, and the most it grows to.
const BUDGET: u32 = 1000;
/// What a second adds.
const PER_SECOND: u64 = 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u8 = 11;

/// Whether an error says that the other side broke the protocol (RFC 9113 section 7).
fn blames_client(code: u32) -> bool {
    matches!(code, 1 | 3 | 5 | 6 | 9 | 11)
}

/// What a client may still spend.
#[derive(Debug)]
struct Budget {
    left: u32,
    since: Instant,
}

impl Budget {
    fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(BUDGET);
    }

    /// Whether there was enough.
    fn spend(&mut self) -> bool {
        if self.left == 0 {
            let earned = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_mul(PER_SECOND);
            self.since = Instant::now();
            self.earn(u32::try_from(earned / 1000).unwrap_or(u32::MAX));
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The last words to a client that has used up its budget.
#[derive(Debug, Default)]
enum Farewell {
    #[default]
    None,
    /// Due as soon as the frame that is being written has ended.
    Due,
    /// So many octets of it have been written.
    Written(usize),
}

/// An HTTP/2 connection on loan.
#[derive(Debug)]
pub struct Frames {
    connection: Option<Box<Connection>>,
    slot: Arc<Slot>,
    reads: Cutter,
    writes: Cutter,
    budget: Budget,
    last_stream: u32,
    farewell: Farewell,
    /// Streams, or the connection, that were ended for what the client had sent.
    refused: u32,
}

impl Frames {
    /// Lends `connection`, which comes back to `slot`.
    pub fn new(connection: Box<Connection>, slot: &Arc<Slot>) -> Self {
        Self {
            connection: Some(connection),
            slot: Arc::clone(slot),
            reads: Cutter::after(PREFACE),
            writes: Cutter::default(),
            budget: Budget { left: BUDGET, since: Instant::now() },
            last_stream: 0,
            farewell: Farewell::None,
            refused: 0,
        }
    }

    fn lent(&mut self) -> io::Result<&mut Connection> {
        self.connection.as_deref_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Counts what the client has sent.
    fn count(&mut self, bytes: &[u8]) {
        let Self { reads, budget, last_stream, farewell, .. } = self;
        reads.cut(bytes, |frame| {
            if frame.kind == HEADERS {
                *last_stream = frame.stream.max(*last_stream);
                return;
            }
            if frame.kind == DATA && (frame.length > 0 || frame.flags & END_STREAM != 0) {
                return budget.earn(1);
            }
            if !budget.spend() && matches!(farewell, Farewell::None) {
                *farewell = Farewell::Due;
            }
        });
    }

    /// Counts what was sent to the client.
    fn wrote(&mut self, bytes: &[u8]) {
        let Self { writes, budget, refused, .. } = self;
        writes.cut(bytes, |frame| match frame.kind {
            // A client opens its window after what it has received, for the stream and for the connection.
            DATA | HEADERS => budget.earn(2),
            _ => *refused += u32::from(blames_client(frame.code)),
        });
    }

    /// Says GOAWAY, and then nothing more comes from the client.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let [a, b, c, d] = self.last_stream.to_be_bytes();
        let words = [0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, a, b, c, d, 0, 0, 0, ENHANCE_YOUR_CALM];
        loop {
            let written = match self.farewell {
                Farewell::None => return Poll::Ready(Ok(())),
                // The writer wakes this task when its frame has passed.
                Farewell::Due if !self.writes.is_between_frames() => return Poll::Pending,
                Farewell::Due => 0,
                Farewell::Written(count) => count,
            };
            let rest = words.get(written..).unwrap_or_default();
            let transport = &mut self.lent()?.transport;
            if rest.is_empty() {
                return Pin::new(transport).poll_flush(cx);
            }
            let count = ready!(Pin::new(transport).poll_write(cx, rest))?;
            self.farewell = Farewell::Written(written + count);
        }
    }

    /// Whether the connection was ended for its frames.
    pub fn is_over_budget(&self) -> bool {
        !matches!(self.farewell, Farewell::None)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let over = self.is_over_budget();
        if let Some(mut connection) = self.connection.take() {
            connection.vitals.note_frames(over, self.refused);
            // What has not been read of it is nobody's.
            connection.inbox.clear();
            self.slot.put(connection);
        }
    }
}

impl AsyncRead for Frames {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_over_budget() {
            return self.poll_farewell(cx);
        }
        let before = buf.filled().len();
        let connection = self.lent()?;
        if connection.inbox.is_empty() {
            ready!(Pin::new(&mut connection.transport).poll_read(cx, buf))?;
        } else {
            let most = connection.inbox.len().min(buf.remaining());
            buf.put_slice(&connection.split(most));
        }
        let come = buf.filled().get(before..).unwrap_or_default();
        self.count(come);
        if self.is_over_budget() {
            buf.set_filled(before);
            return self.poll_farewell(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Frames {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if matches!(self.farewell, Farewell::Written(_)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.lent()?.transport).poll_write(cx, buf);
        self.lent()?.vitals.pace.wrote(written.is_ready());
        let count = ready!(written)?;
        self.wrote(buf.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = self.lent()?;
        let flushed = Pin::new(&mut connection.transport).poll_flush(cx);
        connection.vitals.pace.wrote(flushed.is_ready());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if matches!(self.farewell, Farewell::Written(_)) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = Pin::new(&mut self.lent()?.transport).poll_write_vectored(cx, bufs);
        self.lent()?.vitals.pace.wrote(written.is_ready());
        let count = ready!(written)?;
        let mut left = count;
        for buf in bufs {
            let passed = left.min(buf.len());
            self.wrote(buf.get(..passed).unwrap_or_default());
            left -= passed;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.transport.is_write_vectored())
    }
}

#[async_trait]
impl Shutdown for Frames {
    async fn shutdown(&mut self) {
        let _ = self.flush().await;
    }
}

impl UniqueID for Frames {
    fn id(&self) -> i32 {
        self.connection.as_ref().map_or(-1, |connection| connection.transport.descriptor())
    }
}

impl Ssl for Frames {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        Some(ALPN::H2)
    }
}

impl Peek for Frames {}

impl GetTimingDigest for Frames {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.connection.as_ref().map_or_else(Vec::new, |connection| connection.transport.socket().get_timing_digest())
    }
}

impl GetProxyDigest for Frames {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }

    fn set_proxy_digest(&mut self, _: ProxyDigest) {}
}

impl GetSocketDigest for Frames {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.connection.as_ref().and_then(|connection| connection.digest.clone())
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        if let Some(connection) = &mut self.connection {
            connection.digest = Some(Arc::new(digest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_budget_is_spent_and_filled_again() {
        let mut budget = Budget { left: 2, since: Instant::now() };
        assert!(budget.spend() && budget.spend() && !budget.spend());
        budget.earn(1);
        assert!(budget.spend() && !budget.spend());
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert!((0..10).all(|_| budget.spend()) && !budget.spend());
        budget.earn(u32::MAX);
        assert_eq!(budget.left, BUDGET);
    }
}
