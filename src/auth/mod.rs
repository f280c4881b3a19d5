//! Who is calling: where a key may stand in a request, and whose it is.
//!
//! `credential` finds what the client sent, `keyring` knows the keys. The law: a failed credential has no value shaped like
//! a success; keys are compared in constant time; on an open route an unknown credential is the caller's own business.

mod credential;
mod keyring;

pub use credential::{AuthFault, KeyPlaces};
pub use keyring::{Keyring, Principal};
