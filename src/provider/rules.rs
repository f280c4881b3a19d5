//! What a request needs so that its provider takes it: the path, and the parameters that it knows under another name or not.
//!
//! The law: what is left out is told; nothing else of a request changes.

use serde_json::{Map, Value};

use super::{Provider, Style};

/// What is asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Chat Completions.
    Chat,
    /// Completions.
    Completions,
    /// Embeddings.
    Embeddings,
    /// Anthropic's Messages.
    Messages,
    /// Anthropic's count of tokens.
    CountTokens,
}

/// The path below the provider's base where `operation` is served for `model`.
pub fn path(provider: &Provider, operation: Operation, model: &str) -> String {
    let plain = match operation {
        Operation::Chat => "/chat/completions",
        Operation::Completions => "/completions",
        Operation::Embeddings => "/embeddings",
        Operation::Messages => "/messages",
        Operation::CountTokens => "/messages/count_tokens",
    };
    match provider.style {
        Style::Azure => format!("/openai/deployments/{}{plain}", escaped(model)),
        Style::OpenAi | Style::Compatible | Style::Anthropic => plain.to_owned(),
    }
}

/// Why `operation` cannot be asked of `provider`; none: it can be.
pub fn lacks(provider: &Provider, operation: Operation) -> Option<&'static str> {
    match (provider.style, operation) {
        (Style::Anthropic, Operation::Completions) => {
            Some("Anthropic has no completions of a prompt: send messages to /v1/chat/completions")
        }
        (Style::Anthropic, Operation::Embeddings) => Some("Anthropic has no embeddings: name a model that makes them"),
        _ => None,
    }
}

/// A name as one segment of a path (RFC 3986 section 3.3).
fn escaped(segment: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Whether OpenAI's rules for reasoning models hold: no `max_tokens`, no sampling parameters
/// (<https://platform.openai.com/docs/guides/reasoning>).
pub fn reasons(model: &str) -> bool {
    let model = model.rsplit('/').next().unwrap_or(model);
    let mut letters = model.chars();
    let series = letters.next() == Some('o') && letters.next().is_some_and(|digit| digit.is_ascii_digit());
    series || generation(model).is_some_and(|(number, rest)| number >= 5 && !rest.starts_with("-chat"))
}

/// The number of a `gpt-` model, and what follows it. Azure's `gpt-35` is older than `gpt-4`.
fn generation(model: &str) -> Option<(u32, &str)> {
    let rest = model.strip_prefix("gpt-").filter(|rest| !rest.starts_with("35"))?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    Some((rest.get(..end)?.parse().ok()?, rest.get(end..)?))
}

/// Whether it is one of OpenAI's that refuse `reasoning_effort`. What others serve under names of their own may take it.
fn answers_at_once(model: &str) -> bool {
    let model = model.rsplit('/').next().unwrap_or(model);
    let is_chat = generation(model).is_some_and(|(_, rest)| rest.starts_with("-chat"));
    is_chat || ["gpt-3.5", "gpt-35", "gpt-4", "chatgpt-"].iter().any(|start| model.starts_with(start))
}

/// Makes a chat in OpenAI's schema one that the provider's `model` takes. What had to be left out is returned.
pub fn fit(chat: &mut Map<String, Value>, provider: &Provider, model: &str, takes: &[String]) -> Vec<&'static str> {
    let mut dropped = Vec::new();
    let has = |name: &str| takes.iter().any(|taken| taken == name);
    let ours = matches!(provider.style, Style::OpenAi | Style::Azure);
    if reasons(model) && ours {
        if let Some(most) = chat.shift_remove("max_tokens") {
            chat.entry("max_completion_tokens").or_insert(most);
        }
        leave_out(chat, &["temperature", "top_p"], &mut dropped);
    } else if ours && answers_at_once(model) {
        leave_out(chat, &["reasoning_effort"], &mut dropped);
    }
    if !has("top_k") {
        leave_out(chat, &["top_k"], &mut dropped);
    }
    if !ours {
        leave_out(chat, &["service_tier"], &mut dropped);
    }
    if !provider.has_stream_options {
        // It says how many tokens there were without being asked.
        chat.shift_remove("stream_options");
    }
    if !has("reasoning_content") {
        forget_reasoning(chat);
    }
    dropped
}

fn leave_out(chat: &mut Map<String, Value>, names: &[&'static str], dropped: &mut Vec<&'static str>) {
    for name in names {
        if chat.shift_remove(*name).is_some() {
            dropped.push(name);
        }
    }
}

/// What a model thought before is of no use to one that does not take it back; strict servers refuse it.
fn forget_reasoning(chat: &mut Map<String, Value>) {
    let messages = chat.get_mut("messages").and_then(Value::as_array_mut);
    for message in messages.into_iter().flatten().filter_map(Value::as_object_mut) {
        message.shift_remove("reasoning_content");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn which_models_reason() {
        for (model, expected) in [
            ("o1", true),
            ("o3-mini", true),
            ("o4-mini-2025-04-16", true),
            ("gpt-5", true),
            ("gpt-5.2-codex", true),
            ("openai/gpt-5-mini", true),
            ("gpt-6", true),
            ("gpt-6-mini-2026-10-01", true),
            ("gpt-10", true),
            ("gpt-5-chat-latest", false),
            ("gpt-6-chat", false),
            ("gpt-35-turbo", false),
            ("gpt-oss-120b", false),
            ("gpt-", false),
            ("gpt-4o", false),
            ("gpt-3.5-turbo", false),
            ("omni-moderation", false),
            ("ollama", false),
        ] {
            assert_eq!(reasons(model), expected, "{model}");
        }
    }

    #[test]
    fn names_in_paths_are_escaped() {
        assert_eq!(escaped("gpt 4/o?%"), "gpt%204%2Fo%3F%25");
    }

    fn provider(style: Style) -> Provider {
        Provider { style, ..super::super::PROVIDERS[0] }
    }

    #[test]
    fn what_is_left_out_and_renamed() {
        let all = json!({"max_tokens": 5, "temperature": 0.5, "top_p": 0.1, "top_k": 3, "reasoning_effort": "low",
            "service_tier": "auto", "messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}]});
        for (style, model, takes, kept, gone) in [
            (
                Style::OpenAi,
                "o3",
                vec![],
                vec!["reasoning_effort", "service_tier", "messages", "max_completion_tokens"],
                vec!["temperature", "top_p", "top_k"],
            ),
            (
                Style::OpenAi,
                "gpt-4o",
                vec![],
                vec!["max_tokens", "temperature", "top_p", "service_tier", "messages"],
                vec!["reasoning_effort", "top_k"],
            ),
            (
                Style::OpenAi,
                "house-model",
                vec![],
                vec!["max_tokens", "temperature", "top_p", "reasoning_effort", "service_tier", "messages"],
                vec!["top_k"],
            ),
            (
                Style::Compatible,
                "o3",
                vec!["top_k"],
                vec!["max_tokens", "temperature", "top_p", "top_k", "reasoning_effort", "messages"],
                vec!["service_tier"],
            ),
        ] {
            let mut chat = all.as_object().cloned().expect("object");
            let takes: Vec<String> = takes.into_iter().map(str::to_owned).collect();
            assert_eq!(fit(&mut chat, &provider(style), model, &takes), gone, "{model}");
            assert_eq!(chat.keys().collect::<Vec<_>>(), kept, "{model}");
            assert_eq!(chat["messages"][0], json!({"role": "assistant", "content": "a"}));
        }
    }
}
