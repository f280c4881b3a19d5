//! The query that an upstream sees.
//!
//! The law: the client's bytes stay in their order, doubles and empty parts included; a parameter of the file is added where
//! the client did not name it, the target's before the defaults; one whose value is a secret always wins and removes the
//! client's; a parameter whose value holds a known key is removed. Names are compared decoded, as an upstream reads them.

use std::fmt;

/// The parameters that the file adds.
#[derive(Debug, Default)]
pub struct QueryPlan {
    params: Vec<Param>,
    any_secret: bool,
}

#[derive(Debug)]
struct Param {
    /// The decoded name.
    name: Vec<u8>,
    wire: Vec<Piece>,
    secret: bool,
}

/// A part of a parameter as it goes over the wire.
enum Piece {
    Text(Vec<u8>),
    Capture(String),
}

/// Wire text may hold a secret.
impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::Capture(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// Why a parameter cannot be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// A character that no query holds as it is.
    Forbidden,
    /// `{name}` that the route's path does not have.
    UnknownName(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden => f.write_str("the query holds a space, a control character or other than ASCII"),
            Self::UnknownName(name) => write!(f, "the path has no `{{{name}}}`"),
        }
    }
}

impl QueryError {
    /// What to write instead.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Forbidden => "write the query as it is to be sent, escaped as %XX",
            Self::UnknownName(_) => "use a name that stands in the route's path",
        }
    }
}

impl QueryPlan {
    /// Adds a parameter, unless an earlier one has its name. `encoded`: it is in URL form and may hold `{name}`.
    pub fn add(
        &mut self,
        name: &str,
        value: Option<&str>,
        encoded: bool,
        secret: bool,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<(), QueryError> {
        let decoded = if encoded { decode(name.as_bytes()) } else { name.as_bytes().to_vec() };
        let text = |text: &str| if encoded { text.as_bytes().to_vec() } else { encode(text.as_bytes()) };
        let mut wire = vec![Piece::Text(text(name))];
        if let Some(value) = value {
            wire.push(Piece::Text(b"=".to_vec()));
            wire.extend(if encoded { pieces(value, known)? } else { vec![Piece::Text(text(value))] });
        }
        let fits = |piece: &Piece| match piece {
            Piece::Text(text) => text.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'#'),
            Piece::Capture(_) => true,
        };
        if !wire.iter().all(fits) {
            return Err(QueryError::Forbidden);
        }
        // The target is added first, and may name a parameter twice; a default never doubles it.
        if encoded || !self.params.iter().any(|param| param.name == decoded) {
            self.any_secret |= secret;
            self.params.push(Param { name: decoded, wire, secret });
        }
        Ok(())
    }

    /// Whether the value of the parameter `name`, decoded, is a secret of the file.
    pub fn hides(&self, name: &[u8]) -> bool {
        self.params.iter().any(|param| param.secret && param.name == name)
    }

    /// Whether the value of any parameter is a secret of the file.
    pub fn has_secret(&self) -> bool {
        self.any_secret
    }

    /// The decoded names of the parameters of the client's query that are sent on.
    pub fn sent_on(&self, client: &[u8], is_key: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = Vec<u8>> {
        client.split(|byte| *byte == b'&').filter_map(move |part| self.passing(part, &is_key))
    }

    /// The decoded name of a part of the client's query; none where it is not sent on.
    fn passing(&self, part: &[u8], is_key: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let (name, value) = split(part);
        let name = decode(name);
        let overridden = self.any_secret && self.hides(&name);
        (!overridden && !is_key(&decode(value)) && !is_key(&name)).then_some(name)
    }

    /// Whether the plan has a `{name}`.
    pub fn has_captures(&self) -> bool {
        self.params.iter().any(|param| param.wire.iter().any(|piece| matches!(piece, Piece::Capture(_))))
    }

    /// Appends `?…` to `out`: the client's query, merged with the plan.
    pub fn write<'a>(
        &self,
        client: Option<&[u8]>,
        capture: &dyn Fn(&str) -> Option<&'a [u8]>,
        is_key: &dyn Fn(&[u8]) -> bool,
        out: &mut Vec<u8>,
    ) {
        let mut separator = b'?';
        let mut named: Vec<Vec<u8>> = Vec::new();
        if let Some(client) = client {
            out.push(separator);
            let start = out.len();
            let mut first = true;
            for part in client.split(|byte| *byte == b'&') {
                let Some(name) = self.passing(part, is_key) else { continue };
                if !first {
                    out.push(b'&');
                }
                first = false;
                out.extend_from_slice(part);
                if !self.params.is_empty() {
                    named.push(name);
                }
            }
            separator = b'&';
            if out.len() == start {
                // Nothing of the client's query is left, or there was nothing after its `?`.
                if !client.is_empty() || !self.params.is_empty() {
                    out.pop();
                    separator = b'?';
                }
            }
        }
        for param in self.params.iter().filter(|param| !named.contains(&param.name)) {
            out.push(separator);
            separator = b'&';
            for piece in &param.wire {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text),
                    // In a path these octets are data; in a query they would begin another parameter.
                    Piece::Capture(name) => {
                        for byte in capture(name).unwrap_or_default() {
                            match byte {
                                b'&' | b'+' | b'=' | b';' => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
                                _ => out.push(*byte),
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn split(part: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', part) {
        Some(at) => (part.get(..at).unwrap_or_default(), part.get(at + 1..).unwrap_or_default()),
        None => (part, &[]),
    }
}

/// Splits `a{name}b` into its pieces.
fn pieces(text: &str, known: &dyn Fn(&str) -> bool) -> Result<Vec<Piece>, QueryError> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, name, after)) = super::target::next_capture(rest) {
        if !known(name) {
            return Err(QueryError::UnknownName(name.to_owned()));
        }
        out.push(Piece::Text(before.as_bytes().to_vec()));
        out.push(Piece::Capture(name.to_owned()));
        rest = after;
    }
    out.push(Piece::Text(rest.as_bytes().to_vec()));
    Ok(out)
}

/// Decodes a name or value as forms do (WHATWG URL section 5.1): `+` is a space, broken escapes stand for themselves.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return out,
            [b'%', high, low, tail @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = tail;
                }
                _ => {
                    out.push(b'%');
                    rest = rest.get(1..).unwrap_or_default();
                }
            },
            [byte, tail @ ..] => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                rest = tail;
            }
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes everything but unreserved octets (RFC 3986 section 2.1).
pub fn encode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// name, value, encoded, secret
    type Given<'a> = (&'a str, Option<&'a str>, bool, bool);

    fn merged(params: &[Given<'_>], client: Option<&str>) -> String {
        let mut plan = QueryPlan::default();
        for (name, value, encoded, secret) in params {
            plan.add(name, *value, *encoded, *secret, &|name| name == "id").expect(name);
        }
        let mut out = Vec::new();
        plan.write(client.map(str::as_bytes), &|_| Some(b"a&b=%2F+"), &|value| value == b"sk-known", &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn the_clients_bytes_stay() {
        for query in ["a=1&a=2&b=%20+&&c", "", "x", "next=http://evil/?y#z", "%00=%zz"] {
            assert_eq!(merged(&[], Some(query)), format!("?{query}"));
        }
        assert_eq!(merged(&[], None), "");
    }

    #[test]
    fn parameters_are_merged_by_rank() {
        let target = ("v", Some("t"), true, false);
        let default = ("v", Some("d e"), false, false);
        let other = ("n", Some("5"), false, false);
        let secret = ("key", Some("s&s"), false, true);
        for (params, client, expected) in [
            (&[target, default, other][..], None, "?v=t&n=5"),
            (&[target, other], Some("v=c&v=d"), "?v=c&v=d&n=5"),
            (&[default], Some(""), "?v=d%20e"),
            (&[default], Some("%76=c"), "?%76=c"),
            (&[secret], Some("a=1&key=mine&%6Bey=mine&b"), "?a=1&b&key=s%26s"),
            (&[secret], Some("key=mine"), "?key=s%26s"),
            (&[], Some("a=1&key=sk-known&b=sk%2Dknown"), "?a=1"),
            (&[], Some("key=sk-known"), ""),
            (&[("flag", None, true, false)], Some("a"), "?a&flag"),
            (&[("q", Some("x-{id}"), true, false)], None, "?q=x-a%26b%3D%2F%2B"),
        ] {
            assert_eq!(merged(params, client), expected, "{client:?}");
        }
    }

    #[test]
    fn what_cannot_be_added() {
        let mut plan = QueryPlan::default();
        assert_eq!(plan.add("a", Some("{no}"), true, false, &|_| false), Err(QueryError::UnknownName("no".into())));
        assert_eq!(plan.add("a b", None, true, false, &|_| false), Err(QueryError::Forbidden));
        assert_eq!(plan.add("a b", Some("c d"), false, false, &|_| false), Ok(()));
    }

    proptest! {
        /// Whatever the client writes, a secret parameter reaches the upstream once and as configured.
        #[test]
        fn a_secret_parameter_cannot_be_overridden(client in "[a-z=&%0-9+?]{0,40}") {
            let out = merged(&[("key", Some("real"), false, true)], Some(&client));
            let values: Vec<Vec<u8>> = out.trim_start_matches('?').split('&')
                .map(|part| split(part.as_bytes()))
                .filter(|(name, _)| decode(name) == b"key")
                .map(|(_, value)| decode(value))
                .collect();
            prop_assert_eq!(values, vec![b"real".to_vec()]);
        }

        #[test]
        fn a_query_without_plan_is_untouched(client in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            QueryPlan::default().write(Some(&client), &|_| None, &|_| false, &mut out);
            prop_assert_eq!(&out[1..], &client[..]);
        }
    }
}
