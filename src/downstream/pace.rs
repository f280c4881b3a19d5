//! How fast a client sends and takes.
//!
//! The law: only time in which somebody waited for the client counts against it. A body that brings less than its share in a
//! window of such waiting is late; a write that is not taken at all for too long has stalled.
//!
//! It measures; the edge asks from time to time and decides.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The least that a body must bring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Bytes a second; 0: any pace will do.
    pub bytes: f64,
    /// Over how long it is measured.
    pub window: Duration,
}

impl Rate {
    /// Whether so many bytes are too few after so long.
    pub fn is_missed(&self, bytes: u64, taken: Duration) -> bool {
        taken > self.window && (bytes as f64) < self.bytes * taken.as_secs_f64()
    }
}

/// What is known of a client's pace on one connection. Times are milliseconds since `epoch`, and 0 means "not".
#[derive(Debug)]
pub struct Pace {
    epoch: Instant,
    /// Since when the body is being waited for.
    hungry: AtomicU64,
    /// How long it was waited for in this window.
    waited: AtomicU64,
    /// What came in this window.
    came: AtomicU64,
    late: AtomicBool,
    /// Since when a write is not taken.
    stalled: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            hungry: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            came: AtomicU64::new(0),
            late: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// A request begins.
    pub fn begin(&self) {
        for clock in [&self.hungry, &self.waited, &self.came, &self.stalled] {
            clock.store(0, Ordering::Relaxed);
        }
        self.late.store(false, Ordering::Relaxed);
    }

    /// Nothing of the body is there, and somebody waits for it.
    pub fn starve(&self) {
        if self.hungry.load(Ordering::Relaxed) == 0 {
            self.hungry.store(self.now(), Ordering::Relaxed);
        }
    }

    /// So many bytes of the body have come.
    pub fn feed(&self, bytes: usize) {
        self.came.fetch_add(bytes as u64, Ordering::Relaxed);
        let since = self.hungry.swap(0, Ordering::Relaxed);
        if since > 0 {
            self.waited.fetch_add(self.now().saturating_sub(since), Ordering::Relaxed);
        }
    }

    /// Whether the body has been found late. It stays so for the whole request.
    pub fn is_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// Finds out whether the body is late by now.
    pub fn judge(&self, least: &Rate) -> bool {
        let since = self.hungry.load(Ordering::Relaxed);
        if since == 0 || least.bytes <= 0.0 {
            return false;
        }
        let now = self.now();
        let waited = Duration::from_millis(self.waited.load(Ordering::Relaxed) + now.saturating_sub(since));
        if waited < least.window {
            return false;
        }
        let came = self.came.swap(0, Ordering::Relaxed);
        self.waited.store(0, Ordering::Relaxed);
        self.hungry.store(now, Ordering::Relaxed);
        let late = (came as f64) < least.bytes * waited.as_secs_f64();
        self.late.fetch_or(late, Ordering::Relaxed);
        late
    }

    /// A write was taken, or was not.
    pub fn wrote(&self, taken: bool) {
        if taken {
            if self.stalled.load(Ordering::Relaxed) > 0 {
                self.stalled.store(0, Ordering::Relaxed);
            }
        } else if self.stalled.load(Ordering::Relaxed) == 0 {
            self.stalled.store(self.now(), Ordering::Relaxed);
        }
    }

    /// For how long no write has been taken.
    pub fn stalled_for(&self) -> Duration {
        match self.stalled.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now().saturating_sub(since)),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Rate = Rate { bytes: 100.0, window: Duration::from_secs(10) };

    async fn wait(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_late_after_a_window() {
        let pace = Pace::default();
        for _ in 0..9 {
            pace.starve();
            wait(1).await;
            assert!(!pace.judge(&LEAST));
            pace.feed(1);
        }
        pace.starve();
        wait(1).await;
        assert!(pace.judge(&LEAST) && pace.is_late());
        pace.begin();
        assert!(!pace.is_late());
    }

    #[tokio::test(start_paused = true)]
    async fn enough_bytes_open_another_window() {
        let pace = Pace::default();
        for _ in 0..10 {
            pace.starve();
            wait(9).await;
            pace.feed(2000);
            assert!(!pace.judge(&LEAST));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let pace = Pace::default();
        pace.starve();
        wait(1).await;
        pace.feed(1);
        wait(1000).await;
        pace.starve();
        wait(1).await;
        assert!(!pace.judge(&LEAST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_stalls_until_one_is_taken() {
        let pace = Pace::default();
        pace.wrote(false);
        wait(5).await;
        pace.wrote(false);
        assert_eq!(pace.stalled_for(), Duration::from_secs(5));
        pace.wrote(true);
        assert_eq!(pace.stalled_for(), Duration::ZERO);
    }
}
