//! What goes wrong between Tollgate and a model's server, on the routes that pass through and on those that translate.

use std::time::Duration;

use serde_json::{Value, json};

use crate::models::{answers, completes, completion, config, entry};
use crate::support::gate::{KEY, SECRET};
use crate::support::origin::Exchange;
use crate::support::{Gate, Message, Origin, send};

fn chat(gate: &Gate, fields: &str, stream: bool) -> Message {
    let lines = format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}\n{fields}");
    send(gate.port, &lines, json!({"model": "m", "stream": stream, "messages": []}).to_string().as_bytes())
}

fn messages(gate: &Gate, body: &str) -> Message {
    send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {KEY}"), body.as_bytes())
}

fn error(message: &Message) -> Value {
    let body: Value = serde_json::from_slice(&message.body).unwrap_or_else(|_| panic!("{}", message.everything()));
    body["error"].clone()
}

fn gate(origin: &Origin, more: &str) -> Gate {
    Gate::start(&config(&[entry("m", "openai/gpt-4o", origin, more)], "router_settings: {num_retries: 0}\n"))
}

/// A stream of `events`, which ends as HTTP wants it.
fn streams(exchange: &mut Exchange, events: &str) -> std::io::Result<()> {
    exchange.write(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{events}",
        events.len()
    ))
}

const DELTA: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn streams_that_pass_through_end_as_they_should() {
    let told = format!("data: {{\"error\":{{\"message\":\"key {SECRET} is wrong\",\"code\":\"429\"}}}}\n\n");
    for (events, status, whole, error) in [
        (format!("{DELTA}{STOP}data: [DONE]\n\n"), 200, true, false),
        (format!("{DELTA}{STOP}"), 200, true, false),
        (DELTA.to_owned(), 200, false, true),
        // It came in one piece, of which nothing had been sent.
        (format!("{DELTA}{told}"), 429, false, true),
        (told.clone(), 429, false, true),
        (String::new(), 502, false, true),
        ("data: [DONE]\n\n".to_owned(), 200, true, false),
    ] {
        let sent = events.clone();
        let origin = Origin::start(move |exchange| streams(exchange, &sent));
        let answer = chat(&gate(&origin, ""), "", true);
        assert_eq!(answer.status(), status, "{events}: {}", answer.everything());
        assert_eq!(answer.text() == events, whole, "{events}: {}", answer.text());
        assert_eq!(answer.text().contains("\"error\""), error, "{events}: {}", answer.text());
        assert!(!answer.everything().contains(SECRET), "{}", answer.everything());
    }
}

#[test]
fn an_ended_stream_is_over_though_its_server_stays() {
    for (path, end) in [("/v1/chat/completions", "data: [DONE]"), ("/v1/messages", "message_stop")] {
        for last in ["data: [DONE]\n\n", ""] {
            let origin = Origin::start(move |exchange| {
                exchange.write(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
                )?;
                let events = format!("{DELTA}{STOP}{last}");
                exchange.write(format!("{:x}\r\n{events}\r\n", events.len()))?;
                exchange.wait_gone();
                Ok(())
            });
            let gate = gate(&origin, "");
            let body =
                json!({"model": "m", "stream": true, "max_tokens": 5, "messages": [{"role": "user", "content": "a"}]});
            let answer =
                send(gate.port, &format!("POST {path} HTTP/1.1\nx-api-key: {KEY}"), body.to_string().as_bytes());
            let text = answer.text();
            // Without its last word a passed stream has none either.
            assert!(text.contains(end) || (last.is_empty() && path.ends_with("completions")), "{path}: {text}");
            assert!(!text.contains("error"), "{path}: {text}");
        }
    }
}

#[test]
fn answers_that_are_none_of_the_api_are_502() {
    type Fault = fn(&mut Exchange) -> std::io::Result<()>;
    let faults: [(&str, Fault); 5] = [
        ("a page", |exchange| {
            exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<html>no<")
        }),
        ("half of it", |exchange| answers(exchange, "200 OK", "", "{\"choices\":[")),
        ("a coding", |exchange| answers(exchange, "200 OK", "Content-Encoding: gzip\r\n", "{}")),
        ("an error", |exchange| answers(exchange, "200 OK", "", r#"{"error":{"message":"not today"}}"#)),
        ("nothing", |exchange| answers(exchange, "204 No Content", "", "")),
    ];
    for (name, fault) in faults {
        let origin = Origin::start(fault);
        let answer = chat(&gate(&origin, ""), "", false);
        assert_eq!(answer.status(), 502, "{name}: {}", answer.everything());
        assert!(answer.one("x-request-id").is_some(), "{name}");
    }
}

#[test]
fn a_server_that_knows_no_streams_is_heard_all_the_same() {
    let origin = Origin::start(completes);
    let answer = chat(&gate(&origin, ""), "", true);
    assert_eq!(answer.one("content-type"), Some("text/event-stream; charset=utf-8"));
    let text = answer.text();
    assert!(
        text.contains("\"delta\":{\"role\":\"assistant\",\"content\":\"fine\"}") && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
}

#[test]
fn a_stale_connection_is_nobody_s_failure() {
    let origin = Origin::start(|exchange| {
        if exchange.number == 0 {
            return completes(exchange);
        }
        exchange.reset();
        Err(std::io::ErrorKind::Other.into())
    });
    let gate = gate(&origin, "");
    for _ in 0..3 {
        let answer = chat(&gate, "", false);
        assert_eq!((answer.status(), answer.one("x-litellm-attempted-retries")), (200, Some("0")));
    }
}

#[test]
fn when_to_come_again_is_told_and_nothing_else() {
    for (fields, seconds, millis) in [
        ("Retry-After: 77\r\n", Some("77"), Some("77000")),
        ("Retry-After: 77\r\nretry-after-ms: 500\r\n", Some("1"), Some("500")),
        ("Retry-After: host-internal.example sk-upstream\r\n", None, None),
    ] {
        let origin = Origin::start(move |exchange| answers(exchange, "429 Too Many Requests", fields, "{}"));
        let answer = chat(&gate(&origin, ""), "", false);
        assert_eq!(answer.status(), 429);
        assert_eq!((answer.one("retry-after"), answer.one("retry-after-ms")), (seconds, millis), "{fields}");
        assert!(!answer.everything().contains("sk-upstream"));
    }
    let origin = Origin::start(|exchange| answers(exchange, "529 Overloaded", "", "{}"));
    let answer = chat(&gate(&origin, ""), "", false);
    assert_eq!((answer.status(), error(&answer)["type"].as_str()), (503, Some("service_unavailable_error")));
}

#[test]
fn a_client_in_a_hurry_benches_nobody() {
    let (slow, spare) = (
        Origin::start(|exchange| {
            std::thread::sleep(Duration::from_millis(300));
            completes(exchange)
        }),
        Origin::start(completes),
    );
    let entries = [entry("m", "openai/m", &slow, ", order: 1"), entry("m", "openai/m", &spare, ", order: 2")];
    let gate = Gate::start(&config(&entries, "router_settings: {allowed_fails: 0, cooldown_time: 60}\n"));
    for _ in 0..3 {
        assert_eq!(chat(&gate, "x-litellm-timeout: 0.05", false).status(), 200);
    }
    let before = spare.seen().len();
    assert_eq!(chat(&gate, "", false).status(), 200);
    assert_eq!(spare.seen().len(), before, "the first is asked again");
    // And nobody waits longer than the file says.
    let patient = Gate::start(&config(
        &[entry("m", "openai/m", &slow, ", timeout: 0.05")],
        "router_settings: {num_retries: 0}\n",
    ));
    assert_eq!(chat(&patient, "x-litellm-timeout: 100", false).status(), 504);
}

#[test]
fn anthropic_s_own_models_take_what_others_cannot_and_counts_stay_where_they_belong() {
    let origin = Origin::start(|exchange| {
        let body = match exchange.request.target() {
            "/v1/messages/count_tokens" => json!({"input_tokens": 5}),
            "/v1/messages" => json!({"type": "message", "content": []}),
            _ => completion("as OpenAI"),
        };
        answers(exchange, "200 OK", "", &body.to_string())
    });
    let entries = [
        entry("own", "anthropic/claude-x", &origin, ""),
        entry("mixed", "openai/gpt-4o", &origin, ", order: 1"),
        entry("mixed", "anthropic/claude-x", &origin, ", order: 2"),
    ];
    let gate = Gate::start(&config(&entries, ""));
    let body = |model: &str| {
        format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}],"tools":[{{"type":"web_search_20250305","name":"web_search"}}]}}"#
        )
    };
    assert_eq!(messages(&gate, &body("own")).status(), 200);
    assert_eq!(origin.last().text(), body("own").replace("\"own\"", "\"claude-x\""));
    assert_eq!(messages(&gate, &body("mixed")).status(), 400, "where another would be asked it cannot be carried");
    let seen = origin.seen().len();
    let lines = format!("POST /v1/messages/count_tokens HTTP/1.1\nx-api-key: {KEY}");
    let count = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello, world"}]}).to_string();
        send(gate.port, &lines, body.as_bytes()).text()
    };
    assert_eq!(count("mixed"), r#"{"input_tokens":10}"#);
    assert_eq!(origin.seen().len(), seen, "OpenAI has nobody to ask");
    assert_eq!(count("own"), r#"{"input_tokens":5}"#);
    let twice = send(gate.port, &lines, br#"{"model":"mixed","model":"own","messages":[]}"#);
    assert_eq!(twice.status(), 400);
}

#[test]
fn who_may_not_come_is_not_read_from() {
    let origin = Origin::start(completes);
    let keys = "tollgate:\n  keys:\n    - {key: sk-rerank-0123456789, allowed_routes: [/v1/rerank]}\n    - {key: sk-none-0123456789, rpm_limit: 0}\n    - {key: sk-denied-0123456789, denied_passthrough_routes: [/v1/messages]}\n";
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], keys));
    for (key, status) in [("sk-rerank-0123456789", 403), ("sk-none-0123456789", 429), ("sk-denied-0123456789", 403)] {
        // A body that never comes whole.
        let head =
            format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nContent-Length: 30000000\r\n\r\n{{");
        let answer = crate::support::Client::connect(gate.port).ask(head).expect("an answer");
        assert_eq!(answer.status(), status, "{key}: {}", answer.everything());
        assert!(answer.one("request-id").is_some());
    }
}

#[test]
fn a_key_in_the_name_of_a_model_does_not_leave_and_a_coded_body_is_told_of() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("*", "openai/*", &origin, "")], ""));
    let ask = |model: &str, fields: &str| {
        let lines = format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}\n{fields}");
        send(gate.port, &lines, json!({"model": model}).to_string().as_bytes())
    };
    let answer = ask(KEY, "");
    assert_eq!((answer.status(), origin.seen().len()), (404, 0), "{}", answer.everything());
    assert!(!answer.everything().contains(KEY));
    let answer = ask("m", "content-encoding: gzip");
    assert_eq!((answer.status(), origin.seen().len()), (415, 0));
    assert!(error(&answer)["message"].as_str().expect("message").contains("content-encoding"));
    assert_eq!((ask("m", "").status(), ask("m", "content-encoding: identity").status()), (200, 200));
}
