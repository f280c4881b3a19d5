//! Bodies are opaque bytes, both ways, as they come.

use std::io::{BufRead, Read, Write};
use std::sync::mpsc;

use sha2::{Digest, Sha256};

use crate::support::gate::{KEY, routes};
use crate::support::{Client, Gate, Origin, PATIENCE, send, wait_until};

/// How much the large bodies hold: a gigabyte, and more in `make soak`.
fn large() -> u64 {
    std::env::var("TOLLGATE_TEST_LARGE_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(1024) << 20
}

fn echo() -> Origin {
    Origin::start(|exchange| {
        let body = exchange.request.body.clone();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        exchange.write(head)?;
        exchange.write(body)
    })
}

#[test]
fn every_byte_arrives_whatever_the_type() {
    let origin = echo();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for (kind, body) in [
        ("application/json", &br#" [1, 1e2, 12345678901234567890123, {"a":1,"a":2, "id" : null}] "#[..]),
        ("application/json", b"{not json"),
        ("application/x-ndjson", b"{}\n{}\n"),
        ("application/x-protobuf", b"\x00\xff\xfe\x80"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n"),
        ("text/plain", "gr\u{fc}n".as_bytes()),
        ("application/octet-stream", &binary),
        ("application/x-www-form-urlencoded", b"a=1&key=2"),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "GET"] {
            let answer = send(gate.port, &format!("{method} /a HTTP/1.1\nContent-Type: {kind}"), body);
            assert_eq!(answer.status(), 200);
            assert_eq!(origin.last().body, body, "{method} {kind}");
            assert_eq!(answer.body, body, "{method} {kind}");
            assert_eq!(origin.last().one("content-type"), Some(kind));
        }
    }
    assert_eq!(send(gate.port, "POST /a HTTP/1.1\nContent-Length: 0", b"").status(), 200);
    assert_eq!(origin.last().body, b"");
}

#[test]
fn chunked_bodies_arrive_whole() {
    let origin = echo();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    let mut request = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for byte in b"one byte a chunk" {
        request.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = client.ask(&request).expect("answer");
    assert_eq!(answer.text(), "one byte a chunk");
    assert_eq!(origin.only().body, b"one byte a chunk");
}

#[test]
fn an_event_is_sent_on_before_the_next_one_exists() {
    let (told, heard) = mpsc::channel::<()>();
    let heard = std::sync::Mutex::new(heard);
    let origin = Origin::start(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for number in 0..50 {
            let event = format!("data: {number}\n\n");
            exchange.write(format!("{:x}\r\n{event}\r\n", event.len()))?;
            // The next event exists only once the client has reported this one.
            heard.lock().expect("lock").recv_timeout(PATIENCE).expect("the client reports the event");
        }
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").expect("write");
    let head = client.head().expect("head");
    assert_eq!(head.one("content-type"), Some("text/event-stream"));
    let mut text = String::new();
    head.read_body(&mut client.reader, true, |piece| {
        text.push_str(&String::from_utf8_lossy(piece));
        let _ = told.send(());
    })
    .expect("body");
    assert_eq!(text, (0..50).map(|number| format!("data: {number}\n\n")).collect::<String>());
}

#[test]
fn large_bodies_pass_in_constant_memory_and_unchanged() {
    let origin = Origin::streaming(|exchange| {
        let mut hash = Sha256::new();
        let request = exchange.request.clone();
        request.read_body(&mut exchange.reader, false, |piece| hash.update(piece))?;
        let length: u64 = request.one("want").and_then(|text| text.parse().ok()).unwrap_or(0);
        exchange
            .write(format!("HTTP/1.1 200 OK\r\nX-Hash: {:x}\r\nContent-Length: {length}\r\n\r\n", hash.finalize()))?;
        let block: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        for _ in 0..length >> 20 {
            exchange.stream.write_all(&block)?;
        }
        Ok(())
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"warm").status(), 200);
    let before = gate.rss();
    let (length, block) = (large(), (0..=255).rev().cycle().take(1 << 20).collect::<Vec<u8>>());
    let mut client = Client::connect(gate.port);
    client
        .write(format!("POST /a HTTP/1.1\r\nHost: x\r\nx-pass-want: {length}\r\nContent-Length: {length}\r\n\r\n"))
        .expect("head");
    let mut sent = Sha256::new();
    for _ in 0..length >> 20 {
        client.write(&block).expect("block");
        sent.update(&block);
    }
    let head = client.head().expect("head");
    assert_eq!(head.one("x-hash"), Some(format!("{:x}", sent.finalize()).as_str()));
    let (mut received, mut most) = (0_u64, 0);
    head.read_body(&mut client.reader, true, |piece| {
        // A slow reader: memory is looked at while the rest waits.
        if received / (16 << 20) != (received + piece.len() as u64) / (16 << 20) {
            most = most.max(gate.rss());
        }
        received += piece.len() as u64;
    })
    .expect("body");
    assert_eq!(received, length);
    assert!(most <= before + (16 << 10), "memory went from {before} to {most} KiB");
}

#[test]
fn a_client_that_leaves_takes_the_upstream_call_with_it() {
    for answered in [false, true] {
        let (gone, left) = mpsc::channel();
        let origin = Origin::start(move |exchange| {
            if answered {
                exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")?;
            }
            exchange.wait_gone();
            gone.send(()).expect("somebody waits");
            Ok(())
        });
        let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
        let mut client = Client::connect(gate.port);
        client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").expect("write");
        origin.only();
        if answered {
            assert_eq!(client.head().expect("head").status(), 200);
        }
        client.close();
        left.recv_timeout(PATIENCE).expect("the upstream call is cancelled");
        wait_until("the log says so", || {
            gate.log().contains(if answered { "\"broken\":true" } else { "\"status\":499" })
        });
    }
}

fn limited(origin: &Origin) -> Gate {
    let text = routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))], "")
        .replace("general_settings:\n", "general_settings:\n  max_request_size_mb: 1\n");
    Gate::start(&text)
}

#[test]
fn a_body_over_the_limit_is_413_before_the_upstream_has_it() {
    let origin = Origin::start(|exchange| exchange.ok("fine"));
    let gate = limited(&origin);
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", &vec![b'x'; 1_000_000]).status(), 200);
    let served = origin.seen().len();
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", &vec![b'x'; 1_000_001]).status(), 413);
    assert_eq!(origin.seen().len(), served, "a declared length is judged first");
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").expect("head");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..160 {
        client.write(&chunk).expect("a chunk is taken");
    }
    client.write("0\r\n\r\n").expect("the end is taken");
    assert_eq!(client.answer("POST").expect("answer").status(), 413);
    let arrived: usize = origin.seen().iter().skip(served).map(|message| message.body.len()).sum();
    assert!(arrived <= 1_000_000, "{arrived} bytes of a refused body arrived");
}

#[test]
fn a_client_that_writes_everything_first_can_read_its_refusal() {
    let origin = Origin::plain();
    let gate = limited(&origin);
    for head in ["POST /a", "POST /nothing"] {
        let mut client = Client::connect(gate.port);
        client.write(format!("{head} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")).expect("head");
        for _ in 0..10 {
            client.write(vec![b'x'; 1_000_000]).expect("the body is taken");
        }
        let answer = client.answer("POST").expect("the answer can be read");
        assert!(matches!(answer.status(), 413 | 404), "{}", answer.status());
        assert_eq!(answer.one("connection"), Some("close"));
        assert!(client.is_ended());
    }
    assert_eq!(origin.seen().len(), 0);
}

#[test]
fn an_early_answer_to_a_small_request_keeps_the_connection() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', auth: true}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    let hidden = format!("GET /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    for framing in [
        format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()),
    ] {
        for path in ["/a", "/nothing"] {
            let answer = client.ask(format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}")).expect("answer");
            assert!(matches!(answer.status(), 401 | 404));
            assert_eq!(answer.one("connection"), Some("keep-alive"));
        }
    }
    assert_eq!(origin.seen().len(), 0, "a body was read as a request");
    assert_eq!(client.ask(&hidden).expect("answer").status(), 200);
}

#[test]
fn continue_is_said_after_admission() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', auth: true}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client
        .write(format!("POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"))
        .expect("head");
    let mut line = String::new();
    client.reader.read_line(&mut line).expect("line");
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
    client.write("body").expect("body");
    line.clear();
    client.reader.read_line(&mut line).expect("end of the head");
    assert_eq!(client.answer("POST").expect("answer").status(), 200);
    let seen = origin.only();
    assert_eq!((seen.body.as_slice(), seen.one("expect")), (&b"body"[..], None));
    let mut refused = Client::connect(gate.port);
    refused.write("POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").expect("head");
    assert_eq!(refused.head().expect("head").status(), 401, "no continue for a request that is refused");
}

#[test]
fn interim_answers_are_for_those_who_know_them() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")?;
        exchange.ok("fine")
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut old = Client::connect(gate.port);
    old.write("POST /a HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx").expect("write");
    assert_eq!(old.head().expect("head").status(), 200, "HTTP/1.0 knows no interim answers");
    let mut new = Client::connect(gate.port);
    new.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert_eq!(new.head().expect("head").status(), 103);
    assert_eq!(send(gate.port, "POST /a HTTP/1.1\nExpect: 200-maybe", b"x").status(), 417);
}

#[test]
fn answers_without_a_body_have_none() {
    let origin = Origin::start(|exchange| match exchange.request.target() {
        "/204" => exchange.write("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        "/304" => exchange.write("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        _ => exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', include_subpath: true}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    for (start, status) in [("GET /a/204", 204), ("GET /a/304", 304), ("HEAD /a/x", 200), ("GET /a/204", 204)] {
        let answer = client.ask(format!("{start} HTTP/1.1\r\nHost: x\r\n\r\n")).expect("answer");
        assert_eq!(answer.status(), status);
        assert_eq!(answer.one("transfer-encoding"), None, "{start}");
    }
}

#[test]
fn a_body_that_ends_with_the_connection_is_framed_anew() {
    let origin = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")?;
        exchange.stream.shutdown(std::net::Shutdown::Both)
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    for _ in 0..2 {
        let answer = client.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("answer");
        assert_eq!((answer.text().as_str(), answer.one("transfer-encoding")), ("until the end", Some("chunked")));
    }
    let mut old = Client::connect(gate.port);
    let answer = old.ask("GET /a HTTP/1.0\r\nHost: x\r\n\r\n").expect("answer");
    assert_eq!((answer.text().as_str(), answer.one("transfer-encoding")), ("until the end", None));
    let mut rest = Vec::new();
    old.reader.read_to_end(&mut rest).expect("the connection ends in order");
}
