//! The client's connection, with a clock for the silence of the upstream behind it.
//!
//! Pingora's own read timeout runs while the client is still uploading, and against an HTTP/2 upstream over the whole of the
//! upload. Here the clock begins when the request has been sent whole, and anew with everything that passes in either
//! direction; so a slow upload, or a client that reads slowly, is never taken for a silent upstream.
//!
//! How: Pingora waits for an upstream by reading from the client too, to see it leave. That read ends with `TimedOut` when
//! the clock runs out; the proxy asks [`Silence::is_over`] and answers 504 on the connection, which is still whole.
//!
//! It measures; it does not decide what a silence means.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What may stay in the socket's write buffer.
const SMALL: usize = 1400;

/// The clock of one connection, shared by its stream and the request on it.
#[derive(Debug)]
pub struct Silence {
    epoch: Instant,
    /// Milliseconds; 0: the clock stands.
    limit: AtomicU64,
    /// When something last passed, in milliseconds since `epoch`.
    since: AtomicU64,
    over: AtomicBool,
    serving: AtomicBool,
}

impl Default for Silence {
    fn default() -> Self {
        Self::new()
    }
}

impl Silence {
    /// A clock that stands.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            limit: AtomicU64::new(0),
            since: AtomicU64::new(0),
            over: AtomicBool::new(false),
            serving: AtomicBool::new(false),
        }
    }

    /// A request begins; the clock stands.
    pub fn begin(&self) {
        self.limit.store(0, Ordering::Relaxed);
        self.over.store(false, Ordering::Relaxed);
        self.serving.store(true, Ordering::Relaxed);
    }

    /// The request has been sent whole: from now on at most `limit` of silence.
    pub fn start(&self, limit: Duration) {
        self.touch();
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Something has passed.
    pub fn touch(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// How long nothing has passed.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.since.load(Ordering::Relaxed)))
    }

    /// The request has ended.
    pub fn end(&self) {
        self.touch();
        self.limit.store(0, Ordering::Relaxed);
        self.serving.store(false, Ordering::Relaxed);
    }

    /// Whether the clock has run out in this request.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Whether a request is being served on the connection.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = self.limit.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        (limit > 0).then(|| self.epoch.checked_add(Duration::from_millis(since.saturating_add(limit)))).flatten()
    }
}

/// A client's socket with its clock.
#[derive(Debug)]
pub struct Watched {
    socket: Box<Socket>,
    silence: Arc<Silence>,
    /// Kept from request to request: a clock that only ever moves forward seldom needs to be set again.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether the alarm knows whom to wake: the connection's task, which is the same for all requests on it.
    armed: bool,
}

impl Watched {
    /// Watches over `socket`.
    pub fn new(socket: Box<Socket>) -> Self {
        Self { socket, silence: Arc::new(Silence::new()), alarm: None, armed: false }
    }

    /// The clock.
    pub fn silence(&self) -> &Arc<Silence> {
        &self.silence
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(deadline) = self.silence.deadline() else { return Poll::Pending };
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // An alarm that was set for an earlier moment is left as it is: most requests end before it rings.
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
                self.armed = false;
            }
            if self.armed && !alarm.is_elapsed() {
                return Poll::Pending;
            }
            self.armed = true;
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = false;
            if Instant::now() >= deadline {
                self.silence.over.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut *self.socket).poll_read(cx, buf) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.poll_over(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // A small piece only goes into the socket's buffer; it passes when that is flushed.
        let written = Pin::new(&mut *self.socket).poll_write(cx, buf);
        if written.is_ready() && buf.len() > SMALL {
            self.silence.touch();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.socket).poll_flush(cx);
        if flushed.is_ready() {
            self.silence.touch();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.socket).poll_write_vectored(cx, bufs);
        if written.is_ready() {
            self.silence.touch();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Watched {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.socket).await;
    }
}

impl UniqueID for Watched {
    fn id(&self) -> i32 {
        self.socket.id()
    }
}

impl Ssl for Watched {}

impl Peek for Watched {}

impl GetTimingDigest for Watched {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.socket.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.socket.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.socket.get_write_pending_time()
    }
}

impl GetProxyDigest for Watched {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.socket.get_proxy_digest()
    }

    fn set_proxy_digest(&mut self, digest: ProxyDigest) {
        self.socket.set_proxy_digest(digest);
    }
}

impl GetSocketDigest for Watched {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.socket.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.socket.set_socket_digest(digest);
    }
}
