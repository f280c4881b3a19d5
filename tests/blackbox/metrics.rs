//! What Prometheus reads: on a listener of its own, true to what was served, and bounded.

use serde_json::json;

use crate::keys::{call, gate, make, status};
use crate::support::gate::{KEY, routes};
use crate::support::{Client, Gate, Origin, send, wait_until};

/// The port of the admin listener.
pub fn inside(gate: &Gate) -> u16 {
    let log = gate.log();
    let port = log.split("metrics on http://127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
    port.and_then(|port| port.parse().ok()).expect("an admin listener")
}

/// What Prometheus would read there.
pub fn scrape(port: u16) -> String {
    let answer = send(port, "GET /metrics HTTP/1.1", b"");
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(answer.one("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// The value of a series.
pub fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn what_was_served_is_counted() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (key, _) = make(&gate, json!({"key_alias": "ci", "rpm_limit": 3, "user_id": "ann"}));
    let statuses: Vec<u16> = (0..4).map(|_| status(&gate, "/a/x/y", &key)).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(status(&gate, "/a", "sk-nobody-knows-this-0123"), 401);
    assert_eq!(status(&gate, "/nowhere", KEY), 404);
    let mut client = Client::connect(gate.port);
    client.write("no HTTP at all\r\n\r\n").expect("write");
    let _ = client.answer("GET");
    let port = inside(&gate);
    let counted = [
        (r#"tollgate_requests_total{blame="",reason="",route="/a",status="200"}"#, 3.0),
        (r#"tollgate_requests_total{blame="policy",reason="limited_requests",route="/a",status="429"}"#, 1.0),
        (r#"tollgate_requests_total{blame="caller",reason="unknown_key",route="/a",status="401"}"#, 1.0),
        (r#"tollgate_requests_total{blame="caller",reason="no_route",route="",status="404"}"#, 1.0),
        (r#"tollgate_edge_refusals_total{reason="bad_frame"}"#, 1.0),
        (
            r#"litellm_proxy_total_requests_metric_total{api_key_alias="ci",route="/a",status_code="200",team="",user="ann"}"#,
            3.0,
        ),
        (
            r#"litellm_proxy_failed_requests_metric_total{api_key_alias="ci",route="/a",status_code="429",team="",user="ann"}"#,
            1.0,
        ),
        (r#"litellm_remaining_api_key_requests{api_key_alias="ci",team=""}"#, 0.0),
        (r#"tollgate_first_byte_seconds_count{route="/a"}"#, 3.0),
        (r#"litellm_overhead_latency_metric_count{route="/a"}"#, 3.0),
        ("tollgate_keys", 1.0),
        ("tollgate_config_generation", 1.0),
        ("tollgate_requests_in_flight", 1.0),
    ];
    for (series, expected) in counted {
        wait_until(series, || value(&scrape(port), series) == Some(expected));
    }
    assert!(!scrape(port).contains(&key));
    assert_eq!(call(&gate, KEY, "/config/reload", Some(json!({}))).status(), 200);
    let text = scrape(port);
    assert_eq!(value(&text, r#"tollgate_reloads_total{outcome="applied"}"#), Some(1.0));
    assert_eq!(value(&text, "tollgate_config_generation"), Some(2.0));
}

#[test]
fn the_admin_listener_serves_no_route_and_the_others_no_metrics() {
    let origin = Origin::plain();
    let entry = format!("{{path: /, target: '{}', include_subpath: true}}", origin.url("/"));
    let gate = Gate::routes(std::slice::from_ref(&entry));
    let port = inside(&gate);
    assert_eq!(send(port, "GET /a HTTP/1.1", b"").status(), 404);
    assert_eq!(send(port, "POST /metrics HTTP/1.1", b"").status(), 405);
    assert_eq!(send(port, "GET /health/readiness HTTP/1.1", b"").status(), 200);
    assert_eq!(send(gate.port, "GET /metrics HTTP/1.1", b"").status(), 404);
    assert_eq!(origin.seen().len(), 0);
    let both = Gate::start(&routes(&[entry], "tollgate: {metrics_on_main: true, admin_listen: false}"));
    assert!(!both.log().contains("metrics on "));
    assert!(scrape(both.port).contains("tollgate_config_generation 1"));
    assert_eq!(send(both.port, "GET /a HTTP/1.1", b"").status(), 200);
    let counted = scrape(both.port);
    assert!(
        counted.lines().any(|line| line.starts_with("tollgate_requests_total{") && line.contains("200")),
        "{counted}"
    );
    let keyed = "tollgate: {metrics_on_main: true}\nlitellm_settings: {require_auth_for_metrics_endpoint: true}";
    let keyed = Gate::start(&routes(&[], keyed));
    assert_eq!(send(keyed.port, "GET /metrics HTTP/1.1", b"").status(), 401);
    assert_eq!(call(&keyed, KEY, "/metrics", None).status(), 200);
    let elsewhere = Gate::start(&routes(&[], "tollgate: {admin_listen: '127.0.0.1:0'}"));
    assert!(scrape(inside(&elsewhere)).contains("tollgate_config_generation 1"));
}

#[test]
fn labels_come_from_the_config_and_the_store_alone() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for number in 0..200 {
        let head =
            format!("X{number} /made-up-{number}/x HTTP/1.1\nX-Model: m{number}\nx-api-key: sk-made-up-{number:016}");
        send(gate.port, &head, b"");
        send(gate.port, &format!("POST /m/model-{number}/run HTTP/1.1\nx-api-key: {KEY}"), b"{}");
    }
    let text = scrape(inside(&gate));
    assert!(!text.contains("made-up") && !text.contains("model-1"), "{text}");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 500, "{series}");
}
