//! A call as curl makes it: bytes on a socket, and the answer as it came.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::http1::Message;

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The answer.
    pub message: Message,
}

impl Reply {
    /// The body, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.message.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// POSTs `body` to `path` of `host`; what curl adds of its own is added.
pub fn post(host: &str, path: &str, headers: &[&str], body: &str) -> Reply {
    let headers = headers.iter().map(|line| format!("{line}\r\n")).collect::<String>();
    let length = body.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8.5.0\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(host).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream.write_all(text.as_bytes()).expect("a request sent");
    let mut answer = Vec::new();
    loop {
        if let Some((message, length)) = Message::parse(&answer) {
            assert_eq!(length, answer.len(), "bytes after the answer");
            let status = message.start.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            return Reply { status, message };
        }
        let mut piece = [0; 16 << 10];
        let length = stream.read(&mut piece).expect("an answer in time");
        assert!(length > 0, "the answer ends early: {:?}", String::from_utf8_lossy(&answer));
        answer.extend(&piece[..length]);
    }
}
