//! What Tollgate answers when it is asked how it is.

use crate::support::gate::KEY;
use crate::support::{Client, Gate, Origin, send, wait_until};

const ALIVE: &str = r#""I'm alive!""#;

fn gate() -> Gate {
    Gate::routes(&["{path: /, target: 'http://127.0.0.1:1/', include_subpath: true}".into()])
}

#[test]
fn probes_are_answered_without_a_key_and_logged() {
    let gate = gate();
    for (path, status, body) in [
        ("/health/liveliness", 200, ALIVE),
        ("/health/liveness", 200, ALIVE),
        ("/livez", 200, ALIVE),
        ("/health/readiness", 200, r#"{"status":"healthy","db":"Not connected"}"#),
        ("/readyz", 200, r#"{"status":"healthy","db":"Not connected"}"#),
    ] {
        let answer = send(gate.port, &format!("GET {path} HTTP/1.1"), b"");
        assert_eq!((answer.status(), String::from_utf8_lossy(&answer.body).as_ref()), (status, body), "{path}");
        assert_eq!(answer.one("content-type"), Some("application/json"));
        wait_until("the line is there", || gate.log().contains(&format!(r#""path":"{path}""#)));
    }
    assert_eq!(send(gate.port, "POST /livez HTTP/1.1", b"{}").status(), 405);
}

#[test]
fn a_head_is_answered_without_a_body() {
    let gate = gate();
    let mut client = Client::connect(gate.port);
    for _ in 0..2 {
        client.write("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
        let answer = client.answer("HEAD").expect("answer");
        assert_eq!((answer.status(), answer.one("content-length")), (200, Some("41")));
    }
}

#[test]
fn the_models_are_told_to_who_has_a_key() {
    let gate = gate();
    let refused = send(gate.port, "GET /health HTTP/1.1", b"");
    assert_eq!(refused.status(), 401);
    let answer = send(gate.port, &format!("GET /health HTTP/1.1\r\nAuthorization: Bearer {KEY}"), b"");
    assert_eq!(answer.status(), 200);
    assert!(answer.body.starts_with(br#"{"healthy_endpoints":[]"#));
}

#[test]
fn management_that_is_not_there_yet_says_so() {
    let gate = gate();
    let answer = send(gate.port, "POST /config/nonsense HTTP/1.1", b"{}");
    assert_eq!(answer.status(), 404);
    assert!(String::from_utf8_lossy(&answer.body).contains("not served yet"));
}

#[test]
fn readiness_ends_when_a_stop_is_asked_for() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.ok("fine")
    });
    let mut gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    // One request keeps the gate draining. Another has begun when the stop comes: it came with one that is answered.
    let mut held = Client::connect(gate.port);
    held.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    let mut probe = Client::connect(gate.port);
    let begun = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /health/readiness HTTP/1.1\r\nHost: x\r\n";
    probe.write(begun).expect("write");
    assert_eq!(probe.answer("GET").expect("answer").status(), 200);
    origin.only();
    gate.signal("TERM");
    wait_until("no new connection is accepted", || std::net::TcpStream::connect(("127.0.0.1", gate.port)).is_err());
    probe.write("\r\n").expect("write");
    let answer = probe.answer("GET").expect("answer");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body, br#"{"status":"draining","db":"Not connected"}"#);
    let_go.send(()).expect("the origin waits");
    assert_eq!(held.answer("GET").expect("answer").status(), 200);
    assert_eq!(gate.ended().code(), Some(0));
}
