//! Whom Pingora dials for an attempt.
//!
//! The law: a peer is always built from a resolved address, never from a name, which Pingora would resolve while everybody
//! waits; its SNI is the target's host, or the name that the route gives, and never empty, which would switch verification
//! off; connections are shared between peers that agree in address, SNI, protocol and TLS profile.

use std::sync::Arc;
use std::time::Duration;

use pingora::prelude::{Error, HttpPeer, Result};
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;

use super::ctx::RequestCtx;
use super::fault;
use crate::rejection::{Rejection, UpstreamFault};
use crate::resolve::{Addresses, Resolver};
use crate::snapshot::Member;
use crate::upstream::address::{self, Reach};
use crate::upstream::{Host, Identity, Roots, TlsProfile};

/// Streams that share one HTTP/2 connection.
const H2_STREAMS: usize = 100;
/// What one HTTP/2 stream may have unread, so that a stalled client cannot hold the window of the whole connection.
const H2_STREAM_WINDOW: u32 = 256 << 10;
/// What one HTTP/2 connection may have unread.
const H2_CONNECTION_WINDOW: u32 = 8 << 20;

/// How long Pingora waits for a client that pauses its upload.
const BODY_PAUSE: Duration = Duration::from_secs(60);

/// Over HTTP/1 the client's connection has a better clock, which begins at the end of the upload. Before that a write that
/// stalls only makes Pingora wait for an answer, which must end too: later than a pause of the client would be cut.
fn read_timeout(member: &Member, ctx: &RequestCtx) -> Option<Duration> {
    match &ctx.vitals {
        None => Some(member.silence),
        Some(_) if ctx.large_body => Some(member.silence + BODY_PAUSE),
        Some(_) => None,
    }
}

/// The peer of the next attempt.
pub(super) async fn pick(resolver: &Arc<Resolver>, ctx: &mut RequestCtx) -> Result<Box<HttpPeer>> {
    let addresses = match ctx.addresses.clone() {
        Some(addresses) => addresses,
        None => resolve(resolver, ctx).await?,
    };
    ctx.addresses = Some(addresses.clone());
    let Some(member) = ctx.member() else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    let Some(address) = addresses.get(ctx.address) else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    let reach = address::reach(address.ip());
    if reach > member.reach {
        ctx.record.note(match reach {
            Reach::Metadata => "the upstream's name leads to a metadata address, and allow_metadata is not set",
            _ => "the upstream's name leads to a private address, and api_private_targets is not set",
        });
        return Err(fault::rejected(ctx, Rejection::UpstreamFailed(UpstreamFault::Resolve)));
    }
    Ok(Box::new(peer(member, address, ctx)))
}

async fn resolve(resolver: &Arc<Resolver>, ctx: &mut RequestCtx) -> Result<Addresses, Box<Error>> {
    let Some(member) = ctx.member() else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    match resolver.addresses(&member.target.host, member.target.port).await {
        Ok(addresses) => Ok(addresses),
        Err(error) => {
            ctx.record.note(&error.0);
            Err(fault::rejected(ctx, Rejection::UpstreamFailed(UpstreamFault::Resolve)))
        }
    }
}

fn peer(member: &Member, address: std::net::SocketAddr, ctx: &RequestCtx) -> HttpPeer {
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
    options.connection_timeout = Some(ctx.snapshot.connect);
    options.total_connection_timeout = Some(ctx.snapshot.connect * 2);
    options.read_timeout = read_timeout(member, ctx);
    options.write_timeout = Some(member.silence);
    options.idle_timeout = Some(ctx.snapshot.idle);
    options.max_h2_streams = H2_STREAMS;
    options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
    options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
    if ctx.fresh {
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
