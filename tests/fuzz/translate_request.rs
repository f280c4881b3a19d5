//! Messages requests: refused with 400 and a message of one line, or a chat whose calls and results pair as OpenAI wants
//! them, whose names OpenAI takes, and that says nothing which the request did not say.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tollgate::translate::anthropic::Notes;
use tollgate::translate::anthropic::request::request;

/// The input is the body.
pub fn check(input: &[u8]) {
    let translated = match request(input) {
        Ok(translated) => translated,
        Err(refusal) => {
            assert_eq!(refusal.status, 400, "{refusal:?}");
            assert!(!refusal.message.is_empty() && refusal.message.len() < 1000, "{refusal:?}");
            let told = refusal.told().message;
            assert!(!told.contains(|c: char| c.is_control()), "{told:?}");
            return;
        }
    };
    let body: Value = serde_json::from_slice(input).expect("JSON for another reader too");
    let chat = Value::Object(translated.chat);
    assert_eq!(chat["model"], body["model"]);
    assert_eq!(chat["stream"] == true, body["stream"] == true);
    assert_eq!(chat["stream"] == true, chat["stream_options"]["include_usage"] == true);
    for place in &translated.dropped {
        assert!(place.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' '), "{place:?}");
    }
    paired(chat["messages"].as_array().expect("messages"));

    let notes = Notes::read(&translated.notes);
    assert_eq!(body["model"], notes.model);
    assert_eq!(notes.input_tokens > 0, body["stream"] == true);
    names(&chat, &body, &notes);
}

/// Behind a message with calls come the results of each of them, and results come nowhere else.
fn paired(messages: &[Value]) {
    assert!(!messages.is_empty());
    let mut waiting = BTreeSet::new();
    for message in messages {
        if message["role"] == "tool" {
            assert!(message["content"].is_string(), "{message}");
            let id = message["tool_call_id"].as_str().expect("an id");
            assert!(waiting.remove(id), "{id} has no call");
            continue;
        }
        assert!(waiting.is_empty(), "{waiting:?} have no results");
        let calls = message["tool_calls"].as_array();
        assert!(!message["content"].is_null() || calls.is_some_and(|calls| !calls.is_empty()), "{message}");
        for call in calls.into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().expect("text");
            assert!(serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object()), "{arguments}");
            assert!(waiting.insert(call["id"].as_str().expect("an id")), "{call} stands twice");
        }
    }
    assert!(waiting.is_empty(), "{waiting:?} have no results");
}

/// Every name is one that OpenAI takes, and leads back to one of the request: each to another.
fn names(chat: &Value, body: &Value, notes: &Notes) {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut said: BTreeSet<String> = list(&body["tools"]).iter().filter_map(|tool| text(&tool["name"])).collect();
    for block in list(&body["messages"]).iter().flat_map(|message| list(&message["content"])) {
        said.extend(text(&block["name"]));
    }
    let mut told: Vec<String> =
        list(&chat["tools"]).iter().filter_map(|tool| text(&tool["function"]["name"])).collect();
    told.extend(text(&chat["tool_choice"]["function"]["name"]));
    for call in list(&chat["messages"]).iter().flat_map(|message| list(&message["tool_calls"])) {
        told.extend(text(&call["function"]["name"]));
    }
    let mut back = HashMap::new();
    for name in told {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-';
        assert!((1..=64).contains(&name.len()) && name.bytes().all(plain), "{name:?}");
        let original = notes.names.get(&name).unwrap_or(&name).clone();
        assert!(said.contains(&original), "{original:?} is nobody's name");
        let before = back.insert(original.clone(), name.clone());
        assert!(before.is_none_or(|before| before == name), "{original:?} has two names");
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
