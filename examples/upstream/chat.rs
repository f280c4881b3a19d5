//! OpenAI chat, whole and streaming. A word counts as a token.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{api::next_id, request::Request, response::Response};

const ROLES: [&str; 6] = ["assistant", "developer", "function", "system", "tool", "user"];
/// So many words of a message are quoted back.
const QUOTED_WORDS: usize = 40;

/// An answer that quotes the last user message; 400 in OpenAI's error shape.
pub(crate) fn chat(request: &Request) -> Response {
    chat_completion(&request.body).unwrap_or_else(|Invalid { param, message }| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
        Response::json(400, json!({"error": error}))
    })
}

/// What is wrong with a chat request, and with which of its fields.
struct Invalid {
    param: Option<String>,
    message: &'static str,
}

fn invalid(param: &str, message: &'static str) -> Invalid {
    Invalid { param: Some(param.to_owned()), message }
}

fn chat_completion(body: &[u8]) -> Result<Response, Invalid> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Invalid { param: None, message: "the body is not JSON" })?;
    let model = body["model"].as_str().ok_or_else(|| invalid("model", "model must be a text"))?;
    let messages = body["messages"].as_array().filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| invalid("messages", "messages must be a list with at least one message"))?;
    for (number, message) in messages.iter().enumerate() {
        if !message["role"].as_str().is_some_and(|role| ROLES.contains(&role)) {
            return Err(invalid(&format!("messages[{number}].role"), "role must be one that OpenAI knows"));
        }
    }
    let streams = match &body["stream"] {
        Value::Null => false,
        value => value.as_bool().ok_or_else(|| invalid("stream", "stream must be true or false"))?,
    };
    let (mut words, limit) = (sentence(messages), word_limit(&body)?);
    let finish_reason = if words.len() > limit { "length" } else { "stop" };
    words.truncate(limit);

    let asked = messages.iter().map(|message| text_of(message).split_whitespace().count()).sum::<usize>();
    let usage = json!({"prompt_tokens": asked, "completion_tokens": words.len(), "total_tokens": asked + words.len()});
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let object = if streams { "chat.completion.chunk" } else { "chat.completion" };
    let frame = json!({"id": next_id("chatcmpl"), "object": object, "created": created, "model": model});
    if !streams {
        let message = json!({"role": "assistant", "content": words.join(" ")});
        let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason});
        return Ok(Response::json(200, with(&frame, &[("choices", json!([choice])), ("usage", usage)])));
    }
    let usage = body["stream_options"]["include_usage"].as_bool().unwrap_or_default().then_some(usage);
    Ok(Response::events(chunks(&frame, &words, finish_reason, usage)))
}

/// A role, each word, the reason of the end, the usage if it was asked for, and the end mark.
fn chunks(frame: &Value, words: &[String], finish_reason: &str, usage: Option<Value>) -> Vec<String> {
    let chunk = |choices: Value, usage_here: &Value| {
        let usage_field = usage.as_ref().map(|_| ("usage", usage_here.clone()));
        with(frame, &[&[("choices", choices)], usage_field.as_slice()].concat()).to_string()
    };
    let delta = |delta: Value, finish_reason: Option<&str>| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]), &Value::Null)
    };
    let mut texts = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    texts.extend(words.iter().enumerate().map(|(number, word)| {
        let space = if number == 0 { "" } else { " " };
        delta(json!({"content": format!("{space}{word}")}), None)
    }));
    texts.push(delta(json!({}), Some(finish_reason)));
    texts.extend(usage.as_ref().map(|usage| chunk(json!([]), usage)));
    texts.push("[DONE]".to_owned());
    texts
}

/// What the sample model says: how much it read in the last user message, and that message again.
fn sentence(messages: &[Value]) -> Vec<String> {
    let heard = messages.iter().rev().find(|message| message["role"] == "user").map(text_of).unwrap_or_default();
    let words = heard.split_whitespace();
    let opening = format!("I read {} words. You said:", words.clone().count());
    opening.split_whitespace().chain(words.take(QUOTED_WORDS)).map(str::to_owned).collect()
}

/// The text of a message, written as one string or in parts.
fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
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

/// The object with more fields.
fn with(object: &Value, fields: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (name, value) in fields {
        object[*name] = value.clone();
    }
    object
}
