//! What a request carries from phase to phase.
//!
//! The law: the snapshot is taken once, when the request begins; what belongs to one attempt is made anew for the next.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use pingora::http::RequestHeader;

use super::access_log;
use super::record::RequestRecord;
use super::{Manner, Served};
use crate::admit::{Admission, Pending, Refusal};
use crate::auth::Principal;
use crate::downstream::{Fate, Vitals};
use crate::metrics::Ended;
use crate::rejection::{Dialect, Rejection};
use crate::resolve::Addresses;
use crate::snapshot::{Lead, Member, Service, Snapshot, Tried};
use crate::translator::heard;

/// The state of one request.
pub struct RequestCtx {
    /// The one snapshot this request meets.
    pub(super) snapshot: Arc<Snapshot>,
    /// What is known of it.
    pub(super) record: RequestRecord,
    /// The right to be served, once it has been given.
    pub(super) admission: Option<Box<Admission>>,
    /// How errors are said.
    pub(super) dialect: Dialect,
    /// Why it was not served, once that is known.
    pub(super) rejection: Option<Rejection>,
    /// The attempt under way.
    pub(super) attempt: Attempt,
    /// How many attempts were made before it.
    pub(super) attempts: usize,
    /// The member of the route's group that the attempt goes to.
    pub(super) picked: usize,
    /// Those that have been tried.
    pub(super) tried: Tried,
    /// Whether the attempt was given up for another member.
    pub(super) passed_over: bool,
    /// Which of the upstream's addresses the attempt goes to.
    pub(super) address: usize,
    /// Whether the attempt wants a connection of its own, after a pooled one was stale.
    pub(super) fresh: bool,
    /// The clocks of the client's connection; none over HTTP/2.
    pub(super) vitals: Option<Arc<Vitals>>,
    /// How its answer may end, over HTTP/2; over HTTP/1 that stands in the vitals.
    pub(super) fate: Option<Arc<Fate>>,
    /// Whether the body may be more than the sockets on the way hold.
    pub(super) large_body: bool,
    /// How it is treated.
    pub(super) manner: Manner,
    /// Whether the access line has been written.
    pub(super) logged: bool,
    /// The upstream's addresses, resolved once for all attempts.
    pub(super) addresses: Option<Addresses>,
    served: Served,
}

/// What belongs to one attempt.
#[derive(Default)]
pub(super) struct Attempt {
    /// Bytes of the request's body that went to the upstream.
    pub(super) body_bytes: u64,
    /// Whether its end did.
    pub(super) body_done: bool,
}

impl RequestCtx {
    pub(super) fn new(snapshot: Arc<Snapshot>, served: Served, manner: Manner) -> Self {
        Self {
            snapshot,
            record: RequestRecord::begin(),
            admission: None,
            dialect: Dialect::default(),
            rejection: None,
            attempt: Attempt::default(),
            attempts: 0,
            picked: 0,
            tried: Tried::new(),
            passed_over: false,
            address: 0,
            fresh: false,
            vitals: None,
            fate: None,
            large_body: false,
            manner,
            logged: false,
            addresses: None,
            served,
        }
    }

    pub(super) fn admitted(&mut self, admission: Box<Admission>) {
        self.dialect = admission.dialect;
        self.record.route = Some(Arc::clone(&admission.route));
        self.record.principal.clone_from(&admission.principal);
        self.admission = Some(admission);
    }

    /// It may pass as far as its head goes.
    pub(super) fn pending(&mut self, pending: &Pending) {
        self.dialect = pending.dialect();
        self.record.route = Some(Arc::clone(pending.route()));
        self.record.principal = pending.principal().cloned();
    }

    /// The body of an answer to `request` that says `rejection`, in the language of the route.
    pub(super) fn said(&self, rejection: &Rejection, request: &RequestHeader) -> Vec<u8> {
        let id = self.record.call_id();
        match self.record.route.as_ref().map(|route| &route.lead) {
            Some(Lead::Service(service @ Service::Adapter(_))) => {
                let heard = heard(request, &self.snapshot, service, id);
                service.says(rejection, self.dialect, &heard.call())
            }
            _ => rejection.body(self.dialect, id).into_bytes(),
        }
    }

    /// The field in which the clients of a service look for the id of the request.
    pub(super) fn request_id(&self) -> Option<&'static str> {
        let Lead::Service(_) = &self.record.route.as_ref()?.lead else { return None };
        Some(if self.dialect == Dialect::Anthropic { "request-id" } else { "x-request-id" })
    }

    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.dialect = refusal.dialect;
        self.record.route.clone_from(&refusal.route);
        self.record.principal.clone_from(&refusal.principal);
        self.rejection = Some(refusal.rejection.clone());
    }

    /// Whether a stop has been asked for.
    pub(super) fn is_draining(&self) -> bool {
        self.served.is_draining()
    }

    /// The answer is a stream, whose end nobody knows.
    pub(super) fn streams(&mut self) {
        self.served.streams();
        if let Some(fate) = self.fate() {
            fate.streams();
        }
    }

    fn fate(&self) -> Option<&Fate> {
        self.vitals.as_ref().map(|vitals| &vitals.fate).or(self.fate.as_deref())
    }

    /// The request is written to this connection, which holds it back until the edge lets it go; or to none any more.
    pub(super) fn leads_to(&self, descriptor: Option<RawFd>) {
        if let Some(fate) = self.fate() {
            fate.uplink.leads_to(descriptor);
        }
    }

    /// The answer is about to end: its client may use the place again as soon as it has seen the end.
    pub(super) fn release(&mut self) {
        if let Some(admission) = &mut self.admission {
            admission.release();
        }
    }

    /// What is counted of it.
    pub(super) fn ended(&self) -> Ended<'_> {
        let record = &self.record;
        let after = |time: Instant| time.saturating_duration_since(record.begun);
        let blame = self.rejection.as_ref().map(|rejection| (rejection.blame().name(), rejection.reason()));
        let (blame, reason) = blame.unwrap_or_default();
        Ended {
            route: record.route.as_ref(),
            status: record.status,
            blame,
            reason,
            key: record.principal.as_ref().and_then(Principal::key),
            took: record.took(),
            // Before it nothing has come from an upstream.
            first_byte: record.first_byte.filter(|_| record.connected.is_some()).map(after),
            overhead: record.own(),
        }
    }

    /// Whether the body of this attempt has come more slowly than it may.
    pub(super) fn is_trickling(&self) -> bool {
        self.manner.body.is_missed(self.attempt.body_bytes, self.record.begun.elapsed())
    }

    /// The request has been sent whole: from now on the upstream's silence counts.
    pub(super) fn await_upstream(&self) {
        if let (Some(vitals), Some(member)) = (&self.vitals, self.member()) {
            vitals.silence.start(member.silence);
        }
    }

    /// Whether the upstream has been silent for too long.
    pub(super) fn is_silent(&self) -> bool {
        self.vitals.as_ref().is_some_and(|vitals| vitals.silence.is_over())
    }

    /// Another upstream is asked, which has not been silent yet.
    pub(super) fn forget_silence(&self) {
        if let Some(vitals) = &self.vitals {
            vitals.silence.begin();
        }
    }

    /// The upstream of this attempt. None for a request that was never admitted to one.
    pub(super) fn member(&self) -> Option<&Member> {
        match &self.admission.as_ref()?.route.lead {
            Lead::Group(group) => Some(group.member(self.picked)),
            Lead::Service(_) => None,
        }
    }
}

/// A request whose client left while nobody was listening is dropped in the middle; it has a line all the same.
impl Drop for RequestCtx {
    fn drop(&mut self) {
        if let Some(vitals) = &self.vitals {
            vitals.silence.end();
        }
        if !self.logged
            && let Some(route) = self.record.route.clone()
        {
            let cut = self.fate().is_some_and(Fate::was_cut);
            self.record.abandoned(cut);
            // Where its body was still read, the route's path is what is known of its own.
            access_log::write(self, if self.admission.is_some() { "" } else { &route.path });
        }
    }
}
