//! Request after request on one HTTP/1 connection (RFC 9112 section 9).
//!
//! The law: a head is judged before Pingora sees it, and a body as it passes, so that what reaches an origin has one meaning;
//! the first piece of a body is judged before any upstream hears of the request. Requests that come at once are served one
//! after another. The connection lives as long as everything on it was in order.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, timeout_at};

use super::watch::{End, Phase, Watch};
use super::{Edge, Rules};
use crate::downstream::{Connection, Lease, Slot};
use crate::framing::{Body, Head, Limits, Scan};
use crate::rejection::Rejection;

/// The most of a body that is gathered before the upstream is asked for anything.
const GATHERED: usize = 64 << 10;
/// How long it is waited for: long enough for a body that was sent with its head, short enough for one that is being written.
const GATHER: Duration = Duration::from_millis(100);

/// Why there is no request.
enum NoRequest {
    /// The client has left, or was silent.
    Ended,
    /// It is refused.
    Refused(Rejection),
}

impl From<crate::framing::Fault> for NoRequest {
    fn from(fault: crate::framing::Fault) -> Self {
        Self::Refused(Rejection::BadFrame(fault))
    }
}

/// What has become of a request.
enum Served {
    /// Answered, and Pingora would take another on the connection.
    Kept,
    /// Answered, and the connection ends.
    Last,
    /// Given up.
    Cut,
}

impl Edge {
    /// Serves until a request ends the connection or the client has left. `watch` has counted from the connection's begin.
    pub(super) async fn http1(
        &self,
        mut connection: Box<Connection>,
        mut watch: Watch,
        rules: &Rules,
        shutdown: &ShutdownWatch,
    ) {
        let slot = Arc::new(Slot::default());
        // One wait for the drain serves the whole connection.
        let mut drain = pin!(drains(shutdown.clone()));
        loop {
            let waited = if *shutdown.borrow() { None } else { Some(drain.as_mut()) };
            let head = match request(&mut connection, &mut watch, &rules.head, waited).await {
                Ok(head) => head,
                Err(NoRequest::Ended) => return,
                Err(NoRequest::Refused(rejection)) => return self.refuse(*connection, &rejection, rules).await,
            };
            let (address, vitals) = (super::address(&connection), Arc::clone(&connection.vitals));
            vitals.hand_over();
            watch.enter(Phase::Serving);
            let served = self.serve(connection, head, &mut watch, &slot, shutdown).await;
            if !vitals.was_taken() {
                // Pingora has answered by itself, where no phase of the proxy could see it.
                self.desk.record_refused(address, &Rejection::Internal);
            }
            let Some(returned) = slot.take() else { return };
            match served {
                Served::Cut => return,
                _ if vitals.is_broken() => return,
                Served::Kept if returned.body.is_done() && !returned.ended => {}
                _ => {
                    let unread = !returned.inbox.is_empty() || !returned.body.is_done();
                    return returned.close(unread).await;
                }
            }
            connection = returned;
            watch.enter(Phase::Idle);
        }
    }

    async fn serve(
        &self,
        connection: Box<Connection>,
        head: BytesMut,
        watch: &mut Watch,
        slot: &Arc<Slot>,
        shutdown: &ShutdownWatch,
    ) -> Served {
        let vitals = Arc::clone(&connection.vitals);
        let mut session = ServerSession::new_http1(Box::new(Lease::new(connection, slot)));
        // Whether it is kept is decided request by request; a session begins with "no".
        session.set_keepalive(Some(0));
        session.set_pipelined_prefix(head);
        tokio::select! {
            biased;
            next = self.proxy.process_new_http(session, shutdown) => {
                if next.is_some() { Served::Kept } else { Served::Last }
            }
            end = poll_fn(|cx| {
                // The request waits: what it has written so far is to go.
                vitals.fate.uplink.push();
                watch.poll(cx)
            }) => {
                log::debug!("a client's connection is given up: {end:?}");
                Served::Cut
            }
        }
    }
}

/// Reads the next request: its head, and what is there of its body.
async fn request(
    connection: &mut Connection,
    watch: &mut Watch,
    limits: &Limits,
    drain: Option<Pin<&mut impl Future<Output = ()>>>,
) -> Result<BytesMut, NoRequest> {
    let end = head(connection, watch, limits, drain).await?;
    let read = Head::read(connection.inbox.get(..end).unwrap_or_default(), limits)?;
    let origin = read.origin;
    let body = gather(connection, end, read).await?;
    let bytes = connection.split(end + body);
    Ok(match origin {
        Some((begin, end)) => origin_form(&bytes, begin, end),
        None => bytes,
    })
}

/// Waits until a whole head is in the inbox: where it ends.
async fn head(
    connection: &mut Connection,
    watch: &mut Watch,
    limits: &Limits,
    drain: Option<Pin<&mut impl Future<Output = ()>>>,
) -> Result<usize, NoRequest> {
    let mut scan = Scan::default();
    let mut begun = false;
    let mut drain = drain;
    loop {
        let blank = scan.skip(&connection.inbox);
        connection.inbox.advance(blank);
        // Empty lines are no beginning: some clients send one after a body (RFC 9112 section 2.2).
        begun = begun || !connection.inbox.is_empty();
        if !connection.inbox.is_empty()
            && let Some(end) = scan.find(&connection.inbox, limits)?
        {
            return Ok(end);
        }
        if begun {
            watch.begin_head();
        } else if drain.is_none() {
            return Err(NoRequest::Ended);
        }
        tokio::select! {
            biased;
            read = poll_fn(|cx| connection.poll_fill(cx)) => match read {
                Ok(count) if count > 0 => {}
                _ => return Err(NoRequest::Ended),
            },
            end = poll_fn(|cx| watch.poll(cx)) => return Err(match end {
                End::Head => NoRequest::Refused(Rejection::HeadTimeout),
                _ => NoRequest::Ended,
            }),
            () = began(drain.as_mut()), if !begun => return Err(NoRequest::Ended),
        }
    }
}

/// Ready when the service drains.
async fn drains(mut shutdown: ShutdownWatch) {
    // The sender is dropped only when the process ends.
    let _ = shutdown.wait_for(|down| *down).await;
}

/// Ready when the drain that is waited for has begun.
async fn began(drain: Option<&mut Pin<&mut impl Future<Output = ()>>>) {
    if let Some(drain) = drain {
        drain.as_mut().await;
    }
}

/// Waits a moment for the rest of a small body, and judges what has come: how many bytes of the inbox it is.
async fn gather(connection: &mut Connection, begin: usize, head: Head) -> Result<usize, NoRequest> {
    let Head { mut body, waits, .. } = head;
    let small = !matches!(body, Body::Length(length) if length > GATHERED as u64);
    let mut have = 0;
    let mut until = None;
    loop {
        let come = connection.inbox.get(begin + have..).unwrap_or_default();
        have += body.take(come)?;
        if body.is_done() || waits || !small || have >= GATHERED {
            break;
        }
        let until = *until.get_or_insert_with(|| Instant::now() + GATHER);
        match timeout_at(until, poll_fn(|cx| connection.poll_fill(cx))).await {
            Ok(Ok(count)) if count > 0 => {}
            Ok(_) => return Err(NoRequest::Ended),
            Err(_) => break,
        }
    }
    connection.body = body;
    // Most bodies need no wait, and no look at the clock.
    connection.vitals.gather(until.map(|until| Instant::now() + GATHER - until).unwrap_or_default());
    Ok(have)
}

/// A head whose target begins with the path: scheme and host, which stand at `begin..end`, are in `Host` too.
fn origin_form(bytes: &[u8], begin: usize, end: usize) -> BytesMut {
    let (before, after) = (bytes.get(..begin).unwrap_or_default(), bytes.get(end..).unwrap_or_default());
    let mut written = BytesMut::with_capacity(bytes.len());
    written.extend_from_slice(before);
    if after.first() != Some(&b'/') {
        written.extend_from_slice(b"/");
    }
    written.extend_from_slice(after);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_path_gets_one() {
        for (target, expected) in [("http://t/a?b", "/a?b"), ("http://t?b", "/?b"), ("http://t", "/")] {
            let head = format!("GET {target} HTTP/1.1\r\n\r\n");
            let written = origin_form(head.as_bytes(), 4, 4 + "http://t".len());
            assert_eq!(written, format!("GET {expected} HTTP/1.1\r\n\r\n").as_bytes());
        }
    }
}
