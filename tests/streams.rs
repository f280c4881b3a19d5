//! Streamed answers of any shape through the Anthropic adapter: whatever mixes and wherever it is cut, the grammar holds, and
//! what was said is put together again exactly.

#[allow(dead_code, reason = "shared with the example, which prints more")]
#[path = "../examples/grammar/rules.rs"]
mod rules;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::translate::anthropic::{Anthropic, HELD};
use tollgate::translate::transform::{Transform as _, Translating};
use tollgate::translate::{Adapter as _, Call, Refusal};

const CALL: Call<'static> =
    Call { id: "call-1", method: "POST", path: "/v1/messages", captures: &[], query: None, headers: &[] };

/// Everything that the client gets for `pieces` of an upstream's stream, which then ends.
fn translated<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut transform = Translating::new(Anthropic.stream(&CALL, &json!({ "model": "m", "input_tokens": 3 })));
    let mut out = Vec::new();
    let all = || -> Result<(), Refusal> {
        for piece in pieces {
            transform.data(&Bytes::copy_from_slice(piece), &mut out)?;
        }
        transform.end(&mut out)
    };
    if let Err(refusal) = all() {
        transform.fail(&refusal.told(), &mut out);
    }
    out
}

fn judged(out: &[u8]) -> rules::Said {
    rules::judge(out).unwrap_or_else(|broken| panic!("{broken}\n{}", String::from_utf8_lossy(out)))
}

/// A piece of what a model says.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Thinking(String),
    /// Of the call of this place.
    Call(usize, String),
}

/// A JSON object of an odd kind, as text.
fn object() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just(r#""\"}]{[\\ü🦀""#.to_owned()),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(inner, 0..3).prop_map(|items| written(&items)),
        ]
    });
    prop::collection::vec(value, 0..4).prop_map(|items| written(&items))
}

fn written(items: &[String]) -> String {
    let fields: Vec<String> = items.iter().enumerate().map(|(at, item)| format!("\"{at}}}\": {item}")).collect();
    format!("{{{}}}", fields.join(",\n"))
}

/// `text` in pieces, by where `cuts` fall.
fn cut(text: &str, cuts: &[prop::sample::Index]) -> Vec<String> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    ends.retain(|at| text.is_char_boundary(*at));
    ends.extend([0, text.len()]);
    ends.sort_unstable();
    ends.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()
}

/// Calls in pieces and words, mixed in any way that keeps the order of each.
fn mixed() -> impl Strategy<Value = (Vec<String>, Vec<Piece>)> {
    let call = (object(), prop::collection::vec(any::<prop::sample::Index>(), 0..6));
    let words =
        prop_oneof!["[a-z\n ü🦀\"\\\\]{1,6}".prop_map(Piece::Text), "[a-z\n ü🦀]{1,6}".prop_map(Piece::Thinking),];
    let order = prop::collection::vec(any::<prop::sample::Index>(), 64);
    (prop::collection::vec(call, 0..5), prop::collection::vec(words, 0..6), order).prop_map(|(calls, words, order)| {
        let whole: Vec<String> = calls.iter().map(|(text, _)| text.clone()).collect();
        let mut lanes: Vec<Vec<Piece>> = calls
            .iter()
            .enumerate()
            .map(|(place, (text, cuts))| cut(text, cuts).into_iter().map(|piece| Piece::Call(place, piece)).collect())
            .collect();
        lanes.push(words);
        let mut order = order.into_iter().cycle();
        let mut out = Vec::new();
        while lanes.iter().any(|lane| !lane.is_empty()) {
            lanes.retain(|lane| !lane.is_empty());
            if let Some(next) = order.next() {
                let at = next.index(lanes.len());
                out.push(lanes[at].remove(0));
            }
        }
        (whole, out)
    })
}

/// The upstream's stream of `pieces`.
fn stream(pieces: &[Piece], end: &str) -> Vec<u8> {
    let mut begun = Vec::new();
    let mut out = String::new();
    let mut chunk = |delta: Value, finish: Value| {
        let chunk = json!({ "id": "chatcmpl-1", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
        out.push_str(&format!("data: {chunk}{end}{end}"));
    };
    for piece in pieces {
        chunk(
            match piece {
                Piece::Text(text) => json!({ "content": text }),
                Piece::Thinking(text) => json!({ "reasoning_content": text }),
                Piece::Call(place, text) if begun.contains(place) => {
                    json!({ "tool_calls": [{ "index": place, "function": { "arguments": text } }] })
                }
                Piece::Call(place, text) => {
                    begun.push(*place);
                    let function = json!({ "name": format!("tool_{place}"), "arguments": text });
                    json!({ "tool_calls": [{ "index": place, "id": format!("id_{place}"), "function": function }] })
                }
            },
            Value::Null,
        );
    }
    chunk(json!({}), json!("stop"));
    out.push_str(&format!("data: [DONE]{end}{end}"));
    out.into_bytes()
}

/// What was said of one kind.
fn words(said: &rules::Said, kind: &str) -> String {
    said.blocks.iter().filter(|block| block.kind == kind).map(|block| block.said.as_str()).collect()
}

proptest! {
    #[test]
    fn what_mixes_is_put_in_a_row(
        (whole, pieces) in mixed(),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        size in 1usize..80,
    ) {
        let stream = stream(&pieces, end);
        let out = translated(stream.chunks(size));
        prop_assert_eq!(&out, &translated([stream.as_slice()]));
        prop_assert_eq!(&out, &translated(stream.chunks(1)));
        let said = judged(&out);
        prop_assert!(said.error.is_none());
        let calls: Vec<&rules::Block> = said.blocks.iter().filter(|block| block.kind == "tool_use").collect();
        prop_assert_eq!(calls.len(), whole.len());
        for call in calls {
            let place: usize = call.id.strip_prefix("id_").and_then(|place| place.parse().ok()).expect("a place");
            prop_assert_eq!(&call.name, &format!("tool_{place}"));
            prop_assert_eq!(&call.said, &whole[place]);
        }
        let expected = |wanted: fn(&Piece) -> Option<&str>| pieces.iter().filter_map(wanted).collect::<String>();
        let text = expected(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        let thinking = expected(|piece| if let Piece::Thinking(text) = piece { Some(text) } else { None });
        prop_assert_eq!(words(&said, "text"), text);
        prop_assert_eq!(words(&said, "thinking"), thinking);
    }

    #[test]
    fn a_stream_that_is_cut_never_ends_well(
        (_, pieces) in mixed(),
        at in any::<prop::sample::Index>(),
    ) {
        let stream = stream(&pieces, "\n");
        // Before the reason has come, nothing says that the answer is whole.
        let last = stream.windows(6).rposition(|window| window == b"\"stop\"").expect("a reason");
        let said = judged(&translated([&stream[..at.index(last)]]));
        prop_assert!(said.error.is_some());
    }

    #[test]
    fn no_chunks_break_the_grammar(chunks in prop::collection::vec(chunk(), 0..8), size in 1usize..60) {
        let mut stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        stream.push_str("data: [DONE]\n\n");
        let out = translated(stream.as_bytes().chunks(size));
        judged(&out);
        for chunk in &chunks {
            // As a whole answer it is a message, or refused.
            if let Ok(answer) = Anthropic.response(&CALL, &Value::Null, chunk) {
                let message: Value = serde_json::from_slice(&answer).expect("JSON");
                prop_assert_eq!(&message["type"], "message");
            }
        }
    }
}

/// JSON of the fields that are looked at, in places where they may be and where they may not.
fn chunk() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "function_call",
        "name",
        "arguments",
        "id",
        "index",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "error",
        "code",
        "type",
        "text",
        "thinking",
        "refusal",
        "reasoning_content",
        "stop_reason",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..5).prop_map(Value::from),
        prop::sample::select(&["", " ", "a", "{}", "{\"a\":", "}", "stop", "error", "text", "f", "g"][..])
            .prop_map(Value::from),
    ];
    let any = leaf.clone().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..4).prop_map(Value::from_iter),
        ]
    });
    let call = (leaf.clone(), leaf.clone(), leaf.clone(), leaf.clone()).prop_map(|(index, id, name, arguments)| {
        json!({ "index": index, "id": id, "function": { "name": name, "arguments": arguments } })
    });
    let delta = prop_oneof![
        prop::collection::vec(call, 0..4).prop_map(|calls| json!({ "tool_calls": calls })),
        (leaf.clone(), leaf.clone(), any.clone()).prop_map(
            |(content, thought, calls)| json!({ "content": content, "reasoning": thought, "tool_calls": calls })
        ),
        any.clone(),
    ];
    let choice = (delta, leaf, prop::sample::select(&["delta", "delta", "message"][..]))
        .prop_map(|(delta, finish, place)| json!({ "index": 0, place: delta, "finish_reason": finish }));
    prop_oneof![
        6 => choice.prop_map(|choice| json!({ "id": "x", "choices": [choice] })),
        1 => any.clone().prop_map(|usage| json!({ "choices": [], "usage": usage })),
        1 => any,
    ]
}

/// The error that a stream of these chunks ends in.
fn error_of(chunks: impl Iterator<Item = Value>) -> String {
    let mut transform = Translating::new(Anthropic.stream(&CALL, &Value::Null));
    let mut out = Vec::new();
    let all = || -> Result<(), Refusal> {
        for chunk in chunks {
            transform.data(&Bytes::from(format!("data: {chunk}\n\n")), &mut out)?;
        }
        Ok(())
    };
    let refusal = all().expect_err("more than is held");
    transform.fail(&refusal.clone().told(), &mut out);
    assert!(judged(&out).error.is_some());
    refusal.message
}

fn delta(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta }] })
}

fn piece(index: usize, name: &str, arguments: &str) -> Value {
    delta(json!({ "tool_calls": [{ "index": index, "function": { "name": name, "arguments": arguments } }] }))
}

#[test]
fn what_waits_is_bounded() {
    const MIXED: &str = "The upstream's answer mixes more than can be held to put it in a row.";
    let large = "x".repeat(HELD / 10);
    let first = || std::iter::once(piece(0, "f", "{"));
    // The arguments of a call that waits; text that waits; a name that never comes; words that never end to change.
    assert_eq!(error_of(first().chain((0..11).map(|_| piece(1, "g", &large)))), MIXED);
    assert_eq!(error_of(first().chain((0..11).map(|_| delta(json!({ "content": large }))))), MIXED);
    assert_eq!(error_of((0..11).map(|_| piece(0, "", &large))), MIXED);
    assert_eq!(error_of((0..11).map(|at| piece(at, &large, "{}"))), MIXED);
    let words = (0..HELD / 64).map(|at| delta(json!({ (if at % 2 == 0 { "content" } else { "reasoning" }): "x" })));
    assert_eq!(error_of(first().chain(words)), MIXED);
    let calls = "The upstream's answer has more than 1024 tool calls.";
    assert_eq!(error_of((0..1025).map(|at| piece(at, "f", "{}"))), calls);
}

#[test]
fn what_streams_is_not_held() {
    // Far more than may wait, in one block that is open.
    let large = "x".repeat(HELD / 10);
    let mut stream = Anthropic.stream(&CALL, &Value::Null);
    let mut out = Vec::new();
    for _ in 0..30 {
        out.clear();
        let chunk = delta(json!({ "content": large }));
        stream.event(tollgate::translate::Event::Chunk(&chunk), &mut out).expect("it streams");
        assert!(out.len() > large.len());
    }
}
