//! Clients as their makers ship them on models behind the real executable: Anthropic's SDKs for Python and TypeScript,
//! LangChain, Vercel's AI SDK, OpenAI's SDKs; and a server of OpenAI's API that others wrote in the place of the model.

#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/call.rs"]
mod call;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/http1.rs"]
mod http1;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/process.rs"]
mod process;

use call::post;
use process::{Serving, Venv, node_script, script};
use serde_json::json;

const KEY: &str = "sk-caller-0123456789abcdef";
const SECRET: &str = "sample-secret-of-the-tests";

/// Tollgate in front of the sample upstream, whose models keep their names, in their moods too.
fn served() -> (Serving, Serving) {
    let upstream = Serving::upstream(SECRET);
    let entry = |name: &str| {
        format!(
            "  - {{model_name: '{name}', litellm_params: {{model: 'openai/{name}', api_base: '{}/v1', api_key: {SECRET}}}, tollgate: {{takes: [top_k, reasoning_content]}}}}\n",
            upstream.url()
        )
    };
    let config = format!(
        "general_settings: {{master_key: {KEY}}}\nrouter_settings: {{num_retries: 0}}\nmodel_list:\n{}{}",
        entry("sample-model"),
        entry("sample-*")
    );
    let tollgate = Serving::tollgate(&config, &[]);
    (upstream, tollgate)
}

#[test]
fn the_anthropic_sdk_for_python() {
    let (_upstream, tollgate) = served();
    script(Venv::Sdk, "anthropic_messages.py", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn langchain_s_anthropic_models() {
    let (_upstream, tollgate) = served();
    script(Venv::Sdk, "langchain_anthropic_models.py", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn the_openai_sdk_for_python() {
    let (_upstream, tollgate) = served();
    script(Venv::Sdk, "openai_models.py", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn the_anthropic_sdk_for_typescript() {
    let (_upstream, tollgate) = served();
    node_script("anthropic.mjs", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn the_openai_sdk_for_typescript() {
    let (_upstream, tollgate) = served();
    node_script("openai.mjs", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn vercel_s_ai_sdk() {
    let (_upstream, tollgate) = served();
    node_script("vercel.mjs", &[("BASE_URL", tollgate.url()), ("KEY", KEY)]);
}

#[test]
fn a_server_that_others_wrote_in_the_place_of_the_model() {
    let litellm = Serving::litellm(
        "model_list:\n  - {model_name: mock, litellm_params: {model: openai/mock, api_key: x, mock_response: 'It works, whole and in pieces.'}}\ngeneral_settings: {master_key: sk-litellm}\n",
    );
    let config = format!(
        "general_settings: {{master_key: {KEY}}}\nmodel_list:\n  - {{model_name: claude, litellm_params: {{model: openai/mock, api_base: '{}', api_key: sk-litellm}}}}\n",
        litellm.url()
    );
    let tollgate = Serving::tollgate(&config, &[]);
    let body = json!({"model": "claude", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]});
    let key = format!("x-api-key: {KEY}");
    let reply = post(tollgate.host(), "/v1/messages", &[&key], &body.to_string());
    assert_eq!(reply.status, 200, "{reply:?}");
    let message = reply.json();
    assert_eq!(message["content"], json!([{"type": "text", "text": "It works, whole and in pieces."}]));
    assert_eq!((&message["stop_reason"], &message["model"]), (&json!("end_turn"), &json!("claude")));
    let mut streamed = body;
    streamed["stream"] = json!(true);
    let reply = post(tollgate.host(), "/v1/messages", &[&key], &streamed.to_string());
    let text = String::from_utf8_lossy(&reply.message.body).into_owned();
    let said: String = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "It works, whole and in pieces.", "{text}");
    assert!(text.trim_end().ends_with("data: {\"type\":\"message_stop\"}"), "{text}");
    let unknown = post(tollgate.host(), "/v1/messages", &[&key], r#"{"model":"none","max_tokens":1,"messages":[]}"#);
    assert!(unknown.status == 400 || unknown.status == 404, "{unknown:?}");
}
