//! How many tokens a request has, before any model has seen it.
//!
//! The law: what OpenAI's `tiktoken` and recipe count, within a twentieth (`tests/golden/tokens`); every word that the model
//! is shown counts, also of tools, of calls and of their results, and reasoning that is not sent again does not. It never
//! fails and has a bound: see `text`. It sees no network, so that an image or a document that is not in the request counts
//! as one of usual size.
//!
//! | what                          | counts                                                                  |
//! |-------------------------------|-------------------------------------------------------------------------|
//! | a message                     | 3, and its role, name (+ 1), texts, calls with their ids                |
//! | the reply's opening           | 3                                                                       |
//! | a tool, a schema of an answer | `tools`                                                                 |
//! | an image                      | `image`                                                                 |
//! | a file                        | [`PAGE_TOKENS`] for every [`PAGE_BYTES`] begun; one page if it is not here |
//! | sound                         | 10 a second, by its bytes: 48,000 a second of WAV, 16,000 of MP3        |

mod image;
mod size;
mod text;
mod tools;

use serde_json::Value;

use super::Chat;
use image::Rule;
use text::{Encoding, Meter};

const MESSAGE: i64 = 3;
const NAME: i64 = 1;
const REPLY: i64 = 3;
/// A page of a document is its text and its picture.
pub const PAGE_TOKENS: i64 = 1500;
/// Bytes of a document for each page of it.
pub const PAGE_BYTES: usize = 50_000;
/// Bytes of sound for each token.
const WAV_BYTES: usize = 4800;
const MP3_BYTES: usize = 1600;

/// The tokens of a request to `model`, by its provider's word for it; a prefix as in `openai/gpt-4o` may stand before it.
///
/// It takes about 30 ms for a megabyte of text, 130 where the text is made to be slow, and next to nothing for what comes
/// after the first four: a large request is better counted where nobody waits for the thread.
pub fn tokens(model: &str, chat: &Chat) -> u64 {
    let model = plain(model);
    let (mut meter, images) = (Meter::new(Encoding::of(model)), Rule::of(model));
    for message in list(chat, "messages") {
        count_message(&mut meter, images, message);
    }
    meter.fixed(REPLY);
    tools::tools(&mut meter, list(chat, "tools"));
    tools::tools(&mut meter, list(chat, "functions"));
    if let Some(schema) = chat.get("response_format").and_then(|format| format.get("json_schema")) {
        tools::function(&mut meter, schema, "schema");
    }
    meter.total()
}

/// Builds what counting for `model` needs, once for the process: 120 ms and 50 MB for current models, 40 ms and 25 MB for
/// GPT-4 and 3.5. Without it the first request does.
pub fn warm(model: &str) {
    Encoding::of(plain(model)).warm();
}

/// Without a provider's prefix, and of a model that was trained further the one that it was.
fn plain(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.strip_prefix("ft:").and_then(|rest| rest.split(':').next()).unwrap_or(name)
}

fn list<'a>(chat: &'a Chat, name: &str) -> &'a [Value] {
    chat.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn count_message(meter: &mut Meter, images: Rule, message: &Value) {
    meter.fixed(MESSAGE);
    for (name, value) in message.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("content", Value::Array(parts)) => parts.iter().for_each(|part| count_part(meter, images, part)),
            ("role" | "content" | "tool_call_id" | "refusal", Value::String(text)) => meter.text(text),
            ("name", Value::String(text)) => {
                meter.fixed(NAME);
                meter.text(text);
            }
            ("tool_calls" | "function_call", calls) => count_texts(meter, calls),
            // `reasoning_content`, and what no model is shown.
            _ => {}
        }
    }
}

fn count_part(meter: &mut Meter, images: Rule, part: &Value) {
    let word = |outer: &str, inner: &str| part.get(outer).and_then(|value| value.get(inner)).and_then(Value::as_str);
    match part.get("type").and_then(Value::as_str) {
        Some("image_url") => {
            let url = word("image_url", "url").or_else(|| part.get("image_url").and_then(Value::as_str));
            meter.fixed(images.tokens(url.unwrap_or_default(), word("image_url", "detail")));
        }
        Some("file") => {
            let bytes = word("file", "file_data").map_or(0, decoded);
            meter.fixed(PAGE_TOKENS.saturating_mul(begun(bytes, PAGE_BYTES).max(1)));
        }
        Some("input_audio") => {
            let a_token = if word("input_audio", "format") == Some("mp3") { MP3_BYTES } else { WAV_BYTES };
            meter.fixed(begun(word("input_audio", "data").map_or(0, decoded), a_token));
        }
        _ => ["text", "refusal"].iter().filter_map(|name| part.get(name)?.as_str()).for_each(|text| meter.text(text)),
    }
}

/// Every text of a value, wherever it stands.
fn count_texts(meter: &mut Meter, value: &Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => meter.text(text),
            Value::Array(values) => open.extend(values),
            Value::Object(fields) => open.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Bytes of base64, with or without a data URL's head.
fn decoded(base64: &str) -> usize {
    base64.len() / 4 * 3
}

fn begun(bytes: usize, each: usize) -> i64 {
    i64::try_from(bytes.div_ceil(each)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
