//! What Tollgate is asked for itself: its health, what it counts, the key API.
//!
//! The law: the same keys in the same places as for routes, and the same limits; nothing here is led to an upstream.

use http::Method;
use smallvec::SmallVec;

use super::{Head, Managed, Step, authenticate, quota, refuse, shown};
use crate::auth::Principal;
use crate::health::{self, Probe};
use crate::limit::Held;
use crate::management::{self, Asked, Asker, Call, advice};
use crate::rejection::Rejection;
use crate::route::RequestPath;
use crate::snapshot::Snapshot;

/// What Tollgate is asked for itself.
pub(super) fn asked(
    snapshot: &Snapshot,
    path: &RequestPath<'_>,
    whole: &RequestPath<'_>,
    head: Head<'_>,
    query: Option<&[u8]>,
) -> Result<Step, Rejection> {
    let calls: SmallVec<[Call; 4]> = Call::asked_by(path).collect();
    if !calls.is_empty() {
        return manage(snapshot, &calls, path, head, query);
    }
    if path.len() == 1 && path.canon(0) == b"metrics" && (head.inside || snapshot.metrics_on_main) {
        allow_methods(head.method, &health::METHODS)?;
        if !head.inside && snapshot.metrics_need_key {
            authenticate(snapshot, &snapshot.places, false, head, path, query)?;
        }
        return Ok(Step::Metrics);
    }
    let Some(probe) = Probe::asked_by(path) else {
        return Err(match advice(path) {
            Some(instead) => Rejection::Instead(instead),
            None => Rejection::Reserved { method: head.method.to_string(), path: shown(snapshot, whole) },
        });
    };
    allow_methods(head.method, &health::METHODS)?;
    if probe.needs_key() {
        // Where there is no key at all nobody could have one.
        authenticate(snapshot, &snapshot.places, snapshot.keyring.is_empty(), head, path, query)?;
    }
    Ok(Step::Own(probe))
}

/// A call of the key API, the one of `calls` that the method makes: the same keys, places and limits as for routes, and the rights
/// of the call.
fn manage(
    snapshot: &Snapshot,
    calls: &[Call],
    path: &RequestPath<'_>,
    head: Head<'_>,
    query: Option<&[u8]>,
) -> Result<Step, Rejection> {
    let methods: Vec<&str> = calls.iter().flat_map(|call| call.methods()).copied().collect();
    allow_methods(head.method, &methods)?;
    let made = calls.iter().find(|call| call.methods().contains(&head.method.as_str()));
    let Some(call) = made.copied() else { return Err(Rejection::Internal) };
    let Some(principal) = authenticate(snapshot, &snapshot.places, false, head, path, query)? else {
        return Err(Rejection::Management(management::Fault::NotAllowed));
    };
    refuse::expectation(head)?;
    let asker = Asker::permitted(&principal, call).map_err(Rejection::Management)?;
    let held = match &principal {
        Principal::Master => Held::default(),
        Principal::Key(key) => quota::take_own(snapshot, key, head.now.steady)?,
    };
    let (query, named) = (query.map(<[u8]>::to_vec), call.named_in(path));
    Ok(Step::Manage(Box::new(Managed { asked: Asked { call, asker, query, named }, principal, held })))
}

fn allow_methods(method: &Method, allowed: &[&str]) -> Result<(), Rejection> {
    if allowed.contains(&method.as_str()) {
        return Ok(());
    }
    Err(Rejection::MethodNotAllowed(allowed.iter().map(|name| (*name).to_owned()).collect()))
}
