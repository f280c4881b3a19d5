//! The answers: who may ask, and what is said. Pure functions from a request to a response;
//! `chat.rs`, `rerank.rs` and `text.rs` hold those that need some room.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{
    chat::chat,
    request::Request,
    rerank::rerank,
    response::Response,
    text::{completion, embeddings},
};

const LANGFUSE: &str = "/api/public/";
const LANGFUSE_PUBLIC_KEY: &str = "pk-sample";
/// Where a client may have put a credential of its own. `Authorization` and `?key=` are looked at apart.
const CLIENT_CREDENTIALS: [&str; 7] = [
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-litellm-api-key",
    "cookie",
    "proxy-authorization",
];
/// The Tollgate key of the quick start, which must never get here under any name.
const CLIENT_KEY: &str = "sk-1234";
const ECHOED_BODY: usize = 4 << 10;

/// The answer to one request.
pub(crate) fn answer(request: &Request, secret: &str) -> Response {
    let path = request.path();
    if !request.values("authorization").any(|value| is_injected(path, value, secret)) {
        return Response::error(401, "the provider's secret did not arrive in Authorization");
    }
    if let Some(place) = client_credential(request) {
        return Response::error(403, &format!("a credential of the client arrived in {place}"));
    }
    let (method, reply): (_, fn(&Request) -> Response) = match path {
        _ if path == "/echo" || path.starts_with("/echo/") => return echo(request, secret),
        "/api/public/ingestion" => ("POST", ingestion),
        "/api/public/otel/v1/traces" => ("POST", |_| Response::json(200, json!({}))),
        "/v1/chat/completions" => ("POST", chat),
        "/v1/completions" => ("POST", completion),
        "/v1/embeddings" => ("POST", embeddings),
        "/v1/models" => ("GET, HEAD", models),
        "/v1/rerank" => ("POST", rerank),
        _ => return Response::error(404, "nothing here under this path"),
    };
    match method.split(", ").any(|allowed| allowed == request.method) {
        true => reply(request),
        false => Response::method_not_allowed(method),
    }
}

fn is_injected(path: &str, value: &str, secret: &str) -> bool {
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    if path.starts_with(LANGFUSE) {
        let pair = format!("{LANGFUSE_PUBLIC_KEY}:{secret}");
        scheme.eq_ignore_ascii_case("basic") && credentials == BASE64.encode(pair)
    } else {
        scheme.eq_ignore_ascii_case("bearer") && credentials == secret
    }
}

/// The place of a credential that the client sent and the proxy let through, next to the injected one.
fn client_credential(request: &Request) -> Option<String> {
    if request.values("authorization").count() > 1 {
        return Some("a second Authorization line".to_owned());
    }
    let mut parameters = request.query().split('&');
    if parameters.any(|pair| pair.split('=').next() == Some("key")) {
        return Some("the query parameter key".to_owned());
    }
    let leaks = |name: &str, value: &str| {
        CLIENT_CREDENTIALS.contains(&name) || (name != "authorization" && value.contains(CLIENT_KEY))
    };
    request.headers.iter().find_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        leaks(&name, value).then(|| format!("the header {name}"))
    })
}

fn echo(request: &Request, secret: &str) -> Response {
    let masked = |text: &str| text.replace(secret, "***");
    let headers: Vec<_> = request.headers.iter().map(|(name, value)| json!([name, masked(value)])).collect();
    let text = std::str::from_utf8(&request.body).ok().filter(|text| text.len() <= ECHOED_BODY);
    let echo = json!({
        "method": request.method,
        "target": masked(&request.target),
        "headers": headers,
        "body_bytes": request.body.len(),
        "body": text.map(masked),
    });
    Response::json(200, echo)
}

/// Langfuse takes a batch event by event: those without an id are named as errors, the others are accepted.
fn ingestion(request: &Request) -> Response {
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(_) => return Response::error(400, "the body is not JSON"),
    };
    let Some(batch) = body["batch"].as_array() else {
        return Response::error(400, "batch must be a list");
    };
    let (accepted, nameless): (Vec<_>, Vec<_>) = batch.iter().partition(|event| event["id"].is_string());
    let successes: Vec<_> = accepted.iter().map(|event| json!({"id": event["id"], "status": 201})).collect();
    let errors: Vec<_> =
        nameless.iter().map(|_| json!({"id": "", "status": 400, "message": "the event has no id"})).collect();
    Response::json(207, json!({"successes": successes, "errors": errors}))
}

fn models(_: &Request) -> Response {
    let model = json!({"id": "sample-model", "object": "model", "created": 0, "owned_by": "tollgate-sample"});
    Response::json(200, json!({"object": "list", "data": [model]}))
}

/// `prefix-sample-1`, `prefix-sample-2`, …
pub(crate) fn next_id(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}-sample-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
