//! A request whose model stands in its body.
//!
//! The law: it is admitted in two steps, the same as any other: what its head says has been judged, and nothing is counted
//! until the model is known. The right to be served comes of [`resume`] alone.

use std::sync::Arc;

use super::quota::{self, Wanted};
use super::{Admission, Refusal, Step};
use crate::auth::Principal;
use crate::rejection::{Dialect, Rejection};
use crate::route::decoded;
use crate::snapshot::{Lead, Route, Service, Snapshot};

/// The largest body of a request for a model where the file has no limit: Anthropic's own
/// (<https://docs.anthropic.com/en/api/overview#request-size-limits>).
pub const MODEL_BODY: u64 = 32 << 20;

/// How many characters of a model's name are repeated.
const MOST_SHOWN: usize = 100;

/// A request that may pass as far as its head goes.
#[derive(Debug)]
pub struct Pending {
    pub(super) admission: Box<Admission>,
    /// The path, as routes and keys name it.
    pub(super) matched: String,
}

impl Pending {
    /// Who reads its body.
    pub fn service(&self) -> Option<&Service> {
        self.admission.service()
    }

    /// The route.
    pub fn route(&self) -> &Arc<Route> {
        &self.admission.route
    }

    /// Who asks.
    pub fn principal(&self) -> Option<&Principal> {
        self.admission.principal.as_ref()
    }

    /// How errors are said.
    pub fn dialect(&self) -> Dialect {
        self.admission.dialect
    }

    /// The most bytes its body may have.
    pub fn most_bytes(&self, snapshot: &Snapshot) -> u64 {
        snapshot.request_bytes.unwrap_or(MODEL_BODY)
    }

    /// It will not be resumed: its body is not what it should be.
    pub fn refuse(self, rejection: Rejection) -> Refusal {
        let Admission { route, principal, dialect, .. } = *self.admission;
        Refusal { rejection, dialect, route: Some(route), principal }
    }
}

/// Decides over a request whose model turned out to be `model`, at `now`, milliseconds of a clock that never goes back.
pub fn resume(snapshot: &Snapshot, mut pending: Pending, model: &str, now: u64) -> Step {
    // Where a pattern passes names on, a key would leave with one.
    let asked = snapshot.models.find(model).filter(|_| !snapshot.keyring.occurs_in(model.as_bytes()));
    let wanted =
        Wanted { route: &pending.admission.route, path: &pending.matched, model: Some(model), served: asked.is_some() };
    let held = match &pending.admission.principal {
        Some(Principal::Key(key)) => quota::take_for(snapshot, key, wanted, now),
        _ if asked.is_none() => Err(Rejection::NoModel(shown(snapshot, model))),
        _ => quota::take(snapshot, &pending.admission.route, now),
    };
    match held {
        Ok(held) => {
            pending.admission.held = held;
            pending.admission.model = asked.map(|asked| (model.to_owned(), asked));
            Step::Admit(pending.admission)
        }
        Err(rejection) => Step::Reject(pending.refuse(rejection)),
    }
}

/// A model's name for a message: no key is repeated, and no page.
pub fn shown(snapshot: &Snapshot, model: &str) -> String {
    match snapshot.keyring.occurs_in(model.as_bytes()) {
        true => "a name with a key in it".to_owned(),
        false => model.chars().take(MOST_SHOWN).collect(),
    }
}

/// Whether `principal` may ask for `model`, as far as its lists of models go; anybody may where no key is asked for.
pub fn may_use(snapshot: &Snapshot, principal: Option<&Principal>, model: &str) -> bool {
    match principal {
        Some(Principal::Key(key)) => quota::may_use(snapshot, key, model),
        _ => true,
    }
}

/// What the method asks of a service; none: to be served.
pub(super) fn by_method(service: &Service, method: &http::Method) -> Result<Option<Step>, Rejection> {
    let served = [service.method(), "OPTIONS"];
    match method.as_str() {
        "OPTIONS" => Ok(Some(Step::Methods(served))),
        method if method == service.method() => Ok(None),
        // What can be read can be asked for without its body.
        "HEAD" if service.method() == "GET" => Ok(None),
        _ => Err(Rejection::MethodNotAllowed(served.map(str::to_owned).to_vec())),
    }
}

impl Admission {
    /// The one model that a list of models is asked for; none: all of them.
    pub fn listed_model(&self) -> Option<String> {
        self.captures.iter().find(|(name, _)| name == "id").map(|(_, raw)| decoded(raw))
    }

    /// Who serves it, where that is no upstream.
    pub fn service(&self) -> Option<&Service> {
        match &self.route.lead {
            Lead::Service(service) => Some(service),
            Lead::Group(_) => None,
        }
    }
}
