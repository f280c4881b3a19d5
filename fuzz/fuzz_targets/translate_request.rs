//! Drives the body of the target `translate_request` in tests/fuzz.

#![no_main]

#[path = "../../tests/fuzz/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|input: &[u8]| bodies::run("translate_request", input));
