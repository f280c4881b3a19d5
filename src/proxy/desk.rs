//! What is refused before it is a request: a head that cannot be read, a connection too many.
//!
//! The law: each has its access line and is counted by its reason, like what is refused by a phase of the proxy; where there is
//! somebody to read it, the answer is the same as for any [`Rejection`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use parking_lot::Mutex;

use super::EdgeProxy;
use super::access_log;
use super::ctx::RequestCtx;
use super::forward::CALL_ID;
use crate::rejection::{Dialect, Rejection};

/// How often each reason was given.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    pub(super) fn count(&self, rejection: &Rejection) {
        *self.0.lock().entry(rejection.reason()).or_default() += 1;
    }

    /// `reason: count`, the most frequent first; empty when nothing was refused.
    pub fn summary(&self) -> String {
        let mut counts: Vec<_> = self.0.lock().iter().map(|(reason, count)| (*count, *reason)).collect();
        counts.sort_unstable_by(|one, other| other.cmp(one));
        counts.iter().map(|(count, reason)| format!("{reason}: {count}")).collect::<Vec<_>>().join(", ")
    }
}

impl EdgeProxy {
    /// Notes a refusal and writes the answer, whole, for a connection that ends with it.
    pub fn refuse(&self, client: Option<SocketAddr>, rejection: &Rejection) -> Vec<u8> {
        let ctx = self.note(client, rejection, rejection.status());
        let body = rejection.body(Dialect::default(), ctx.record.call_id());
        let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let more: String = rejection.headers().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{CALL_ID}: {}\r\n{more}Connection: close\r\n\r\n{body}",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            httpdate::fmt_http_date(SystemTime::now()),
            body.len(),
            ctx.record.call_id(),
        )
        .into_bytes()
    }

    /// Notes a refusal that nobody can be told of.
    pub fn record_refused(&self, client: Option<SocketAddr>, rejection: &Rejection) {
        self.note(client, rejection, 0);
    }

    fn note(&self, client: Option<SocketAddr>, rejection: &Rejection, status: u16) -> RequestCtx {
        self.shared.metrics.refused(rejection.reason());
        let mut ctx = self.context();
        ctx.record.unread(client, status);
        ctx.rejection = Some(rejection.clone());
        ctx.logged = true;
        self.tally.count(rejection);
        access_log::write(&ctx, "-");
        ctx
    }
}
