//! What `--detailed_debug` adds to the log: each attempt as it is sent, and where the time went.
//!
//! The law: no secret. Headers and URL are printed by the functions that `explain` uses; the numbers are the record's.

use std::time::{Duration, Instant};

use pingora::http::RequestHeader;

use super::ctx::RequestCtx;
use crate::snapshot::Member;

/// Describes the request that is about to be sent to an upstream.
pub(super) fn attempt(request: &RequestHeader, ctx: &RequestCtx) {
    let (Some(member), Some(route)) = (ctx.member(), ctx.record.route.as_ref()) else { return };
    log::debug!(
        "call={} route={} principal={} attempt={} upstream: {} {} headers: {}",
        ctx.record.call_id(),
        route.name,
        ctx.record.principal.as_ref().map_or("-", |principal| principal.name()),
        ctx.attempts + 1,
        request.method,
        member.target.logged(request.raw_path()),
        fields(request, member),
    );
}

/// Says which deployment is about to be asked.
pub(super) fn asked(deployment: &str, ctx: &RequestCtx) {
    let asked = ctx.admission.as_ref().and_then(|admission| admission.model.as_ref());
    log::debug!(
        "call={} route={} principal={} attempt={} model_group={} deployment={deployment}",
        ctx.record.call_id(),
        ctx.record.route.as_ref().map_or("-", |route| route.name.as_str()),
        ctx.record.principal.as_ref().map_or("-", |principal| principal.name()),
        ctx.attempts + 1,
        asked.map_or("-", |(_, asked)| asked.group.name.as_str()),
    );
}

fn fields(request: &RequestHeader, member: &Member) -> String {
    let shown = |(name, value)| format!("{name}: {}", member.headers.shown(name, value));
    request.headers.iter().map(shown).collect::<Vec<_>>().join("; ")
}

/// Says how a request has ended.
pub(super) fn end(ctx: &RequestCtx) {
    let record = &ctx.record;
    let took = |time: Option<Duration>| match time {
        Some(time) => format!("{:.2}", time.as_secs_f64() * 1000.0),
        None => "-".to_owned(),
    };
    let after = |time: Option<Instant>| took(time.map(|time| time.saturating_duration_since(record.begun)));
    log::debug!(
        "call={} status={} reason={} failed_attempts={} queue_ms={} own_ms={} connected_ms={} pooled={} first_byte_ms={} total_ms={}",
        record.call_id(),
        record.status,
        ctx.rejection.as_ref().map_or("-", |rejection| rejection.reason()),
        ctx.attempts,
        took(record.queued()),
        took(record.own()),
        after(record.connected.map(|(time, _)| time)),
        record.connected.is_some_and(|(_, pooled)| pooled),
        after(record.first_byte),
        after(record.ended),
    );
}
