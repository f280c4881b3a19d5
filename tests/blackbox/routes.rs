//! Which route serves a path, and what path the upstream sees.

use crate::support::{Gate, Origin, send};

#[test]
fn the_upstream_sees_what_the_client_wrote_below_the_route() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[
        format!("{{path: /v1/rerank, target: '{}'}}", origin.url("/up/rerank")),
        format!("{{path: /sub, target: '{}', include_subpath: true}}", origin.url("/base?fixed=1")),
        format!("{{path: '/job/{{id}}/status', target: '{}'}}", origin.url("/j/{id}?id={id}")),
        format!("{{path: '/models/{{m}}:generateContent', target: '{}'}}", origin.url("/g/{m}:generateContent")),
        format!("{{path: /, target: '{}', include_subpath: true}}", origin.url("/all")),
    ]);
    for (target, expected) in [
        ("/v1/rerank", "/up/rerank"),
        ("/v1/rerank/", "/up/rerank"),
        ("/v1/%72erank?a=%20+b&a", "/up/rerank?a=%20+b&a"),
        ("/sub", "/base?fixed=1"),
        ("/sub/x%2Fy%3Fz%23/%252e%252e:a@b/", "/base/x%2Fy%3Fz%23/%252e%252e:a@b/?fixed=1"),
        ("/sub//evil.test/x", "/base//evil.test/x?fixed=1"),
        ("/sub/@evil.test", "/base/@evil.test?fixed=1"),
        ("/sub?fixed=2&fixed=3", "/base?fixed=2&fixed=3"),
        ("/job/a%2Fb/status", "/j/a%2Fb?id=a%2Fb"),
        ("/models/org%2Fm:generateContent", "/g/org%2Fm:generateContent"),
        ("/V1/rerank", "/all/V1/rerank"),
        ("/subx", "/all/subx"),
        ("/v1/rerank/x", "/all/v1/rerank/x"),
        ("http://gate.test/sub/y", "/base/y?fixed=1"),
        ("http://gate.test?x=1", "/all?x=1"),
    ] {
        let answer = send(gate.port, &format!("GET {target} HTTP/1.1"), b"");
        assert_eq!(answer.status(), 200, "{target}: {}", answer.everything());
        assert_eq!(origin.last().target(), expected, "{target}");
        assert_eq!(origin.last().one("host"), Some(format!("127.0.0.1:{}", origin.port).as_str()));
    }
}

#[test]
fn dot_segments_and_reserved_paths_never_reach_an_upstream() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /, target: '{}', include_subpath: true}}", origin.url("/base"))]);
    for target in [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/..%2fadmin",
        "/v1/..;/admin",
        "/v1/..%5cadmin",
        "/v1/.%2E/",
        "/./x",
        "/%2e",
        "/v1/a;b=c/..;d/admin",
        "/a%00b",
        "/a%0d%0aX:1",
        "/a%",
        "/a%zz",
    ] {
        assert_eq!(send(gate.port, &format!("GET {target} HTTP/1.1"), b"").status(), 400, "{target}");
    }
    for (target, status) in [
        ("/key/generate", 405),
        ("/key/nonsense", 404),
        ("/user/info", 501),
        ("/%6Bey", 404),
        ("/metrics/", 404),
        ("/ui", 404),
        ("/v2/key/info", 501),
        ("/model/new", 404),
        ("/health", 401),
        ("/livez", 200),
        ("/readyz", 200),
    ] {
        let answer = send(gate.port, &format!("GET {target} HTTP/1.1"), b"");
        assert_eq!(answer.status(), status, "{target}");
    }
    assert_eq!(origin.seen().len(), 0, "{:?}", origin.seen());
}

#[test]
fn methods_decide_too() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[
        format!("{{path: /some, target: '{}', methods: [get, Post]}}", origin.url("/some")),
        format!("{{path: /some, target: '{}', methods: [DELETE]}}", origin.url("/delete")),
        format!("{{path: /any, target: '{}'}}", origin.url("/any")),
    ]);
    for (method, path, expected) in [
        ("GET", "/some", "/some"),
        ("POST", "/some", "/some"),
        ("DELETE", "/some", "/delete"),
        ("PATCH", "/any", "/any"),
        ("OPTIONS", "/any", "/any"),
        ("HEAD", "/any", "/any"),
        ("PROPFIND", "/any", "/any"),
    ] {
        assert_eq!(send(gate.port, &format!("{method} {path} HTTP/1.1"), b"").status(), 200, "{method} {path}");
        assert_eq!(origin.last().start, format!("{method} {expected} HTTP/1.1"));
    }
    let refused = send(gate.port, "PUT /some HTTP/1.1", b"");
    assert_eq!((refused.status(), refused.one("allow")), (405, Some("GET, POST, DELETE")));
    let before = origin.seen().len();
    for (method, target) in [("TRACE", "/any"), ("trace", "/any"), ("CONNECT", "gate.test:443")] {
        let answer = send(gate.port, &format!("{method} {target} HTTP/1.1"), b"");
        assert_eq!(answer.status(), 405, "{method}");
        assert!(answer.one("allow").is_some_and(|allow| allow.contains("GET") && !allow.contains("TRACE")));
        assert!(answer.one("x-litellm-call-id").is_some());
    }
    assert_eq!(origin.seen().len(), before);
}

#[test]
fn parameters_of_the_file_are_added_and_secrets_win() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!(
        "{{path: /q, target: '{}', default_query_params: {{n: 5, v: 'd e', t: true}}, merge_query_params: true}}",
        origin.url("/q?v=t%20x&key=os.environ/PROVIDER_KEY")
    )]);
    for (query, expected) in [
        ("", "?v=t%20x&key=provider-secret-xyz&n=5&t=true"),
        ("?v=mine&x=1&x=2", "?v=mine&x=1&x=2&key=provider-secret-xyz&n=5&t=true"),
        ("?key=evil&a&%6Bey=evil2", "?a&v=t%20x&key=provider-secret-xyz&n=5&t=true"),
        ("?N=1&n=", "?N=1&n=&v=t%20x&key=provider-secret-xyz&t=true"),
    ] {
        assert_eq!(send(gate.port, &format!("GET /q{query} HTTP/1.1"), b"").status(), 200);
        assert_eq!(origin.last().target(), format!("/q{expected}"), "{query}");
    }
}

#[test]
fn errors_have_the_dialect_of_the_route_and_lead_to_the_log() {
    let gate = Gate::routes(&["{path: /v1/messages, target: 'http://127.0.0.1:1/', auth: true}".into()]);
    let anthropic = send(gate.port, "POST /v1/messages HTTP/1.1", b"{}");
    let body: serde_json::Value = serde_json::from_slice(&anthropic.body).expect("JSON");
    assert_eq!(
        (anthropic.status(), &body["type"], &body["error"]["type"]),
        (401, &"error".into(), &"authentication_error".into())
    );
    let openai = send(gate.port, "GET /nothing?key=x HTTP/1.1", b"");
    let body: serde_json::Value = serde_json::from_slice(&openai.body).expect("JSON");
    assert_eq!((openai.status(), &body["error"]["code"]), (404, &"404".into()));
    assert!(body["error"]["message"].as_str().expect("text").contains("GET /nothing"));
    let id = openai.one("x-litellm-call-id").expect("call id").to_owned();
    crate::support::wait_until("the log has the call id", || gate.log().contains(&id));
}
