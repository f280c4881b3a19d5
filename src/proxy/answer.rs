//! What is answered here: all that goes to no upstream of the pass-through.
//!
//! The law: every step has its one answer, and none leaves a request open.

use pingora::prelude::{Result, Session};

use super::ctx::RequestCtx;
use super::respond::{self, Answer};
use super::{EdgeProxy, fault, manage};
use crate::admit::{Question, Step};
use crate::rejection::Rejection;

impl EdgeProxy {
    /// Answers a request that `step` does not admit to an upstream.
    pub(super) async fn answer(&self, session: &mut Session, ctx: &mut RequestCtx, step: Step) -> Result<()> {
        let answer = match step {
            Step::Admit(_) => return Err(fault::rejected(ctx, Rejection::Internal)),
            Step::Ask(Question::Model(pending)) => return self.serve_model(session, ctx, pending).await,
            Step::Manage(managed) => return manage::answer(&self.shared.admin, session, ctx, managed).await,
            Step::Reject(refusal) => {
                ctx.refused(&refusal);
                Answer::refusing(&refusal.rejection, session, ctx)
            }
            Step::Methods(methods) => Answer::allowing(methods),
            Step::Metrics => Answer::measured(self.shared.metrics.text(&self.gauges())),
            Step::Own(probe) => Answer::telling(probe, self.standing()),
        };
        respond::early(session, ctx, answer).await
    }
}
