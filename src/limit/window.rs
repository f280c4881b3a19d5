//! A limit on requests a minute, exact.
//!
//! The law: in no span of 60 seconds are more than N let through, and a place is free again at most a second after its 60 are
//! over. What is refused does not count; 0 lets nothing through. pingora-limits' rate cannot hold this: it estimates from two
//! buckets, so that an even trickle after a burst lets through nearly twice N in one span.
//!
//! How: one count for each second. A request counts until 60 seconds after the *end* of its second, so the counts of 61 seconds
//! matter at any time. Time comes in as milliseconds of a clock that never goes back.

/// Seconds whose counts matter: the one under way and the 60 before it.
const SECONDS: usize = 61;

/// The requests of the last minute, counted for one limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The second that was last looked at.
    second: u64,
    /// Counts by second, modulo their number. None: nothing was counted in the last minute.
    counts: Option<Box<[u32; SECONDS]>>,
    sum: u32,
    /// The second of the last that was counted.
    newest: u64,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace {
    /// Milliseconds until there is one; none: never.
    pub wait: Option<u64>,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many more may pass now.
    pub remaining: u32,
    /// Milliseconds until nothing counts any more.
    pub reset: u64,
}

impl Window {
    /// Whether one more may pass at `now` when `most` may in a minute. Nothing is counted.
    pub fn check(&mut self, most: u32, now: u64) -> Result<(), NoPlace> {
        self.advance(now);
        if self.sum < most {
            return Ok(());
        }
        if most == 0 {
            return Err(NoPlace { wait: None });
        }
        // So many must be forgotten before there is a place.
        let mut many = self.sum - most + 1;
        for (second, count) in self.oldest_first() {
            if count >= many {
                return Err(NoPlace { wait: Some(forgotten_at(second).saturating_sub(now)) });
            }
            many -= count;
        }
        Err(NoPlace { wait: None })
    }

    /// Counts one that passes at `now`.
    pub fn count(&mut self, now: u64) {
        self.add(now, 1);
    }

    fn add(&mut self, now: u64, many: u32) {
        self.advance(now);
        let counts = self.counts.get_or_insert_with(|| Box::new([0; SECONDS]));
        if let Some(count) = counts.get_mut(index(self.second)) {
            *count = count.saturating_add(many);
            self.newest = self.second;
            self.sum = self.sum.saturating_add(many);
        }
    }

    /// How it stands at `now` when `most` may pass in a minute.
    pub fn standing(&mut self, most: u32, now: u64) -> Standing {
        self.advance(now);
        let newest = if self.sum > 0 { forgotten_at(self.newest) } else { now };
        Standing { remaining: most.saturating_sub(self.sum), reset: newest.saturating_sub(now) }
    }

    /// What is counted, as seconds and counts, to be put into another window by [`Window::with`].
    pub fn counted(&mut self, now: u64) -> Vec<(u64, u32)> {
        self.advance(now);
        self.oldest_first().collect()
    }

    /// A window that has counted this; seconds by the same clock.
    pub fn with(counted: &[(u64, u32)]) -> Self {
        let mut window = Self::default();
        for (second, count) in counted {
            window.add(second * 1000, *count);
        }
        window
    }

    /// Forgets what no longer counts. A clock that goes back stands still.
    fn advance(&mut self, now: u64) {
        let second = now / 1000;
        if second <= self.second {
            return;
        }
        if let Some(counts) = &mut self.counts {
            for passed in (self.second + 1..=second).take(SECONDS) {
                if let Some(count) = counts.get_mut(index(passed)) {
                    self.sum -= *count;
                    *count = 0;
                }
            }
            if self.sum == 0 {
                self.counts = None;
            }
        }
        self.second = second;
    }

    fn oldest_first(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let counts = self.counts.iter().flat_map(|counts| {
            let first = (self.second + 1).saturating_sub(SECONDS as u64);
            (first..=self.second).map(|second| (second, counts.get(index(second)).copied().unwrap_or(0)))
        });
        counts.filter(|(_, count)| *count > 0)
    }
}

/// When a request of `second` counts no more.
fn forgotten_at(second: u64) -> u64 {
    (second + SECONDS as u64) * 1000
}

fn index(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(window: &mut Window, most: u32, now: u64) -> Result<(), NoPlace> {
        window.check(most, now)?;
        window.count(now);
        Ok(())
    }

    #[test]
    fn a_burst_at_the_edge_of_a_minute_does_not_pass_twice() {
        let mut window = Window::default();
        let passed = |window: &mut Window, at: u64| (0..100).filter(|_| take(window, 60, at).is_ok()).count();
        assert_eq!(passed(&mut window, 59_900), 60);
        assert_eq!(passed(&mut window, 60_100), 0);
        assert_eq!(passed(&mut window, 119_899), 0);
        assert_eq!(passed(&mut window, 120_900), 60);
    }

    #[test]
    fn the_wait_is_true() {
        let mut window = Window::default();
        for at in [100, 5_300, 5_900] {
            assert!(take(&mut window, 3, at).is_ok());
        }
        let wait = window.check(3, 7_250).expect_err("full").wait.expect("a wait");
        assert_eq!(wait, 61_000 - 7_250);
        assert!(window.clone().check(3, 7_250 + wait - 1).is_err());
        assert!(window.clone().check(3, 7_250 + wait).is_ok());
        assert_eq!(window.standing(3, 7_250), Standing { remaining: 0, reset: 66_000 - 7_250 });
        assert_eq!(Window::default().check(0, 5), Err(NoPlace { wait: None }));
    }

    #[test]
    fn an_idle_window_holds_nothing() {
        let mut window = Window::default();
        window.count(1_000);
        assert!(window.check(1, 70_000).is_ok() && window.counts.is_none());
        assert!(std::mem::size_of::<Window>() <= 32);
    }

    proptest! {
        /// Against a list of every moment: never more than N in any 60 s, never a refusal when fewer than N passed in the last 61 s.
        #[test]
        fn the_law_holds(most in 0_u32..6, steps in prop::collection::vec(0_u64..20_000, 1..200)) {
            let (mut window, mut passed, mut now) = (Window::default(), Vec::<u64>::new(), 0);
            for step in steps {
                now += step;
                let recent = |span: u64| passed.iter().filter(|at| **at + span > now).count();
                match take(&mut window, most, now) {
                    Ok(()) => {
                        prop_assert!(recent(60_000) < most as usize);
                        passed.push(now);
                    }
                    Err(_) => prop_assert!(recent(61_000) >= most as usize),
                }
            }
        }

        /// Read out and put back, a window gives the same verdicts.
        #[test]
        fn it_can_be_handed_over(most in 1_u32..6, before in prop::collection::vec(0_u64..9_000, 0..40), after in prop::collection::vec(0_u64..9_000, 1..40)) {
            let (mut window, mut now) = (Window::default(), 0);
            for step in before {
                now += step;
                let _ = take(&mut window, most, now);
            }
            let mut other = Window::with(&window.counted(now));
            for step in after {
                now += step;
                prop_assert_eq!(take(&mut window, most, now), take(&mut other, most, now));
            }
        }
    }
}
