//! The path of a route as the file writes it: literal segments, and segments with one `{name}` in them.
//!
//! The law: a pattern is canonical like the paths it is held against; a name stands once; `{name}` is one segment or the
//! part of one between a literal beginning and end, never empty.

use std::fmt;

use super::path::{PathError, RequestPath, canonicalize, hash_of, trim_raw};

/// A route's path.
#[derive(Clone, Debug)]
pub struct Pattern {
    segments: Vec<Part>,
    subpath: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Vec<u8>),
    Param { name: String, before: Vec<u8>, after: Vec<u8> },
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// Braces that do not pair, or two names in one segment.
    Braces(String),
    /// A name that stands twice.
    DuplicateName(String),
    /// A character that no path holds as it is.
    Forbidden(char),
    /// The name in braces is not letters, digits and underscores.
    Name(String),
    /// The path rule refuses it.
    Path(PathError),
    /// The path is one of Tollgate's own.
    Reserved,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Braces(segment) => write!(f, "the braces of `{segment}` are not one pair around one name"),
            Self::DuplicateName(name) => write!(f, "`{{{name}}}` stands twice"),
            Self::Forbidden(c) => write!(f, "`{}` cannot stand in a path", c.escape_default()),
            Self::Name(name) => write!(f, "`{{{name}}}` is not a name"),
            Self::Path(error) => error.fmt(f),
            Self::Reserved => f.write_str("the path belongs to Tollgate itself"),
        }
    }
}

impl PatternError {
    /// What to write instead.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Braces(_) => "write {name} for a segment, or text{name}text for a part of one",
            Self::DuplicateName(_) => "give each its own name",
            Self::Forbidden('*') => "write include_subpath: true for everything below a path",
            Self::Forbidden('?') => "parameters belong to the target or to default_query_params",
            Self::Forbidden(_) => "escape it as %XX",
            Self::Name(_) => "use letters, digits and underscores",
            Self::Path(_) => "write a path such as /v1/rerank",
            Self::Reserved => "choose another path",
        }
    }
}

impl Pattern {
    /// Reads `path`; with `subpath` everything below it matches too.
    pub fn parse(path: &str, subpath: bool) -> Result<Self, PatternError> {
        let Some(relative) = path.strip_prefix('/') else { return Err(PatternError::Path(PathError::NotAbsolute)) };
        if let Some(c) = path.chars().find(|c| matches!(c, '?' | '#' | '*' | ' ' | '"' | '<' | '>' | '^' | '`' | '|')) {
            return Err(PatternError::Forbidden(c));
        }
        let relative = relative.strip_suffix('/').unwrap_or(relative);
        let mut segments: Vec<Part> = Vec::new();
        if path != "/" {
            for text in relative.split('/') {
                let part = Part::parse(text)?;
                if let Some(name) = part.name().filter(|name| segments.iter().any(|part| part.name() == Some(*name))) {
                    return Err(PatternError::DuplicateName(name.to_owned()));
                }
                segments.push(part);
            }
        }
        let pattern = Self { segments, subpath };
        if pattern.is_reserved() { Err(PatternError::Reserved) } else { Ok(pattern) }
    }

    /// Only its literal beginning can be reserved: a request to a reserved path never reaches the table.
    fn is_reserved(&self) -> bool {
        let mut literal = String::new();
        for part in self.segments.iter().take(2) {
            let Part::Literal(text) = part else { break };
            literal.push('/');
            literal.push_str(&String::from_utf8_lossy(text));
        }
        RequestPath::parse(literal.as_bytes()).is_ok_and(|path| super::is_reserved(&path))
    }

    /// Whether everything below the path matches too.
    pub fn has_subpath(&self) -> bool {
        self.subpath
    }

    /// The number of segments.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// Whether it is `/`.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The names in braces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Part::name)
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.segments
    }

    /// What the client wrote where `name` stands.
    pub fn capture<'a>(&self, name: &str, path: &RequestPath<'a>) -> Option<&'a [u8]> {
        self.segments.iter().enumerate().find_map(|(index, part)| match part {
            Part::Param { name: known, before, after } if known == name => {
                Some(trim_raw(path.raw(index), before.len(), after.len()))
            }
            _ => None,
        })
    }

    /// Whether the first segments of `path` are this pattern's.
    pub(super) fn covers(&self, path: &RequestPath<'_>) -> bool {
        path.len() >= self.len() && self.segments.iter().enumerate().all(|(index, part)| part.covers(path.canon(index)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            f.write_str("/")?;
        }
        for part in &self.segments {
            match part {
                Part::Literal(text) => write!(f, "/{}", String::from_utf8_lossy(text))?,
                Part::Param { name, before, after } => {
                    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
                    write!(f, "/{before}{{{name}}}{after}")?;
                }
            }
        }
        // A last segment that is empty shows only by the slash after it.
        if self.segments.last() == Some(&Part::Literal(Vec::new())) {
            f.write_str("/")?;
        }
        Ok(())
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, PatternError> {
        let canonical = |text: &str| {
            let mut out = Vec::new();
            canonicalize(text.as_bytes(), &mut out).map_err(PatternError::Path).map(|()| out)
        };
        let braces = || PatternError::Braces(text.to_owned());
        let Some((before, tail)) = text.split_once('{') else {
            if text.contains('}') {
                return Err(braces());
            }
            return canonical(text).map(Self::Literal);
        };
        let (name, after) = tail.split_once('}').ok_or_else(braces)?;
        if before.contains('}') || after.contains(['{', '}']) || name.contains('{') {
            return Err(braces());
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(PatternError::Name(name.to_owned()));
        }
        Ok(Self::Param { name: name.to_owned(), before: fixed(before)?, after: fixed(after)? })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Param { name, .. } => Some(name),
        }
    }

    /// Whether the canonical segment `text` is this part.
    pub(super) fn covers(&self, text: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Param { before, after, .. } => {
                text.len() > before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
            }
        }
    }

    /// The same for parts that match the same segments, whatever their names.
    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Literal(text) => hash_of(text),
            Self::Param { before, after, .. } => ends_hash(before, after),
        }
    }
}

/// The hash of a segment that is known by its fixed beginning and end alone.
pub(super) fn ends_hash(before: &[u8], after: &[u8]) -> u64 {
    if before.is_empty() && after.is_empty() {
        return 0;
    }
    hash_of(before) ^ hash_of(after).rotate_left(17)
}

/// The literal beginning or end of a segment with a name in it; dots are fine beside a name.
fn fixed(text: &str) -> Result<Vec<u8>, PatternError> {
    let mut out = Vec::new();
    match canonicalize(text.as_bytes(), &mut out) {
        Ok(()) | Err(PathError::DotSegment) => Ok(out),
        Err(error) => Err(PatternError::Path(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_print_as_they_are_matched() {
        for (text, expected) in [
            ("/v1/rerank", "/v1/rerank"),
            ("/v1/rerank/", "/v1/rerank"),
            ("/", "/"),
            ("/%72erank", "/rerank"),
            ("/job/{id}/status", "/job/{id}/status"),
            ("/models/{model}:generateContent", "/models/{model}:generateContent"),
        ] {
            assert_eq!(Pattern::parse(text, false).map(|pattern| pattern.to_string()).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for text in [
            "",
            "v1",
            "/a/../b",
            "/a*",
            "/a?x=1",
            "/a#b",
            "/a b",
            "/{",
            "/}",
            "/{a",
            "/a}",
            "/{a}{b}",
            "/{a}/{a}",
            "/{}",
            "/{a-b}",
            "/{{a}}",
            "/a%zz",
            "/key",
            "/key/generate",
            "/health",
            "/ui/x",
            "/v2/key",
            "/%6bey/x",
            "/a\u{7}",
        ] {
            assert!(Pattern::parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn captures_are_what_the_client_wrote() {
        let pattern = Pattern::parse("/models/{model}:generateContent", false).expect("pattern");
        for (raw, expected) in [
            ("/models/gemini-pro:generateContent", Some("gemini-pro")),
            ("/models/a%2Fb%3Ac:generate%43ontent", Some("a%2Fb%3Ac")),
            ("/models/:generateContent", None),
            ("/models/x:other", None),
        ] {
            let path = RequestPath::parse(raw.as_bytes()).expect(raw);
            let captured = pattern.covers(&path).then(|| pattern.capture("model", &path)).flatten();
            assert_eq!(captured, expected.map(str::as_bytes), "{raw}");
        }
    }
}
