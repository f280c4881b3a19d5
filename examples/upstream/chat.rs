//! OpenAI chat, whole and streaming. A word counts as a token. `turn.rs` says what is answered, `mood.rs` what goes wrong.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{
    api::next_id,
    mood::Mood,
    request::Request,
    response::Response,
    turn::{Call, Turn, text_of},
};

const ROLES: [&str; 6] = ["assistant", "developer", "function", "system", "tool", "user"];
/// What other APIs call their parameters: whoever translates may not let them through.
const FOREIGN: [&str; 6] =
    ["anthropic_beta", "anthropic_version", "input_schema", "output_config", "stop_sequences", "system"];

/// An answer to the last message; 400 in OpenAI's error shape.
pub(crate) fn chat(request: &Request) -> Response {
    chat_completion(&request.body).unwrap_or_else(|Invalid { param, message }| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
        Response::json(400, json!({"error": error}))
    })
}

/// What is wrong with a request, and with which of its fields.
pub(crate) struct Invalid {
    pub(crate) param: Option<String>,
    pub(crate) message: &'static str,
}

pub(crate) fn invalid(param: &str, message: &'static str) -> Invalid {
    Invalid { param: Some(param.to_owned()), message }
}

fn chat_completion(body: &[u8]) -> Result<Response, Invalid> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Invalid { param: None, message: "the body is not JSON" })?;
    let model = body["model"].as_str().ok_or_else(|| invalid("model", "model must be a text"))?;
    let messages = body["messages"].as_array().filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", "messages must be a list with at least one message"))?;
    check_messages(messages)?;
    if let Some(name) = FOREIGN.iter().find(|name| body.get(**name).is_some()) {
        return Err(invalid(name, "this is no parameter of OpenAI's"));
    }
    let mood = Mood::of(model);
    if let Some(refusal) = mood.refusal() {
        return Ok(refusal);
    }
    let streams = flag(&body, "stream")? && !mood.is_whole();
    let mut turn = Turn::of(model, &body, messages);
    turn.limit(word_limit(&body)?, &stops(&body));

    let asked = messages.iter().map(|message| text_of(message).split_whitespace().count()).sum::<usize>();
    let said = turn.tokens();
    let usage = json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said});
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let object = if streams { "chat.completion.chunk" } else { "chat.completion" };
    let frame = json!({"id": next_id("chatcmpl"), "object": object, "created": created, "model": model});
    if !streams {
        let choice = json!({"index": 0, "message": turn.message(), "finish_reason": turn.finish_reason});
        return Ok(mood.whole(with(&frame, &[("choices", json!([choice])), ("usage", usage)])));
    }
    let usage = body["stream_options"]["include_usage"].as_bool().unwrap_or_default().then_some(usage);
    Ok(mood.events(chunks(&frame, &turn, usage)))
}

/// Every role is known, and every result belongs to a call.
fn check_messages(messages: &[Value]) -> Result<(), Invalid> {
    let mut calls: Vec<&str> = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let Some(role) = message["role"].as_str().filter(|role| ROLES.contains(role)) else {
            return Err(invalid(&format!("messages[{number}].role"), "role must be one that OpenAI knows"));
        };
        if role == "tool" && !message["tool_call_id"].as_str().is_some_and(|id| calls.contains(&id)) {
            return Err(invalid(&format!("messages[{number}].tool_call_id"), "no call before has this id"));
        }
        calls.extend(message["tool_calls"].as_array().into_iter().flatten().filter_map(|call| call["id"].as_str()));
    }
    Ok(())
}

/// A role, each piece, the reason of the end, the usage if it was asked for, and the end mark.
fn chunks(frame: &Value, turn: &Turn, usage: Option<Value>) -> Vec<String> {
    let chunk = |choices: Value, usage_here: &Value| {
        let usage_field = usage.as_ref().map(|_| ("usage", usage_here.clone()));
        with(frame, &[&[("choices", choices)], usage_field.as_slice()].concat()).to_string()
    };
    let delta = |delta: Value, finish_reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]), &Value::Null)
    };
    let mut texts = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    for (name, words) in [("reasoning_content", &turn.reasoning), ("content", &turn.words)] {
        texts.extend(words.iter().enumerate().map(|(number, word)| {
            let space = if number == 0 { "" } else { " " };
            delta(json!({name: format!("{space}{word}")}), None)
        }));
    }
    texts.extend(call_deltas(turn).into_iter().map(|call| delta(json!({"tool_calls": [call]}), None)));
    texts.push(delta(json!({}), Some(turn.finish_reason)));
    texts.extend(usage.as_ref().map(|usage| chunk(json!([]), usage)));
    texts.push("[DONE]".to_owned());
    texts
}

/// Each call opens, and its arguments come in pieces: one call after the other, or by turns.
fn call_deltas(turn: &Turn) -> Vec<Value> {
    let opening = |(index, call): (usize, &Call)| {
        let function = json!({"name": call.name, "arguments": ""});
        json!({"index": index, "id": call.id, "type": "function", "function": function})
    };
    let pieces = |(index, call): (usize, &Call)| {
        let letters: Vec<char> = call.arguments.chars().collect();
        let piece = move |part: &[char]| json!({"index": index, "function": {"arguments": String::from_iter(part)}});
        letters.chunks(7).map(piece).collect::<Vec<_>>()
    };
    let calls = turn.calls.iter().enumerate();
    if !turn.interleaved {
        return calls.flat_map(|call| [vec![opening(call)], pieces(call)].concat()).collect();
    }
    let mut deltas: Vec<Value> = calls.clone().map(opening).collect();
    let rows: Vec<Vec<Value>> = calls.map(pieces).collect();
    for number in 0..rows.iter().map(Vec::len).max().unwrap_or_default() {
        deltas.extend(rows.iter().filter_map(|row| row.get(number)).cloned());
    }
    deltas
}

/// A field that is true or false, or is not there.
pub(crate) fn flag(body: &Value, name: &str) -> Result<bool, Invalid> {
    match &body[name] {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or_else(|| invalid(name, "this must be true or false")),
    }
}

fn word_limit(body: &Value) -> Result<usize, Invalid> {
    for name in ["max_completion_tokens", "max_tokens"] {
        if !body[name].is_null() {
            let limit = body[name].as_u64().filter(|limit| *limit > 0);
            let limit = limit.ok_or_else(|| invalid(name, "the limit must be a whole number from 1"))?;
            return Ok(usize::try_from(limit).unwrap_or(usize::MAX));
        }
    }
    Ok(usize::MAX)
}

/// Where to stop: one text or several.
fn stops(body: &Value) -> Vec<&str> {
    match &body["stop"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The object with more fields.
fn with(object: &Value, fields: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (name, value) in fields {
        object[*name] = value.clone();
    }
    object
}
