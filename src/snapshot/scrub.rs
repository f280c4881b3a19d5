//! What no text of an upstream may tell a client: our credentials, hosts and addresses.
//!
//! The law: by value, whatever the words around it; what is too short to be told from ordinary words is left.

use super::group::Member;
use crate::secret::Secret;

/// The shortest value that is looked for.
const SHORTEST: usize = 4;
/// What stands in the place of one.
const GONE: &str = "[redacted]";

/// The values of one config.
#[derive(Debug, Default)]
pub struct Scrub {
    /// Longest first, so that none is left in part.
    values: Vec<Secret>,
}

impl Scrub {
    /// The values of all `members`.
    pub(super) fn of<'m>(members: impl Iterator<Item = &'m Member>) -> Self {
        let mut values: Vec<String> = Vec::new();
        for member in members {
            values.push(member.target.authority.clone());
            values.push(member.target.host.to_string());
            for header in member.headers.configured().iter().filter(|header| header.is_secret()) {
                let text = String::from_utf8_lossy(header.value.as_bytes()).into_owned();
                values.extend(text.split_whitespace().map(str::to_owned));
                values.push(text);
            }
        }
        values.retain(|value| value.len() >= SHORTEST && !value.eq_ignore_ascii_case("bearer"));
        values.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
        Self { values: values.into_iter().map(Secret::new).collect() }
    }

    /// `text` without any of them.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            if text.contains(value.expose()) {
                text = text.replace(value.expose(), GONE);
            }
        }
        addresses(&text)
    }
}

/// The text without what reads as an address of a network: an IPv4 address is never a word.
fn addresses(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '[' | ']');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_part) {
        let (before, from) = rest.split_at(at);
        let (word, after) = from.split_at(from.find(|letter| !is_part(letter)).unwrap_or(from.len()));
        out.push_str(before);
        out.push_str(if is_address(word) { GONE } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn is_address(word: &str) -> bool {
    use std::net::{IpAddr, SocketAddr};
    let word = word.trim_end_matches(['.', ':']);
    let bare = word.trim_start_matches('[').trim_end_matches(']');
    word.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok_and(|_| bare.len() > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrub(values: &[&str]) -> Scrub {
        Scrub { values: values.iter().map(|value| Secret::new(*value)).collect() }
    }

    #[test]
    fn values_and_addresses_go() {
        let scrub = scrub(&["https-host.example.com:8443", "https-host.example.com", "sk-upstream-1"]);
        for (text, expected) in [
            ("Incorrect API key provided: sk-upstream-1.", "Incorrect API key provided: [redacted]."),
            ("no route to https-host.example.com:8443", "no route to [redacted]"),
            ("dial tcp 10.1.2.3:443: refused", "dial tcp [redacted] refused"),
            ("at [2001:db8::1]:443 and 2001:db8::2.", "at [redacted] and [redacted]"),
            ("version 1.2.3, 12:30:01, v1.2.3.4.5", "version 1.2.3, 12:30:01, v1.2.3.4.5"),
            ("nothing \u{1f600} here", "nothing \u{1f600} here"),
        ] {
            assert_eq!(scrub.clean(text), expected);
        }
    }
}
