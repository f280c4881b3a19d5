//! The one log backend: diagnostics to stderr, access lines to stdout.
//!
//! The law: a request never waits for a log. Lines go into a bounded buffer that a thread of its own writes out; what does
//! not fit is dropped and counted, and the count is the next line. Pingora's lines below warnings are never written: its
//! debug lines print the headers that Tollgate injects.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use log::{Level, LevelFilter, Log, Metadata, Record};
use once_cell::sync::OnceCell;
use parking_lot::{Condvar, Mutex};

use crate::clock::civil;

/// The most bytes that wait to be written.
const CAPACITY: usize = 4 << 20;
/// How long lines are gathered before one write takes them all.
const GATHER: Duration = Duration::from_millis(20);
/// How long an exit waits for the last lines.
const LAST: Duration = Duration::from_secs(2);

static ACCESS: OnceCell<&'static Sink> = OnceCell::new();
static DIAGNOSTICS: OnceCell<&'static Sink> = OnceCell::new();

/// A stream of lines and the buffer before it.
#[derive(Default)]
struct Sink {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    writing: bool,
}

impl Sink {
    fn start(name: &str, mut out: impl Write + Send + 'static) -> &'static Self {
        let sink: &'static Self = Box::leak(Box::default());
        let mut lines = Vec::new();
        let run = move || loop {
            sink.take(&mut lines);
            // A closed pipe must not end the service; the lines are lost either way.
            let _ = out.write_all(&lines).and_then(|()| out.flush());
            let dropped = sink.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let _ = writeln!(out, "{dropped} log lines were dropped: the log could not be written fast enough");
            }
            sink.waiting.lock().writing = false;
            sink.emptied.notify_all();
        };
        if thread::Builder::new().name(format!("log-{name}")).spawn(run).is_err() {
            eprintln!("no thread for the {name} log could be started");
        }
        sink
    }

    /// Waits for lines, lets more gather, and takes them in exchange for the last ones, so that neither buffer has to grow
    /// anew.
    fn take(&self, lines: &mut Vec<u8>) {
        lines.clear();
        let mut waiting = self.waiting.lock();
        while waiting.bytes.is_empty() {
            self.filled.wait(&mut waiting);
        }
        drop(waiting);
        thread::sleep(GATHER);
        let mut waiting = self.waiting.lock();
        waiting.writing = true;
        std::mem::swap(&mut waiting.bytes, lines);
    }

    fn push(&self, line: impl FnOnce(&mut Vec<u8>)) {
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

    fn flush(&self) {
        let end = Instant::now() + LAST;
        let mut waiting = self.waiting.lock();
        while (!waiting.bytes.is_empty() || waiting.writing) && Instant::now() < end {
            self.emptied.wait_for(&mut waiting, GATHER);
        }
    }
}

struct Diagnostics {
    sink: &'static Sink,
    level: LevelFilter,
}

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let most =
            if metadata.target().starts_with("tollgate") { self.level } else { self.level.min(LevelFilter::Warn) };
        metadata.level() <= most
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let time = rfc3339(SystemTime::now());
            self.sink.push(|out| {
                let text = record.args().to_string();
                let _ = writeln!(out, "{time} {:5} {}", record.level(), neutralized(&text));
            });
        }
    }

    fn flush(&self) {
        self.sink.flush();
    }
}

/// Starts the log. Called once, by the binary.
pub fn start(level: Level) {
    let access = ACCESS.get_or_init(|| Sink::start("access", io::stdout()));
    let sink = DIAGNOSTICS.get_or_init(|| Sink::start("diagnostics", io::stderr()));
    let _ = access;
    let filter = level.to_level_filter();
    if log::set_boxed_logger(Box::new(Diagnostics { sink, level: filter })).is_ok() {
        log::set_max_level(filter);
    }
}

/// Writes an access line; `line` appends it, without its end.
pub fn access(line: impl FnOnce(&mut Vec<u8>)) {
    if let Some(sink) = ACCESS.get() {
        sink.push(|out| {
            line(out);
            out.push(b'\n');
        });
    }
}

/// Waits until everything is written, or for two seconds.
pub fn flush() {
    for sink in [ACCESS.get(), DIAGNOSTICS.get()].into_iter().flatten() {
        sink.flush();
    }
}

/// Text without line ends, terminal escapes and reversed writing, which client data could carry.
pub fn neutralized(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unruly) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unruly(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.into()
}

fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

thread_local! {
    /// The last second that was written out, and how.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// UTC as RFC 3339, to the millisecond.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            *text = civil(*second);
        }
        let millis = since.subsec_millis();
        let digit = |value: u32| char::from_digit(value % 10, 10).unwrap_or('0');
        let mut out = String::with_capacity(text.len() + 5);
        out.push_str(text);
        out.extend(['.', digit(millis / 100), digit(millis / 10), digit(millis), 'Z']);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_826_645, "2000-02-29T12:17:25.000Z"),
            (1_795_392_000, "2026-11-23T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn escapes_are_neutralized() {
        assert_eq!(neutralized("plain"), "plain");
        assert_eq!(neutralized("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(neutralized("a\u{9b}b\u{202e}c"), "a\\u{9b}b\\u{202e}c");
    }
}
