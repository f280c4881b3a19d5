//! The dashboard that is shipped asks for what the binary exports, and for all of it.
//!
//! The law: nothing is held against a list that somebody keeps: a scripted run makes each kind of thing that is counted, `/metrics`
//! says what came of it (`exported`), and every query of `conf/grafana-dashboard.json` is read (`promql`) and judged by that (`judge`).
//! A complaint names the panel and the query. The checker is tried on queries and panels that are wrong.

mod exported;
mod judge;
mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use exported::Exported;
use judge::Judge;
use serde_json::{Value, json};

use crate::keys::{call, done, make, status};
use crate::metrics::{inside, scrape};
use crate::support::gate::{KEY, routes};
use crate::support::{Client, Gate, Origin, wait_until};

/// Units that a panel may have, by Grafana's names for them.
const UNITS: &[&str] = &["bytes", "cps", "dateTimeAsIso", "none", "percentunit", "reqps", "s"];
const DATASOURCE: &str = "${datasource}";

/// What `/metrics` says after a run in which everything that is counted has happened.
fn run() -> String {
    let origin = Origin::start(|exchange| match exchange.request.target() {
        "/a/broken" => exchange.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        _ => exchange.ok("fine"),
    });
    let garbage = Origin::start(|exchange| exchange.write("SSH-2.0-OpenSSH\r\n\r\n"));
    let config = routes(
        &[
            format!("{{path: /a, target: '{}', auth: true, include_subpath: true}}", origin.url("/a")),
            format!("{{path: /down, target: '{}', auth: true}}", garbage.url("/")),
        ],
        "",
    );
    let gate = Gate::start(&config);
    done(&gate, "/team/new", Some(json!({"team_id": "ours"})));
    let (key, _) = make(&gate, json!({"key_alias": "ci", "team_id": "ours", "user_id": "ann", "rpm_limit": 2}));
    let statuses: Vec<u16> = ["/a", "/a/broken", "/a"].map(|path| status(&gate, path, &key)).into();
    assert_eq!(statuses, [200, 503, 429], "served, an error of the upstream's own, refused by a limit");
    assert_eq!(status(&gate, "/a", "sk-nobody-knows-this-0123"), 401);
    assert_eq!(status(&gate, "/down", KEY), 502);
    assert_eq!(status(&gate, "/nowhere", KEY), 404);
    let mut client = Client::connect(gate.port);
    client.write("no HTTP at all\r\n\r\n").expect("write");
    let _ = client.answer("GET");
    for (text, expected) in [("general_settings: {master_key: []}\n", 400), (config.as_str(), 200)] {
        fs::write(gate.folder().join("config.yaml"), text).expect("write");
        assert_eq!(call(&gate, KEY, "/config/reload", Some(json!({}))).status(), expected);
    }
    let (port, mut text) = (inside(&gate), String::new());
    // A request is counted after its answer.
    wait_until("all of it is counted", || {
        text = scrape(port);
        let counted =
            |start: &str, labels: &str| text.lines().any(|line| line.starts_with(start) && line.contains(labels));
        ["200", "401", "404", "429", "502", "503"]
            .iter()
            .all(|status| counted("tollgate_requests_total", &format!("status=\"{status}\"")))
            && counted("tollgate_edge_refusals_total", "bad_frame")
            && counted("tollgate_reloads_total", "applied")
            && counted("tollgate_reloads_total", "refused")
    });
    text
}

/// Everything that is wrong with a dashboard, by what is exported.
fn complaints(dashboard: &Value, exported: &Exported) -> Vec<String> {
    let mut out = Vec::new();
    let mut judge = Judge::new(exported, variables(dashboard));
    for variable in list(&dashboard["templating"]["list"]).filter(|variable| variable["type"] == "query") {
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        let faults = [
            judge.label_values(query).err(),
            (variable["definition"] != query).then(|| "its definition is another".into()),
            (variable["datasource"]["uid"] != DATASOURCE).then(|| "it asks another data source".into()),
        ];
        out.extend(faults.into_iter().flatten().map(|why| format!("variable {}: {why}: {query}", variable["name"])));
    }
    for annotation in list(&dashboard["annotations"]["list"]).filter(|annotation| annotation["expr"].is_string()) {
        let query = annotation["expr"].as_str().unwrap_or_default();
        out.extend(judge.query(query).err().map(|why| format!("annotation {}: {why}: {query}", annotation["name"])));
    }
    let sources = |variable: &Value| variable["name"] == "datasource" && variable["type"] == "datasource";
    if !list(&dashboard["templating"]["list"]).any(sources) {
        out.push(format!("no variable is the data source {DATASOURCE}"));
    }
    let panels = panels(&dashboard["panels"]);
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in &panels {
        let mut faults = plain_faults(panel);
        if panel["id"].as_u64().is_none_or(|id| !ids.insert(id)) {
            faults.push(format!("its id {} is none, or another's", panel["id"]));
        }
        if panel["type"] != "row" {
            faults.extend(list(&panel["targets"]).filter_map(|target| target_fault(&mut judge, panel, target)));
        }
        if !cells(panel).iter().all(|cell| places.insert(*cell)) {
            faults.push("it lies on another".into());
        }
        out.extend(faults.into_iter().map(|fault| format!("panel {}: {fault}", panel["title"])));
    }
    let unused = exported.kinds.keys().filter(|family| !judge.used.contains(*family));
    out.extend(unused.map(|family| format!("no panel uses `{family}`")));
    out
}

/// What each variable stands for when everything is chosen: any value that is listed, where it does not say itself.
fn variables(dashboard: &Value) -> BTreeMap<String, String> {
    let known = list(&dashboard["templating"]["list"]);
    known
        .filter_map(|variable| {
            let all = variable["allValue"].as_str().unwrap_or(".+");
            Some((variable["name"].as_str()?.to_owned(), all.to_owned()))
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The panels of a list and of its rows, the rows included.
fn panels(value: &Value) -> Vec<&Value> {
    list(value).flat_map(|panel| [vec![panel], panels(&panel["panels"])].concat()).collect()
}

/// What can be wrong without a query.
fn plain_faults(panel: &Value) -> Vec<String> {
    let says = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let mut out = Vec::new();
    if !says(&panel["title"]) {
        out.push("it has no title".into());
    }
    if panel["type"] == "row" {
        return out;
    }
    if !says(&panel["description"]) {
        out.push("it has no description".into());
    }
    let unit = &panel["fieldConfig"]["defaults"]["unit"];
    if !unit.as_str().is_some_and(|unit| UNITS.contains(&unit)) {
        out.push(format!("its unit is {unit}"));
    }
    if list(&panel["targets"]).next().is_none() {
        out.push("it asks nothing".into());
    }
    if panel["datasource"]["uid"] != DATASOURCE {
        out.push("it asks another data source".into());
    }
    out
}

/// What is wrong with one query of a panel, with its legend, or with the unit of what it gives.
fn target_fault(judge: &mut Judge<'_>, panel: &Value, target: &Value) -> Option<String> {
    let query = target["expr"].as_str().unwrap_or_default();
    let why = match judge.query(query) {
        Err(why) => Some(why),
        Ok(labels) => {
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            let told = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            let told: BTreeSet<String> = told.map(str::to_owned).collect();
            let seconds = query.contains("histogram_quantile(") || query.contains("_seconds_sum{");
            let unit = &panel["fieldConfig"]["defaults"]["unit"];
            if told != labels {
                Some(format!("its legend tells {told:?} and its lines differ by {labels:?}"))
            } else if seconds != (unit == "s") {
                Some(format!("its unit is {unit}"))
            } else if target["datasource"]["uid"] != DATASOURCE {
                Some("it asks another data source".into())
            } else {
                None
            }
        }
    };
    why.map(|why| format!("{why}: {query}"))
}

/// The cells of Grafana's grid, 24 wide, that a panel takes; one outside of it stands for all that are.
fn cells(panel: &Value) -> Vec<(u64, u64)> {
    let place = |name: &str| panel["gridPos"][name].as_u64().unwrap_or(0);
    let (left, top, width, height) = (place("x"), place("y"), place("w"), place("h"));
    if width == 0 || height == 0 || left + width > 24 {
        return vec![(u64::MAX, 0); 2];
    }
    (left..left + width).flat_map(|x| (top..top + height).map(move |y| (x, y))).collect()
}

fn shipped() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/grafana-dashboard.json");
    serde_json::from_str(&fs::read_to_string(file).expect("the dashboard")).expect("JSON")
}

#[test]
fn every_query_asks_for_what_is_exported_and_nothing_exported_is_left_out() {
    let found = complaints(&shipped(), &Exported::read(&run()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A small answer of `/metrics`.
const SMALL: &str = r#"# TYPE asked_total counter
asked_total{route="/a",status="200"} 3
asked_total{route="",status="404"} 1
asked_total{route="other",status="other"} 0
# TYPE held gauge
held 7
# TYPE took_seconds histogram
took_seconds_bucket{route="/a",le="1"} 3
took_seconds_bucket{route="/a",le="+Inf"} 3
took_seconds_sum{route="/a"} 0.5
took_seconds_count{route="/a"} 3
"#;

fn judged(query: &str) -> Result<BTreeSet<String>, String> {
    let exported = Exported::read(SMALL);
    let variables = [("job", ".+"), ("instance", ".+"), ("route", ".*")];
    let variables = variables.map(|(name, all)| (name.to_owned(), all.to_owned())).into();
    let mine = query.replace('@', r#"job=~"$job", instance=~"$instance""#);
    Judge::new(&exported, variables).query(&mine)
}

#[test]
fn the_checker_of_the_dashboard_lets_good_queries_pass() {
    for (query, labels) in [
        ("sum by (route) (rate(asked_total{@, route=~\"$route\"}[$__rate_interval]))", "route"),
        ("sum by (status) (increase(asked_total{@}[5m])) / scalar(sum(increase(asked_total{@}[5m])))", "status"),
        ("histogram_quantile(0.9, sum by (le, route) (rate(took_seconds_bucket{@}[1m])))", "route"),
        ("sum(rate(took_seconds_sum{@}[1m])) / sum(rate(took_seconds_count{@}[1m]))", ""),
        ("sum by (instance) (changes(held{@}[1m])) > 0", "instance"),
        ("(sum(rate(asked_total{@}[1m])) or 0 * sum(held{@})) / sum(held{@})", ""),
        (
            "label_replace(sum by (route) (rate(asked_total{@, status=~\"4..|5..\"}[1m])), \"route\", \"(none)\", \"route\", \"\")",
            "route",
        ),
    ] {
        let expected: BTreeSet<String> =
            labels.split(' ').filter(|label| !label.is_empty()).map(str::to_owned).collect();
        assert_eq!(judged(query), Ok(expected), "{query}");
    }
}

#[test]
fn the_checker_of_the_dashboard_complains_of_bad_queries() {
    for (query, expected) in [
        ("sum(rate(answered_total{@}[5m]))", "`answered_total` is not exported"),
        ("sum(rate(took_seconds{@}[5m]))", "`took_seconds` is not exported"),
        ("sum(rate(asked_total{@, method=\"GET\"}[5m]))", "`method` is no label of `asked_total`"),
        ("sum by (method) (rate(asked_total{@}[5m]))", "sum by `method`"),
        ("sum by (route) (sum by (status) (rate(asked_total{@}[5m])))", "sum by `route`"),
        ("sum(rate(held{@}[5m]))", "rate of a gauge"),
        ("sum(increase(held{@}[5m]))", "increase of a gauge"),
        ("sum(changes(asked_total{@}[5m]))", "changes of no gauge"),
        ("rate(asked_total{@})", "`rate` is not understood"),
        ("asked_total{@}[5m]", "the whole is no value"),
        ("sum(rate(asked_total{@}[soon]))", "`[soon]` is no range"),
        ("sum(rate(asked_total{@, status=\"500\"}[5m]))", "choose nothing"),
        ("sum(rate(asked_total{@, status=\"other\"}[5m]))", "choose nothing"),
        ("sum(rate(asked_total{@, route=\"$route\"}[5m]))", "needs `=~`"),
        ("sum(rate(asked_total{@, route=~\"$path\"}[5m]))", "`$path` is no variable"),
        ("sum(rate(asked_total{route=~\"$route\"}[5m]))", "not held to $job"),
        ("histogram_quantile(0.9, sum by (route) (rate(took_seconds_bucket{@}[1m])))", "`le` is lost"),
        ("histogram_quantile(0.9, sum by (le) (took_seconds_bucket{@}))", "no rates of buckets"),
        ("histogram_quantile(0.9, sum by (route) (rate(took_seconds_sum{@}[1m])))", "no rates of buckets"),
        ("histogram_quantile(95, sum by (le) (rate(took_seconds_bucket{@}[1m])))", "histogram_quantile for"),
        ("sum by (status) (rate(asked_total{@}[5m])) / sum(rate(asked_total{@}[5m]))", "do not meet"),
        ("sum(rate(asked_total{@}[5m])) or 0", "`or` beside a number"),
        ("sum(rate(asked_total{@}[5m])", "is missing before None"),
        ("sum(rate(asked_total{@}[5m])) by (route)", "not understood where it stands"),
        ("sum(rate(asked_total{@}[5m] offset 1h))", "missing"),
    ] {
        let complaint = judged(query).expect_err(query);
        assert!(complaint.contains(expected), "{query}: {complaint}");
    }
}

#[test]
fn the_checker_of_the_dashboard_complains_of_bad_panels() {
    let target =
        |expr: &str, legend: &str| json!({"expr": expr, "legendFormat": legend, "datasource": {"uid": DATASOURCE}});
    let dashboard = json!({
        "templating": {"list": [
            {"name": "job", "type": "query", "datasource": {"uid": DATASOURCE}, "definition": "label_values(held, colour)",
             "query": {"query": "label_values(held, colour)"}},
            {"name": "instance", "type": "query", "datasource": {"uid": "mine"}, "definition": "",
             "query": {"query": "label_values(held, instance)"}},
        ]},
        "panels": [
            {"id": 1, "type": "row", "title": "", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": [
                {"id": 1, "type": "stat", "title": "Lost", "fieldConfig": {"defaults": {"unit": "furlongs"}},
                 "gridPos": {"x": 20, "y": 1, "w": 12, "h": 8}, "targets": [target("nothing", "")]},
            ]},
            {"id": 2, "type": "stat", "title": "Held", "description": "What is held.", "datasource": {"uid": DATASOURCE},
             "fieldConfig": {"defaults": {"unit": "s"}}, "gridPos": {"x": 0, "y": 0, "w": 1, "h": 1}, "targets": [
                target(r#"held{job=~"$job", instance=~"$instance"}"#, "{{route}}"),
                target(r#"sum(held{job=~"$job", instance=~"$instance"})"#, ""),
            ]},
        ],
    });
    let found = complaints(&dashboard, &Exported::read(SMALL)).join("\n");
    for expected in [
        r#"variable "job": `colour` is no label of it: label_values(held, colour)"#,
        r#"variable "instance": its definition is another"#,
        r#"variable "instance": it asks another data source"#,
        r#"panel "": it has no title"#,
        r#"panel "Lost": it has no description"#,
        r#"panel "Lost": its unit is "furlongs""#,
        r#"panel "Lost": it asks another data source"#,
        r#"panel "Lost": its id 1 is none, or another's"#,
        r#"panel "Lost": `nothing` is not exported: nothing"#,
        r#"panel "Lost": it lies on another"#,
        r#"panel "Held": it lies on another"#,
        r#"panel "Held": its legend tells {"route"} and its lines differ by {"instance", "job"}: held{"#,
        r#"panel "Held": its unit is "s": sum(held{"#,
        "no variable is the data source",
        "no panel uses `asked_total`",
        "no panel uses `took_seconds`",
    ] {
        assert!(found.contains(expected), "{expected} is not in\n{found}");
    }
    assert!(!found.contains("no panel uses `held`"), "{found}");
}
