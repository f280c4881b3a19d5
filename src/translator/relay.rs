//! A stream, event by event, from a model to its client.
//!
//! The law: an event goes out when the chunk that makes it is in; the next is read when the client has taken it; a client that
//! leaves ends it within a moment, also while the model says nothing. A stream that fails says so in the client's language, and
//! before its first byte is no stream at all.
//!
//! What is done to the bytes is the transform's, identity included.

use std::time::Duration;

use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::asking::Question;
use super::exchange::{Answer, Attempt};
use super::reply::{self, EVENTS};
use super::serve::{Ended, Tally};
use super::{Translator, Witness};
use crate::dial;
use crate::rejection::Rejection;
use crate::snapshot::{Outcome, Service};
use crate::translate::transform::{Identity, Passed, Transform, Translating};
use crate::translate::{Problem, Refusal};

/// After so long a silence the client is told that the call goes on.
const QUIET: Duration = Duration::from_secs(10);

/// What has happened.
enum Heard {
    Bytes(Bytes),
    End,
    Failed(Rejection),
    Quiet,
    Gone,
}

/// Passes the stream on.
pub(super) async fn stream(
    translator: &Translator,
    http: &mut ServerSession,
    attempt: Attempt<'_>,
    mut answer: Answer,
    witness: &mut dyn Witness,
) -> Tally {
    let mut transform = transform(attempt, &answer);
    let mut out = Vec::new();
    let mut begun = false;
    let mut quiet = Instant::now() + QUIET;
    let mut silence = Instant::now() + answer.silence;
    loop {
        let mut as_is = None;
        let heard = hear(http, &mut answer, quiet, silence, witness).await;
        let ended = match heard {
            Heard::Gone => return if begun { Tally::Answered(Ended::Gone) } else { Tally::Gone },
            Heard::Quiet => {
                transform.quiet(&mut out);
                quiet = Instant::now() + QUIET;
                None
            }
            Heard::Bytes(bytes) => {
                silence = Instant::now() + answer.silence;
                match transform.data(&bytes, &mut out) {
                    Ok(Passed::Written) => None,
                    Ok(Passed::AsIs) => {
                        as_is = Some(bytes);
                        None
                    }
                    Err(refusal) => Some(Some(said(attempt, refusal))),
                }
                .or_else(|| transform.is_over().then_some(None))
            }
            Heard::End => Some(transform.end(&mut out).err().map(|refusal| said(attempt, refusal))),
            Heard::Failed(rejection) => Some(Some(rejection)),
        };
        // Nothing has been sent: another may do better.
        if let (Some(Some(rejection)), false) = (&ended, begun) {
            return Tally::Failed { rejection: rejection.clone(), outcome: Outcome::Failed, wait: None };
        }
        if let Some(Some(rejection)) = &ended {
            transform.fail(&Problem { status: rejection.status(), message: rejection.message() }, &mut out);
        }
        let piece = as_is.unwrap_or_else(|| Bytes::from(std::mem::take(&mut out)));
        if !piece.is_empty() || ended.is_some() {
            if !begun {
                let Ok(head) = reply::head(attempt, &answer, EVENTS, None, witness) else { return Tally::Gone };
                begun = true;
                if reply::begin(http, head, witness).await.is_err() {
                    return Tally::Answered(Ended::Gone);
                }
            }
            quiet = Instant::now() + QUIET;
            if ended.is_some() {
                witness.release();
            }
            witness.body(piece.len());
            if http.write_response_body(piece, ended.is_some()).await.is_err() {
                return Tally::Answered(Ended::Gone);
            }
        }
        match ended {
            None => {}
            Some(None) => {
                translator.done_with(answer, attempt.wish.snapshot.idle).await;
                return Tally::Answered(Ended::Whole);
            }
            Some(Some(rejection)) => {
                answer.session.shutdown().await;
                return Tally::Answered(Ended::Told(rejection));
            }
        }
    }
}

fn transform(attempt: Attempt<'_>, answer: &Answer) -> Box<dyn Transform> {
    let wish = attempt.wish;
    match (wish.service, &wish.asking.question) {
        (Service::Adapter(adapter), Question::Chat(translated)) if !answer.native => {
            Box::new(Translating::new(adapter.stream(&wish.asking.call(), &translated.notes)))
        }
        (Service::Adapter(_), _) => Box::new(Identity::of_messages(wish.id)),
        _ => Box::new(Identity::default()),
    }
}

/// What a refusal of the transform means: the model has said what makes no sense.
fn said(attempt: Attempt<'_>, refusal: Refusal) -> Rejection {
    let problem = refusal.told();
    let message = attempt.wish.snapshot.scrub.clean(&problem.message);
    Rejection::UpstreamSaid { problem: Problem { message, ..problem }, retry_after: None }
}

async fn hear(
    http: &mut ServerSession,
    answer: &mut Answer,
    quiet: Instant,
    silence: Instant,
    witness: &mut dyn Witness,
) -> Heard {
    tokio::select! {
        biased;
        read = timeout_at(silence, answer.session.read_response_body()) => match read {
            Err(_) => Heard::Failed(Rejection::UpstreamTimeout),
            Ok(Ok(Some(bytes))) => Heard::Bytes(bytes),
            Ok(Ok(None)) => Heard::End,
            Ok(Err(error)) => {
                witness.note(&dial::described(&error));
                Heard::Failed(dial::meaning(&error))
            }
        },
        () = reply::gone(http) => Heard::Gone,
        () = sleep_until(quiet) => Heard::Quiet,
    }
}
