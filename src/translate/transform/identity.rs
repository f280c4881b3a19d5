//! A stream that is passed through: OpenAI's own schema on both sides, or Anthropic's.
//!
//! The law: the bytes are the upstream's, and not copied while events come whole; what has not come whole is held until it has, so
//! that an error is seen before any of it is sent. What is added, a sign of life or an error, stands between events. A stream
//! that ends before its answer did is a failure.

use bytes::Bytes;
use memchr::memmem;
use serde_json::json;

use super::super::anthropic::Error;
use super::super::json::{self, Limits};
use super::super::{Problem, Refusal, failure, sse};
use super::{Passed, Transform, cut_short, too_long};

/// Passes an event stream through.
#[derive(Debug, Default)]
pub struct Identity {
    decoder: sse::Decoder,
    /// What of an event has come.
    held: Vec<u8>,
    /// The last bytes, newest lowest: enough to see a blank line.
    last: u32,
    has_begun: bool,
    has_finished: bool,
    has_failed: bool,
    is_over: bool,
    /// The call's id, where the schema is Anthropic's.
    messages: Option<String>,
}

/// What an event says of the stream.
enum Word {
    /// It goes on.
    On,
    /// The model has said why it stops.
    Finished,
    /// Nothing comes after it.
    End,
    /// It has failed.
    Failed(Refusal),
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

    /// Sends on what is whole of `bytes`: so many of them.
    fn pass(&mut self, bytes: &Bytes, whole: usize, out: &mut Vec<u8>) -> Result<Passed, Refusal> {
        if self.held.is_empty() && whole == bytes.len() {
            return Ok(Passed::AsIs);
        }
        let (sent, kept) = bytes.split_at_checked(whole).unwrap_or((bytes, &[]));
        if whole > 0 {
            out.append(&mut self.held);
            out.extend_from_slice(sent);
        }
        // Comments are no events, and are held like the beginning of one.
        if self.held.len() + kept.len() > sse::LONGEST {
            self.is_over = true;
            return Err(too_long());
        }
        self.held.extend_from_slice(kept);
        Ok(Passed::Written)
    }
}

/// Reads as little of an event as can be.
fn word(frame: sse::Frame<'_>, is_messages: bool) -> Word {
    let holds = |needle: &[u8]| memmem::find(frame.data, needle);
    // Within a text the quotes would have backslashes.
    let is_json = || matches!(frame.data.trim_ascii().first(), Some(b'{' | b'['));
    if frame.name == b"error" || (holds(b"\"error\"").is_some() && is_json()) {
        let value = json::read(frame.data, Limits::EVENT).unwrap_or_default();
        if let Some(refusal) = failure::within(&value) {
            return Word::Failed(refusal);
        }
        if frame.name == b"error" {
            let Problem { status, message } = failure::upstream_problem(502, frame.data);
            return Word::Failed(Refusal { status, place: String::new(), message });
        }
    }
    if is_messages {
        return if frame.name == b"message_stop" { Word::End } else { Word::On };
    }
    if frame.is_done() {
        return Word::End;
    }
    const FINISH: &[u8] = b"\"finish_reason\"";
    let reason = holds(FINISH).and_then(|at| frame.data.get(at + FINISH.len()..));
    let value = reason.map(|rest| rest.trim_ascii_start()).and_then(|rest| rest.strip_prefix(b":"));
    match value.map(<[u8]>::trim_ascii_start) {
        // Some servers write an empty reason in every chunk until there is one.
        Some(value) if value.starts_with(b"\"") && !value.starts_with(b"\"\"") => Word::Finished,
        _ => Word::On,
    }
}

impl Transform for Identity {
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<Passed, Refusal> {
        if self.is_over {
            return Ok(Passed::Written);
        }
        self.has_begun |= !bytes.is_empty();
        for byte in bytes.iter().skip(bytes.len().saturating_sub(4)) {
            self.last = self.last << 8 | u32::from(*byte);
        }
        let mut rest = bytes.as_ref();
        let mut whole = 0;
        while !self.is_over {
            let word = match self.decoder.take(&mut rest) {
                Ok(Some(frame)) => word(frame, self.messages.is_some()),
                Ok(None) => break,
                Err(sse::TooLong) => Word::Failed(too_long()),
            };
            match word {
                Word::On => {}
                Word::Finished => self.has_finished = true,
                Word::End => self.is_over = true,
                Word::Failed(refusal) => {
                    self.pass(bytes, whole, out)?;
                    self.held.clear();
                    self.last = u32::from_be_bytes(*b"\n\n\n\n");
                    return Err(refusal);
                }
            }
            whole = bytes.len() - rest.len();
        }
        if !self.is_over && self.is_between() {
            whole = bytes.len();
        }
        self.pass(bytes, whole, out)
    }

    fn quiet(&mut self, out: &mut Vec<u8>) {
        if !self.is_over && self.held.is_empty() && self.is_between() {
            match &self.messages {
                Some(_) => sse::event(out, "ping", &json!({"type": "ping"})),
                None => out.extend_from_slice(b": ping\n\n"),
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        let word = match self.decoder.end() {
            Ok(Some(frame)) => word(frame, self.messages.is_some()),
            Ok(None) => Word::On,
            Err(sse::TooLong) => Word::Failed(too_long()),
        };
        match word {
            Word::Failed(refusal) => Err(refusal),
            Word::On if !self.has_finished => Err(cut_short()),
            Word::On | Word::Finished | Word::End => {
                out.append(&mut self.held);
                Ok(())
            }
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_failed, true) {
            return;
        }
        self.is_over = true;
        self.held.clear();
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

    fn has_finished(&self) -> bool {
        self.has_finished
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

    /// What the client gets of `text`, which comes in pieces of `size`, and whether it has failed by then.
    fn passed(identity: &mut Identity, text: &str, size: usize) -> (Vec<u8>, bool) {
        let mut sent = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            let bytes = Bytes::copy_from_slice(piece);
            let mut out = Vec::new();
            let passed = identity.data(&bytes, &mut out);
            sent.extend(out);
            match passed {
                Ok(Passed::AsIs) => sent.extend_from_slice(&bytes),
                Ok(Passed::Written) => {}
                Err(_) => return (sent, true),
            }
        }
        (sent, false)
    }

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
            (": comment\n\n", true),
            ("data: a\n\nd", false),
        ] {
            for size in 1..=text.len().max(1) {
                let mut identity = Identity::default();
                let (mut out, failed) = passed(&mut identity, text, size);
                assert!(!failed && text.as_bytes().starts_with(&out), "{text:?} by {size}");
                assert!(!between || out == text.as_bytes(), "{text:?} by {size}: all that is whole has been sent");
                let before = out.len();
                identity.quiet(&mut out);
                assert_eq!(&out[before..], if between { b": ping\n\n".as_slice() } else { b"" }, "{text:?} by {size}");
            }
        }
    }

    #[test]
    fn every_byte_of_a_stream_comes_through_and_its_end_is_seen() {
        let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"a \\\"error\\\" \"}}]}\n\n: hm\n\ndata: {\"choices\":[{\"finish_reason\" : \"stop\"}],\"error\":null}\r\n\r\n";
        let messages = "event: message_start\ndata: {}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        for (text, of_messages, over, ends_well) in [
            (chat.to_owned(), false, false, true),
            (format!("{chat}data: [DONE]\n\n"), false, true, true),
            (format!("{chat}data: [DONE]"), false, false, true),
            (chat.replace("\"stop\"", "null"), false, false, false),
            (chat.replace("\"stop\"", "\"\""), false, false, false),
            ("data: {}\n\n".into(), false, false, false),
            (String::new(), false, false, false),
            (messages.into(), true, true, true),
            ("event: message_start\ndata: {}\n\nevent: mess".into(), true, false, false),
        ] {
            for size in [1, 2, 7, text.len().max(1)] {
                let mut identity = if of_messages { Identity::of_messages("id") } else { Identity::default() };
                let (mut sent, failed) = passed(&mut identity, &text, size);
                assert_eq!((failed, identity.is_over()), (false, over), "{text:?} by {size}");
                assert_eq!(identity.end(&mut sent).is_ok(), ends_well, "{text:?} by {size}");
                assert!(!ends_well || sent == text.as_bytes(), "{text:?} by {size}: {sent:?}");
            }
        }
    }

    #[test]
    fn an_error_within_is_not_passed_on() {
        for (text, of_messages) in [
            ("data: {\"x\":1}\n\ndata: {\"error\":{\"message\":\"secret\"}}\n\ndata: {}\n\n", false),
            (
                "data: {\"x\":1}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"secret\"}}\n\n",
                true,
            ),
            ("data: {\"x\":1}\n\nevent: error\ndata: secret\n\n", false),
            ("data: {\"x\":1}\n\ndata: [{\"error\":{\"message\":\"secret\"}}]\n\ndata: {}\n\n", false),
            ("data: {\"x\":1}\n\ndata: {\"object\":\"error\",\"message\":\"secret\"}\n\ndata: [DONE]\n\n", false),
        ] {
            for size in 1..=text.len() {
                let mut identity = if of_messages { Identity::of_messages("id") } else { Identity::default() };
                let (mut sent, failed) = passed(&mut identity, text, size);
                assert!(failed, "{text:?} by {size}");
                assert_eq!(sent, b"data: {\"x\":1}\n\n", "{text:?} by {size}");
                identity.fail(&Problem { status: 502, message: "clean".into() }, &mut sent);
                let sent = String::from_utf8(sent).expect("text");
                assert!(sent.contains("clean") && !sent.contains("secret"), "{sent}");
            }
        }
    }

    #[test]
    fn comments_without_end_are_not_held() {
        let mut identity = Identity::default();
        let piece = Bytes::from(": x\n".repeat(1 << 18));
        let mut out = Vec::new();
        let failed = (0..20).any(|_| identity.data(&piece, &mut out).is_err());
        assert!(failed && out.is_empty());
    }

    #[test]
    fn a_failure_of_what_is_passed_through_is_one_event() {
        let problem = Problem { status: 504, message: "late\n\ndata: x".into() };
        let error =
            r#"data: {"error":{"message":"late\n\ndata: x","type":"upstream_error","param":null,"code":"504"}}"#;
        for (before, whole) in [("data: a\n\n", "data: a\n\n"), ("data: a\n\ndata: {", "data: a\n\n"), ("data: {", "")]
        {
            let mut identity = Identity::default();
            let (mut sent, _) = passed(&mut identity, before, 3);
            identity.fail(&problem, &mut sent);
            assert_eq!(String::from_utf8(sent.clone()).expect("text"), format!("{whole}{error}\n\n"));
            let mut more = Vec::new();
            identity.fail(&problem, &mut more);
            identity.quiet(&mut more);
            assert_eq!(identity.data(&Bytes::from_static(b"more"), &mut more), Ok(Passed::Written));
            assert!(more.is_empty());
        }
    }
}
