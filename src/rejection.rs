//! Every way in which Tollgate itself says no.
//!
//! The law: a rejection carries facts, never bytes; it names no upstream host, no file, no key and no digest. One renderer
//! turns it into an answer in the dialect of the route.

use std::time::Duration;

use serde::Serialize;

use crate::auth::AuthFault;
use crate::framing::Fault;
use crate::route::PathError;

/// The shape in which a route's clients expect errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `{"type":"error","error":{"type","message"}}` (Anthropic's API reference, "Errors").
    Anthropic,
    /// `{"error":{"message","type","param","code"}}` (OpenAI's API reference; `code` is the status as text, as in LiteLLM).
    #[default]
    OpenAi,
}

/// Whose fault it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client's.
    Caller,
    /// Tollgate's own.
    Gateway,
    /// A rule of the config.
    Policy,
    /// The upstream's.
    Upstream,
}

impl Blame {
    /// The word that logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Gateway => "gateway",
            Self::Policy => "policy",
            Self::Upstream => "upstream",
        }
    }
}

/// Why a request gets no answer from its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// No key, or not one that opens the route.
    Auth {
        /// Why.
        fault: AuthFault,
        /// Where the route looks for a key, in words.
        places: String,
    },
    /// The request's framing or body is broken.
    BadBody,
    /// Its head or its framing could be read in two ways, or in none.
    BadFrame(Fault),
    /// The path is refused.
    BadPath(PathError),
    /// The client stopped sending its body.
    BodyTimeout,
    /// The body is larger than the limit, in bytes.
    BodyTooLarge(u64),
    /// The client expects something else than `100-continue`.
    Expectation,
    /// An HTTP/2 client sent more control frames than it may.
    Flood,
    /// The head of a request did not become whole in time, or a handshake did not.
    HeadTimeout,
    /// Something of ours failed.
    Internal,
    /// The path holds a Tollgate key, which would leave with it.
    KeyInPath,
    /// The request has passed this proxy before.
    Loop,
    /// The route does not serve the method; these it serves.
    MethodNotAllowed(Vec<String>),
    /// No route serves the path.
    NoRoute {
        /// The method.
        method: String,
        /// The canonical path.
        path: String,
        /// The path of the file that is most like it.
        nearest: Option<String>,
    },
    /// The path belongs to Tollgate itself, and nothing answers there yet.
    Reserved {
        /// The method.
        method: String,
        /// The canonical path.
        path: String,
    },
    /// The PROXY protocol was expected, and was not spoken or not by who may.
    NotAnnounced,
    /// No TLS could be agreed on.
    NoTls,
    /// The process can carry no more.
    Overloaded,
    /// The route leads to something that is not served yet.
    NotServedYet(&'static str),
    /// Too many connections are held.
    TooManyConnections {
        /// In all, or from one address.
        all: bool,
    },
    /// Too many requests are in flight.
    TooManyInFlight,
    /// The upstream could not be reached, or broke the protocol.
    UpstreamFailed(UpstreamFault),
    /// The upstream did not connect or answer in time.
    UpstreamTimeout,
    /// The client asked for another protocol.
    Upgrade,
}

/// What was wrong with the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFault {
    /// No connection.
    Connect,
    /// Its name has no address, or one that may not be dialled.
    Resolve,
    /// Its answer is not HTTP, or ended early.
    Protocol,
    /// Its certificate or handshake.
    Tls,
}

impl Rejection {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadFrame(fault) => fault.status(),
            Self::BadBody | Self::BadPath(_) | Self::KeyInPath | Self::NotAnnounced | Self::NoTls | Self::Upgrade => {
                400
            }
            Self::Auth { .. } => 401,
            Self::NoRoute { .. } | Self::Reserved { .. } => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::BodyTimeout | Self::HeadTimeout => 408,
            Self::BodyTooLarge(_) => 413,
            Self::Expectation => 417,
            Self::Flood | Self::TooManyInFlight => 429,
            Self::Internal => 500,
            Self::NotServedYet(_) => 501,
            Self::UpstreamFailed(_) => 502,
            Self::Overloaded | Self::TooManyConnections { .. } => 503,
            Self::UpstreamTimeout => 504,
            Self::Loop => 508,
        }
    }

    /// A word for logs, from a closed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Auth { fault: AuthFault::Missing, .. } => "no_key",
            Self::Auth { fault: AuthFault::Repeated, .. } => "repeated_key",
            Self::Auth { fault: AuthFault::TwoKeys, .. } => "two_keys",
            Self::Auth { fault: AuthFault::Unknown, .. } => "unknown_key",
            Self::BadBody => "bad_body",
            Self::BadFrame(fault) => match fault.status() {
                414 => "target_too_long",
                431 => "head_too_large",
                501 => "coding_not_served",
                505 => "version_not_served",
                _ => "bad_frame",
            },
            Self::BadPath(_) => "bad_path",
            Self::BodyTimeout => "body_timeout",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::Expectation => "expectation",
            Self::Flood => "flood",
            Self::HeadTimeout => "head_timeout",
            Self::Internal => "internal",
            Self::KeyInPath => "key_in_path",
            Self::Loop => "loop",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NoRoute { .. } => "no_route",
            Self::NotAnnounced => "not_announced",
            Self::NoTls => "no_tls",
            Self::Reserved { .. } => "reserved",
            Self::NotServedYet(_) => "not_served_yet",
            Self::Overloaded => "overloaded",
            Self::TooManyConnections { all: true } => "too_many_connections",
            Self::TooManyConnections { all: false } => "too_many_from_address",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::UpstreamFailed(UpstreamFault::Connect) => "upstream_connect",
            Self::UpstreamFailed(UpstreamFault::Resolve) => "upstream_resolve",
            Self::UpstreamFailed(UpstreamFault::Protocol) => "upstream_protocol",
            Self::UpstreamFailed(UpstreamFault::Tls) => "upstream_tls",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Upgrade => "upgrade",
        }
    }

    /// Whose fault it was.
    pub fn blame(&self) -> Blame {
        match self {
            Self::TooManyConnections { .. } | Self::TooManyInFlight => Blame::Policy,
            Self::Internal | Self::NotServedYet(_) | Self::Overloaded => Blame::Gateway,
            Self::UpstreamFailed(_) | Self::UpstreamTimeout => Blame::Upstream,
            _ => Blame::Caller,
        }
    }

    /// The sentence that the client reads.
    pub fn message(&self) -> String {
        match self {
            Self::Auth { fault, places } => auth_message(*fault, places),
            Self::BadBody => "The request's fields or the framing of its body are not what HTTP asks for.".into(),
            Self::BadFrame(fault) => format!("The request was refused: {}.", fault.text()),
            Self::BadPath(error) => format!("The request was refused: {error}."),
            Self::BodyTimeout => "The request body did not arrive in time.".into(),
            Self::BodyTooLarge(most) => format!("The request body is larger than the {most} bytes that are allowed."),
            Self::Expectation => "No expectation but `100-continue` can be met.".into(),
            Self::Flood => "Too many control frames.".into(),
            Self::HeadTimeout => "The head of the request did not arrive in time.".into(),
            Self::NotAnnounced => "The PROXY protocol is expected here, from the proxies that are trusted.".into(),
            Self::NoTls => "No TLS could be agreed on.".into(),
            Self::Overloaded => "The gateway can carry no more requests; try again in a moment.".into(),
            Self::TooManyConnections { .. } => "The gateway holds too many connections.".into(),
            Self::KeyInPath => "The path holds a Tollgate key, which is never sent on. Send it in a header.".into(),
            Self::Internal => {
                "The gateway failed to serve the request; its log has the reason under this call id.".into()
            }
            Self::Loop => "The request came back to the gateway that sent it: its target leads to itself.".into(),
            Self::MethodNotAllowed(methods) => {
                format!("The route does not serve this method; it serves {}.", methods.join(", "))
            }
            Self::NoRoute { method, path, nearest: None } => format!("There is no route for {method} {path}."),
            Self::NoRoute { method, path, nearest: Some(nearest) } => {
                format!("There is no route for {method} {path}; the nearest configured path is {nearest}.")
            }
            Self::Reserved { method, path } => format!(
                "{method} {path} is not served yet: the path belongs to the gateway's own management, which no route of \
                 the config can take."
            ),
            Self::NotServedYet(what) => format!("{what} are not served yet."),
            Self::TooManyInFlight => "Too many requests are in flight; try again when some have ended.".into(),
            Self::UpstreamFailed(fault) => upstream_message(*fault).into(),
            Self::UpstreamTimeout => "The upstream did not answer in time.".into(),
            Self::Upgrade => "WebSocket is not enabled on this route; send a plain HTTP request.".into(),
        }
    }

    /// A header that the answer must have, besides those of every answer.
    pub fn header(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Auth { .. } => Some(("WWW-Authenticate", "Bearer realm=\"tollgate\"".into())),
            Self::MethodNotAllowed(methods) => Some(("Allow", methods.join(", "))),
            Self::Overloaded | Self::TooManyConnections { .. } | Self::TooManyInFlight => {
                Some(("Retry-After", Duration::from_secs(1).as_secs().to_string()))
            }
            _ => None,
        }
    }

    /// The body of the answer, as JSON.
    pub fn body(&self, dialect: Dialect, call_id: &str) -> String {
        let message = self.message();
        let written = match dialect {
            Dialect::OpenAi => serde_json::to_string(&OpenAiAnswer {
                error: OpenAiError {
                    message: &message,
                    kind: self.openai_type(),
                    param: None,
                    code: &self.status().to_string(),
                },
            }),
            Dialect::Anthropic => serde_json::to_string(&AnthropicAnswer {
                kind: "error",
                error: AnthropicError { kind: self.anthropic_type(), message: &message },
                request_id: call_id,
            }),
        };
        // Text alone cannot fail to be written.
        written.unwrap_or_default()
    }

    fn openai_type(&self) -> &'static str {
        match self.status() {
            401 => "auth_error",
            404 => "not_found_error",
            429 => "throttling_error",
            502 | 504 => "upstream_error",
            503 => "service_unavailable_error",
            500 | 501 => "internal_server_error",
            _ => "invalid_request_error",
        }
    }

    fn anthropic_type(&self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 => "overloaded_error",
            500..=599 => "api_error",
            _ => "invalid_request_error",
        }
    }
}

#[derive(Serialize)]
struct OpenAiAnswer<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

#[derive(Serialize)]
struct AnthropicAnswer<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    error: AnthropicError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct AnthropicError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
}

fn auth_message(fault: AuthFault, places: &str) -> String {
    let what = match fault {
        AuthFault::Missing => "No api key passed in",
        AuthFault::Repeated => return "Authentication Error, a header with a key stands twice. Send one.".into(),
        AuthFault::TwoKeys => return "Authentication Error, the request holds two different keys. Send one.".into(),
        AuthFault::Unknown => "Invalid api key",
    };
    format!("Authentication Error, {what}. Send a Tollgate key as {places}.")
}

fn upstream_message(fault: UpstreamFault) -> &'static str {
    match fault {
        UpstreamFault::Connect => "The upstream of this route could not be connected to.",
        UpstreamFault::Resolve => "The name of this route's upstream did not resolve to an address that may be used.",
        UpstreamFault::Protocol => "The upstream of this route broke off, or did not answer in HTTP.",
        UpstreamFault::Tls => "No trusted TLS connection to this route's upstream could be made.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects() {
        let rejection = Rejection::UpstreamTimeout;
        assert_eq!(
            rejection.body(Dialect::OpenAi, "id"),
            r#"{"error":{"message":"The upstream did not answer in time.","type":"upstream_error","param":null,"code":"504"}}"#
        );
        assert_eq!(
            rejection.body(Dialect::Anthropic, "id"),
            r#"{"type":"error","error":{"type":"api_error","message":"The upstream did not answer in time."},"request_id":"id"}"#
        );
    }
}
