//! Virtual keys and their limits, on pass-through routes: exact, and true in what they say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use crate::support::gate::{KEY, routes};
use crate::support::{Client, Gate, Message, Origin, send, wait_until};

const ONE: &str = "sk-virtual-one-0123456789";
const TWO: &str = "sk-virtual-two-0123456789";
/// What `sha256sum` prints for [`TWO`].
fn hash_of(key: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gate whose first key is in the environment and whose second is known by its hash.
fn gate(origin: &Origin, one: &str, two: &str, more: &str) -> Gate {
    let entries = [
        format!("{{path: /a, target: '{}', auth: true, include_subpath: true}}", origin.url("/a")),
        format!("{{path: /open, target: '{}'}}", origin.url("/open")),
        format!("{{path: '/m/{{model}}/run', target: '{}', auth: true}}", origin.url("/m")),
        format!("{{path: /h, target: '{}', auth: true, tollgate: {{model_from: X-Model}}}}", origin.url("/h")),
        format!(
            "{{path: /narrow, target: '{}', rpm_limit: 2, tollgate: {{max_parallel_requests: 1}}}}",
            origin.url("/n")
        ),
    ];
    let keys = format!("keys: [{{key: os.environ/ONE, key_alias: first, {one}}}, {{hash: '{}', {two}}}]", hash_of(TWO));
    Gate::with(&routes(&entries, &format!("tollgate: {{{keys}{more}}}")), &[], &[("ONE", ONE)])
}

fn ask(gate: &Gate, path: &str, key: &str) -> Message {
    send(gate.port, &format!("POST {path} HTTP/1.1\nAuthorization: Bearer {key}"), b"{}")
}

#[test]
fn a_thousand_at_once_get_exactly_what_there_is() {
    let origin = Origin::plain();
    let gate = gate(&origin, "rpm_limit: 100", "rpm_limit: 1000", "");
    let threads = 20;
    let (start, passed, refused) =
        (Arc::new(Barrier::new(threads)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let running: Vec<_> = (0..threads)
        .map(|_| {
            let (start, passed, refused, port) =
                (Arc::clone(&start), Arc::clone(&passed), Arc::clone(&refused), gate.port);
            thread::spawn(move || {
                let mut client = Client::connect(port);
                start.wait();
                for _ in 0..50 {
                    let request =
                        format!("POST /a HTTP/1.1\r\nHost: x\r\nx-api-key: {ONE}\r\nContent-Length: 2\r\n\r\n{{}}");
                    match client.ask(request).expect("answer").status() {
                        200 => passed.fetch_add(1, Ordering::SeqCst),
                        429 => refused.fetch_add(1, Ordering::SeqCst),
                        other => panic!("{other}"),
                    };
                }
            })
        })
        .collect();
    running.into_iter().for_each(|thread| thread.join().expect("thread"));
    assert_eq!((passed.load(Ordering::SeqCst), refused.load(Ordering::SeqCst)), (100, 900));
    assert_eq!(origin.seen().len(), 100);
    assert_eq!(ask(&gate, "/a", TWO).status(), 200, "another key is not touched by it");
}

#[test]
fn never_more_at_once_than_allowed() {
    let (busy, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, peak) = (Arc::clone(&busy), Arc::clone(&most));
    let origin = Origin::start(move |exchange| {
        let now = count.fetch_add(1, Ordering::SeqCst) + 1;
        peak.fetch_max(now, Ordering::SeqCst);
        // The time that a request takes is what is tested here.
        thread::sleep(Duration::from_millis(20));
        count.fetch_sub(1, Ordering::SeqCst);
        exchange.ok("fine")
    });
    let gate = gate(&origin, "max_parallel_requests: 5", "", "");
    let start = Arc::new(Barrier::new(20));
    let running: Vec<_> = (0..20)
        .map(|_| {
            let (start, port) = (Arc::clone(&start), gate.port);
            thread::spawn(move || {
                start.wait();
                (0..10).map(|_| send(port, &format!("POST /a HTTP/1.1\nx-api-key: {ONE}"), b"{}")).collect::<Vec<_>>()
            })
        })
        .collect();
    let answers: Vec<Message> = running.into_iter().flat_map(|thread| thread.join().expect("thread")).collect();
    assert!(most.load(Ordering::SeqCst) <= 5 && most.load(Ordering::SeqCst) > 1);
    assert_eq!(busy.load(Ordering::SeqCst), 0);
    let refused = answers.iter().find(|answer| answer.status() == 429).expect("some were too many");
    assert_eq!(refused.one("retry-after"), Some("1"));
    assert!(refused.text().contains("Limit type: parallel requests. Current limit: 5"), "{}", refused.text());
    assert_eq!(ask(&gate, "/a", ONE).status(), 200, "every slot has come back");
}

#[test]
fn a_slot_comes_back_however_the_request_ends() {
    let origin = Origin::streaming(|exchange| match exchange.request.target() {
        "/a/reset" => {
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }
        "/a/cut" => exchange
            .write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .and(Err(std::io::ErrorKind::Other.into())),
        "/a/wait" => {
            exchange.wait_gone();
            Ok(())
        }
        _ => exchange.ok("fine"),
    });
    let gate = gate(&origin, "max_parallel_requests: 1", "", "");
    for path in ["/a/reset", "/a/cut"] {
        let mut client = Client::connect(gate.port);
        client.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {ONE}\r\n\r\n")).expect("write");
        let _ = client.answer("GET");
        wait_until("the slot is free", || ask(&gate, "/a/fine", ONE).status() == 200);
    }
    let mut client = Client::connect(gate.port);
    client.write(format!("GET /a/wait HTTP/1.1\r\nHost: x\r\nx-api-key: {ONE}\r\n\r\n")).expect("write");
    wait_until("it is served", || origin.last().target() == "/a/wait");
    assert_eq!(ask(&gate, "/a/fine", ONE).status(), 429);
    client.close();
    wait_until("the client's end frees it", || ask(&gate, "/a/fine", ONE).status() == 200);
}

#[test]
fn who_asks_one_after_another_needs_one_slot() {
    let origin = Origin::start(|exchange| match exchange.request.target() {
        "/a/chunked" => exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        "/a/empty" => exchange.write("HTTP/1.1 204 No Content\r\n\r\n"),
        "/a/nothing" => exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "/a/garbage" => exchange.write("no HTTP at all\r\n\r\n"),
        _ => exchange.ok("fine"),
    });
    let gate = gate(&origin, "max_parallel_requests: 1", "", "");
    let mut client = Client::connect(gate.port);
    for _ in 0..60 {
        for (method, path, expected) in [
            ("POST", "/a/fine", 200),
            ("POST", "/a/chunked", 200),
            ("POST", "/a/empty", 204),
            ("POST", "/a/nothing", 200),
            ("HEAD", "/a/fine", 200),
            ("POST", "/a/garbage", 502),
        ] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {ONE}\r\nContent-Length: 0\r\n\r\n");
            client.write(request).expect("write");
            assert_eq!(client.answer(method).expect("answer").status(), expected, "{method} {path}");
            if expected == 502 {
                client = Client::connect(gate.port);
            }
        }
    }
}

#[test]
fn a_429_says_what_is_true() {
    let origin = Origin::plain();
    let gate = gate(&origin, "rpm_limit: 2", "rpm_limit: 0", "");
    for remaining in ["1", "0"] {
        let answer = ask(&gate, "/a", ONE);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.one("x-ratelimit-api_key-limit-requests"), Some("2"));
        assert_eq!(answer.one("x-ratelimit-api_key-remaining-requests"), Some(remaining));
        assert_eq!(answer.one("x-ratelimit-remaining-requests"), Some(remaining));
        assert!(["1m0s", "1m1s"].contains(&answer.one("x-ratelimit-reset-requests").expect("reset")));
    }
    let refused = ask(&gate, "/a", ONE);
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.one("retry-after").expect("retry-after").parse().expect("seconds");
    let millis: u64 = refused.one("retry-after-ms").expect("retry-after-ms").parse().expect("milliseconds");
    assert!((59..=61).contains(&seconds) && millis.div_ceil(1000) == seconds, "{seconds} {millis}");
    assert_eq!(refused.one("x-ratelimit-api_key-remaining-requests"), Some("0"));
    let body: serde_json::Value = serde_json::from_slice(&refused.body).expect("JSON");
    let message = body["error"]["message"].as_str().expect("message");
    assert!(message.starts_with("Rate limit exceeded for api_key. Limit type: requests per minute. Current limit: 2"));
    assert_eq!(
        (body["error"]["type"].as_str(), body["error"]["code"].as_str()),
        (Some("throttling_error"), Some("429"))
    );
    let never = ask(&gate, "/a", TWO);
    assert_eq!((never.status(), never.one("retry-after")), (429, None), "0 lets nothing through");
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn an_upstreams_own_words_pass_unchanged() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\nx-ratelimit-limit-requests: 9\r\nContent-Length: 4\r\n\r\nwait")
    });
    let gate = gate(&origin, "rpm_limit: 5", "", "");
    let answer = ask(&gate, "/a", ONE);
    assert_eq!((answer.status(), answer.one("retry-after"), answer.text().as_str()), (429, Some("7"), "wait"));
    assert_eq!(answer.one("x-ratelimit-limit-requests"), Some("9"));
    assert_eq!(answer.one("x-ratelimit-remaining-requests"), None);
    assert_eq!(answer.one("x-ratelimit-api_key-limit-requests"), Some("5"));
}

#[test]
fn what_a_key_may_not_do_is_403() {
    let origin = Origin::plain();
    for (key, path, fields, expected) in [
        ("models: [gpt-4]", "/m/gpt-4/run", "", 200),
        ("models: [gpt-4]", "/m/gpt-5/run", "", 403),
        ("models: ['gpt-*']", "/m/gpt-5/run", "", 200),
        ("models: [gpt-4]", "/h", "X-Model: gpt-4", 200),
        ("models: [gpt-4]", "/h", "X-Model: other", 403),
        ("models: [gpt-4]", "/h", "", 403),
        ("models: [gpt-4]", "/a", "", 403),
        ("models: [gpt-4], allowed_passthrough_routes: [/a]", "/a", "", 200),
        ("model_rpm_limit: {gpt-4: 1}", "/a", "", 403),
        ("allowed_passthrough_routes: [/a]", "/a/b", "", 200),
        ("allowed_passthrough_routes: [/a]", "/h", "", 403),
        ("allowed_passthrough_routes: [/a], denied_passthrough_routes: [/a]", "/a", "", 403),
        ("denied_passthrough_routes: ['/a*']", "/a/b", "", 403),
        ("denied_passthrough_routes: ['/a/b']", "/a/c", "", 200),
        ("allowed_routes: [/a/b]", "/a/b", "", 200),
        ("allowed_routes: [/a/b]", "/a/c", "", 403),
        ("allowed_routes: [llm_api_routes]", "/a", "", 200),
        ("key_type: management", "/a", "", 403),
        ("key_type: llm_api", "/a", "", 200),
        ("blocked: true", "/a", "", 401),
        ("blocked: true", "/open", "", 401),
        ("expires: '2020-01-01T00:00:00Z'", "/a", "", 401),
        ("expires: '2020-01-01T00:00:00Z'", "/open", "", 401),
        ("expires: '2999-01-01T00:00:00Z'", "/a", "", 200),
        ("team_id: gone", "/a", "", 403),
    ] {
        let gate = gate(&origin, key, "", "");
        let answer = send(gate.port, &format!("POST {path} HTTP/1.1\nx-api-key: {ONE}\n{fields}"), b"{}");
        assert_eq!(answer.status(), expected, "{key} on {path} {fields}: {}", answer.text());
    }
    let gate = gate(&origin, "", "allowed_passthrough_routes: [/a]", ", passthrough_grants: required");
    assert_eq!(ask(&gate, "/a", ONE).status(), 403);
    assert_eq!(ask(&gate, "/a", TWO).status(), 200);
    assert_eq!(ask(&gate, "/a", KEY).status(), 200, "the master key needs no grant");
}

#[test]
fn models_are_counted_apart() {
    let origin = Origin::plain();
    let gate = gate(&origin, "rpm_limit: 10, model_rpm_limit: {gpt-4: 1}", "", "");
    let statuses: Vec<u16> = ["/m/gpt-4/run", "/m/gpt-4/run", "/m/other/run", "/m/other/run"]
        .map(|path| ask(&gate, path, ONE).status())
        .into();
    assert_eq!(statuses, [200, 429, 200, 200]);
}

#[test]
fn routes_and_the_whole_proxy_have_limits_too() {
    let origin = Origin::plain();
    let gate = gate(&origin, "", "", ", limits: {rpm_limit: 4}");
    let statuses: Vec<u16> = (0..3).map(|_| send(gate.port, "GET /narrow HTTP/1.1", b"").status()).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let statuses: Vec<u16> = (0..3).map(|_| ask(&gate, "/a", ONE).status()).collect();
    assert_eq!(statuses, [200, 200, 429], "what the route refused did not count against the proxy");
}

#[test]
fn a_known_key_counts_on_an_open_route_and_never_leaves() {
    let origin = Origin::plain();
    let gate = gate(&origin, "rpm_limit: 1", "", "");
    assert_eq!(ask(&gate, "/open", ONE).status(), 200);
    assert!(!origin.last().everything().contains(ONE));
    assert_eq!(ask(&gate, "/open", ONE).status(), 429);
    assert_eq!(ask(&gate, "/open", "sk-somebody-elses-key-0123").status(), 200, "an unknown one is the caller's own");
    assert_eq!(ask(&gate, "/a", &hash_of(ONE)).status(), 401, "a digest opens nothing");
    wait_until("the log names the key", || gate.log().contains("\"principal\":\"first\""));
    assert!(!gate.log().contains(ONE) && !gate.log().contains(&hash_of(ONE)));
}
