//! What Tollgate answers when it is asked how it is.

use crate::support::gate::KEY;
use crate::support::{Client, Gate, send, wait_until};

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
    let answer = send(gate.port, "POST /key/generate HTTP/1.1", b"{}");
    assert_eq!(answer.status(), 404);
    assert!(String::from_utf8_lossy(&answer.body).contains("not served yet"));
}
