//! How much the process carries, and whether it can carry more.
//!
//! The law: a request is counted by a guard from its first phase to its drop, whatever ends it. A process that is full says so
//! before it looks at keys: a request over the limit on requests, or any while memory is short, is refused with 503.
//!
//! Who measures memory calls [`Load::note_memory`]; nothing here reads files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::clock::Moment;

/// What the process carries.
#[derive(Debug)]
pub struct Load {
    in_flight: AtomicUsize,
    most: AtomicUsize,
    short_of_memory: AtomicBool,
    draining: AtomicBool,
    /// Of those in flight, the streams.
    streams: AtomicUsize,
    requests_cut: AtomicBool,
    streams_cut: AtomicBool,
    /// In milliseconds since 1970.
    started: u64,
}

/// One request being served.
#[derive(Debug)]
pub(super) struct Served {
    load: Arc<Load>,
    streams: bool,
}

impl Load {
    /// Room for `most` requests at once.
    pub fn new(most: usize) -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            short_of_memory: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            streams: AtomicUsize::new(0),
            requests_cut: AtomicBool::new(false),
            streams_cut: AtomicBool::new(false),
            started: Moment::now().calendar,
        }
    }

    /// When it began to be carried, in seconds since 1970.
    pub fn started(&self) -> f64 {
        self.started as f64 / 1000.0
    }

    /// A stop has been asked for: from now on every answer is its connection's last.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether one has.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// From now on there is room for `most`.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// How many requests are being served now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// How many of them are streams, whose end nobody knows.
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Acquire)
    }

    /// What is no stream has had its time.
    pub fn cut_requests(&self) {
        self.requests_cut.store(true, Ordering::Release);
    }

    /// Streams have had theirs.
    pub fn cut_streams(&self) {
        self.streams_cut.store(true, Ordering::Release);
    }

    /// Whether a request, or a stream, has to end now.
    pub fn cuts(&self, stream: bool) -> bool {
        let cut = if stream { &self.streams_cut } else { &self.requests_cut };
        cut.load(Ordering::Relaxed)
    }

    /// Whether anything has.
    pub fn cuts_any(&self) -> bool {
        self.cuts(false) || self.cuts(true)
    }

    /// Memory is short, or is not.
    pub fn note_memory(&self, short: bool) {
        if self.short_of_memory.swap(short, Ordering::Relaxed) != short {
            let (now, then) = if short { ("short", "refused") } else { ("enough again", "served") };
            log::warn!("memory is {now}: requests are {then}");
        }
    }

    /// Whether one of the requests that are counted already is too many.
    pub(super) fn is_over(&self) -> bool {
        self.short_of_memory.load(Ordering::Relaxed)
            || self.in_flight.load(Ordering::Relaxed) > self.most.load(Ordering::Relaxed)
    }

    pub(super) fn begin(self: &Arc<Self>) -> Served {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Served { load: Arc::clone(self), streams: false }
    }
}

impl Served {
    pub(super) fn is_draining(&self) -> bool {
        self.load.is_draining()
    }

    /// The answer is a stream.
    pub(super) fn streams(&mut self) {
        if !self.streams {
            self.streams = true;
            self.load.streams.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.streams {
            self.load.streams.fetch_sub(1, Ordering::AcqRel);
        }
        self.load.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
