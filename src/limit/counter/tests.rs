//! Several limits at once, against models that keep every moment.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use proptest::prelude::*;

use super::*;

fn claim(holder: Holder, counter: &Arc<Counter>, requests: Option<u32>, parallel: Option<u32>) -> Claim {
    Claim { holder, counter: Arc::clone(counter), requests, parallel }
}

#[test]
fn all_or_none() {
    let (key, team) = (Arc::default(), Arc::default());
    let both = [claim(Holder::Key, &key, Some(10), None), claim(Holder::Team, &team, Some(1), None)];
    assert!(Local.take(&both, 500).is_ok());
    let refused = Local.take(&both, 600).expect_err("the team is full");
    let expected = Exceeded { holder: Holder::Team, kind: Kind::Requests, most: 1, wait: Some(60_400) };
    assert_eq!(refused, expected);
    assert_eq!(key.state(600).requests, [(0, 1)], "what was refused counts nowhere");
    assert_eq!((key.running(), team.running()), (0, 0));
}

#[test]
fn the_longest_wait_is_told() {
    let (key, model) = (Arc::default(), Arc::default());
    let first = [claim(Holder::Key, &key, Some(1), None)];
    let _ = Local.take(&first, 0);
    let _ = Local.take(&[claim(Holder::Model, &model, Some(1), None)], 30_000);
    let both = [claim(Holder::Key, &key, Some(1), None), claim(Holder::Model, &model, Some(1), None)];
    let refused = Local.take(&both, 31_000).expect_err("both are full");
    assert_eq!((refused.holder, refused.wait), (Holder::Model, Some(60_000)));
    let never = [claim(Holder::Key, &key, Some(0), None), claim(Holder::Model, &model, Some(1), None)];
    assert_eq!(Local.take(&never, 31_000).expect_err("never").wait, None);
}

#[test]
fn slots_come_back_whatever_ends_the_request() {
    let key = Arc::default();
    let one = [claim(Holder::Key, &key, None, Some(1))];
    let held = Local.take(&one, 0).expect("a slot");
    assert_eq!(Local.take(&one, 0).expect_err("taken").kind, Kind::Parallel);
    let panicked = thread::spawn(move || {
        let _held = held;
        panic!("in the middle of a request");
    });
    assert!(panicked.join().is_err());
    let mut held = Local.take(&one, 0).expect("a slot");
    held.release();
    assert_eq!(key.running(), 0);
    drop(held);
    assert_eq!(key.running(), 0, "a slot comes back once");
}

#[test]
fn threads_never_get_more_than_there_is() {
    let (key, team): (Arc<Counter>, Arc<Counter>) = Default::default();
    let (passed, most_running, running) = (AtomicUsize::new(0), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for turn in 0..8 {
            let mut claims =
                vec![claim(Holder::Key, &key, Some(1000), Some(5)), claim(Holder::Team, &team, Some(1500), None)];
            if turn % 2 == 0 {
                claims.reverse();
            }
            let (passed, most_running, running) = (&passed, &most_running, &running);
            scope.spawn(move || {
                for _ in 0..20_000 {
                    if let Ok(held) = Local.take(&claims, 1_000) {
                        passed.fetch_add(1, Ordering::Relaxed);
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most_running.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1000);
    assert!(most_running.into_inner() <= 5);
    assert_eq!((key.running(), team.running()), (0, 0));
}

proptest! {
    /// Read out in the middle and put back, counters give the same verdicts, slots included.
    #[test]
    fn they_can_be_handed_over(
        before in prop::collection::vec((0_u64..8_000, 0_usize..2, any::<bool>()), 0..60),
        after in prop::collection::vec((0_u64..8_000, 0_usize..2, any::<bool>()), 1..60),
    ) {
        let limits = [(Some(4), Some(2)), (Some(6), Some(3))];
        let claims = |counters: &[Arc<Counter>; 2], both: bool, one: usize| -> Vec<Claim> {
            let claim = |at: usize| claim(Holder::Key, &counters[at], limits[at].0, limits[at].1);
            if both { vec![claim(0), claim(1)] } else { vec![claim(one)] }
        };
        let first: [Arc<Counter>; 2] = Default::default();
        let (mut running, mut now) = (Vec::new(), 0);
        for (step, one, both) in before {
            now += step;
            if step % 3 == 0 && !running.is_empty() {
                running.remove(0);
            }
            running.extend(Local.take(&claims(&first, both, one), now));
        }
        let second = [0, 1].map(|at: usize| Arc::new(Counter::with(&first[at].state(now))));
        let mut there = Vec::new();
        for (step, one, both) in after {
            now += step;
            if step % 3 == 0 && !running.is_empty() {
                let ended: Held = running.remove(0);
                let known = |at: usize| ended.slots.iter().any(|slot| Arc::ptr_eq(slot, &first[at]));
                // What ran at the hand-over is told of; what began since has a guard of its own on each side.
                if there.len() <= running.len() {
                    [0, 1].into_iter().filter(|at| known(*at)).for_each(|at| second[at].ended(1));
                } else {
                    there.remove(0);
                }
            }
            let (here, beside) = (Local.take(&claims(&first, both, one), now), Local.take(&claims(&second, both, one), now));
            prop_assert_eq!(here.as_ref().err(), beside.as_ref().err());
            running.extend(here);
            there.extend(beside);
        }
    }

    /// Against a model that keeps every moment of every holder in a list.
    #[test]
    fn as_one_after_another(steps in prop::collection::vec((0_u64..8_000, 0_usize..3, 0_usize..3, any::<bool>()), 1..150)) {
        let limits = [(Some(3), Some(2)), (Some(5), None), (None, Some(3))];
        let counters: Vec<Arc<Counter>> = (0..3).map(|_| Arc::default()).collect();
        let mut moments: Vec<Vec<u64>> = vec![Vec::new(); 3];
        let mut running: Vec<(Held, [usize; 2])> = Vec::new();
        let mut now = 0;
        for (step, one, other, end) in steps {
            now += step;
            if end && !running.is_empty() {
                running.remove(0);
            }
            let holders: Vec<usize> = if one == other { vec![one] } else { vec![one, other] };
            let claims: Vec<Claim> = holders
                .iter()
                .map(|holder| claim(Holder::Key, &counters[*holder], limits[*holder].0, limits[*holder].1))
                .collect();
            let busy = |holder: usize| running.iter().filter(|(_, holders)| holders.contains(&holder)).count() as u32;
            // A place is free again when the 60 s after the end of its second are over.
            let recent = |holder: usize| moments[holder].iter().filter(|at| (**at / 1000 + 61) * 1000 > now).count() as u32;
            let fits = holders.iter().all(|holder| {
                limits[*holder].0.is_none_or(|most| recent(*holder) < most)
                    && limits[*holder].1.is_none_or(|most| busy(*holder) < most)
            });
            match Local.take(&claims, now) {
                Ok(held) => {
                    prop_assert!(fits);
                    holders.iter().for_each(|holder| moments[*holder].push(now));
                    running.push((held, [one, other]));
                }
                Err(_) => prop_assert!(!fits),
            }
        }
    }
}
