//! An adapter of a program's own: `examples/adapter.rs`, served in front of a model that speaks as OpenAI does.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::models::{answers, completes, config, entry};
use crate::support::gate::{KEY, SECRET, example, folder};
use crate::support::origin::Exchange;
use crate::support::{Gate, Message, Origin, send};

/// The example in front of `origin`, on `/ask`.
fn gate(origin: &Origin) -> Gate {
    let text = config(&[entry("small", "openai/gpt-4o", origin, "")], "router_settings: {num_retries: 0}\n");
    let route = "general_settings:\n  pass_through_endpoints:\n    - {path: /ask, target: 'adapter:ask'}";
    let text = text.replacen("general_settings:", route, 1);
    let folder = folder();
    let mut command = example("adapter");
    command.args(["--port", "0"]).env("STATE_DIRECTORY", folder.join("state"));
    Gate::launch(&text, command, folder)
}

fn ask(gate: &Gate, body: &str) -> Message {
    send(gate.port, &format!("POST /ask HTTP/1.1\nAuthorization: Bearer {KEY}"), body.as_bytes())
}

fn read(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap_or_else(|_| panic!("{}", message.everything()))
}

fn streams(exchange: &mut Exchange, pieces: &[&str], end: &str) -> std::io::Result<()> {
    exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
    for piece in pieces {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": piece}}]});
        exchange.write(format!("data: {chunk}\n\n"))?;
    }
    exchange.write(end)?;
    exchange.stream.shutdown(std::net::Shutdown::Both)
}

#[test]
fn a_whole_answer() {
    let origin = Origin::start(completes);
    let gate = gate(&origin);
    let answer = ask(&gate, r#"{"model":"small","ask":"Why? é","mood":"curious"}"#);
    assert_eq!(answer.status(), 200, "{}", answer.everything());
    assert_eq!(read(&answer), json!({"to": "Why? é", "says": "fine"}));
    assert_eq!(answer.one("x-tollgate-dropped"), Some("mood"));
    assert_eq!(answer.one("x-litellm-model-group"), Some("small"));
    let arrived = origin.only();
    assert_eq!(arrived.start, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(arrived.one("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    assert_eq!(read(&arrived), json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Why? é"}]}));
}

#[test]
fn a_streamed_answer() {
    let origin = Origin::start(|exchange| streams(exchange, &["", "Be", "cause\n\n."], "data: [DONE]\n\n"));
    let gate = gate(&origin);
    let answer = ask(&gate, r#"{"ask":"Why?","stream":true,"model":"small"}"#);
    assert_eq!(answer.one("content-type"), Some("text/event-stream; charset=utf-8"), "{}", answer.everything());
    let expected = "data: {\"says\":\"Be\"}\n\ndata: {\"says\":\"cause\\n\\n.\"}\n\ndata: {\"ended\":true}\n\n";
    assert_eq!(answer.text(), expected);
    assert_eq!(read(&origin.only())["stream"], true);
}

#[test]
fn a_server_that_knows_no_streams() {
    let origin = Origin::start(completes);
    let gate = gate(&origin);
    let answer = ask(&gate, r#"{"ask":"Why?","stream":true,"model":"small"}"#);
    assert_eq!(answer.text(), "data: {\"says\":\"fine\"}\n\ndata: {\"ended\":true}\n\n");
}

#[test]
fn errors_are_in_the_schema_of_the_adapter() {
    let origin =
        Origin::start(|exchange| answers(exchange, "400 Bad Request", "", r#"{"error":{"message":"too curious"}}"#));
    let gate = gate(&origin);
    for (key, body, status, wrong) in [
        (KEY, r#"{"model":"small"}"#, 400, "ask: write what you want to know"),
        (KEY, "[]", 400, "invalid type"),
        (KEY, r#"{"model":"large","ask":"Why?"}"#, 404, "large"),
        ("sk-nobodys", r#"{"model":"small","ask":"Why?"}"#, 401, "Invalid api key"),
    ] {
        let lines = format!("POST /ask HTTP/1.1\nAuthorization: Bearer {key}");
        let answer = send(gate.port, &lines, body.as_bytes());
        assert_eq!(answer.status(), status, "{body}: {}", answer.everything());
        let told = read(&answer)["wrong"].as_str().expect("a text").to_owned();
        assert!(told.contains(wrong), "{body}: {told}");
        assert_eq!(read(&answer)["at"], "/ask", "{body}: every step knows the call");
    }
    assert!(origin.seen().is_empty(), "nobody is asked what is refused");
    let answer = ask(&gate, r#"{"model":"small","ask":"Why?"}"#);
    assert_eq!((answer.status(), read(&answer)), (400, json!({"wrong": "too curious", "at": "/ask"})));
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_stream_that_breaks_off_says_so() {
    let origin = Origin::start(|exchange| streams(exchange, &["Be"], ""));
    let gate = gate(&origin);
    let answer = ask(&gate, r#"{"ask":"Why?","stream":true,"model":"small"}"#);
    let events: Vec<&str> = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(events.len(), 2, "{}", answer.text());
    assert_eq!(events[0], "data: {\"says\":\"Be\"}");
    assert!(events[1].starts_with("data: {\"wrong\":\""), "{}", events[1]);
}

#[test]
fn it_can_be_tried_offline() {
    for (direction, given, expected) in [
        ("request", r#"{"model":"small","ask":"Why?"}"#, "\"content\": \"Why?\""),
        ("response", r#"{"choices":[{"message":{"content":"Because."}}]}"#, "\"says\": \"Because.\""),
        ("stream", "data: {\"choices\":[{\"delta\":{\"content\":\"Be\"}}]}\n\ndata: [DONE]\n\n", "{\"ended\":true}"),
    ] {
        let mut command = example("adapter");
        command.args(["translate", "--adapter", "ask", "--direction", direction]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut stdin = child.stdin.take().expect("stdin");
        std::io::Write::write_all(&mut stdin, given.as_bytes()).expect("stdin");
        drop(stdin);
        let output = child.wait_with_output().expect("output");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(expected), "{direction}: {said}");
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file")
}

#[test]
fn an_adapter_is_short() {
    let example = file("examples/adapter.rs");
    let adapter = example.split("\nfn main").next().and_then(|text| text.split_once("#[derive(Debug)]"));
    let (_, adapter) = adapter.expect("an adapter");
    let lines = 1 + adapter.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///")).count();
    assert!((20..40).contains(&lines), "{lines} lines");
}

#[test]
fn the_page_shows_what_is_compiled() {
    let (page, example) = (file("docs/adapters.md"), file("examples/adapter.rs"));
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "only {} blocks", blocks.len());
    for block in blocks {
        assert!(example.contains(block), "docs/adapters.md shows what examples/adapter.rs does not have:\n{block}");
    }
}
