//! A stream of chunks becomes a stream of Messages events.
//!
//! `message_start`, a `ping`, blocks one after another, `message_delta` and `message_stop`; or, wherever it fails, one `error`
//! and nothing after it. The law: the end is said when the stream has ended, not when the model says why it stopped, for usage
//! and more may follow; a stream that was cut is never told as one that ended.
//!
//! Usage in `message_start` is an estimate of the request's, since the upstream tells its own with the last chunk.

use serde_json::Value;

use super::super::{Event, Problem, Refusal, Stream, choice, failure, sse};
use super::error::Error;
use super::pieces::{self, Piece};
use super::stop::Stop;
use super::turns::{Kind, Names, Turns};
use super::usage::Usage;
use super::{Notes, blocks, ids};

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has been said.
    Waiting,
    /// The message has begun.
    Begun,
    /// It cannot go on; what it failed of has not been told.
    Broken,
    /// All has been told.
    Over,
}

/// One streamed answer.
#[derive(Debug)]
pub(super) struct Messages {
    call: String,
    notes: Notes,
    /// The message's id, once it has begun.
    id: String,
    phase: Phase,
    turns: Turns,
    usage: Usage,
    stop: Stop,
    has_answer: bool,
    refuses: bool,
}

impl Messages {
    /// Of the call `call`.
    pub(super) fn new(call: &str, notes: Notes) -> Self {
        Self {
            call: call.to_owned(),
            notes,
            id: String::new(),
            phase: Phase::Waiting,
            turns: Turns::default(),
            usage: Usage::default(),
            stop: Stop::default(),
            has_answer: false,
            refuses: false,
        }
    }

    /// Begins the message, if it has not begun: with the id of `chunk`, or the call's.
    fn begin(&mut self, chunk: Option<&Value>, out: &mut Vec<u8>) -> bool {
        if self.phase != Phase::Waiting {
            return false;
        }
        self.phase = Phase::Begun;
        let field = |name| chunk.and_then(|chunk| chunk.get(name)).and_then(Value::as_str);
        self.id = ids::message(field("id"), &self.call);
        if self.notes.model.is_empty() {
            self.notes.model = field("model").unwrap_or_default().to_owned();
        }
        let usage = self.usage.told(self.notes.input_tokens, 0).at_first();
        blocks::begin(&self.id, &self.notes.model, usage, out);
        blocks::ping(out);
        true
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if !chunk.is_object() {
            return Err(Refusal::upstream("The upstream's stream holds an event that is no chunk of an answer."));
        }
        if let Some(refusal) = failure::within(chunk) {
            return Err(refusal);
        }
        if let Some(usage) = chunk.get("usage") {
            self.usage.take(usage);
        }
        if chunk.get("choices").is_some_and(|choices| !choices.is_array() && !choices.is_null()) {
            return Err(Refusal::upstream("The upstream's choices are not a list."));
        }
        // A chunk without one has usage, or nothing for us.
        let Some(choice) = choice::first(chunk) else { return Ok(()) };
        self.has_answer = true;
        self.begin(Some(chunk), out);
        // A server that knows no streams sends the whole; one that sends both has said the same in pieces.
        for (field, is_whole) in [("delta", false), ("message", true)] {
            if let Some(said) = choice.get(field).filter(|said| !said.is_null()) {
                self.said(said, is_whole, out)?;
                break;
            }
        }
        self.stop.take(choice, &self.notes.stop)
    }

    fn said(&mut self, said: &Value, is_whole: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let names = Names { message: &self.id, tools: &self.notes.names };
        let turns = &mut self.turns;
        let refuses = &mut self.refuses;
        pieces::read(said, &mut |piece| match piece {
            Piece::Thinking(text) => turns.say(Kind::Thinking, text, names, out),
            Piece::Text(text) => turns.say(Kind::Text, text, names, out),
            Piece::Refusal(text) => {
                *refuses = true;
                turns.say(Kind::Refusal, text, names, out)
            }
            Piece::Call(piece) => turns.call(&piece, is_whole, names, out),
        })
    }

    fn done(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if !self.has_answer {
            return Err(Refusal::upstream("The upstream's stream held no answer."));
        }
        if !self.stop.is_said() && self.turns.is_within_arguments() {
            return Err(Refusal::upstream("The upstream's stream ended within the arguments of a tool call."));
        }
        self.turns.end(Names { message: &self.id, tools: &self.notes.names }, out)?;
        let usage = self.usage.told(self.notes.input_tokens, self.turns.said());
        blocks::end(self.stop.told(self.turns.has_calls(), self.refuses), usage, out);
        Ok(())
    }

    fn fail(&self, problem: &Problem, out: &mut Vec<u8>) {
        sse::event(out, "error", &Error::new(problem, &self.call));
    }
}

impl Stream for Messages {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let (result, next) = match (self.phase, event) {
            (Phase::Over, _) => return Ok(()),
            (_, Event::Failed(problem)) => {
                self.fail(problem, out);
                (Ok(()), Phase::Over)
            }
            (Phase::Broken, _) => return Ok(()),
            (_, Event::Quiet) => {
                if !self.begin(None, out) {
                    blocks::ping(out);
                }
                return Ok(());
            }
            (_, Event::Chunk(chunk)) => match self.chunk(chunk, out) {
                Ok(()) => return Ok(()),
                refused => (refused, Phase::Broken),
            },
            (_, Event::Done) => match self.done(out) {
                Ok(()) => (Ok(()), Phase::Over),
                refused => (refused, Phase::Broken),
            },
        };
        self.phase = next;
        result
    }
}
