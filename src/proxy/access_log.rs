//! One line a request.
//!
//! The law: the line has the canonical path without its query, the route's pattern, who called, what came of it and how long
//! it took; it has no credential, no header value and no body; client data cannot end it or reach a terminal as an escape.

use std::io::Write;
use std::time::Duration;

use http::{StatusCode, Version};
use pingora::http::RequestHeader;
use pingora::prelude::{Error, Session};
use serde_json::json;

use super::ctx::RequestCtx;
use super::record::RequestRecord;
use crate::logger::{self, neutralized};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// For people: `CLIENT - "POST /v1/rerank HTTP/1.1" 200 OK …`.
    Text,
}

/// Writes the line of a finished request.
pub(super) fn write(format: Format, session: &Session, error: Option<&Error>, ctx: &RequestCtx) {
    let path = match &ctx.admission {
        Some(admission) => admission.path.clone(),
        None => refused_path(session.req_header().raw_path()),
    };
    match format {
        Format::Text => logger::access(|out| text(out, &path, error, ctx)),
        Format::Json => logger::access(|out| object(out, &path, ctx)),
    }
}

/// The path of a request that was not admitted: what stands before the query, as far as it can be shown.
fn refused_path(target: &[u8]) -> String {
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    String::from_utf8_lossy(path.get(..path.len().min(1024)).unwrap_or_default()).into_owned()
}

fn text(out: &mut Vec<u8>, path: &str, error: Option<&Error>, ctx: &RequestCtx) {
    let record = &ctx.record;
    let client = record.client.map_or_else(|| "-".into(), |client| client.to_string());
    let reason = StatusCode::from_u16(record.status).ok().and_then(|status| status.canonical_reason()).unwrap_or("");
    let _ = write!(
        out,
        "{client} - \"{} {} {}\" {} {reason}",
        record.method,
        neutralized(path),
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
    if let Some(note) = record.note.as_deref().filter(|_| error.is_some() || record.note.is_some()) {
        let _ = write!(out, " error=\"{}\"", neutralized(note));
    }
}

fn object(out: &mut Vec<u8>, path: &str, ctx: &RequestCtx) {
    let record = &ctx.record;
    let mut line = json!({
        "time": logger::humantime(std::time::SystemTime::now()),
        "call_id": record.call_id(),
        "client": record.client.map(|client| client.to_string()),
        "method": record.method.as_str(),
        "path": path,
        "protocol": version(record.version),
        "route": record.route.as_ref().map(|route| route.name.as_str()),
        "principal": record.principal.map(|principal| principal.name()),
        "status": record.status,
        "sent_bytes": record.sent,
        "received_bytes": ctx.attempt.body_bytes,
        "duration_ms": milliseconds(record.took()),
    });
    let mut put = |key: &str, value: serde_json::Value| line[key] = value;
    if let Some(id) = record.route.as_ref().and_then(|route| route.id.as_deref()) {
        put("route_id", id.into());
    }
    if let Some(cost) = record.route.as_ref().and_then(|route| route.cost).filter(|_| served(record)) {
        put("cost", cost.into());
    }
    if let Some((connected, reused)) = record.connected {
        put("connect_ms", milliseconds(connected.duration_since(record.begun)).into());
        put("pooled", reused.into());
        if let Some(first) = record.first_byte {
            put("first_byte_ms", milliseconds(first.saturating_duration_since(record.begun)).into());
        }
    }
    if ctx.attempts > 0 {
        put("failed_attempts", ctx.attempts.into());
    }
    if let Some(rejection) = &ctx.rejection {
        put("reason", rejection.reason().into());
        put("blame", format!("{:?}", rejection.blame()).to_ascii_lowercase().into());
    }
    if record.broken {
        put("broken", true.into());
    }
    if let Some(note) = &record.note {
        put("error", note.as_str().into());
    }
    let _ = serde_json::to_writer(out, &line);
}

/// Whether the upstream served it, so that it costs something.
fn served(record: &RequestRecord) -> bool {
    record.connected.is_some() && (200..400).contains(&record.status)
}

/// What `--detailed_debug` adds before a request is sent: names, never values.
pub(super) fn detail(request: &RequestHeader, ctx: &RequestCtx) {
    let names: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
    let (Some(member), Some(route)) = (ctx.member(), ctx.record.route.as_ref()) else { return };
    log::debug!(
        "call={} route={} principal={} upstream={} path={} attempt={} headers: {}",
        ctx.record.call_id(),
        route.name,
        ctx.record.principal.map_or("-", |principal| principal.name()),
        member.target.authority,
        refused_path(request.raw_path()),
        ctx.attempts + 1,
        names.join(" "),
    );
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
