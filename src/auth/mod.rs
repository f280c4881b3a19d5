//! Who is calling: where a key may stand in a request, and whose it is.
//!
//! `credential` finds what the client sent, `keyring` knows the keys, of which the virtual ones stand in the `book`; `key` is what
//! is known of one, `digest` what is kept in its place. The law: a failed credential has no value shaped like
//! a success; keys are compared in constant time; on an open route an unknown credential is the caller's own business.

mod book;
mod credential;
mod digest;
mod key;
mod keyring;

pub use book::{Book, Key, Team};
pub use credential::{AuthFault, KeyPlaces};
pub use digest::{Digest, KeyId, Salt};
pub use key::{KeyRecord, KeyType, Quota, TeamRecord, Time, holds_likely_key, is_key, is_like, shown_name};
pub use keyring::{Keyring, Principal, unescaped};
