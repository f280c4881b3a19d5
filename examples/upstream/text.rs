//! OpenAI's older completions, and embeddings: eight numbers that depend on the text.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    api::next_id,
    chat::{Invalid, flag, invalid},
    mood::Mood,
    request::Request,
    response::Response,
};

const DIMENSIONS: usize = 8;

/// The prompt again, whole or streaming.
pub(crate) fn completion(request: &Request) -> Response {
    answer(request, |model, body| {
        let prompt = body["prompt"].as_str().ok_or_else(|| invalid("prompt", "prompt must be a text"))?;
        let words: Vec<_> = "You said:".split(' ').chain(prompt.split_whitespace()).collect();
        let (asked, said) = (prompt.split_whitespace().count(), words.len());
        let usage = json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said});
        let id = next_id("cmpl");
        let frame = |text: &str, finish_reason: Option<&str>| {
            let choice = json!({"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": null});
            json!({"id": id, "object": "text_completion", "created": 0, "model": model, "choices": [choice]})
        };
        if !flag(body, "stream")? {
            let mut whole = frame(&words.join(" "), Some("stop"));
            whole["usage"] = usage;
            return Ok(Mood::of(model).whole(whole));
        }
        let mut texts: Vec<_> = words.iter().map(|word| frame(&format!("{word} "), None).to_string()).collect();
        texts.push(frame("", Some("stop")).to_string());
        texts.push("[DONE]".to_owned());
        Ok(Mood::of(model).events(texts))
    })
}

/// A vector for each text, as numbers or in base64.
pub(crate) fn embeddings(request: &Request) -> Response {
    answer(request, |model, body| {
        let inputs: Option<Vec<&str>> = match &body["input"] {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let inputs = inputs.ok_or_else(|| invalid("input", "input must be a text, or several"))?;
        let in_base64 = body["encoding_format"] == "base64";
        let vector = |text: &str| match in_base64 {
            // In full: the shortest text of such a number reads as another in double precision.
            false => json!(embedding(text).into_iter().map(f64::from).collect::<Vec<_>>()),
            true => {
                BASE64.encode(embedding(text).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>()).into()
            }
        };
        let row =
            |(index, text): (usize, &&str)| json!({"object": "embedding", "index": index, "embedding": vector(text)});
        let data: Vec<_> = inputs.iter().enumerate().map(row).collect();
        let asked = inputs.iter().map(|text| text.split_whitespace().count()).sum::<usize>();
        let usage = json!({"prompt_tokens": asked, "total_tokens": asked});
        Ok(Mood::of(model).whole(json!({"object": "list", "data": data, "model": model, "usage": usage})))
    })
}

fn answer(request: &Request, make: impl Fn(&str, &Value) -> Result<Response, Invalid>) -> Response {
    let made =
        serde_json::from_slice(&request.body).map_err(|_| Invalid { param: None, message: "the body is not JSON" });
    let made = made.and_then(|body: Value| {
        let model = body["model"].as_str().ok_or_else(|| invalid("model", "model must be a text"))?;
        Mood::of(model).refusal().map_or_else(|| make(model, &body), Ok)
    });
    made.unwrap_or_else(|Invalid { param, message }| {
        let error = json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
        Response::json(400, json!({"error": error}))
    })
}

/// Each byte has a say in one of the numbers.
fn embedding(text: &str) -> Vec<f32> {
    let mut numbers = vec![0.0; DIMENSIONS];
    for (place, byte) in text.bytes().enumerate() {
        numbers[place % DIMENSIONS] += f32::from(byte) / 256.0;
    }
    numbers
}
