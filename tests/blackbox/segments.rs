//! A small request leaves for a plain upstream in one piece: its head and its body.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::gate::KEY;
use crate::support::{Client, Gate};

/// What an answer of it is.
const ANSWER: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}"#;

/// An origin that takes what one read gives it for a request, and says what that was.
fn origin() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    let _ = tell.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
                    let length = ANSWER.len();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
                    );
                    if stream.write_all(&[head.as_bytes(), ANSWER.as_bytes()].concat()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, told)
}

#[test]
fn head_and_body_of_a_small_request_arrive_together() {
    let (port, told) = origin();
    let gate = Gate::start(&format!(
        "general_settings:\n  master_key: {KEY}\n  pass_through_endpoints:\n    - {{path: /through, target: 'http://127.0.0.1:{port}/x'}}\n\
         model_list:\n  - {{model_name: small, litellm_params: {{model: openai/gpt-4o, api_base: 'http://127.0.0.1:{port}/v1', api_key: k}}}}\n"
    ));
    let chat = r#"{"model":"small","messages":[{"role":"user","content":"Why?"}]}"#;
    let message = r#"{"model":"small","max_tokens":9,"messages":[{"role":"user","content":"Why?"}]}"#;
    let mut client = Client::connect(gate.port);
    for (target, body, end) in [
        ("/through", r#"{"a":1}"#, r#"{"a":1}"#),
        ("/v1/chat/completions", chat, "}"),
        ("/v1/messages", message, "}"),
        // The second request of each connection.
        ("/through", r#"{"b":2}"#, r#"{"b":2}"#),
        ("/v1/messages", message, "}"),
    ] {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = client.ask(head + body).expect("an answer");
        assert_eq!(answer.status(), 200, "{target}: {}", answer.everything());
        let arrived = told.recv().expect("a request");
        assert!(arrived.starts_with("POST ") && arrived.ends_with(end), "{target}: {arrived}");
    }
    // One without a body waits for none.
    assert_eq!(client.ask("GET /through HTTP/1.1\r\nHost: t\r\n\r\n").expect("an answer").status(), 200);
    assert!(told.recv().expect("a request").starts_with("GET /x HTTP/1.1\r\n"));
    assert!(told.try_recv().is_err(), "nothing came in two pieces");
}
