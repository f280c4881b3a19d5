//! How one request is sent on, and how the answer to it may end.
//!
//! The law: the request says what kind its answer is and where it is being sent, the edge whether the process has cut it; each
//! reads what the other wrote. Over HTTP/1 it is a part of the connection's vitals, over HTTP/2 every request has its own.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::uplink::Uplink;

/// What the edge and a request know together.
#[derive(Debug, Default)]
pub struct Fate {
    stream: AtomicBool,
    cut: AtomicBool,
    /// Where the request is being sent.
    pub uplink: Uplink,
}

impl Fate {
    /// Another request begins.
    pub(super) fn begin(&self) {
        self.stream.store(false, Ordering::Relaxed);
        self.uplink.leads_to(None);
    }

    /// The answer is a stream of events.
    pub fn streams(&self) {
        self.stream.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_stream(&self) -> bool {
        self.stream.load(Ordering::Relaxed)
    }

    /// The process ends, and does not wait for the end of the answer.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether it did not.
    pub fn was_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }
}
