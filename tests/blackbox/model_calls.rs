//! How long a call for a model lives, and what it holds meanwhile: places, connections, the config it began with.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::net::TcpStream;

use crate::models::{completes, config, entry};
use crate::support::gate::KEY;
use crate::support::origin::Exchange;
use crate::support::{Client, Gate, Origin, send, wait_until};

const LIMITED: &str = "sk-limited-0123456789";

fn body(stream: bool) -> String {
    json!({"model": "m", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
        .to_string()
}

fn request(key: &str, stream: bool) -> String {
    let body = body(stream);
    format!("POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn chunk(exchange: &mut Exchange, content: &str, finish: Option<&str>) -> std::io::Result<()> {
    let value = json!({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]});
    let text = format!("data: {value}\n\n");
    exchange.write(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// An origin that begins a stream, and ends it when it is told to, or its client leaves.
fn held() -> (Origin, mpsc::Sender<()>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let origin = Origin::start(move |exchange| {
        if !exchange.request.text().contains("\"stream\":true") {
            return completes(exchange);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        chunk(exchange, "begun", None)?;
        let ended = wait.lock().expect("lock").recv_timeout(Duration::from_secs(20));
        if ended.is_ok() {
            chunk(exchange, " and ended", Some("stop"))?;
            exchange.write("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")?;
        }
        Ok(())
    });
    (origin, go_on)
}

/// A client whose stream has begun.
fn begun(gate: &Gate, key: &str) -> Client {
    let mut client = Client::connect(gate.port);
    client.write(request(key, true)).expect("request");
    let head = client.head().expect("head");
    assert_eq!(head.status(), 200, "{}", head.everything());
    client
}

/// The rest of a stream, as it stands on the wire.
fn rest(client: &mut Client) -> String {
    use std::io::BufRead;
    let mut text = String::new();
    loop {
        let mut line = String::new();
        match client.reader.read_line(&mut line) {
            Ok(count) if count > 0 => text += &line,
            _ => return text,
        }
        if line == "0\r\n" {
            return text;
        }
    }
}

#[test]
fn places_are_free_again_whatever_ends_the_call() {
    let keys = format!("tollgate: {{keys: [{{key: {LIMITED}, max_parallel_requests: 1}}]}}\n");
    let (origin, go_on) = held();
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, ", max_parallel_requests: 1")], &keys));
    let full = || send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {LIMITED}"), body(false).as_bytes());
    // The deployment's place, seen by a caller without limits.
    let taken = || send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {KEY}"), body(false).as_bytes());
    let client = begun(&gate, LIMITED);
    assert_eq!((full().status(), taken().status()), (429, 429));
    client.close();
    wait_until("the places are free", || full().status() == 200 && taken().status() == 200);
    // The origin has not looked yet whether anybody is there.
    go_on.send(()).expect("the origin waits");
    let mut client = begun(&gate, LIMITED);
    assert_eq!((full().status(), taken().status()), (429, 429));
    go_on.send(()).expect("the origin waits");
    // The client that has seen the end may use its place at once.
    assert!(rest(&mut client).contains("message_stop"));
    assert_eq!(full().status(), 200);
    assert_eq!(taken().status(), 200);
}

#[test]
fn a_stop_and_a_reload_let_streams_end() {
    let (origin, go_on) = held();
    let text = config(&[entry("m", "openai/m", &origin, "")], "");
    let mut gate = Gate::start(&text);
    let mut client = begun(&gate, KEY);
    std::fs::write(gate.folder().join("config.yaml"), text.replace("model_name: 'm'", "model_name: 'n'"))
        .expect("write");
    let lines = format!("POST /config/reload HTTP/1.1\nAuthorization: Bearer {KEY}");
    let reloaded = send(gate.port, &lines, b"");
    assert_eq!(reloaded.status(), 200, "{}", reloaded.everything());
    let after = send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {KEY}"), body(false).as_bytes());
    assert_eq!(after.status(), 404, "new requests meet the new config");
    gate.signal("TERM");
    wait_until("the stop has begun", || {
        Client::connect(gate.port)
            .ask("GET /health/readiness HTTP/1.1\r\nHost: x\r\n\r\n")
            .is_ok_and(|answer| answer.status() == 503)
    });
    go_on.send(()).expect("the origin waits");
    let text = rest(&mut client);
    assert!(text.contains(" and ended") && text.contains("message_stop"), "{text}");
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn what_is_counted_for_a_deployment_outlives_a_reload() {
    let origin = Origin::start(completes);
    let text = config(&[entry("m", "openai/m", &origin, ", rpm: 2")], "");
    let gate = Gate::start(&text);
    let ask =
        || send(gate.port, &format!("POST /v1/messages HTTP/1.1\nx-api-key: {KEY}"), body(false).as_bytes()).status();
    assert_eq!(ask(), 200);
    std::fs::write(gate.folder().join("config.yaml"), format!("{text}router_settings: {{num_retries: 1}}\n"))
        .expect("write");
    let reloaded = send(gate.port, &format!("POST /config/reload HTTP/1.1\nAuthorization: Bearer {KEY}"), b"");
    assert_eq!(reloaded.status(), 200);
    assert_eq!((ask(), ask()), (200, 429));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_streams_flow_and_a_reset_ends_the_call() {
    let (left, told) = mpsc::channel();
    let left = Mutex::new(left);
    let origin = Origin::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        chunk(exchange, "begun", None)?;
        if exchange.request.text().contains("\"stay\"") {
            exchange.wait_gone();
            left.lock().expect("lock").send(()).expect("somebody listens");
            return Ok(());
        }
        chunk(exchange, " and ended", Some("stop"))?;
        exchange.write("e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ""));
    let stream = TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("h2c by prior knowledge");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    for (word, whole) in [("go", true), ("stay", false)] {
        let request = Request::post("http://gate.test/v1/messages").header("x-api-key", KEY).body(()).expect("request");
        let (response, mut sending) = client.send_request(request, false).expect("send");
        let body = body(true).replace("hi", word);
        let (one, two) = body.split_at(20);
        sending.send_data(Bytes::copy_from_slice(one.as_bytes()), false).expect("body");
        sending.send_data(Bytes::copy_from_slice(two.as_bytes()), true).expect("body");
        let response = response.await.expect("response");
        assert_eq!(response.status(), 200);
        assert!(response.headers().get("transfer-encoding").is_none());
        let mut text = String::new();
        let mut stream = response.into_body();
        while let Some(piece) = stream.data().await {
            let piece = piece.expect("data");
            let _ = stream.flow_control().release_capacity(piece.len());
            text += &String::from_utf8_lossy(&piece);
            if !whole && text.contains("begun") {
                sending.send_reset(h2::Reason::CANCEL);
                break;
            }
        }
        assert_eq!(text.contains("message_stop"), whole);
        client = client.ready().await.expect("ready");
    }
    told.recv_timeout(Duration::from_secs(20)).expect("the call has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_have_their_limits_over_http2_too() {
    let origin = Origin::plain();
    let entry = format!("{{path: /a, target: '{}', include_subpath: true}}", origin.url("/a"));
    let limits = "tollgate: {limits: {header_fields: 20, target_bytes: 1000}}";
    let gate = Gate::start(&crate::support::gate::routes(&[entry], limits));
    let stream = TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("h2c by prior knowledge");
    tokio::spawn(connection);
    let mut client = client;
    for (fields, length, status) in [(5, 10, 200), (30, 10, 431), (5, 1200, 414)] {
        client = client.ready().await.expect("ready");
        let mut request = Request::get(format!("http://gate.test/a/{}", "x".repeat(length)));
        for number in 0..fields {
            request = request.header(format!("x-field-{number}"), "v");
        }
        let (response, _) = client.send_request(request.body(()).expect("request"), true).expect("send");
        assert_eq!(response.await.expect("response").status(), status, "{fields} fields, {length} bytes");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn what_has_no_end_is_cut_and_told() {
    /// More than one event may have, and less than would be held of it if nobody looked.
    const MEGABYTES: usize = 200;
    for prefix in ["data: {\"choices\":[{\"delta\":{\"content\":\"", "data: \n", ": comment "] {
        let origin = Origin::start(move |exchange| {
            exchange
                .write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            chunk(exchange, "begun", None)?;
            let piece = match prefix.ends_with('\n') {
                true => prefix.repeat((1 << 20) / prefix.len()),
                false => "x".repeat(1 << 20),
            };
            exchange.write(format!("{:x}\r\n{prefix}\r\n", prefix.len()))?;
            for _ in 0..MEGABYTES {
                exchange.write(format!("{:x}\r\n{piece}\r\n", piece.len()))?;
            }
            exchange.write("0\r\n\r\n")
        });
        let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ""));
        let before = gate.rss();
        let mut client = begun(&gate, KEY);
        let text = rest(&mut client);
        assert!(text.contains("event: error") && !text.contains("message_stop"), "{prefix}: {} bytes", text.len());
        assert!(text.len() < 10_000, "{prefix}: {} bytes", text.len());
        assert!(gate.rss() < before + (100 << 10), "{prefix}: from {before} to {} KiB", gate.rss());
    }
}

#[test]
fn a_client_that_does_not_read_holds_the_stream_back() {
    let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let origin = Origin::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let text = "x".repeat(64 << 10);
        for _ in 0..4096 {
            chunk(exchange, &text, None)?;
            count.fetch_add(text.len(), std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ""));
    let before = gate.rss();
    let client = begun(&gate, KEY);
    let read = || sent.load(std::sync::atomic::Ordering::Relaxed);
    wait_until("some of it is on its way", || read() > 1 << 20);
    // It stands still when the buffers are full: the same at two looks in a row.
    let mut last = 0;
    wait_until("the origin is held back", || {
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut last, read()) == read()
    });
    assert!(read() < 64 << 20, "{} bytes were taken for a client that reads none", read());
    assert!(gate.rss() < before + (40 << 10), "from {before} to {} KiB", gate.rss());
    client.close();
}
