//! What no text of an upstream may tell a client: our credentials, hosts and addresses.
//!
//! The law: by value, whatever the words around it; what is too short to be told from ordinary words is left.

use super::group::Member;
use crate::secret::Secret;
use crate::upstream::encode;

/// The shortest value that is looked for.
const SHORTEST: usize = 4;
/// The shortest part of a secret address that is.
const LONG_PART: usize = 8;
/// What stands in the place of one.
const GONE: &str = "[redacted]";

/// What a message may have of a text, in characters. It is cut after it is clean: a part of a secret is one.
const LONGEST: usize = 1000;

/// The values of one config.
#[derive(Debug, Default)]
pub struct Scrub {
    /// In lower case; longest first, so that none is left in part.
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
            // A key may stand in the address itself.
            let path = member.target.path_and_query(b"", None, &|_| None, &|_| false);
            let path = String::from_utf8_lossy(&path);
            let parts = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= LONG_PART);
            values
                .extend(parts.filter(|_| member.target.secret || member.target.query.has_secret()).map(str::to_owned));
        }
        Self::new(values)
    }

    fn new(mut values: Vec<String>) -> Self {
        // In a URL they look otherwise.
        let in_urls = |value: &String| String::from_utf8_lossy(&encode(value.as_bytes())).into_owned();
        let escaped: Vec<String> = values.iter().map(in_urls).collect();
        values.extend(escaped);
        values.iter_mut().for_each(|value| value.make_ascii_lowercase());
        values.retain(|value| value.len() >= SHORTEST && value != "bearer");
        values.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
        Self { values: values.into_iter().map(Secret::new).collect() }
    }

    /// `text` without any of them, in whatever case, and not too long.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            text = without(&text, value.expose());
        }
        let text = addresses(&text);
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text,
        }
    }
}

/// `text` without `value`, which is in lower case.
fn without(text: &str, value: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(value) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(GONE);
        from = at + found.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
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
        Scrub::new(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn a_secret_across_the_cut_goes_whole() {
        let scrub = scrub(&["sk-upstream-1"]);
        for before in LONGEST - 15..LONGEST + 2 {
            let text = format!("{}sk-upstream-1 {}", "x".repeat(before), "y".repeat(2000));
            let clean = scrub.clean(&text);
            assert!(!clean.contains("sk-u") && clean.chars().count() == LONGEST + 1, "{before}");
        }
    }

    #[test]
    fn values_and_addresses_go() {
        let scrub = scrub(&["https-host.example.com:8443", "https-host.example.com", "sk-upstream-1", "Sk/up+2"]);
        for (text, expected) in [
            ("Incorrect API key provided: sk-upstream-1.", "Incorrect API key provided: [redacted]."),
            ("SK-Upstream-1 at HTTPS-host.Example.com", "[redacted] at [redacted]"),
            ("Bearer Sk%2Fup%2B2, Sk%2fup%2b2", "Bearer [redacted], [redacted]"),
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
