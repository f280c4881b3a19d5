//! Who is calling, when a proxy stands between.
//!
//! The law: what a stranger says about addresses has no effect; only a peer that the config trusts may speak for another, and
//! the address is decided once. Pure: bytes in, an address out.
//!
//! `trust` is the list of networks, `forwarded` reads what HTTP proxies write into headers, `announced` what the PROXY
//! protocol says before the first byte. None of them opens a connection or knows keys.

mod announced;
mod forwarded;
mod trust;

pub use announced::{Announced, AnnouncedFault, read as read_announced};
pub use forwarded::client;
pub use trust::{Network, Trusted};
