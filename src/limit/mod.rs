//! How much is let through: requests in flight here, `connections` and `failures` by address, `window` and `counter` for who has
//! limits of its own.
//!
//! The law: a place is a guard that is dropped with the request, whatever ends it; no place can leak. It is the only room
//! that names `pingora_limits`.

mod connections;
mod counter;
mod failures;
mod window;

pub use connections::{Connections, Full, Seat};
pub use counter::{Claim, Counter, Counters, Exceeded, Held, Holder, Kind, Local, State};
pub use failures::Failures;
pub use window::{NoPlace, Standing, Window};

use std::sync::Arc;

use pingora_limits::inflight::{Guard, Inflight};

/// The one key under which the whole proxy is counted.
const WHOLE: &str = "proxy";

/// A limit on requests in flight.
pub struct Gate {
    inflight: Arc<Inflight>,
    most: isize,
}

/// A place in a [`Gate`], held while the request runs.
pub struct Place(#[expect(dead_code, reason = "held for its drop")] Guard);

impl Gate {
    /// A gate for `most` requests at once; 0 lets none through.
    pub fn new(most: usize) -> Self {
        Self { inflight: Arc::new(Inflight::new()), most: isize::try_from(most).unwrap_or(isize::MAX) }
    }

    /// Another limit on the requests that this one counts.
    pub fn with_most(&self, most: usize) -> Self {
        Self { inflight: Arc::clone(&self.inflight), ..Self::new(most) }
    }

    /// A place, if one is free.
    pub fn enter(&self) -> Option<Place> {
        let (guard, count) = self.inflight.incr(WHOLE, 1);
        (count <= self.most).then_some(Place(guard))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("most", &self.most).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_when_they_are_dropped() {
        let gate = Gate::new(2);
        let (one, two) = (gate.enter(), gate.enter());
        assert!(one.is_some() && two.is_some() && gate.enter().is_none());
        drop(one);
        assert!(gate.enter().is_some());
        assert!(Gate::new(0).enter().is_none());
        let _three = gate.enter();
        assert!(gate.with_most(1).enter().is_none() && gate.with_most(3).enter().is_some());
    }
}
