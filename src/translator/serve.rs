//! From deployment to deployment, until one answers.
//!
//! The law: a request is tried again while its client has not been sent a byte, as often as the router allows, first where it
//! has not been tried; then in the groups that stand in for the one that was asked. What failed is noted before the next is
//! picked. The last failure is what the client hears of.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use pingora::protocols::http::ServerSession;
use tokio::time::sleep;

use super::asking::Asking;
use super::exchange::{self, Attempt};
use super::{Translator, Witness, reply};
use crate::clock::Moment;
use crate::rejection::Rejection;
use crate::snapshot::{Asked, Group, NoMember, Outcome, Picked, Service, Snapshot, Tried};

/// How long a second attempt at the same deployment waits; the third twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The most retries that a client may ask for.
const MOST_RETRIES: u32 = 10;

/// What is to be served.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The config that the request met.
    pub snapshot: &'a Snapshot,
    /// The model, as the client calls it.
    pub model: &'a str,
    /// Who serves it.
    pub asked: &'a Asked,
    /// What for.
    pub service: &'a Service,
    /// The request.
    pub asking: &'a Asking,
    /// Its fields.
    pub fields: &'a HeaderMap,
    /// How the caller's limits stand, as fields of the answer.
    pub standing: &'a [(HeaderName, HeaderValue)],
    /// Its id.
    pub id: &'a str,
}

/// How a request has ended whose client has been sent something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order.
    Whole,
    /// With an error that the client was told inside of the answer.
    Told(Rejection),
    /// The client has left.
    Gone,
}

/// How one attempt has ended.
pub(super) enum Tally {
    /// The client has been sent an answer, or the beginning of one.
    Answered(Ended),
    /// It has failed before that.
    Failed {
        /// What the client is told if nobody does better.
        rejection: Rejection,
        /// What it says of the upstream.
        outcome: Outcome,
        /// How long the upstream wants to be left alone.
        wait: Option<Duration>,
    },
    /// The client has left before that.
    Gone,
}

/// How the last attempt has failed.
type Failed = (Rejection, Outcome, Option<Duration>);

/// How often it has been tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) retries: u32,
    pub(super) fallbacks: u32,
}

impl Translator {
    /// Serves `wish` to the client at `http`, whose body has been read.
    ///
    /// # Errors
    /// Nobody has answered, and the client has not been sent anything.
    pub async fn serve(
        &self,
        http: &mut ServerSession,
        wish: Wish<'_>,
        witness: &mut dyn Witness,
    ) -> Result<Ended, Rejection> {
        let mut count = Count::default();
        let mut last = Rejection::Internal;
        let fallbacks = wish.snapshot.models.after(wish.model, wish.asked);
        for (number, asked) in std::iter::once(wish.asked).chain(&fallbacks).enumerate() {
            count.fallbacks = u32::try_from(number).unwrap_or(u32::MAX);
            let group = match &asked.group.lead {
                Ok(group) => group,
                Err(why) => {
                    last = Rejection::ModelUnserved(why.clone());
                    continue;
                }
            };
            match self.try_group(http, wish, asked, group, &mut count, witness).await {
                Tally::Answered(ended) => return Ok(ended),
                Tally::Gone => return Ok(Ended::Gone),
                Tally::Failed { rejection, outcome, .. } => {
                    last = rejection;
                    // What is the caller's to mend would be wrong elsewhere too.
                    if !outcome.may_differ() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    async fn try_group(
        &self,
        http: &mut ServerSession,
        wish: Wish<'_>,
        asked: &Asked,
        group: &Group,
        count: &mut Count,
        witness: &mut dyn Witness,
    ) -> Tally {
        let models = &wish.snapshot.models;
        // Who does not serve this is not asked, and nothing is counted for it.
        let lacking = |number: &usize| exchange::lacks(wish.service, group.member(*number));
        let unable: Tried = (0..group.count()).filter(|number| lacking(number).is_some()).collect();
        let mut tried = unable.clone();
        let mut left = wanted_retries(wish.fields).unwrap_or(models.retries);
        let mut rounds = 0u32;
        let mut failed: Option<Failed> = None;
        loop {
            let now = Moment::now().steady;
            let picked = match group.pick(&tried, now) {
                Ok(picked) => picked,
                Err(NoMember::Tried) => {
                    let Some(pause) = failed.as_ref().and_then(|failed| pause(failed, rounds, models.pause)) else {
                        break;
                    };
                    tried.clone_from(&unable);
                    rounds += 1;
                    if reply::unless_gone(http, sleep(pause)).await.is_none() {
                        return Tally::Gone;
                    }
                    continue;
                }
                Err(NoMember::Full(exceeded)) => {
                    let full = (Rejection::Limited(exceeded), Outcome::Limited(exceeded.wait), None);
                    failed.get_or_insert(full);
                    break;
                }
            };
            if failed.is_some() {
                left = left.saturating_sub(1);
                count.retries += 1;
            }
            tried.push(picked.number);
            match self.try_member(http, (wish, asked, group), picked, *count, witness).await {
                Tally::Failed { rejection, outcome, wait } => {
                    let again = outcome.may_differ() && left > 0;
                    failed = Some((rejection, outcome, wait));
                    if !again {
                        break;
                    }
                }
                answered => return answered,
            }
        }
        let (rejection, outcome, wait) = failed.unwrap_or_else(|| {
            let why = unable.first().and_then(lacking);
            (why.unwrap_or(Rejection::Internal), Outcome::Elsewhere, None)
        });
        Tally::Failed { rejection, outcome, wait }
    }

    /// Asks one member, and notes how it did.
    async fn try_member(
        &self,
        http: &mut ServerSession,
        (wish, asked, group): (Wish<'_>, &Asked, &Group),
        picked: Picked,
        count: Count,
        witness: &mut dyn Witness,
    ) -> Tally {
        let (member, held) = (group.member(picked.number), Mutex::new(picked.held));
        let attempt = Attempt { wish, asked, member, count, held: &held };
        let tally = self.attempt(http, attempt, witness).await;
        let outcome = match &tally {
            Tally::Failed { outcome, .. } => Some(*outcome),
            // Too late for another, but not for the next request.
            Tally::Answered(Ended::Told(rejection)) => Some(attempt.outcome(rejection)),
            Tally::Answered(Ended::Whole | Ended::Gone) | Tally::Gone => None,
        };
        if let Some(outcome) = outcome.filter(|_| group.has_several()) {
            member.health.note(outcome, wish.snapshot.models.patience, Moment::now().steady);
        }
        tally
    }
}

/// How long a group that has been tried whole is left alone before its next round; none: there is none. Who says no to a request
/// will say so again, and who is to be left alone for longer than anybody would wait here is not asked again.
fn pause((_, outcome, wait): &Failed, rounds: u32, least: Duration) -> Option<Duration> {
    let wait = wait.unwrap_or_default();
    let usual = (PAUSE * 2u32.saturating_pow(rounds)).min(LONGEST_PAUSE);
    (outcome.may_pass() && wait <= LONGEST_PAUSE).then(|| usual.max(least).max(wait))
}

/// How often the client wants to be tried again; it may ask for fewer times than are usual, or for some more.
fn wanted_retries(fields: &HeaderMap) -> Option<u32> {
    let wanted = fields.get("x-litellm-num-retries")?.to_str().ok()?.trim().parse::<u32>().ok()?;
    Some(wanted.min(MOST_RETRIES))
}
