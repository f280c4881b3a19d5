//! Which fields reach the origin, and which come back.

use crate::support::gate::{KEY, SECRET, routes};
use crate::support::{Gate, Origin, send};

const CLIENT: &str = "POST /a HTTP/1.1
    User-Agent: me/1
    Accept: text/x
    Accept-Encoding: gzip
    Content-Type: application/vnd.x+json
    Content-Encoding: gzip
    Idempotency-Key: i
    Range: bytes=0-1
    If-None-Match: \"e\"
    traceparent: 00-1-2-03
    anthropic-version: v
    openai-organization: o
    Authorization: Bearer own
    Cookie: c=1
    X-Other: x
    X-Pass-Mine: passed
    x-pass-anthropic-beta: beta
    x-pass-authorization: evil
    x-pass-host: evil
    X-Pass-Content-Length: 999
    x-pass-transfer-encoding: chunked
    Proxy-Authorization: Basic p
    TE: trailers
    Keep-Alive: timeout=5
    x-litellm-api-key: someone-elses";

#[test]
fn what_describes_the_call_is_sent_on_by_default() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!(
        "{{path: /a, target: '{}', headers: {{X-Set: 'os.environ/PROVIDER_KEY', accept: text/set, X-Number: 1.10, x-bool: true}}}}",
        origin.url("/")
    )]);
    assert_eq!(send(gate.port, CLIENT, b"body").status(), 200);
    let seen = origin.only();
    for (name, value) in [
        ("user-agent", "me/1"),
        ("accept", "text/set"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/vnd.x+json"),
        ("content-encoding", "gzip"),
        ("content-length", "4"),
        ("idempotency-key", "i"),
        ("range", "bytes=0-1"),
        ("if-none-match", "\"e\""),
        ("traceparent", "00-1-2-03"),
        ("anthropic-version", "v"),
        ("anthropic-beta", "beta"),
        ("openai-organization", "o"),
        ("mine", "passed"),
        ("x-set", SECRET),
        ("x-number", "1.10"),
        ("x-bool", "true"),
        ("host", &format!("127.0.0.1:{}", origin.port)),
    ] {
        assert_eq!(seen.one(name), Some(value), "{name}");
    }
    for name in [
        "authorization",
        "cookie",
        "x-other",
        "proxy-authorization",
        "te",
        "keep-alive",
        "connection",
        "x-litellm-api-key",
        "transfer-encoding",
        "x-pass-mine",
    ] {
        assert_eq!(seen.all(name), Vec::<&str>::new(), "{name}");
    }
}

#[test]
fn forward_headers_sends_the_rest_but_no_key_and_nothing_of_the_connection() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!(
        "{{path: /a, target: '{}', forward_headers: true, headers: {{X-Other: set}}}}",
        origin.url("/")
    )]);
    assert_eq!(
        send(
            gate.port,
            &format!("{CLIENT}\nX-Hides: a={KEY}; b\nx-listed: in-connection\nConnection: x-listed"),
            b"body"
        )
        .status(),
        200
    );
    let seen = origin.only();
    for (name, value) in [
        ("authorization", "Bearer own"),
        ("cookie", "c=1"),
        ("x-other", "set"),
        ("mine", "passed"),
        ("user-agent", "me/1"),
    ] {
        assert_eq!(seen.one(name), Some(value), "{name}");
    }
    for name in
        ["proxy-authorization", "te", "keep-alive", "connection", "x-hides", "x-listed", "x-litellm-api-key", "expect"]
    {
        assert_eq!(seen.all(name), Vec::<&str>::new(), "{name}");
    }
    assert!(!seen.everything().contains(KEY));
}

#[test]
fn a_client_cannot_strip_or_double_what_is_injected() {
    let origin = Origin::plain();
    for forward in [false, true] {
        let gate = Gate::routes(&[format!(
            "{{path: /a, target: '{}', forward_headers: {forward}, headers: {{Authorization: 'bearer os.environ/PROVIDER_KEY', X-Api-Key: literal, Host: set.test}}}}",
            origin.url("/")
        )]);
        for lines in [
            "Connection: close, Authorization",
            "Connection: x-api-key",
            "AUTHORIZATION: Bearer mine\nauthorization: Bearer mine2\nX-API-KEY: mine",
            "x-pass-x-api-key: evil\nx-pass-authorization: evil",
        ] {
            assert_eq!(send(gate.port, &format!("GET /a HTTP/1.1\n{lines}"), b"").status(), 200, "{lines}");
            let seen = origin.last();
            assert_eq!(seen.one("authorization"), Some(format!("bearer {SECRET}").as_str()), "{lines}");
            assert_eq!(seen.one("x-api-key"), Some("literal"), "{lines}");
            assert_eq!(seen.one("host"), Some("set.test"), "{lines}");
        }
    }
}

#[test]
fn langfuse_keys_become_basic_credentials() {
    let origin = Origin::start(|exchange| exchange.write("HTTP/1.1 207 Multi-Status\r\nContent-Length: 2\r\n\r\n{}"));
    let text = routes(
        &[format!(
            "{{path: /api/public/ingestion, target: '{}', headers: {{LANGFUSE_PUBLIC_KEY: os.environ/LF_PK, LANGFUSE_SECRET_KEY: os.environ/LF_SK}}}}",
            origin.url("/api/public/ingestion")
        )],
        "environment_variables: {LF_PK: pk-1, LF_SK: sk-2}",
    );
    let gate = Gate::with(&text, &[], &[("LF_SK", "overlaid by the file")]);
    // base64("anything:anything"), as the SDK sends it.
    let answer =
        send(gate.port, "POST /api/public/ingestion HTTP/1.1\nAuthorization: Basic YW55dGhpbmc6YW55dGhpbmc=", b"{}");
    assert_eq!(answer.status(), 207);
    // base64("pk-1:sk-2")
    assert_eq!(origin.only().one("authorization"), Some("Basic cGstMTpzay0y"));
}

#[test]
fn answers_come_back_as_the_upstream_gave_them() {
    let origin = Origin::start(|exchange| {
        exchange.write(
            "HTTP/1.1 203 Odd\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\nContent-Encoding: gzip\r\nServer: origin\r\nX-Custom: y\r\nRetry-After: 7\r\n\
             x-litellm-response-cost: 99\r\nX-LiteLLM-Call-Id: spoofed\r\nKeep-Alive: timeout=9\r\nConnection: x-secret-hop\r\nX-Secret-Hop: 1\r\nContent-Length: 3\r\n\r\n\u{1}\u{2}\u{3}",
        )
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let answer = send(gate.port, "GET /a HTTP/1.1\nx-litellm-call-id: my-own.id_1", b"");
    assert_eq!(answer.status(), 203);
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    for (name, value) in [
        ("etag", "\"x\""),
        ("content-encoding", "gzip"),
        ("server", "origin"),
        ("x-custom", "y"),
        ("retry-after", "7"),
        ("x-litellm-call-id", "my-own.id_1"),
    ] {
        assert_eq!(answer.one(name), Some(value), "{name}");
    }
    for name in ["x-litellm-response-cost", "keep-alive", "x-secret-hop"] {
        assert_eq!(answer.all(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!(answer.all("date").len(), 1);
    assert_eq!(answer.body, [1, 2, 3]);
    let odd = send(gate.port, "GET /a HTTP/1.1\nx-litellm-call-id: a b\u{7f}", b"");
    assert_ne!(odd.one("x-litellm-call-id"), Some("a b\u{7f}"));
}

#[test]
fn redirects_are_relayed() {
    let elsewhere = Origin::plain();
    let location = elsewhere.url("/stolen");
    let sent = location.clone();
    let origin = Origin::start(move |exchange| {
        exchange.write(format!("HTTP/1.1 302 Found\r\nLocation: {sent}\r\nContent-Length: 0\r\n\r\n"))
    });
    let gate = Gate::routes(&[format!(
        "{{path: /a, target: '{}', headers: {{X-Api-Key: os.environ/PROVIDER_KEY}}}}",
        origin.url("/")
    )]);
    let answer = send(gate.port, "POST /a HTTP/1.1", b"x");
    assert_eq!((answer.status(), answer.one("location")), (302, Some(location.as_str())));
    assert_eq!(elsewhere.seen().len(), 0);
}

#[test]
fn secrets_are_in_no_log() {
    let origin = Origin::plain();
    let text = routes(
        &[
            format!(
                "{{path: /a, target: '{}', include_subpath: true, headers: {{Authorization: 'bearer os.environ/PROVIDER_KEY'}}}}",
                origin.url("/?key=os.environ/PROVIDER_KEY")
            ),
            "{path: /dead, target: 'http://127.0.0.1:1/?token=os.environ/PROVIDER_KEY', auth: true}".into(),
        ],
        "",
    );
    let gate = Gate::with(&text, &["--detailed_debug"], &[]);
    for lines in [
        format!("GET /a?key={KEY}&x=client-canary HTTP/1.1\nAuthorization: Bearer {KEY}\nx-canary: client-canary"),
        format!("POST /dead HTTP/1.1\nAuthorization: Bearer {KEY}"),
        "POST /dead HTTP/1.1\nAuthorization: Bearer client-canary".into(),
        "GET /a/../x?client-canary HTTP/1.1\nCookie: client-canary".into(),
    ] {
        let answer = send(gate.port, &lines, b"client-canary");
        for mark in [SECRET, KEY] {
            assert!(!answer.everything().contains(mark), "{mark} in {}", answer.everything());
        }
    }
    crate::support::wait_until("four lines are logged", || gate.log().matches(" call=").count() >= 4);
    for mark in [SECRET, KEY, "client-canary"] {
        assert!(!gate.log().contains(mark), "{mark} in {}", gate.log());
    }
}
