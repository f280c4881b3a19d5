//! Starting, stopping, and what the command line says.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::gate::{KEY, SECRET, command, folder, routes};
use crate::support::{Client, Gate, Origin, send};

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("the binary runs")
}

fn config(text: &str) -> String {
    let file = folder().join("config.yaml");
    std::fs::write(&file, text).expect("config");
    file.display().to_string()
}

#[test]
fn both_loopback_addresses_are_served() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
    let mut six = std::net::TcpStream::connect(("::1", gate.port)).expect("::1 is served");
    std::io::Write::write_all(&mut six, b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("write");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut six, &mut text).expect("read");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
}

#[test]
fn a_taken_port_ends_the_start_at_once() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("address").port().to_string();
    let file = config(&routes(&["{path: /a, target: 'http://127.0.0.1:1/'}".into()], ""));
    let begun = Instant::now();
    let output = run(&["--config", &file, "--port", &port]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&format!("127.0.0.1:{port}")), "{stderr}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for the port");
}

#[test]
fn exit_codes_tell_config_from_usage() {
    let good = config(&routes(&["{path: /a, target: 'http://127.0.0.1:1/'}".into()], ""));
    let bad = config("general_settings:\n  pass_through_endpoints:\n    - {path: /a, target: 'ftp://x/'}\n");
    for (arguments, code) in [
        (&["check", "--config", &good][..], 0),
        (&["--config", &good, "check"], 0),
        (&["check", "--config", &bad], 1),
        (&["--config", &bad], 1),
        (&["--config", "/nowhere/at/all.yaml"], 1),
        (&["--version"], 0),
        (&["--help"], 0),
        (&["schema"], 0),
        (&[], 2),
        (&["check"], 2),
        (&["--no-such-flag"], 2),
        (&["--port", "70000"], 2),
        (&["--config", &good, "--host", "not an address"], 2),
        (&["--config", &good, "--num_workers", "0"], 2),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn flags_are_read_in_snake_and_kebab_case() {
    let origin = Origin::plain();
    let text = routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))], "");
    for arguments in [
        &["--num_workers", "1", "--detailed_debug"][..],
        &["--num-workers=2", "--detailed-debug", "--host", "localhost"],
        &["--debug", "--host=127.0.0.1"],
    ] {
        let gate = Gate::with(&text, arguments, &[]);
        assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200, "{arguments:?}");
    }
}

#[test]
fn a_stop_lets_requests_end_and_a_hangup_does_nothing() {
    for signal in ["TERM", "INT"] {
        let holding = Origin::start(|exchange| {
            exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
            // Ends the answer only when the test lets it, by asking on another connection.
            crate::support::wait_until("the file is there", || {
                std::path::Path::new(exchange.request.one("wait").expect("header")).exists()
            });
            exchange.write("3\r\ndef\r\n0\r\n\r\n")
        });
        let mut gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", holding.url("/"))]);
        gate.signal("HUP");
        let file = folder().join("go");
        let mut client = Client::connect(gate.port);
        client.write(format!("GET /a HTTP/1.1\r\nHost: x\r\nx-pass-wait: {}\r\n\r\n", file.display())).expect("write");
        let head = client.head().expect("head");
        assert_eq!(head.status(), 200);
        gate.signal(signal);
        crate::support::wait_until("no new connection is accepted", || {
            std::net::TcpStream::connect(("127.0.0.1", gate.port)).is_err()
        });
        std::fs::write(&file, "go").expect("file");
        let mut body = Vec::new();
        head.read_body(&mut client.reader, true, |piece| body.extend_from_slice(piece)).expect("a whole body");
        assert_eq!(body, b"abcdef");
        assert_eq!(gate.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn an_answer_after_the_stop_says_that_the_connection_ends() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.ok("fine")
    });
    let mut gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    origin.only();
    gate.signal("TERM");
    crate::support::wait_until("no new connection is accepted", || {
        std::net::TcpStream::connect(("127.0.0.1", gate.port)).is_err()
    });
    let_go.send(()).expect("the origin waits");
    let answer = client.answer("GET").expect("answer");
    assert_eq!((answer.status(), answer.one("connection")), (200, Some("close")));
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn an_idle_gate_stops_at_once() {
    let mut gate = Gate::routes(&["{path: /a, target: 'http://127.0.0.1:1/'}".into()]);
    let idle = Client::connect(gate.port);
    let begun = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.ended().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited although nothing was being served");
    idle.close();
}

#[test]
fn the_page_s_log_line_is_printed() {
    let origin = Origin::start(|exchange| exchange.write("HTTP/1.1 207 Multi-Status\r\nContent-Length: 2\r\n\r\n{}"));
    let text = routes(&[format!("{{path: /api/public/ingestion, target: '{}'}}", origin.url("/"))], "");
    let gate = Gate::with(&text, &["--detailed_debug"], &[]);
    assert_eq!(send(gate.port, "POST /api/public/ingestion HTTP/1.1", b"{}").status(), 207);
    crate::support::wait_until("the line is there", || {
        let page = |line: &str| {
            line.starts_with("INFO: 127.0.0.1:")
                && line.contains(" - \"POST /api/public/ingestion HTTP/1.1\" 207 Multi-Status")
        };
        gate.log().lines().any(page)
    });
}

#[test]
fn a_start_names_the_proxies_it_does_not_use() {
    let origin = Origin::plain();
    let config = routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))], "");
    // Nothing listens there: a request that took it would fail.
    let proxy = "http://user:canary@127.0.0.1:1";
    let gate = Gate::with(&config, &[], &[("http_proxy", proxy), ("ALL_PROXY", proxy)]);
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
    let log = gate.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("not honoured")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].starts_with("warning: ") && lines[0].contains("`http_proxy`, `ALL_PROXY` are set"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn the_config_decides_how_lines_are_written() {
    let origin = Origin::plain();
    for (format, flags, begins) in [
        ("text", &[][..], "INFO: 127.0.0.1:"),
        ("json", &["--debug"], "{\"time\":"),
        ("auto", &[], "{\"time\":"),
        ("auto", &["--debug"], "INFO: 127.0.0.1:"),
    ] {
        let entry = format!("{{path: /a, target: '{}'}}", origin.url("/"));
        let gate = Gate::with(&routes(&[entry], &format!("tollgate: {{log_format: {format}}}")), flags, &[]);
        assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
        crate::support::wait_until("the line is there", || {
            gate.log().lines().any(|line| line.starts_with(begins) && line.contains("/a"))
        });
    }
}

#[test]
fn the_detailed_log_describes_a_request_without_its_secrets() {
    let origin = Origin::plain();
    let entry = format!(
        "{{path: /a, target: '{}?sig=os.environ/PROVIDER_KEY', auth: true, headers: {{Authorization: bearer os.environ/PROVIDER_KEY}}}}",
        origin.url("/up")
    );
    let gate = Gate::with(&routes(&[entry], ""), &["--detailed_debug"], &[]);
    let head = format!("GET /a?q=1 HTTP/1.1\r\nx-api-key: {KEY}\r\naccept: text/plain\u{202e}\r\nx-pass-tint: red");
    assert_eq!(send(gate.port, &head, b"").status(), 200);
    crate::support::wait_until("the end is there", || gate.log().contains("first_byte_ms="));
    let log = gate.log();
    for part in [
        "route=/a principal=master attempt=1",
        "/up?q=***&sig=***",
        "authorization: bearer ***",
        "accept: text/plain",
        "tint: ***",
        "status=200 reason=- failed_attempts=0",
    ] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    for secret in [SECRET, KEY, "\u{202e}"] {
        assert!(!log.contains(secret), "{log}");
    }
}
