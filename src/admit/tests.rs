//! The whole verdict, on whole configs.

use std::path::Path;

use http::header::HeaderValue;

use super::*;
use crate::auth::Book;
use crate::config::env::Environ;
use crate::config::{self, Overrides};
use crate::snapshot;

struct Files(String);

impl Environ for Files {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "SECRET").then(|| "s3cret".to_owned())
    }

    fn file(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }
}

const KEY: &str = "sk-master-0123456789";

fn snapshot_of(entries: &str) -> Snapshot {
    let text = format!("general_settings:\n  master_key: {KEY}\n  pass_through_endpoints:\n{entries}");
    let (config, mut report) = config::load(Path::new("t.yaml"), &Files(text), &Overrides::default());
    config
        .and_then(|config| snapshot::compile(&config, &Arc::new(Book::passing()), &mut report))
        .unwrap_or_else(|| panic!("{:?}", report.problems))
}

fn ask(snapshot: &Snapshot, method: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<String, Rejection> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).expect("value"));
    }
    let method = Method::from_bytes(method.as_bytes()).expect("method");
    let head = Head {
        method: &method,
        target: target.as_bytes(),
        headers: &map,
        version: Version::HTTP_11,
        client: None,
        inside: false,
        now: Moment::default(),
    };
    match step(snapshot, head) {
        Step::Admit(admission) => {
            let Lead::Group(group) = &admission.route.lead else { panic!("no group") };
            let member = group.member(0);
            Ok(format!(
                "{}{}",
                member.target.authority,
                String::from_utf8_lossy(&admission.path_and_query(member, snapshot))
            ))
        }
        Step::Reject(refusal) => Err(refusal.rejection),
        Step::Ask(_) | Step::Methods(_) => panic!("no model is served here"),
        Step::Own(probe) => Ok(format!("{probe:?}")),
        Step::Metrics => Ok("metrics".into()),
        Step::Manage(managed) => Ok(managed.asked.call.name().into()),
    }
}

#[test]
fn an_adapter_hears_of_a_head_but_of_no_key() {
    let snapshot = snapshot_of("  - {path: '/ask/{model}', target: 'adapter:anthropic'}\n");
    let fields: HeaderMap = [("anthropic-beta", "one"), ("anthropic-beta", KEY), ("authorization", "Bearer unknown")]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let pattern = RequestPath::parse(b"/ask/b").expect("a path");
    let Found::Route(found) = snapshot.routes.find(&pattern, &Method::POST) else { panic!("no route") };
    let Lead::Service(service) = &found.value.lead else { panic!("no service") };
    for (target, path, captures, query) in [
        ("/ask/a%2Fb?x=1&y", "/ask/a%2Fb", vec![("model", "a/b")], Some("x=1&y")),
        ("/ask/b", "/ask/b", vec![("model", "b")], None),
        (&format!("/ask/b?key={KEY}&x=1"), "/ask/b", vec![("model", "b")], Some("x=1")),
        (&format!("/ask/b?{KEY}"), "/ask/b", vec![("model", "b")], Some("")),
        (&format!("/ask/{KEY}?x"), "", vec![], Some("x")),
        ("/ask", "/ask", vec![], None),
        ("/../ask", "", vec![], None),
    ] {
        let heard = Heard::of(&snapshot, service, &Method::POST, target.as_bytes(), &fields, "id");
        let call = heard.call();
        assert_eq!((call.id, call.method, call.path, call.query), ("id", "POST", path, query), "{target}");
        let known: Vec<_> = call.captures.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(known, captures, "{target}");
        assert_eq!(call.headers, [("anthropic-beta".to_owned(), "one".to_owned())], "{target}");
        assert!(!format!("{call:?}").contains(KEY), "{target}: {call:?}");
    }
}

#[test]
fn requests_are_led_to_their_upstream() {
    let snapshot = snapshot_of(
        "  - {path: /v1/rerank, target: 'https://api.test/v1/rerank'}\n  - {path: /sub, target: 'https://sub.test/base?fixed=1', include_subpath: true}\n  - {path: '/job/{id}/status', target: 'https://job.test/j/{id}?id={id}'}\n  - {path: '/glue/{x}y', target: 'https://glue.test/a/.{x}'}\n",
    );
    for (target, expected) in [
        ("/v1/rerank", "api.test/v1/rerank"),
        ("/v1/rerank/", "api.test/v1/rerank"),
        ("/v1/%72erank?x=%20y", "api.test/v1/rerank?x=%20y"),
        ("http://anything:4000/v1/rerank?x", "api.test/v1/rerank?x"),
        ("/sub", "sub.test/base?fixed=1"),
        ("/sub/a%2Fb/?q=1", "sub.test/base/a%2Fb/?q=1&fixed=1"),
        ("/sub?fixed=2", "sub.test/base?fixed=2"),
        ("/job/a%2Fb/status", "job.test/j/a%2Fb?id=a%2Fb"),
        ("/glue/zy", "glue.test/a/.z"),
        (&format!("/sub?key={KEY}&a=1"), "sub.test/base?a=1&fixed=1"),
    ] {
        assert_eq!(ask(&snapshot, "POST", target, &[]).as_deref(), Ok(expected), "{target}");
    }
    for target in ["/sub/../x", "/sub/%2e%2e/x", "/glue/.y", "*", ""] {
        assert!(matches!(ask(&snapshot, "GET", target, &[]), Err(Rejection::BadPath(_))), "{target}");
    }
    for target in ["/nothing", "/subx", "/v1/rerank/x", "/job//status"] {
        assert!(matches!(ask(&snapshot, "GET", target, &[]), Err(Rejection::NoRoute { .. })), "{target}");
    }
    assert!(matches!(ask(&snapshot, "TRACE", "/sub", &[]), Err(Rejection::MethodNotAllowed(_))));
}

#[test]
fn keys_are_asked_for_where_the_route_says_so() {
    let snapshot = snapshot_of(
        "  - {path: /open, target: 'https://a.test/'}\n  - {path: /keyed, target: 'https://a.test/', auth: true, include_subpath: true}\n  - {path: /mine, target: 'https://a.test/', headers: {litellm_user_api_key: x-mine}}\n",
    );
    let bearer = format!("Bearer {KEY}");
    for (target, headers, expected) in [
        ("/open", vec![], None),
        ("/open", vec![("authorization", "Basic YW55dGhpbmc6YW55dGhpbmc=")], None),
        ("/keyed", vec![], Some(AuthFault::Missing)),
        ("/keyed/x", vec![], Some(AuthFault::Missing)),
        ("/keyed/x", vec![("authorization", bearer.as_str())], None),
        ("/keyed", vec![("authorization", "Bearer sk-other")], Some(AuthFault::Unknown)),
        ("/mine", vec![], Some(AuthFault::Missing)),
        ("/mine", vec![("x-mine", KEY)], None),
        ("/keyed", vec![("x-mine", KEY)], Some(AuthFault::Missing)),
    ] {
        let fault = match ask(&snapshot, "POST", target, &headers) {
            Err(Rejection::Auth { fault, .. }) => Some(fault),
            other => other.map(|_| None).expect(target),
        };
        assert_eq!(fault, expected, "{target} {headers:?}");
    }
}

#[test]
fn loops_upgrades_and_large_bodies_are_refused() {
    let text = format!(
        "general_settings:\n  master_key: {KEY}\n  max_request_size_mb: 0.001\n  global_max_parallel_requests: 1\n  pass_through_endpoints:\n  - {{path: /a, target: 'http://127.0.0.1:1/'}}\n"
    );
    let (config, mut report) = config::load(Path::new("t.yaml"), &Files(text), &Overrides::default());
    let snapshot =
        snapshot::compile(&config.expect("config"), &Arc::new(Book::passing()), &mut report).expect("snapshot");
    let via = snapshot.pseudonym.via(Version::HTTP_11).to_str().expect("text").to_owned();
    assert_eq!(ask(&snapshot, "GET", "/a", &[("via", &via)]), Err(Rejection::Loop));
    assert_eq!(
        ask(&snapshot, "GET", "/a", &[("upgrade", "WebSocket"), ("connection", "upgrade")]),
        Err(Rejection::Upgrade)
    );
    assert_eq!(ask(&snapshot, "POST", "/a", &[("content-length", "1001")]), Err(Rejection::BodyTooLarge(1000)));
    assert!(ask(&snapshot, "POST", "/a", &[("content-length", "1000")]).is_ok());
    let headers = HeaderMap::new();
    let head = Head {
        method: &Method::GET,
        target: b"/a",
        headers: &headers,
        version: Version::HTTP_11,
        client: None,
        inside: false,
        now: Moment::default(),
    };
    let Step::Admit(held) = step(&snapshot, head) else { panic!("admitted") };
    assert_eq!(ask(&snapshot, "GET", "/a", &[]), Err(Rejection::TooManyInFlight));
    drop(held);
    assert!(ask(&snapshot, "GET", "/a", &[]).is_ok());
}

#[test]
fn targets_that_lead_back_are_refused_at_load() {
    for target in [
        "http://127.0.0.1:4000/",
        "http://localhost:4000/x",
        "http://[::1]:4000/",
        "http://0.0.0.0:4000/",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
    ] {
        let text = format!("general_settings:\n  pass_through_endpoints:\n  - {{path: /a, target: '{target}'}}\n");
        let (config, mut report) = config::load(Path::new("t.yaml"), &Files(text), &Overrides::default());
        assert!(
            snapshot::compile(&config.expect("config"), &Arc::new(Book::passing()), &mut report).is_none(),
            "{target}"
        );
    }
}

#[test]
fn what_is_asked_of_tollgate_itself() {
    let snapshot = snapshot_of("  - {path: /, target: 'https://all.test/', include_subpath: true}\n");
    for (method, target, expected) in [
        ("GET", "/health/liveliness", Ok("Alive")),
        ("HEAD", "/readyz?verbose", Ok("Ready")),
        ("GET", "/health", Err("no_key")),
        ("POST", "/livez", Err("method_not_allowed")),
        ("POST", "/key/generate", Err("no_key")),
        ("GET", "/key/generate", Err("method_not_allowed")),
        ("POST", "/user/new", Err("not_served")),
        ("GET", "/health/other", Err("reserved")),
    ] {
        let verdict = ask(&snapshot, method, target, &[]);
        assert_eq!(verdict.as_deref().map_err(Rejection::reason), expected, "{method} {target}");
    }
    assert_eq!(ask(&snapshot, "GET", "/health", &[("x-api-key", KEY)]).as_deref(), Ok("Models"));
}

#[test]
fn refusals_say_what_would_have_been_served() {
    let snapshot = snapshot_of(
        "  - {path: /v1/rerank, target: 'https://a.test/', auth: true, headers: {litellm_user_api_key: x-mine}}\n  - {path: /openai, target: 'https://b.test/', include_subpath: true}\n",
    );
    let said = |method, target, headers: &[_]| ask(&snapshot, method, target, headers).expect_err(target).message();
    assert_eq!(
        said("POST", "/v1/rernk", &[]),
        "There is no route for POST /v1/rernk; the nearest configured path is /v1/rerank."
    );
    assert_eq!(
        said("POST", "/v1/rerank", &[]),
        "Authentication Error, No api key passed in. Send a Tollgate key as `Authorization: Bearer KEY`, `x-litellm-api-key: KEY`, `api-key: KEY`, `x-api-key: KEY`, `x-goog-api-key: KEY`, `ocp-apim-subscription-key: KEY` or `x-mine: KEY`."
    );
    // A key in a path is repeated by no message.
    assert!(!said("GET", &format!("/nothing/{KEY}"), &[]).contains(KEY));
}

#[test]
fn a_root_path_comes_off_before_matching() {
    let files = Files("general_settings:\n  pass_through_endpoints:\n  - {path: /a, target: 'https://up.test/b', include_subpath: true}\n".into());
    let overrides = Overrides { root_path: Some("/gate".into()), ..Overrides::default() };
    let (config, mut report) = config::load(Path::new("t.yaml"), &files, &overrides);
    let snapshot = config
        .and_then(|config| snapshot::compile(&config, &Arc::new(Book::passing()), &mut report))
        .expect("a snapshot");
    for (target, expected) in
        [("/gate/a/x?q=1", "up.test/b/x?q=1"), ("/a/x", "up.test/b/x"), ("/gate/livez", "Alive"), ("/livez", "Alive")]
    {
        assert_eq!(ask(&snapshot, "GET", target, &[]).as_deref(), Ok(expected), "{target}");
    }
    assert!(
        matches!(ask(&snapshot, "GET", "/gates/a", &[]), Err(Rejection::NoRoute { path, .. }) if path == "/gates/a")
    );
}
