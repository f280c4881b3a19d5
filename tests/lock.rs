//! What the lock file may hold: no crate that deny.toml bans, and of every crate that has had a hole a version without it.
//!
//! It is the quick part of `make audit`, which asks for licences and advisories too.

use std::path::Path;

/// Crates and the lowest version without a known hole, one for each line of releases that has been mended. Some are not in
/// the tree: they are what a store, a metric or another TLS library would bring.
const LOWEST: &[(&str, &[&str])] = &[
    ("bytes", &["1.11.1"]),
    ("crossbeam-channel", &["0.5.15"]),
    ("crossbeam-epoch", &["0.9.20"]),
    ("h2", &["0.4.16"]),
    ("http", &["0.1.20"]),
    ("hyper", &["0.14.12"]),
    ("idna", &["1.0.0"]),
    ("libsqlite3-sys", &["0.25.1"]),
    ("lru", &["0.18.2"]),
    ("once_cell", &["1.0.1"]),
    ("openssl", &["0.10.72"]),
    ("protobuf", &["3.7.2"]),
    ("rand", &["0.8.6", "0.9.3", "0.10.1"]),
    ("ring", &["0.17.12"]),
    ("rusqlite", &["0.26.2"]),
    ("rustls", &["0.23.18"]),
    ("rustls-webpki", &["0.103.13"]),
    ("slab", &["0.4.11"]),
    ("sqlx", &["0.8.1"]),
    ("time", &["0.3.47"]),
    ("tokio", &["1.44.2"]),
    ("tokio-postgres", &["0.7.18"]),
    ("tracing-subscriber", &["0.3.20"]),
];

/// The least that deny.toml must ban.
const BANNED: &[&str] = &[
    "atty",
    "aws-lc-sys",
    "backoff",
    "daemonize",
    "dotenv",
    "instant",
    "libyml",
    "paste",
    "serde_yml",
    "tracing-check",
    "tracings",
    "yaml-rust",
];

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the file is there")
}

/// Names and versions of a lock file.
fn packages(lock: &str) -> Vec<(&str, &str)> {
    let mut out = Vec::new();
    let mut name = None;
    for line in lock.lines() {
        let quoted = |key: &str| Some(line.strip_prefix(key)?.trim_matches(['=', ' ', '"']));
        if let Some(found) = quoted("name ") {
            name = Some(found);
        } else if let (Some(name), Some(version)) = (name, quoted("version ")) {
            out.push((name, version));
        }
    }
    out
}

/// Names that deny.toml bans outright: those with `wrappers` may be used by some.
fn banned(deny: &str) -> Vec<&str> {
    deny.lines()
        .filter(|line| !line.contains("wrappers"))
        .filter_map(|line| line.trim().strip_prefix("{ crate = \"")?.split('"').next())
        .collect()
}

/// The numbers of a version; what follows them is not looked at.
fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

/// Whether `version` is no lower than the lowest of its own line of releases, or beyond all of them.
fn is_safe(version: &str, lowest: &[&str]) -> bool {
    let version = numbers(version);
    let lowest: Vec<_> = lowest.iter().map(|lowest| numbers(lowest)).collect();
    let own = lowest.iter().find(|lowest| lowest[..2] == version[..2]);
    own.or(lowest.iter().max()).is_some_and(|lowest| version >= *lowest)
}

fn faults(lock: &str, deny: &str) -> Vec<String> {
    let banned = banned(deny);
    let mut out = Vec::new();
    for (name, version) in packages(lock) {
        if banned.contains(&name) {
            out.push(format!("{name} is banned by deny.toml"));
        }
        if let Some((_, lowest)) =
            LOWEST.iter().find(|(known, _)| *known == name).filter(|(_, lowest)| !is_safe(version, lowest))
        {
            out.push(format!("{name} {version} has a known hole: {} or later", lowest.join(", ")));
        }
    }
    out
}

#[test]
fn the_lock_holds_nothing_banned_and_nothing_with_a_hole() {
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    assert!(packages(&lock).len() > 200, "the reader is broken");
    let banned = banned(&deny);
    for name in BANNED {
        assert!(banned.contains(name), "deny.toml does not ban {name}");
    }
    assert_eq!(faults(&lock, &deny), [""; 0]);
}

#[test]
fn what_is_banned_or_too_old_is_found() {
    let deny = read("deny.toml");
    for (name, version, fault) in [
        ("aws-lc-sys", "0.40.0", true),
        ("serde_yml", "0.0.12", true),
        ("derivative", "2.2.0", false),
        ("serde_yaml", "0.9.34+deprecated", false),
        ("h2", "0.4.15", true),
        ("h2", "0.3.99", true),
        ("h2", "0.4.16", false),
        ("rand", "0.8.5", true),
        ("rand", "0.8.6", false),
        ("rand", "0.9.2", true),
        ("rand", "0.7.3", true),
        ("rand", "0.11.0", false),
        ("tokio", "1.9.0", true),
        ("tokio", "2.0.0", false),
        ("lru", "0.18.2-rc.1", false),
    ] {
        let lock = format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        assert_eq!(!faults(&lock, &deny).is_empty(), fault, "{name} {version}");
    }
}
