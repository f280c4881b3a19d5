//! The adapter on a Unix socket, without the proxy: `examples/hosted.rs`.

use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::models::{answers, completes, config, entry};
use crate::support::gate::{KEY, SECRET, example, folder};
use crate::support::{Message, Origin, wait_until};

/// The example, running before `origin`.
struct Hosted {
    child: Child,
    socket: PathBuf,
    folder: PathBuf,
}

impl Hosted {
    fn start(origin: &Origin) -> Self {
        Self::over(&[entry("small", "openai/gpt-4o", origin, "")])
    }

    /// The example, running with these models.
    fn over(entries: &[String]) -> Self {
        let folder = folder();
        let (file, socket) = (folder.join("config.yaml"), folder.join("messages.sock"));
        let text = config(entries, "router_settings: {num_retries: 0}\n");
        std::fs::write(&file, text).expect("config");
        let mut command = example("hosted");
        let child = command.arg(&file).arg(&socket).stderr(Stdio::null()).spawn().expect("the example starts");
        wait_until("the socket is there", || UnixStream::connect(&socket).is_ok());
        Self { child, socket, folder }
    }

    fn ask(&self, head: &str, body: &[u8]) -> Message {
        let mut stream = UnixStream::connect(&self.socket).expect("the socket");
        let head = format!("{head}\r\nHost: local\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).expect("a request");
        let mut reader = BufReader::new(stream);
        let mut message = Message::head(&mut reader).expect("a head").expect("an answer");
        let mut read = Vec::new();
        message.read_body(&mut reader, true, |piece| read.extend_from_slice(piece)).expect("a body");
        message.body = read;
        message
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap_or_else(|_| panic!("{}", message.everything()))
}

const ASKED: &[u8] = br#"{"model":"small","max_tokens":9,"messages":[{"role":"user","content":"Why?"}]}"#;

#[test]
fn messages_are_served_on_a_socket() {
    let origin = Origin::start(completes);
    let hosted = Hosted::start(&origin);
    let mode = std::fs::metadata(&hosted.socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else may ask");
    // Whoever can open the socket may ask; what it bears goes nowhere.
    let answer = hosted.ask(&format!("POST /any/path HTTP/1.1\r\nx-api-key: {KEY}"), ASKED);
    assert_eq!(answer.status(), 200, "{}", answer.everything());
    let said = read(&answer);
    assert_eq!((&said["model"], &said["content"][0]["text"]), (&json!("small"), &json!("fine")));
    let arrived = origin.only();
    assert_eq!(arrived.start, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(arrived.one("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    assert!(!arrived.everything().contains(KEY), "{}", arrived.everything());
}

#[test]
fn a_stream_comes_as_it_is_made() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
        for chunk in [
            json!({"choices": [{"index": 0, "delta": {"content": "fi"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "ne"}, "finish_reason": "stop"}]}),
        ] {
            exchange.write(format!("data: {chunk}\n\n"))?;
        }
        exchange.write("data: [DONE]\n\n")?;
        exchange.stream.shutdown(std::net::Shutdown::Both)
    });
    let hosted = Hosted::start(&origin);
    let body = String::from_utf8_lossy(ASKED).replacen('{', "{\"stream\":true,", 1);
    let answer = hosted.ask("POST / HTTP/1.1", body.as_bytes());
    assert_eq!(answer.one("content-type"), Some("text/event-stream; charset=utf-8"), "{}", answer.everything());
    assert!(answer.text().starts_with("event: message_start\n"), "{}", answer.text());
    assert!(answer.text().trim_end().ends_with(r#"data: {"type":"message_stop"}"#), "{}", answer.text());
}

#[test]
fn what_is_refused_is_said_in_the_language_of_the_adapter() {
    let origin = Origin::start(|exchange| answers(exchange, "503 Busy", "Retry-After: 7\r\n", "{}"));
    let hosted = Hosted::start(&origin);
    let large = br#"{"model":"large","max_tokens":9,"messages":[{"role":"user","content":"Why?"}]}"#;
    for (head, body, status, kind) in [
        ("POST / HTTP/1.1", &b"{"[..], 400, "invalid_request_error"),
        ("POST / HTTP/1.1", large, 404, "not_found_error"),
        ("GET / HTTP/1.1", b"", 405, "invalid_request_error"),
        ("POST / HTTP/1.1\r\nContent-Encoding: gzip", ASKED, 415, "invalid_request_error"),
        ("POST / HTTP/1.1", ASKED, 529, "overloaded_error"),
    ] {
        let answer = hosted.ask(head, body);
        assert_eq!((answer.status(), &read(&answer)["type"]), (status, &json!("error")), "{}", answer.everything());
        assert_eq!(read(&answer)["error"]["type"], kind, "{}", answer.everything());
        assert_eq!(answer.one("request-id"), answer.one("x-litellm-call-id"), "{}", answer.everything());
        assert!(answer.one("request-id").is_some());
    }
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_hosted_request_is_read_and_sent_on_as_any() {
    let origin = Origin::start(|exchange| answers(exchange, "200 OK", "", r#"{"type":"message","content":[]}"#));
    let hosted = Hosted::over(&[entry("small", "anthropic/claude-x", &origin, "")]);
    // A client that waits to be asked for its body, and speaks a beta of Anthropic's.
    let mut stream = UnixStream::connect(&hosted.socket).expect("the socket");
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: local\r\nExpect: 100-continue\r\nanthropic-beta: some-beta\r\nContent-Length: {}\r\n\r\n",
        ASKED.len()
    );
    stream.write_all(head.as_bytes()).expect("a head");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    assert_eq!(Message::head(&mut reader).expect("a head").expect("an answer").status(), 100);
    stream.write_all(ASKED).expect("a body");
    assert_eq!(Message::head(&mut reader).expect("a head").expect("an answer").status(), 200);
    assert_eq!(origin.only().one("anthropic-beta"), Some("some-beta"));
    // One whose body is too large reads why, also when it has sent all of it.
    let answer = hosted.ask("POST / HTTP/1.1", &vec![b' '; 33 << 20]);
    assert_eq!((answer.status(), &read(&answer)["error"]["type"]), (413, &json!("request_too_large")));
}
