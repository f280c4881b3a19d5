//! What is counted about requests, for Prometheus.
//!
//! The law: labels come from closed vocabularies or from the config and the key store, never from a request; however many there are,
//! at most [`MOST_SERIES`] series are kept, and what comes after is counted under `other`. A request whose like has been counted
//! costs one look-up.
//!
//! `series` keeps that bound, `text` writes what is asked for. Names are `tollgate_*`, and LiteLLM's where its dashboards expect them.

mod series;
mod text;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use rustc_hash::FxHashMap;
use series::{Budget, Family};

pub use text::{CONTENT_TYPE, Gauge};

use crate::auth::Key;
use crate::snapshot::Route;

/// The most series of counters and histograms that are kept; gauges are a few hundred more.
pub const MOST_SERIES: usize = 9_500;

/// The most kinds of requests whose series are remembered together.
const MOST_KINDS: usize = 4096;

/// Upper bounds of histograms, in seconds: from a proxy's own work to a model's longest answer.
const BUCKETS: &[f64] = &[
    0.000_025, 0.000_05, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The route.
    pub route: Option<&'a Arc<Route>>,
    /// The status that the client was sent; 0: none.
    pub status: u16,
    /// Whose fault a refusal was, by name; empty: nobody's.
    pub blame: &'static str,
    /// Why it was refused; empty: it was not.
    pub reason: &'static str,
    /// The virtual key.
    pub key: Option<&'a Arc<Key>>,
    /// From the first byte of the head to the last of the answer.
    pub took: Duration,
    /// To the first byte of the upstream's answer.
    pub first_byte: Option<Duration>,
    /// How much of that was Tollgate's own.
    pub overhead: Option<Duration>,
}

/// The series that requests of one kind are counted in, with what keeps the addresses in its place from being another's.
struct Kind {
    requests: IntCounter,
    litellm_requests: IntCounter,
    failures: Option<IntCounter>,
    took: Histogram,
    first_byte: Histogram,
    upstream: Histogram,
    overhead: Histogram,
    #[expect(dead_code, reason = "held for their addresses")]
    holds: (Option<Arc<Route>>, Option<Arc<Key>>),
}

/// What a kind of requests is known by: route and key by their addresses, status, reason.
type Place = (usize, usize, u16, &'static str);

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<IntCounterVec>,
    litellm_requests: Family<IntCounterVec>,
    litellm_failures: Family<IntCounterVec>,
    took: Family<HistogramVec>,
    first_byte: Family<HistogramVec>,
    upstream: Family<HistogramVec>,
    overhead: Family<HistogramVec>,
    refusals: Family<IntCounterVec>,
    reloads: Family<IntCounterVec>,
    kinds: RwLock<FxHashMap<Place, Kind>>,
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
            // Each bucket is a series, and so are the last one, the sum and the count; LiteLLM's name makes them twice.
            Ok(Family::new(vec, 2 * (BUCKETS.len() + 3), 1, &budget))
        };
        let keyed = ["api_key_alias", "team", "user", "route", "status_code"];
        let metrics = Self {
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
            upstream: histogram("tollgate_upstream_seconds", "From asking an upstream to the end of its answer.")?,
            overhead: histogram("tollgate_overhead_seconds", "What of that was Tollgate's own.")?,
            refusals: counter(
                "tollgate_edge_refusals_total",
                "What was refused before it was a request, by reason.",
                &["reason"],
            )?,
            reloads: counter("tollgate_reloads_total", "Reloads of the config, by what came of them.", &["outcome"])?,
            registry,
            kinds: RwLock::default(),
        };
        // A counter that begins at 1 has never risen: the first refused reload would be seen by nobody.
        for outcome in ["applied", "refused"] {
            metrics.reloads.metric(&[outcome]);
        }
        Ok(metrics)
    }

    /// Counts a request.
    pub fn ended(&self, ended: &Ended<'_>) {
        let place = ended.place();
        if let Some(kind) = self.kinds.read().get(&place) {
            return kind.count(ended);
        }
        let Some(kind) = self.kind(ended) else { return };
        kind.count(ended);
        let mut kinds = self.kinds.write();
        // Routes and keys that are no more are let go.
        if kinds.len() >= MOST_KINDS {
            kinds.clear();
        }
        kinds.insert(place, kind);
    }

    /// Another config is in force: its routes have other addresses.
    pub fn forget(&self) {
        self.kinds.write().clear();
    }

    fn kind(&self, ended: &Ended<'_>) -> Option<Kind> {
        let mut digits = itoa::Buffer::new();
        let (route, status) = (ended.route.map_or("", |route| &route.name), digits.format(ended.status));
        let key = ended.key.map(|key| &key.record);
        let name = |text: Option<&Option<String>>| text.and_then(|text| text.clone()).unwrap_or_default();
        let (alias, team) = (key.map_or("", |key| key.shown()), name(key.map(|key| &key.team_id)));
        let user = name(key.map(|key| &key.user_id));
        let keyed = [alias, &team, &user, route, status];
        let failed = !ended.reason.is_empty() || ended.status >= 400;
        Some(Kind {
            requests: self.requests.metric(&[route, status, ended.blame, ended.reason])?,
            litellm_requests: self.litellm_requests.metric(&keyed)?,
            failures: if failed { self.litellm_failures.metric(&keyed) } else { None },
            took: self.took.metric(&[route])?,
            first_byte: self.first_byte.metric(&[route])?,
            upstream: self.upstream.metric(&[route])?,
            overhead: self.overhead.metric(&[route])?,
            holds: (ended.route.cloned(), ended.key.cloned()),
        })
    }

    /// Counts what never became a request.
    pub fn refused(&self, reason: &str) {
        self.refusals.metric(&[reason]).iter().for_each(IntCounter::inc);
    }

    /// Counts a reload.
    pub fn reloaded(&self, outcome: &str) {
        self.reloads.metric(&[outcome]).iter().for_each(IntCounter::inc);
    }

    /// All of it, and `gauges`, in Prometheus' text format.
    pub fn text(&self, gauges: &[Gauge]) -> String {
        text::write(&self.registry.gather(), gauges)
    }
}

impl Ended<'_> {
    fn place(&self) -> Place {
        let route = self.route.map_or(0, |route| Arc::as_ptr(route).addr());
        let key = self.key.map_or(0, |key| Arc::as_ptr(key).addr());
        (route, key, self.status, self.reason)
    }
}

impl Kind {
    fn count(&self, ended: &Ended<'_>) {
        self.requests.inc();
        self.litellm_requests.inc();
        if let Some(failures) = &self.failures {
            failures.inc();
        }
        self.took.observe(ended.took.as_secs_f64());
        if let Some(time) = ended.first_byte {
            self.first_byte.observe(time.as_secs_f64());
        }
        if let Some(own) = ended.overhead {
            self.overhead.observe(own.as_secs_f64());
            self.upstream.observe(ended.took.saturating_sub(own).as_secs_f64());
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::auth::{Book, Digest, KeyRecord};
    use crate::config::env::Environ;
    use crate::config::{self, Overrides};
    use crate::route::{Found, RequestPath};
    use crate::snapshot;

    struct File(String);

    impl Environ for File {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
            Ok(self.0.clone().into_bytes())
        }
    }

    /// Routes at `/route-N`.
    fn routes(count: usize) -> Vec<Arc<Route>> {
        let entries: String =
            (0..count).map(|number| format!("    - {{path: /route-{number}, target: 'https://a.test/'}}\n")).collect();
        let file = File(format!("general_settings:\n  pass_through_endpoints:\n{entries}"));
        let (config, mut report) = config::load(Path::new("t.yaml"), &file, &Overrides::default());
        let book = Arc::new(Book::passing());
        let snapshot = config.and_then(|config| snapshot::compile(&config, &book, &mut report)).expect("a snapshot");
        let find = |number| {
            let path = format!("/route-{number}");
            match snapshot.routes.find(&RequestPath::parse(path.as_bytes()).expect("path"), &http::Method::GET) {
                Found::Route(found) => Arc::clone(found.value),
                _ => panic!("no route"),
            }
        };
        (0..count).map(find).collect()
    }

    fn ended(route: &Arc<Route>, status: u16) -> Ended<'_> {
        Ended {
            route: Some(route),
            status,
            blame: "",
            reason: "",
            key: None,
            took: Duration::from_millis(3),
            first_byte: Some(Duration::from_millis(2)),
            overhead: Some(Duration::from_micros(120)),
        }
    }

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::new().expect("metrics");
        let routes = routes(1);
        let book = Book::passing();
        let record = KeyRecord {
            alias: Some("ci".into()),
            ..KeyRecord::new(book.id(&Digest::of(b"sk-one-0123456789")), "sk-...".into(), 0)
        };
        book.put(record, false);
        let key = book.find(b"sk-one-0123456789").expect("a key");
        for _ in 0..2 {
            metrics.ended(&Ended { key: Some(&key), ..ended(&routes[0], 200) });
        }
        metrics.ended(&Ended { blame: "caller", reason: "no_key", ..ended(&routes[0], 401) });
        metrics.forget();
        metrics.ended(&Ended { blame: "caller", reason: "no_key", ..ended(&routes[0], 401) });
        metrics.refused("bad_frame");
        metrics.reloaded("applied");
        let text = metrics.text(&[Gauge::new("tollgate_generation", "The config in force.", 3.0)]);
        for line in [
            r#"tollgate_requests_total{blame="",reason="",route="/route-0",status="200"} 2"#,
            r#"tollgate_requests_total{blame="caller",reason="no_key",route="/route-0",status="401"} 2"#,
            r#"litellm_proxy_total_requests_metric_total{api_key_alias="ci",route="/route-0",status_code="200",team="",user=""} 2"#,
            r#"litellm_proxy_failed_requests_metric_total{api_key_alias="",route="/route-0",status_code="401",team="",user=""} 2"#,
            r#"tollgate_request_duration_seconds_bucket{route="/route-0",le="0.01"} 4"#,
            r#"tollgate_overhead_seconds_count{route="/route-0"} 4"#,
            r#"litellm_overhead_latency_metric_count{route="/route-0"} 4"#,
            r#"tollgate_edge_refusals_total{reason="bad_frame"} 1"#,
            r#"tollgate_reloads_total{outcome="applied"} 1"#,
            "tollgate_generation 3",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn very_many_labels_stay_within_the_bound() {
        let metrics = Metrics::new().expect("metrics");
        let routes = routes(5_000);
        let (mut count, all) = (0, 100_000);
        for status in 200_u16.. {
            routes.iter().for_each(|route| metrics.ended(&ended(route, status)));
            count += routes.len();
            if count >= all {
                break;
            }
        }
        let text = metrics.text(&[]);
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!((5_000..=MOST_SERIES).contains(&series), "{series}");
        let total: usize = text
            .lines()
            .filter(|line| line.starts_with("tollgate_requests_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(total, all, "nothing is lost");
        assert!(text.contains(r#"tollgate_requests_total{blame="other",reason="other",route="other",status="other"}"#));
    }
}
