//! What is counted about requests, for Prometheus.
//!
//! The law: labels come from closed vocabularies or from the config and the key store, never from a request; however many there are,
//! at most [`MOST_SERIES`] series are kept, and what comes after is counted under `other`. Counting takes no lock that a reader
//! holds, and none that others wait for once a series is known.
//!
//! `series` keeps that bound, `text` writes what is asked for. Names are `tollgate_*`, and LiteLLM's where its dashboards expect them.

mod series;
mod text;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use series::{Budget, Family};

pub use text::{CONTENT_TYPE, Gauge};

/// The most series of counters and histograms that are kept.
pub const MOST_SERIES: usize = 9_500;

/// Upper bounds of histograms, in seconds: from a proxy's own work to a model's longest answer.
const BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The route's pattern; empty: none.
    pub route: &'a str,
    /// The status that the client was sent; 0: none.
    pub status: u16,
    /// Whose fault a refusal was, by name; empty: nobody's.
    pub blame: &'a str,
    /// Why it was refused; empty: it was not.
    pub reason: &'a str,
    /// The name of the key; empty: no virtual key.
    pub key: &'a str,
    /// Its team.
    pub team: &'a str,
    /// Its user.
    pub user: &'a str,
    /// From the first byte of the head to the last of the answer.
    pub took: Duration,
    /// To the first byte of the upstream's answer.
    pub first_byte: Option<Duration>,
    /// How much of that was Tollgate's own.
    pub overhead: Option<Duration>,
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<IntCounterVec>,
    litellm_requests: Family<IntCounterVec>,
    litellm_failures: Family<IntCounterVec>,
    took: Family<HistogramVec>,
    first_byte: Family<HistogramVec>,
    overhead: Family<HistogramVec>,
    refusals: Family<IntCounterVec>,
    reloads: Family<IntCounterVec>,
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new() -> Result<Self, String> {
        let registry = Registry::new();
        let budget = Arc::new(Budget::new(MOST_SERIES));
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<Family<IntCounterVec>, String> {
            let vec = IntCounterVec::new(Opts::new(name, help), labels).map_err(|error| error.to_string())?;
            registry.register(Box::new(vec.clone())).map_err(|error| error.to_string())?;
            Ok(Family::new(vec, 1, labels.len(), &budget))
        };
        let histogram = |name: &str, help: &str| -> Result<Family<HistogramVec>, String> {
            let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            let vec = HistogramVec::new(opts, &["route"]).map_err(|error| error.to_string())?;
            registry.register(Box::new(vec.clone())).map_err(|error| error.to_string())?;
            // Each bucket is a series, and so are the last one, the sum and the count.
            Ok(Family::new(vec, BUCKETS.len() + 3, 1, &budget))
        };
        let keyed = ["api_key_alias", "team", "user", "route", "status_code"];
        Ok(Self {
            requests: counter(
                "tollgate_requests_total",
                "Requests that ended, by route, status, and who was to blame for a refusal and why.",
                &["route", "status", "blame", "reason"],
            )?,
            litellm_requests: counter(
                "litellm_proxy_total_requests_metric_total",
                "Requests to the proxy, under LiteLLM's name.",
                &keyed,
            )?,
            litellm_failures: counter(
                "litellm_proxy_failed_requests_metric_total",
                "Requests that the proxy did not serve, under LiteLLM's name.",
                &keyed,
            )?,
            took: histogram("tollgate_request_duration_seconds", "From a request's head to the end of its answer.")?,
            first_byte: histogram("tollgate_first_byte_seconds", "To the first byte of the upstream's answer.")?,
            overhead: histogram("tollgate_overhead_seconds", "What of that was Tollgate's own.")?,
            refusals: counter(
                "tollgate_edge_refusals_total",
                "What was refused before it was a request, by reason.",
                &["reason"],
            )?,
            reloads: counter("tollgate_reloads_total", "Reloads of the config, by what came of them.", &["outcome"])?,
            registry,
        })
    }

    /// Counts a request.
    pub fn ended(&self, ended: &Ended<'_>) {
        let mut digits = [0; 5];
        let status = written(ended.status, &mut digits);
        self.requests.with(&[ended.route, status, ended.blame, ended.reason], IntCounter::inc);
        let keyed = [ended.key, ended.team, ended.user, ended.route, status];
        self.litellm_requests.with(&keyed, IntCounter::inc);
        if !ended.reason.is_empty() || ended.status >= 400 {
            self.litellm_failures.with(&keyed, IntCounter::inc);
        }
        let observe = |family: &Family<HistogramVec>, time: Duration| {
            family.with(&[ended.route], |histogram: &Histogram| histogram.observe(time.as_secs_f64()));
        };
        observe(&self.took, ended.took);
        if let Some(time) = ended.first_byte {
            observe(&self.first_byte, time);
        }
        if let Some(time) = ended.overhead {
            observe(&self.overhead, time);
        }
    }

    /// Counts what never became a request.
    pub fn refused(&self, reason: &str) {
        self.refusals.with(&[reason], IntCounter::inc);
    }

    /// Counts a reload.
    pub fn reloaded(&self, outcome: &str) {
        self.reloads.with(&[outcome], IntCounter::inc);
    }

    /// All of it, and `gauges`, in Prometheus' text format.
    pub fn text(&self, gauges: &[Gauge]) -> String {
        text::write(&self.registry.gather(), gauges)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// A number as text, without an allocation.
fn written(number: u16, digits: &mut [u8; 5]) -> &str {
    let mut at = digits.len();
    let mut rest = number;
    while at == digits.len() || rest > 0 {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
    }
    digits.get(at..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(route: &str, status: u16) -> Ended<'_> {
        Ended {
            route,
            status,
            blame: "",
            reason: "",
            key: "ci",
            team: "",
            user: "",
            took: Duration::from_millis(3),
            first_byte: Some(Duration::from_millis(2)),
            overhead: Some(Duration::from_micros(120)),
        }
    }

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::new().expect("metrics");
        metrics.ended(&ended("/a", 200));
        metrics.ended(&Ended { blame: "caller", reason: "no_key", ..ended("/a", 401) });
        metrics.refused("bad_frame");
        metrics.reloaded("applied");
        let text = metrics.text(&[Gauge::new("tollgate_generation", "The config in force.", 3.0)]);
        for line in [
            r#"tollgate_requests_total{blame="",reason="",route="/a",status="200"} 1"#,
            r#"tollgate_requests_total{blame="caller",reason="no_key",route="/a",status="401"} 1"#,
            r#"litellm_proxy_total_requests_metric_total{api_key_alias="ci",route="/a",status_code="200",team="",user=""} 1"#,
            r#"litellm_proxy_failed_requests_metric_total{api_key_alias="ci",route="/a",status_code="401",team="",user=""} 1"#,
            r#"tollgate_request_duration_seconds_bucket{route="/a",le="0.01"} 2"#,
            r#"tollgate_overhead_seconds_count{route="/a"} 2"#,
            r#"litellm_overhead_latency_metric_count{route="/a"} 2"#,
            r#"tollgate_edge_refusals_total{reason="bad_frame"} 1"#,
            r#"tollgate_reloads_total{outcome="applied"} 1"#,
            "tollgate_generation 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_hundred_thousand_labels_stay_within_the_bound() {
        let metrics = Metrics::new().expect("metrics");
        for number in 0..100_000 {
            metrics.ended(&ended(&format!("/route-{number}"), 200));
        }
        let text = metrics.text(&[]);
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!((5_000..=10_000 * 2).contains(&series), "{series}");
        let total: u64 = text
            .lines()
            .filter(|line| line.starts_with("tollgate_requests_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum();
        assert_eq!(total, 100_000, "nothing is lost");
        assert!(text.contains(r#"tollgate_requests_total{blame="other",reason="other",route="other",status="other"}"#));
    }

    #[test]
    fn numbers_are_written() {
        for (number, expected) in [(0, "0"), (7, "7"), (200, "200"), (65_535, "65535")] {
            assert_eq!(written(number, &mut [0; 5]), expected);
        }
    }
}
