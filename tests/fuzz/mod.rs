//! The bodies of the fuzz targets: each takes any bytes and asserts what must hold of them.
//!
//! The law: a body asserts invariants, not only that nothing panics, and reads its input by itself, not by the code that it
//! judges. cargo-fuzz drives them from `fuzz/`, and `tests/corpora.rs` replays every file of `fuzz/corpus` through them.
//!
//! A new target is a file here, a line in [`TARGETS`], a file in `fuzz/fuzz_targets` and a folder in `fuzz/corpus`.

mod config;
mod credential;
mod framing;
mod headers;
mod management;
mod path;
mod reading;
mod sse;
mod target;
mod translate_request;
mod translate_stream;

/// What is done with an input; it panics where something does not hold.
type Body = fn(&[u8]);

/// Every target and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("config", config::check),
    ("credential", credential::check),
    ("framing", framing::check),
    ("headers", headers::check),
    ("management", management::check),
    ("path", path::check),
    ("sse", sse::check),
    ("target", target::check),
    ("translate_request", translate_request::check),
    ("translate_stream", translate_stream::check),
];

/// Runs the body of `target`.
pub fn run(target: &str, input: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target of the table");
    body(input);
}
