//! A stream that is passed through: OpenAI's own schema on both sides, or Anthropic's.
//!
//! The law: the bytes are the upstream's, and not copied. What is added, a sign of life or an error, stands between events.

use bytes::Bytes;
use serde_json::json;

use super::super::anthropic::Error;
use super::super::{Problem, Refusal, sse};
use super::{Passed, Transform};

/// Passes an event stream through.
#[derive(Debug, Default)]
pub struct Identity {
    /// The last bytes, newest lowest: enough to see a blank line.
    last: u32,
    has_begun: bool,
    is_over: bool,
    /// The call's id, where the schema is Anthropic's.
    messages: Option<String>,
}

impl Identity {
    /// Passes Anthropic's events through, of the call of this id.
    pub fn of_messages(id: &str) -> Self {
        Self { messages: Some(id.to_owned()), ..Self::default() }
    }

    /// Whether the last event has ended, or none has begun.
    fn is_between(&self) -> bool {
        let [_, b, c, d] = self.last.to_be_bytes();
        // A line ends in LF, CR or both: two ends in a row are a blank line, but a LF after a CR is no end of its own.
        let is_blank = match (c, d) {
            (b'\r', b'\n') => matches!(b, b'\r' | b'\n'),
            _ => matches!(c, b'\r' | b'\n') && matches!(d, b'\r' | b'\n'),
        };
        !self.has_begun || is_blank
    }
}

impl Transform for Identity {
    fn data(&mut self, bytes: &Bytes, _: &mut Vec<u8>) -> Result<Passed, Refusal> {
        if self.is_over {
            return Ok(Passed::Written);
        }
        self.has_begun |= !bytes.is_empty();
        for byte in bytes.iter().skip(bytes.len().saturating_sub(4)) {
            self.last = self.last << 8 | u32::from(*byte);
        }
        Ok(Passed::AsIs)
    }

    fn quiet(&mut self, out: &mut Vec<u8>) {
        if !self.is_over && self.is_between() {
            match &self.messages {
                Some(_) => sse::event(out, "ping", &json!({"type": "ping"})),
                None => out.extend_from_slice(b": ping\n\n"),
            }
        }
    }

    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), Refusal> {
        self.is_over = true;
        Ok(())
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        // What was cut stays broken for its reader; the error must not become a part of it.
        if !self.is_between() {
            out.extend_from_slice(b"\n\n");
        }
        if let Some(id) = &self.messages {
            return sse::event(out, "error", &Error::new(problem, id));
        }
        let error = json!({
            "message": problem.message,
            "type": kind(problem.status),
            "param": null,
            "code": problem.status.to_string(),
        });
        sse::data(out, &json!({ "error": error }));
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

/// OpenAI's word for what went wrong.
fn kind(status: u16) -> &'static str {
    match status {
        401 | 403 => "auth_error",
        404 => "not_found_error",
        429 => "throttling_error",
        502 | 504 => "upstream_error",
        503 | 529 => "service_unavailable_error",
        500 | 501 => "internal_server_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_through_has_signs_of_life_between_events_only() {
        for (text, between) in [
            ("", true),
            ("data: a", false),
            ("data: a\n", false),
            ("data: a\r", false),
            ("data: a\r\n", false),
            ("\r\n", false),
            ("data: a\n\n", true),
            ("data: a\r\r", true),
            ("data: a\r\n\r\n", true),
            ("data: a\r\n\r", true),
            ("data: a\n\r\n", true),
            ("data: a\r\n\n", true),
            ("data: a\r\r\n", true),
            ("data: a\n\nd", false),
        ] {
            for size in 1..=text.len().max(1) {
                let mut identity = Identity::default();
                let mut out = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    assert_eq!(identity.data(&Bytes::copy_from_slice(piece), &mut out), Ok(Passed::AsIs));
                }
                identity.quiet(&mut out);
                assert_eq!(out, if between { b": ping\n\n".as_slice() } else { b"" }, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn a_failure_of_what_is_passed_through_is_one_event() {
        let problem = Problem { status: 504, message: "late\n\ndata: x".into() };
        let error =
            r#"data: {"error":{"message":"late\n\ndata: x","type":"upstream_error","param":null,"code":"504"}}"#;
        for (before, expected) in [("data: a\n\n", format!("{error}\n\n")), ("data: {", format!("\n\n{error}\n\n"))] {
            let mut identity = Identity::default();
            let mut out = Vec::new();
            assert_eq!(identity.data(&Bytes::copy_from_slice(before.as_bytes()), &mut out), Ok(Passed::AsIs));
            identity.fail(&problem, &mut out);
            assert_eq!(String::from_utf8(out.clone()).expect("text"), expected);
            identity.fail(&problem, &mut out);
            identity.quiet(&mut out);
            assert_eq!(identity.data(&Bytes::from_static(b"more"), &mut out), Ok(Passed::Written));
            assert_eq!(out.len(), expected.len());
        }
    }
}
