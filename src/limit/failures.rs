//! Failed credentials, by the address that sends them.
//!
//! The law: a guesser is slowed down and nobody else: only what fails is counted, so that a valid key passes from an address
//! where others guess; memory is fixed, however many addresses there are. pingora-limits' sketch may count an address's failures
//! too high when there are very many addresses, never too low, which can slow down a failing neighbour alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_limits::rate::Rate;

use super::connections::neighbourhood;

/// Over how long is counted.
const SPAN: Duration = Duration::from_secs(60);

/// A limit on failures in a minute.
pub struct Failures {
    rate: Arc<Rate>,
    most: isize,
}

impl Failures {
    /// At most `most` from one address.
    pub fn new(most: u32) -> Self {
        Self { rate: Arc::new(Rate::new(SPAN)), most: isize::try_from(most).unwrap_or(isize::MAX) }
    }

    /// Another limit on the failures that this one counts.
    pub fn with_most(&self, most: u32) -> Self {
        Self { rate: Arc::clone(&self.rate), ..Self::new(most) }
    }

    /// Counts one from `address`. The seconds after which nothing of it counts any more, when there are too many.
    pub fn note(&self, address: IpAddr) -> Option<u64> {
        let count = self.rate.observe(&neighbourhood(address), 1);
        (count > self.most).then_some(SPAN.as_secs())
    }
}

impl std::fmt::Debug for Failures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failures").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own() {
        let failures = Failures::new(2);
        let (one, other) = (IpAddr::from([1, 2, 3, 4]), IpAddr::from([1, 2, 3, 5]));
        let noted: Vec<bool> = (0..4).map(|_| failures.note(one).is_some()).collect();
        assert_eq!(noted, [false, false, true, true]);
        assert_eq!(failures.note(other), None);
        assert!(Failures::new(0).note(other).is_some());
    }
}
