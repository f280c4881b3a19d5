//! A value that must never be seen: provider credentials, the master key.
//!
//! The law: a `Secret` has no `Display`, its `Debug` prints stars, its bytes are zeroed when it is dropped, and
//! comparing it takes the same time wherever the first difference stands. The one way to the text is
//! [`Secret::expose`], which is easy to search for.
//!
//! It does not encrypt memory and does not stop a copy that a caller makes of the exposed text.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Text that is kept out of logs, errors and answers.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`, which is zeroed when the secret is dropped.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Wraps bytes read from a file. None: they are not text, and have been zeroed.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        match String::from_utf8(bytes) {
            Ok(text) => Some(Self::new(text)),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                None
            }
        }
    }

    /// The text itself. Every call is a place where it could leak: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this secret, in time that depends on the lengths alone.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

/// In constant time, as [`Secret::matches`].
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Bytes that nobody can guess, from the system.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_stars() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(***)");
    }

    #[test]
    fn matches_whole_value_only() {
        let secret = Secret::new("sk-1234");
        assert!(secret.matches(b"sk-1234"));
        for other in ["sk-123", "sk-12345", "", "SK-1234"] {
            assert!(!secret.matches(other.as_bytes()), "{other}");
        }
    }
}
