//! How an upstream is dialled, and what its failures mean.
//!
//! The law: a peer is always built from a resolved address, never from a name, which Pingora would resolve while everybody
//! waits; its SNI is the target's host, or the name that the route gives, and never empty, which would switch verification
//! off; connections are shared between peers that agree in address, SNI, protocol and TLS profile. No address is dialled that
//! the file does not let its target lead to.
//!
//! It neither picks a member nor tries again.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pingora::ErrorType;
use pingora::prelude::{Error, HttpPeer, OrErr, Result};
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;
use tokio::net::TcpSocket;

use crate::rejection::{Rejection, UpstreamFault};
use crate::resolve::{Addresses, Resolver};
use crate::snapshot::Member;
use crate::uplink;
use crate::upstream::address::{self, Reach};
use crate::upstream::{Host, Identity, Roots, TlsProfile};

/// Streams that share one HTTP/2 connection.
const H2_STREAMS: usize = 100;
/// What one HTTP/2 stream may have unread, so that a stalled client cannot hold the window of the whole connection.
const H2_STREAM_WINDOW: u32 = 256 << 10;
/// What one HTTP/2 connection may have unread.
const H2_CONNECTION_WINDOW: u32 = 8 << 20;

/// The times of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// For TCP, and again for TLS.
    pub connect: Duration,
    /// How long it is kept unused.
    pub idle: Duration,
    /// The longest wait for bytes; none: somebody else looks.
    pub read: Option<Duration>,
    /// Whether it must be one that nobody has used.
    pub fresh: bool,
}

/// What is done to a socket before it connects.
type Hook = Arc<dyn Fn(&TcpSocket) -> Result<()> + Send + Sync>;

/// Has the kernel hold back what fills no segment.
static HOLDS: LazyLock<Hook> =
    LazyLock::new(|| Arc::new(|socket| uplink::hold(socket).or_err(ErrorType::SocketError, "TCP_CORK")));

/// Why an upstream has no address that may be dialled; for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable(pub String);

/// The addresses of `member`.
///
/// # Errors
/// Its name has none.
pub async fn addresses(resolver: &Arc<Resolver>, member: &Member) -> Result<Addresses, Unreachable> {
    resolver.addresses(&member.target.host, member.target.port).await.map_err(|error| Unreachable(error.0))
}

/// Whether `member` may be dialled at `address`.
///
/// # Errors
/// The file does not let it lead there.
pub fn permit(member: &Member, address: SocketAddr) -> Result<(), Unreachable> {
    match address::reach(address.ip()) {
        reach if reach <= member.reach => Ok(()),
        Reach::Metadata => {
            Err(Unreachable("the upstream's name leads to a metadata address, and allow_metadata is not set".into()))
        }
        _ => Err(Unreachable(
            "the upstream's name leads to a private address, and api_private_targets is not set".into(),
        )),
    }
}

/// Whether connections to `member` hold back what fills no segment until somebody pushes it (`uplink`).
pub fn holds(member: &Member) -> bool {
    !member.target.tls
}

/// Whom Pingora dials.
pub fn peer(member: &Member, address: SocketAddr, terms: Terms) -> HttpPeer {
    let target = &member.target;
    let sni = match (&target.host, target.tls) {
        (_, false) => String::new(),
        (Host::Name(name), true) => name.clone(),
        (Host::Ip(ip), true) => ip.to_string(),
    };
    let mut peer = HttpPeer::new(address, target.tls, sni);
    if let Some(profile) = &member.tls {
        show(profile, &mut peer);
    }
    let options = &mut peer.options;
    options.alpn = if target.tls { ALPN::H2H1 } else { ALPN::H1 };
    options.connection_timeout = Some(terms.connect);
    options.total_connection_timeout = Some(terms.connect * 2);
    options.read_timeout = terms.read;
    options.write_timeout = Some(member.silence);
    options.idle_timeout = Some(terms.idle);
    if holds(member) {
        options.upstream_tcp_sock_tweak_hook = Some(Arc::clone(&HOLDS));
    }
    options.max_h2_streams = H2_STREAMS;
    options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
    options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
    if terms.fresh {
        // A key of its own shares no connection, and none is left behind under it.
        peer.group_key = uuid::Uuid::new_v4().as_u64_pair().0;
        options.idle_timeout = Some(Duration::ZERO);
    }
    options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
    peer
}

/// What the upstream is shown and must show. Pingora's own key for shared connections knows neither authorities nor more of
/// a client certificate than its serial number, so the profile has a group to itself.
fn show(profile: &TlsProfile, peer: &mut HttpPeer) {
    if let Some(name) = &profile.name {
        peer.sni = name.as_str().to_owned();
    }
    peer.client_cert_key = profile.identity.as_ref().map(Identity::shared);
    peer.options.ca = profile.roots.as_ref().map(Roots::shared);
    peer.options.verify_cert = profile.verify;
    peer.options.verify_hostname = profile.verify;
    peer.group_key = profile.group();
}

/// What a failure on an upstream's connection means for the client.
pub fn meaning(error: &Error) -> Rejection {
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout => Rejection::UpstreamTimeout,
        ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => {
            Rejection::UpstreamFailed(UpstreamFault::Tls)
        }
        ErrorType::ConnectRefused | ErrorType::ConnectNoRoute | ErrorType::ConnectError | ErrorType::SocketError => {
            Rejection::UpstreamFailed(UpstreamFault::Connect)
        }
        _ => Rejection::UpstreamFailed(UpstreamFault::Protocol),
    }
}

/// Whether a request that met `error` on a connection that was `reused` or not got no answer there that had begun, so that another
/// connection may do better: the connection had died, or the other side says that it has not looked at the request.
pub fn is_unheard(error: &Error, reused: bool) -> bool {
    // Pingora's words when a connection ended within a head that it had begun to read.
    const READ: &str = "bytes already read: ";
    let mut retry = error.retry;
    retry.decide_reuse(reused);
    let text = error.to_string();
    let has_begun = text.split_once(READ).is_some_and(|(_, count)| !count.starts_with('0'));
    retry.retry() && !has_begun
}

/// What went wrong, without what the other side sent: Pingora puts heads it cannot read into its messages.
pub fn described(error: &Error) -> String {
    let (source, kind) = (error.esource().as_str(), error.etype().as_str());
    let cause = error.root_cause();
    let text = match cause.downcast_ref::<Error>() {
        Some(_) => format!("{source} {kind}"),
        None => format!("{source} {kind}: {cause}"),
    };
    // Nobody has named the side of an error of a connection of our own.
    text.trim_start().to_owned()
}
