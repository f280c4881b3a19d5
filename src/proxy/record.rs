//! What is known of a request at its end.
//!
//! The law: made once, when the request begins; finished once, in `logging`; whoever reports on requests reads it and
//! nothing else. It holds no credential, no query and no body.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Method, Version};
use pingora::prelude::{Error, Session};

use super::forward::CALL_ID;
use crate::auth::Principal;
use crate::client::client;
use crate::dial;
use crate::rejection::Rejection;
use crate::snapshot::{Route, Snapshot};

/// The status nginx has taught operators to look for.
const CLIENT_GONE: u16 = 499;
/// The longest call id that a client may choose.
const MOST_CALL_ID: usize = 128;

/// The facts of one request.
pub(super) struct RequestRecord {
    call_id: String,
    /// When its head was in.
    pub(super) begun: Instant,
    /// How much of the time until an upstream was asked went by waiting for the client.
    awaited: Duration,
    /// When that was, by the calendar, in milliseconds since 1970; 0: nobody has looked.
    pub(super) arrived: u64,
    /// Where the connection comes from: a client, or a proxy before us.
    pub(super) peer: Option<SocketAddr>,
    pub(super) client: Option<SocketAddr>,
    pub(super) method: Method,
    pub(super) version: Version,
    /// Whether the client's connection is encrypted.
    pub(super) tls: bool,
    pub(super) route: Option<Arc<Route>>,
    pub(super) principal: Option<Principal>,
    /// The deployment that was asked last.
    pub(super) deployment: Option<String>,
    /// The status the client was sent; 0 before any.
    pub(super) status: u16,
    /// When it was admitted, and what has to be there by then was.
    admitted: Option<Instant>,
    /// When an upstream was first asked for a connection.
    pub(super) asked: Option<Instant>,
    /// When the upstream's connection stood, and whether it was a pooled one.
    pub(super) connected: Option<(Instant, bool)>,
    pub(super) first_byte: Option<Instant>,
    pub(super) ended: Option<Instant>,
    pub(super) sent: u64,
    /// Why it failed, for the operator.
    pub(super) note: Option<String>,
    pub(super) broken: bool,
    pub(super) client_gone: bool,
}

impl RequestRecord {
    pub(super) fn begin() -> Self {
        Self {
            call_id: String::new(),
            begun: Instant::now(),
            awaited: Duration::ZERO,
            arrived: 0,
            peer: None,
            client: None,
            method: Method::GET,
            version: Version::HTTP_11,
            tls: false,
            route: None,
            principal: None,
            deployment: None,
            status: 0,
            admitted: None,
            asked: None,
            connected: None,
            first_byte: None,
            ended: None,
            sent: 0,
            note: None,
            broken: false,
            client_gone: false,
        }
    }

    /// Takes what the head of the request says.
    pub(super) fn read(&mut self, session: &Session, snapshot: &Snapshot) {
        let header = session.req_header();
        self.peer = session.client_addr().and_then(|address| address.as_inet().copied());
        self.client = self.peer.map(|peer| client(peer, &header.headers, &snapshot.trusted));
        self.method = header.method.clone();
        // A key is a legal method, which would stand in logs.
        let usual = matches!(self.method, Method::GET | Method::POST);
        if !usual && snapshot.keyring.occurs_in(self.method.as_str().as_bytes()) {
            self.method = unknown_method();
        }
        self.version = header.version;
        // And a legal id.
        let is_known = |id: &String| snapshot.keyring.occurs_in(id.as_bytes());
        self.call_id = chosen(&header.headers).filter(|id| !is_known(id)).unwrap_or_else(new_call_id);
    }

    /// Takes what is known of one whose head could not be read.
    pub(super) fn unread(&mut self, client: Option<SocketAddr>, status: u16) {
        self.client = client;
        self.method = unknown_method();
        self.status = status;
        self.call_id = new_call_id();
    }

    /// The id that client, log and answer share.
    pub(super) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The edge had its head already, and has waited for the body since. Limits count from now all the same: nobody has been admitted
    /// at an earlier time.
    pub(super) fn gathered(&mut self, waited: Duration) {
        if let Some(begun) = self.begun.checked_sub(waited).filter(|_| !waited.is_zero()) {
            self.begun = begun;
            self.arrived = self.arrived.saturating_sub(u64::try_from(waited.as_millis()).unwrap_or_default());
            self.awaited += waited;
        }
    }

    /// The client has been waited for since then.
    pub(super) fn awaited(&mut self, since: Instant) {
        self.awaited += since.elapsed();
    }

    /// It may go on to an upstream.
    pub(super) fn admitted(&mut self) {
        self.admitted = Some(Instant::now());
    }

    pub(super) fn connected(&mut self, reused: bool) {
        // A pooled connection was there when it was asked for.
        let at = self.asked.filter(|_| reused).unwrap_or_else(Instant::now);
        self.connected = Some((at, reused));
    }

    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
        self.first_byte.get_or_insert_with(Instant::now);
    }

    pub(super) fn body(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    pub(super) fn note(&mut self, text: &str) {
        self.note = Some(text.to_owned());
    }

    /// Keeps why it failed. No rejection: the client is gone.
    pub(super) fn failed(&mut self, error: &Error, rejection: Option<&Rejection>) {
        self.broken = self.status != 0;
        self.client_gone = rejection.is_none();
        self.note.get_or_insert_with(|| dial::described(error));
    }

    pub(super) fn finish(&mut self, session: &Session, now: Instant) {
        self.ended = Some(now);
        if self.status == 0 {
            self.status = session.response_written().map_or(0, |header| header.status.as_u16());
        }
        if self.client_gone && self.status == 0 {
            self.status = CLIENT_GONE;
        }
    }

    /// The request was dropped before its end: the client has left, the proxy has failed, or the drain has `cut` it.
    pub(super) fn abandoned(&mut self, cut: bool) {
        self.ended = Some(Instant::now());
        self.broken = self.status != 0;
        self.client_gone = !cut;
        if self.client_gone && self.status == 0 {
            self.status = CLIENT_GONE;
        }
        let why = match (std::thread::panicking(), cut) {
            (true, _) => "the proxy failed",
            (false, true) => "cut by the stop of the process: tollgate.timeouts.drain",
            (false, false) => "the client left",
        };
        self.note.get_or_insert_with(|| why.to_owned());
    }

    /// When it ended, by the calendar.
    pub(super) fn ended_at(&self) -> SystemTime {
        match self.arrived {
            0 => SystemTime::now(),
            arrived => SystemTime::UNIX_EPOCH + Duration::from_millis(arrived) + self.took(),
        }
    }

    /// How long it took until an upstream was asked for, without what the client took; none: none was.
    pub(super) fn own(&self) -> Option<Duration> {
        self.asked.map(|asked| asked.saturating_duration_since(self.begun).saturating_sub(self.awaited))
    }

    /// How long it waited at the gate, whatever for; none: it was not admitted.
    pub(super) fn queued(&self) -> Option<Duration> {
        self.admitted.map(|admitted| admitted.saturating_duration_since(self.begun))
    }

    pub(super) fn took(&self) -> Duration {
        self.ended.unwrap_or_else(Instant::now).duration_since(self.begun)
    }
}

/// Stands for a method that cannot be shown.
pub(super) fn unknown_method() -> Method {
    Method::from_bytes(b"-").unwrap_or_default()
}

/// An id that nobody else has.
fn new_call_id() -> String {
    uuid::Uuid::new_v4().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

/// The id that the client chose, if it is one that can be repeated anywhere.
fn chosen(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(CALL_ID)?.to_str().ok()?;
    let fits = !id.is_empty()
        && id.len() <= MOST_CALL_ID
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'));
    fits.then(|| id.to_owned())
}
