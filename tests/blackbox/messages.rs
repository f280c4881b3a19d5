//! Anthropic's Messages in front of a model that speaks as OpenAI does.

use std::io::Read;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::{answers, completes, config, entry};
use crate::support::gate::{KEY, SECRET, routes};
use crate::support::origin::Exchange;
use crate::support::{Client, Gate, Message, Origin, send, wait_until};

#[allow(dead_code, reason = "shared with the example, which prints more")]
#[path = "../../examples/grammar/rules.rs"]
mod rules;

pub const ASKED: &str =
    r#"{"model":"claude","max_tokens":64,"system":"be kind","messages":[{"role":"user","content":"hi"}]}"#;

fn streamed() -> String {
    ASKED.replacen('{', r#"{"stream":true,"#, 1)
}

pub fn ask(gate: &Gate, body: &str) -> Message {
    send(
        gate.port,
        &format!("POST /v1/messages HTTP/1.1\nx-api-key: {KEY}\nanthropic-version: 2023-06-01"),
        body.as_bytes(),
    )
}

pub fn read(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap_or_else(|_| panic!("{}", message.everything()))
}

/// Type and data of each event.
fn events(text: &str) -> Vec<(String, Value)> {
    let event = |frame: &str| {
        let name = frame.lines().find_map(|line| line.strip_prefix("event: ")).expect("a name").to_owned();
        let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        (name, serde_json::from_str(data).expect("JSON"))
    };
    text.split("\n\n").filter(|frame| !frame.trim().is_empty()).map(event).collect()
}

/// The names of the events of a stream that keeps the grammar.
fn names(text: &str) -> Vec<String> {
    rules::judge(text.as_bytes()).unwrap_or_else(|broken| panic!("{broken}\n{text}"));
    events(text).into_iter().map(|(name, _)| name).collect()
}

fn begin_stream(exchange: &mut Exchange) -> std::io::Result<()> {
    exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
}

fn chunk(exchange: &mut Exchange, text: &str) -> std::io::Result<()> {
    exchange.write(format!("{:x}\r\n{text}\r\n", text.len()))
}

fn delta(content: &str, finish: Option<&str>) -> String {
    let value = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-upstream",
        "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}],
    });
    format!("data: {value}\n\n")
}

fn streams(exchange: &mut Exchange) -> std::io::Result<()> {
    begin_stream(exchange)?;
    chunk(exchange, &delta("Hel", None))?;
    chunk(exchange, &delta("lo", Some("stop")))?;
    chunk(exchange, "data: [DONE]\n\n")?;
    exchange.write("0\r\n\r\n")
}

#[test]
fn a_message_is_a_chat_at_the_origin_and_a_message_again_at_the_client() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
    for path in ["/v1/messages", "/messages", "/v1/messages?beta=true"] {
        let lines = format!("POST {path} HTTP/1.1\nx-api-key: {KEY}\nanthropic-version: 2023-06-01");
        let answer = send(gate.port, &lines, ASKED.as_bytes());
        assert_eq!(answer.status(), 200, "{}", answer.everything());
        assert_eq!(answer.one("content-type"), Some("application/json"));
        assert_eq!(answer.one("request-id"), answer.one("x-litellm-call-id"));
        let message = read(&answer);
        assert_eq!(message["type"], "message");
        assert_eq!(message["model"], "claude");
        assert_eq!(message["content"], json!([{"type": "text", "text": "fine"}]));
        assert_eq!(message["stop_reason"], "end_turn");
        assert_eq!((&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]), (&json!(9), &json!(2)));
        let arrived = origin.last();
        assert_eq!(arrived.start, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(arrived.one("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        assert_eq!((arrived.one("x-api-key"), arrived.one("anthropic-version")), (None, None));
        assert_eq!(
            read(&arrived),
            json!({
                "model": "gpt-4o", "max_tokens": 64,
                "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
            })
        );
    }
}

#[test]
fn the_first_event_is_out_when_the_first_chunk_is_in() {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        begin_stream(exchange)?;
        chunk(exchange, &delta("Hel", None))?;
        wait.lock().expect("lock").recv().expect("the client has seen the first");
        chunk(exchange, &delta("lo", Some("stop")))?;
        chunk(exchange, "data: [DONE]\n\n")?;
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
    let mut client = Client::connect(gate.port);
    let body = streamed();
    let lines =
        format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write(format!("{lines}{body}")).expect("request");
    let head = client.head().expect("head");
    assert_eq!(head.one("content-type"), Some("text/event-stream; charset=utf-8"));
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("Hel") {
        let count = client.reader.read(&mut buffer).expect("a piece");
        assert!(count > 0);
        text += &String::from_utf8_lossy(&buffer[..count]);
    }
    go_on.send(()).expect("the origin waits");
    while !text.contains("message_stop") {
        let count = client.reader.read(&mut buffer).expect("a piece");
        assert!(count > 0);
        text += &String::from_utf8_lossy(&buffer[..count]);
    }
    let asked = read(&origin.only());
    assert_eq!((&asked["stream"], &asked["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
}

#[test]
fn a_stream_is_whole_over_every_version_of_http() {
    let origin = Origin::start(streams);
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
    let expected = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    let answer = ask(&gate, &streamed());
    assert_eq!(names(&answer.text()), expected);
    let all = events(&answer.text());
    assert_eq!(all[0].1["message"]["model"], "claude");
    assert!(all[0].1["message"]["usage"]["input_tokens"].as_u64().expect("a number") > 0);
    assert_eq!(all[6].1["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    let body = streamed();
    let old = format!("POST /v1/messages HTTP/1.0\r\nx-api-key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = Client::connect(gate.port).ask(old).expect("answer");
    assert_eq!((answer.one("transfer-encoding"), names(&answer.text())), (None, expected.map(str::to_owned).to_vec()));
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    for begins in [false, true] {
        let (left, told) = mpsc::channel();
        let left = std::sync::Mutex::new(left);
        let origin = Origin::start(move |exchange| {
            if begins {
                begin_stream(exchange)?;
                chunk(exchange, &delta("Hel", None))?;
            }
            exchange.wait_gone();
            left.lock().expect("lock").send(Instant::now()).expect("somebody listens");
            Ok(())
        });
        let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
        let mut client = Client::connect(gate.port);
        let body = streamed();
        let lines = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write(format!("{lines}{body}")).expect("request");
        let _ = origin.only();
        if begins {
            client.head().expect("head");
        }
        let since = Instant::now();
        client.close();
        let at = told.recv_timeout(Duration::from_secs(20)).expect("the call has ended");
        // A bound on the order of things, not on speed: without the watch it would be the silence of ten minutes.
        assert!(at.saturating_duration_since(since) < Duration::from_secs(10), "begins: {begins}");
        let status = if begins { "\"status\":200" } else { "\"status\":499" };
        wait_until("the line is written", || gate.log().contains(status));
        assert!(gate.log().contains("\"error\":\"the client left\""), "{}", gate.log());
        assert_eq!(gate.log().contains("\"broken\":true"), begins, "{}", gate.log());
    }
}

#[test]
fn what_fails_before_the_first_byte_is_an_answer_and_after_it_an_event() {
    type Fault = fn(&mut Exchange) -> std::io::Result<()>;
    let faults: [(&str, Fault, u16, &str); 8] = [
        (
            "nothing at all",
            |exchange| {
                begin_stream(exchange)?;
                exchange.write("0\r\n\r\n")
            },
            502,
            "api_error",
        ),
        (
            "a page",
            |exchange| {
                exchange
                    .write("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>")
            },
            502,
            "api_error",
        ),
        (
            "a page for an error",
            |exchange| {
                exchange.write(
                    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>",
                )
            },
            502,
            "api_error",
        ),
        (
            "a reset",
            |exchange| {
                begin_stream(exchange)?;
                exchange.reset();
                Err(std::io::ErrorKind::Other.into())
            },
            502,
            "api_error",
        ),
        (
            "busy",
            |exchange| {
                answers(
                    exchange,
                    "429 Too Many Requests",
                    "Retry-After: 77\r\n",
                    r#"{"error":{"message":"slow down"}}"#,
                )
            },
            429,
            "rate_limit_error",
        ),
        (
            "our key",
            |exchange| answers(exchange, "401 Unauthorized", "", r#"{"error":{"message":"bad key"}}"#),
            502,
            "api_error",
        ),
        (
            "overloaded",
            |exchange| answers(exchange, "503 Service Unavailable", "Retry-After: 77\r\n", "{}"),
            529,
            "overloaded_error",
        ),
        (
            "theirs",
            |exchange| answers(exchange, "400 Bad Request", "", r#"{"error":{"message":"too long"}}"#),
            400,
            "invalid_request_error",
        ),
    ];
    for (name, fault, status, kind) in faults {
        let origin = Origin::start(fault);
        let more = "router_settings: {num_retries: 0}\n";
        let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], more));
        let answer = ask(&gate, &streamed());
        assert_eq!(answer.status(), status, "{name}: {}", answer.everything());
        let told = read(&answer);
        assert_eq!((&told["type"], &told["error"]["type"]), (&json!("error"), &json!(kind)), "{name}");
        assert_eq!(told["request_id"].as_str(), answer.one("x-litellm-call-id"), "{name}");
        let waits = matches!(name, "busy" | "overloaded");
        assert_eq!(answer.one("retry-after"), waits.then_some("77"), "{name}");
        assert!(!answer.text().contains("html"), "{name}");
    }
    let faults: [(&str, Fault); 4] = [
        ("cut", |exchange| {
            begin_stream(exchange)?;
            chunk(exchange, &delta("Hel", None))?;
            // What is reset at once may overtake what was sent.
            std::thread::sleep(Duration::from_millis(100));
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }),
        ("ended early", |exchange| {
            begin_stream(exchange)?;
            chunk(exchange, &delta("Hel", None))?;
            exchange.write("0\r\n\r\n")
        }),
        ("nonsense", |exchange| {
            begin_stream(exchange)?;
            chunk(exchange, &delta("Hel", None))?;
            chunk(exchange, "data: {\"cho\n\n")?;
            exchange.write("0\r\n\r\n")
        }),
        ("silence", |exchange| {
            begin_stream(exchange)?;
            chunk(exchange, &delta("Hel", None))?;
            exchange.wait_gone();
            Ok(())
        }),
    ];
    for (name, fault) in faults {
        let origin = Origin::start(fault);
        let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, ", timeout: 1")], ""));
        let answer = ask(&gate, &streamed());
        assert_eq!(answer.status(), 200, "{name}");
        let names = names(&answer.text());
        assert_eq!(names.last().map(String::as_str), Some("error"), "{name}: {}", answer.text());
        assert_eq!(names.iter().filter(|event| *event == "error").count(), 1, "{name}");
        assert!(!names.iter().any(|event| event == "message_stop"), "{name}");
        assert_eq!(origin.seen().len(), 1, "{name}: nothing is tried again behind a client's back");
    }
}

#[test]
fn what_tollgate_refuses_has_the_shape_of_anthropic() {
    let origin = Origin::start(completes);
    let more =
        "tollgate: {keys: [{key: sk-few-0123456789, rpm_limit: 0}, {key: sk-some-0123456789, models: [other]}]}\n";
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], more));
    let post = |key: &str, body: &str| {
        send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {key}"), body.as_bytes())
    };
    let large =
        format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: 40000000\r\n\r\n");
    for (name, answer, status, kind) in [
        ("no key", post("sk-none", ASKED), 401, "authentication_error"),
        ("no model", post(KEY, &ASKED.replace("claude", "none")), 404, "not_found_error"),
        ("not this model", post("sk-some-0123456789", ASKED), 403, "permission_error"),
        ("too many", post("sk-few-0123456789", ASKED), 429, "rate_limit_error"),
        ("no JSON", post(KEY, "{"), 400, "invalid_request_error"),
        ("no messages", post(KEY, r#"{"model":"claude","max_tokens":1}"#), 400, "invalid_request_error"),
        ("too large", Client::connect(gate.port).ask(large).expect("answer"), 413, "request_too_large"),
        (
            "GET",
            send(gate.port, &format!("GET /v1/messages HTTP/1.1\nx-api-key: {KEY}"), b""),
            405,
            "invalid_request_error",
        ),
        ("count", send(gate.port, "POST /v1/messages/count_tokens HTTP/1.1", b"{}"), 401, "authentication_error"),
    ] {
        assert_eq!(answer.status(), status, "{name}: {}", answer.everything());
        let told = read(&answer);
        assert_eq!((&told["type"], &told["error"]["type"]), (&json!("error"), &json!(kind)), "{name}");
        assert_eq!(told["request_id"].as_str(), answer.one("x-litellm-call-id"), "{name}");
        assert!(!told["error"]["message"].as_str().expect("message").is_empty(), "{name}");
    }
    assert!(origin.seen().is_empty());
}

#[test]
fn tokens_are_counted_without_asking_anybody() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
    let count = |body: &str| {
        let lines = format!("POST /v1/messages/count_tokens HTTP/1.1\nx-api-key: {KEY}");
        send(gate.port, &lines, body.as_bytes())
    };
    let answer = count(r#"{"model":"claude","messages":[{"role":"user","content":"Hello, world"}]}"#);
    assert_eq!(answer.status(), 200, "{}", answer.everything());
    assert_eq!(read(&answer), json!({"input_tokens": 10}));
    assert_eq!(count(r#"{"model":"claude"}"#).status(), 400);
    assert!(origin.seen().is_empty());
}

#[test]
fn an_adapter_is_served_wherever_the_file_says() {
    let origin = Origin::start(completes);
    let entries = [
        "{path: /v1/messages, target: custom_callbacks.anthropic_adapter, headers: {litellm_user_api_key: x-api-key}}",
        "{path: '/of/{tenant}/chat', target: 'adapter:anthropic'}",
        "{path: /named, target: custom_callbacks.proxy_handler_instance, auth: false}",
    ]
    .map(str::to_owned);
    let adapters = "tollgate: {adapters: {custom_callbacks.proxy_handler_instance: anthropic}}\n";
    let models = format!("model_list:\n{}", entry("claude", "gpt-3.5-turbo", &origin, ""));
    let gate = Gate::start(&routes(&entries, &format!("{adapters}{models}")));
    for (path, key, status) in [
        ("/v1/messages", KEY, 200),
        ("/v1/messages", "sk-wrong", 401),
        ("/of/a/chat", KEY, 200),
        ("/of/a/chat", "sk-wrong", 401),
        ("/named", "sk-wrong", 200),
    ] {
        let answer = send(gate.port, &format!("POST {path} HTTP/1.1\nx-api-key: {key}"), ASKED.as_bytes());
        assert_eq!(answer.status(), status, "{path}: {}", answer.everything());
        let expected = if status == 200 { "message" } else { "error" };
        assert_eq!(read(&answer)["type"], expected, "{path}");
    }
    let wrong = send(gate.port, &format!("PUT /of/a/chat HTTP/1.1\nx-api-key: {KEY}"), ASKED.as_bytes());
    assert_eq!((wrong.status(), &read(&wrong)["type"]), (405, &json!("error")));
    assert!(origin.seen().iter().all(|request| !request.everything().contains("sk-")));
}

#[test]
fn what_was_left_out_is_told() {
    let origin = Origin::start(completes);
    let entries = [entry("claude", "openai/gpt-4o", &origin, ""), entry("o", "openai/o3", &origin, "")];
    let gate = Gate::start(&config(&entries, ""));
    let answer = ask(&gate, &ASKED.replacen('{', r#"{"top_k":5,"#, 1));
    assert_eq!((answer.status(), answer.one("x-tollgate-dropped")), (200, Some("top_k")));
    assert_eq!(read(&origin.last()).get("top_k"), None);
    let body = ASKED.replace("claude", "o").replacen('{', r#"{"temperature":0.5,"#, 1);
    let answer = ask(&gate, &body);
    assert_eq!(
        (answer.status(), answer.one("x-tollgate-dropped")),
        (200, Some("temperature")),
        "{}",
        answer.everything()
    );
    let arrived = read(&origin.last());
    assert_eq!((&arrived["max_completion_tokens"], arrived.get("max_tokens")), (&json!(64), None));
}

#[test]
fn a_silent_model_is_said_to_live() {
    let origin = Origin::start(|exchange| {
        begin_stream(exchange)?;
        chunk(exchange, &delta("Hel", None))?;
        // Longer than the ten seconds after which the client is told.
        std::thread::sleep(Duration::from_secs(12));
        chunk(exchange, &delta("lo", Some("stop")))?;
        chunk(exchange, "data: [DONE]\n\n")?;
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::start(&config(&[entry("claude", "openai/gpt-4o", &origin, "")], ""));
    let names = names(&ask(&gate, &streamed()).text());
    let at = |name: &str| names.iter().position(|event| event == name).expect("the event");
    let last_ping = names.iter().rposition(|event| event == "ping").expect("a ping");
    assert!(at("content_block_delta") < last_ping && last_ping < at("content_block_stop"), "{names:?}");
}
