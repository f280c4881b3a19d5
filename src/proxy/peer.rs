//! Whom Pingora dials for an attempt.
//!
//! The law: an address is resolved once for all attempts at a member; what the attempt before has said of one decides what is
//! tried next.

use std::sync::Arc;
use std::time::Duration;

use pingora::prelude::{Error, HttpPeer, Result};

use super::ctx::RequestCtx;
use super::fault;
use crate::dial::{self, Terms, Unreachable};
use crate::rejection::{Rejection, UpstreamFault};
use crate::resolve::Resolver;
use crate::snapshot::Member;

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
    let Some(member) = ctx.member() else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    let addresses = match ctx.addresses.clone() {
        Some(addresses) => Ok(addresses),
        None => dial::addresses(resolver, member).await,
    };
    let addresses = addresses.map_err(|why| unreachable(ctx, why))?;
    ctx.addresses = Some(addresses.clone());
    let Some(member) = ctx.member() else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    let Some(address) = addresses.get(ctx.address) else { return Err(fault::rejected(ctx, Rejection::Internal)) };
    if let Err(why) = dial::permit(member, address) {
        return Err(unreachable(ctx, why));
    }
    let read = read_timeout(member, ctx);
    let terms = Terms { connect: ctx.snapshot.connect, idle: ctx.snapshot.idle, read, fresh: ctx.fresh };
    Ok(Box::new(dial::peer(member, address, terms)))
}

fn unreachable(ctx: &mut RequestCtx, Unreachable(why): Unreachable) -> Box<Error> {
    ctx.record.note(&why);
    fault::rejected(ctx, Rejection::UpstreamFailed(UpstreamFault::Resolve))
}
