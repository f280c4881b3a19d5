//! One line a request.
//!
//! The law: the line has the canonical path without its query, the route's pattern, who called, what came of it and how long
//! it took; it has no credential, no header value and no body; client data cannot end it or reach a terminal as an escape.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use http::{StatusCode, Version};
use pingora::http::RequestHeader;
use serde::Serialize;

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

/// Writes the line of a finished request. `refused`: the path of one that was not admitted.
pub(super) fn write(ctx: &RequestCtx, refused: &str) {
    let path = ctx.admission.as_ref().map_or(refused, |admission| &admission.path);
    // LiteLLM's own calls carry keys in their paths.
    let hidden = ctx.snapshot.keyring.occurs_in(path.as_bytes());
    let path = if hidden { "(a path with a key in it)".into() } else { neutralized(path) };
    match ctx.format {
        Format::Text => logger::access(|out| text(out, &path, ctx)),
        Format::Json => logger::access(|out| object(out, &path, ctx)),
    }
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
        "{client} - \"{} {} {}\" {} {reason}",
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

/// The line as JSON, keys in the order in which a person reads them.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    call_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    method: &'a str,
    path: &'a str,
    protocol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    status: u16,
    sent_bytes: u64,
    received_bytes: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_attempts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blame: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

fn object(out: &mut Vec<u8>, path: &str, ctx: &RequestCtx) {
    let record = &ctx.record;
    let route = record.route.as_deref();
    let after = |time: Instant| milliseconds(time.saturating_duration_since(record.begun));
    let line = Line {
        time: logger::rfc3339(SystemTime::now()),
        call_id: record.call_id(),
        client: record.client,
        method: record.method.as_str(),
        path,
        protocol: version(record.version),
        route: route.map(|route| route.name.as_str()),
        route_id: route.and_then(|route| route.id.as_deref()),
        principal: record.principal.map(|principal| principal.name()),
        status: record.status,
        sent_bytes: record.sent,
        received_bytes: ctx.attempt.body_bytes,
        duration_ms: milliseconds(record.took()),
        connect_ms: record.connected.map(|(time, _)| after(time)),
        first_byte_ms: record.connected.and(record.first_byte).map(after),
        pooled: record.connected.map(|(_, pooled)| pooled),
        cost: route.and_then(|route| route.cost).filter(|_| served(record)),
        failed_attempts: (ctx.attempts > 0).then_some(ctx.attempts),
        reason: ctx.rejection.as_ref().map(|rejection| rejection.reason()),
        blame: ctx.rejection.as_ref().map(|rejection| rejection.blame().name()),
        broken: record.broken.then_some(true),
        error: record.note.as_deref(),
    };
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
