//! Upstreams that fail: which status, which log line, and never a clean end of a broken answer.

use std::io::Read;
use std::net::TcpListener;

use crate::support::{Client, Gate, Origin, send, wait_until};

#[test]
fn a_failing_upstream_is_502_or_504_and_is_not_named() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("bind");
    // Bound, so that nobody else gets the port, and never listened on.
    let unheard = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    unheard.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
    let closed = unheard.local_addr().expect("address").as_socket().expect("address").port();
    let garbage = Origin::start(|exchange| exchange.write("SSH-2.0-OpenSSH\r\n\r\n"));
    let silent_close = Origin::start(|exchange| exchange.stream.shutdown(std::net::Shutdown::Both));
    let resetting = Origin::start(|exchange| {
        exchange.reset();
        Err(std::io::ErrorKind::Other.into())
    });
    let gate = Gate::routes(&[
        format!("{{path: /refused, target: 'http://127.0.0.1:{closed}/'}}"),
        format!("{{path: /deaf, target: 'http://{}/', timeout: 0.3}}", deaf.local_addr().expect("address")),
        format!("{{path: /garbage, target: '{}'}}", garbage.url("/")),
        format!("{{path: /closes, target: '{}'}}", silent_close.url("/")),
        format!("{{path: /resets, target: '{}'}}", resetting.url("/")),
        format!("{{path: /no-tls, target: 'https://127.0.0.1:{}/'}}", garbage.port),
        "{path: /unknown, target: 'http://no-such-host.invalid/'}".into(),
    ]);
    for (path, status, reason) in [
        ("/refused", 502, "upstream_connect"),
        ("/deaf", 504, "upstream_timeout"),
        ("/garbage", 502, "upstream_protocol"),
        ("/closes", 502, "upstream_protocol"),
        ("/resets", 502, "upstream_protocol"),
        ("/no-tls", 502, "upstream_tls"),
        ("/unknown", 502, "upstream_resolve"),
    ] {
        let answer = send(gate.port, &format!("POST {path} HTTP/1.1"), b"{}");
        assert_eq!(answer.status(), status, "{path}: {}", answer.text());
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        let message = body["error"]["message"].as_str().expect("message");
        assert!(!message.is_empty() && !message.contains("127.0.0.1") && !message.contains("invalid"), "{message}");
        let id = answer.one("x-litellm-call-id").expect("call id").to_owned();
        let line = format!("\"call_id\":\"{id}\"");
        wait_until("the log has the call", || gate.log().contains(&line));
        let log = gate.log();
        let line = log.lines().find(|text| text.contains(&line)).expect("line");
        assert!(line.contains(&format!("\"reason\":\"{reason}\"")) && line.contains("\"error\":"), "{path}: {line}");
    }
}

#[test]
fn silence_in_the_middle_breaks_the_answer() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
        exchange.wait_gone();
        Ok(())
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', timeout: 0.3}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert!(client.answer("GET").is_err(), "a broken answer ended as a whole one");
}

#[test]
fn a_slow_upload_is_no_upstream_timeout() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', timeout: 0.5}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n").expect("head");
    for _ in 0..8 {
        // The pace of a slow client is what is tested here; each pause is shorter than the silence that is allowed.
        std::thread::sleep(std::time::Duration::from_millis(150));
        client.write("x").expect("byte");
    }
    assert_eq!(client.answer("POST").expect("answer").status(), 200);
    assert_eq!(origin.only().body, b"xxxxxxxx");
}

#[test]
fn a_cut_answer_never_ends_clean() {
    for (name, head, version) in [
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "1.1"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "1.1"),
        ("chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc", "1.1"),
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "1.0"),
        ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "1.0"),
    ] {
        let origin = Origin::start(move |exchange| {
            exchange.write(head)?;
            exchange.stream.shutdown(std::net::Shutdown::Both)
        });
        let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
        let mut client = Client::connect(gate.port);
        client.write(format!("GET /a HTTP/{version}\r\nHost: x\r\n\r\n")).expect("write");
        let head = client.head().expect("head");
        assert_eq!(head.status(), 200);
        if version == "1.0" {
            assert_eq!(head.one("transfer-encoding"), None, "{name}: HTTP/1.0 has no chunks");
            let mut rest = Vec::new();
            let ended = client.reader.read_to_end(&mut rest);
            assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset), "{name}");
        } else {
            let read = head.read_body(&mut client.reader, true, |_| {});
            assert!(read.is_err(), "{name}: a cut answer ended as a whole one");
        }
        wait_until("the log says that it broke", || gate.log().contains("\"broken\":true"));
    }
}

#[test]
fn a_reset_of_an_unframed_answer_is_seen_too() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")?;
        let mut line = String::new();
        // The client has read what there is before the reset can overtake it.
        std::io::BufRead::read_line(&mut exchange.reader, &mut line)?;
        Ok(())
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', timeout: 0.4}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert!(client.answer("GET").is_err());
}

#[test]
fn in_flight_requests_have_a_limit() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.ok("fine")
    });
    let text = crate::support::gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))], "")
        .replace("general_settings:\n", "general_settings:\n  global_max_parallel_requests: 1\n");
    let gate = Gate::start(&text);
    let mut first = Client::connect(gate.port);
    first.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    origin.only();
    let refused = send(gate.port, "GET /a HTTP/1.1", b"");
    assert_eq!((refused.status(), refused.one("retry-after")), (429, Some("1")));
    let_go.send(()).expect("the origin waits");
    assert_eq!(first.answer("GET").expect("answer").status(), 200);
    let_go.send(()).expect("the origin waits");
    wait_until("a place is free again", || {
        let answer = send(gate.port, "GET /a HTTP/1.1", b"");
        let _ = let_go.send(());
        answer.status() == 200
    });
}

#[test]
fn a_loop_is_stopped_at_the_first_turn() {
    // The target leads to the gate itself through a port that is not known at load.
    let relay = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = relay.local_addr().expect("address").port();
    let gate = Gate::routes(&[format!("{{path: /a, target: 'http://127.0.0.1:{port}/a'}}")]);
    let gate_port = gate.port;
    std::thread::spawn(move || {
        for mut inbound in relay.incoming().map_while(Result::ok) {
            let Ok(mut outbound) = std::net::TcpStream::connect(("127.0.0.1", gate_port)) else { return };
            let (mut back, mut forth) = (outbound.try_clone().expect("clone"), inbound.try_clone().expect("clone"));
            std::thread::spawn(move || std::io::copy(&mut forth, &mut outbound));
            std::thread::spawn(move || std::io::copy(&mut back, &mut inbound));
        }
    });
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 508);
}

#[test]
fn a_pause_in_an_upload_is_no_upstream_timeout() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', timeout: 0.2}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na").expect("first half");
    std::thread::sleep(std::time::Duration::from_millis(600));
    client.write("b").expect("second half");
    assert_eq!(client.answer("POST").expect("answer").status(), 200);
    assert_eq!(origin.only().body, b"ab");
}

#[test]
fn a_slow_reader_is_no_upstream_timeout() {
    let origin = Origin::start(|exchange| {
        exchange.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20))?;
        let block = vec![b'x'; 1 << 20];
        (0..64).try_for_each(|_| exchange.write(&block))
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', timeout: 0.3}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    let head = client.head().expect("head");
    // The client takes nothing for longer than the upstream may be silent.
    std::thread::sleep(std::time::Duration::from_millis(900));
    let mut received = 0;
    head.read_body(&mut client.reader, true, |piece| received += piece.len()).expect("a whole body");
    assert_eq!(received, 64 << 20);
}

#[test]
fn an_unrequested_switch_of_protocols_is_502() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nraw bytes")
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    for lines in ["GET /a HTTP/1.1", "GET /a HTTP/1.1\nUpgrade: foo\nConnection: upgrade"] {
        let answer = send(gate.port, lines, b"");
        assert_eq!(answer.status(), 502, "{lines}");
        assert!(!answer.everything().contains("raw bytes"));
    }
}

#[test]
fn what_an_upstream_says_wrongly_is_in_no_log() {
    for head in [
        "HTTP/1.1 200 OK\r\nX-Echo: echoed-canary\r\nbad line\r\n\r\n",
        "echoed-canary HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad name: echoed-canary\r\n\r\n",
    ] {
        let origin = Origin::start(move |exchange| exchange.write(head));
        let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
        let answer = send(gate.port, "GET /a HTTP/1.1", b"");
        assert_eq!(answer.status(), 502, "{head}");
        wait_until("the line is there", || gate.log().contains("upstream_protocol"));
        assert!(
            !gate.log().contains("echoed-canary") && !answer.everything().contains("echoed-canary"),
            "{}",
            gate.log()
        );
    }
}

#[test]
fn a_client_that_leaves_during_a_stalled_upload_is_seen() {
    let (gone, left) = std::sync::mpsc::channel();
    let origin = Origin::streaming(move |exchange| {
        // Takes nothing of the body until it is told that the client has left.
        left_or_patience(&exchange.request);
        exchange.wait_gone();
        gone.send(()).expect("somebody waits");
        Ok(())
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let marker = crate::support::gate::folder().join("left");
    let mut client = Client::connect(gate.port);
    client
        .write(format!(
            "POST /a HTTP/1.1\r\nHost: x\r\nx-pass-marker: {}\r\nContent-Length: 1000000000\r\n\r\n",
            marker.display()
        ))
        .expect("head");
    client.stall();
    // An orderly end would stand behind bytes that nobody takes.
    client.reset();
    wait_until("the log says that the client left", || gate.log().contains("\"status\":499"));
    std::fs::write(&marker, "").expect("marker");
    left.recv_timeout(crate::support::PATIENCE).expect("the upstream call is cancelled");
}

fn left_or_patience(request: &crate::support::Message) {
    let marker = request.one("marker").expect("marker").to_owned();
    wait_until("the client has left", || std::path::Path::new(&marker).exists());
}

#[test]
fn a_client_that_leaves_during_a_connect_frees_its_place() {
    // A listener whose backlog is full lets connections wait.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
    socket.listen(0).expect("listen");
    let full = socket.local_addr().expect("address").as_socket().expect("inet");
    let mut waiting = Vec::new();
    while waiting.len() < 8 {
        match std::net::TcpStream::connect_timeout(&full, std::time::Duration::from_millis(200)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => break,
        }
    }
    assert!(waiting.len() < 8, "the backlog fills");
    let origin = Origin::plain();
    let text = crate::support::gate::routes(
        &[format!("{{path: /full, target: 'http://{full}/'}}"), format!("{{path: /a, target: '{}'}}", origin.url("/"))],
        "tollgate: {timeouts: {connect: 600}}",
    )
    .replace("general_settings:\n", "general_settings:\n  global_max_parallel_requests: 1\n");
    let gate = Gate::start(&text);
    let mut client = Client::connect(gate.port);
    client.write("GET /full HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert!(client.hears_nothing_for(std::time::Duration::from_millis(300)), "it waits for its connection");
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 429);
    client.close();
    wait_until("the place is free", || send(gate.port, "GET /a HTTP/1.1", b"").status() == 200);
}
