//! Which headers reach an upstream, and which come back.
//!
//! The law: by default only what describes the body and its negotiation is sent on; `forward_headers` sends the rest too;
//! neither sends hop-by-hop or framing fields or a known key. What the file configures replaces what the client sent under
//! that name and stands exactly once. It works on names and values: reading and writing messages is the shell's.
//!
//! `rewrite` applies a plan to a request, `shown` prints a field without its secret,
//! `overhead` is one that answers have.

use std::fmt;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};

use crate::secret::Secret;

mod overhead;
mod rewrite;
mod shown;

pub use overhead::{OVERHEAD, milliseconds};
pub use rewrite::{Changes, Fields, Hop};

/// What a route does to the headers of a request.
#[derive(Debug)]
pub struct HeaderPlan {
    set: Vec<SetHeader>,
    forward_all: bool,
}

/// A header of the file.
#[derive(Debug)]
pub struct SetHeader {
    /// Its name, for comparing.
    pub name: HeaderName,
    /// Its name, as it is sent over HTTP/1.
    pub written: Bytes,
    /// Its value; marked sensitive, so that no debug output shows it.
    pub value: HeaderValue,
    /// Whether a person may not see the value either.
    secret: bool,
}

/// Why a client's field is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// It speaks for the connection, not for the request.
    Connection,
    /// It holds a known key.
    Key,
    /// Only `forward_headers` would send it.
    NotForwarded,
    /// The file sets a field of this name.
    Replaced,
    /// It is meant for Tollgate and ends here.
    Tollgate,
}

/// Why a header cannot be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Stands twice, in whatever case.
    Duplicate,
    /// Belongs to the connection or to the framing of the body.
    Framing,
    /// Not a token.
    Name,
    /// Holds what no header value holds.
    Value,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "the header stands twice",
            Self::Framing => "the header belongs to the connection and cannot be configured",
            Self::Name => "this is not a header name",
            Self::Value => "the value holds a line end, a NUL or other than printable ASCII",
        })
    }
}

impl HeaderError {
    /// What to write instead.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Duplicate => "keep one; upper and lower case are the same name",
            Self::Framing => "remove it: it is written for each request",
            Self::Name => "use letters, digits and hyphens",
            Self::Value => "write one line of printable ASCII",
        }
    }
}

impl SetHeader {
    /// Whether nobody may see its value.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// A header of ours that holds no secret.
    pub fn plain(name: HeaderName, written: &'static str, value: HeaderValue) -> Self {
        Self { name, written: Bytes::from_static(written.as_bytes()), value, secret: false }
    }
}

impl HeaderPlan {
    /// A plan that sets nothing yet.
    pub fn new(forward_all: bool) -> Self {
        Self { set: Vec::new(), forward_all }
    }

    /// Adds a header of the file whose value nobody may see.
    pub fn set(&mut self, written: &str, value: &Secret) -> Result<(), HeaderError> {
        self.add(written, value, true)
    }

    /// Adds a header of the file whose value is no secret.
    pub fn set_shown(&mut self, written: &str, value: &Secret) -> Result<(), HeaderError> {
        self.add(written, value, false)
    }

    fn add(&mut self, written: &str, value: &Secret, secret: bool) -> Result<(), HeaderError> {
        let name = HeaderName::from_bytes(written.as_bytes()).map_err(|_| HeaderError::Name)?;
        if is_hop_by_hop(&name) || is_framing(&name) || name == header::EXPECT || name == header::VIA {
            return Err(HeaderError::Framing);
        }
        if self.set.iter().any(|known| known.name == name) {
            return Err(HeaderError::Duplicate);
        }
        let text = value.expose();
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(HeaderError::Value);
        }
        let mut value = HeaderValue::from_str(text).map_err(|_| HeaderError::Value)?;
        value.set_sensitive(true);
        self.set.push(SetHeader { name, written: Bytes::copy_from_slice(written.as_bytes()), value, secret });
        Ok(())
    }

    /// The headers of the file.
    pub fn configured(&self) -> &[SetHeader] {
        &self.set
    }

    /// Whether the file sets `name`.
    pub fn sets(&self, name: &HeaderName) -> bool {
        self.set.iter().any(|header| header.name == *name)
    }

    /// Why a client's field of this name is not sent on; none where it is. `holds_key`: its value holds a known key.
    pub fn withheld(&self, name: &HeaderName, holds_key: bool) -> Option<Withheld> {
        if holds_key {
            Some(Withheld::Key)
        } else if self.sets(name) {
            Some(Withheld::Replaced)
        } else if is_descriptive(name) {
            // What is descriptive belongs neither to the connection nor to this proxy.
            None
        } else if is_hop_by_hop(name) {
            Some(Withheld::Connection)
        } else if is_proxy_only(name) {
            Some(Withheld::Tollgate)
        } else {
            (!self.forward_all).then_some(Withheld::NotForwarded)
        }
    }
}

/// Fields of one connection (RFC 9110 section 7.6.1), and the ones that name the next hop's credentials.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "upgrade"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
    )
}

/// Fields that say how long the body is. They are the relay's.
pub fn is_framing(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH || *name == header::TRANSFER_ENCODING
}

/// Fields that are meant for Tollgate and end here.
fn is_proxy_only(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "expect" || name.starts_with(PASS) || name == "x-litellm-api-key" || tells_of_client(name)
}

/// Fields by which proxies say who is calling. What a stranger wrote there is worth nothing, and an upstream that believes
/// it would be deceived in our name; `tollgate.forwarded_headers` writes them anew.
fn tells_of_client(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

/// Fields that describe the body, its negotiation and the call, which an API needs to give the right answer.
fn is_descriptive(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["content-", "accept", "if-", "openai-"].iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "host"
                | "transfer-encoding"
                | "range"
                | "user-agent"
                | "idempotency-key"
                | "traceparent"
                | "tracestate"
                | "anthropic-version"
                | "anthropic-beta"
                | "via"
        )
}

/// The prefix by which a client asks for a header to be sent on.
const PASS: &str = "x-pass-";

/// The name that `x-pass-NAME` asks for; none where it asks for a credential, a framing or a hop-by-hop field.
pub fn passed_name(name: &HeaderName) -> Option<HeaderName> {
    let wanted = HeaderName::from_bytes(name.as_str().strip_prefix(PASS)?.as_bytes()).ok()?;
    let refused = matches!(
        wanted.as_str(),
        "authorization"
            | "api-key"
            | "x-api-key"
            | "x-goog-api-key"
            | "ocp-apim-subscription-key"
            | "host"
            | "accept-encoding"
            | "cookie"
            | "expect"
            | "via"
    ) || ["x-amz-", "x-pass-", "x-litellm-"].iter().any(|prefix| wanted.as_str().starts_with(prefix));
    if refused || is_framing(&wanted) || is_hop_by_hop(&wanted) { None } else { Some(wanted) }
}

/// Whether a field of an upstream's answer is kept from the client: it speaks for the connection, or for Tollgate.
pub fn is_withheld(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || name.as_str().starts_with("x-litellm-")
}

/// The names that a `Connection` field nominates.
pub fn nominated(connection: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    connection
        .as_bytes()
        .split(|byte| *byte == b',')
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !is_framing(name) && *name != header::DATE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> HeaderName {
        HeaderName::from_bytes(text.as_bytes()).expect("name")
    }

    #[test]
    fn what_is_sent_on() {
        let (closed, open) = (HeaderPlan::new(false), HeaderPlan::new(true));
        for (header, by_default, forwarded) in [
            ("content-type", true, true),
            ("content-length", true, true),
            ("accept-encoding", true, true),
            ("if-none-match", true, true),
            ("range", true, true),
            ("user-agent", true, true),
            ("idempotency-key", true, true),
            ("traceparent", true, true),
            ("anthropic-beta", true, true),
            ("openai-organization", true, true),
            ("authorization", false, true),
            ("cookie", false, true),
            ("x-anything", false, true),
            ("connection", false, false),
            ("te", false, false),
            ("proxy-authorization", false, false),
            ("upgrade", false, false),
            ("expect", false, false),
            ("x-pass-foo", false, false),
            ("x-litellm-api-key", false, false),
        ] {
            assert_eq!(
                (closed.withheld(&name(header), false).is_none(), open.withheld(&name(header), false).is_none()),
                (by_default, forwarded),
                "{header}"
            );
        }
    }

    #[test]
    fn what_x_pass_may_ask_for() {
        for (header, wanted) in [
            ("x-pass-anthropic-beta", Some("anthropic-beta")),
            ("X-Pass-Foo", Some("foo")),
            ("x-pass-authorization", None),
            ("x-pass-x-api-key", None),
            ("x-pass-host", None),
            ("x-pass-content-length", None),
            ("x-pass-transfer-encoding", None),
            ("x-pass-connection", None),
            ("x-pass-accept-encoding", None),
            ("x-pass-x-amz-date", None),
            ("x-pass-", None),
            ("x-other", None),
        ] {
            assert_eq!(passed_name(&name(header)), wanted.map(name), "{header}");
        }
    }

    #[test]
    fn what_can_be_configured() {
        let mut plan = HeaderPlan::new(false);
        assert_eq!(plan.set("Authorization", &Secret::new("bearer x")), Ok(()));
        assert_eq!(plan.set("authorization", &Secret::new("bearer y")), Err(HeaderError::Duplicate));
        assert_eq!(plan.set("Host", &Secret::new("h")), Ok(()));
        for header in ["Content-Length", "transfer-encoding", "Connection", "TE", "Upgrade", "Keep-Alive"] {
            assert_eq!(plan.set(header, &Secret::new("1")), Err(HeaderError::Framing), "{header}");
        }
        for header in ["", "a b", "a:b", "gr\u{fc}n"] {
            assert_eq!(plan.set(header, &Secret::new("1")), Err(HeaderError::Name), "{header}");
        }
        assert_eq!(plan.set("X-A", &Secret::new("a\nb")), Err(HeaderError::Value));
    }

    proptest! {
        #[test]
        fn no_plan_sends_hop_by_hop_fields_on(header in "[a-z-]{1,20}", all in any::<bool>()) {
            let header = name(&header);
            let plan = HeaderPlan::new(all);
            prop_assert!(plan.withheld(&header, false).is_some() || !is_hop_by_hop(&header));
            if let Some(passed) = passed_name(&header) {
                prop_assert!(!is_hop_by_hop(&passed) && !is_framing(&passed));
            }
        }
    }
}
