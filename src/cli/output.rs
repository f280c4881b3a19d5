//! What the commands print.

use std::io::{Write, stderr, stdout};

/// Prints to stdout. A closed pipe is no reason to stop.
pub(super) fn say(text: &str) {
    let _ = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
}

/// Prints to stderr.
pub(super) fn complain(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
