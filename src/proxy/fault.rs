//! Pingora's errors, read as rejections; and which of them may be tried again.
//!
//! The law of retries: what provably was not processed is repeated for any method (no connection, HTTP/2 REFUSED_STREAM and
//! GOAWAY); an idempotent request also when a pooled connection turned out dead before a byte came back; another only with
//! `retry_non_idempotent`. Never after a byte of an answer, never when the body cannot be sent again, and once at most.

use pingora::prelude::{Error, Session};
use pingora::{ErrorSource, ErrorType, RetryType};

use super::ctx::RequestCtx;
use super::member;
use crate::dial;
use crate::rejection::Rejection;
use crate::snapshot::Outcome;

/// An error that stands for `rejection`, which is kept in `ctx` for the answer.
pub(super) fn rejected(ctx: &mut RequestCtx, rejection: Rejection) -> Box<Error> {
    let status = rejection.status();
    ctx.rejection = Some(rejection);
    Error::new(ErrorType::HTTPStatus(status))
}

/// No connection was made: the next address is tried, whatever the method.
pub(super) fn while_connecting(ctx: &mut RequestCtx, mut error: Box<Error>) -> Box<Error> {
    let addresses = ctx.addresses.as_ref().map_or(0, |addresses| addresses.len());
    ctx.attempts += 1;
    ctx.address += 1;
    let again = ctx.address < addresses || member::note(ctx, Outcome::Failed);
    error.set_retry(again);
    error
}

/// A connection was made and something went wrong on it. What is sent again goes to the same address, on a connection of
/// its own: another pooled one could be as stale.
pub(super) fn while_proxying(
    session: &Session,
    ctx: &mut RequestCtx,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    ctx.attempts += 1;
    if std::mem::take(&mut ctx.passed_over) {
        error.set_retry(true);
        return error;
    }
    let repeatable = is_unanswered(session, ctx) && !ctx.fresh;
    // Only proof of not having been processed makes Pingora decide for itself.
    let unprocessed = matches!(error.etype(), ErrorType::H2Error | ErrorType::H2Downgrade)
        && matches!(error.retry, RetryType::Decided(true));
    let stale = reused && dial::is_unheard(&error, reused);
    let idempotent = session.req_header().method.is_idempotent();
    let wanted = idempotent || ctx.member().is_some_and(|member| member.retry_non_idempotent);
    let same = repeatable && (unprocessed || (stale && wanted));
    ctx.fresh |= same;
    let upstreams = *error.esource() == ErrorSource::Upstream || ctx.is_silent();
    let other = !same && upstreams && is_unanswered(session, ctx) && member::note(ctx, Outcome::Failed);
    if other {
        ctx.forget_silence();
    }
    let again = same || other;
    error.set_retry(again);
    error
}

/// Whether the client has been sent nothing, and what it sent can be sent again.
fn is_unanswered(session: &Session, ctx: &RequestCtx) -> bool {
    session.response_written().is_none() && !session.as_ref().retry_buffer_truncated() && ctx.rejection.is_none()
}

/// What an error means for the client. None: the client is gone, and nobody is left to answer.
pub(super) fn reading(error: &Error, ctx: &RequestCtx) -> Option<Rejection> {
    if let Some(rejection) = &ctx.rejection {
        return Some(rejection.clone());
    }
    if let Some(vitals) = &ctx.vitals {
        if let Some(fault) = vitals.fault() {
            return Some(Rejection::BadFrame(fault));
        }
        if vitals.silence.is_over() {
            return Some(Rejection::UpstreamTimeout);
        }
        if vitals.pace.is_late() {
            return Some(Rejection::BodyTimeout);
        }
    }
    let rejection = match error.esource() {
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadTimedout => Rejection::BodyTimeout,
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::WriteTimedout => {
                return None;
            }
            // Pingora names bytes after the end of a request so; the request itself was fine.
            ErrorType::ConnectError | ErrorType::H2Error => return None,
            _ => Rejection::BadBody,
        },
        ErrorSource::Upstream => upstream(error, ctx),
        ErrorSource::Internal | ErrorSource::Unset => Rejection::Internal,
    };
    Some(rejection)
}

fn upstream(error: &Error, ctx: &RequestCtx) -> Rejection {
    match error.etype() {
        // Over HTTP/2 the upstream's clock runs during the upload: it waited for the client, not the client for it.
        ErrorType::ReadTimedout if !ctx.attempt.body_done && ctx.vitals.is_none() => Rejection::BodyTimeout,
        _ => dial::meaning(error),
    }
}
