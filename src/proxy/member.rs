//! Which of a route's upstreams an attempt goes to, where it has several.
//!
//! The law: another is asked only while the client has been sent nothing and its body can be sent again, whatever the method:
//! who writes several targets says that each may take another's place. As often as the router allows, and never one that has
//! been tried; the last one's answer is the client's, whatever it is. How an upstream did is noted before the next is picked.
//! No client can make one rest for others: what it says of a credential that the client brought is the client's to mend.

use std::time::Duration;

use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, Session};
use pingora::{ErrorSource, ErrorType};

use super::ctx::RequestCtx;
use crate::clock::Moment;
use crate::config::is_credential_name;
use crate::header::{Changes, SetHeader};
use crate::snapshot::{Group, Lead, Member, NoMember, Outcome, Snapshot};

/// Picks a member for the next attempt, if the one before has not left one to go on with.
pub(super) fn pick(ctx: &mut RequestCtx) {
    let Some(group) = several(ctx) else { return };
    if ctx.addresses.is_some() || ctx.fresh {
        return;
    }
    let number = match group.pick(&ctx.tried, Moment::now().steady) {
        Ok(picked) => picked.number,
        // Nobody has limits here, and who has tried all is not asked for another.
        Err(NoMember::Tried | NoMember::Full(_)) => return,
    };
    ctx.picked = number;
}

/// Notes what became of the attempt. Whether another member is to be asked.
pub(super) fn note(ctx: &mut RequestCtx, outcome: Outcome) -> bool {
    note_apart(ctx, outcome, outcome)
}

/// The same where the upstream is told to have done `noted`, and this request has met `outcome`.
fn note_apart(ctx: &mut RequestCtx, noted: Outcome, outcome: Outcome) -> bool {
    let models = &ctx.snapshot.models;
    let (patience, retries) = (models.patience, models.retries);
    let (picked, count) = match several(ctx) {
        Some(group) => {
            group.member(ctx.picked).health.note(noted, patience, Moment::now().steady);
            (ctx.picked, group.count())
        }
        None => return false,
    };
    if !ctx.tried.contains(&picked) {
        ctx.tried.push(picked);
    }
    let left = ctx.tried.len() < count && ctx.tried.len() <= retries as usize;
    let again = outcome.may_differ() && left;
    if again {
        ctx.addresses = None;
        ctx.address = 0;
        ctx.fresh = false;
    }
    again
}

/// What a status means for the attempt. An error: another member is asked instead.
pub(super) fn judge(session: &Session, response: &ResponseHeader, ctx: &mut RequestCtx) -> Result<(), Box<Error>> {
    let Some(group) = several(ctx) else { return Ok(()) };
    if response.status.is_informational() {
        return Ok(());
    }
    let (ours, theirs) = credentials(session.req_header(), group.member(ctx.picked), &ctx.snapshot);
    let wait = response.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let wait = wait.map(|seconds| u64::try_from(Duration::from_secs(seconds).as_millis()).unwrap_or(u64::MAX));
    let (noted, outcome) = match Outcome::of(response.status.as_u16(), wait) {
        Outcome::Refused if theirs || !ours => (Outcome::Fine, Outcome::Fine),
        // How much the client's own credential may do says nothing of the others', and of the next upstream neither.
        limited @ Outcome::Limited(_) if theirs => (Outcome::Fine, limited),
        // What is wrong with a request is its client's to hear of: here nobody knows what a path means.
        Outcome::Elsewhere => (Outcome::Fine, Outcome::Fine),
        outcome => (outcome, outcome),
    };
    if !note_apart(ctx, noted, outcome) || session.as_ref().retry_buffer_truncated() {
        return Ok(());
    }
    ctx.passed_over = true;
    Err(Error::create(ErrorType::Custom("another target is asked"), ErrorSource::Upstream, None, None))
}

/// Whether `member` was shown a credential of the file, and whether one that the client brought.
fn credentials(request: &RequestHeader, member: &Member, snapshot: &Snapshot) -> (bool, bool) {
    let query = &member.target.query;
    let ours = query.has_secret() || member.headers.configured().iter().any(SetHeader::is_secret);
    let is_key = |value: &[u8]| snapshot.keyring.occurs_in(value);
    let Changes { removed, passed } = member.headers.changes(&request.headers, is_key);
    let mut sent =
        request.headers.keys().filter(|name| !removed.contains(name)).chain(passed.iter().map(|(name, _)| name));
    let written = request.uri.query().unwrap_or_default().as_bytes();
    let mut asked = query.sent_on(written, is_key);
    let theirs = sent.any(|name| is_credential_name(name.as_str()))
        || asked.any(|name| is_credential_name(&String::from_utf8_lossy(&name)));
    (ours, theirs)
}

fn several(ctx: &RequestCtx) -> Option<&Group> {
    match &ctx.admission.as_ref()?.route.lead {
        Lead::Group(group) if group.has_several() => Some(group),
        _ => None,
    }
}
