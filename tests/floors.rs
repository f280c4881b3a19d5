//! The law of the house: a file imports only lower floors, never in a circle, and some crates have one door.
//!
//! It reads the `use` lines and paths of `src`; a room that the table does not know fails, so that the table stays true.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and their floors. Rooms on the same floor do not know each other, unless [`SAME_FLOOR`] says so.
const FLOORS: &[(&str, u8)] = &[
    ("clock", 0),
    ("secret", 0),
    ("provider", 0),
    ("config", 10),
    // Above its neighbours: a key is known together with what is counted for it.
    ("auth", 21),
    ("client", 20),
    ("framing", 20),
    ("header", 20),
    ("limit", 20),
    ("route", 20),
    ("translate", 20),
    ("uplink", 20),
    ("upstream", 20),
    ("health", 30),
    ("management", 29),
    ("rejection", 30),
    ("snapshot", 31),
    ("admit", 32),
    ("downstream", 40),
    ("history", 40),
    ("logger", 40),
    ("memory", 40),
    ("metrics", 40),
    ("reload", 40),
    ("resolve", 40),
    ("store", 40),
    ("systemd", 40),
    ("trust", 40),
    // Above names, which it resolves.
    ("dial", 41),
    ("admin", 41),
    ("translator", 42),
    ("proxy", 43),
    ("edge", 44),
    ("completion", 50),
    ("server", 50),
    ("cli", 51),
    ("main", 52),
];

/// Crates that only some files may name.
const DOORS: &[(&str, &[&str])] = &[
    ("serde_yaml", &["config/raw.rs"]),
    ("saphyr_parser", &["config/raw.rs"]),
    ("sd_notify", &["systemd.rs"]),
    ("listenfd", &["systemd.rs"]),
    ("prometheus", &["metrics/mod.rs", "metrics/series.rs", "metrics/text.rs"]),
    ("pingora_limits", &["limit/mod.rs", "limit/failures.rs"]),
    ("hickory_resolver", &["resolve.rs"]),
    ("rustls", &["edge/tls.rs", "trust.rs", "upstream/tls.rs"]),
    ("tokio_rustls", &["downstream/socket.rs", "edge/tls.rs"]),
    ("x509_parser", &["upstream/tls.rs"]),
    ("rustls_native_certs", &["trust.rs"]),
    ("clap", &["cli/arguments.rs", "cli/arguments/key.rs", "cli/litellm.rs"]),
    ("clap_complete", &["cli/arguments.rs", "cli/generate.rs"]),
    ("clap_mangen", &["cli/generate.rs"]),
    ("rusqlite", &["store/sqlite.rs"]),
    ("ring::aead", &["store/sealed.rs"]),
    ("getrandom", &["secret.rs"]),
    ("nix", &["logger/out.rs", "clock.rs", "proxy/respond.rs", "edge/watch.rs", "memory.rs", "trust.rs", "uplink.rs"]),
    ("socket2", &["uplink.rs"]),
    ("mimalloc", &["main.rs"]),
    ("once_cell", &["logger.rs"]),
    ("std::env::var", &["config/env.rs"]),
    ("tiktoken_rs", &["translate/count/text.rs"]),
    // `upstream/tls.rs` for the types in which certificates are handed over, and nothing else.
    (
        "pingora::",
        &["completion.rs", "dial.rs", "proxy/", "edge/", "downstream/", "server.rs", "translator/", "upstream/tls.rs"],
    ),
];

#[test]
fn files_import_only_lower_floors() {
    let mut faults = Vec::new();
    let mut checked = 0;
    for (file, text) in sources() {
        let room = room_of(&file);
        let Some(floor) = floor_of(&room) else {
            if room != "lib" {
                faults.push(format!("{file}: the room `{room}` has no floor in the table"));
            }
            continue;
        };
        for other in imports(&text) {
            if other == room {
                continue;
            }
            checked += 1;
            match floor_of(&other) {
                Some(below) if below < floor => {}
                Some(_) => faults.push(format!("{file}: `{other}` is not below `{room}`")),
                None => faults.push(format!("{file}: `{other}` has no floor in the table")),
            }
        }
    }
    assert!(checked > 50, "only {checked} imports were found: the reader is broken");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn some_crates_have_one_door() {
    let mut faults = Vec::new();
    for (file, text) in sources() {
        for (name, doors) in DOORS {
            let named = text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| names(line, name));
            if named && !doors.iter().any(|door| file.starts_with(door)) {
                faults.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for (file, text) in sources() {
        assert!(text.starts_with("//! "), "{file}");
    }
}

fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && (name.contains(':') || after == Some(':') || after == Some(';'))
    })
}

/// The rooms that a file names as `crate::room`.
fn imports(text: &str) -> Vec<String> {
    let mut rooms: BTreeMap<String, ()> = BTreeMap::new();
    // Tests may look anywhere.
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for marker in ["crate::", "tollgate::"] {
            for (at, _) in line.match_indices(marker) {
                let tail = &line[at + marker.len()..];
                let inside = tail.strip_prefix('{').map(|list| list.split('}').next().unwrap_or_default());
                let names = inside.map_or_else(|| vec![tail], |list| list.split(',').collect());
                for name in names {
                    let room: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    rooms.insert(room, ());
                }
            }
        }
    }
    rooms.into_keys().filter(|room| !room.is_empty()).collect()
}

fn floor_of(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn room_of(file: &str) -> String {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Every source file but the test modules, by its path below `src`.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut out = Vec::new();
    let mut open: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
                let name = path.strip_prefix(&root).expect("below src").display().to_string();
                out.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(out.len() > 20, "only {} files were found", out.len());
    out
}
