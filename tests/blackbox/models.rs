//! Models: groups of deployments, who may ask for them, and what is done when one fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::gate::{KEY, SECRET};
use crate::support::origin::Exchange;
use crate::support::{Client, Gate, Message, Origin, send};

/// What OpenAI's clients send; its spaces and numbers must arrive.
const CHAT: &[u8] =
    br#"{ "temperature" : 1.0, "messages":[{"role":"user","content":"\u00e9 hi"}], "model" : "small" , "seed":12345678901234567890123}"#;

/// Answers with a completion.
pub fn completes(exchange: &mut Exchange) -> std::io::Result<()> {
    answers(exchange, "200 OK", "", &completion("fine").to_string())
}

/// A completion that says `text`.
pub fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-upstream",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    })
}

/// Answers `status` with further fields, each with its line end, and a body of JSON.
pub fn answers(exchange: &mut Exchange, status: &str, fields: &str, body: &str) -> std::io::Result<()> {
    exchange.write(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// An entry of `model_list`; `more` stands under `litellm_params`.
pub fn entry(name: &str, model: &str, origin: &Origin, more: &str) -> String {
    format!(
        "  - {{model_name: '{name}', litellm_params: {{model: '{model}', api_base: '{}', api_key: os.environ/PROVIDER_KEY{more}}}}}\n",
        origin.url("/v1")
    )
}

/// A config with a master key and models.
pub fn config(entries: &[String], more: &str) -> String {
    format!("general_settings:\n  master_key: {KEY}\nmodel_list:\n{}{more}", entries.concat())
}

/// Asks for a chat completion.
fn chat(gate: &Gate, fields: &str, body: &[u8]) -> Message {
    send(gate.port, &format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}\n{fields}"), body)
}

fn error(message: &Message) -> Value {
    let body: Value = serde_json::from_slice(&message.body).unwrap_or_else(|_| panic!("{}", message.everything()));
    body["error"].clone()
}

#[test]
fn a_chat_reaches_its_deployment_with_the_right_key_and_every_other_byte() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("small", "openai/gpt-4o-mini", &origin, "")], ""));
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let lines = format!(
            "POST {path} HTTP/1.1\nAuthorization: Bearer {KEY}\ncookie: a=b\nx-litellm-call-id: my-call\ntraceparent: 00-1\nuser-agent: me"
        );
        let answer = send(gate.port, &lines, CHAT);
        assert_eq!(answer.status(), 200, "{}", answer.everything());
        assert_eq!(answer.text(), completion("fine").to_string(), "the answer is the upstream's, byte for byte");
        assert_eq!(answer.one("x-litellm-call-id"), Some("my-call"));
        assert_eq!(answer.one("x-litellm-model-group"), Some("small"));
        assert_eq!(answer.one("x-litellm-attempted-retries"), Some("0"));
        assert_eq!(answer.one("x-litellm-attempted-fallbacks"), Some("0"));
        assert!(answer.one("x-litellm-model-id").is_some());
        assert!(answer.one("x-litellm-overhead-duration-ms").is_some());
        let arrived = origin.last();
        assert_eq!(arrived.start, "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(arrived.one("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        assert_eq!(arrived.one("host"), Some(format!("127.0.0.1:{}", origin.port).as_str()));
        assert_eq!(arrived.one("traceparent"), Some("00-1"));
        assert_eq!((arrived.one("cookie"), arrived.one("x-litellm-call-id")), (None, None));
        assert!(!arrived.everything().contains(KEY));
        let expected = String::from_utf8_lossy(CHAT).replace("\"small\"", "\"gpt-4o-mini\"");
        assert_eq!(arrived.text(), expected);
    }
}

#[test]
fn every_operation_has_its_path() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("small", "openai/m", &origin, "")], ""));
    for (path, arrived) in [
        ("/v1/embeddings", "/v1/embeddings"),
        ("/embeddings", "/v1/embeddings"),
        ("/v1/completions", "/v1/completions"),
        ("/completions", "/v1/completions"),
    ] {
        let lines = format!("POST {path} HTTP/1.1\nx-api-key: {KEY}");
        assert_eq!(send(gate.port, &lines, br#"{"model":"small","input":"a"}"#).status(), 200, "{path}");
        assert_eq!(origin.last().target(), arrived);
        assert_eq!(origin.last().text(), r#"{"model":"m","input":"a"}"#);
    }
}

#[test]
fn models_are_listed_as_the_client_expects_and_as_its_key_may_see_them() {
    let origin = Origin::start(completes);
    let more =
        "tollgate:\n  keys:\n    - {key: sk-some-0123456789, models: ['gpt-*']}\n    - {key: sk-all-0123456789}\n";
    let entries = [
        entry("gpt-a", "openai/m", &origin, ""),
        entry("other", "openai/m", &origin, ""),
        entry("gpt-a", "openai/n", &origin, ""),
    ];
    let gate = Gate::start(&config(&entries, more));
    let ids = |message: &Message| -> Vec<String> {
        let body: Value = serde_json::from_slice(&message.body).expect("JSON");
        body["data"].as_array().expect("list").iter().map(|model| model["id"].as_str().expect("id").into()).collect()
    };
    for (key, expected) in [
        (KEY, vec!["gpt-a", "other"]),
        ("sk-some-0123456789", vec!["gpt-a"]),
        ("sk-all-0123456789", vec!["gpt-a", "other"]),
    ] {
        let openai = send(gate.port, &format!("GET /v1/models HTTP/1.1\nAuthorization: Bearer {key}"), b"");
        assert_eq!(ids(&openai), expected);
        assert!(openai.text().contains("\"object\":\"list\""));
        let anthropic =
            send(gate.port, &format!("GET /models HTTP/1.1\nx-api-key: {key}\nanthropic-version: 2023-06-01"), b"");
        assert_eq!(ids(&anthropic), expected);
        assert!(anthropic.text().contains("\"type\":\"model\"") && anthropic.text().contains("\"has_more\":false"));
    }
    for (path, key, status) in [
        ("/v1/models/gpt-a", "sk-some-0123456789", 200),
        ("/models/gpt%2Da", "sk-some-0123456789", 200),
        ("/v1/models/other", "sk-some-0123456789", 404),
        ("/v1/models/none", KEY, 404),
    ] {
        let one = send(gate.port, &format!("GET {path} HTTP/1.1\nAuthorization: Bearer {key}"), b"");
        assert_eq!(one.status(), status, "{path}: {}", one.everything());
        assert_eq!(one.text().contains("\"id\":\"gpt-a\""), status == 200, "{path}: {}", one.text());
    }
    let head = send(gate.port, &format!("HEAD /v1/models HTTP/1.1\nAuthorization: Bearer {KEY}"), b"");
    assert_eq!((head.status(), head.body.len()), (200, 0));
    assert_eq!(send(gate.port, "GET /v1/models HTTP/1.1", b"").status(), 401);
    assert!(origin.seen().is_empty());
}

#[test]
fn who_may_ask_for_what() {
    let origin = Origin::start(completes);
    let more = "tollgate:\n  keys:\n    - {key: sk-some-0123456789, models: [small]}\n    - {key: sk-few-0123456789, rpm_limit: 1}\n";
    let gate =
        Gate::start(&config(&[entry("small", "openai/m", &origin, ""), entry("large", "openai/l", &origin, "")], more));
    let ask = |key: &str, model: &str| {
        let lines = format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {key}");
        send(gate.port, &lines, json!({"model": model, "messages": []}).to_string().as_bytes())
    };
    assert_eq!(ask("sk-some-0123456789", "small").status(), 200);
    let denied = ask("sk-some-0123456789", "large");
    assert_eq!((denied.status(), error(&denied)["type"].as_str()), (403, Some("key_model_access_denied")));
    // Who may not ask for it is not told that it does not exist.
    assert_eq!(ask("sk-some-0123456789", "nothing").status(), 403);
    let unknown = ask(KEY, "nothing");
    assert_eq!(unknown.status(), 404);
    assert!(error(&unknown)["message"].as_str().expect("message").contains("`nothing`"));
    assert_eq!(ask("sk-wrong", "small").status(), 401);
    assert_eq!(ask("sk-few-0123456789", "nothing").status(), 404, "what is refused does not count");
    let first = ask("sk-few-0123456789", "small");
    assert_eq!((first.status(), first.one("x-ratelimit-api_key-remaining-requests")), (200, Some("0")));
    assert_eq!(ask("sk-few-0123456789", "small").status(), 429);
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn bodies_that_name_no_model_are_refused_by_their_place() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("small", "openai/m", &origin, "")], ""));
    for (body, says) in [
        (&b"{}"[..], "model: Field required"),
        (b"[]", "JSON object"),
        (b"{\"model\":1}", "model:"),
        (b"{\"model\":\"small\",\"model\":\"small\"}", "stands twice"),
        (b"{\"model\":\"small\"", "the body is not a JSON object"),
        (b"", "the body is not a JSON object"),
        (b"{\"model\":\"sm\xffll\"}", "the body is not a JSON object"),
        (b"{\"model\":\"small\",\"stream\":\"yes\"}", "stream:"),
    ] {
        let answer = chat(&gate, "", body);
        assert_eq!(answer.status(), 400, "{body:?}");
        let message = error(&answer)["message"].as_str().expect("message").to_owned();
        assert!(message.contains(says), "{message}");
    }
    let wrong = send(gate.port, &format!("GET /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}"), b"");
    assert_eq!((wrong.status(), wrong.one("allow")), (405, Some("POST, OPTIONS")));
    assert!(wrong.text().contains("send POST with a JSON body (curl: -d)"));
    let options = send(gate.port, "OPTIONS /v1/chat/completions HTTP/1.1", b"");
    assert_eq!((options.status(), options.one("allow")), (204, Some("POST, OPTIONS")));
    assert!(origin.seen().is_empty());
}

/// Two deployments of one model, of which the first does `fault` and is asked first.
fn pair(fault: impl Fn(&mut Exchange) -> std::io::Result<()> + Send + Sync + 'static) -> (Origin, Origin, Gate) {
    let (bad, good) = (Origin::start(fault), Origin::start(completes));
    let entries =
        [entry("small", "openai/m", &bad, ", order: 1, timeout: 1"), entry("small", "openai/m", &good, ", order: 2")];
    let gate = Gate::start(&config(&entries, "router_settings: {allowed_fails: 0, cooldown_time: 60}\n"));
    (bad, good, gate)
}

#[test]
fn one_that_fails_is_replaced_before_the_client_sees_anything_and_then_rests() {
    type Fault = fn(&mut Exchange) -> std::io::Result<()>;
    let faults: [(&str, Fault); 7] = [
        ("500", |exchange| answers(exchange, "500 Internal Server Error", "", "{}")),
        ("429", |exchange| answers(exchange, "429 Too Many Requests", "Retry-After: 60\r\n", "{}")),
        ("401", |exchange| answers(exchange, "401 Unauthorized", "", r#"{"error":{"message":"wrong key"}}"#)),
        ("reset", |exchange| {
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }),
        ("silence", |exchange| {
            exchange.wait_gone();
            Ok(())
        }),
        ("cut", |exchange| {
            exchange
                .write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"id\"")?;
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }),
        ("redirect", |exchange| answers(exchange, "302 Found", "Location: http://127.0.0.1:1/\r\n", "{}")),
    ];
    for (name, fault) in faults {
        let (bad, good, gate) = pair(fault);
        let answer = chat(&gate, "", CHAT);
        assert_eq!(answer.status(), 200, "{name}: {}", answer.everything());
        assert_eq!(answer.one("x-litellm-attempted-retries"), Some("1"), "{name}");
        assert_eq!((bad.seen().len(), good.seen().len()), (1, 1), "{name}");
        assert_eq!(good.last().text(), bad.last().text(), "{name}: the body was sent again");
        let second = chat(&gate, "", CHAT);
        assert_eq!((second.status(), second.one("x-litellm-attempted-retries")), (200, Some("0")), "{name}");
        assert_eq!((bad.seen().len(), good.seen().len()), (1, 2), "{name}: the first rests");
    }
}

#[test]
fn what_is_the_caller_s_to_mend_is_not_tried_elsewhere() {
    for (status, told) in [("400 Bad Request", 400), ("422 Unprocessable", 400), ("413 Content Too Large", 413)] {
        let (bad, good, gate) = pair(move |exchange| {
            let error =
                r#"{"error":{"message":"no such thing","type":"invalid_request_error","code":"model_not_found"}}"#;
            answers(exchange, status, "", error)
        });
        let answer = chat(&gate, "", CHAT);
        assert_eq!(answer.status(), told);
        assert!(error(&answer)["message"].as_str().expect("message").contains("no such thing"));
        assert_eq!((bad.seen().len(), good.seen().len()), (1, 0));
        assert_eq!(chat(&gate, "", CHAT).status(), told, "and it does not rest");
    }
}

#[test]
fn who_says_no_to_a_request_is_passed_over_and_does_not_rest() {
    for status in ["403 Forbidden", "404 Not Found", "409 Conflict"] {
        let (bad, good, gate) =
            pair(move |exchange| answers(exchange, status, "", r#"{"error":{"message":"not me"}}"#));
        for number in 1..=2 {
            let answer = chat(&gate, "", CHAT);
            assert_eq!((answer.status(), bad.seen().len(), good.seen().len()), (200, number, number), "{status}");
        }
    }
}

#[test]
fn the_only_deployment_is_tried_again_and_never_rests() {
    let calls = AtomicUsize::new(0);
    let origin = Origin::start(move |exchange| match calls.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => answers(exchange, "503 Service Unavailable", "", "{}"),
        2 => completes(exchange),
        _ => answers(exchange, "503 Service Unavailable", "Retry-After: 90\r\n", r#"{"error":{"message":"busy"}}"#),
    });
    let settings = "router_settings: {allowed_fails: 0, num_retries: 2}\n";
    let gate = Gate::start(&config(&[entry("small", "openai/m", &origin, "")], settings));
    let answer = chat(&gate, "", CHAT);
    assert_eq!((answer.status(), answer.one("x-litellm-attempted-retries")), (200, Some("2")));
    // Who wants to be left alone for longer than anybody waits is not asked again.
    let answer = chat(&gate, "", CHAT);
    assert_eq!((answer.one("retry-after"), origin.seen().len()), (Some("90"), 4), "{}", answer.everything());
    assert!(answer.status() >= 500);
}

#[test]
fn groups_stand_in_for_others() {
    let bad = Origin::start(|exchange| answers(exchange, "500 Internal Server Error", "", "{}"));
    let good = Origin::start(completes);
    let entries = [
        entry("small", "openai/m", &bad, ""),
        entry("spare", "openai/s", &good, ""),
        entry("lone", "openai/l", &bad, ""),
    ];
    let settings =
        "router_settings:\n  num_retries: 0\n  fallbacks: [{small: [lone, spare]}]\n  default_fallbacks: [spare]\n";
    let gate = Gate::start(&config(&entries, settings));
    let answer = chat(&gate, "", CHAT);
    assert_eq!(answer.status(), 200, "{}", answer.everything());
    assert_eq!(answer.one("x-litellm-attempted-fallbacks"), Some("2"));
    assert_eq!(answer.one("x-litellm-model-group"), Some("spare"));
    assert!(good.last().text().contains("\"model\" : \"s\""));
    let lone = chat(&gate, "", br#"{"model":"lone"}"#);
    assert_eq!((lone.status(), lone.one("x-litellm-attempted-fallbacks")), (200, Some("1")));
}

#[test]
fn patterns_lead_to_what_they_name() {
    let origin = Origin::start(completes);
    let entries = [
        entry("openai/*", "openai/*", &origin, ""),
        entry("openai/gpt-4*", "openai/azure-*", &origin, ""),
        entry("openai/exact", "openai/one", &origin, ""),
    ];
    let gate = Gate::start(&config(&entries, ""));
    for (asked, arrived) in [("openai/a/b", "a/b"), ("openai/gpt-4o", "azure-o"), ("openai/exact", "one")] {
        let body = json!({"model": asked}).to_string();
        assert_eq!(chat(&gate, "", body.as_bytes()).status(), 200, "{asked}");
        assert_eq!(origin.last().text(), json!({"model": arrived}).to_string());
    }
    assert_eq!(chat(&gate, "", br#"{"model":"other/x"}"#).status(), 404);
}

#[test]
fn a_deployment_has_limits_of_its_own() {
    let (small, large) = (Origin::start(completes), Origin::start(completes));
    let entries =
        [entry("m", "openai/m", &small, ", rpm: 2, order: 1"), entry("m", "openai/m", &large, ", rpm: 1, order: 2")];
    let gate = Gate::start(&config(&entries, ""));
    let mut client = Client::connect(gate.port);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 13\r\n\r\n{{\"model\":\"m\"}}"
    );
    let statuses: Vec<u16> = (0..4).map(|_| client.ask(&request).expect("answer").status()).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!((small.seen().len(), large.seen().len()), (2, 1));
}

#[test]
fn what_an_upstream_says_of_us_reaches_nobody() {
    let origin = Origin::start(|exchange| {
        let host = exchange.request.one("host").unwrap_or_default().to_owned();
        let text = format!("key {SECRET} is wrong at {host} and 10.9.8.7:443, or http://{host}/v1");
        answers(exchange, "400 Bad Request", "", &json!({"error": {"message": text}}).to_string())
    });
    let gate = Gate::start(&config(&[entry("small", "openai/m", &origin, "")], ""));
    let answer = chat(&gate, "", CHAT);
    assert_eq!(answer.status(), 400);
    let all = answer.everything();
    assert!(!all.contains(SECRET) && !all.contains("10.9.8.7") && !all.contains(&format!(":{}", origin.port)), "{all}");
    assert!(all.contains("is wrong at"), "{all}");
    assert!(!gate.log().contains(SECRET));
}

#[test]
fn large_bodies_have_a_limit_of_their_own() {
    let origin = Origin::start(completes);
    let gate = Gate::start(&config(&[entry("small", "openai/m", &origin, "")], ""));
    let mut body = br#"{"model":"small","input":""#.to_vec();
    body.resize(1 << 20, b'a');
    body.extend_from_slice(b"\"}");
    assert_eq!(chat(&gate, "", &body).status(), 200);
    assert_eq!(origin.last().body.len(), body.len() - 4);
    let lines = format!("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n");
    let declared = Client::connect(gate.port).ask(format!("{lines}Content-Length: {}\r\n\r\n", (32 << 20) + 1));
    assert_eq!(declared.expect("answer").status(), 413);
    let mut client = Client::connect(gate.port);
    client.write(format!("{lines}Transfer-Encoding: chunked\r\n\r\n")).expect("head");
    let piece = vec![b' '; 1 << 20];
    let mut sent = 0;
    while sent <= 33 && client.write(format!("{:x}\r\n", piece.len())).is_ok() && client.write(&piece).is_ok() {
        if client.write("\r\n").is_err() {
            break;
        }
        sent += 1;
    }
    assert_eq!(client.answer("POST").expect("answer").status(), 413);
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_route_of_several_targets_asks_the_next() {
    type Fault = fn(&mut Exchange) -> std::io::Result<()>;
    let faults: [(&str, Fault); 4] = [
        ("500", |exchange| answers(exchange, "500 Internal Server Error", "", "{}")),
        ("429", |exchange| answers(exchange, "429 Too Many Requests", "Retry-After: 60\r\n", "{}")),
        ("401", |exchange| answers(exchange, "401 Unauthorized", "", "{}")),
        ("reset", |exchange| {
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }),
    ];
    for (name, fault) in faults {
        let (bad, good) = (Origin::start(fault), Origin::plain());
        let targets = format!(
            "[{{target: '{}', order: 1, headers: {{x-key: one}}}}, {{target: '{}', order: 2, headers: {{X-Key: two}}}}]",
            bad.url("/a"),
            good.url("/b")
        );
        let entries = [format!("{{path: /r, headers: {{x-key: none, x-all: yes!}}, targets: {targets}}}")];
        let gate = Gate::start(&crate::support::gate::routes(&entries, "router_settings: {allowed_fails: 0}"));
        let answer = send(gate.port, "POST /r HTTP/1.1", b"the body");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "fine"), "{name}");
        let (first, second) = (bad.only(), good.only());
        assert_eq!((first.target(), first.one("x-key"), first.text().as_str()), ("/a", Some("one"), "the body"));
        assert_eq!((second.target(), second.one("x-key"), second.text().as_str()), ("/b", Some("two"), "the body"));
        assert_eq!((first.one("x-all"), second.one("x-all")), (Some("yes!"), Some("yes!")));
        assert_eq!(send(gate.port, "POST /r HTTP/1.1", b"again").status(), 200);
        assert_eq!((bad.seen().len(), good.seen().len()), (1, 2), "{name}: the first rests");
    }
}

#[test]
fn the_last_target_s_answer_is_the_client_s() {
    let (one, two) = (
        Origin::start(|exchange| answers(exchange, "503 Service Unavailable", "", "one")),
        Origin::start(|exchange| answers(exchange, "429 Too Many Requests", "Retry-After: 7\r\nx-own: 1\r\n", "two")),
    );
    let entries = [format!("{{path: /r, targets: [{{target: '{}', order: 1}}, '{}']}}", one.url("/"), two.url("/"))];
    let gate = Gate::routes(&entries);
    let answer = send(gate.port, "POST /r HTTP/1.1", b"x");
    assert_eq!((answer.status(), answer.text().as_str()), (429, "two"));
    assert_eq!((answer.one("retry-after"), answer.one("x-own")), (Some("7"), Some("1")));
    // A body that cannot be sent again is not.
    let large = vec![b'x'; 100 << 10];
    let answer = send(gate.port, "POST /r HTTP/1.1", &large);
    assert!(matches!(answer.status(), 503 | 429));
}
