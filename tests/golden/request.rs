//! Requests: `anthropic/request/NAME.json` has `source`, `anthropic`, and either `openai` (with `notes` and `dropped` where
//! they matter) or `refused`: its `status`, its `place`, and what it `says`. `untyped` tells why Anthropic's SDK has no type
//! for a case (`tests/sdk/golden_types.py`).

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::translate::anthropic::request::request;

const FIELDS: &[&str] = &["source", "untyped", "anthropic", "openai", "notes", "dropped", "refused"];

/// Every case by its name.
fn cases() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/anthropic/request");
    let mut out: Vec<_> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("text");
            (name.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    out.sort_by(|(left, _), (right, _)| left.cmp(right));
    out
}

/// What is wrong with a case, if anything is.
fn fault(case: &Value) -> Option<String> {
    let fields = case.as_object().expect("an object");
    if let Some(other) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Some(format!("the field {other} is unknown"));
    }
    if case["source"].as_str().is_none_or(str::is_empty)
        || fields.contains_key("openai") == fields.contains_key("refused")
    {
        return Some("a case has a source, and one of openai and refused".into());
    }
    let translated = request(case["anthropic"].to_string().as_bytes());
    match (translated, case.get("refused")) {
        (Ok(translated), None) => {
            let chat = Value::Object(translated.chat);
            let differs = |name: &str, got: &Value| {
                let wanted = case.get(name).filter(|wanted| *wanted != got)?;
                Some(format!("{name}\n  wanted {wanted}\n  got    {got}"))
            };
            differs("openai", &chat)
                .or_else(|| differs("notes", &translated.notes))
                .or_else(|| differs("dropped", &json!(translated.dropped)))
        }
        (Err(refusal), Some(wanted)) => {
            let says = wanted["says"].as_str().expect("says");
            let same = wanted["status"] == refusal.status && wanted["place"] == refusal.place;
            (says.is_empty() || !same || !refusal.message.contains(says)).then(|| format!("{refusal:?}"))
        }
        (got, _) => Some(format!("{got:?}")),
    }
}

#[test]
fn every_case_holds() {
    let cases = cases();
    assert!(cases.len() > 100, "only {} cases", cases.len());
    let faults: Vec<_> =
        cases.iter().filter_map(|(name, case)| fault(case).map(|fault| format!("{name}: {fault}"))).collect();
    assert!(faults.is_empty(), "{} of {} fail\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
fn what_is_no_json_is_refused() {
    for body in
        [&b""[..], b"nope", b"[]", b"{}{}", b"\xef\xbb\xbf{}", b"{\"model\":\"\xff\"}", br#"{"model":"\ud800"}"#]
    {
        let refusal = request(body).expect_err("no request");
        assert_eq!((refusal.status, &*refusal.place), (400, ""), "{body:?}");
        assert!(!refusal.message.is_empty());
    }
}

#[test]
fn a_big_request_is_translated() {
    let call = |index: usize| json!({"type": "tool_use", "id": format!("id{index}"), "name": "f", "input": {}});
    let result = |index: usize| json!({"type": "tool_result", "tool_use_id": format!("id{index}")});
    let calls: Vec<_> = (0..25_000).map(call).collect();
    let results: Vec<_> = (0..25_000).rev().map(result).collect();
    let messages = json!([
        {"role": "user", "content": "Go"}, {"role": "assistant", "content": calls}, {"role": "user", "content": results}
    ]);
    let body = json!({"model": "m", "max_tokens": 1, "stream": true, "messages": messages}).to_string();
    let chat = request(body.as_bytes()).expect("a request").chat;
    assert_eq!(chat["messages"].as_array().expect("messages").len(), 25_002);

    let turns: Vec<_> = (0..20_000)
        .map(|index| json!({"role": if index % 2 == 0 { "user" } else { "assistant" }, "content": "x"}))
        .collect();
    let body = json!({"model": "m", "max_tokens": 1, "messages": turns}).to_string();
    let chat = request(body.as_bytes()).expect("a request").chat;
    assert_eq!(chat["messages"].as_array().expect("messages").len(), 20_000);

    let tools = |count: usize| {
        let tools: Vec<_> = (0..count).map(|index| json!({"name": format!("tool-{index}")})).collect();
        let body =
            json!({"model": "m", "max_tokens": 1, "tools": tools, "messages": [{"role": "user", "content": ""}]});
        request(body.to_string().as_bytes()).map(|translated| translated.chat["tools"].as_array().map(Vec::len))
    };
    assert_eq!(tools(10_000), Ok(Some(10_000)));
    let refusal = tools(10_001).expect_err("too many tools");
    assert_eq!((refusal.status, &*refusal.place), (400, "tools"));
    assert_eq!(refusal.message, "at most 10000 tools can be carried, and there are 10001");

    let image =
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(20 << 20)}});
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [image]}]}).to_string();
    request(body.as_bytes()).expect("a request");
}

/// A word of the API, so that what is made of them comes near to what means something.
fn word() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "model",
        "messages",
        "role",
        "content",
        "user",
        "assistant",
        "system",
        "type",
        "text",
        "image",
        "document",
        "source",
        "base64",
        "url",
        "data",
        "media_type",
        "image/png",
        "tool_use",
        "tool_result",
        "tool_use_id",
        "id",
        "name",
        "input",
        "tools",
        "input_schema",
        "tool_choice",
        "auto",
        "any",
        "tool",
        "thinking",
        "enabled",
        "budget_tokens",
        "max_tokens",
        "stop_sequences",
        "stream",
        "metadata",
        "user_id",
        "output_config",
        "effort",
        "format",
        "schema",
        "json_schema",
        "search_result",
        "title",
        "redacted_thinking",
        "bash_20250124",
        "bash",
        "custom",
        "is_error",
        "temperature",
        "QUJD",
    ];
    prop_oneof![8 => proptest::sample::select(WORDS).prop_map(str::to_owned), 1 => ".{0,80}"]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..5000_u32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 120, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..8).prop_map(|list| Value::Object(list.into_iter().collect())),
        ]
    })
}

/// A request with one field of anything, so that not all ends at the first.
fn nearly_a_request() -> impl Strategy<Value = Value> {
    let good = json!({
        "model": "m", "max_tokens": 5, "system": "s", "stream": true,
        "tools": [{"name": "a.b", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "a.b", "input": {"x": 1.0}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i"}, {"type": "text", "text": "t"}]},
        ],
    });
    let places = prop_oneof![
        Just("/system"),
        Just("/tools/0"),
        Just("/tools/0/input_schema"),
        Just("/messages/0/content"),
        Just("/messages/1/content/0/input"),
        Just("/messages/1/content/0"),
        Just("/messages/2/content/0"),
        Just("/messages/2/content/1"),
        Just("/messages/2"),
        Just("/stream"),
    ];
    (places, word(), any_json(), any_json()).prop_map(move |(place, name, value, more)| {
        let mut body = good.clone();
        *body.pointer_mut(place).expect("the place is there") = value;
        body[name.as_str()] = more;
        body
    })
}

fn is_answered(body: &[u8]) -> Result<(), TestCaseError> {
    match request(body) {
        Ok(translated) => {
            prop_assert!(
                translated.chat.get("model").is_some_and(|model| model.as_str().is_some_and(|text| !text.is_empty()))
            );
            let messages = translated.chat.get("messages").and_then(Value::as_array);
            prop_assert!(messages.is_some_and(|list| !list.is_empty()));
        }
        Err(refusal) => {
            prop_assert_eq!(refusal.status, 400);
            prop_assert!(!refusal.message.is_empty());
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        is_answered(&body)?;
    }

    #[test]
    fn any_json_is_answered(body in any_json()) {
        is_answered(body.to_string().as_bytes())?;
    }

    #[test]
    fn nearly_a_request_is_answered(body in nearly_a_request()) {
        is_answered(body.to_string().as_bytes())?;
    }
}
