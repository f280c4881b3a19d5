//! The events of a Messages stream, as they are written.
//!
//! The law: blocks are numbered from 0, and one is open at a time; whoever calls opens and closes in turn. A delta is written
//! straight from the text, without a tree in between: there are thousands of them.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::sse;
use super::{stop, usage};

/// Where the blocks of a stream stand.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The block that is open, or the next.
    index: u64,
}

#[derive(Serialize)]
struct Begin<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u64,
    content_block: Empty<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Empty<'a> {
    Text { text: &'static str },
    Thinking { thinking: &'static str, signature: &'static str },
    ToolUse { id: &'a str, name: &'a str, input: Nothing },
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Delta<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: u64,
    delta: T,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Thinking<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    thinking: &'a str,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    partial_json: &'a str,
}

impl Blocks {
    /// Opens a block of text.
    pub(super) fn open_text(&self, out: &mut Vec<u8>) {
        self.open(Empty::Text { text: "" }, out);
    }

    /// Opens a block of thinking. No signature is known, and none will follow.
    pub(super) fn open_thinking(&self, out: &mut Vec<u8>) {
        self.open(Empty::Thinking { thinking: "", signature: "" }, out);
    }

    /// Opens a call of the tool `name`.
    pub(super) fn open_tool(&self, id: &str, name: &str, out: &mut Vec<u8>) {
        self.open(Empty::ToolUse { id, name, input: Nothing {} }, out);
    }

    fn open(&self, content_block: Empty<'_>, out: &mut Vec<u8>) {
        const NAME: &str = "content_block_start";
        sse::event(out, NAME, &Begin { kind: NAME, index: self.index, content_block });
    }

    /// Text of the open block.
    pub(super) fn text(&self, text: &str, out: &mut Vec<u8>) {
        self.delta(Text { kind: "text_delta", text }, out);
    }

    /// Thinking of the open block.
    pub(super) fn thinking(&self, thinking: &str, out: &mut Vec<u8>) {
        self.delta(Thinking { kind: "thinking_delta", thinking }, out);
    }

    /// Arguments of the open call.
    pub(super) fn json(&self, partial_json: &str, out: &mut Vec<u8>) {
        self.delta(Json { kind: "input_json_delta", partial_json }, out);
    }

    fn delta<T: Serialize>(&self, delta: T, out: &mut Vec<u8>) {
        const NAME: &str = "content_block_delta";
        sse::event(out, NAME, &Delta { kind: NAME, index: self.index, delta });
    }

    /// Closes the open block.
    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct End {
            #[serde(rename = "type")]
            kind: &'static str,
            index: u64,
        }
        const NAME: &str = "content_block_stop";
        sse::event(out, NAME, &End { kind: NAME, index: self.index });
        self.index += 1;
    }
}

/// A message: whole in an answer, and empty where a stream begins.
#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: &'a [Block<'a>],
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<&'a str>,
    pub(super) usage: usage::Told,
}

/// A block of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Thinking { thinking: String, signature: &'static str },
    Text { text: String },
    ToolUse { id: String, name: &'a str, input: Box<RawValue> },
}

/// Begins a message.
pub(super) fn begin(id: &str, model: &str, usage: usage::Told, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Start<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        message: Message<'a>,
    }
    const NAME: &str = "message_start";
    let (stop_reason, stop_sequence) = (None, None);
    let message =
        Message { id, kind: "message", role: "assistant", model, content: &[], stop_reason, stop_sequence, usage };
    sse::event(out, NAME, &Start { kind: NAME, message });
}

/// A sign of life.
pub(super) fn ping(out: &mut Vec<u8>) {
    alone("ping", out);
}

/// Ends a message.
pub(super) fn end(stop: stop::Told<'_>, usage: usage::Told, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Change<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        delta: Stopped<'a>,
        usage: usage::Told,
    }
    #[derive(Serialize)]
    struct Stopped<'a> {
        stop_reason: &'static str,
        stop_sequence: Option<&'a str>,
    }
    const NAME: &str = "message_delta";
    let delta = Stopped { stop_reason: stop.reason, stop_sequence: stop.sequence };
    sse::event(out, NAME, &Change { kind: NAME, delta, usage });
    alone("message_stop", out);
}

fn alone(name: &'static str, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Alone {
        #[serde(rename = "type")]
        kind: &'static str,
    }
    sse::event(out, name, &Alone { kind: name });
}
