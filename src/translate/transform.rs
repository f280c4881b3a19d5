//! A stream on its way back, as bytes: what comes of the upstream's for the client.
//!
//! The law: whatever was written stays valid where the stream is cut; of a failure there is one event, and nothing after it; a
//! sign of life stands only between events. What is passed through is not copied. An event that is translated keeps the
//! limits of [`json`]; half of a UTF-16 pair in it is not JSON there, and fails the stream.
//!
//! `identity` passes through.

use bytes::Bytes;
use serde_json::Value;

use super::json::{self, Fault, Limits};
use super::{Event, Problem, Refusal, Stream, choice, failure, sse};

mod identity;

pub use identity::Identity;

/// What becomes of a piece of the upstream's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// It goes on as it is.
    AsIs,
    /// What was appended to `out` goes on in its place; that may be nothing.
    Written,
}

/// What is done with the bytes of a stream.
pub trait Transform: Send {
    /// A piece has come.
    ///
    /// # Errors
    /// The stream is none. What stands in `out` by then is still sent; [`Transform::fail`] comes next, and nothing after it.
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<Passed, Refusal>;

    /// Nothing has come for a while.
    fn quiet(&mut self, out: &mut Vec<u8>);

    /// The upstream's body has ended as HTTP wants it.
    ///
    /// # Errors
    /// The stream had not, as with [`Transform::data`].
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal>;

    /// It has failed, here or on the way, and `problem` is what the client is told.
    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>);

    /// Whether the client has had its end, whatever else may come.
    fn is_over(&self) -> bool;

    /// Whether the model has said why it stopped. What comes after that comes at once, or never.
    fn has_finished(&self) -> bool;
}

/// An event stream of chunks through an adapter's [`Stream`].
pub struct Translating {
    decoder: sse::Decoder,
    stream: Box<dyn Stream>,
    /// The model has said why it stopped: an end without `[DONE]` is one in order.
    has_finished: bool,
    is_over: bool,
}

impl Translating {
    /// Through `stream`.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self { decoder: sse::Decoder::default(), stream, has_finished: false, is_over: false }
    }

    fn done(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.is_over = true;
        self.stream.event(Event::Done, out)
    }
}

impl Transform for Translating {
    fn data(&mut self, bytes: &Bytes, out: &mut Vec<u8>) -> Result<Passed, Refusal> {
        let mut rest = bytes.as_ref();
        while !self.is_over {
            let frame = match self.decoder.take(&mut rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(sse::TooLong) => {
                    self.is_over = true;
                    return Err(too_long());
                }
            };
            if frame.is_done() {
                self.done(out)?;
            } else if let Err(refusal) = pass(frame, self.stream.as_mut(), &mut self.has_finished, out) {
                self.is_over = true;
                return Err(refusal);
            }
        }
        Ok(Passed::Written)
    }

    fn quiet(&mut self, out: &mut Vec<u8>) {
        if !self.is_over {
            // A stream that cannot say that it lives says nothing.
            let _ = self.stream.event(Event::Quiet, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        match self.decoder.end().map_err(|sse::TooLong| too_long())? {
            Some(frame) if frame.is_done() => return self.done(out),
            Some(frame) => pass(frame, self.stream.as_mut(), &mut self.has_finished, out)?,
            None => {}
        }
        match self.has_finished {
            true => self.done(out),
            false => Err(cut_short()),
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<u8>) {
        self.is_over = true;
        // Once is enough: a stream that has ended or failed has nothing more to say.
        let _ = self.stream.event(Event::Failed(problem), out);
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn has_finished(&self) -> bool {
        self.has_finished
    }
}

/// A whole answer of a server that was asked for a stream and knows none, through an adapter's [`Stream`].
///
/// # Errors
/// It is none.
pub fn whole(mut stream: Box<dyn Stream>, answer: &Value) -> Result<Vec<u8>, Refusal> {
    if let Some(refusal) = failure::within(answer) {
        return Err(refusal);
    }
    let mut out = Vec::new();
    stream.event(Event::Chunk(answer), &mut out)?;
    stream.event(Event::Done, &mut out)?;
    Ok(out)
}

/// One event of an OpenAI-style stream.
fn pass(
    frame: sse::Frame<'_>,
    stream: &mut dyn Stream,
    has_finished: &mut bool,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let data = frame.data.trim_ascii();
    if data.is_empty() {
        return Ok(());
    }
    let chunk = json::read(data, Limits::EVENT).map_err(|fault| {
        Refusal::upstream(match fault {
            Fault::Nodes(_) => format!("The upstream's stream holds an event of {fault}."),
            Fault::Octet(_) | Fault::Syntax(_) => "The upstream's stream holds an event that is not JSON.".into(),
        })
    })?;
    if let Some(refusal) = failure::within(&chunk) {
        return Err(refusal);
    }
    if frame.name == b"error" {
        let Problem { status, message } = failure::upstream_problem(502, data);
        return Err(Refusal { status, place: String::new(), message });
    }
    *has_finished |= choice::first(&chunk).and_then(choice::finish).is_some();
    stream.event(Event::Chunk(&chunk), out)
}

fn cut_short() -> Refusal {
    Refusal::upstream("The upstream's stream ended before the answer did.")
}

fn too_long() -> Refusal {
    Refusal::upstream(format!("The upstream's stream holds an event of more than {} MiB.", sse::LONGEST >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what it is told, a line each.
    struct Said;

    impl Stream for Said {
        fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
            let line = match event {
                Event::Chunk(chunk) => chunk.to_string(),
                Event::Done => "done".into(),
                Event::Quiet => "quiet".into(),
                Event::Failed(problem) => format!("failed {} {}", problem.status, problem.message),
            };
            out.extend_from_slice(format!("{line}\n").as_bytes());
            Ok(())
        }
    }

    /// All of `pieces`, then an orderly end; a refusal fails.
    fn run(mut transform: impl Transform, pieces: &[&str]) -> String {
        let mut out = Vec::new();
        let mut all = || {
            for piece in pieces {
                let bytes = Bytes::copy_from_slice(piece.as_bytes());
                if transform.data(&bytes, &mut out)? == Passed::AsIs {
                    out.extend_from_slice(&bytes);
                }
            }
            transform.end(&mut out)
        };
        if let Err(refusal) = all() {
            transform.fail(&refusal.told(), &mut out);
        }
        String::from_utf8(out).expect("text")
    }

    const STOP: &str = r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#;
    const CUT: &str = "failed 502 The upstream's stream ended before the answer did.";

    #[test]
    fn a_stream_ends_in_order_or_fails() {
        let other = r#"{"choices":[{"index":1,"finish_reason":"stop"}]}"#;
        let empty = r#"{"choices":[{"index":0,"finish_reason":""}]}"#;
        for (stream, expected) in [
            ("data: {}\n\ndata: [DONE]\n\n".to_owned(), "{}\ndone\n".to_owned()),
            ("data: {}\n\ndata: [DONE]".into(), "{}\ndone\n".into()),
            ("data: [DONE]\n\ndata: {}\n\n".into(), "done\n".into()),
            (format!("data: {STOP}\n\n"), format!("{STOP}\ndone\n")),
            (format!("data: {STOP}"), format!("{STOP}\ndone\n")),
            (format!("data: {empty}\n\n"), format!("{empty}\n{CUT}\n")),
            (format!("data: {STOP}\n\ndata: {{}}\n\n"), format!("{STOP}\n{{}}\ndone\n")),
            (format!("data: {other}\n\n"), format!("{other}\n{CUT}\n")),
            ("data: {}\n\n".into(), format!("{{}}\n{CUT}\n")),
            (String::new(), format!("{CUT}\n")),
            (": nothing\n\n".into(), format!("{CUT}\n")),
            ("data: \n\ndata: [DONE]\n\n".into(), "done\n".into()),
            (
                format!("data: {STOP}\n\ndata: {{\"choi"),
                format!("{STOP}\nfailed 502 The upstream's stream holds an event that is not JSON.\n"),
            ),
            (
                "data: {\"error\":{\"message\":\"why\",\"code\":429}}\n\ndata: [DONE]\n\n".into(),
                "failed 429 why\n".into(),
            ),
            ("event: error\ndata: {\"message\":\"why\"}\n\ndata: [DONE]\n\n".into(), "failed 502 why\n".into()),
        ] {
            assert_eq!(run(Translating::new(Box::new(Said)), &[&stream]), expected, "{stream:?}");
            let bytes: Vec<String> = stream.chars().map(String::from).collect();
            let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
            assert_eq!(run(Translating::new(Box::new(Said)), &bytes), expected, "{stream:?} in pieces");
        }
    }

    #[test]
    fn an_event_of_very_many_values_is_not_built() {
        // The list is one itself.
        let list = |values: usize| format!("[{}0]", "0,".repeat(values - 2));
        let most = Limits::EVENT.nodes;
        let fits = list(most);
        let stream = format!("data: {fits}\n\ndata: [DONE]\n\n");
        assert_eq!(run(Translating::new(Box::new(Said)), &[&stream]), format!("{fits}\ndone\n"));
        let message =
            "failed 502 The upstream's stream holds an event of more than 65536 values and names of fields.\n";
        for more in [list(most + 1), format!("[{}", "{},".repeat(2 << 20)), list(sse::LONGEST / 2 - 8)] {
            for stream in [format!("data: {more}\n\ndata: [DONE]\n\n"), format!("event: error\ndata: {more}")] {
                assert_eq!(run(Translating::new(Box::new(Said)), &[&stream]), message);
            }
        }
    }

    #[test]
    fn half_of_a_pair_fails_a_stream() {
        let half = r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#;
        let message = "failed 502 The upstream's stream holds an event that is not JSON.\n";
        assert_eq!(run(Translating::new(Box::new(Said)), &[&format!("data: {half}\n\n")]), message);
    }

    #[test]
    fn an_event_without_end_is_not_held() {
        let long = "x".repeat(sse::LONGEST);
        let message = "failed 502 The upstream's stream holds an event of more than 8 MiB.\n";
        assert_eq!(
            run(Translating::new(Box::new(Said)), &["data: {}\n\n", "data: ", &long]),
            format!("{{}}\n{message}")
        );
    }
}
