//! A Messages request becomes a Chat Completions request.
//!
//! The law: what the model would see or be bound by is carried or refused by its place; a field that makes no difference to
//! an OpenAI model is left out, and told where that could surprise. Numbers, texts and their order stay as they are; `json`
//! has it exactly.
//! It knows no models: what one of them does not take (`top_k`, `reasoning_content`) the provider's step removes.
//!
//! This file has the fields of the body; `messages`, `content`, `tools`, `thinking` and `format` have what is in them.

mod builtin;
mod content;
mod fields;
mod format;
mod json;
mod messages;
mod names;
mod object;
mod place;
mod strict;
mod thinking;
mod tools;

use serde_json::{Value, json};

use super::super::{Chat, Refusal, Translated};
use super::estimate::estimate;
use super::notes::Notes;
use fields::Fields;
use names::Names;
use place::Dropped;

/// The most stop sequences that OpenAI takes.
const MOST_STOPS: usize = 4;
/// The longest `user` that OpenAI takes, in characters.
const LONGEST_USER: usize = 64;

/// Every field that is read here, or makes no difference. `cache_control` is OpenAI's own business: it caches by itself.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "container",
    "mcp_servers",
    "inference_geo",
    "cache_control",
    "thread",
    "compaction",
];

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Answer,
    Count,
}

/// Translates the body of `POST /v1/messages`.
///
/// # Errors
/// What is no such request, or cannot be carried.
pub fn request(body: &[u8]) -> Result<Translated, Refusal> {
    translated(body, Purpose::Answer)
}

/// Translates the body of `POST /v1/messages/count_tokens`: the same, but for `max_tokens`, which it need not have, and
/// `stream`, which says nothing there.
///
/// # Errors
/// As with [`request`].
pub fn request_to_count(body: &[u8]) -> Result<Translated, Refusal> {
    translated(body, Purpose::Count)
}

fn translated(body: &[u8], purpose: Purpose) -> Result<Translated, Refusal> {
    let mut body = json::read(body)?;
    let schemas = tools::schemas(&mut body);
    let body = Fields::top(&body);
    let mut dropped = Dropped::default();
    let mut chat = Chat::new();

    let model = body.word("model")?;
    let most = body.whole("max_tokens", 1)?;
    if most.is_none() && purpose == Purpose::Answer {
        return Err(body.refuse("max_tokens", "Field required"));
    }
    let names = Names::of(&body);
    chat.insert("model".into(), model.into());
    chat.insert("messages".into(), messages::read(&body, &names, &mut dropped)?.into());
    if let Some(most) = most {
        chat.insert("max_tokens".into(), most.into());
    }
    let stop = sampling(&body, &mut chat)?;
    tools::read(&body, schemas, &names, &mut chat, &mut dropped)?;
    thinking::read(&body, &mut chat, &mut dropped)?;
    format::read(&body, &mut chat, &mut dropped)?;
    refuse_elsewhere(&body, purpose)?;
    service(&body, &mut chat, &mut dropped)?;
    body.tell_rest(KNOWN, &mut dropped);

    let streamed = purpose == Purpose::Answer && body.flag("stream")?;
    if streamed {
        chat.insert("stream".into(), true.into());
        chat.insert("stream_options".into(), json!({"include_usage": true}));
    }
    let input_tokens = if streamed { estimate(&chat) } else { 0 };
    let notes = Notes { model: model.to_owned(), names: names.into_cut(), input_tokens, stop };
    Ok(Translated { chat, notes: notes.value(), dropped: dropped.into_places() })
}

/// How the answer is drawn, and where it stops: that is returned.
fn sampling(body: &Fields<'_, '_>, chat: &mut Chat) -> Result<Vec<String>, Refusal> {
    for name in ["temperature", "top_p"] {
        if let Some(share) = body.share(name)? {
            chat.insert(name.into(), Value::Number(share.clone()));
        }
    }
    if let Some(kept) = body.whole("top_k", 0)? {
        chat.insert("top_k".into(), kept.into());
    }
    let mut stop = Vec::new();
    let at = body.at("stop_sequences");
    for (index, sequence) in body.list("stop_sequences")?.into_iter().flatten().enumerate() {
        let at = at.index(index);
        let text = sequence.as_str().ok_or_else(|| at.refuse("Input should be a valid string"))?;
        if text.trim().is_empty() {
            return Err(at.refuse("each stop sequence must contain non-whitespace"));
        }
        stop.push(text.to_owned());
    }
    if stop.len() > MOST_STOPS {
        let message =
            format!("at most {MOST_STOPS} sequences can be carried, and there are {}: leave some out", stop.len());
        return Err(at.refuse(message));
    }
    if !stop.is_empty() {
        chat.insert("stop".into(), json!(stop));
    }
    Ok(stop)
}

/// What only Anthropic's servers can keep.
fn refuse_elsewhere(body: &Fields<'_, '_>, purpose: Purpose) -> Result<(), Refusal> {
    let says_something = |value: &Value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        // Anywhere.
        Value::String(place) => place != "global",
        _ => true,
    };
    for (name, why) in [
        ("mcp_servers", "the model cannot call MCP servers by itself: connect them in the client and send their tools"),
        ("container", "there is no container to run code in: remove it"),
        ("inference_geo", "where the model runs is a matter of the model's name: remove it and choose the model"),
        ("thread", "nobody keeps the conversation here: remove it and send all of its messages"),
        ("compaction", "the model cannot write the block that is asked for: ask the model for a summary in a message"),
    ] {
        // The conversation is counted as it is sent.
        let is_idle = purpose == Purpose::Count && name == "compaction";
        if !is_idle && body.find(name).is_some_and(says_something) {
            return Err(body.refuse(name, why));
        }
    }
    Ok(())
}

/// For whom it is done, and how fast.
fn service(body: &Fields<'_, '_>, chat: &mut Chat, dropped: &mut Dropped) -> Result<(), Refusal> {
    if let Some(metadata) = body.object("metadata")? {
        if let Some(user) = metadata.text("user_id")?.filter(|user| !user.is_empty()) {
            chat.insert("user".into(), user.chars().take(LONGEST_USER).collect::<String>().into());
        }
        metadata.tell_rest(&["user_id"], dropped);
    }
    match body.text("service_tier")? {
        None => {}
        Some("auto") => drop(chat.insert("service_tier".into(), "auto".into())),
        Some("standard_only") => drop(chat.insert("service_tier".into(), "default".into())),
        Some(_) => return Err(body.refuse("service_tier", "Input should be 'auto' or 'standard_only'")),
    }
    match body.text("speed")? {
        None | Some("standard") => {}
        Some("fast") => dropped.add(body.at("speed")),
        Some(_) => return Err(body.refuse("speed", "Input should be 'standard' or 'fast'")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_needs_no_limit_and_is_no_stream() {
        let rest = r#""model":"m","system":"s","messages":[{"role":"user","content":"hi"}],"tools":[{"name":"a.b"}]"#;
        for (fields, limit) in [
            ("", None),
            (r#""max_tokens":null,"#, None),
            (r#""max_tokens":7,"#, Some(7)),
            (r#""stream":true,"#, None),
            (r#""stream":"yes","max_tokens":7,"#, Some(7)),
            (r#""compaction":{"type":"summarize"},"#, None),
        ] {
            let counted = request_to_count(format!("{{{fields}{rest}}}").as_bytes()).expect(fields);
            let mut asked = request(format!("{{\"max_tokens\":7,{rest}}}").as_bytes()).expect("a request");
            assert_eq!(counted.chat.get("max_tokens").and_then(Value::as_u64), limit, "{fields}");
            if limit.is_none() {
                asked.chat.shift_remove("max_tokens");
            }
            assert_eq!((counted.chat, counted.notes, counted.dropped), (asked.chat, asked.notes, asked.dropped));
        }
    }

    #[test]
    fn a_count_keeps_the_rules_of_a_request() {
        let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
        let deep = format!(r#"{{"model":"m",{hi},"x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        let many = format!(r#"{{"model":"m",{hi},"x":[{}0]}}"#, "0,".repeat(1 << 19));
        for (body, status, place) in [
            (String::new(), 400, ""),
            ("[]".to_owned(), 400, ""),
            (format!("{{{hi}}}"), 400, "model"),
            (r#"{"model":"m"}"#.into(), 400, "messages"),
            (format!(r#"{{"model":"m","max_tokens":0,{hi}}}"#), 400, "max_tokens"),
            (format!(r#"{{"model":"m","model":"n",{hi}}}"#), 400, ""),
            (format!(r#"{{"model":"m",{hi},"metadata":{{"a":1,"\u0061":2}}}}"#), 400, ""),
            (format!(r#"{{"model":"m",{hi},"system":"\ud83d"}}"#), 400, ""),
            (format!(r#"{{"model":"m",{hi},"mcp_servers":[1]}}"#), 400, "mcp_servers"),
            (format!(r#"{{"model":"m",{hi},"thread":{{"type":"create"}}}}"#), 400, "thread"),
            (deep, 400, ""),
            (many, 413, ""),
        ] {
            let shown = body.get(..100).unwrap_or(&body);
            let refusal = request_to_count(body.as_bytes()).expect_err(shown);
            assert_eq!((refusal.status, &*refusal.place), (status, place), "{shown}");
            let asked = body.replacen('{', r#"{"max_tokens":1,"#, usize::from(place != "max_tokens"));
            let other = request(asked.as_bytes()).expect_err(shown);
            assert_eq!((other.status, other.place), (refusal.status, refusal.place), "{shown}");
        }
    }
}
