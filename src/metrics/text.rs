//! Prometheus' text format, version 0.0.4.
//!
//! The law: what Prometheus' own library writes, and after it the same histograms under LiteLLM's names, and the gauges that the
//! caller has looked up for this answer.

use std::fmt::Write as _;

use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};

/// What the text is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Histograms that LiteLLM's dashboards look for, by the names that they have here.
const LITELLM: &[(&str, &str)] = &[
    ("tollgate_request_duration_seconds", "litellm_request_total_latency_metric"),
    ("tollgate_first_byte_seconds", "litellm_llm_api_time_to_first_token_metric"),
    ("tollgate_upstream_seconds", "litellm_llm_api_latency_metric"),
    ("tollgate_overhead_seconds", "litellm_overhead_latency_metric"),
];

/// A value of this moment.
#[derive(Clone, Debug)]
pub struct Gauge {
    name: &'static str,
    help: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
    counts: bool,
}

impl Gauge {
    /// One without labels.
    pub fn new(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, labels: Vec::new(), value, counts: false }
    }

    /// One that only grows, for what is counted elsewhere.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { counts: true, ..Self::new(name, help, value as f64) }
    }

    /// The same with a label.
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

pub(super) fn write(families: &[MetricFamily], gauges: &[Gauge]) -> String {
    let mut out = Vec::new();
    let encoder = TextEncoder::new();
    // A vector takes everything that is written to it.
    let _ = encoder.encode(families, &mut out);
    for (ours, theirs) in LITELLM {
        if let Some(family) = families.iter().find(|family| family.name() == *ours) {
            let mut renamed = family.clone();
            renamed.set_name((*theirs).to_owned());
            let _ = encoder.encode(&[renamed], &mut out);
        }
    }
    let mut text = String::from_utf8_lossy(&out).into_owned();
    let mut last = "";
    for gauge in gauges {
        if gauge.name != last {
            let kind = if gauge.counts { "counter" } else { "gauge" };
            let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} {kind}", gauge.name, gauge.help);
            last = gauge.name;
        }
        let labels: Vec<String> =
            gauge.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{}{labels} {}", gauge.name, gauge.value);
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
