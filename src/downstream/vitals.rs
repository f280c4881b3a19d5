//! What the edge and a request know of one connection together.
//!
//! The law: written while a request runs, read by the edge when it has ended and by the proxy that answers; nothing here
//! outlives the connection.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::fate::Fate;
use super::pace::Pace;
use super::silence::Silence;
use crate::framing::Fault;

/// The clocks of a connection, and what has gone wrong on it.
#[derive(Debug, Default)]
pub struct Vitals {
    /// How long the upstream has been silent.
    pub silence: Silence,
    /// How fast the client sends and takes.
    pub pace: Pace,
    /// How the answer under way may end.
    pub fate: Fate,
    fault: Mutex<Option<Fault>>,
    /// How long the first piece of the body was waited for, in microseconds.
    gathered: AtomicU64,
    served: AtomicBool,
    broken: AtomicBool,
    flooded: AtomicBool,
    refused: AtomicU32,
}

impl Vitals {
    /// The head was in, and the first piece of the body came so much later, or not at all.
    pub fn gather(&self, waited: Duration) {
        self.gathered.store(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long the edge kept the request under way after its head was in.
    pub fn gathered(&self) -> Duration {
        Duration::from_micros(self.gathered.load(Ordering::Relaxed))
    }

    /// The edge hands a request over.
    pub fn hand_over(&self) {
        self.served.store(false, Ordering::Relaxed);
        self.pace.begin();
    }

    /// The proxy has taken it.
    pub fn begin(&self) {
        self.served.store(true, Ordering::Relaxed);
        self.fate.begin();
        self.silence.begin();
    }

    /// Whether the proxy took it: it writes the access line then.
    pub fn was_taken(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// A write was taken by the client's socket, or was not.
    pub(super) fn wrote(&self, taken: bool) {
        self.pace.wrote(taken);
        if taken {
            self.silence.touch();
        }
    }

    /// The answer is broken, and an orderly end of the connection could be taken for its end.
    pub fn must_break(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether the connection must end with a reset.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// What became of an HTTP/2 connection: whether the client has sent more control frames than it may, and how often it was
    /// told that it broke the protocol.
    pub(super) fn note_frames(&self, flooded: bool, refused: u32) {
        self.flooded.store(flooded, Ordering::Relaxed);
        self.refused.store(refused, Ordering::Relaxed);
    }

    /// How many streams were ended, or the connection, for breaking HTTP/2.
    pub fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Whether the connection was ended for its control frames.
    pub fn was_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// The framing of the request's body is broken.
    pub fn found(&self, fault: Fault) {
        self.fault.lock().get_or_insert(fault);
    }

    /// What is wrong with the framing of its body.
    pub fn fault(&self) -> Option<Fault> {
        *self.fault.lock()
    }
}
