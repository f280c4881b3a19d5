//! The stream that Pingora is lent for one HTTP/1 request.
//!
//! The law: it gives out the bytes of that request's body and not one of the next request; after the body it says nothing
//! until the client leaves or the upstream has been silent for too long. When it is dropped the connection goes back to its
//! [`Slot`], also where Pingora gives up half-way; closing is the edge's business.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::connection::{Connection, Slot};
use super::vitals::Vitals;

/// What may stay in the socket's write buffer.
const SMALL: usize = 1400;

/// A connection on loan.
#[derive(Debug)]
pub struct Lease {
    /// None only while it is dropped.
    connection: Option<Box<Connection>>,
    slot: Arc<Slot>,
    /// Whether something was written that has not been flushed yet.
    unflushed: bool,
}

impl Lease {
    /// Lends `connection`, which comes back to `slot`.
    pub fn new(connection: Box<Connection>, slot: &Arc<Slot>) -> Self {
        Self { connection: Some(connection), slot: Arc::clone(slot), unflushed: false }
    }

    /// The clocks and faults of the connection.
    pub fn vitals(&self) -> Option<&Arc<Vitals>> {
        self.connection.as_ref().map(|connection| &connection.vitals)
    }

    /// Whether the client's side is encrypted.
    pub fn is_tls(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.transport.is_tls())
    }

    fn lent(&mut self) -> io::Result<&mut Connection> {
        self.connection.as_deref_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.slot.put(connection);
        }
    }
}

impl AsyncRead for Lease {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.lent()?;
        if connection.body.is_done() { connection.poll_idle(cx) } else { connection.poll_body(cx, buf) }
    }
}

impl AsyncWrite for Lease {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let connection = self.lent()?;
        let written = Pin::new(&mut connection.transport).poll_write(cx, buf);
        // A small piece only goes into the socket's buffer; it passes when that is flushed.
        if written.is_pending() || buf.len() > SMALL {
            connection.vitals.wrote(written.is_ready());
        }
        self.unflushed |= written.is_ready();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let unflushed = self.unflushed;
        let connection = self.lent()?;
        let flushed = Pin::new(&mut connection.transport).poll_flush(cx);
        // Pingora flushes again where nothing was written since; then nothing has passed either, and no clock is read.
        if unflushed || flushed.is_pending() {
            connection.vitals.wrote(flushed.is_ready());
        }
        self.unflushed = unflushed && flushed.is_pending();
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
        let connection = self.lent()?;
        let written = Pin::new(&mut connection.transport).poll_write_vectored(cx, bufs);
        connection.vitals.wrote(written.is_ready());
        self.unflushed |= written.is_ready();
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.transport.is_write_vectored())
    }
}

#[async_trait]
impl Shutdown for Lease {
    async fn shutdown(&mut self) {
        // What the client does not take now it would not take later either.
        let _ = self.flush().await;
    }
}

impl UniqueID for Lease {
    fn id(&self) -> i32 {
        self.connection.as_ref().map_or(-1, |connection| connection.transport.descriptor())
    }
}

impl Ssl for Lease {}

impl Peek for Lease {}

impl GetTimingDigest for Lease {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.connection.as_ref().map_or_else(Vec::new, |connection| connection.transport.socket().get_timing_digest())
    }

    fn get_read_pending_time(&self) -> Duration {
        self.connection.as_ref().map_or(Duration::ZERO, |lent| lent.transport.socket().get_read_pending_time())
    }

    fn get_write_pending_time(&self) -> Duration {
        self.connection.as_ref().map_or(Duration::ZERO, |lent| lent.transport.socket().get_write_pending_time())
    }
}

impl GetProxyDigest for Lease {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }

    fn set_proxy_digest(&mut self, _: ProxyDigest) {}
}

impl GetSocketDigest for Lease {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.connection.as_ref().and_then(|connection| connection.digest.clone())
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        if let Some(connection) = &mut self.connection {
            connection.digest = Some(Arc::new(digest));
        }
    }
}
