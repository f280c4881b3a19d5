//! Anthropic's own models beside others: each is asked in its own language, and again when another has failed.

use serde_json::{Value, json};

use crate::messages::{ASKED, ask, read};
use crate::models::{answers, completes, completion, config, entry};
use crate::support::gate::{KEY, SECRET};
use crate::support::{Gate, Origin, send};

#[test]
fn anthropic_s_own_models_are_asked_in_their_own_language() {
    let origin = Origin::start(|exchange| {
        let body = match exchange.request.target() {
            "/v1/messages" => json!({"type": "message", "model": "claude-upstream", "content": []}),
            "/v1/messages/count_tokens" => json!({"input_tokens": 5}),
            _ => completion("as OpenAI"),
        };
        answers(exchange, "200 OK", "", &body.to_string())
    });
    let gate = Gate::start(&config(&[entry("claude", "anthropic/claude-x", &origin, "")], ""));
    let lines = |path: &str| {
        format!("POST {path} HTTP/1.1\nx-api-key: {KEY}\nanthropic-beta: some-beta\nanthropic-version: 2024-01-01")
    };
    let body =
        r#"{ "model":"claude", "max_tokens":1, "anything": {"new": 1.0}, "messages":[{"role":"user","content":"hi"}]}"#;
    let answer = send(gate.port, &lines("/v1/messages"), body.as_bytes());
    assert_eq!(answer.text(), r#"{"type":"message","model":"claude-upstream","content":[]}"#);
    let arrived = origin.last();
    assert_eq!((arrived.target(), arrived.text()), ("/v1/messages", body.replace("\"claude\"", "\"claude-x\"")));
    assert_eq!((arrived.one("x-api-key"), arrived.one("authorization")), (Some(SECRET), None));
    assert_eq!(
        (arrived.one("anthropic-beta"), arrived.one("anthropic-version")),
        (Some("some-beta"), Some("2024-01-01"))
    );
    let counted = send(gate.port, &lines("/v1/messages/count_tokens"), body.as_bytes());
    assert_eq!((read(&counted), origin.last().target()), (json!({"input_tokens": 5}), "/v1/messages/count_tokens"));
    let chat =
        send(gate.port, &format!("POST /v1/chat/completions HTTP/1.1\nx-api-key: {KEY}"), br#"{"model":"claude"}"#);
    assert_eq!(read(&chat)["choices"][0]["message"]["content"], "as OpenAI");
    let arrived = origin.last();
    assert_eq!(arrived.target(), "/v1/chat/completions");
    assert_eq!(
        (arrived.one("x-api-key"), arrived.one("authorization")),
        (None, Some(format!("Bearer {SECRET}").as_str()))
    );
}

#[test]
fn what_anthropic_lacks_is_asked_of_nobody_or_of_another() {
    let origin = Origin::start(completes);
    let entries = [entry("claude", "anthropic/claude-x", &origin, ""), entry("spare", "openai/gpt-4o", &origin, "")];
    let ask = |gate: &Gate, path: &str| {
        let head = format!("POST {path} HTTP/1.1\nx-api-key: {KEY}");
        send(gate.port, &head, br#"{"model":"claude","input":"hi","prompt":"hi"}"#)
    };
    for path in ["/v1/embeddings", "/v1/completions"] {
        let alone = Gate::start(&config(&entries, ""));
        let answer = ask(&alone, path);
        assert_eq!(answer.status(), 501, "{path}: {}", answer.everything());
        assert!(answer.text().contains("Anthropic has no "), "{path}: {}", answer.text());
        assert!(origin.seen().is_empty(), "{path}");
    }
    for (number, path) in ["/v1/embeddings", "/v1/completions"].into_iter().enumerate() {
        let gate = Gate::start(&config(&entries, "router_settings:\n  fallbacks: [{claude: [spare]}]\n"));
        let answer = ask(&gate, path);
        assert_eq!((answer.status(), answer.one("x-litellm-attempted-retries")), (200, Some("0")), "{path}");
        assert_eq!((origin.seen().len(), origin.last().target()), (number + 1, path));
    }
}

#[test]
fn who_lacks_what_is_asked_is_no_attempt() {
    let origin = Origin::start(|exchange| match exchange.request.text().contains("\"down\"") {
        true => answers(exchange, "503 Busy", "", "{}"),
        false => completes(exchange),
    });
    let claude = entry("any", "anthropic/claude-x", &origin, ", order: 1");
    let embeds = |gate: &Gate| {
        let head = format!("POST /v1/embeddings HTTP/1.1\nx-api-key: {KEY}\nx-litellm-num-retries: 0");
        send(gate.port, &head, br#"{"model":"any","input":"hi"}"#)
    };
    let gate = Gate::start(&config(&[claude.clone(), entry("any", "openai/gpt-4o", &origin, ", order: 2")], ""));
    assert_eq!(embeds(&gate).status(), 200, "the second is asked, which is no retry");
    let gate = Gate::start(&config(&[claude, entry("any", "openai/down", &origin, ", order: 2")], ""));
    assert_eq!(embeds(&gate).status(), 503, "the failure of the one that was asked is told");
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn what_one_has_had_translated_another_gets_as_it_was_sent() {
    let origin = Origin::start(|exchange| match exchange.request.target() {
        "/v1/messages" => answers(exchange, "200 OK", "", r#"{"type":"message"}"#),
        _ => answers(exchange, "500 Oops", "", r#"{"error":{"message":"oops"}}"#),
    });
    let entries = [entry("claude", "openai/gpt-4o", &origin, ""), entry("spare", "anthropic/claude-x", &origin, "")];
    let fallbacks = "router_settings:\n  num_retries: 0\n  fallbacks: [{claude: [spare]}]\n";
    let gate = Gate::start(&config(&entries, fallbacks));
    let answer = ask(&gate, ASKED);
    assert_eq!((answer.status(), answer.one("x-litellm-attempted-fallbacks")), (200, Some("1")));
    let arrived = origin.last();
    assert_eq!((arrived.target(), arrived.text()), ("/v1/messages", ASKED.replace("\"claude\"", "\"claude-x\"")));
}

#[test]
fn what_is_asked_again_is_what_was_asked() {
    let origin = Origin::start(|exchange| match exchange.request.text().contains("\"last\"") {
        true => completes(exchange),
        false => answers(exchange, "500 Oops", "", r#"{"error":{"message":"oops"}}"#),
    });
    // One model after another, each with rules of its own for what it is asked.
    let entries = [
        entry("claude", "openai/o3", &origin, ", order: 1"),
        entry("claude", "openai/gpt-4o", &origin, ", order: 2"),
        entry("spare", "openai/last", &origin, ""),
    ];
    let gate = Gate::start(&config(&entries, "router_settings:\n  num_retries: 1\n  fallbacks: [{claude: [spare]}]\n"));
    let answer = ask(&gate, &ASKED.replacen('{', r#"{"temperature":0.5,"top_k":5,"#, 1));
    assert_eq!((answer.status(), answer.one("x-tollgate-dropped")), (200, Some("top_k")), "{}", answer.everything());
    let asked: Vec<Value> = origin.seen().iter().map(read).collect();
    let models: Vec<&str> = asked.iter().filter_map(|chat| chat["model"].as_str()).collect();
    assert_eq!(models, ["o3", "gpt-4o", "last"]);
    for chat in &asked {
        assert_eq!(chat["messages"], asked[0]["messages"], "every one is asked the same");
        let most = if chat["model"] == "o3" { "max_completion_tokens" } else { "max_tokens" };
        assert_eq!(chat[most], 64, "{chat}");
        assert_eq!(chat.get("temperature").is_some(), chat["model"] != "o3", "what one does not take another does");
    }
}
