//! What a model said, piece by piece: a `message` of an answer and a `delta` of a chunk have the same fields.
//!
//! The law: whatever a server may call them, reasoning, text, a refusal and calls of tools are found, in this order; a kind of
//! content that Messages cannot hold is refused, within the content or beside it. Annotations and what else stands there is not
//! looked at.

use std::borrow::Cow;

use serde_json::Value;

use super::super::Refusal;

/// A piece, never empty but for a call.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Thinking(&'a str),
    Text(&'a str),
    Refusal(&'a str),
    Call(Called<'a>),
}

/// A piece of a tool call.
#[derive(Debug)]
pub(super) struct Called<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) arguments: Cow<'a, str>,
    /// The piece before it in the same list has the same index, or there is none.
    pub(super) is_further: bool,
}

type Each<'e, 'a> = &'e mut dyn FnMut(Piece<'a>) -> Result<(), Refusal>;

/// Hands every piece of `said` to `each`.
///
/// # Errors
/// What is no message, and what `each` refuses.
pub(super) fn read<'a>(said: &'a Value, each: Each<'_, 'a>) -> Result<(), Refusal> {
    let Value::Object(said) = said else { return Err(Refusal::upstream("The upstream's message is not an object.")) };
    // OpenAI's field for what it speaks, and OpenRouter's for what it paints.
    for field in ["audio", "images"] {
        if said.get(field).is_some_and(says_something) {
            return Err(cannot_hold(field));
        }
    }
    // Servers that send both say the same in both.
    for field in ["reasoning_content", "reasoning"] {
        if let Some(text) = text(said.get(field)) {
            each(Piece::Thinking(text))?;
            break;
        }
    }
    match said.get("content") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.is_empty() => {}
        Some(Value::String(text)) => each(Piece::Text(text))?,
        Some(Value::Array(parts)) => parts.iter().try_for_each(|content| part(content, each))?,
        Some(_) => return Err(Refusal::upstream("The upstream's content is neither text nor a list of parts.")),
    }
    if let Some(text) = text(said.get("refusal")) {
        each(Piece::Refusal(text))?;
    }
    match said.get("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            let mut before = None;
            for call in calls {
                let index = call.get("index").and_then(Value::as_u64);
                each(Piece::Call(called(call, call.get("function"), index, before == Some(index))?))?;
                before = Some(index);
            }
        }
        Some(_) => return Err(Refusal::upstream("The upstream's tool calls are not a list.")),
    }
    // As functions were called before tools were.
    match said.get("function_call") {
        None | Some(Value::Null) => Ok(()),
        Some(call) => each(Piece::Call(called(call, Some(call), None, false)?)),
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether a field that many servers write empty has something in it.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn cannot_hold(kind: &str) -> Refusal {
    Refusal::upstream(format!("The upstream's answer has content that Messages cannot hold: {kind}."))
}

/// A part of content that is a list.
fn part<'a>(part: &'a Value, each: Each<'_, 'a>) -> Result<(), Refusal> {
    if let Value::String(text) = part {
        return if text.is_empty() { Ok(()) } else { each(Piece::Text(text)) };
    }
    let kind = part.get("type").and_then(Value::as_str);
    let piece = match kind {
        Some("text" | "output_text") | None if part.get("text").is_some() => text(part.get("text")).map(Piece::Text),
        Some("refusal") => text(part.get("refusal")).map(Piece::Refusal),
        Some("reasoning") => text(part.get("text")).map(Piece::Thinking),
        // Mistral's: text, or a list of texts.
        Some("thinking") => match part.get("thinking") {
            Some(Value::Array(texts)) => {
                let mut texts = texts.iter().filter_map(|piece| text(piece.get("text")));
                return texts.try_for_each(|text| each(Piece::Thinking(text)));
            }
            thinking => text(thinking).map(Piece::Thinking),
        },
        // Where what was said stands elsewhere: an annotation.
        Some("reference") => None,
        _ => {
            let kind: String = kind.unwrap_or("no type").chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(cannot_hold(&kind));
        }
    };
    piece.map_or(Ok(()), each)
}

fn called<'a>(
    call: &'a Value,
    function: Option<&'a Value>,
    index: Option<u64>,
    is_further: bool,
) -> Result<Called<'a>, Refusal> {
    if !call.is_object() {
        return Err(Refusal::upstream("The upstream's tool call is not an object."));
    }
    let field = |name| function.and_then(|function| function.get(name));
    let arguments = match field("arguments") {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text.as_str()),
        // Some servers leave out the quotes.
        Some(value) => Cow::Owned(value.to_string()),
    };
    Ok(Called { index, id: text(call.get("id")), name: text(field("name")), arguments, is_further })
}
