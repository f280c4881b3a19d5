//! `SERVER_ROOT_PATH`: the prefix below which the whole proxy stands.
//!
//! The law is LiteLLM's: a path below the prefix is matched without it; any other is matched as it is, since what stands
//! before the proxy may have taken the prefix off. Whole segments count, in their canonical form.

use super::path::RequestPath;
use super::pattern::{Pattern, PatternError};

/// A prefix.
#[derive(Clone, Debug)]
pub struct Root(Pattern);

impl Root {
    /// Reads `text`; none for `/` and for nothing at all, which are no prefix.
    pub fn parse(text: &str) -> Result<Option<Self>, PatternError> {
        let slash = if text.starts_with('/') || text.is_empty() { "" } else { "/" };
        if text.trim_matches('/').is_empty() {
            return Ok(None);
        }
        let pattern = Pattern::parse(&format!("{slash}{text}"), true)?;
        if let Some(name) = pattern.names().next() {
            return Err(PatternError::Name(name.to_owned()));
        }
        Ok(Some(Self(pattern)))
    }

    /// The path below the prefix; none for one that is not below it.
    pub fn strip<'a>(&self, path: &RequestPath<'a>) -> Option<RequestPath<'a>> {
        if !self.0.covers(path) {
            return None;
        }
        let rest = path.rest(self.0.len());
        // Every segment of it has been read once already.
        RequestPath::parse(if rest.is_empty() { b"/" } else { rest }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_comes_off() {
        for (root, raw, expected) in [
            ("/api", "/api/v1/x", Some("/v1/x")),
            ("api/", "/api/v1/x/", Some("/v1/x/")),
            ("/api", "/%61pi/v1", Some("/v1")),
            ("/api", "/api", Some("/")),
            ("/api/two", "/api/two/x", Some("/x")),
            ("/api", "/apis/v1", None),
            ("/api", "/v1/x", None),
            ("/api", "/", None),
        ] {
            let root = Root::parse(root).expect("root").expect("a prefix");
            let path = RequestPath::parse(raw.as_bytes()).expect(raw);
            let stripped = root.strip(&path).map(|path| path.canonical().into_owned());
            assert_eq!(stripped.as_deref(), expected, "{raw}");
        }
        assert!(Root::parse("/").expect("no prefix").is_none() && Root::parse("").expect("no prefix").is_none());
        for root in ["/{a}", "/a/../b", "/a?x", "/key"] {
            assert!(Root::parse(root).is_err(), "{root}");
        }
    }
}
