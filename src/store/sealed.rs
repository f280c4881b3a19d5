//! Text at rest that only who has the salt can read.
//!
//! The law: ChaCha20-Poly1305 (RFC 8439) under a key that is derived from the salt, a random nonce each time, bound to the id that it
//! stands under: what was moved to another id, or changed, is damaged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::Fault;
use crate::auth::Salt;
use crate::secret::{self, Secret};

/// What the key is for.
const PURPOSE: &[u8] = b"tollgate: entries at rest, 1";

/// Seals, and opens.
#[derive(Debug)]
pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    pub(super) fn new(salt: &Salt) -> Result<Self, Fault> {
        let key = Zeroizing::new(salt.derived(PURPOSE));
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*key).map_err(|_| failed())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// `text`, to stand under `id`.
    pub(super) fn seal(&self, id: &str, text: &Secret) -> Result<String, Fault> {
        let nonce: [u8; NONCE_LEN] = secret::random().map_err(|error| Fault::Failed(error.to_string()))?;
        let mut bytes = text.expose().as_bytes().to_vec();
        let about = Aad::from(id.as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about, &mut bytes)
            .map_err(|_| failed())?;
        Ok(STANDARD.encode([&nonce, bytes.as_slice()].concat()))
    }

    /// What was sealed under `id`; none: it is damaged.
    pub(super) fn open(&self, id: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.0.open_in_place(nonce, Aad::from(id.as_bytes()), &mut sealed).ok()?;
        std::str::from_utf8(text).ok().map(|text| Secret::new(text.to_owned()))
    }
}

fn failed() -> Fault {
    Fault::Failed("an entry cannot be sealed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_id_and_salt_alone() {
        let sealer = Sealer::new(&Salt::new(*b"a salt of some length")).expect("a sealer");
        let other = Sealer::new(&Salt::new(*b"another salt of length")).expect("a sealer");
        let sealed = sealer.seal("one", &Secret::new("Bearer secret".to_owned())).expect("sealed");
        assert!(!sealed.contains("secret"));
        assert_eq!(sealer.open("one", &sealed).expect("opens").expose(), "Bearer secret");
        assert_ne!(sealer.seal("one", &Secret::new("Bearer secret".to_owned())).expect("sealed"), sealed);
        assert!(sealer.open("two", &sealed).is_none());
        assert!(other.open("one", &sealed).is_none());
        let mut bytes = STANDARD.decode(&sealed).expect("base64");
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert!(sealer.open("one", &STANDARD.encode(&bytes)).is_none(), "byte {at}");
            bytes[at] ^= 1;
        }
        assert!(sealer.open("one", "").is_none());
    }
}
