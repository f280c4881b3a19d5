//! The URL of an upstream's request as a person may see it.
//!
//! The law: a parameter that the file fills with a secret, or whose name is one that credentials have, shows no value, and
//! in a log none does, since only its client knows what it means; a path that came from a reference is not shown at all.
//! Control characters are escaped.

use super::query::{decode, split};
use super::target::Target;
use crate::config::is_credential_name;

/// What stands for a hidden text.
const STARS: &str = "***";

impl Target {
    /// The URL of a request for `path_and_query`, as [`Target::path_and_query`] has written it, for whoever asked for it.
    pub fn shown(&self, path_and_query: &[u8]) -> String {
        self.written(path_and_query, true)
    }

    /// The same for a log: no parameter has a value.
    pub fn logged(&self, path_and_query: &[u8]) -> String {
        self.written(path_and_query, false)
    }

    fn written(&self, path_and_query: &[u8], values: bool) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let mut halves = path_and_query.splitn(2, |byte| *byte == b'?');
        let path = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
        let mut out = format!("{scheme}://{}{}", self.authority, if self.secret { "/***" } else { &path });
        let mut separator = '?';
        for part in halves.next().into_iter().flat_map(|query| query.split(|byte| *byte == b'&')) {
            let (name, _) = split(part);
            let decoded = decode(name);
            let hidden =
                !values || self.query.hides(&decoded) || is_credential_name(&String::from_utf8_lossy(&decoded));
            out.push(separator);
            separator = '&';
            if hidden {
                out += &format!("{}={STARS}", String::from_utf8_lossy(name));
            } else {
                out += &String::from_utf8_lossy(part);
            }
        }
        out.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_stars() {
        let mut target = Target::parse("https://up.test/v1", &|_| false).expect("target");
        target.query.add("sig-of-us", Some("s3cret"), false, true, &|_| false).expect("query");
        for (path, expected) in [
            ("/v1", "https://up.test/v1"),
            ("/v1?a=1&b", "https://up.test/v1?a=1&b"),
            ("/v1?sig-of-us=s3cret&a=1", "https://up.test/v1?sig-of-us=***&a=1"),
            ("/v1?%6bey=s3cret", "https://up.test/v1?%6bey=***"),
            ("/v1?api_key=s3cret", "https://up.test/v1?api_key=***"),
        ] {
            assert_eq!(target.shown(path.as_bytes()), expected);
        }
        assert_eq!(target.logged(b"/v1?a=1&b"), "https://up.test/v1?a=***&b=***");
        target.secret = true;
        assert_eq!(target.shown(b"/services/s3cret"), "https://up.test/***");
    }
}
