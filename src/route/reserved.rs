//! Paths that belong to Tollgate itself.
//!
//! The law: no route of the file shadows them, not even a catch-all, so that no upstream ever answers for the admin API.

use super::path::RequestPath;

/// The first segments that are reserved. `/v2/key` is the one path of two.
const FIRST: &[&[u8]] = &[
    b"key",
    b"team",
    b"user",
    b"budget",
    b"customer",
    b"organization",
    b"model",
    b"spend",
    b"global",
    b"config",
    b"health",
    b"metrics",
    b"livez",
    b"readyz",
    b"ui",
];

/// Whether `path` is one of Tollgate's own, or below one.
pub fn is_reserved(path: &RequestPath<'_>) -> bool {
    !path.is_empty() && (FIRST.contains(&path.canon(0)) || (path.canon(0) == b"v2" && path.canon(1) == b"key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_segments_count() {
        for (raw, expected) in [
            ("/key/generate", true),
            ("/%6bey", true),
            ("/health", true),
            ("/ui/", true),
            ("/v2/key/info", true),
            ("/v2/keys", false),
            ("/keys", false),
            ("/models", false),
            ("/", false),
            ("/v1/key", false),
        ] {
            assert_eq!(is_reserved(&RequestPath::parse(raw.as_bytes()).expect(raw)), expected, "{raw}");
        }
    }
}
