//! What the end of a call for a model leaves behind: who rests, whose place is free, which connection stays, and what is said of it.

use std::sync::{Mutex, mpsc};

use serde_json::json;

use crate::models::{completes, config, entry};
use crate::support::gate::KEY;
use crate::support::origin::Exchange;
use crate::support::{Client, Gate, Origin, wait_until};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const WHOLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const ONCE: &str = "router_settings: {num_retries: 0}\n";

fn request(stream: bool, fields: &str) -> String {
    let body = json!({"model": "m", "stream": stream, "messages": []}).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn chunk(exchange: &mut Exchange, text: &str) -> std::io::Result<()> {
    exchange.write(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// What is held until somebody says so.
fn gates() -> (mpsc::Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let wait = move || {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
    };
    (go_on, wait)
}

#[test]
fn an_answer_that_a_stop_has_overtaken_is_its_connection_s_last() {
    let (go_on, wait) = gates();
    let origin = Origin::start(move |exchange| {
        wait();
        completes(exchange)
    });
    let mut gate =
        Gate::start(&config(&[entry("m", "openai/m", &origin, "")], "tollgate: {timeouts: {drain_notice: 5}}\n"));
    let mut client = Client::connect(gate.port);
    client.write(request(false, "")).expect("request");
    wait_until("it is asked", || origin.seen().len() == 1);
    gate.signal("TERM");
    wait_until("the stop has begun", || {
        let ready = Client::connect(gate.port).ask("GET /health/readiness HTTP/1.1\r\nHost: x\r\n\r\n");
        ready.is_ok_and(|answer| answer.status() == 503)
    });
    go_on.send(()).expect("the origin waits");
    let answer = client.answer("POST").expect("an answer");
    assert_eq!((answer.status(), answer.one("connection")), (200, Some("close")));
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn who_is_cut_while_its_body_is_read_has_its_line() {
    let origin = Origin::start(completes);
    let more = "tollgate: {log_format: json, timeouts: {drain_notice: 0.2, drain: 0.2}}\n";
    let mut gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], more));
    let mut client = Client::connect(gate.port);
    let text = request(false, "Expect: 100-continue\r\n");
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    client.write(format!("{head}\r\n\r\n{{")).expect("half a request");
    assert_eq!(client.head().expect("interim").status(), 100);
    gate.signal("TERM");
    assert_eq!(gate.ended().code(), Some(0));
    let lines = || gate.log().lines().filter(|line| line.contains("\"path\":\"/v1/chat/completions\"")).count();
    wait_until("the line is there", || lines() == 1);
    assert!(gate.log().contains("cut by the stop of the process"), "{}", gate.log());
}

#[test]
fn a_stream_to_a_client_of_http_1_0_ends_its_connection_and_says_so() {
    let origin = Origin::start(|exchange| {
        exchange.write(STREAM)?;
        chunk(exchange, WHOLE)?;
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ONCE));
    let mut client = Client::connect(gate.port);
    let answer =
        client.ask(request(true, "Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0")).expect("an answer");
    assert_eq!(
        (answer.status(), answer.one("connection"), answer.one("transfer-encoding")),
        (200, Some("close"), None)
    );
    assert_eq!(answer.text(), WHOLE);
}
