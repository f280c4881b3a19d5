//! Every file of `fuzz/corpus` through the body of its fuzz target, and small changes of each, on the stable toolchain.
//!
//! `make fuzz` lets cargo-fuzz look for more; what it finds becomes a file here.

#[path = "fuzz/mod.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// Changes tried of every file.
const CHANGES: u64 = 200;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The files of `target`, by name.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus().join(target);
    let mut out: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&path).expect("bytes")))
        .collect();
    out.sort();
    out
}

#[test]
fn every_file_of_every_corpus_holds() {
    let mut broken = Vec::new();
    for (target, _) in fuzz::TARGETS {
        let files = files(target);
        assert!(files.len() >= 8, "{target}: only {} files", files.len());
        for (name, bytes) in &files {
            if catch_unwind(|| fuzz::run(target, bytes)).is_err() {
                broken.push(format!("{target}/{name}"));
            }
            for seed in 0..CHANGES {
                let changed = changed(bytes, &files[seed as usize % files.len()].1, seed);
                if catch_unwind(|| fuzz::run(target, &changed)).is_err() {
                    broken.push(format!("{target}/{name}, change {seed}: {:?}", String::from_utf8_lossy(&changed)));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_target_has_a_driver_and_a_corpus() {
    let root = corpus().join("..");
    let known: BTreeSet<String> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let names = |folder: &str, ending: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(root.join(folder)).expect("the folder is there");
        let name = |path: PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
        entries.map(|entry| name(entry.expect("an entry").path()).trim_end_matches(ending).to_owned()).collect()
    };
    assert_eq!(names("fuzz_targets", ".rs"), known);
    assert_eq!(names("corpus", ""), known);
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("the manifest");
    for name in known {
        let driver = fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).expect("a driver");
        assert!(driver.contains(&format!("bodies::run(\"{name}\"")), "{name} drives another body");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in the manifest");
    }
}

/// A small change of `bytes` that depends on `seed` alone: octets flipped, a piece cut, doubled, or taken from `other`.
fn changed(bytes: &[u8], other: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes.len() as u64 ^ 0x5bd1_e995;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap_or(0)
    };
    let mut out = bytes.to_vec();
    for _ in 0..=next(3) {
        let (at, length) = (next(out.len() + 1), 1 + next(8));
        let end = (at + length).min(out.len());
        match next(5) {
            0 if at < out.len() => out[at] ^= 1 << next(8),
            1 => drop(out.drain(at..end)),
            2 => {
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            3 => {
                let from = next(other.len() + 1);
                let piece = other[from..(from + length).min(other.len())].to_vec();
                out.splice(at..at, piece);
            }
            _ => {
                const PIECES: &[&[u8]] =
                    &[b"/", b"%2e", b"..", b"\n", b":", b"{key}", b"%", b"@", b"?", b"\\", b";", b"\x00"];
                out.splice(at..at, PIECES[next(PIECES.len())].iter().copied());
            }
        }
    }
    out
}
