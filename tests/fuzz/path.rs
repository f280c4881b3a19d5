//! The path rule: one canonical form, nothing refused that is plain, no dot segment in what is forwarded.

use tollgate::route::{Pattern, RequestPath};

use super::reading::has_dot_segment;

/// The input is a raw path, and a pattern.
pub fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        pattern(text);
    }
    let plain =
        input.starts_with(b"/") && input.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(byte));
    let path = match RequestPath::parse(input) {
        Ok(path) => path,
        Err(error) => {
            assert!(!plain, "a plain path is refused: {error}");
            return;
        }
    };
    assert!(!has_dot_segment(input), "a dot segment is let through");
    let canonical = path.canonical().into_owned();
    let again = RequestPath::parse(canonical.as_bytes()).expect("the canonical form is a path");
    assert_eq!(again.canonical(), canonical, "the canonical form is its own");
    assert_eq!(again.len(), path.len());
    assert!((0..path.len()).all(|index| again.canon(index) == path.canon(index)));
    // What is forwarded is the client's own bytes, and loses one segment for each that was matched.
    for count in 0..=path.len() {
        let rest = path.rest(count);
        assert!(input.ends_with(rest) && (rest.is_empty() || rest.starts_with(b"/")), "{count}: {rest:?}");
        assert_eq!(rest.len() + matched(&path, count), input.len(), "{count}");
    }
}

fn matched(path: &RequestPath<'_>, count: usize) -> usize {
    (0..count).map(|index| 1 + path.raw(index).len()).sum()
}

fn pattern(text: &str) {
    let Ok(pattern) = Pattern::parse(text, true) else { return };
    let printed = pattern.to_string();
    let again = Pattern::parse(&printed, true).expect("a pattern prints as a pattern");
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.len(), pattern.len());
}
