//! The grammar of a stream of Messages events, after Anthropic's reference ("Streaming Messages") and its SDKs' types.
//!
//! The law: it reads the bytes by itself, so that it can judge whoever wrote them; what it does not know, breaks a rule. It is
//! stricter than a client: an event is `event: NAME`, one `data: JSON` and a blank line, and fields of the cache are there.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

/// The rule that was broken, and by which event, counted from 0.
#[derive(Debug)]
pub struct Broken {
    pub event: usize,
    pub rule: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.event, self.rule)
    }
}

/// A block, put together again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// `text`, `thinking` or `tool_use`.
    pub kind: String,
    /// Of a tool call.
    pub id: String,
    /// Of the tool.
    pub name: String,
    /// The text, or the arguments as text.
    pub said: String,
}

/// What a stream in order has said.
#[derive(Debug, Default)]
pub struct Said {
    /// The data of all events.
    pub events: Vec<Value>,
    pub id: String,
    pub blocks: Vec<Block>,
    pub stop_reason: String,
    pub usage: Value,
    /// What it failed of, if it did.
    pub error: Option<Value>,
}

const REASONS: &[&str] = &["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"];
const ERRORS: &[&str] = &[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "conflict_error",
    "request_too_large",
    "rate_limit_error",
    "timeout_error",
    "overloaded_error",
    "api_error",
];

type Judged = Result<(), String>;

/// Judges a whole stream.
pub fn judge(stream: &[u8]) -> Result<Said, Broken> {
    let mut state = State::default();
    let mut count = 0;
    let fails = |event, rule: &str| Broken { event, rule: rule.to_owned() };
    let text = std::str::from_utf8(stream).map_err(|_| fails(0, "the stream is UTF-8"))?;
    if text.contains('\r') {
        return Err(fails(0, "lines end in LF"));
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (frame, after) = rest.split_once("\n\n").ok_or_else(|| fails(count, "an event ends in a blank line"))?;
        let event = read(frame).and_then(|event| state.take(&event).map(|()| event));
        state.said.events.push(event.map_err(|rule| Broken { event: count, rule })?);
        count += 1;
        rest = after;
    }
    match state.is_over {
        true => Ok(state.said),
        false => Err(fails(count, "a stream ends in message_stop or error")),
    }
}

/// The data of a frame, whose `type` is its name.
fn read(frame: &str) -> Result<Value, String> {
    let (name, data) = frame.split_once('\n').ok_or("an event has a name and data")?;
    let name = name.strip_prefix("event: ").ok_or("an event begins with its name")?;
    let data = data.strip_prefix("data: ").ok_or("data follow the name")?;
    if data.contains('\n') {
        return Err("data are one line".into());
    }
    let event: Value = serde_json::from_str(data).map_err(|error| format!("data are JSON: {error}"))?;
    match event["type"] == name && event.is_object() {
        true => Ok(event),
        false => Err(format!("the data of `{name}` name its type")),
    }
}

#[derive(Default)]
struct State {
    said: Said,
    has_begun: bool,
    open: bool,
    has_stopped: bool,
    is_over: bool,
    ids: BTreeSet<String>,
}

impl State {
    fn take(&mut self, event: &Value) -> Judged {
        holds(!self.is_over, "nothing follows message_stop or error")?;
        let kind = text(event, "type")?;
        if kind == "error" {
            return self.fail(event);
        }
        holds(self.has_begun != (kind == "message_start"), "message_start comes first, and once")?;
        match kind {
            "message_start" => self.begin(event),
            "ping" => only(event, &["type"]),
            "message_stop" => {
                only(event, &["type"])?;
                holds(self.has_stopped, "message_stop follows message_delta")?;
                self.is_over = true;
                Ok(())
            }
            _ => {
                holds(!self.has_stopped, "only message_stop follows message_delta")?;
                match kind {
                    "content_block_start" => self.open(event),
                    "content_block_delta" => self.delta(event),
                    "content_block_stop" => self.close(event),
                    "message_delta" => self.stop(event),
                    _ => Err(format!("`{kind}` is no event")),
                }
            }
        }
    }

    fn begin(&mut self, event: &Value) -> Judged {
        only(event, &["type", "message"])?;
        let message = &event["message"];
        only(message, &["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"])?;
        self.said.id = text(message, "id")?.to_owned();
        holds(self.said.id.starts_with("msg_") && self.said.id.len() > 4, "a message's id begins with msg_")?;
        holds(
            text(message, "type")? == "message" && text(message, "role")? == "assistant",
            "it is an assistant's message",
        )?;
        text(message, "model")?;
        holds(message["content"] == Value::Array(Vec::new()), "a message begins empty")?;
        holds(message["stop_reason"].is_null() && message["stop_sequence"].is_null(), "a message begins unstopped")?;
        usage(&message["usage"])?;
        self.said.usage = message["usage"].clone();
        self.has_begun = true;
        Ok(())
    }

    fn open(&mut self, event: &Value) -> Judged {
        only(event, &["type", "index", "content_block"])?;
        holds(!self.open, "one block is open at a time")?;
        holds(event["index"].as_u64() == Some(self.said.blocks.len() as u64), "blocks are numbered from 0")?;
        let block = &event["content_block"];
        let kind = text(block, "type")?;
        let mut new = Block { kind: kind.to_owned(), ..Block::default() };
        match kind {
            "text" => {
                only(block, &["type", "text"])?;
                holds(text(block, "text")?.is_empty(), "a text begins empty")?;
            }
            "thinking" => {
                only(block, &["type", "thinking", "signature"])?;
                let is_empty = text(block, "thinking")?.is_empty() && text(block, "signature")?.is_empty();
                holds(is_empty, "thinking begins empty")?;
            }
            "tool_use" => {
                only(block, &["type", "id", "name", "input"])?;
                holds(block["input"] == Value::Object(Map::new()), "an input begins empty")?;
                (new.id, new.name) = (text(block, "id")?.to_owned(), text(block, "name")?.to_owned());
                holds(!new.id.is_empty() && !new.name.is_empty(), "a call has an id and a name")?;
                holds(self.ids.insert(new.id.clone()), "an id is a call's own")?;
            }
            _ => return Err(format!("`{kind}` is no block")),
        }
        self.said.blocks.push(new);
        self.open = true;
        Ok(())
    }

    /// The block that `event` speaks of, which must be the open one.
    fn current(&mut self, event: &Value) -> Result<&mut Block, String> {
        let last = self.said.blocks.len().checked_sub(1);
        let is_last = event["index"].as_u64().is_some_and(|index| Some(index) == last.map(|last| last as u64));
        holds(self.open && is_last, "it speaks of the open block")?;
        self.said.blocks.last_mut().ok_or_else(|| "a block is open".to_owned())
    }

    fn delta(&mut self, event: &Value) -> Judged {
        only(event, &["type", "index", "delta"])?;
        let delta = &event["delta"];
        let kind = text(delta, "type")?.to_owned();
        let block = self.current(event)?;
        let field = match (kind.as_str(), block.kind.as_str()) {
            ("text_delta", "text") => "text",
            ("thinking_delta", "thinking") => "thinking",
            ("input_json_delta", "tool_use") => "partial_json",
            (delta, block) => return Err(format!("`{delta}` is no part of `{block}`")),
        };
        only(delta, &["type", field])?;
        let said = text(delta, field)?;
        holds(!said.is_empty(), "a delta says something")?;
        block.said.push_str(said);
        Ok(())
    }

    fn close(&mut self, event: &Value) -> Judged {
        only(event, &["type", "index"])?;
        let block = self.current(event)?;
        holds(block.kind == "tool_use" || !block.said.is_empty(), "a block of words says something")?;
        self.open = false;
        Ok(())
    }

    fn stop(&mut self, event: &Value) -> Judged {
        only(event, &["type", "delta", "usage"])?;
        holds(!self.open, "every block is closed by then")?;
        let delta = &event["delta"];
        only(delta, &["stop_reason", "stop_sequence"])?;
        let reason = text(delta, "stop_reason")?;
        holds(REASONS.contains(&reason), "the reason is one of the known")?;
        let calls = self.said.blocks.iter().any(|block| block.kind == "tool_use");
        holds(calls || reason != "tool_use", "who stops for a tool calls one")?;
        holds(!calls || !matches!(reason, "end_turn" | "stop_sequence"), "who calls a tool stops for it")?;
        let sequence = &delta["stop_sequence"];
        holds(sequence.is_string() == (reason == "stop_sequence"), "a stop sequence is named where one was met")?;
        holds(sequence.is_string() || sequence.is_null(), "a stop sequence is text")?;
        usage(&event["usage"])?;
        let (before, after) = (&self.said.usage["output_tokens"], &event["usage"]["output_tokens"]);
        holds(before.as_u64() <= after.as_u64(), "usage is a total that grows")?;
        (self.said.stop_reason, self.said.usage) = (reason.to_owned(), event["usage"].clone());
        self.has_stopped = true;
        Ok(())
    }

    fn fail(&mut self, event: &Value) -> Judged {
        only(event, &["type", "error", "request_id"])?;
        let error = &event["error"];
        only(error, &["type", "message"])?;
        holds(ERRORS.contains(&text(error, "type")?), "the error is one of the known")?;
        holds(!text(error, "message")?.is_empty(), "an error says why")?;
        text(event, "request_id")?;
        self.said.error = Some(error.clone());
        self.is_over = true;
        Ok(())
    }
}

fn holds(is_so: bool, rule: &str) -> Judged {
    if is_so { Ok(()) } else { Err(rule.to_owned()) }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value[field].as_str().ok_or_else(|| format!("`{field}` is text"))
}

/// `value` is an object with these fields and no others.
fn only(value: &Value, fields: &[&str]) -> Judged {
    let object = value.as_object().ok_or("what an event holds is an object")?;
    let known: BTreeSet<&str> = fields.iter().copied().collect();
    let there: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    holds(known == there, &format!("the fields are {known:?}, not {there:?}"))
}

fn usage(value: &Value) -> Judged {
    const TOTALS: [&str; 4] =
        ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"];
    const DETAILS: &str = "output_tokens_details";
    match value.get(DETAILS) {
        None => only(value, &TOTALS)?,
        Some(details) => {
            only(value, &[&TOTALS[..], &[DETAILS]].concat())?;
            only(details, &["thinking_tokens"])?;
            let (part, whole) = (details["thinking_tokens"].as_u64(), value["output_tokens"].as_u64());
            holds(part.is_some() && part <= whole, "thinking is a part of the output")?;
        }
    }
    holds(TOTALS.iter().all(|field| value[*field].as_u64().is_some()), "usage is in whole numbers")
}
