//! `tollgate.limits`, the clients' half of `tollgate.timeouts`, `tollgate.trusted_proxies`.
//!
//! Whether a network is one is judged beside its type, one floor up.

use super::{seconds, seconds_or_none};
use crate::config::Edge;
use crate::config::error::Report;
use crate::config::fields::{LIMITS, TIMEOUTS};
use crate::config::section::Section;

/// What `tollgate` says of clients.
pub(super) fn read(own: Option<&Section<'_>>, report: &mut Report) -> Edge {
    // Unknown keys in `timeouts` are reported where the upstreams' half is read.
    let mut seen = Report::default();
    let timeouts = own.and_then(|own| own.section("timeouts", &TIMEOUTS, &[], &mut seen));
    let limits = own.and_then(|own| own.section("limits", &LIMITS, &[], report));
    let time =
        |key: &str, default: f64, report: &mut Report| seconds(timeouts.as_ref(), key, report).unwrap_or(default);
    let count = |key: &str, report: &mut Report| limits.as_ref().and_then(|limits| limits.count(key, report));
    let number = |key: &str, report: &mut Report| limits.as_ref().and_then(|limits| limits.number(key, report));
    let drain = time("drain", 30.0, report);
    Edge {
        header_bytes: at_least(limits.as_ref(), "header_bytes", 256, report).unwrap_or(64 << 10),
        header_fields: at_least(limits.as_ref(), "header_fields", 1, report).unwrap_or(100),
        target_bytes: at_least(limits.as_ref(), "target_bytes", 16, report).unwrap_or(16 << 10),
        connections: at_least(limits.as_ref(), "connections", 1, report),
        connections_per_address: at_least(limits.as_ref(), "connections_per_address", 1, report),
        requests: count("rpm_limit", report).map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
        failures: count("failed_keys_per_address", report)
            .map_or(1000, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        in_flight: count("in_flight", report).unwrap_or(10_000),
        // A float-to-int cast saturates, which is the right end for a limit beyond 2^64 bytes.
        memory: number("memory_mb", report).map(|megabytes| (megabytes * 1_000_000.0) as u64),
        body_rate: number("body_rate", report).unwrap_or(240.0),
        header_seconds: time("header", 10.0, report),
        keepalive_seconds: time("keepalive", 75.0, report),
        body_seconds: time("body", 20.0, report),
        write_seconds: time("write", 60.0, report),
        drain_seconds: drain,
        stream_seconds: time("drain_streams", drain, report),
        notice_seconds: seconds_or_none(timeouts.as_ref(), "drain_notice", report).unwrap_or(2.0),
        trusted_proxies: own.and_then(|own| own.texts("trusted_proxies", report)).unwrap_or_default(),
        forwarded_headers: own.and_then(|own| own.boolean("forwarded_headers", report)).unwrap_or(false),
    }
}

/// A whole number below which nothing could be served.
fn at_least(section: Option<&Section<'_>>, key: &str, least: usize, report: &mut Report) -> Option<usize> {
    let section = section?;
    let value = section.count(key, report)?;
    if value >= least {
        return Some(value);
    }
    if let Some(entry) = section.entry(key) {
        report.problem(
            &section.site_of(entry),
            format!("with {value} nothing could be served"),
            format!("write {least} or more"),
        );
    }
    None
}
