use serde_json::json;

use super::*;

fn count(chat: Value) -> u64 {
    count_of(&chat)
}

fn count_of(chat: &Value) -> u64 {
    tokens("gpt-4o", chat.as_object().unwrap())
}

fn of_message(message: Value) -> u64 {
    count(json!({"messages": [message]}))
}

fn of_parts(parts: Value) -> u64 {
    of_message(json!({"role": "user", "content": parts}))
}

#[test]
fn every_part_of_a_message_that_a_model_sees_counts() {
    let bare = of_message(json!({"role": "user", "content": ""}));
    assert_eq!(bare, 3 + 1 + 3);
    for (what, message, more) in [
        ("a text", json!({"content": "hello world"}), 2),
        ("a text in parts", json!({"content": [{"type": "text", "text": "hello world"}]}), 2),
        ("no text", json!({"content": null}), 0),
        ("a name", json!({"content": "", "name": "hello"}), 1 + 1),
        ("the id of a result", json!({"content": "", "tool_call_id": "hello"}), 1),
        ("a refusal", json!({"refusal": "hello"}), 1),
        ("a part that refuses", json!({"content": [{"type": "refusal", "refusal": "hello"}]}), 1),
        (
            "a call",
            json!({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "b", "arguments": "c"}}]}),
            4,
        ),
        ("an older call", json!({"function_call": {"name": "b", "arguments": "c"}}), 2),
        ("reasoning", json!({"reasoning_content": "hello hello", "reasoning": "x", "thinking_blocks": ["x"]}), 0),
        ("words of nobody", json!({"cache_control": {"type": "ephemeral"}, "x": "hello"}), 0),
        ("content that is none", json!({"content": 7}), 0),
        ("a part that is none", json!({"content": [7, null, "hello", {"type": 1}, {}]}), 0),
    ] {
        let mut whole = json!({"role": "user"});
        whole.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        assert_eq!(of_message(whole) - bare, more, "{what}");
    }
}

#[test]
fn files_images_and_sound() {
    let bare = of_parts(json!([]));
    let bytes = |count: usize| "A".repeat(count.div_ceil(3) * 4);
    for (what, part, more) in [
        ("a file elsewhere", json!({"type": "file", "file": {"file_id": "file-1"}}), 1500),
        ("a page", json!({"type": "file", "file": {"file_data": bytes(PAGE_BYTES - 60)}}), 1500),
        ("three pages", json!({"type": "file", "file": {"file_data": bytes(2 * PAGE_BYTES + 60)}}), 4500),
        ("a file that is none", json!({"type": "file", "file": 1}), 1500),
        (
            "a second of sound",
            json!({"type": "input_audio", "input_audio": {"data": bytes(48_000), "format": "wav"}}),
            10,
        ),
        ("three of less", json!({"type": "input_audio", "input_audio": {"data": bytes(48_000), "format": "mp3"}}), 30),
        ("no sound", json!({"type": "input_audio"}), 0),
        ("an image elsewhere", json!({"type": "image_url", "image_url": {"url": "https://example.com/"}}), 765),
        ("one that is not looked at", json!({"type": "image_url", "image_url": {"url": "x", "detail": "low"}}), 85),
        ("one without a place", json!({"type": "image_url", "image_url": "https://example.com/"}), 765),
        ("no image", json!({"type": "image_url"}), 765),
    ] {
        assert_eq!(of_parts(json!([part])) - bare, more, "{what}");
    }
}

#[test]
fn tools_of_all_kinds() {
    let with = |tools: Value| count(json!({"messages": [], "tools": tools})) - 3;
    let tool = |parameters: Value| json!([{"type": "function", "function": {"name": "name", "description": "Text.", "parameters": parameters}}]);
    let text = |text: &str| {
        let mut meter = Meter::new(Encoding::O200k);
        meter.text(text);
        meter.total()
    };
    assert_eq!(with(json!([])), 0);
    let bare = with(tool(json!({"type": "object", "properties": {}})));
    assert_eq!(bare, 7 + text("name:Text") + 12);
    let x = 3 + 3 + text("x::");
    for (what, parameters, more) in [
        ("none", json!({}), 0),
        ("no schema", json!(true), 0),
        ("one", json!({"properties": {"x": {"type": "string", "description": "Y."}}}), 6 + text("x:string:Y")),
        ("two", json!({"properties": {"x": {}, "yes": {}}}), x + 3 + text("yes::")),
        ("no description", json!({"properties": {"x": {"type": "string"}}}), 6 + text("x:string:")),
        ("several types", json!({"properties": {"x": {"type": ["string", "null"]}}}), 6 + text("x:string|null:")),
        ("nothing said of it", json!({"properties": {"x": {}}}), x),
        ("an enumeration", json!({"properties": {"x": {"enum": ["a", "b"]}}}), x + 3 + 2),
        ("numbers", json!({"properties": {"x": {"enum": [1, null]}}}), x + 3 + 2),
        ("an inner one", json!({"properties": {"x": {"properties": {"x": {}}}}}), 2 * x),
        ("one in a list", json!({"properties": {"x": {"items": {"properties": {"x": {}}}}}}), 2 * x),
        ("some to choose from", json!({"anyOf": [{"properties": {"x": {}}}, {"properties": {"x": {}}}]}), 2 * x),
        ("one by name", json!({"$defs": {"items": {"properties": {"x": {}}}}}), x),
        ("words as names", json!({"properties": {"enum": {}, "items": {}}}), 9 + text("enum::") + text("items::")),
    ] {
        assert_eq!(with(tool(parameters)) - bare, more, "{what}");
    }
    let custom = json!([{"type": "custom", "custom": {"name": "name", "description": "Text."}}]);
    assert_eq!(with(custom), bare);
    assert_eq!(with(json!([{"type": "web_search"}, 7])), 2 * (7 + text(":")) + 12);
    let older = json!({"messages": [], "functions": [{"name": "name", "description": "Text."}]});
    assert_eq!(count(older) - 3, bare);
    let schema = json!({"name": "name", "description": "Text.", "schema": {"properties": {"x": {}}}});
    let format = json!({"messages": [], "response_format": {"type": "json_schema", "json_schema": schema}});
    assert_eq!(count(format) - 3, bare - 12 + x);
}

#[test]
fn a_prefix_does_not_hide_a_model() {
    for (model, known) in [
        ("gpt-4", "gpt-4"),
        ("openai/gpt-4", "gpt-4"),
        ("ft:gpt-4:org::id", "gpt-4"),
        ("azure/ft:gpt-4:org", "gpt-4"),
        ("openrouter/openai/gpt-4o", "gpt-4o"),
        ("", ""),
        ("/", ""),
    ] {
        assert_eq!(plain(model), known, "{model}");
    }
}

#[test]
fn a_schema_as_deep_as_they_come() {
    // Not by `json!`, which copies what it is given, and takes a stack as deep for it.
    let object = |name: &str, value: Value| Value::Object([(name.to_owned(), value)].into_iter().collect());
    for name in ["properties", "items", "anyOf"] {
        let mut schema = json!({"properties": {"x": {}}});
        for _ in 0..50_000 {
            schema = match name {
                "properties" => object(name, object("x", schema)),
                "items" => object(name, schema),
                _ => object(name, Value::Array(vec![schema])),
            };
        }
        let chat = object("tools", Value::Array(vec![object("function", object("parameters", schema))]));
        assert!(count_of(&chat) > 20, "{name}");
        // So does dropping it.
        std::mem::forget(chat);
    }
}

/// `tests/sdk/count_tokens.py` counts them by Python's `tiktoken`, which has no hand in what is here.
#[test]
fn the_corpus_counts_as_by_tiktoken() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tokens");
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let counted = tokens(case["model"].as_str().unwrap(), case["chat"].as_object().unwrap());
        let due = case["tokens"].as_u64().unwrap();
        // The law is a twentieth. A token more or less is where a long text without spaces is cut.
        assert!(counted.abs_diff(due) <= 2 && counted.abs_diff(due) * 20 <= due, "{path:?}: {counted} for {due}");
        cases += 1;
    }
    assert!(cases >= 20, "{cases}");
}
