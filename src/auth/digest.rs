//! What is kept of a key instead of the key.
//!
//! The law: a key is known by HMAC(salt, SHA-256(key)), so that who reads the store can neither use nor guess a key; the digest
//! alone, which LiteLLM's scripts hold, names a key but never opens anything. Neither is printed in errors or logs.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// SHA-256 of a key, as LiteLLM names keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// What a key is known by: HMAC(salt, digest).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

/// The secret that turns digests into ids.
#[derive(Clone)]
pub struct Salt {
    bytes: Zeroizing<Vec<u8>>,
    /// Begun with the salt, which is half of the work.
    begun: Option<Hmac<Sha256>>,
}

impl Digest {
    /// The digest of `key`.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text).map(Self)
    }
}

impl KeyId {
    /// 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text).map(Self)
    }

    /// The id, as it is stored and shown to who may see it.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A number for choosing among few places.
    pub fn spread(&self) -> u64 {
        u64::from_le_bytes(self.0.first_chunk().copied().unwrap_or_default())
    }
}

impl Salt {
    /// A salt of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = Zeroizing::new(bytes.into());
        // A key of any length will do (RFC 2104 section 2), so this cannot fail.
        let begun = Hmac::<Sha256>::new_from_slice(&bytes).ok();
        Self { bytes, begun }
    }

    /// The bytes, for who keeps them.
    pub fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// What a key of this digest is known by.
    pub fn id(&self, digest: &Digest) -> KeyId {
        KeyId(self.mac(&digest.0))
    }

    /// What a store keeps to recognise the salt.
    pub fn check_value(&self) -> [u8; 32] {
        self.mac(b"tollgate salt check")
    }

    /// A key of its own for `purpose`, which is longer than a digest.
    pub fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        self.mac(&[b"tollgate derives a key from this salt; ", purpose].concat())
    }

    fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let Some(mac) = self.begun.clone() else { return [0; 32] };
        mac.chain_update(bytes).finalize().into_bytes().into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(***)")
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyId(***)")
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(***)")
    }
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(value(high)? << 4 | value(low)?).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_depend_on_key_and_salt() {
        let digest = Digest::of(b"abc");
        // FIPS 180-2 appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::parse(known), Some(digest));
        // RFC 4231 test case 2.
        let hmac = Salt::new(*b"Jefe").mac(b"what do ya want for nothing?");
        assert_eq!(KeyId(hmac).hex(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let (one, other) = (Salt::new(*b"one"), Salt::new(*b"other"));
        assert_ne!(one.id(&digest), other.id(&digest));
        assert_ne!(one.check_value(), other.check_value());
        assert_eq!(KeyId::parse(&one.id(&digest).hex()), Some(one.id(&digest)));
        for text in ["", "abc", &known[1..], &known.replace('b', "g"), &format!("{known}0")] {
            assert_eq!(Digest::parse(text), None);
        }
    }
}
