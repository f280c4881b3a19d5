//! Several limits of one request, taken together or not at all.
//!
//! The law: a request counts against all of its limits or against none; what one holder does never refuses another's requests;
//! a slot is given back when its guard is dropped, whatever ends the request. Counters are locked in one order, so that no two
//! requests wait for each other.
//!
//! [`Counters`] is what a store that is shared between processes will implement too; [`Local`] counts for this process alone.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::window::{Standing, Window};

/// Limits that one request rarely has more of.
const USUAL: usize = 4;

/// What is counted for one holder of limits: a key, a team, a model, a route, the proxy.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    window: Window,
    running: u32,
}

/// What is counted for one holder, as one process hands it to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Requests by second, of the clock that every process of the machine has ([`crate::clock`]).
    pub requests: Vec<(u64, u32)>,
    /// Requests that are running.
    pub running: u32,
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A key.
    Key,
    /// A team.
    Team,
    /// A model, for one key.
    Model,
    /// A model, for one team.
    ModelOfTeam,
    /// A deployment of a model.
    Deployment,
    /// A route.
    Route,
    /// The whole proxy.
    Proxy,
}

impl Holder {
    /// The word that answers and logs use; LiteLLM's where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "api_key",
            Self::Team => "team",
            Self::Model => "model_per_key",
            Self::ModelOfTeam => "model_per_team",
            Self::Deployment => "deployment",
            Self::Route => "route",
            Self::Proxy => "proxy",
        }
    }
}

/// One limit that a request has to keep.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub holder: Holder,
    /// What is counted for it.
    pub counter: Arc<Counter>,
    /// The most in a minute; none: unlimited.
    pub requests: Option<u32>,
    /// The most at once; none: unlimited.
    pub parallel: Option<u32>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Requests in a minute.
    Requests,
    /// Requests at once.
    Parallel,
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose limit it is.
    pub holder: Holder,
    /// What it counts.
    pub kind: Kind,
    /// The limit.
    pub most: u32,
    /// Milliseconds until the request would pass, as far as that is known.
    pub wait: Option<u64>,
}

/// What a request has taken; given back when it is dropped.
#[derive(Debug, Default)]
pub struct Held {
    slots: SmallVec<[Arc<Counter>; USUAL]>,
    /// How the holders' limits on requests stand, with the limits.
    pub standings: SmallVec<[(Holder, u32, Standing); USUAL]>,
}

/// Where requests are counted.
pub trait Counters: Send + Sync {
    /// Takes what `claims` ask for at `now`, milliseconds of a clock that never goes back.
    fn take(&self, claims: &[Claim], now: u64) -> Result<Held, Exceeded>;

    /// Whether they could be taken at `now`. Nothing is counted by it.
    fn check(&self, claims: &[Claim], now: u64) -> Result<(), Exceeded>;
}

/// Counts in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Counters for Local {
    fn take(&self, claims: &[Claim], now: u64) -> Result<Held, Exceeded> {
        if let [claim] = claims {
            return alone(claim, now);
        }
        let mut counters: SmallVec<[&Arc<Counter>; USUAL]> = claims.iter().map(|claim| &claim.counter).collect();
        counters.sort_unstable_by_key(|counter| Arc::as_ptr(counter));
        counters.dedup_by_key(|counter| Arc::as_ptr(counter));
        let mut locked: SmallVec<[(*const Counter, MutexGuard<'_, Counted>); USUAL]> =
            counters.iter().map(|counter| (Arc::as_ptr(counter), counter.0.lock())).collect();
        let mut worst: Option<Exceeded> = None;
        for claim in claims {
            let Some(counted) = of(&mut locked, claim) else { continue };
            let exceeded = counted.check(claim, now);
            // The one that has to be waited for longest: the request passes when all are kept.
            let longer = |exceeded: &Exceeded| worst.is_none_or(|worst| waits_longer(exceeded, &worst));
            if let Some(exceeded) = exceeded.filter(longer) {
                worst = Some(exceeded);
            }
        }
        if let Some(exceeded) = worst {
            return Err(exceeded);
        }
        for (_, counted) in &mut locked {
            counted.window.count(now);
            counted.running += 1;
        }
        let mut held = Held::default();
        for claim in claims {
            if let (Some(most), Some(counted)) = (claim.requests, of(&mut locked, claim)) {
                held.standings.push((claim.holder, most, counted.window.standing(most, now)));
            }
        }
        drop(locked);
        held.slots = counters.into_iter().cloned().collect();
        Ok(held)
    }

    fn check(&self, claims: &[Claim], now: u64) -> Result<(), Exceeded> {
        let exceeded = |claim: &Claim| claim.counter.0.lock().check(claim, now);
        claims.iter().find_map(exceeded).map_or(Ok(()), Err)
    }
}

/// Takes what most requests need, one claim, for which there is no order to keep.
fn alone(claim: &Claim, now: u64) -> Result<Held, Exceeded> {
    let mut held = Held::default();
    let mut counted = claim.counter.0.lock();
    if let Some(exceeded) = counted.check(claim, now) {
        return Err(exceeded);
    }
    counted.window.count(now);
    counted.running += 1;
    if let Some(most) = claim.requests {
        held.standings.push((claim.holder, most, counted.window.standing(most, now)));
    }
    drop(counted);
    held.slots.push(Arc::clone(&claim.counter));
    Ok(held)
}

fn of<'l>(
    locked: &'l mut SmallVec<[(*const Counter, MutexGuard<'_, Counted>); USUAL]>,
    claim: &Claim,
) -> Option<&'l mut Counted> {
    let wanted = Arc::as_ptr(&claim.counter);
    locked.iter_mut().find(|(counter, _)| *counter == wanted).map(|(_, counted)| &mut **counted)
}

/// A wait that nobody knows is short when it is for a slot, and without end when nothing may ever pass.
fn waits_longer(one: &Exceeded, other: &Exceeded) -> bool {
    let wait = |exceeded: &Exceeded| match (exceeded.kind, exceeded.wait) {
        (_, Some(wait)) => wait,
        (Kind::Parallel, None) if exceeded.most > 0 => 0,
        (_, None) => u64::MAX,
    };
    wait(one) > wait(other)
}

impl Counted {
    fn check(&mut self, claim: &Claim, now: u64) -> Option<Exceeded> {
        let exceeded = |kind, most, wait| Some(Exceeded { holder: claim.holder, kind, most, wait });
        if let Some(most) = claim.requests
            && let Err(no_place) = self.window.check(most, now)
        {
            return exceeded(Kind::Requests, most, no_place.wait);
        }
        match claim.parallel {
            Some(most) if self.running >= most => exceeded(Kind::Parallel, most, None),
            _ => None,
        }
    }
}

impl Counter {
    /// How many are running.
    pub fn running(&self) -> u32 {
        self.0.lock().running
    }

    /// How many more may pass at `now` when `most` may in a minute.
    pub fn remaining(&self, most: u32, now: u64) -> u32 {
        self.0.lock().window.standing(most, now).remaining
    }

    /// What is counted, to be handed to another process.
    pub fn state(&self, now: u64) -> State {
        let mut counted = self.0.lock();
        State { requests: counted.window.counted(now), running: counted.running }
    }

    /// A counter that goes on from what another has counted. Who hands it over says by [`Counter::ended`] when what was
    /// running there has ended.
    pub fn with(state: &State) -> Self {
        Self(Mutex::new(Counted { window: Window::with(&state.requests), running: state.running }))
    }

    /// `many` of the requests that were running elsewhere have ended.
    pub fn ended(&self, many: u32) {
        let mut counted = self.0.lock();
        counted.running = counted.running.saturating_sub(many);
    }
}

impl Held {
    /// Gives the slots back before it is dropped.
    pub fn release(&mut self) {
        for counter in self.slots.drain(..) {
            counter.0.lock().running -= 1;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests;
