//! How an upstream has been, and whether it rests.
//!
//! The law: kept from snapshot to snapshot as long as the upstream stays the same; a rest ends by itself. What an answer means
//! for it is decided here, so that every kind of route benches alike.

use parking_lot::Mutex;

/// Over which time failures are counted, in milliseconds.
const WINDOW: u64 = 60_000;
/// How long one rests that refuses our credential: until somebody has looked, in milliseconds.
const REFUSED: u64 = 600_000;
/// The longest rest that an upstream can ask for, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// When one of several rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failures a minute that are let pass.
    pub fails: u32,
    /// How long it rests after one more, in milliseconds; 0: never.
    pub cooldown: u64,
}

/// What became of an attempt, as far as the upstream is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has answered.
    Fine,
    /// It was not reached, did not answer in time, or failed.
    Failed,
    /// It has had enough; how long it wants to be left alone, in milliseconds, where it says so.
    Limited(Option<u64>),
    /// It does not take our credential, or our account is not in order. Where the client's own may have been meant, whoever
    /// asked notes [`Outcome::Fine`].
    Refused,
    /// It says no to this request, where another may not; nothing is wrong with it.
    Elsewhere,
}

impl Outcome {
    /// What a status says, where no credential but ours was shown.
    pub fn of(status: u16, retry_after: Option<u64>) -> Self {
        match status {
            401 | 402 => Self::Refused,
            403 | 404 | 409 => Self::Elsewhere,
            429 => Self::Limited(retry_after),
            408 | 500.. => Self::Failed,
            _ => Self::Fine,
        }
    }

    /// Whether another upstream may do better.
    pub fn may_differ(self) -> bool {
        self != Self::Fine
    }

    /// Whether the same upstream may do better when it is asked again.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Failed | Self::Limited(_))
    }
}

/// How one upstream has been.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// 0: it does not.
    rests_until: u64,
    fails: u32,
    since: u64,
}

impl Health {
    /// Until when it rests; 0: it does not.
    pub fn rests_until(&self, now: u64) -> u64 {
        let until = self.0.lock().rests_until;
        if until > now { until } else { 0 }
    }

    /// Notes at `now`, milliseconds of a clock that never goes back, what became of an attempt.
    pub fn note(&self, outcome: Outcome, patience: Patience, now: u64) {
        let mut state = self.0.lock();
        let rest = match outcome {
            Outcome::Fine | Outcome::Elsewhere => return,
            Outcome::Refused => REFUSED,
            Outcome::Limited(wanted) => wanted.unwrap_or(patience.cooldown).min(LONGEST),
            Outcome::Failed => {
                if now.saturating_sub(state.since) >= WINDOW {
                    state.since = now;
                    state.fails = 0;
                }
                state.fails = state.fails.saturating_add(1);
                if state.fails <= patience.fails {
                    return;
                }
                patience.cooldown
            }
        };
        if patience.cooldown > 0 {
            state.rests_until = state.rests_until.max(now.saturating_add(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { fails: 2, cooldown: 5_000 };

    #[test]
    fn what_makes_it_rest() {
        for (outcomes, now, until) in [
            (vec![], 0, 0),
            (vec![(Outcome::Fine, 10)], 10, 0),
            (vec![(Outcome::Failed, 10), (Outcome::Failed, 20)], 20, 0),
            (vec![(Outcome::Failed, 10), (Outcome::Failed, 20), (Outcome::Failed, 30)], 30, 5_030),
            (vec![(Outcome::Failed, 10), (Outcome::Failed, 20), (Outcome::Failed, 30)], 5_030, 0),
            // A minute later nobody remembers the first two.
            (vec![(Outcome::Failed, 10), (Outcome::Failed, 20), (Outcome::Failed, 60_010)], 60_010, 0),
            (vec![(Outcome::Limited(None), 10)], 10, 5_010),
            (vec![(Outcome::Limited(Some(30_000)), 10)], 10, 30_010),
            (vec![(Outcome::Limited(Some(u64::MAX)), 10)], 10, 3_600_010),
            (vec![(Outcome::Limited(Some(30_000)), 10), (Outcome::Limited(Some(1_000)), 20)], 20, 30_010),
            (vec![(Outcome::Refused, 10)], 10, 600_010),
        ] {
            let health = Health::default();
            for (outcome, at) in &outcomes {
                health.note(*outcome, PATIENCE, *at);
            }
            assert_eq!(health.rests_until(now), until, "{outcomes:?} at {now}");
        }
    }

    #[test]
    fn without_cooldown_nobody_rests() {
        let health = Health::default();
        for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Limited(Some(9)), Outcome::Refused] {
            health.note(outcome, Patience { fails: 0, cooldown: 0 }, 1);
        }
        assert_eq!(health.rests_until(1), 0);
    }

    #[test]
    fn statuses() {
        for (status, outcome) in [
            (200, Outcome::Fine),
            (301, Outcome::Fine),
            (400, Outcome::Fine),
            (401, Outcome::Refused),
            (402, Outcome::Refused),
            (403, Outcome::Elsewhere),
            (404, Outcome::Elsewhere),
            (409, Outcome::Elsewhere),
            (422, Outcome::Fine),
            (408, Outcome::Failed),
            (429, Outcome::Limited(Some(7))),
            (500, Outcome::Failed),
            (529, Outcome::Failed),
        ] {
            assert_eq!(Outcome::of(status, Some(7)), outcome, "{status}");
        }
    }
}
