//! A request for a model on its way through the proxy: read, admitted, served by the translation service, and noted.
//!
//! The law: what is not admitted is not served; what the service hears goes into the one record of the request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora::prelude::{Error, Result, Session};
use pingora::{ErrorSource, ErrorType};

use super::ctx::RequestCtx;
use super::respond::{self, Answer};
use super::{EdgeProxy, detail, fault};
use crate::admit::{self, Pending, Step};
use crate::clock::Moment;
use crate::rejection::{Rejection, standing_headers};
use crate::translator::{Asking, Ended, Unread, Wish, Witness, listed, one};

impl EdgeProxy {
    /// Answers a request whose model stands in its body.
    pub(super) async fn serve_model(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        pending: Pending,
    ) -> Result<()> {
        ctx.pending(&pending);
        if respond::waits(session) {
            session.downstream_session.write_continue_response().await?;
        }
        let snapshot = Arc::clone(&ctx.snapshot);
        let id = ctx.record.call_id().to_owned();
        let since = Instant::now();
        // Over HTTP/1 the edge watches the connection.
        let (watched, least) = (ctx.vitals.is_some(), ctx.manner.body);
        let trickles = |bytes| !watched && least.is_missed(bytes, since.elapsed());
        let read = Asking::read(&mut session.downstream_session, &snapshot, &pending, &id, &trickles).await;
        ctx.record.awaited(since);
        let asking = match read {
            Ok(asking) => asking,
            Err(Unread::Failed(error)) => return Err(error.into_down()),
            Err(Unread::Refused(rejection)) => {
                ctx.refused(&pending.refuse(rejection.clone()));
                return respond::early(session, ctx, Answer::refusing(&rejection, session, ctx)).await;
            }
        };
        ctx.attempt.body_done = true;
        ctx.attempt.body_bytes = asking.length();
        match admit::resume(&snapshot, pending, asking.model(), Moment::now().steady) {
            Step::Admit(admission) => {
                ctx.admitted(admission);
                ctx.record.admitted();
                self.ask_model(session, ctx, &asking).await
            }
            Step::Reject(refusal) => {
                ctx.refused(&refusal);
                respond::early(session, ctx, Answer::refusing(&refusal.rejection, session, ctx)).await
            }
            _ => Err(fault::rejected(ctx, Rejection::Internal)),
        }
    }

    async fn ask_model(&self, session: &mut Session, ctx: &mut RequestCtx, asking: &Asking) -> Result<()> {
        match self.ask_admitted(session, ctx, asking).await {
            Ok(Ended::Whole) => Ok(()),
            Ok(Ended::Told(rejection)) => {
                ctx.record.broken = true;
                ctx.rejection = Some(rejection);
                Ok(())
            }
            Ok(Ended::Gone) => {
                ctx.record.note("the client left");
                Err(Error::create(ErrorType::ConnectionClosed, ErrorSource::Downstream, None, None))
            }
            Err(rejection) => {
                ctx.release();
                ctx.rejection = Some(rejection.clone());
                respond::early(session, ctx, Answer::refusing(&rejection, session, ctx)).await
            }
        }
    }

    async fn ask_admitted(
        &self,
        session: &mut Session,
        ctx: &mut RequestCtx,
        asking: &Asking,
    ) -> Result<Ended, Rejection> {
        let Some(admission) = &ctx.admission else { return Err(Rejection::Internal) };
        let (Some((model, asked)), Some(service)) = (admission.model.clone(), admission.service().cloned()) else {
            return Err(Rejection::Internal);
        };
        let standing: Vec<_> = standing_headers(&admission.held, true).into_iter().collect();
        let snapshot = Arc::clone(&ctx.snapshot);
        let fields = session.req_header().headers.clone();
        let id = ctx.record.call_id().to_owned();
        let wish = Wish {
            snapshot: &snapshot,
            model: &model,
            asked: &asked,
            service: &service,
            asking,
            fields: &fields,
            standing: &standing,
            id: &id,
        };
        self.shared.translator.serve(&mut session.downstream_session, wish, ctx).await
    }

    /// Answers which models there are.
    pub(super) async fn list_models(&self, session: &mut Session, ctx: &mut RequestCtx) -> Result<()> {
        let principal = ctx.record.principal.as_ref();
        if let Some(name) = ctx.admission.as_ref().and_then(|admission| admission.listed_model()) {
            let is_seen = ctx.snapshot.models.find(&name).is_some() && admit::may_use(&ctx.snapshot, principal, &name);
            let answer = if is_seen {
                Answer::listing(&one(&name, ctx.dialect))
            } else {
                let rejection = Rejection::NoModel(admit::shown_model(&ctx.snapshot, &name));
                ctx.rejection = Some(rejection.clone());
                Answer::refusing(&rejection, session, ctx)
            };
            return respond::early(session, ctx, answer).await;
        }
        let names = ctx.snapshot.models.names();
        let seen: Vec<&str> = names.into_iter().filter(|name| admit::may_use(&ctx.snapshot, principal, name)).collect();
        let answer = Answer::listing(&listed(&seen, ctx.dialect));
        respond::early(session, ctx, answer).await
    }
}

impl Witness for RequestCtx {
    fn asked(&mut self, deployment: &str, at: Instant) {
        if self.record.asked.is_some() {
            self.attempts += 1;
        }
        if self.manner.detailed {
            detail::asked(deployment, self);
        }
        self.record.asked.get_or_insert(at);
        self.record.deployment = Some(deployment.to_owned());
    }

    fn connected(&mut self, reused: bool) {
        self.record.connected(reused);
    }

    fn answered(&mut self, status: u16) {
        self.record.answered(status);
    }

    fn streams(&mut self) {
        RequestCtx::streams(self);
    }

    fn body(&mut self, bytes: usize) {
        self.record.body(bytes);
    }

    fn release(&mut self) {
        RequestCtx::release(self);
    }

    fn ends_connection(&self) -> bool {
        self.is_draining()
    }

    fn own(&self) -> Option<Duration> {
        self.record.own()
    }

    fn note(&mut self, text: &str) {
        self.record.note(text);
    }
}
