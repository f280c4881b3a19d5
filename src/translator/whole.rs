//! Answers of one piece: the model's, its refusal, and the number of tokens that nobody needs to be asked for.
//!
//! The law: read whole within a limit before the client is sent a byte, so that one that breaks off can be tried elsewhere;
//! what an upstream says in a refusal reaches the client without our secrets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use serde_json::json;
use tokio::time::timeout;

use super::exchange::{Answer, Attempt};
use super::reply::{self, JSON};
use super::serve::Tally;
use super::{Translator, Witness};
use crate::dial;
use crate::provider::Style;
use crate::rejection::{Rejection, UpstreamFault};
use crate::snapshot::{Outcome, Service};
use crate::translate::json::{self, Limits};
use crate::translate::{Problem, Refusal, count, failure, openai, transform};

/// The largest answer of one piece: more than any model writes, with room for embeddings.
const MOST: usize = 64 << 20;
/// The most that is read of a refusal.
const MOST_REFUSAL: usize = 256 << 10;
/// How long that may take: its status is known, and another may be asked meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Passes on an answer that is whole.
pub(super) async fn answer(
    translator: &Translator,
    http: &mut ServerSession,
    attempt: Attempt<'_>,
    mut answer: Answer,
    witness: &mut dyn Witness,
) -> Tally {
    let body = match read(http, &mut answer, MOST).await {
        Read::Gone => return Tally::Gone,
        Read::Failed(rejection, note) => {
            witness.note(&note);
            return attempt.failed(rejection);
        }
        Read::Whole(body) => body,
    };
    let kind = answer.session.response_header().and_then(|head| head.headers.get(header::CONTENT_TYPE)).cloned();
    let (body, kind) = match translated(attempt, &answer, body) {
        Ok((body, true)) => (body, reply::EVENTS.to_owned()),
        Ok((body, false)) if answer.native => {
            (body, kind.and_then(|kind| kind.to_str().ok().map(str::to_owned)).unwrap_or(JSON.into()))
        }
        Ok((body, false)) => (body, JSON.to_owned()),
        Err(problem) => {
            witness.note("the upstream's answer is not one of its API");
            return attempt.failed(Rejection::UpstreamSaid { problem, retry_after: None });
        }
    };
    let Ok(head) = reply::head(attempt, &answer, &kind, Some(body.len()), witness) else {
        return attempt.failed(Rejection::Internal);
    };
    translator.done_with(answer).await;
    attempt.release();
    Tally::Answered(reply::send(http, head, body, witness).await)
}

/// The answer as the client reads it, and whether it is a stream: a server that knows none was asked for one.
fn translated(attempt: Attempt<'_>, answer: &Answer, body: Bytes) -> Result<(Bytes, bool), Problem> {
    let wish = attempt.wish;
    let cleaned = |refusal: Refusal| {
        let problem = refusal.told();
        Problem { message: wish.snapshot.scrub.clean(&problem.message), ..problem }
    };
    let (Service::Adapter(adapter), Some(Ok(asked)), false) =
        (wish.service, wish.asking.remembered(wish.service, answer.native), answer.native)
    else {
        openai::check_answer(&body).map_err(cleaned)?;
        return match (wish.service, wish.asking.streams()) {
            (Service::Chat | Service::Completions, true) => {
                openai::as_stream(&body).map(|events| (Bytes::from(events), true)).map_err(cleaned)
            }
            _ => Ok((body, false)),
        };
    };
    let wrong = || Problem { status: 502, message: "The model's answer is not one that can be read.".into() };
    let value = json::read(&body, Limits::ANSWER).map_err(|_| wrong())?;
    let call = wish.asking.call();
    if wish.asking.streams() {
        let events = transform::whole(adapter.stream(&call, &asked.notes), &value).map_err(cleaned)?;
        return Ok((Bytes::from(events), true));
    }
    adapter.response(&call, &asked.notes, &value).map(|body| (Bytes::from(body), false)).map_err(cleaned)
}

/// Reads a refusal.
pub(super) async fn refusal(
    translator: &Translator,
    http: &mut ServerSession,
    attempt: Attempt<'_>,
    mut answer: Answer,
    status: u16,
    witness: &mut dyn Witness,
) -> Tally {
    let wait = answer.session.response_header().and_then(retry_after);
    let body = match timeout(PATIENCE, read(http, &mut answer, MOST_REFUSAL)).await {
        Ok(Read::Gone) => return Tally::Gone,
        Ok(Read::Whole(body)) => body,
        Ok(Read::Failed(..)) | Err(_) => Bytes::new(),
    };
    translator.done_with(answer).await;
    witness.note(&format!("the upstream answered {status}"));
    // Anything that is neither an answer nor a refusal, a redirect above all, is none of this API.
    if status < 400 {
        return attempt.failed(Rejection::UpstreamFailed(UpstreamFault::Protocol));
    }
    let problem = failure::upstream_problem(status, &body);
    let message = attempt.wish.snapshot.scrub.clean(&problem.message);
    let retry_after = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let outcome = Outcome::of(status, retry_after);
    let rejection = Rejection::UpstreamSaid { problem: Problem { message, ..problem }, retry_after };
    Tally::Failed { rejection, outcome, wait }
}

/// How long the upstream wants to be left alone (RFC 9110 section 10.2.3; `retry-after-ms` is OpenAI's).
fn retry_after(head: &ResponseHeader) -> Option<Duration> {
    let text = |name| head.headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse::<u64>().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let text = text("retry-after")?;
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(std::time::SystemTime::now()).ok(),
    }
}

/// What came of reading a body.
enum Read {
    Whole(Bytes),
    Failed(Rejection, String),
    Gone,
}

async fn read(http: &mut ServerSession, answer: &mut Answer, most: usize) -> Read {
    let silence = answer.silence;
    let mut body = BytesMut::new();
    loop {
        let piece = timeout(silence, answer.session.read_response_body());
        match reply::unless_gone(http, piece).await {
            None => return Read::Gone,
            Some(Err(_)) => return Read::Failed(Rejection::UpstreamTimeout, "the upstream fell silent".into()),
            Some(Ok(Err(error))) => return Read::Failed(dial::meaning(&error), dial::described(&error)),
            Some(Ok(Ok(None))) => return Read::Whole(body.freeze()),
            Some(Ok(Ok(Some(piece)))) => {
                if body.len() + piece.len() > most {
                    let rejection = Rejection::UpstreamFailed(UpstreamFault::Protocol);
                    return Read::Failed(rejection, format!("the answer is larger than {most} bytes"));
                }
                body.extend_from_slice(&piece);
            }
        }
    }
}

/// The number of tokens of a request, where the deployment cannot be asked for it: everywhere but at Anthropic.
pub(super) async fn tokens(attempt: Attempt<'_>) -> Option<Result<Bytes, Rejection>> {
    let (Service::CountTokens, Some(deployment)) = (attempt.wish.service, &attempt.member.deployment) else {
        return None;
    };
    if deployment.provider.style == Style::Anthropic {
        return None;
    }
    let chat = match attempt.wish.asking.chat(attempt.wish.service) {
        Ok(chat) => chat,
        Err(refusal) => return Some(Err(Rejection::Untranslated(refusal.told()))),
    };
    let model = deployment.model(attempt.asked.star.as_deref());
    let rules = deployment.rules(&model).to_owned();
    // Long texts take their time, and the first one that of building the encoder.
    let counted = tokio::task::spawn_blocking(move || count::tokens(&rules, &chat)).await;
    Some(
        counted
            .map_err(|_| Rejection::Internal)
            .map(|tokens| Bytes::from(json!({ "input_tokens": tokens }).to_string())),
    )
}
