//! Calls of the key API: the body in, the answer out.
//!
//! The law: a body is read whole, up to a bound and for a bounded time, before anything is done with it; what a call says goes
//! out through `respond`, like every answer of ours.

use std::time::Duration;

use pingora::prelude::{Result, Session};
use tokio::time::{Instant, timeout_at};

use super::ctx::RequestCtx;
use super::respond::{self, Answer};
use crate::admin::{Admin, MOST_BYTES};
use crate::admit::Managed;
use crate::clock::Moment;
use crate::rejection::Rejection;

/// How long a body may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does what is asked, and answers.
pub(super) async fn answer(
    admin: &Admin,
    session: &mut Session,
    ctx: &mut RequestCtx,
    mut managed: Box<Managed>,
) -> Result<()> {
    ctx.record.principal = Some(managed.principal.clone());
    let called = called(admin, session, ctx, &managed).await;
    managed.held.release();
    let answer = match called {
        Ok(value) => Answer::saying(&value, admin.generation()),
        Err(rejection) => {
            let answer = Answer::refusing(&rejection, session, ctx);
            ctx.rejection = Some(rejection);
            answer
        }
    };
    respond::early(session, ctx, answer).await
}

async fn called(
    admin: &Admin,
    session: &mut Session,
    ctx: &mut RequestCtx,
    managed: &Managed,
) -> std::result::Result<serde_json::Value, Rejection> {
    let body = read(session, ctx).await?;
    admin.answer(&managed.asked, &body, Moment::now().calendar).await.map_err(Rejection::Management)
}

async fn read(session: &mut Session, ctx: &mut RequestCtx) -> std::result::Result<Vec<u8>, Rejection> {
    let too_large = || Rejection::BodyTooLarge(MOST_BYTES as u64);
    if respond::declared(session).is_some_and(|declared| declared > MOST_BYTES as u64) {
        return Err(too_large());
    }
    if respond::waits(session) {
        let said = session.downstream_session.write_continue_response().await;
        said.map_err(|_| Rejection::BadBody)?;
    }
    let end = Instant::now() + PATIENCE;
    let mut body = Vec::new();
    while !session.downstream_session.is_body_done() {
        let piece = timeout_at(end, session.downstream_session.read_request_body()).await;
        let Some(piece) = piece.map_err(|_| Rejection::BodyTimeout)?.map_err(|_| Rejection::BadBody)? else { break };
        ctx.attempt.body_bytes += piece.len() as u64;
        if body.len() + piece.len() > MOST_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
