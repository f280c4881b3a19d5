//! The keys that Tollgate knows, and the search for them in what a client sent.
//!
//! The law: a known key never leaves the gateway, wherever a client has put it: as a whole value, inside longer text, escaped
//! as in a URL, or in HTTP Basic credentials. A key of fewer than [`SEARCHABLE`] characters must stand apart from letters,
//! digits, `-` and `_` to be taken for one, since it could be part of an innocent word.
//!
//! Virtual keys join here with the key store; today the master key is the only one.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
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

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.master.is_none()
    }

    /// Whose key `token` is.
    pub fn find(&self, token: &[u8]) -> Option<Principal> {
        self.master.as_ref().filter(|master| master.matches(token)).map(|_| Principal::Master)
    }

    /// Whether `value` holds a known key.
    pub fn occurs_in(&self, value: &[u8]) -> bool {
        let Some(master) = &self.master else { return false };
        let key = master.expose().as_bytes();
        // Most values are shorter than a key; whatever encodes one is longer.
        if value.len() < key.len() {
            return false;
        }
        stands_in(key, value)
            || (memchr::memchr(b'%', value).is_some() && stands_in(key, &unescaped(value)))
            || basic(value).is_some_and(|pair| stands_in(key, &pair))
    }
}

/// Whether `key` stands in `text`.
fn stands_in(key: &[u8], text: &[u8]) -> bool {
    let part_of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    memmem::find_iter(text, key).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        key.len() >= SEARCHABLE || (!part_of_word(before) && !part_of_word(text.get(at + key.len())))
    })
}

/// The text with its `%XX` decoded; broken escapes stand for themselves.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match (byte, digit(text.get(at + 1)), digit(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// The decoded pair of `Basic …` (RFC 7617), in either alphabet, padded or not, as lenient readers take it.
pub(super) fn basic(value: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let (scheme, token) = super::credential::scheme(value)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, LENIENT).decode(token).ok())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

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
            ("sk-1234", "[sk-1234]", true),
            ("sk-1234", "http://a/sk-1234#x", true),
            ("sk-1234", "http://a/?k=(sk%2D1234)", true),
            ("sk-1234", "task-1234", false),
            ("sk-1234", "sk-1234-5", false),
            ("sk-0123456789", &format!("Basic {}", URL_SAFE_NO_PAD.encode("sk-0123456789:?>")), true),
        ] {
            assert_eq!(Keyring::new(Some(Secret::new(key))).occurs_in(value.as_bytes()), expected, "{key} in {value}");
        }
        assert!(!Keyring::default().occurs_in(b""));
    }
}
