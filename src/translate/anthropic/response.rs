//! A whole `chat.completion` becomes a message.
//!
//! The law: arguments of a call that are an object of JSON stand in the message as they were written, numbers and all.
//! What is none is not lost: JSON of another kind stands under [`ARGUMENTS`], text that is not JSON under [`MALFORMED`], so that
//! the tool refuses it, and the model sees its own words when the message comes back.

use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::json::{self, Fault, Limits};
use super::super::{Refusal, choice, failure};
use super::blocks::{Block, Message};
use super::pieces::{self, Called, Piece};
use super::stop::Stop;
use super::usage::Usage;
use super::{Notes, ids};

/// Where arguments stand that are JSON, but no object.
pub const ARGUMENTS: &str = "_arguments";

/// Where arguments stand that are not JSON, as text.
pub const MALFORMED: &str = "_malformed_arguments";

/// The input of a tool that is given nothing.
pub(super) const NONE: &str = "{}";

/// The message that `answer` is, in the call `call`.
///
/// # Errors
/// An answer that is none, or an error under the status of a success.
pub(super) fn message(call: &str, notes: &Notes, answer: &Value) -> Result<Vec<u8>, Refusal> {
    if let Some(refusal) = failure::within(answer) {
        return Err(refusal);
    }
    let choices = answer.get("choices").and_then(Value::as_array);
    let choice = choice::first(answer).or_else(|| choices.and_then(|choices| choices.first()));
    let Some(choice) = choice else { return Err(Refusal::upstream("The upstream's answer has no choices.")) };
    let mut stop = Stop::default();
    stop.take(choice, &notes.stop)?;
    let field = |name| answer.get(name).and_then(Value::as_str);
    let id = ids::message(field("id"), call);
    let mut content =
        Content { id: &id, notes, blocks: Vec::new(), given: HashSet::new(), calls: 0, said: 0, refuses: false };
    match choice.get("message").filter(|said| !said.is_null()) {
        Some(said) => pieces::read(said, &mut |piece| content.take(piece))?,
        // A filter may leave nothing of it.
        None if stop.is_filtered() => {}
        None => return Err(Refusal::upstream("The upstream's answer has no message.")),
    }
    let mut usage = Usage::default();
    usage.take(answer.get("usage").unwrap_or(&Value::Null));
    let stop = stop.told(content.calls > 0, content.refuses);
    let message = Message {
        id: &id,
        kind: "message",
        role: "assistant",
        model: if notes.model.is_empty() { field("model").unwrap_or_default() } else { &notes.model },
        content: &content.blocks,
        stop_reason: Some(stop.reason),
        stop_sequence: stop.sequence,
        usage: usage.told(notes.input_tokens, content.said),
    };
    serde_json::to_vec(&message).map_err(|_| Refusal::upstream("The upstream's answer cannot be written."))
}

/// The blocks of a message, as they are gathered.
struct Content<'a> {
    id: &'a str,
    notes: &'a Notes,
    blocks: Vec<Block<'a>>,
    given: HashSet<&'a str>,
    calls: usize,
    said: u64,
    refuses: bool,
}

impl<'a> Content<'a> {
    fn take(&mut self, piece: Piece<'a>) -> Result<(), Refusal> {
        match (piece, self.blocks.last_mut()) {
            (Piece::Thinking(more), Some(Block::Thinking { thinking, .. })) => {
                self.said += more.len() as u64;
                thinking.push_str(more);
            }
            (Piece::Text(more), Some(Block::Text { text })) if !self.refuses => {
                self.said += more.len() as u64;
                text.push_str(more);
            }
            (Piece::Thinking(text), _) => {
                self.said += text.len() as u64;
                self.blocks.push(Block::Thinking { thinking: text.to_owned(), signature: "" });
            }
            (Piece::Text(text), _) => {
                self.said += text.len() as u64;
                self.blocks.push(Block::Text { text: text.to_owned() });
            }
            (Piece::Refusal(text), _) => {
                self.said += text.len() as u64;
                self.refuses = true;
                self.blocks.push(Block::Text { text: text.to_owned() });
            }
            (Piece::Call(call), _) => return self.call(&call),
        }
        Ok(())
    }

    fn call(&mut self, call: &Called<'a>) -> Result<(), Refusal> {
        self.said += call.arguments.len() as u64;
        let Some(name) = call.name else {
            // A place that was left empty is no call.
            return match call.id.is_none() && call.arguments.trim_ascii().is_empty() {
                true => Ok(()),
                false => Err(Refusal::upstream("The upstream's tool call has no name.")),
            };
        };
        let id = match call.id.filter(|id| self.given.insert(id)) {
            Some(id) => id.to_owned(),
            None => ids::tool(self.id, self.calls),
        };
        self.calls += 1;
        let name = self.notes.names.get(name).map_or(name, String::as_str);
        self.blocks.push(Block::ToolUse { id, name, input: input(&call.arguments)? });
        Ok(())
    }
}

/// The input that `arguments` are.
///
/// # Errors
/// More values than are taken.
pub(super) fn input(arguments: &str) -> Result<Box<RawValue>, Refusal> {
    let arguments = arguments.trim_ascii();
    let text = match json::read(arguments.as_bytes(), Limits::ANSWER) {
        _ if arguments.is_empty() => NONE.to_owned(),
        Ok(Value::Null) => NONE.to_owned(),
        Ok(Value::Object(_)) => arguments.to_owned(),
        Ok(value) => Value::Object(Map::from_iter([(ARGUMENTS.to_owned(), value)])).to_string(),
        Err(fault @ Fault::Nodes(_)) => {
            return Err(Refusal::upstream(format!("The upstream's tool arguments have {fault}.")));
        }
        Err(_) => json!({ MALFORMED: arguments }).to_string(),
    };
    RawValue::from_string(text).map_err(|_| Refusal::upstream("The upstream's tool arguments cannot be written."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_very_many_values_are_refused() {
        // The object, the name and the list are nodes themselves.
        let list = |nodes: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(nodes - 4));
        let fits = list(Limits::ANSWER.nodes);
        assert_eq!(input(&fits).expect("as many as are taken").get(), fits);
        let refusal = input(&list(Limits::ANSWER.nodes + 1)).expect_err("too many");
        let message = "The upstream's tool arguments have more than 524288 values and names of fields.";
        assert_eq!(refusal, Refusal::upstream(message));
    }
}
