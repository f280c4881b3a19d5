//! What Tollgate answers when it is asked how it is: LiteLLM's paths and the two that Kubernetes is used to.
//!
//! The law: liveness and readiness need no key and say nothing that a stranger may not know; readiness is 503 from the
//! moment a stop is asked for; no model is ever called, so that asking costs nothing. `/health` asks for a key, as in LiteLLM.
//! It writes no answer: that is the shell's.

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
}

/// The methods that ask.
pub const METHODS: [&str; 2] = ["GET", "HEAD"];

impl Probe {
    /// What `path` asks, where it asks anything.
    pub fn asked_by(path: &RequestPath<'_>) -> Option<Self> {
        match (path.len(), path.canon(0), path.canon(1)) {
            (1, b"livez", _) | (2, b"health", b"liveliness" | b"liveness") => Some(Self::Alive),
            (1, b"readyz", _) | (2, b"health", b"readiness") => Some(Self::Ready),
            (1, b"health", _) => Some(Self::Models),
            _ => None,
        }
    }

    /// Whether only who has a key may ask.
    pub fn needs_key(self) -> bool {
        self == Self::Models
    }

    /// Status and body of the answer, in LiteLLM's shapes. `draining`: a stop has been asked for.
    pub fn answer(self, draining: bool) -> (u16, &'static str) {
        match self {
            Self::Alive => (200, r#""I'm alive!""#),
            Self::Models => {
                (200, r#"{"healthy_endpoints":[],"unhealthy_endpoints":[],"healthy_count":0,"unhealthy_count":0}"#)
            }
            Self::Ready if draining => (503, r#"{"status":"draining","db":"Not connected"}"#),
            Self::Ready => (200, r#"{"status":"healthy","db":"Not connected"}"#),
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
        assert_eq!(Probe::Ready.answer(false).0, 200);
        assert_eq!(Probe::Ready.answer(true), (503, r#"{"status":"draining","db":"Not connected"}"#));
        assert_eq!(Probe::Alive.answer(true).0, 200);
    }
}
