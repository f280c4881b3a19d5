//! A model's stream as Messages: whatever comes, the client's stream keeps its grammar, cuts make no difference, and only what
//! was whole ends well. The same bytes as one answer are a message, or are refused.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate::translate::anthropic::Anthropic;
use tollgate::translate::failure::upstream_problem;
use tollgate::translate::transform::{Transform, Translating, whole};
use tollgate::translate::{Adapter as _, Call, Refusal};

#[allow(dead_code, reason = "shared with the example, which prints more")]
#[path = "../../examples/grammar/rules.rs"]
mod rules;

const CALL: Call<'static> =
    Call { id: "call-1", method: "POST", path: "/v1/messages", captures: &[], query: None, headers: &[] };

/// The first octet is the size of the pieces, the rest the stream.
pub fn check(input: &[u8]) {
    let (size, stream) = input.split_first().map_or((1, input), |(first, rest)| (usize::from(*first % 32) + 1, rest));
    let out = translated(stream.chunks(stream.len().max(1)));
    let said = judged(&out);
    assert!(out == translated(stream.chunks(size)), "by {size}, something else comes");
    assert!(out == translated(stream.chunks(1)), "byte by byte, something else comes");
    if said.error.is_none() {
        let holds = |text: &[u8]| stream.windows(text.len()).any(|window| window == text);
        // A reason's name may be written with escapes.
        assert!(holds(b"[DONE]") || holds(b"finish_reason") || holds(b"\\u"), "a stream that was cut ends well");
    }

    let answer = serde_json::from_slice::<Value>(stream);
    if let Ok(answer) = &answer
        && let Ok(events) = whole(Anthropic.stream(&CALL, &notes()), answer)
    {
        assert!(judged(&events).error.is_none(), "a whole answer is no error");
    }
    if let Ok(answer) = answer
        && let Ok(message) = Anthropic.response(&CALL, &notes(), &answer)
    {
        let message: Value = serde_json::from_slice(&message).expect("JSON");
        assert!(message["type"] == "message" && message["content"].is_array() && message["stop_reason"].is_string());
    }

    let problem = upstream_problem(u16::from(size as u8) * 20, stream);
    assert!((400..600).contains(&problem.status) && !problem.message.is_empty());
    assert!(problem.message.len() < 1 << 20 && !problem.message.contains(char::is_control), "{problem:?}");
}

fn notes() -> Value {
    json!({ "model": "m", "input_tokens": 3, "stop": ["END"], "names": { "f": "a longer name" } })
}

fn translated<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    run(Translating::new(Anthropic.stream(&CALL, &notes())), pieces)
}

fn run<'a>(mut transform: impl Transform, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
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
