//! The path a client wrote, and its one canonical form.
//!
//! The law (RFC 3986 section 6.2.2): in the canonical form each raw segment has its unreserved octets decoded once and the
//! hex digits of the rest in upper case; slashes are not merged, case is not folded, `%252e` is data. Segment i of the
//! canon is segment i of the raw path, so that forwarding can take the raw bytes where matching stopped. A segment that
//! after one decode is a dot segment, or holds one next to `/`, `\` or `;`, is refused, as are control octets, overlong
//! UTF-8 and broken percent escapes: another reader of the same path could see something else in them.
//!
//! It does not look at the query.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use rustc_hash::FxHasher;
use smallvec::SmallVec;

/// Why a path is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A `%` without two hex digits, or raw octets that are not UTF-8.
    BadEncoding,
    /// An octet below 0x20, or 0x7f, raw or escaped.
    ControlOctet,
    /// `.` or `..` in any spelling.
    DotSegment,
    /// Not in origin form: no leading slash.
    NotAbsolute,
    /// More than 4 GiB, which no reader lets through.
    TooLong,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadEncoding => "the path holds a broken percent escape or is not UTF-8",
            Self::ControlOctet => "the path holds a control character",
            Self::DotSegment => "the path holds a dot segment (`.` or `..`, plain or escaped)",
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::TooLong => "the path is too long",
        })
    }
}

/// A path in both forms.
#[derive(Clone, Debug)]
pub struct RequestPath<'a> {
    raw: &'a [u8],
    canon: Cow<'a, [u8]>,
    segments: SmallVec<[Segment; 12]>,
    trailing_slash: bool,
}

/// Where a segment stands in the raw and in the canonical path, and the hash of its canonical text.
#[derive(Clone, Copy, Debug)]
struct Segment {
    raw: (u32, u32),
    canon: (u32, u32),
    hash: u64,
}

impl<'a> RequestPath<'a> {
    /// Reads a raw path, without its query.
    pub fn parse(raw: &'a [u8]) -> Result<Self, PathError> {
        if raw.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        if u32::try_from(raw.len()).is_err() {
            return Err(PathError::TooLong);
        }
        let plain = raw.iter().all(|&byte| (0x20..0x7f).contains(&byte) && byte != b'%');
        let mut canon = if plain { Cow::Borrowed(raw) } else { Cow::Owned(Vec::with_capacity(raw.len())) };
        if !plain && std::str::from_utf8(raw).is_err() {
            return Err(PathError::BadEncoding);
        }
        let mut segments: SmallVec<[Segment; 12]> = SmallVec::new();
        let mut start = 1;
        while start <= raw.len() {
            let tail = raw.get(start..).unwrap_or_default();
            let end = start + memchr::memchr(b'/', tail).unwrap_or(tail.len());
            let text = raw.get(start..end).unwrap_or_default();
            let at = match &mut canon {
                Cow::Borrowed(_) => {
                    refuse_dots(text)?;
                    (start, end)
                }
                Cow::Owned(out) => {
                    out.push(b'/');
                    let at = out.len();
                    canonicalize(text, out)?;
                    (at, out.len())
                }
            };
            let hash = hash_of(canon.get(at.0..at.1).unwrap_or_default());
            segments.push(Segment { raw: narrow((start, end)), canon: narrow(at), hash });
            start = end + 1;
        }
        let trailing_slash = raw.last() == Some(&b'/');
        if trailing_slash {
            segments.pop();
        }
        Ok(Self { raw, canon, segments, trailing_slash })
    }

    /// The number of segments; a trailing slash is none.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether the path is `/`.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether the client wrote a slash at the end.
    pub fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The canonical text of segment `index`.
    pub fn canon(&self, index: usize) -> &[u8] {
        self.segments.get(index).and_then(|segment| slice(&self.canon, segment.canon)).unwrap_or_default()
    }

    /// What the client wrote as segment `index`.
    pub fn raw(&self, index: usize) -> &'a [u8] {
        self.segments.get(index).and_then(|segment| slice(self.raw, segment.raw)).unwrap_or_default()
    }

    /// The hash of segment `index`, as [`hash_of`] gives it.
    pub(super) fn hash(&self, index: usize) -> u64 {
        self.segments.get(index).map_or(0, |segment| segment.hash)
    }

    /// What the client wrote after the first `count` segments, from the slash on.
    pub fn rest(&self, count: usize) -> &'a [u8] {
        let from = match count.checked_sub(1) {
            None => 0,
            Some(last) => self.segments.get(last).map_or(self.raw.len(), |segment| segment.raw.1 as usize),
        };
        self.raw.get(from..).unwrap_or_default()
    }

    /// The whole canonical path, for logs and messages.
    pub fn canonical(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.canon)
    }
}

/// The hash that paths and patterns share.
pub(super) fn hash_of(text: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(text);
    hasher.finish()
}

fn narrow((start, end): (usize, usize)) -> (u32, u32) {
    // `parse` has refused longer paths, and the canon is never longer than the raw path.
    (start as u32, end as u32)
}

fn slice(bytes: &[u8], (start, end): (u32, u32)) -> Option<&[u8]> {
    bytes.get(start as usize..end as usize)
}

/// Appends the canonical form of one raw segment.
pub(super) fn canonicalize(raw: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut decoded = SmallVec::<[u8; 64]>::new();
    for atom in Atoms(raw) {
        let octet = atom.octet().ok_or(PathError::BadEncoding)?;
        if octet < 0x20 || octet == 0x7f {
            return Err(PathError::ControlOctet);
        }
        decoded.push(octet);
        match atom {
            Atom::Plain(byte) => out.push(byte),
            Atom::Escaped(..) if is_unreserved(octet) => out.push(octet),
            Atom::Escaped(high, low) => out.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
            Atom::Broken => return Err(PathError::BadEncoding),
        }
    }
    let overlong = |pair: &[u8]| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    if decoded.windows(2).any(overlong) {
        return Err(PathError::BadEncoding);
    }
    refuse_dots(&decoded)
}

/// What a raw segment of a path that was taken stands for; what is no UTF-8 is replaced.
pub fn decoded(raw: &[u8]) -> String {
    let octets: Vec<u8> = Atoms(raw).filter_map(Atom::octet).collect();
    String::from_utf8_lossy(&octets).into_owned()
}

/// Refuses a decoded segment that is a dot segment, or holds one next to `/`, `\` or `;`.
fn refuse_dots(decoded: &[u8]) -> Result<(), PathError> {
    if memchr::memchr(b'.', decoded).is_none() {
        return Ok(());
    }
    let dots = decoded.split(|byte| matches!(byte, b'/' | b'\\' | b';')).any(|piece| matches!(piece, b"." | b".."));
    if dots { Err(PathError::DotSegment) } else { Ok(()) }
}

/// The unreserved octets of RFC 3986 section 2.3.
fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// One octet of a raw path: itself, or three characters that stand for it.
#[derive(Clone, Copy)]
enum Atom {
    Plain(u8),
    Escaped(u8, u8),
    Broken,
}

impl Atom {
    fn octet(self) -> Option<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match self {
            Self::Plain(byte) => Some(byte),
            Self::Escaped(high, low) => Some(digit(high)? << 4 | digit(low)?),
            Self::Broken => None,
        }
    }
}

/// Reads a raw segment octet by octet.
struct Atoms<'a>(&'a [u8]);

impl Iterator for Atoms<'_> {
    type Item = Atom;

    fn next(&mut self) -> Option<Atom> {
        match self.0 {
            [] => None,
            [b'%', high, low, rest @ ..] => {
                self.0 = rest;
                Some(Atom::Escaped(*high, *low))
            }
            [b'%', ..] => {
                self.0 = &[];
                Some(Atom::Broken)
            }
            [byte, rest @ ..] => {
                self.0 = rest;
                Some(Atom::Plain(*byte))
            }
        }
    }
}

/// Cuts from the raw segment what canonicalizes to its first `before` and last `after` canonical octets.
pub(super) fn trim_raw(raw: &[u8], before: usize, after: usize) -> &[u8] {
    let mut lengths: SmallVec<[(usize, usize); 64]> = SmallVec::new();
    for atom in Atoms(raw) {
        lengths.push(match atom {
            Atom::Plain(_) | Atom::Broken => (1, 1),
            Atom::Escaped(..) => (3, if atom.octet().is_some_and(is_unreserved) { 1 } else { 3 }),
        });
    }
    let start = raw_length(lengths.iter(), before);
    let end = raw.len().saturating_sub(raw_length(lengths.iter().rev(), after));
    raw.get(start..end).unwrap_or_default()
}

/// How many raw octets the first `canonical` canonical octets take.
fn raw_length<'a>(lengths: impl Iterator<Item = &'a (usize, usize)>, canonical: usize) -> usize {
    let (mut raw_sum, mut canonical_sum) = (0, 0);
    for (raw, canon) in lengths {
        if canonical_sum >= canonical {
            break;
        }
        raw_sum += raw;
        canonical_sum += canon;
    }
    raw_sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_segment_stands_for() {
        for (raw, expected) in [("a+b", "a+b"), ("gpt%2D4%2fx", "gpt-4/x"), ("%c3%a9", "\u{e9}"), ("%ff", "\u{fffd}")] {
            assert_eq!(decoded(raw.as_bytes()), expected, "{raw}");
        }
    }

    fn canon(raw: &str) -> Result<String, PathError> {
        RequestPath::parse(raw.as_bytes()).map(|path| path.canonical().into_owned())
    }

    #[test]
    fn the_canonical_form() {
        for (raw, expected) in [
            ("/v1/rerank", "/v1/rerank"),
            ("/v1/%72erank", "/v1/rerank"),
            ("/V1/x", "/V1/x"),
            ("/a//b/", "/a//b/"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%3Fb%23c", "/a%3Fb%23c"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/m:generate@x;y=1", "/m:generate@x;y=1"),
            ("/gr\u{fc}n", "/gr\u{fc}n"),
            ("/...", "/..."),
            ("/a..b/.hidden", "/a..b/.hidden"),
        ] {
            assert_eq!(canon(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_another_reader_could_take_for_a_dot_segment_is_refused() {
        for raw in [
            "/v1/..",
            "/v1/../x",
            "/v1/./x",
            "/v1/.",
            "/%2e%2e/x",
            "/v1/%2E/x",
            "/v1/.%2e",
            "/v1/..%2fx",
            "/v1/x%2f..",
            "/v1/..;/x",
            "/v1/..;d/x",
            "/v1/a;..",
            "/v1/..\\x",
            "/v1/..%5cx",
            "/v1/x%5C..%5Cy",
            "/v1/%2e;a",
        ] {
            assert_eq!(canon(raw), Err(PathError::DotSegment), "{raw}");
        }
        for raw in ["/a%00", "/a%0d%0aX: 1", "/a%7f", "/a\tb", "/a\u{1}"] {
            assert_eq!(canon(raw), Err(PathError::ControlOctet), "{raw:?}");
        }
        for raw in ["/a%", "/a%2", "/a%zz", "/%c0%ae%c0%ae/x", "/%e0%80%ae/x", "/%f0%80%80%ae/x"] {
            assert_eq!(canon(raw), Err(PathError::BadEncoding), "{raw}");
        }
        assert!(matches!(RequestPath::parse(b"/v1/\xc0\xae\xc0\xae/x"), Err(PathError::BadEncoding)));
        assert!(matches!(RequestPath::parse(b"v1"), Err(PathError::NotAbsolute)));
        assert!(matches!(RequestPath::parse(b"*"), Err(PathError::NotAbsolute)));
    }

    #[test]
    fn the_rest_is_what_the_client_wrote() {
        let path = RequestPath::parse(b"/v1/%72erank//x%2Fy/").expect("parses");
        assert_eq!(path.len(), 4);
        assert!(path.has_trailing_slash());
        assert_eq!(path.rest(0), b"/v1/%72erank//x%2Fy/");
        assert_eq!(path.rest(2), b"//x%2Fy/");
        assert_eq!(path.rest(4), b"/");
        assert_eq!((path.raw(1), path.canon(1)), (&b"%72erank"[..], &b"rerank"[..]));
    }

    #[test]
    fn raw_is_trimmed_by_canonical_lengths() {
        assert_eq!(trim_raw(b"%6dy-model:generate", 3, 9), b"model");
        assert_eq!(trim_raw(b"a%2Fb:x", 0, 2), b"a%2Fb");
        assert_eq!(trim_raw(b"abc", 0, 0), b"abc");
    }

    proptest! {
        /// The canon has no dot segment for any number of decoders that see it once, and it is its own canon.
        #[test]
        fn a_canonical_path_is_stable_and_clean(raw in "/[a-zA-Z0-9./%;\\\\:~_-]{0,40}") {
            if let Ok(path) = RequestPath::parse(raw.as_bytes()) {
                let canonical = path.canonical().into_owned();
                let again = RequestPath::parse(canonical.as_bytes()).expect("a canonical path parses");
                prop_assert_eq!(again.canonical(), canonical.as_str());
                prop_assert_eq!(again.len(), path.len());
                for index in 0..path.len() {
                    prop_assert!(!matches!(path.canon(index), b"." | b".."));
                    prop_assert_eq!(path.hash(index), again.hash(index));
                }
                let joined: usize = (0..path.len()).map(|index| path.raw(index).len() + 1).sum();
                prop_assert_eq!(joined + usize::from(path.has_trailing_slash()), raw.len());
            }
        }

        #[test]
        fn no_bytes_panic(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = RequestPath::parse(&raw);
        }
    }
}
