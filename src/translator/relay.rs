//! A stream, event by event, from a model to its client.
//!
//! The law: an event goes out when the chunk that makes it is in; the next is read when the client has taken it; a client that
//! leaves ends it within a moment, also while the model says nothing. A stream that fails says so in the client's language, and
//! before its first byte is no stream at all.
//!
//! What is done to the bytes is the transform's, identity included.

use std::time::Duration;

use bytes::Bytes;
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::exchange::{Answer, Attempt};
use super::reply::{self, EVENTS};
use super::serve::{Ended, Tally};
use super::{Translator, Witness};
use crate::dial;
use crate::rejection::Rejection;
use crate::snapshot::Service;
use crate::translate::transform::{Identity, Passed, Transform, Translating};
use crate::translate::{Problem, Refusal};

/// After so long a silence the client is told that the call goes on.
const QUIET: Duration = Duration::from_secs(10);

/// How long the last word of an answer is waited for that is whole: usage and the end come at once, or never.
const GRACE: Duration = Duration::from_secs(5);

/// What has happened.
enum Heard {
    Bytes(Bytes),
    End,
    Failed(Rejection),
    Quiet,
    Gone,
}

/// How a stream has ended.
enum End {
    Whole,
    Failed(Rejection),
}

/// A stream under way.
struct Relay<'a> {
    attempt: Attempt<'a>,
    answer: Answer,
    transform: Box<dyn Transform>,
    begun: bool,
    /// When the client is told that the call goes on.
    quiet: Instant,
    /// When the upstream has been silent for too long.
    silence: Instant,
}

/// Passes the stream on.
pub(super) async fn stream(
    translator: &Translator,
    http: &mut ServerSession,
    attempt: Attempt<'_>,
    answer: Answer,
    witness: &mut dyn Witness,
) -> Tally {
    let now = Instant::now();
    let (transform, silence) = (transform(attempt, &answer), now + answer.silence);
    let mut relay = Relay { attempt, answer, transform, begun: false, quiet: now + QUIET, silence };
    loop {
        let heard = match relay.hear(http, witness).await {
            Heard::Gone if relay.begun => return Tally::Answered(Ended::Gone),
            Heard::Gone => return Tally::Gone,
            heard => heard,
        };
        let (piece, end) = relay.pass(heard);
        // Nothing has been sent: another may do better.
        if let (Some(End::Failed(rejection)), false) = (&end, relay.begun) {
            return attempt.failed(rejection.clone());
        }
        let sends = !piece.is_empty() || end.is_some();
        if sends && relay.send(http, piece, end.is_some(), witness).await.is_err() {
            return Tally::Answered(Ended::Gone);
        }
        match end {
            None => {}
            Some(End::Whole) => {
                translator.done_with(relay.answer).await;
                return Tally::Answered(Ended::Whole);
            }
            Some(End::Failed(rejection)) => {
                relay.answer.session.shutdown().await;
                return Tally::Answered(Ended::Told(rejection));
            }
        }
    }
}

fn transform(attempt: Attempt<'_>, answer: &Answer) -> Box<dyn Transform> {
    let wish = attempt.wish;
    match (wish.service, wish.asking.remembered(wish.service, answer.native)) {
        (Service::Adapter(adapter), Some(Ok(remembered))) => {
            Box::new(Translating::new(adapter.stream(&wish.asking.call(), &remembered.notes)))
        }
        (Service::Adapter(_), _) => Box::new(Identity::of_messages(wish.id)),
        _ => Box::new(Identity::default()),
    }
}

impl Relay<'_> {
    async fn hear(&mut self, http: &mut ServerSession, witness: &mut dyn Witness) -> Heard {
        tokio::select! {
            biased;
            read = timeout_at(self.silence, self.answer.session.read_response_body()) => match read {
                // The answer was whole, and only its last word has not come.
                Err(_) if self.transform.has_finished() => Heard::End,
                Err(_) => Heard::Failed(Rejection::UpstreamTimeout),
                Ok(Ok(Some(bytes))) => Heard::Bytes(bytes),
                Ok(Ok(None)) => Heard::End,
                Ok(Err(error)) => {
                    witness.note(&dial::described(&error));
                    Heard::Failed(dial::meaning(&error))
                }
            },
            () = reply::gone(http) => Heard::Gone,
            () = sleep_until(self.quiet) => Heard::Quiet,
        }
    }

    /// What the client gets of what has happened, and whether that is the end.
    fn pass(&mut self, heard: Heard) -> (Bytes, Option<End>) {
        let mut out = Vec::new();
        let ended = match heard {
            Heard::Bytes(bytes) => {
                let passed = self.transform.data(&bytes, &mut out);
                let patience = if self.transform.has_finished() { GRACE } else { self.answer.silence };
                self.silence = Instant::now() + patience.min(self.answer.silence);
                match passed {
                    Ok(passed) => {
                        let end = self.transform.is_over().then_some(End::Whole);
                        return (if passed == Passed::AsIs { bytes } else { Bytes::from(out) }, end);
                    }
                    Err(refusal) => Err(self.said(refusal)),
                }
            }
            Heard::End => self.transform.end(&mut out).map_err(|refusal| self.said(refusal)),
            Heard::Failed(rejection) => Err(rejection),
            Heard::Quiet | Heard::Gone => {
                self.transform.quiet(&mut out);
                self.quiet = Instant::now() + QUIET;
                return (Bytes::from(out), None);
            }
        };
        let end = match ended {
            Ok(()) => End::Whole,
            Err(rejection) => {
                self.transform.fail(&rejection.problem(), &mut out);
                End::Failed(rejection)
            }
        };
        (Bytes::from(out), Some(end))
    }

    /// What a refusal of the transform means: the model has said what makes no sense.
    fn said(&self, refusal: Refusal) -> Rejection {
        let problem = refusal.told();
        let message = self.attempt.wish.snapshot.scrub.clean(&problem.message);
        Rejection::UpstreamSaid { problem: Problem { message, ..problem }, retry_after: None }
    }

    async fn send(
        &mut self,
        http: &mut ServerSession,
        piece: Bytes,
        last: bool,
        witness: &mut dyn Witness,
    ) -> Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            reply::begin(http, reply::head(self.attempt, &self.answer, EVENTS, None, witness)?, witness).await?;
        }
        self.quiet = Instant::now() + QUIET;
        if last {
            self.attempt.release();
            witness.release();
        }
        witness.body(piece.len());
        http.write_response_body(piece, last).await
    }
}
