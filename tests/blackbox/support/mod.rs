//! The parts of a test: an origin that records, a gate under test, a client that speaks raw HTTP/1.

pub mod client;
pub mod gate;
pub mod message;
pub mod origin;
pub mod strict;
pub mod tls;

use std::time::{Duration, Instant};

pub use client::{Client, send};
pub use gate::Gate;
pub use message::Message;
pub use origin::Origin;

/// The longest a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` says so; panics with `what` when it never does.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
