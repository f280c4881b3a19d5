//! Every way in which Tollgate itself says no.
//!
//! The law: a rejection carries facts, never bytes; it names no upstream host, no file, no key and no digest. One renderer
//! turns it into an answer in the dialect of the route.
//!
//! `message` has the sentences, `dialect` the shapes, `limited` what a 429 says about when to come again.

mod dialect;
mod limited;
mod message;

pub use dialect::Dialect;
pub use limited::standing_headers;

use crate::auth::AuthFault;
use crate::framing::Fault;
use crate::limit::{Exceeded, Kind};
use crate::management;
use crate::route::PathError;
use crate::translate::Problem;

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
    /// The body of a request for a model has a coding.
    BodyCoded,
    /// Its head or its framing could be read in two ways, or in none.
    BadFrame(Fault),
    /// The path is refused.
    BadPath(PathError),
    /// The client stopped sending its body.
    BodyTimeout,
    /// The body is larger than the limit, in bytes.
    BodyTooLarge(u64),
    /// The key may not do this.
    Denied(Denied),
    /// The client expects something else than `100-continue`.
    Expectation,
    /// An HTTP/2 client sent more control frames than it may.
    Flood,
    /// The head of a request did not become whole in time, or a handshake did not.
    HeadTimeout,
    /// Too many credentials from this address have failed; the seconds until none of them counts.
    Guessing(u64),
    /// A web page's request, or one under a foreign name, for models that are open to this machine alone.
    ForeignOrigin,
    /// LiteLLM serves the path and Tollgate does not; what to use.
    Instead(&'static str),
    /// Something of ours failed.
    Internal,
    /// The path holds a Tollgate key, which would leave with it.
    KeyInPath,
    /// A limit is used up.
    Limited(Exceeded),
    /// The request has passed this proxy before.
    Loop,
    /// A call of the key API is not done.
    Management(management::Fault),
    /// The route does not serve the method; these it serves.
    MethodNotAllowed(Vec<String>),
    /// No model of the file has this name.
    NoModel(String),
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
    /// The model's provider is not served; why.
    ModelUnserved(String),
    /// The body cannot be translated.
    Untranslated(Problem),
    /// The upstream has said no, or what nobody can read.
    UpstreamSaid {
        /// What, and the status of our answer.
        problem: Problem,
        /// How long it wants to be left alone, in milliseconds, where it has said so.
        retry_after: Option<u64>,
    },
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

/// What a key may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Use routes: it is for the key API alone.
    KeyType,
    /// Use the model.
    Model,
    /// Use this route, whose model cannot be known before it is forwarded.
    ModelUnknown,
    /// Use the route.
    Route,
    /// Anything: its team is blocked.
    TeamBlocked,
    /// Anything: its team is gone.
    TeamGone,
}

impl Denied {
    fn reason(self) -> &'static str {
        match self {
            Self::KeyType => "denied_key_type",
            Self::Model => "denied_model",
            Self::ModelUnknown => "denied_model_unknown",
            Self::Route => "denied_route",
            Self::TeamBlocked | Self::TeamGone => "denied_team",
        }
    }
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
            Self::Denied(_) | Self::ForeignOrigin => 403,
            Self::NoModel(_) | Self::NoRoute { .. } | Self::Reserved { .. } => 404,
            Self::MethodNotAllowed(_) => 405,
            Self::BodyTimeout | Self::HeadTimeout => 408,
            Self::BodyTooLarge(_) => 413,
            Self::BodyCoded => 415,
            Self::Expectation => 417,
            Self::Flood | Self::Guessing(_) | Self::Limited(_) | Self::TooManyInFlight => 429,
            Self::Management(fault) => fault.status(),
            Self::Internal => 500,
            Self::Instead(_) | Self::ModelUnserved(_) => 501,
            Self::Untranslated(problem) | Self::UpstreamSaid { problem, .. } => problem.status,
            Self::UpstreamFailed(_) => 502,
            Self::Overloaded | Self::TooManyConnections { .. } => 503,
            Self::UpstreamTimeout => 504,
            Self::Loop => 508,
        }
    }

    /// The status of the answer in `dialect`: what Anthropic calls 529 has no name elsewhere.
    pub fn status_in(&self, dialect: Dialect) -> u16 {
        match (self.status(), dialect) {
            (529, Dialect::OpenAi) => 503,
            (status, _) => status,
        }
    }

    /// What an adapter is told of it.
    pub fn problem(&self) -> Problem {
        Problem { status: self.status(), message: self.message() }
    }

    /// A word for logs, from a closed list.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Auth { fault: AuthFault::Blocked, .. } => "blocked_key",
            Self::Auth { fault: AuthFault::Expired, .. } => "expired_key",
            Self::Auth { fault: AuthFault::Missing, .. } => "no_key",
            Self::Auth { fault: AuthFault::Repeated, .. } => "repeated_key",
            Self::Auth { fault: AuthFault::TwoKeys, .. } => "two_keys",
            Self::Auth { fault: AuthFault::Unknown, .. } => "unknown_key",
            Self::Denied(denied) => denied.reason(),
            Self::Limited(Exceeded { kind: Kind::Requests, .. }) => "limited_requests",
            Self::Limited(Exceeded { kind: Kind::Parallel, .. }) => "limited_parallel",
            Self::BadBody => "bad_body",
            Self::BodyCoded => "body_coded",
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
            Self::ForeignOrigin => "foreign_origin",
            Self::HeadTimeout => "head_timeout",
            Self::Guessing(_) => "guessing",
            Self::Instead(_) => "not_served",
            Self::Internal => "internal",
            Self::KeyInPath => "key_in_path",
            Self::Loop => "loop",
            Self::Management(fault) => fault.reason(),
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::NoRoute { .. } => "no_route",
            Self::NotAnnounced => "not_announced",
            Self::NoTls => "no_tls",
            Self::Reserved { .. } => "reserved",
            Self::NoModel(_) => "no_model",
            Self::ModelUnserved(_) => "model_not_served",
            Self::Untranslated(_) => "not_translated",
            Self::UpstreamSaid { problem, .. } if problem.status == 429 => "upstream_limited",
            Self::UpstreamSaid { problem, .. } if problem.status < 500 => "upstream_refused",
            Self::UpstreamSaid { .. } => "upstream_failed",
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
            Self::Management(fault) if fault.status() == 403 => Blame::Policy,
            Self::Management(fault) if fault.status() == 503 => Blame::Gateway,
            Self::Guessing(_)
            | Self::Denied(_)
            | Self::Limited(_)
            | Self::TooManyConnections { .. }
            | Self::TooManyInFlight => Blame::Policy,
            Self::Instead(_) | Self::Internal | Self::ModelUnserved(_) | Self::Overloaded => Blame::Gateway,
            // What it says of the request is the caller's to mend.
            Self::UpstreamSaid { problem, .. } if matches!(problem.status, 400..=428 | 430..=499) => Blame::Caller,
            Self::UpstreamFailed(_) | Self::UpstreamTimeout | Self::UpstreamSaid { .. } => Blame::Upstream,
            _ => Blame::Caller,
        }
    }

    /// Whether the connection ends with the answer.
    pub fn ends_connection(&self) -> bool {
        matches!(self, Self::Guessing(_))
    }

    /// The headers that the answer must have, besides those of every answer.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Auth { .. } => vec![("WWW-Authenticate", "Bearer realm=\"tollgate\"".into())],
            Self::Guessing(seconds) => vec![("Retry-After", seconds.to_string())],
            Self::Limited(exceeded) => limited::headers(exceeded),
            Self::UpstreamSaid { retry_after: Some(wait), .. } => limited::wait(*wait),
            Self::MethodNotAllowed(methods) => vec![("Allow", methods.join(", "))],
            Self::Overloaded
            | Self::TooManyConnections { .. }
            | Self::TooManyInFlight
            | Self::Management(management::Fault::Store(_)) => {
                vec![("Retry-After", "1".into())]
            }
            _ => Vec::new(),
        }
    }
}
