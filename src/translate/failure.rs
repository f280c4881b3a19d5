//! What a model's server says when it fails, and what the client is told of it.
//!
//! The law: what the client can mend stays its own (400, 404 of a model, 413, 429); what only Tollgate's operator can mend
//! is never shown as the client's fault; a page of HTML is never repeated, nor what is said of Tollgate's own credentials.
//! The text is bounded and has no control characters. Whether it holds a secret is for others to see.
//!
//! | the upstream says | the client gets | why |
//! |---|---|---|
//! | 400, 422 | 400 | the request is wrong, and its text says where |
//! | 401, 403 | 502 | Tollgate's credentials are meant, not the client's |
//! | 402 | 502 | Tollgate's account is meant |
//! | 404 of a model | 404 | the name may be the client's |
//! | 404 of anything else | 502 | the base of the API is wrong |
//! | 408, 504 | 504 | it took too long |
//! | 413 | 413 | the request is too large |
//! | 429 | 429 | later |
//! | 503, 529 | 529 | overloaded |
//! | everything else | 502 | the upstream failed |
//!
//! Errors within a stream are judged by the same table; what stands there for the status is their `code`, `status` or `type`.

use serde_json::Value;

use super::json::{self, Fault, Limits};
use super::{Problem, Refusal};

/// What a message may have of an upstream's text, in characters. Whoever knows what must not be told cuts it shorter.
const LONGEST: usize = 64 << 10;

/// What the client is told of an upstream's answer that is no success.
pub fn upstream_problem(status: u16, body: &[u8]) -> Problem {
    let body = body.trim_ascii();
    if body.first() == Some(&b'<') || is_page(body) {
        return problem(status, &Said::default(), "and a page instead of a message");
    }
    let said = match json::read(body, Limits::EVENT) {
        Ok(value) => Said::read(&value),
        // Too many values for a message.
        Err(Fault::Nodes(_)) => Said::default(),
        Err(_) => Said { text: std::str::from_utf8(body).ok().map(str::to_owned), ..Said::default() },
    };
    problem(status, &said, "and did not say why")
}

/// What is told of an answer, a chunk of one, or a choice, that is an error although its status was none.
pub fn within(answer: &Value) -> Option<Refusal> {
    // Some send a list of one, and some the error with nothing around it.
    let answer = answer.get(0).unwrap_or(answer);
    let bare = answer.get("object").filter(|kind| **kind == "error").map(|_| answer);
    let error = answer.get("error").filter(|error| !error.is_null() && **error != Value::Bool(false)).or(bare)?;
    let said = Said::read(answer);
    let problem = problem(implied(error), &said, "within its answer and did not say why");
    Some(Refusal { status: problem.status, place: String::new(), message: problem.message })
}

/// What can be read out of an error.
#[derive(Default)]
struct Said {
    text: Option<String>,
    names_model: bool,
}

impl Said {
    /// From `{"error":{"message"}}`, `{"error":"text"}`, `{"message"}`, `{"detail"}`, and any of them in a list.
    fn read(value: &Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = match error {
            Value::String(text) => Some(text.clone()),
            _ => ["message", "detail", "msg", "error"].iter().find_map(|field| text_of(error.get(field)?)),
        };
        let text = text.or_else(|| text_of(value.get("message")?));
        let code = error.get("code").and_then(Value::as_str).unwrap_or_default();
        let names_model = matches!(code, "model_not_found" | "DeploymentNotFound")
            || text.as_deref().is_some_and(|text| text.to_ascii_lowercase().contains("model"));
        Self { text, names_model }
    }
}

/// The text of a message: itself, or those of a list of faults.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(faults) => {
            let texts = faults.iter().take(8).filter_map(|fault| match fault {
                Value::String(text) => Some(text.as_str()),
                _ => fault.get("msg").or_else(|| fault.get("message")).and_then(Value::as_str),
            });
            Some(texts.collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
    .filter(|text| !text.trim().is_empty())
}

fn problem(status: u16, said: &Said, otherwise: &str) -> Problem {
    let (to, fixed) = match status {
        400 | 422 => (400, None),
        401 | 403 => (502, Some("The upstream refused the gateway's credentials.")),
        402 => (502, Some("The upstream refused the gateway's account for want of payment.")),
        404 if said.names_model => (404, None),
        404 => (502, Some("The upstream does not know the path; the base of its API is wrong.")),
        408 | 504 => (504, None),
        413 | 429 => (status, None),
        503 | 529 => (529, None),
        _ => (502, None),
    };
    let message = fixed.map(str::to_owned).or_else(|| said.text.as_deref().and_then(line));
    Problem {
        status: to,
        message: message.unwrap_or_else(|| format!("The upstream failed with {status} {otherwise}.")),
    }
}

/// `text` in one line that is not long.
fn line(text: &str) -> Option<String> {
    let words: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out: String = words.chars().take(LONGEST).collect();
    if out.len() < words.len() {
        out.push('…');
    }
    (!out.trim().is_empty()).then_some(out)
}

/// Whether text is a page: some begin with a comment, or with words before the tag.
fn is_page(body: &[u8]) -> bool {
    let head = body.get(..body.len().min(4096)).unwrap_or_default().to_ascii_lowercase();
    let holds = |tag: &[u8]| head.windows(tag.len()).any(|window| window == tag);
    body.first().is_some_and(|byte| !matches!(byte, b'{' | b'[' | b'"'))
        && (holds(b"<html") || holds(b"<body") || holds(b"<!doctype"))
}

/// The status that an error within an answer stands for.
fn implied(error: &Value) -> u16 {
    let number = |field: &str| {
        let value = error.get(field)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u16::try_from(number).ok().filter(|status| (400..600).contains(status))
    };
    let word = |field: &str| error.get(field).and_then(Value::as_str).map(str::to_ascii_lowercase).unwrap_or_default();
    let words = [word("type"), word("code"), word("status")].join(" ");
    let says = |names: &[&str]| names.iter().any(|name| words.contains(name));
    number("code").or_else(|| number("status")).or_else(|| number("status_code")).unwrap_or(match () {
        () if says(&["rate_limit", "ratelimit", "quota", "too_many", "resource_exhausted"]) => 429,
        () if says(&["overloaded", "unavailable"]) => 529,
        () if says(&["timeout", "deadline"]) => 504,
        () if says(&["authentication", "permission", "unauthorized", "invalid_api_key"]) => 401,
        () if says(&["model_not_found", "not_found_error", "notfound"]) => 404,
        () if says(&[
            "invalid_request",
            "badrequest",
            "bad_request",
            "invalid_argument",
            "context_length",
            "content_filter",
        ]) =>
        {
            400
        }
        () => 502,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "The upstream refused the gateway's credentials.";

    #[test]
    fn an_answer_is_told_by_its_status() {
        let plain = br#"{"error":{"message":"why","type":"t","code":null}}"#;
        for (status, to, message) in [
            (400, 400, "why"),
            (422, 400, "why"),
            (401, 502, REFUSED),
            (403, 502, REFUSED),
            (402, 502, "The upstream refused the gateway's account for want of payment."),
            (404, 502, "The upstream does not know the path; the base of its API is wrong."),
            (405, 502, "why"),
            (408, 504, "why"),
            (504, 504, "why"),
            (413, 413, "why"),
            (429, 429, "why"),
            (500, 502, "why"),
            (501, 502, "why"),
            (502, 502, "why"),
            (503, 529, "why"),
            (529, 529, "why"),
            (520, 502, "why"),
            (302, 502, "why"),
            (200, 502, "why"),
            (0, 502, "why"),
        ] {
            assert_eq!(upstream_problem(status, plain), Problem { status: to, message: message.into() }, "{status}");
        }
    }

    #[test]
    fn a_missing_model_is_the_clients() {
        for body in [
            r#"{"error":{"message":"gone","type":"invalid_request_error","code":"model_not_found"}}"#,
            r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#,
            r#"{"error":{"message":"model 'x' not found, try pulling it first","type":"api_error"}}"#,
            r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#,
        ] {
            assert_eq!(upstream_problem(404, body.as_bytes()).status, 404, "{body}");
        }
        for body in [r#"{"detail":"Not Found"}"#, "404 page not found", "<h1>No model here</h1>", ""] {
            assert_eq!(upstream_problem(404, body.as_bytes()).status, 502, "{body}");
        }
    }

    #[test]
    fn bodies_of_many_shapes_are_read() {
        const SILENT: &str = "The upstream failed with 400 and did not say why.";
        const PAGE: &str = "The upstream failed with 400 and a page instead of a message.";
        for (body, message) in [
            (r#"{"error":"text"}"#, "text"),
            (r#"{"error":{"message":"a"},"message":"b"}"#, "a"),
            (r#"{"error":{"code":7},"message":"b"}"#, "b"),
            (r#"{"error":null,"message":"b"}"#, "b"),
            (r#"{"message":"b"}"#, "b"),
            (r#"{"detail":"c"}"#, "c"),
            (r#"{"detail":[{"loc":["body"],"msg":"d","type":"x"},{"msg":"e"}]}"#, "d; e"),
            (r#"[{"error":{"code":400,"message":"f","status":"INVALID_ARGUMENT"}}]"#, "f"),
            ("plain words\nin two lines", "plain words in two lines"),
            (r#"{"error":{"message":"a\u0000\u001b[31mb"}}"#, "a  [31mb"),
            ("{}", SILENT),
            ("[]", SILENT),
            ("", SILENT),
            ("  \n ", SILENT),
            (r#"{"error":{"message":{"deep":1}}}"#, SILENT),
            (r#"{"error":{"message":"  "}}"#, SILENT),
            ("<html><body>Bad Gateway sk-secret</body></html>", PAGE),
            ("  <!DOCTYPE html>", PAGE),
            ("Sorry <HTML>", PAGE),
            ("<?xml version='1.0'?><Error/>", PAGE),
        ] {
            assert_eq!(upstream_problem(400, body.as_bytes()).message, message, "{body}");
        }
        assert_eq!(upstream_problem(400, b"\xff\xfe\x00").message, SILENT);
        let long = upstream_problem(400, "ü".repeat(100_000).as_bytes()).message;
        assert_eq!(long.chars().count(), LONGEST + 1);
        assert!(upstream_problem(400, "[".repeat(100_000).as_bytes()).message.len() <= LONGEST + 3);
    }

    #[test]
    fn an_error_within_an_answer_is_told_by_what_it_says() {
        for (error, status) in [
            (r#"{"message":"m","code":429}"#, 429),
            (r#"{"message":"m","code":"429"}"#, 429),
            (r#"{"message":"m","code":401}"#, 502),
            (r#"{"message":"m","type":"rate_limit_error"}"#, 429),
            (r#"{"message":"m","code":"insufficient_quota"}"#, 429),
            (r#"{"message":"m","type":"overloaded_error"}"#, 529),
            (r#"{"message":"m","code":503,"status":"UNAVAILABLE"}"#, 529),
            (r#"{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}"#, 400),
            (r#"{"message":"m","type":"BadRequestError"}"#, 400),
            (r#"{"message":"m","type":"timeout_error"}"#, 504),
            (r#"{"message":"m","type":"server_error"}"#, 502),
            (r#"{"message":"m","code":7}"#, 502),
            (r#"{"message":"m","code":99999999999999999999}"#, 502),
            (r#""text""#, 502),
            ("{}", 502),
            ("[]", 502),
            ("true", 502),
        ] {
            let answer = serde_json::from_str(&format!(r#"{{"error":{error}}}"#)).expect("JSON");
            assert_eq!(within(&answer).map(|refusal| refusal.status), Some(status), "{error}");
        }
        for (answer, status) in [
            (r#"[{"error":{"code":429,"message":"m"}}]"#, 429),
            (r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#, 400),
            (r#"{"object":"error","message":"m","code":null}"#, 502),
            (r#"{"object":"error","error":null}"#, 502),
        ] {
            let told = within(&serde_json::from_str(answer).expect("JSON"));
            assert_eq!(told.map(|refusal| refusal.status), Some(status), "{answer}");
        }
        for fine in
            [r#"{"error":null}"#, r#"{"error":false}"#, r#"{"object":"chat.completion"}"#, "{}", "[]", "[7]", "7"]
        {
            assert_eq!(within(&serde_json::from_str(fine).expect("JSON")), None, "{fine}");
        }
    }
}
