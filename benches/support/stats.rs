//! What every bench shares: whether it was asked to measure, and the middle of its samples.
//!
//! Law: a bench measures only when `cargo bench` (which passes `--bench`) asked for it, so that `cargo test
//! --all-targets` compiles it and costs nothing. Noise is answered by medians, never by dropping samples.
//!
//! Not here, on purpose: means, deviations, confidence. On a shared machine the errors are not normal, they
//! are neighbours; the reader gets the median and the whole range.

use std::env;

/// Whether this run is to measure. Says on stderr what the program is when it is not: stdout belongs to
/// test runners that list and count.
pub(crate) fn asked_to_measure(name: &str) -> bool {
    let asked = |flag: &str| env::args().any(|arg| arg == flag);
    if asked("--bench") && !asked("--test") {
        return true;
    }
    eprintln!("{name} is a bench: `cargo bench --bench {name}` runs it");
    false
}

/// The middle value, or the mean of the two middle ones.
///
/// # Panics
/// Without samples: a bench that measured nothing has nothing to report.
pub(crate) fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = samples.into_iter().collect();
    assert!(!sorted.is_empty(), "a median needs samples");
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
}

/// The lowest and the highest.
pub(crate) fn range(samples: impl IntoIterator<Item = f64>) -> (f64, f64) {
    samples
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), sample| (low.min(sample), high.max(sample)))
}
