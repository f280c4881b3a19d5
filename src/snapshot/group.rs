//! Upstreams that can take each other's place, and which of them the next attempt goes to.
//!
//! The law: lower orders are tried first, and within an order by weight; who rests or has been tried is passed over while
//! there is another; where all rest, the one whose rest ends first is asked, whatever its order. The only member of a group never rests. Picking changes nothing but a turn and the limits it takes.
//!
//! It makes no attempt and reads no answer: who does tells a member's [`Health`] how it went.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smallvec::SmallVec;

use super::health::Health;
use super::models::Deployment;
use crate::header::HeaderPlan;
use crate::limit::{Claim, Counters, Exceeded, Held, Local};
use crate::upstream::address::Reach;
use crate::upstream::{Target, TlsProfile};

/// The upstreams of a route or of a model. A member is picked for each attempt.
#[derive(Debug)]
pub struct Group {
    first: Member,
    others: Vec<Member>,
    turn: AtomicU64,
}

/// One upstream with its credential and its times.
#[derive(Debug)]
pub struct Member {
    /// The URL.
    pub target: Target,
    /// What happens to headers, credential included.
    pub headers: HeaderPlan,
    /// The longest wait for the first byte, and the longest silence after it.
    pub silence: Duration,
    /// Whether POST is repeated when a pooled connection was stale.
    pub retry_non_idempotent: bool,
    /// How far it may lead.
    pub reach: Reach,
    /// How it is spoken to, where the route says so.
    pub tls: Option<TlsProfile>,
    /// Its share beside its neighbours of the same order.
    pub weight: f64,
    /// Lower ones are tried first.
    pub order: u32,
    /// How much it takes.
    pub quota: Option<Claim>,
    /// How it has been.
    pub health: Arc<Health>,
    /// The model it serves, where it serves one.
    pub deployment: Option<Box<Deployment>>,
}

/// The members that a request has tried, by their number.
pub type Tried = SmallVec<[usize; 4]>;

/// A member for an attempt, and what it has taken of its limits.
#[derive(Debug)]
pub struct Picked {
    /// Its number.
    pub number: usize,
    /// Given back when the attempt ends.
    pub held: Held,
}

/// Why no member can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMember {
    /// All have been.
    Tried,
    /// Those that have not are at their limits; the one that waits the least.
    Full(Exceeded),
}

impl Group {
    /// A group, which has at least one member.
    pub fn new(first: Member, others: Vec<Member>) -> Self {
        Self { first, others, turn: AtomicU64::new(0) }
    }

    /// The member of this number; the first for a number that no member has.
    pub fn member(&self, number: usize) -> &Member {
        number.checked_sub(1).and_then(|number| self.others.get(number)).unwrap_or(&self.first)
    }

    /// All members.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether there is more than one.
    pub fn has_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.others.len() + 1
    }

    /// The member for the next attempt at `now`, milliseconds of a clock that never goes back.
    ///
    /// # Errors
    /// There is none that has not been tried, or none that has room.
    pub fn pick(&self, tried: &Tried, now: u64) -> Result<Picked, NoMember> {
        let mut passed = tried.clone();
        let mut full: Option<Exceeded> = None;
        loop {
            let Some(number) = self.next(&passed, now) else {
                return Err(full.map_or(NoMember::Tried, NoMember::Full));
            };
            match take(self.member(number), now) {
                Ok(held) => return Ok(Picked { number, held }),
                Err(exceeded) => {
                    let sooner = |known: Exceeded| exceeded.wait.unwrap_or(0) < known.wait.unwrap_or(0);
                    if full.is_none_or(sooner) {
                        full = Some(exceeded);
                    }
                    passed.push(number);
                }
            }
        }
    }

    fn next(&self, passed: &Tried, now: u64) -> Option<usize> {
        if !self.has_several() {
            return passed.is_empty().then_some(0);
        }
        let left: SmallVec<[(usize, &Member, u64); 8]> = self
            .members()
            .enumerate()
            .filter(|(number, _)| !passed.contains(number))
            .map(|(number, member)| (number, member, member.health.rests_until(now)))
            .collect();
        // Where all rest, waiting helps nobody: the one whose rest ends first is the likeliest to be well, whatever its order.
        let Some(order) = left.iter().filter(|(.., until)| *until == 0).map(|(_, member, _)| member.order).min() else {
            return left.iter().min_by_key(|(.., until)| *until).map(|(number, ..)| *number);
        };
        let ready = || left.iter().filter(move |(_, member, until)| *until == 0 && member.order == order);
        let whole: f64 = ready().map(|(_, member, _)| member.weight).sum();
        let mut mark = self.luck() * whole;
        let chosen = ready().find(|(_, member, _)| {
            mark -= member.weight;
            mark < 0.0
        });
        // Weights of 0 take a turn only where there is nothing else.
        chosen.or_else(|| ready().next()).map(|(number, ..)| *number)
    }

    /// A number from 0 to 1, as even as chance and cheaper: SplitMix64 of the turn.
    fn luck(&self) -> f64 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut mixed = turn.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn take(member: &Member, now: u64) -> Result<Held, Exceeded> {
    match &member.quota {
        Some(claim) => Local.take(std::slice::from_ref(claim), now),
        None => Ok(Held::default()),
    }
}

#[cfg(test)]
mod tests;
