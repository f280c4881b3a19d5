//! An answer: one text with its length, or server-sent events one by one; and what can go wrong with either.

use std::{io, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::sleep,
};

use crate::request::Request;

/// Between two events of a stream, so that a person can see it stream.
const EVENT_PAUSE: Duration = Duration::from_millis(20);

/// An answer: a status and either one text or server-sent events.
pub(crate) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Body,
    /// Before the head, and before each event but the first.
    pauses: (Duration, Duration),
    /// The connection breaks after the last event, or in the middle of the text.
    cut: bool,
}

enum Body {
    Text { content_type: &'static str, text: String },
    Events(Vec<String>),
}

impl Response {
    fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body, pauses: (Duration::ZERO, EVENT_PAUSE), cut: false }
    }

    pub(crate) fn json(status: u16, value: Value) -> Self {
        Self::new(status, Body::Text { content_type: "application/json", text: format!("{value}\n") })
    }

    /// What a proxy in between says, and no API.
    pub(crate) fn html(status: u16, text: &str) -> Self {
        Self::new(status, Body::Text { content_type: "text/html", text: text.to_owned() })
    }

    /// An error in OpenAI's shape.
    pub(crate) fn error(status: u16, message: &str) -> Self {
        let kind = match status {
            401 => "authentication_error",
            429 => "rate_limit_error",
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        Self::json(status, json!({"error": {"message": message, "type": kind, "param": null, "code": null}}))
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::error(405, &format!("this path answers {allow}")).with("allow", allow)
    }

    /// Each text becomes one `data:` line, sent on its own.
    pub(crate) fn events(texts: Vec<String>) -> Self {
        Self::new(200, Body::Events(texts))
    }

    /// One more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same after so long, and with so long between two events.
    pub(crate) fn slowed(mut self, before: Duration, between: Duration) -> Self {
        self.pauses = (before, between);
        self
    }

    /// The same, but that the connection breaks before its end.
    pub(crate) fn cut(mut self) -> Self {
        self.cut = true;
        self
    }

    fn head(&self, framing: &str, keep_alive: bool) -> String {
        let content_type = match self.body {
            Body::Text { content_type, .. } => content_type,
            Body::Events(_) => "text/event-stream",
        };
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let connection = if keep_alive { "" } else { "connection: close\r\n" };
        format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {content_type}\r\n{headers}{connection}{framing}\r\n",
            self.status,
            reason(self.status)
        )
    }

    /// Writes the answer to that request; None when no request could be read, and the connection ends.
    pub(crate) async fn write(self, stream: &mut (impl AsyncWrite + Unpin), to: Option<&Request>) -> io::Result<()> {
        let keep_alive = to.is_some_and(Request::keeps_alive);
        let is_head = to.is_some_and(|request| request.method == "HEAD");
        let (before, between) = self.pauses;
        sleep(before).await;
        let events = match &self.body {
            Body::Text { text, .. } => {
                let mut message = self.head(&format!("content-length: {}\r\n", text.len()), keep_alive).into_bytes();
                let length = if self.cut { text.len() / 2 } else { text.len() };
                if !is_head {
                    message.extend_from_slice(&text.as_bytes()[..length]);
                }
                stream.write_all(&message).await?;
                return self.end();
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
                sleep(between).await;
            }
            let event = format!("data: {text}\n\n");
            let chunk = if chunked { format!("{:x}\r\n{event}\r\n", event.len()) } else { event };
            stream.write_all(chunk.as_bytes()).await?;
        }
        self.end()?;
        stream.write_all(if chunked { b"0\r\n\r\n" } else { b"" }).await
    }

    /// A connection whose answer is cut is no good for another.
    fn end(&self) -> io::Result<()> {
        if self.cut { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
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
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        529 => "Overloaded",
        _ => "",
    }
}
