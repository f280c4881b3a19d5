//! How the providers answer that the fakes stand for. An answer depends on what was asked, so that two cannot be mixed up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http1;
use crate::origin::{Answer, Seen};

/// Cohere: rerank, versions 1 and 2. A document's score is the share of the query's words that it has.
pub fn cohere(seen: &Seen) -> Answer {
    let (Some(body), true) = (json_body(seen), ["/v1/rerank", "/v2/rerank"].contains(&&*seen.path)) else {
        return answer(404, json!({"message": "not found"}));
    };
    let query = words(&body["query"]);
    let documents = body["documents"].as_array().into_iter().flatten();
    let mut results: Vec<_> = documents
        .enumerate()
        .map(|(index, document)| {
            let found = words(document);
            let shared = query.iter().filter(|word| found.contains(word)).count();
            (index, shared as f64 / query.len().max(1) as f64)
        })
        .collect();
    results.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let most = body["top_n"].as_u64().map_or(results.len(), |most| most as usize);
    let results: Vec<_> = results
        .into_iter()
        .take(most)
        .map(|(index, score)| json!({"index": index, "relevance_score": score}))
        .collect();
    let version = seen.path[2..3].to_owned();
    let meta = json!({"api_version": {"version": version}, "billed_units": {"search_units": 1}});
    answer(200, json!({"id": digest(&seen.body), "results": results, "meta": meta}))
}

/// Langfuse: a batch of events, 207; OpenTelemetry's traces, 200.
pub fn langfuse(seen: &Seen) -> Answer {
    match &*seen.path {
        "/api/public/ingestion" => {
            let batch = json_body(seen).and_then(|body| body["batch"].as_array().cloned());
            let Some(batch) = batch else { return answer(400, json!({"message": "no batch"})) };
            let successes: Vec<_> = batch.iter().map(|event| json!({"id": event["id"], "status": 201})).collect();
            answer(207, json!({"successes": successes, "errors": []}))
        }
        "/api/public/otel/v1/traces" => answer(200, json!({})),
        _ => answer(404, json!({"message": "not found"})),
    }
}

/// OpenAI: chat whole and streaming, one model, files.
pub fn openai(seen: &Seen) -> Answer {
    match (&*seen.method, &*seen.path) {
        ("POST", "/v1/chat/completions") => json_body(seen).map_or_else(|| failure(400, "no JSON"), |body| chat(&body)),
        ("POST", "/v1/files") => file(seen).unwrap_or_else(|| failure(400, "no file")),
        ("GET", "/v1/models") => {
            let model = json!({"id": "sample-model", "object": "model", "created": 0, "owned_by": "tests"});
            answer(200, json!({"object": "list", "data": [model]}))
        }
        _ => failure(404, "nothing is here"),
    }
}

fn chat(body: &Value) -> Answer {
    let said = body["messages"].as_array().and_then(|messages| messages.last()).map(|last| &last["content"]);
    let said = said.and_then(Value::as_str).unwrap_or_default();
    let usage = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
    let frame = |object: &str, choices: Value, usage: &Value| json!({"id": "chatcmpl-1", "object": object, "created": 0, "model": body["model"], "choices": choices, "usage": usage});
    if body["stream"] != true {
        let message = json!({"role": "assistant", "content": said});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        return answer(200, frame("chat.completion", choices, &usage));
    }
    let chunk = |choices: Value, usage: &Value| event(&frame("chat.completion.chunk", choices, usage).to_string());
    let words = said.split_inclusive(' ').map(|word| json!([{"index": 0, "delta": {"content": word}}]));
    let stop = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let mut pieces: Vec<_> = words.chain([stop]).map(|choices| chunk(choices, &Value::Null)).collect();
    pieces.push(chunk(json!([]), &usage));
    pieces.push(event("[DONE]"));
    Answer { status: 200, content_type: "text/event-stream", pieces }
}

/// The part named `file` of a multipart body, answered by its hash.
fn file(seen: &Seen) -> Option<Answer> {
    let boundary = seen.values("content-type").first()?.split_once("boundary=")?.1.trim_matches('"').to_owned();
    let at = http1::find(&seen.body, b"name=\"file\"")?;
    let head = at + http1::find(&seen.body[at..], b"\r\n\r\n")?;
    let content = &seen.body[head + 4..];
    let content = &content[..http1::find(content, format!("\r\n--{boundary}").as_bytes())?];
    let part = String::from_utf8_lossy(&seen.body[at..head]).into_owned();
    let name = part.split_once("filename=\"")?.1.split_once('"')?.0;
    Some(answer(
        200,
        json!({
            "id": format!("file-{}", digest(content)), "object": "file", "bytes": content.len(), "created_at": 0,
            "filename": name, "purpose": "batch", "status": "processed",
        }),
    ))
}

fn failure(status: u16, message: &str) -> Answer {
    answer(status, json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}}))
}

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, content_type: "application/json", pieces: vec![body.to_string().into()] }
}

fn event(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn json_body(seen: &Seen) -> Option<Value> {
    serde_json::from_slice(&seen.body).ok()
}

fn words(text: &Value) -> Vec<String> {
    let text = text.as_str().unwrap_or_default().to_lowercase();
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// SHA-256 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of `Authorization` for HTTP Basic.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}
