//! Answers of one piece: the model's, its refusal, and the number of tokens that nobody needs to be asked for.
//!
//! The law: read whole within a limit before the client is sent a byte, so that one that breaks off can be tried elsewhere;
//! what an upstream says in a refusal reaches the client without our secrets.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::asking::Question;
use super::exchange::{Answer, Attempt};
use super::reply::{self, JSON};
use super::serve::{Tally, Wish};
use super::{Translator, Witness};
use crate::dial;
use crate::provider::Style;
use crate::rejection::{Rejection, UpstreamFault};
use crate::snapshot::{Outcome, Service};
use crate::translate::{Problem, count, failure, transform};

/// The largest answer of one piece: more than any model writes, with room for embeddings.
const MOST: usize = 64 << 20;
/// The most that is read of a refusal.
const MOST_REFUSAL: usize = 256 << 10;

/// Passes on an answer that is whole.
pub(super) async fn answer(
    translator: &Translator,
    http: &mut ServerSession,
    attempt: Attempt<'_>,
    mut answer: Answer,
    witness: &mut dyn Witness,
) -> Tally {
    let failed = |rejection| Tally::Failed { rejection, outcome: Outcome::Failed, wait: None };
    let body = match read(http, &mut answer, MOST).await {
        Read::Gone => return Tally::Gone,
        Read::Failed(rejection, note) => {
            witness.note(&note);
            return failed(rejection);
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
            return failed(Rejection::UpstreamSaid { problem, retry_after: None });
        }
    };
    let Ok(head) = reply::head(attempt, &answer, &kind, Some(body.len()), witness) else {
        return failed(Rejection::Internal);
    };
    translator.done_with(answer, attempt.wish.snapshot.idle).await;
    Tally::Answered(reply::send(http, head, body, witness).await)
}

/// The answer as the client reads it, and whether it is a stream: a server that knows none was asked for one.
fn translated(attempt: Attempt<'_>, answer: &Answer, body: Bytes) -> Result<(Bytes, bool), Problem> {
    let wish = attempt.wish;
    let (Service::Adapter(adapter), Question::Chat(asked)) = (wish.service, &wish.asking.question) else {
        return Ok((body, false));
    };
    if answer.native {
        return Ok((body, false));
    }
    let wrong = || Problem { status: 502, message: "The model's answer is not one that can be read.".into() };
    let value: Value = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let call = wish.asking.call();
    let cleaned = |refusal: crate::translate::Refusal| {
        let problem = refusal.told();
        Problem { message: wish.snapshot.scrub.clean(&problem.message), ..problem }
    };
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
    let told = answer.session.response_header().and_then(|head| head.headers.get(header::RETRY_AFTER));
    let retry_after = told.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = match read(http, &mut answer, MOST_REFUSAL).await {
        Read::Gone => return Tally::Gone,
        Read::Whole(body) => body,
        Read::Failed(..) => Bytes::new(),
    };
    translator.done_with(answer, attempt.wish.snapshot.idle).await;
    witness.note(&format!("the upstream answered {status}"));
    // Anything that is neither an answer nor a refusal, a redirect above all, is none of this API.
    if status < 400 {
        let rejection = Rejection::UpstreamFailed(UpstreamFault::Protocol);
        return Tally::Failed { rejection, outcome: Outcome::Failed, wait: None };
    }
    let problem = failure::upstream_problem(status, &body);
    let message = attempt.wish.snapshot.scrub.clean(&problem.message);
    let outcome = Outcome::of(status, wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
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

/// The number of tokens of a request, where it need not be asked for: everywhere but at Anthropic.
pub(super) async fn tokens(wish: Wish<'_>) -> Option<Bytes> {
    let group = wish.asked.group.lead.as_ref().ok()?;
    let Question::Tokens(translated) = &wish.asking.question else { return None };
    let deployment = group.member(0).deployment.as_ref()?;
    if deployment.provider.style == Style::Anthropic {
        return None;
    }
    let model = deployment.model(wish.asked.star.as_deref());
    let rules = deployment.rules(&model).to_owned();
    let chat = translated.chat.clone();
    // Long texts take their time, and the first one that of building the encoder.
    let tokens = tokio::task::spawn_blocking(move || count::tokens(&rules, &chat)).await.ok()?;
    Some(Bytes::from(json!({ "input_tokens": tokens }).to_string()))
}
