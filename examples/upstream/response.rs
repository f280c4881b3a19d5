//! An answer: JSON with its length, or server-sent events one by one.

use std::{io, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::request::Request;

/// Between two events of a stream, so that a person can see it stream.
const EVENT_PAUSE: Duration = Duration::from_millis(20);

/// An answer: a status and either JSON or server-sent events.
pub(crate) struct Response {
    status: u16,
    allow: Option<&'static str>,
    body: Body,
}

enum Body {
    Json(Value),
    Events(Vec<String>),
}

impl Response {
    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self { status, allow: None, body: Body::Json(value) }
    }

    /// An error in OpenAI's shape.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let kind = if status == 401 { "authentication_error" } else { "invalid_request_error" };
        Self::json(status, json!({"error": {"message": message, "type": kind, "param": null, "code": null}}))
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::error(405, &format!("this path answers {allow}")) }
    }

    /// Each text becomes one `data:` line, sent on its own.
    pub(crate) fn events(texts: Vec<String>) -> Self {
        Self { status: 200, allow: None, body: Body::Events(texts) }
    }

    fn head(&self, framing: &str, keep_alive: bool) -> String {
        let content_type = match self.body {
            Body::Json(_) => "application/json",
            Body::Events(_) => "text/event-stream",
        };
        let allow = self.allow.map_or(String::new(), |methods| format!("allow: {methods}\r\n"));
        let connection = if keep_alive { "" } else { "connection: close\r\n" };
        format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {content_type}\r\n{allow}{connection}{framing}\r\n",
            self.status,
            reason(self.status)
        )
    }

    /// Writes the answer to that request; None when no request could be read, and the connection ends.
    pub(crate) async fn write(self, stream: &mut (impl AsyncWrite + Unpin), to: Option<&Request>) -> io::Result<()> {
        let keep_alive = to.is_some_and(Request::keeps_alive);
        let is_head = to.is_some_and(|request| request.method == "HEAD");
        let events = match &self.body {
            Body::Json(value) => {
                let body = format!("{value}\n");
                let mut message = self.head(&format!("content-length: {}\r\n", body.len()), keep_alive);
                if !is_head {
                    message.push_str(&body);
                }
                return stream.write_all(message.as_bytes()).await;
            }
            Body::Events(events) => events,
        };
        // HTTP/1.0 knows no chunks: there the end of the connection is the end of the stream.
        let chunked = to.is_none_or(|request| !request.http_1_0);
        let framing = if chunked { "transfer-encoding: chunked\r\n" } else { "" };
        stream.write_all(self.head(framing, keep_alive).as_bytes()).await?;
        if is_head {
            return Ok(());
        }
        for (number, text) in events.iter().enumerate() {
            if number > 0 {
                sleep(EVENT_PAUSE).await;
            }
            let event = format!("data: {text}\n\n");
            let chunk = if chunked { format!("{:x}\r\n{event}\r\n", event.len()) } else { event };
            stream.write_all(chunk.as_bytes()).await?;
        }
        stream.write_all(if chunked { b"0\r\n\r\n" } else { b"" }).await
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        207 => "Multi-Status",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
