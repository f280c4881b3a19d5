//! The keys that Tollgate knows, and the search for them in what a client sent.
//!
//! The law: a known key never leaves the gateway, wherever a client has put it; a key of fewer than [`SEARCHABLE`] characters
//! is only looked for as a whole word, since it could stand inside innocent text.
//!
//! Virtual keys join here with the key store; today the master key is the only one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::secret::Secret;

/// From this length on a key is looked for inside longer text.
const SEARCHABLE: usize = 12;

/// Who a credential proved to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal {
    /// The holder of the master key.
    Master,
}

impl Principal {
    /// The name that logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master",
        }
    }
}

/// All known keys.
#[derive(Debug, Default)]
pub struct Keyring {
    master: Option<Secret>,
}

impl Keyring {
    /// A ring with the master key alone.
    pub fn new(master: Option<Secret>) -> Self {
        Self { master }
    }

    /// Whose key `token` is.
    pub fn find(&self, token: &[u8]) -> Option<Principal> {
        self.master.as_ref().filter(|master| master.matches(token)).map(|_| Principal::Master)
    }

    /// Whether `value` holds a known key: as itself, as a word, inside HTTP Basic credentials, or as part of longer text.
    pub fn occurs_in(&self, value: &[u8]) -> bool {
        let Some(master) = &self.master else { return false };
        let key = master.expose().as_bytes();
        // Most values are shorter than a key; Basic credentials that hold one are longer.
        if value.len() < key.len() {
            return false;
        }
        let found = |text: &[u8]| {
            if key.len() >= SEARCHABLE {
                memmem::find(text, key).is_some()
            } else {
                master.matches(text) || text.split(|byte| is_separator(*byte)).any(|word| master.matches(word))
            }
        };
        found(value) || basic(value).is_some_and(|pair| found(&pair))
    }
}

fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b';' | b'=' | b'"' | b':' | b'&')
}

/// The decoded pair of `Basic …` (RFC 7617).
pub(super) fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, token) = super::credential::scheme(value)?;
    if scheme.eq_ignore_ascii_case(b"basic") { STANDARD.decode(token).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_hides() {
        let pair = STANDARD.encode("anything:sk-0123456789");
        for (key, value, expected) in [
            ("sk-0123456789", "sk-0123456789", true),
            ("sk-0123456789", "Bearer sk-0123456789", true),
            ("sk-0123456789", "a=1; token=sk-0123456789; b=2", true),
            ("sk-0123456789", "xsk-0123456789x", true),
            ("sk-0123456789", "sk-012345678", false),
            ("sk-0123456789", &format!("Basic {pair}"), true),
            ("sk-0123456789", &format!("bAsIc  {pair}"), true),
            ("sk-1234", "sk-12345", false),
            ("sk-1234", "Bearer sk-1234", true),
            ("sk-1234", "k=sk-1234;x=1", true),
        ] {
            assert_eq!(Keyring::new(Some(Secret::new(key))).occurs_in(value.as_bytes()), expected, "{key} in {value}");
        }
        assert!(!Keyring::default().occurs_in(b""));
    }
}
