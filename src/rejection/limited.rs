//! What a limit says of itself: when to come again, and how much is left.
//!
//! The law: who waits as long as `Retry-After` says is served, a second less is too short; it is never 0. Where nothing will ever
//! pass it is not there. Names are LiteLLM's for the key, and OpenAI's standard ones; resets are written as OpenAI writes them.

use http::header::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::limit::{Exceeded, Held, Holder, Kind};

/// The sentence. LiteLLM's own begins alike; it tells a digest of the key, which this does not.
pub(super) fn message(exceeded: &Exceeded) -> String {
    let Exceeded { holder, kind, most, wait } = exceeded;
    let what = match kind {
        Kind::Requests => "requests per minute",
        Kind::Parallel => "parallel requests",
    };
    let when = match (kind, wait) {
        (Kind::Requests, Some(wait)) => format!("Try again in {}.", duration(*wait)),
        (Kind::Requests, None) => "Nothing passes this limit.".into(),
        (Kind::Parallel, _) if *most == 0 => "Nothing passes this limit.".into(),
        (Kind::Parallel, _) => "Try again when one of them has ended.".into(),
    };
    format!(
        "Rate limit exceeded for {}. Limit type: {what}. Current limit: {most}, Remaining: 0. {when}",
        holder.name()
    )
}

/// The headers of a 429.
pub(super) fn headers(exceeded: &Exceeded) -> Vec<(&'static str, String)> {
    let Exceeded { holder, kind, most, wait } = exceeded;
    let mut out = Vec::new();
    let wait = match kind {
        Kind::Parallel if *most > 0 => Some(1000),
        Kind::Parallel => None,
        Kind::Requests => *wait,
    };
    if let Some(wait) = wait {
        out.push(("Retry-After", seconds(wait).to_string()));
        out.push(("retry-after-ms", wait.max(1).to_string()));
    }
    if *kind == Kind::Requests {
        if *holder == Holder::Key {
            out.push(("x-ratelimit-api_key-limit-requests", most.to_string()));
            out.push(("x-ratelimit-api_key-remaining-requests", "0".into()));
        }
        out.push(("x-ratelimit-limit-requests", most.to_string()));
        out.push(("x-ratelimit-remaining-requests", "0".into()));
        out.extend(wait.map(|wait| ("x-ratelimit-reset-requests", duration(wait))));
    }
    out
}

/// The header that tells the key's limit; LiteLLM's name.
const KEY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-api_key-limit-requests");
/// What is left of it.
const KEY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-api_key-remaining-requests");
/// OpenAI's names.
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");

/// What an answer says of the limits it has counted against: the key's under LiteLLM's names; under the standard ones, when
/// `standard`, the one that is nearest to its end.
pub fn standing_headers(held: &Held, standard: bool) -> SmallVec<[(HeaderName, HeaderValue); 5]> {
    let mut out = SmallVec::new();
    if let Some((_, most, standing)) = held.standings.iter().find(|(holder, ..)| *holder == Holder::Key) {
        out.push((KEY_LIMIT, (*most).into()));
        out.push((KEY_REMAINING, standing.remaining.into()));
    }
    let nearest = held.standings.iter().min_by_key(|(_, _, standing)| standing.remaining);
    if let (Some((_, most, standing)), true) = (nearest, standard) {
        out.push((LIMIT, (*most).into()));
        out.push((REMAINING, standing.remaining.into()));
        // Digits and letters alone.
        out.extend(HeaderValue::from_str(&duration(standing.reset)).ok().map(|reset| (RESET, reset)));
    }
    out
}

/// Whole seconds, enough of them and one at least.
fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1000).max(1)
}

/// `1s`, `6m0s`: whole seconds, as OpenAI writes them.
fn duration(millis: u64) -> String {
    let seconds = seconds(millis);
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exceeded: &Exceeded, name: &str) -> Option<String> {
        headers(exceeded).into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    #[test]
    fn waits_are_rounded_up_and_never_nothing() {
        for (wait, seconds, reset) in
            [(1, "1", "1s"), (1000, "1", "1s"), (1001, "2", "2s"), (59_999, "60", "1m0s"), (61_000, "61", "1m1s")]
        {
            let exceeded = Exceeded { holder: Holder::Key, kind: Kind::Requests, most: 3, wait: Some(wait) };
            assert_eq!(of(&exceeded, "Retry-After").as_deref(), Some(seconds));
            assert_eq!(of(&exceeded, "retry-after-ms"), Some(wait.to_string()));
            assert_eq!(of(&exceeded, "x-ratelimit-reset-requests").as_deref(), Some(reset));
        }
        for kind in [Kind::Requests, Kind::Parallel] {
            let never = Exceeded { holder: Holder::Route, kind, most: 0, wait: None };
            assert_eq!(of(&never, "Retry-After"), None);
            assert!(message(&never).contains("Nothing passes"));
        }
        let slot = Exceeded { holder: Holder::Team, kind: Kind::Parallel, most: 2, wait: None };
        assert_eq!(of(&slot, "Retry-After").as_deref(), Some("1"));
    }
}
