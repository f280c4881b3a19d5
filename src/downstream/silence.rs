//! The clock of the upstream's silence.
//!
//! Pingora's own read timeout runs while the client is still uploading, and against an HTTP/2 upstream over the whole of the
//! upload. Here the clock begins when the request has been sent whole, and anew with everything that passes in either
//! direction; so a slow upload, or a client that reads slowly, is never taken for a silent upstream.
//!
//! How: Pingora waits for an upstream by reading from the client too, to see it leave. That read ends with `TimedOut` when
//! the clock runs out; the proxy asks [`Silence::is_over`] and answers 504 on the connection, which is still whole.
//!
//! It measures; it does not decide what a silence means.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::coarse;

/// The longest tick of a Linux kernel, in milliseconds: the coarse clock is behind by less.
const TICK: u64 = 10;

/// The clock of one connection, shared by its stream and the request on it.
#[derive(Debug)]
pub struct Silence {
    epoch: Instant,
    /// The same moment by the clock that everything that passes is noted by.
    begun: u64,
    /// Milliseconds; 0: the clock stands.
    limit: AtomicU64,
    /// When something last passed, in milliseconds since `epoch`.
    since: AtomicU64,
    over: AtomicBool,
}

impl Default for Silence {
    fn default() -> Self {
        Self::new()
    }
}

impl Silence {
    /// A clock that stands.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            begun: coarse(),
            limit: AtomicU64::new(0),
            since: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// A request begins; the clock stands.
    pub fn begin(&self) {
        self.limit.store(0, Ordering::Relaxed);
        self.over.store(false, Ordering::Relaxed);
    }

    /// The request has been sent whole: from now on at most `limit` of silence.
    pub fn start(&self, limit: Duration) {
        self.touch();
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1);
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Something has passed.
    pub fn touch(&self) {
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// The request has ended.
    pub fn end(&self) {
        self.limit.store(0, Ordering::Relaxed);
    }

    /// Whether the clock has run out in this request.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Never too early, or a silence would end before its time.
    fn now(&self) -> u64 {
        coarse().saturating_sub(self.begun) + TICK
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = self.limit.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        (limit > 0).then(|| self.epoch.checked_add(Duration::from_millis(since.saturating_add(limit)))).flatten()
    }
}

/// Who waits for the clock to run out. Kept from request to request: a clock that only ever moves forward seldom needs its
/// alarm to be set again.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether the alarm knows whom to wake: the connection's task, which is the same for all requests on it.
    armed: bool,
}

impl Alarm {
    /// Ready when `silence` has run out.
    pub(super) fn poll(&mut self, silence: &Silence, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(deadline) = silence.deadline() else { return Poll::Pending };
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // An alarm that was set for an earlier moment is left as it is: most requests end before it rings.
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
                self.armed = false;
            }
            if self.armed && !sleep.is_elapsed() {
                return Poll::Pending;
            }
            self.armed = true;
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.armed = false;
            if Instant::now() >= deadline {
                silence.over.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
