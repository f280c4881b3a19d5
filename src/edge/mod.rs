//! A connection from its first byte: HTTP/1 or, by prior knowledge, HTTP/2 (RFC 9113 section 3.3).
//!
//! The law: no more is read than tells the two apart, so that a request shorter than HTTP/2's preface never waits for bytes
//! that do not come; a connection that says nothing is closed.
//!
//! `gone` sees a client leave while nobody reads from it. It does not judge framing: Pingora parses heads and bodies.

use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use pingora::protocols::l4::stream::Stream as Socket;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncReadExt;

use crate::proxy::EdgeProxy;
use crate::silence::Watched;

use gone::Gone;

mod gone;

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a new connection may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How long an HTTP/2 connection may be idle.
const H2_IDLE: Duration = Duration::from_secs(75);

/// The application behind every listener.
pub struct Edge {
    proxy: Arc<HttpProxy<EdgeProxy>>,
}

impl Edge {
    /// An edge before `proxy`.
    pub fn new(mut proxy: HttpProxy<EdgeProxy>) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(H2_IDLE);
        // CONNECT is refused by admission like every method that is not served, with `Allow` and a log line.
        options.allow_connect_method_proxying = true;
        proxy.server_options = Some(options);
        Self { proxy: Arc::new(proxy) }
    }

    /// Request after request on one HTTP/1 connection, until one of them ends it or the client has left.
    async fn http1(&self, socket: Box<Socket>, shutdown: &ShutdownWatch) {
        let descriptor = socket.as_raw_fd();
        let watched = Watched::new(socket);
        let mut gone = Gone::new(descriptor, Arc::clone(watched.silence()));
        let mut session = ServerSession::new_http1(Box::new(watched));
        // Whether it is kept is decided request by request; a session begins with "no".
        session.set_keepalive((!*shutdown.borrow()).then_some(SILENCE.as_secs()));
        loop {
            let next = tokio::select! {
                biased;
                next = self.proxy.process_new_http(session, shutdown) => next,
                () = poll_fn(|cx| gone.poll(cx)) => return,
            };
            let Some((stream, settings)) = next.map(|reused| reused.consume()) else { return };
            gone.rest();
            session = ServerSession::new_http1(stream);
            if let Some(settings) = settings {
                settings.apply_to_session(&mut session);
            }
        }
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let mut socket = stream.into_any().downcast::<Socket>().ok()?;
        let mut watch = shutdown.clone();
        let http2 = tokio::select! {
            told = tokio::time::timeout(SILENCE, is_http2(&mut socket)) => told.ok()??,
            _ = watch.wait_for(|down| *down) => return None,
        };
        if http2 {
            return self.proxy.process_new(socket, shutdown).await;
        }
        self.http1(socket, shutdown).await;
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// Reads until the first byte that is not HTTP/2's, and puts everything back. None: the client has left.
async fn is_http2(socket: &mut Socket) -> Option<bool> {
    let mut seen = [0_u8; PREFACE.len()];
    let mut count = 0;
    while count < PREFACE.len() && PREFACE.starts_with(seen.get(..count)?) {
        let read = socket.read(seen.get_mut(count..)?).await.ok()?;
        if read == 0 {
            return None;
        }
        count += read;
    }
    let seen = seen.get(..count)?;
    socket.rewind(seen);
    Some(seen == PREFACE)
}
