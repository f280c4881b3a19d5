//! What a sample model says. The rule is in its name:
//!
//! | name begins with     | it                                                                                  |
//! |----------------------|-------------------------------------------------------------------------------------|
//! | `sample-tools`       | calls every tool it is offered; shown the results, it quotes them                    |
//! | `sample-interleaved` | does so with the pieces of all calls mixed                                           |
//! | `sample-reasoning`   | thinks before it speaks, in `reasoning_content`                                      |
//! | `sample-mirror`      | says the request as it arrived, as JSON                                              |
//! | `sample-filtered`    | quotes, and says that its maker filters what it says                                 |
//! | anything else        | quotes the last user message                                                         |
//!
//! Whichever it is: asked for JSON by a schema, it says JSON that fits.

use serde_json::{Map, Value, json};

use crate::api::next_id;

/// So many words of a message are quoted back.
const QUOTED_WORDS: usize = 40;

/// The model's turn.
pub(crate) struct Turn {
    pub(crate) reasoning: Vec<String>,
    pub(crate) words: Vec<String>,
    pub(crate) calls: Vec<Call>,
    /// The calls' pieces come mixed.
    pub(crate) interleaved: bool,
    pub(crate) finish_reason: &'static str,
    /// No limit holds: a mirrored request has the words where it is to stop.
    verbatim: bool,
}

/// A call of a tool.
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

impl Turn {
    /// The answer of that model.
    pub(crate) fn of(model: &str, body: &Value, messages: &[Value]) -> Self {
        let mut turn = Self {
            reasoning: Vec::new(),
            words: sentence(messages),
            calls: Vec::new(),
            interleaved: model.starts_with("sample-interleaved"),
            finish_reason: "stop",
            verbatim: model.starts_with("sample-mirror"),
        };
        if model.starts_with("sample-reasoning") {
            turn.reasoning = split("They wrote something, and I am to quote it.");
        }
        if model.starts_with("sample-filtered") {
            turn.finish_reason = "content_filter";
        }
        if turn.verbatim {
            // One word: nothing is lost of its spaces.
            turn.words = vec![body.to_string()];
        }
        if turn.interleaved || model.starts_with("sample-tools") {
            let results = messages.iter().rev().take_while(|message| message["role"] == "tool").map(text_of);
            let results: Vec<_> = results.collect();
            match results.is_empty() && body["tool_choice"] != "none" {
                true => turn.call(body, messages),
                false => turn.words = split(&format!("The tools said: {}", reversed(results).join("; "))),
            }
        }
        let schema = &body["response_format"]["json_schema"]["schema"];
        if schema.is_object() && turn.calls.is_empty() {
            turn.words = vec![fitting(schema, &last_text(messages)).to_string()];
        }
        turn
    }

    fn call(&mut self, body: &Value, messages: &[Value]) {
        let chosen = body["tool_choice"]["function"]["name"].as_str();
        let one = body["parallel_tool_calls"] == false;
        let tools = body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]);
        let tools = tools.filter(|tool| chosen.is_none_or(|name| tool["name"] == name));
        let text = last_text(messages);
        self.calls = tools
            .take(if one { 1 } else { usize::MAX })
            .map(|tool| Call {
                id: next_id("call"),
                name: tool["name"].as_str().unwrap_or_default().to_owned(),
                arguments: fitting(&tool["parameters"], &text).to_string(),
            })
            .collect();
        if !self.calls.is_empty() {
            (self.words, self.finish_reason) = (split("Let me look."), "tool_calls");
        }
    }

    /// Ends it before a text where it is to stop, and after so many words.
    pub(crate) fn limit(&mut self, words: usize, stops: &[&str]) {
        if self.verbatim {
            return;
        }
        let said = self.words.join(" ");
        if let Some(at) = stops.iter().filter_map(|stop| said.find(stop)).min() {
            self.words = split(&said[..at]);
        }
        if self.words.len() > words {
            self.words.truncate(words);
            self.finish_reason = "length";
        }
    }

    /// Words, of whatever kind.
    pub(crate) fn tokens(&self) -> usize {
        self.reasoning.len() + self.words.len() + self.calls.len()
    }

    /// As a message.
    pub(crate) fn message(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": self.words.join(" ")});
        if !self.reasoning.is_empty() {
            message["reasoning_content"] = self.reasoning.join(" ").into();
        }
        if !self.calls.is_empty() {
            let call = |call: &Call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": call.id, "type": "function", "function": function})
            };
            message["tool_calls"] = self.calls.iter().map(call).collect();
        }
        message
    }
}

/// Something that fits a schema: the text where it wants one, the first of several, 7.
fn fitting(schema: &Value, text: &str) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => text.into(),
        Some("integer" | "number") => 7.into(),
        Some("boolean") => true.into(),
        Some("array") => json!([fitting(&schema["items"], text)]),
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, inner)| (name.clone(), fitting(inner, text))).collect::<Map<_, _>>())
        }
    }
}

/// How much it read in the last user message, and that message again.
fn sentence(messages: &[Value]) -> Vec<String> {
    let heard = last_text(messages);
    let words = heard.split_whitespace();
    let opening = format!("I read {} words. You said:", words.clone().count());
    opening.split_whitespace().chain(words.take(QUOTED_WORDS)).map(str::to_owned).collect()
}

fn last_text(messages: &[Value]) -> String {
    messages.iter().rev().find(|message| message["role"] == "user").map(text_of).unwrap_or_default()
}

/// The text of a message, written as one string or in parts.
pub(crate) fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    }
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn reversed(mut texts: Vec<String>) -> Vec<String> {
    texts.reverse();
    texts
}
