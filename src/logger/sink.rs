//! A stream of lines, the buffer before it, and the thread that writes it out.
//!
//! The law: who pushes a line never waits for who reads it. What does not fit, and what could not be written, is lost and counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::out::Out;

/// The most bytes that wait to be written.
const CAPACITY: usize = 4 << 20;
/// How long lines are gathered before one write takes them all.
const GATHER: Duration = Duration::from_millis(20);
/// How long an exit waits for the last lines.
const LAST: Duration = Duration::from_secs(2);

/// A stream of lines.
#[derive(Default)]
pub(super) struct Sink {
    name: &'static str,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    dropped: AtomicU64,
    /// Nobody asks for the lines.
    unread: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    writing: bool,
    /// Where lines go that come after so many bytes.
    turns: Vec<(usize, Out)>,
    /// Whether the file is to be opened anew.
    reopen: bool,
}

impl Waiting {
    fn is_urgent(&self) -> bool {
        self.reopen || !self.turns.is_empty()
    }
}

impl Sink {
    pub(super) fn start(name: &'static str, out: Out) -> &'static Self {
        let sink: &'static Self = Box::leak(Box::new(Self { name, ..Self::default() }));
        if thread::Builder::new().name(format!("log-{name}")).spawn(move || sink.run(out)).is_err() {
            eprintln!("no thread for the {name} log could be started");
        }
        sink
    }

    fn run(&self, mut out: Out) {
        let mut lines = Vec::new();
        let (mut told, mut failing) = (0, false);
        loop {
            self.take(&mut lines, &mut out);
            let result = if lines.is_empty() { Ok(()) } else { out.write(&lines) };
            if let Err((error, lost)) = &result {
                self.dropped.fetch_add(*lost, Ordering::Relaxed);
                if !failing {
                    log::error!("the {} log cannot be written: {error}; its lines are lost and counted", self.name);
                }
            }
            let dropped = self.dropped.load(Ordering::Relaxed);
            if result.is_ok() && dropped > told {
                log::warn!(
                    "{} lines of the {} log were lost: it could not be written fast enough",
                    dropped - told,
                    self.name
                );
                told = dropped;
            }
            failing = result.is_err();
            self.waiting.lock().writing = false;
            self.emptied.notify_all();
        }
    }

    /// Waits for lines, lets more gather, and takes them in exchange for the last ones, so that neither buffer has to grow anew.
    /// Where lines go elsewhere from one of them on, those before it are written here.
    fn take(&self, lines: &mut Vec<u8>, out: &mut Out) {
        lines.clear();
        let mut waiting = self.waiting.lock();
        while waiting.bytes.is_empty() && !waiting.is_urgent() {
            self.filled.wait(&mut waiting);
        }
        if !waiting.is_urgent() {
            drop(waiting);
            thread::sleep(GATHER);
            waiting = self.waiting.lock();
        }
        waiting.writing = true;
        std::mem::swap(&mut waiting.bytes, lines);
        let (turns, reopen) = (std::mem::take(&mut waiting.turns), std::mem::take(&mut waiting.reopen));
        drop(waiting);
        if reopen && let Err(error) = out.reopen() {
            log::error!("the {} log cannot be opened anew: {error}; the open file is written on", self.name);
        }
        let mut begin = 0;
        for (end, next) in turns {
            if let Err((_, lost)) = out.write(lines.get(begin..end).unwrap_or_default()) {
                self.dropped.fetch_add(lost, Ordering::Relaxed);
            }
            (begin, *out) = (end, next);
        }
        lines.drain(..begin);
    }

    pub(super) fn push(&self, line: impl FnOnce(&mut Vec<u8>)) {
        if self.unread.load(Ordering::Relaxed) {
            return;
        }
        let mut waiting = self.waiting.lock();
        if waiting.bytes.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        line(&mut waiting.bytes);
        drop(waiting);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Lines that come after this go to `out`.
    pub(super) fn turn_to(&self, out: Out) {
        self.unread.store(matches!(out, Out::Nowhere), Ordering::Relaxed);
        let mut waiting = self.waiting.lock();
        let end = waiting.bytes.len();
        waiting.turns.push((end, out));
        drop(waiting);
        self.filled.notify_one();
    }

    pub(super) fn reopen(&self) {
        self.waiting.lock().reopen = true;
        self.filled.notify_one();
    }

    /// How many lines were lost since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self) {
        let end = Instant::now() + LAST;
        let mut waiting = self.waiting.lock();
        while (!waiting.bytes.is_empty() || waiting.writing) && Instant::now() < end {
            self.emptied.wait_for(&mut waiting, GATHER);
        }
    }
}
