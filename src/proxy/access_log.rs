//! One line a request.
//!
//! The law: the line has the canonical path without its query, the route's pattern, who called, what came of it and how long
//! it took; it has no credential, no header value and no body; client data cannot end it or reach a terminal as an escape.

use std::cell::Cell;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{StatusCode, Version};

use super::ctx::RequestCtx;
use super::record::RequestRecord;
use crate::auth::holds_likely_key;
use crate::logger::{self, neutralized};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For people, as LiteLLM's server prints it: `INFO: CLIENT - "POST /v1/rerank HTTP/1.1" 200 OK …`.
    Text,
}

/// Writes the line of a finished request. `refused`: the path of one that was not admitted.
pub(super) fn write(ctx: &RequestCtx, refused: &str) {
    let sample = ctx.manner.sample;
    if sample < 1.0 && is_fine(ctx) && !is_drawn(sample) {
        return;
    }
    let path = ctx.admission.as_ref().map_or(refused, |admission| &admission.path);
    // LiteLLM's own calls carry keys in their paths.
    let hidden = ctx.snapshot.keyring.occurs_in(path.as_bytes()) || (!refused.is_empty() && holds_likely_key(refused));
    let path = if hidden { "(a path with a key in it)".into() } else { neutralized(path) };
    match ctx.manner.format {
        Format::Text => logger::access(|out| text(out, &path, ctx)),
        Format::Json => logger::access(|out| object(out, &path, ctx)),
    }
}

/// Whether there is nothing about it that somebody may look for.
fn is_fine(ctx: &RequestCtx) -> bool {
    let record = &ctx.record;
    ctx.rejection.is_none() && !record.broken && record.note.is_none() && (200..400).contains(&record.status)
}

thread_local! {
    /// What has been left over of shares so far.
    static DRAWN: Cell<f64> = const { Cell::new(0.0) };
}

/// Whether this one is of the share: evenly, one in ten for a tenth.
fn is_drawn(share: f64) -> bool {
    let sum = DRAWN.get() + share;
    // Of shares such as 0.1 ten are a little less than one.
    let drawn = sum >= 1.0 - 1e-9;
    DRAWN.set(if drawn { sum - 1.0 } else { sum });
    drawn
}

/// The path of a request that was not admitted: what stands before the query, as far as it can be shown.
pub(super) fn refused_path(target: &[u8]) -> String {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(path.get(..path.len().min(1024)).unwrap_or_default()).into_owned()
}

fn text(out: &mut Vec<u8>, path: &str, ctx: &RequestCtx) {
    let record = &ctx.record;
    let client = record.client.map_or_else(|| "-".into(), |client| client.to_string());
    let reason = StatusCode::from_u16(record.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let _ = write!(
        out,
        "INFO: {client} - \"{} {} {}\" {} {reason}",
        record.method,
        path,
        version(record.version),
        record.status,
    );
    let _ = write!(out, " {:.1}ms call={}", milliseconds(record.took()), record.call_id());
    if let Some(rejection) = &ctx.rejection {
        let _ = write!(out, " reason={}", rejection.reason());
    }
    if record.broken {
        let _ = write!(out, " broken");
    }
    if let Some(note) = &record.note {
        let _ = write!(out, " error=\"{}\"", neutralized(note));
    }
}

/// Writes the fields of a JSON object, in the order in which a person reads them. It is on the path of every request, and
/// several times faster than a serializer that escapes what needs no escaping. Names are constants: where they are written is
/// inlined, so that their lengths are known.
struct Object<'a>(&'a mut Vec<u8>);

impl Object<'_> {
    /// `key` and a value that is JSON already; `key` comes with its quotes and colon.
    #[inline(always)]
    fn raw(&mut self, key: &str, value: &[u8]) {
        self.0.push(if self.0.last().is_none_or(|last| *last == b'\n') { b'{' } else { b',' });
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(value);
    }

    /// Text that holds no quote, no backslash and no control character.
    #[inline]
    fn plain(&mut self, key: &str, value: &str) {
        self.raw(key, b"\"");
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    /// Any text.
    #[inline]
    fn text(&mut self, key: &str, value: &str) {
        if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            return self.plain(key, value);
        }
        self.raw(key, b"");
        let _ = serde_json::to_writer(&mut *self.0, value);
    }

    #[inline]
    fn number(&mut self, key: &str, value: u64) {
        self.raw(key, b"");
        self.digits(value);
    }

    fn address(&mut self, key: &str, address: SocketAddr) {
        let SocketAddr::V4(four) = address else { return self.plain(key, &address.to_string()) };
        self.raw(key, b"\"");
        for (octet, end) in four.ip().octets().into_iter().zip(*b"...:") {
            self.digits(octet.into());
            self.0.push(end);
        }
        self.digits(four.port().into());
        self.0.push(b'"');
    }

    fn digits(&mut self, value: u64) {
        self.0.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Milliseconds with two decimals.
    #[inline]
    fn milliseconds(&mut self, key: &str, time: Duration) {
        let hundredths = time.as_secs().saturating_mul(100_000).saturating_add((time.subsec_micros() / 10).into());
        self.number(key, hundredths / 100);
        let digit = |value: u64| b'0' + (value % 10) as u8;
        self.0.extend_from_slice(&[b'.', digit(hundredths / 10), digit(hundredths)]);
    }
}

fn object(out: &mut Vec<u8>, path: &str, ctx: &RequestCtx) {
    let record = &ctx.record;
    let route = record.route.as_deref();
    let after = |time: Instant| time.saturating_duration_since(record.begun);
    let mut line = Object(out);
    line.raw("\"time\":", b"\"");
    logger::write_time(line.0, record.ended_at());
    line.0.push(b'"');
    line.plain("\"call_id\":", record.call_id());
    if let Some(client) = record.client {
        line.address("\"client\":", client);
    }
    line.text("\"method\":", record.method.as_str());
    line.text("\"path\":", path);
    line.plain("\"protocol\":", version(record.version));
    if let Some(route) = route {
        line.text("\"route\":", &route.name);
    }
    if let Some(id) = route.and_then(|route| route.id.as_deref()) {
        line.text("\"route_id\":", id);
    }
    if let Some(principal) = &record.principal {
        line.text("\"principal\":", principal.name());
    }
    if let Some((_, asked)) = ctx.admission.as_ref().and_then(|admission| admission.model.as_ref()) {
        // The file's word: the client's may be anything.
        line.text("\"model_group\":", &asked.group.name);
    }
    if let Some(deployment) = &record.deployment {
        line.text("\"deployment\":", deployment);
    }
    line.number("\"status\":", record.status.into());
    line.number("\"sent_bytes\":", record.sent);
    line.number("\"received_bytes\":", ctx.attempt.body_bytes);
    line.milliseconds("\"duration_ms\":", record.took());
    if let Some(queued) = record.queued() {
        line.milliseconds("\"queue_ms\":", queued);
    }
    if let Some(own) = record.own() {
        line.milliseconds("\"own_ms\":", own);
    }
    if let Some((connected, pooled)) = record.connected {
        line.milliseconds(
            "\"connect_ms\":",
            record.asked.map_or_else(Duration::default, |asked| connected.saturating_duration_since(asked)),
        );
        if let Some(first) = record.first_byte {
            line.milliseconds("\"first_byte_ms\":", after(first));
        }
        line.raw("\"pooled\":", if pooled { b"true" } else { b"false" });
    }
    exceptions(&mut line, ctx);
    line.0.push(b'}');
}

/// What most lines do not have.
fn exceptions(line: &mut Object<'_>, ctx: &RequestCtx) {
    let record = &ctx.record;
    if ctx.manner.sample < 1.0 && is_fine(ctx) {
        line.raw("\"sample\":", ctx.manner.sample.to_string().as_bytes());
    }
    if let Some(cost) = record.route.as_ref().and_then(|route| route.cost).filter(|_| served(record)) {
        line.raw("\"cost\":", cost.to_string().as_bytes());
    }
    if ctx.attempts > 0 {
        line.number("\"failed_attempts\":", ctx.attempts as u64);
    }
    if let Some(rejection) = &ctx.rejection {
        line.plain("\"reason\":", rejection.reason());
        line.plain("\"blame\":", rejection.blame().name());
    }
    if record.broken {
        line.raw("\"broken\":", b"true");
    }
    if let Some(note) = &record.note {
        line.text("\"error\":", note);
    }
}

/// Whether the upstream served it, so that it costs something.
fn served(record: &RequestRecord) -> bool {
    record.connected.is_some() && (200..400).contains(&record.status)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
