//! The keys that Tollgate knows, and the search for them in what a client sent.
//!
//! The law: a known key never leaves the gateway, wherever a client has put it: as a whole value, inside longer text, escaped
//! as in a URL, or in HTTP Basic credentials. A key of fewer than [`SEARCHABLE`] characters must stand apart from letters,
//! digits, `-` and `_` to be taken for one, since it could be part of an innocent word. Of a virtual key only a digest is known:
//! it is looked for as a whole word that begins with `sk-`.

use std::sync::{Arc, LazyLock};

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use memchr::memmem;

use super::book::{Book, Key};
use super::key::{LONGEST, PREFIX, SHORTEST};
use crate::secret::Secret;

/// From this length on a key is looked for inside longer text.
const SEARCHABLE: usize = 12;
/// The search for what every virtual key begins with, prepared once.
static BEGINNINGS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(PREFIX));
/// The most words of one value that are looked up.
const MOST_WORDS: usize = 8;

/// Who a credential proved to be.
#[derive(Clone, Debug)]
pub enum Principal {
    /// The holder of the master key.
    Master,
    /// The holder of a virtual key.
    Key(Arc<Key>),
}

impl Principal {
    /// The name that logs use.
    pub fn name(&self) -> &str {
        match self {
            Self::Master => "master",
            Self::Key(key) => key.record.shown(),
        }
    }

    /// The virtual key.
    pub fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Master => None,
            Self::Key(key) => Some(key),
        }
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Master, Self::Master) => true,
            (Self::Key(one), Self::Key(other)) => one.record.id == other.record.id,
            _ => false,
        }
    }
}

impl Eq for Principal {}

/// All known keys.
#[derive(Debug, Default)]
pub struct Keyring {
    master: Option<Secret>,
    book: Option<Arc<Book>>,
}

impl Keyring {
    /// A ring with the master key alone.
    pub fn new(master: Option<Secret>) -> Self {
        Self { master, book: None }
    }

    /// The same with the virtual keys of `book`.
    pub fn with_book(mut self, book: Arc<Book>) -> Self {
        self.book = Some(book);
        self
    }

    /// The virtual keys.
    pub fn book(&self) -> Option<&Arc<Book>> {
        self.book.as_ref()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.master.is_none() && self.virtual_keys().is_none()
    }

    /// Whose key `token` is.
    pub fn find(&self, token: &[u8]) -> Option<Principal> {
        if self.master.as_ref().is_some_and(|master| master.matches(token)) {
            return Some(Principal::Master);
        }
        let book = self.virtual_keys().filter(|_| (PREFIX.len()..=LONGEST).contains(&token.len()));
        book?.find(token).map(Principal::Key)
    }

    /// Whether `value` holds a known key.
    pub fn occurs_in(&self, value: &[u8]) -> bool {
        // Most values are shorter than any key; whatever encodes one is longer.
        let master = self.master.as_ref().map_or(usize::MAX, |master| master.expose().len());
        let least = if self.virtual_keys().is_some() { master.min(SHORTEST) } else { master };
        if value.len() < least {
            return false;
        }
        self.is_in(value)
            || (memchr::memchr(b'%', value).is_some() && self.is_in(&unescaped(value)))
            || basic(value).is_some_and(|pair| self.is_in(&pair))
    }

    fn is_in(&self, text: &[u8]) -> bool {
        // Most values hold no beginning of a key, and are done with.
        let beginning = BEGINNINGS.find(text);
        let searched = |master: &&Secret| beginning.is_some() || !master.expose().starts_with(PREFIX);
        self.master.as_ref().filter(searched).is_some_and(|master| stands_in(master.expose().as_bytes(), text))
            || (beginning.is_some() && self.virtual_keys().is_some_and(|book| holds_virtual(book, text)))
    }

    /// The book, if there is a key in it.
    fn virtual_keys(&self) -> Option<&Arc<Book>> {
        self.book.as_ref().filter(|book| !book.is_empty())
    }
}

/// Whether a word of `text` is a virtual key. The words are few, so that nobody can have us compute digests without end.
fn holds_virtual(book: &Book, text: &[u8]) -> bool {
    let is_key_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let words = BEGINNINGS.find_iter(text).filter_map(|at| {
        let word = text.get(at..)?;
        let length = word.iter().position(|byte| !is_key_byte(byte)).unwrap_or(word.len());
        word.get(..length).filter(|word| (SHORTEST..=LONGEST).contains(&word.len()))
    });
    words.take(MOST_WORDS).any(|word| book.find(word).is_some())
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
pub fn unescaped(text: &[u8]) -> Vec<u8> {
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

    #[test]
    fn a_virtual_key_is_found_as_a_word() {
        let book = Arc::new(Book::new(crate::auth::Salt::new(*b"salt")));
        let key = "sk-virtual_0123456789";
        book.put(crate::auth::KeyRecord::new(book.id(&crate::auth::Digest::of(key.as_bytes())), "k".into(), 0), false);
        let ring = Keyring::new(None).with_book(book);
        let pair = STANDARD.encode(format!("user:{key}"));
        for (value, expected) in [
            (key.to_owned(), true),
            (format!("Bearer {key}"), true),
            (format!("a=1; t={key}; b"), true),
            (format!("https://x/?k={key}&y"), true),
            (format!("Basic {pair}"), true),
            (key.replace('_', "%5F"), true),
            (format!("{key}x"), false),
            ("sk-other_0123456789012".into(), false),
            (format!("{}{key}", "sk-no-such-key-0123456 ".repeat(3)), true),
        ] {
            assert_eq!(ring.occurs_in(value.as_bytes()), expected, "{value}");
        }
        assert!(ring.find(key.as_bytes()).is_some() && ring.find(b"sk-other").is_none());
    }
}
