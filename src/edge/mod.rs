//! A connection from its first byte to its last.
//!
//! The law: nothing is owed to who has not said what HTTP asks for. A connection needs a seat, then what its listener wants
//! (the PROXY protocol, TLS), then it is HTTP/1 or, by ALPN or prior knowledge (RFC 9113 section 3), HTTP/2. Whatever is refused
//! here, where no phase of the proxy sees it, has its access line and is counted all the same.
//!
//! `http1` is the loop over requests, `http2` runs those that share a connection, `tls` is the handshake, `watch` the clocks. Keys and
//! routes are not known here.

mod http1;
mod http2;
mod tls;
mod watch;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Buf;
use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::protocols::{GetSocketDigest, SocketDigest, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::time::timeout;

use http2::Streams;
pub use tls::{Certificate, TlsFault, check as check_certificates};
pub use watch::Times;
use watch::{End, Phase, Watch};

use crate::client::{self, Trusted};
use crate::downstream::{Connection, Frames, Slot, Socket, Transport};
use crate::framing::{Fault, Limits};
use crate::limit::{Connections, Full};
use crate::proxy::EdgeProxy;
use crate::rejection::Rejection;
use crate::snapshot::Snapshot;

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What holds for every listener.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How much of a head is read.
    pub head: Limits,
    /// How long a client may take.
    pub times: Times,
    /// How many connections are held.
    pub connections: Arc<Connections>,
}

/// The application behind one listener.
pub struct Edge {
    proxy: Arc<HttpProxy<EdgeProxy>>,
    /// The same proxy, for what is refused before a request is one.
    desk: EdgeProxy,
    /// What holds for connections that begin now.
    rules: Arc<ArcSwap<Rules>>,
    certificate: Option<Arc<Certificate>>,
    /// Who says whom to believe what the PROXY protocol says; none: it is not spoken here.
    announced_by: Option<Arc<ArcSwap<Snapshot>>>,
}

/// The proxy as Pingora runs it, shared by all listeners.
pub fn hosted(mut proxy: HttpProxy<EdgeProxy>) -> Arc<HttpProxy<EdgeProxy>> {
    let mut options = HttpServerOptions::default();
    // CONNECT is refused by admission like every method that is not served, with `Allow` and a log line.
    options.allow_connect_method_proxying = true;
    proxy.server_options = Some(options);
    Arc::new(proxy)
}

impl Edge {
    /// An edge before `proxy`.
    pub fn new(proxy: Arc<HttpProxy<EdgeProxy>>, desk: EdgeProxy, rules: Arc<ArcSwap<Rules>>) -> Self {
        Self { proxy, desk, rules, certificate: None, announced_by: None }
    }

    /// TLS with this certificate, and no other protocol.
    pub fn with_certificate(mut self, certificate: Option<Arc<Certificate>>) -> Self {
        self.certificate = certificate;
        self
    }

    /// The PROXY protocol, spoken by those whom the config trusts.
    pub fn announced_by(mut self, trusting: Option<Arc<ArcSwap<Snapshot>>>) -> Self {
        self.announced_by = trusting;
        self
    }

    /// Everything that comes before HTTP, within the time of a head.
    async fn prepare(&self, mut socket: Box<Socket>) -> Result<(Box<Connection>, bool), Option<Rejection>> {
        let announced = match &self.announced_by {
            Some(trusting) => {
                let trusted = Arc::clone(&trusting.load().trusted);
                announced(&mut socket, &trusted).await?
            }
            None => None,
        };
        let mut http2 = false;
        let transport = match &self.certificate {
            Some(certificate) => {
                let stream = certificate.accept(socket).await.map_err(|error| {
                    log::debug!("no TLS with a client: {error}");
                    Some(Rejection::NoTls)
                })?;
                http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Transport::Tls(Box::new(stream))
            }
            None => Transport::Plain(socket),
        };
        let mut connection = Box::new(Connection::new(transport));
        if let Some(client) = announced {
            connection.digest = Some(Arc::new(stand_in(&connection, client)));
        }
        Ok((connection, http2))
    }

    /// Answers in place of the proxy, and ends the connection.
    async fn refuse(&self, mut connection: Connection, rejection: &Rejection, rules: &Rules) {
        let answer = self.desk.refuse(address(&connection), rejection);
        if matches!(timeout(rules.times.head, connection.answer(&answer)).await, Ok(Ok(()))) {
            connection.close(true).await;
        }
    }

    async fn http2(&self, connection: Box<Connection>, mut watch: Watch, rules: &Rules, shutdown: &ShutdownWatch) {
        let slot = Arc::new(Slot::default());
        let address = address(&connection);
        let streams = Arc::new(Streams::new(Arc::clone(&self.proxy), self.desk.load(), rules));
        let mut served = streams.process_new(Box::new(Frames::new(connection, &slot)), shutdown);
        loop {
            watch.enter(Phase::Sharing);
            tokio::select! {
                biased;
                _ = &mut served => break,
                end = poll_fn(|cx| watch.poll(cx)) => match end {
                    End::Cut => streams.look(),
                    end => {
                        log::debug!("an HTTP/2 connection is given up: {end:?}");
                        break;
                    }
                },
            }
        }
        drop(served);
        let Some(connection) = slot.take() else { return };
        for _ in 0..connection.vitals.refused() {
            self.desk.record_refused(address, &Rejection::BadFrame(Fault::Frame));
        }
        if connection.vitals.was_flooded() {
            self.desk.record_refused(address, &Rejection::Flood);
            connection.close(true).await;
        }
    }

    /// Whether the client speaks HTTP/2 by prior knowledge: read until the first byte that is not its preface. None: the
    /// connection has ended.
    async fn has_preface(
        &self,
        connection: &mut Connection,
        watch: &mut Watch,
        drain: &mut ShutdownWatch,
    ) -> Option<bool> {
        loop {
            let seen = &connection.inbox;
            let common = seen.iter().zip(PREFACE).take_while(|(one, other)| one == other).count();
            if common == PREFACE.len() || common < seen.len() {
                return Some(common == PREFACE.len());
            }
            if !seen.is_empty() {
                watch.begin_head();
            }
            tokio::select! {
                biased;
                read = poll_fn(|cx| connection.poll_fill(cx)) => match read {
                    Ok(count) if count > 0 => {}
                    _ => return None,
                },
                // A head that is not whole in time is refused by who reads heads.
                end = poll_fn(|cx| watch.poll(cx)) => return (end == End::Head).then_some(false),
                _ = drain.wait_for(|down| *down) => return None,
            }
        }
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // Pingora's task keeps room for a TLS handshake of its own as long as it lives; ours is a fifth of it.
        let (edge, shutdown) = (Arc::clone(self), shutdown.clone());
        tokio::spawn(async move { edge.connection(stream, &shutdown).await });
        None
    }

    async fn cleanup(&self) {
        use pingora::apps::HttpServerApp;
        self.proxy.http_cleanup().await;
    }
}

impl Edge {
    /// A connection from its acceptance on.
    async fn connection(&self, stream: Stream, shutdown: &ShutdownWatch) {
        let Ok(socket) = stream.into_any().downcast::<Socket>() else { return };
        let peer = peer(&socket);
        let rules = self.rules.load_full();
        let _seat = match rules.connections.enter(peer.map(|peer| peer.ip())) {
            Ok(seat) => seat,
            Err(full) => {
                let all = full == Full::All;
                return self.desk.record_refused(peer, &Rejection::TooManyConnections { all });
            }
        };
        let (mut connection, by_alpn) = match timeout(rules.times.head, self.prepare(socket)).await {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(Some(rejection))) => return self.desk.record_refused(peer, &rejection),
            Ok(Err(None)) => return,
            Err(_) => return self.desk.record_refused(peer, &Rejection::HeadTimeout),
        };
        let descriptor = connection.transport.descriptor();
        let mut watch = Watch::new(rules.times, descriptor, Arc::clone(&connection.vitals), self.desk.load());
        let mut drain = shutdown.clone();
        let http2 = match connection.transport.is_tls() {
            true => Some(by_alpn),
            false => self.has_preface(&mut connection, &mut watch, &mut drain).await,
        };
        match http2 {
            Some(true) => self.http2(connection, watch, &rules, shutdown).await,
            Some(false) => self.http1(connection, watch, &rules, shutdown).await,
            None => {}
        }
    }
}

/// What a proxy announces before the first byte of HTTP or TLS.
async fn announced(socket: &mut Socket, trusted: &Trusted) -> Result<Option<SocketAddr>, Option<Rejection>> {
    use tokio::io::AsyncReadExt;

    if !peer(socket).is_some_and(|peer| trusted.contains(peer.ip())) {
        return Err(Some(Rejection::NotAnnounced));
    }
    let mut seen = bytes::BytesMut::with_capacity(256);
    loop {
        match client::read_announced(&seen) {
            Ok(Some(found)) => {
                seen.advance(found.length);
                socket.rewind(&seen);
                return Ok(found.client);
            }
            Ok(None) => {}
            Err(_) => return Err(Some(Rejection::NotAnnounced)),
        }
        if !matches!(socket.read_buf(&mut seen).await, Ok(count) if count > 0) {
            return Err(None);
        }
    }
}

fn peer(socket: &Socket) -> Option<SocketAddr> {
    socket.get_socket_digest()?.peer_addr()?.as_inet().copied()
}

/// Where the client of a connection is.
fn address(connection: &Connection) -> Option<SocketAddr> {
    connection.digest.as_ref()?.peer_addr()?.as_inet().copied()
}

/// A digest that tells of `client` where the socket would tell of the proxy.
fn stand_in(connection: &Connection, client: SocketAddr) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(connection.transport.socket().as_raw_fd());
    let _ = digest.peer_addr.set(Some(client.into()));
    digest
}
