//! The edge proxy: Pingora's phases, each a few lines that call down.
//!
//! `ctx` is what a request carries along, `forward` writes the upstream's request and the client's answer, `spelling` how names
//! are written over HTTP/1, `peer` says whom to dial and `member` which of several, `fault` turns Pingora's errors into rejections.
//! `answer` is what goes to no upstream of a route: `models` for the translation service, `manage` for the key API. `respond` is
//! the one place that answers for Tollgate itself, and `desk` does so for what never became a request.
//! `record` is what is known of a request at its end, `access_log` its reader, and `detail` under --detailed_debug. `shared` is
//! what every request needs, `load` what the process carries, `gauges` how it stands.
//! The law: no phase decides anything that a lower floor could decide.

mod access_log;
mod answer;
mod ctx;
mod desk;
mod detail;
mod fault;
mod forward;
mod gauges;
mod load;
mod manage;
mod member;
mod models;
mod peer;
mod record;
mod respond;
mod shared;
mod spelling;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::Version;
use http::header::{self, HeaderMap};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, HttpPeer, ProxyHttp, Result, Session};
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyWarnLogContext};

pub use access_log::Format;
use ctx::{Attempt, RequestCtx};
pub use desk::Tally;
pub use load::Load;
use load::Served;
use respond::Answer;
pub use shared::{Manner, Shared};

use crate::admit::{self, Head, Step};
use crate::clock::Moment;
use crate::dial;
use crate::downstream::{Fate, Lease, Vitals};
use crate::health::Standing;
use crate::rejection::Rejection;

/// Digits of the length of a body that any socket's buffer takes: fewer than 10,000 bytes.
const MOST_DIGITS: usize = 4;

/// The proxy. Clones are the same one.
#[derive(Clone)]
pub struct EdgeProxy {
    shared: Shared,
    tally: Tally,
    /// Whether it stands behind the admin listener.
    inside: bool,
}

impl EdgeProxy {
    /// A proxy.
    pub fn new(shared: Shared) -> Self {
        Self { shared, tally: Tally::default(), inside: false }
    }

    /// The same behind the admin listener, where no route is served.
    pub fn inside(&self) -> Self {
        Self { inside: true, ..self.clone() }
    }

    /// What the process carries.
    pub fn load(&self) -> Arc<Load> {
        Arc::clone(&self.shared.load)
    }

    /// How often what was refused.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    fn standing(&self) -> Standing {
        let Shared { load, connections, .. } = &self.shared;
        Standing {
            draining: load.is_draining(),
            requests: load.in_flight(),
            streams: load.streams(),
            connections: connections.count(),
        }
    }

    fn context(&self) -> RequestCtx {
        RequestCtx::new(self.shared.snapshot.load_full(), self.shared.load.begin(), **self.shared.manner.load())
    }
}

/// Whether a body is declared that is too large to be sent before anybody reads it, or none knows how large it is.
fn has_large_body(header: &RequestHeader) -> bool {
    match header.headers.get(header::CONTENT_LENGTH) {
        Some(declared) => declared.as_bytes().len() > MOST_DIGITS,
        None => header.headers.contains_key(header::TRANSFER_ENCODING),
    }
}

/// The clocks of the client's connection. HTTP/2 has none: its connection carries many requests.
fn vitals(session: &Session) -> Option<Arc<Vitals>> {
    let stream = session.downstream_session.stream()?;
    (**stream).as_any().downcast_ref::<Lease>()?.vitals().cloned()
}

#[async_trait]
impl ProxyHttp for EdgeProxy {
    /// Boxed: Pingora moves it from future to future, by value.
    type CTX = Box<RequestCtx>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(self.context())
    }

    /// Bodies pass as they are: Pingora's compression module has no place here.
    fn init_downstream_modules(&self, _: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<()> {
        ctx.record.read(session, &ctx.snapshot);
        ctx.vitals = vitals(session);
        ctx.large_body = has_large_body(session.req_header());
        match &ctx.vitals {
            Some(vitals) => vitals.begin(),
            // An HTTP/2 client that opens no window takes nothing; over HTTP/1 the edge watches the socket.
            None => {
                session.set_write_timeout(Some(ctx.manner.write_timeout));
                ctx.fate = session.req_header_mut().extensions_mut().remove::<Arc<Fate>>();
            }
        }
        // RFC 9110 section 15.2: HTTP/1.0 knows no interim answers.
        if session.req_header().version == Version::HTTP_10 {
            session.downstream_session.set_ignore_info_resp(true);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<bool> {
        let now = Moment::at(ctx.record.begun);
        ctx.record.arrived = now.calendar;
        if let Some(vitals) = &ctx.vitals {
            ctx.record.gathered(vitals.gathered());
        }
        let header = session.req_header();
        let head = Head {
            method: &header.method,
            target: header.raw_path(),
            headers: &header.headers,
            version: header.version,
            client: ctx.record.client.map(|client| client.ip()),
            inside: self.inside,
            now,
        };
        // Whoever asks how the process is must hear it above all when it is busy.
        if self.shared.load.is_over() && admit::probe(&ctx.snapshot, head.target).is_none() {
            ctx.rejection = Some(Rejection::Overloaded);
            let answer = Answer::refusing(&Rejection::Overloaded, session, ctx);
            Box::pin(respond::early(session, ctx, answer)).await?;
            return Ok(true);
        }
        match admit::step(&ctx.snapshot, head) {
            Step::Admit(admission) => {
                let lists = admission.route.lists_models();
                ctx.admitted(admission);
                if lists {
                    Box::pin(self.list_models(session, ctx)).await?;
                    return Ok(true);
                }
                if respond::says_none(session) {
                    let since = Instant::now();
                    let ended = Box::pin(respond::ends(session, ctx.manner.body.window)).await;
                    ctx.record.awaited(since);
                    if !ended {
                        return Err(fault::rejected(ctx, Rejection::BadBody));
                    }
                }
                ctx.record.admitted();
                if respond::waits(session) {
                    session.downstream_session.write_continue_response().await?;
                }
                Ok(false)
            }
            // In a box of its own: what every request carries along does not grow by what a few need.
            step => {
                Box::pin(self.answer(session, ctx, step)).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        ctx.record.asked.get_or_insert_with(Instant::now);
        member::pick(ctx);
        ctx.leads_to(None);
        ctx.attempt = Attempt { body_done: session.is_body_empty(), ..Attempt::default() };
        peer::pick(&self.shared.resolver.load(), ctx).await
    }

    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        reused: bool,
        _: &HttpPeer,
        descriptor: std::os::fd::RawFd,
        _: Option<&Digest>,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        ctx.record.connected(reused);
        let held = ctx.member().is_some_and(dial::holds);
        ctx.leads_to(held.then_some(descriptor));
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        forward::request(request, ctx)?;
        if ctx.manner.detailed {
            detail::attempt(request, ctx);
        }
        if ctx.attempt.body_done {
            ctx.await_upstream();
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // Pingora writes an empty last piece as a last chunk of its own, and then another: the second would be read as the
        // beginning of the next request on the pooled connection.
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        ctx.attempt.body_bytes += body.as_ref().map_or(0, |body| body.len() as u64);
        if end && !ctx.attempt.body_done {
            ctx.attempt.body_done = true;
            ctx.await_upstream();
        }
        // Over HTTP/1 the edge watches the connection; over HTTP/2 each piece that trickles in is the moment to look.
        if ctx.vitals.is_none() && !end && ctx.is_trickling() {
            return Err(fault::rejected(ctx, Rejection::BodyTimeout));
        }
        match ctx.snapshot.request_bytes {
            Some(most) if ctx.attempt.body_bytes > most => Err(fault::rejected(ctx, Rejection::BodyTooLarge(most))),
            _ => Ok(()),
        }
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        member::judge(session, response, ctx)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        if self.shared.load.is_draining() {
            // The client's next request would meet a closed connection.
            session.set_keepalive(None);
        }
        forward::response(session.req_header(), response, ctx)
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if end {
            ctx.release();
        }
        // Its last piece has been written by now, but where an upstream answers a request that it has not read.
        if ctx.attempt.body_done {
            ctx.leads_to(None);
        }
        ctx.record.body(body.as_ref().map_or(0, Bytes::len));
        if let Some(vitals) = &ctx.vitals {
            vitals.silence.touch();
        }
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        trailers: &mut HeaderMap,
        _: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        forward::trailers(trailers);
        Ok(None)
    }

    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, ctx: &mut Self::CTX, error: Box<Error>) -> Box<Error> {
        fault::while_connecting(ctx, error)
    }

    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        fault::while_proxying(session, ctx, error, reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        respond::late(session, error, ctx).await
    }

    /// The access line has the error already, without the path's query and Pingora's view of the headers.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, ctx: &mut Self::CTX) {
        ctx.record.finish(session, Instant::now());
        ctx.logged = true;
        if let Some(rejection) = &ctx.rejection {
            self.tally.count(rejection);
        }
        // What nobody can read need not be counted.
        if self.shared.metrics_inside || ctx.snapshot.metrics_on_main {
            self.shared.metrics.ended(&ctx.ended());
        }
        match ctx.admission {
            Some(_) => access_log::write(ctx, ""),
            None => {
                let target = session.req_header().raw_path();
                // A call may have a key in its path, also one that has just ended to be known.
                let call = admit::call(&ctx.snapshot, target).map(|call| call.name().to_owned());
                access_log::write(ctx, &call.unwrap_or_else(|| access_log::refused_path(target)));
            }
        }
        if ctx.manner.detailed {
            detail::end(ctx);
        }
    }
}
