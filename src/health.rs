//! What Tollgate answers when it is asked how it is: LiteLLM's paths and the two that Kubernetes is used to.
//!
//! The law: liveness and readiness need no key and say nothing that a stranger may not know; readiness is 503 from the
//! moment a stop is asked for; no model is ever called, so that asking costs nothing. `/health` asks for a key, as in LiteLLM.
//! It writes no answer: that is the shell's.

use std::borrow::Cow;

use crate::route::RequestPath;

/// A question after the proxy's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Does the process run?
    Alive,
    /// How are the models? None is served, and none is called.
    Models,
    /// May requests be sent here?
    Ready,
    /// What is left to do before the process can end?
    Left,
}

/// How the process stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Whether a stop has been asked for.
    pub draining: bool,
    /// Requests that are being served, this one among them.
    pub requests: usize,
    /// Of those, the streams of events.
    pub streams: usize,
    /// Connections that are held.
    pub connections: usize,
}

/// The methods that ask.
pub const METHODS: [&str; 2] = ["GET", "HEAD"];

impl Probe {
    /// What `path` asks, where it asks anything.
    pub fn asked_by(path: &RequestPath<'_>) -> Option<Self> {
        match (path.len(), path.canon(0), path.canon(1)) {
            (1, b"livez", _) | (2, b"health", b"liveliness" | b"liveness") => Some(Self::Alive),
            (1, b"readyz", _) | (2, b"health", b"readiness") => Some(Self::Ready),
            (2, b"health", b"drain") => Some(Self::Left),
            (1, b"health", _) => Some(Self::Models),
            _ => None,
        }
    }

    /// Whether only who has a key may ask.
    pub fn needs_key(self) -> bool {
        self == Self::Models
    }

    /// Status and body of the answer, in LiteLLM's shapes where it has one.
    pub fn answer(self, standing: Standing) -> (u16, Cow<'static, str>) {
        let Standing { draining, requests, streams, connections } = standing;
        match self {
            Self::Alive => (200, r#""I'm alive!""#.into()),
            Self::Models => {
                let none = r#"{"healthy_endpoints":[],"unhealthy_endpoints":[],"healthy_count":0,"unhealthy_count":0}"#;
                (200, none.into())
            }
            Self::Ready if draining => (503, r#"{"status":"draining","db":"Not connected"}"#.into()),
            Self::Ready => (200, r#"{"status":"healthy","db":"Not connected"}"#.into()),
            Self::Left => {
                let left = format!(
                    r#"{{"draining":{draining},"requests":{requests},"streams":{streams},"connections":{connections}}}"#
                );
                (200, left.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_ask() {
        for (raw, expected) in [
            ("/health/liveliness", Some(Probe::Alive)),
            ("/health/liveness/", Some(Probe::Alive)),
            ("/livez", Some(Probe::Alive)),
            ("/health/readiness", Some(Probe::Ready)),
            ("/readyz", Some(Probe::Ready)),
            ("/health", Some(Probe::Models)),
            ("/health/drain", Some(Probe::Left)),
            ("/health/other", None),
            ("/health/readiness/x", None),
            ("/livez/x", None),
            ("/", None),
        ] {
            assert_eq!(Probe::asked_by(&RequestPath::parse(raw.as_bytes()).expect(raw)), expected, "{raw}");
        }
    }
    #[test]
    fn readiness_ends_when_a_stop_is_asked_for() {
        let draining = Standing { draining: true, requests: 1, streams: 1, connections: 2 };
        assert_eq!(Probe::Ready.answer(Standing::default()).0, 200);
        assert_eq!(Probe::Ready.answer(draining), (503, r#"{"status":"draining","db":"Not connected"}"#.into()));
        assert_eq!(Probe::Alive.answer(draining).0, 200);
        assert_eq!(Probe::Left.answer(draining).1, r#"{"draining":true,"requests":1,"streams":1,"connections":2}"#);
    }
}
