//! What a limit says of itself: when to come again, and how much is left.
//!
//! The law: who waits as long as `Retry-After` says is served, a second less is too short; it is never 0. Where nothing will ever
//! pass it is not there. Names are LiteLLM's for the key, and OpenAI's standard ones; resets are written as OpenAI writes them.

use bytes::{BufMut, BytesMut};
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
        (Kind::Requests, Some(wait)) => format!("Try again in {}.", written(*wait)),
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
    if let Some(millis) = wait {
        out.extend(self::wait(millis));
    }
    if *kind == Kind::Requests {
        if *holder == Holder::Key {
            out.push((KEY_LIMIT, most.to_string()));
            out.push((KEY_REMAINING, "0".into()));
        }
        out.push((LIMIT, most.to_string()));
        out.push((REMAINING, "0".into()));
        out.extend(wait.map(|wait| (RESET, written(wait))));
    }
    out
}

/// When to come again, as RFC 9110 has it and more exactly.
pub(super) fn wait(millis: u64) -> Vec<(&'static str, String)> {
    vec![("Retry-After", seconds(millis).to_string()), ("retry-after-ms", millis.max(1).to_string())]
}

/// The header that tells the key's limit; LiteLLM's name.
const KEY_LIMIT: &str = "x-ratelimit-api_key-limit-requests";
/// What is left of it.
const KEY_REMAINING: &str = "x-ratelimit-api_key-remaining-requests";
/// OpenAI's names.
const LIMIT: &str = "x-ratelimit-limit-requests";
const REMAINING: &str = "x-ratelimit-remaining-requests";
const RESET: &str = "x-ratelimit-reset-requests";

/// What an answer says of the limits it has counted against: the key's under LiteLLM's names; under the standard ones, when
/// `standard`, the one that is nearest to its end.
pub fn standing_headers(held: &Held, standard: bool) -> SmallVec<[(HeaderName, HeaderValue); 5]> {
    let mut out = SmallVec::new();
    let mut text = BytesMut::with_capacity(VALUES);
    if let Some((_, most, standing)) = held.standings.iter().find(|(holder, ..)| *holder == Holder::Key) {
        out.push((const { HeaderName::from_static(KEY_LIMIT) }, number(&mut text, *most)));
        out.push((const { HeaderName::from_static(KEY_REMAINING) }, number(&mut text, standing.remaining)));
    }
    let nearest = held.standings.iter().min_by_key(|(_, _, standing)| standing.remaining);
    if let (Some((_, most, standing)), true) = (nearest, standard) {
        out.push((const { HeaderName::from_static(LIMIT) }, number(&mut text, *most)));
        out.push((const { HeaderName::from_static(REMAINING) }, number(&mut text, standing.remaining)));
        duration(&mut text, standing.reset);
        out.push((const { HeaderName::from_static(RESET) }, value(&mut text)));
    }
    out
}

/// Bytes of all values of an answer, as a rule.
const VALUES: usize = 64;

fn number(text: &mut BytesMut, number: u32) -> HeaderValue {
    digits(text, number.into());
    value(text)
}

/// What has been written, digits and letters alone. The values of one answer share one buffer: one allocation instead of five.
fn value(text: &mut BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.split().freeze()).unwrap_or(HeaderValue::from_static(""))
}

fn digits(text: &mut BytesMut, number: u64) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whole seconds, enough of them and one at least.
fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1000).max(1)
}

/// Appends `1s` or `6m0s`: whole seconds, as OpenAI writes them.
fn duration(text: &mut BytesMut, millis: u64) {
    let seconds = seconds(millis);
    if seconds >= 60 {
        digits(text, seconds / 60);
        text.put_u8(b'm');
    }
    digits(text, seconds % 60);
    text.put_u8(b's');
}

fn written(millis: u64) -> String {
    let mut text = BytesMut::new();
    duration(&mut text, millis);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Standing;

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

    #[test]
    fn an_answer_tells_how_the_limits_stand() {
        let mut held = Held::default();
        let told = |held: &Held, standard| -> Vec<(HeaderName, String)> {
            let told = standing_headers(held, standard);
            told.into_iter().map(|(name, value)| (name, value.to_str().expect("text").to_owned())).collect()
        };
        assert!(told(&held, true).is_empty());
        held.standings.push((Holder::Key, u32::MAX, Standing { remaining: 1_203_400, reset: 61_000 }));
        held.standings.push((Holder::Team, 10, Standing { remaining: 0, reset: 59_000 }));
        let named = |(name, value): (&'static str, &str)| (HeaderName::from_static(name), value.to_owned());
        let own = [(KEY_LIMIT, "4294967295"), (KEY_REMAINING, "1203400")].map(named);
        assert_eq!(told(&held, false), own);
        let nearest = [(LIMIT, "10"), (REMAINING, "0"), (RESET, "59s")].map(named);
        assert_eq!(told(&held, true), own.iter().chain(&nearest).cloned().collect::<Vec<_>>());
    }
}
