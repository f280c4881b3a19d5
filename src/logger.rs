//! The one log backend: diagnostics to stderr, access lines to stdout, a file or the journal.
//!
//! The law: a request never waits for a log. Lines go into a bounded buffer (`sink`) that a thread of its own writes `out`; what does
//! not fit is lost and counted, and the count is said. Pingora's lines below warnings are never written: its debug lines print
//! the headers that Tollgate injects.

mod out;
mod sink;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use log::{LevelFilter, Log, Metadata, Record};
use once_cell::sync::OnceCell;
use out::Out;
use sink::Sink;

use crate::clock::civil;
use crate::config::log::LogTo;

static ACCESS: OnceCell<&'static Sink> = OnceCell::new();
static DIAGNOSTICS: OnceCell<&'static Sink> = OnceCell::new();

/// How much is said, as the number of a level.
static LEVEL: AtomicUsize = AtomicUsize::new(LevelFilter::Info as usize);

struct Diagnostics(&'static Sink);

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("tollgate");
        let most = LEVEL.load(Ordering::Relaxed);
        metadata.level() as usize <= if ours { most } else { most.min(LevelFilter::Warn as usize) }
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let time = rfc3339(SystemTime::now());
            self.0.push(|out| {
                let text = record.args().to_string();
                let _ = writeln!(out, "{time} {:5} {}", record.level(), neutralized(&text));
            });
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Starts the log. Called once, by the binary.
pub fn start(level: LevelFilter) {
    ACCESS.get_or_init(|| Sink::start("access", Out::Stream(Box::new(io::stdout()), false)));
    let sink = DIAGNOSTICS.get_or_init(|| Sink::start("diagnostics", Out::Stream(Box::new(io::stderr()), false)));
    if log::set_boxed_logger(Box::new(Diagnostics(sink))).is_ok() {
        set_level(level);
    }
}

/// From now on so much is said.
pub fn set_level(level: LevelFilter) {
    LEVEL.store(level as usize, Ordering::Relaxed);
    log::set_max_level(level);
}

/// What access lines could not be written to `to` for; nothing is made.
pub fn check(to: &LogTo) -> io::Result<()> {
    out::check(to)
}

/// From now on access lines go to `to`.
pub fn access_to(to: &LogTo) -> io::Result<()> {
    let out = Out::open(to)?;
    if let Some(sink) = ACCESS.get() {
        sink.turn_to(out);
    }
    Ok(())
}

/// Opens the file of access lines anew: who rotates it has moved it away.
pub fn reopen() {
    if let Some(sink) = ACCESS.get() {
        sink.reopen();
    }
}

/// Lines that were lost since the start, by log.
pub fn lost() -> [(&'static str, u64); 2] {
    let lost = |sink: Option<&&Sink>| sink.map_or(0, |sink| sink.dropped());
    [("access", lost(ACCESS.get())), ("diagnostics", lost(DIAGNOSTICS.get()))]
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
    // Nearly all text is: it need not be decoded.
    let plain = |byte: u8| (0x20..0x7f).contains(&byte);
    if text.bytes().all(plain) || !text.chars().any(is_unruly) {
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
    let mut out = Vec::with_capacity(24);
    write_time(&mut out, time);
    String::from_utf8_lossy(&out).into_owned()
}

/// The same, at the end of `out`.
pub fn write_time(out: &mut Vec<u8>, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            *second = since.as_secs();
            *text = civil(*second);
        }
        let millis = since.subsec_millis();
        // A remainder of ten fits.
        let digit = |value: u32| b'0' + (value % 10) as u8;
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
    });
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
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn escapes_are_neutralized() {
        assert_eq!(neutralized("plain"), "plain");
        assert_eq!(neutralized("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(neutralized("a\u{9b}b\u{202e}c"), "a\\u{9b}b\\u{202e}c");
    }
}
