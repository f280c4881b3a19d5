//! A request on its way to a model's server, until the head of the answer is in.
//!
//! The law: a server is heard also where it answers before it has read all, as one does that finds a request too large: what is
//! left is not sent then, and the connection serves no other request.
//!
//! It sets no clock: whoever waits for it does.

use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, Result};
use pingora::protocols::UniqueID;
use pingora::protocols::http::client::HttpSession;
use pingora::{ErrorType, RetryType};
use tokio::time::timeout;

use crate::uplink;

/// What is sent between two looks at whether the server has answered.
const PIECE: usize = 64 << 10;
/// How long the answer of a server is waited for that reads no further.
const LAST_WORD: Duration = Duration::from_millis(100);

/// What has stopped a request on its way.
enum Stopped {
    /// The server takes no more of it.
    Writing(Box<Error>),
    /// The server's answer cannot be read, and is not read again.
    Reading(Box<Error>),
}

/// Sends the request and waits for the head of the answer. Whether the request was sent whole. `held`: whether the connection holds
/// back what fills no segment.
pub(super) async fn sent(
    session: &mut HttpSession,
    request: RequestHeader,
    body: Bytes,
    held: bool,
) -> Result<bool, Box<Error>> {
    let mut error = match write(session, request, body).await {
        Ok(whole) => {
            if held {
                push(session);
            }
            read(session).await?;
            return Ok(whole);
        }
        Err(Stopped::Reading(error)) => return Err(error),
        Err(Stopped::Writing(error)) => error,
    };
    // Who closes has often said why, and the end has overtaken it.
    if let Ok(Ok(())) = timeout(LAST_WORD, read(session)).await {
        return Ok(false);
    }
    // Half a request is none; a pooled connection may just have died.
    if *error.etype() == ErrorType::WriteError {
        error.retry = RetryType::ReusedOnly;
    }
    Err(error)
}

/// Sends the request, unless the server says no meanwhile.
async fn write(session: &mut HttpSession, request: RequestHeader, mut rest: Bytes) -> Result<bool, Stopped> {
    session.write_request_header(Box::new(request)).await.map_err(Stopped::Writing)?;
    loop {
        let piece = rest.split_to(rest.len().min(PIECE));
        session.write_request_body(piece, rest.is_empty()).await.map_err(Stopped::Writing)?;
        if rest.is_empty() {
            session.finish_request_body().await.map_err(Stopped::Writing)?;
            return Ok(true);
        }
        if has_refused(session).await.map_err(Stopped::Reading)? {
            return Ok(false);
        }
    }
}

/// Lets go what is held back.
fn push(session: &HttpSession) {
    if let HttpSession::H1(session) = session {
        uplink::push(session.id());
    }
}

/// Whether the server has refused by now what it is still being sent.
async fn has_refused(session: &mut HttpSession) -> Result<bool, Box<Error>> {
    if !has_answered(session) {
        tokio::select! {
            biased;
            read = session.read_response_header() => read?,
            () = ready(()) => {}
        }
    }
    Ok(has_answered(session) && session.response_header().is_some_and(|head| !head.status.is_success()))
}

async fn read(session: &mut HttpSession) -> Result<(), Box<Error>> {
    while !has_answered(session) {
        session.read_response_header().await?;
    }
    Ok(())
}

/// Whether the head of an answer is in, which no interim one is.
fn has_answered(session: &HttpSession) -> bool {
    session.response_header().is_some_and(|head| !head.status.is_informational())
}
