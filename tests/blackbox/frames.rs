//! Hostile HTTP/2, frame by frame: what reaches an HTTP/1 origin is one canonical request, or none.
//!
//! The client writes frames by hand, header blocks as literals without compression (RFC 7541 section 6.2.2), so that it can say
//! what no library would.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::gate::routes;
use crate::support::strict::StrictOrigin;
use crate::support::{Gate, PATIENCE, wait_until};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

type Fields<'a> = &'a [(&'a str, &'a str)];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn block(fields: Fields<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            bytes.push(u8::try_from(text.len()).expect("length"));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

const START: Fields<'_> = &[(":method", "POST"), (":scheme", "http"), (":authority", "t.local"), (":path", "/v1/h")];

fn with(fields: Fields<'_>) -> Vec<u8> {
    block(&[START, fields].concat())
}

/// A connection by prior knowledge.
struct Raw(TcpStream);

impl Raw {
    fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("preface");
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).expect("settings");
        Self(stream)
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame: kind, flags, stream, payload; none at the end.
    fn next(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]), payload))
    }

    /// What becomes of stream 1: `answered`, `reset`, or `closed` with the whole connection.
    fn outcome(&mut self) -> String {
        let mut answered = false;
        while let Some((kind, flags, stream, payload)) = self.next() {
            match kind {
                // The indexed field `:status: 200` is 0x88 (RFC 7541 appendix A).
                HEADERS if stream == 1 && payload.first() == Some(&0x88) => answered = true,
                HEADERS if stream == 1 => return "refused".into(),
                RST_STREAM if stream == 1 => return "reset".into(),
                GOAWAY => return format!("goaway {}", payload[7]),
                _ => {}
            }
            if answered && stream == 1 && flags & END_STREAM != 0 {
                return "answered".into();
            }
        }
        "closed".into()
    }
}

fn gate(origin: &StrictOrigin) -> Gate {
    let entry = format!(
        "{{path: /v1, target: 'http://127.0.0.1:{}/base', include_subpath: true, forward_headers: true}}",
        origin.port
    );
    Gate::start(&routes(&[entry], ""))
}

fn headers(flags: u8, fields: Fields<'_>) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, 1, &with(fields))
}

fn only(fields: Fields<'_>) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))
}

#[test]
fn what_http1_could_misread_never_gets_there() {
    let body = |bytes: &[u8]| frame(DATA, END_STREAM, 1, bytes);
    let mark = b"GET /admin/SMUG HTTP/1.1\r\nHost: t\r\n\r\n";
    let refused: Vec<(&str, Vec<u8>)> = vec![
        ("H01", [headers(0, &[("content-length", "0")]), body(mark)].concat()),
        ("H02", [headers(0, &[("transfer-encoding", "chunked")]), body(b"0\r\n\r\n")].concat()),
        ("H03", [headers(0, &[("content-length", "1"), ("content-length", "2")]), body(b"h")].concat()),
        ("H03b", [headers(0, &[("content-length", "2"), ("content-length", "2")]), body(b"hi")].concat()),
        ("H03c", [headers(0, &[("content-length", "02")]), body(b"hi")].concat()),
        ("H03d", [headers(0, &[("content-length", "2, 2")]), body(b"hi")].concat()),
        ("H04", headers(END_STREAM, &[("x-a: 1\r\nx-b", "2")])),
        ("H04b", headers(END_STREAM, &[("x-a", "1\r\nx-b: 2")])),
        ("H04c", headers(END_STREAM, &[("x-a", "1\0")])),
        ("H05", headers(END_STREAM, &[("X-A", "1")])),
        ("H06", headers(END_STREAM, &[("x a", "1")])),
        ("H07", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/v1/h x")])),
        (
            "H08",
            only(&[(":method", "GET / HTTP/1.1\r\nX: "), (":scheme", "http"), (":authority", "t"), (":path", "/v1/h")]),
        ),
        ("H09", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "")])),
        (
            "H10",
            only(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "t"),
                (":path", "/v1/h"),
                (":path", "/v1/i"),
            ]),
        ),
        ("H11", only(&[(":method", "GET"), (":scheme", "http://evil/#"), (":authority", "t"), (":path", "/v1/h")])),
        ("H12", headers(END_STREAM, &[("connection", "close, x-api-key")])),
        ("H13", headers(END_STREAM, &[("x-a", "1"), (":path", "/v1/i")])),
        ("H14", [headers(0, &[("content-length", "50")]), body(b"hi")].concat()),
        ("H15", [headers(0, &[("content-length", "1")]), body(b"hi")].concat()),
        ("H17", only(&[(":method", "GET"), (":scheme", "http"), (":path", "/v1/h")])),
        ("H18", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "a@b"), (":path", "/v1/h")])),
        ("H18b", headers(END_STREAM, &[("host", "other.local")])),
        ("H19", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "http://evil/v1/h")])),
        ("H19b", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "v1/h")])),
        ("H20", headers(END_STREAM, &[("te", "gzip")])),
        ("H21", headers(END_STREAM, &[("upgrade", "websocket")])),
        ("H22", headers(END_STREAM, &[("keep-alive", "5")])),
        ("H24", only(&[(":method", "GET"), (":scheme", "http"), (":authority", "t"), (":path", "/v1/../admin/SMUG")])),
        ("H26", headers(END_STREAM, &[("content_length", "5")])),
        ("H27", headers(END_STREAM, &[("transfer_encoding", "chunked")])),
    ];
    let mut faults = Vec::new();
    for (name, bytes) in refused {
        let origin = StrictOrigin::start();
        let gate = gate(&origin);
        let mut raw = Raw::connect(gate.port);
        raw.write(&bytes);
        let outcome = raw.outcome();
        // What was begun is given up by the time the client is told, or soon after; a whole request would be there by now.
        let (requests, unclean) = origin.judge();
        if outcome == "reset" || outcome.starts_with("goaway") {
            drop(raw);
            wait_until("it is logged", || gate.log().contains("\"reason\":\"bad_frame\""));
        }
        if outcome == "answered" || !requests.is_empty() || unclean.iter().any(|bytes| bytes.contains("SMUG")) {
            faults.push(format!("{name}: {outcome}; at the origin {requests:?} {unclean:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_legal_arrives_in_http1s_own_words() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let mut raw = Raw::connect(gate.port);
    let fields = [("cookie", "a=1"), ("x-y", "z"), ("cookie", "b=2"), ("cookie", "c=3"), ("te", "trailers")];
    let trailers = block(&[("authorization", "Bearer evil"), ("content-length", "5")]);
    raw.write(&headers(0, &fields));
    raw.write(&frame(DATA, 0, 1, b"hello"));
    raw.write(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &trailers));
    assert_eq!(raw.outcome(), "answered");
    let (requests, unclean) = origin.judge();
    assert!(unclean.is_empty(), "{unclean:?}");
    assert_eq!(requests[0].all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(requests[0].body, b"hello");
    assert!(requests[0].all("authorization").is_empty());
}

#[test]
fn floods_end_with_enhance_your_calm() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    for (name, flood) in [
        ("SETTINGS", frame(SETTINGS, 0, 0, &[])),
        ("SETTINGS ACK", frame(SETTINGS, 1, 0, &[])),
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(0xfa, 0, 0, b"x")),
    ] {
        let mut raw = Raw::connect(gate.port);
        let many = flood.repeat(100);
        raw.0.set_write_timeout(Some(Duration::from_secs(5))).expect("timeout");
        let mut writer = Raw(raw.0.try_clone().expect("clone"));
        let writing = std::thread::spawn(move || {
            for _ in 0..1000 {
                if !writer.write(&many) {
                    break;
                }
            }
        });
        let outcome = raw.outcome();
        assert!(outcome == "goaway 11" || (name == "SETTINGS ACK" && outcome == "goaway 1"), "{name}: {outcome}");
        drop(raw);
        writing.join().expect("writer");
    }
    wait_until("they are logged", || gate.log().matches("\"reason\":\"flood\"").count() >= 5);
}

#[test]
fn endless_header_blocks_and_resets_end_the_connection() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let mut raw = Raw::connect(gate.port);
    raw.write(&frame(HEADERS, END_STREAM, 1, &with(&[])));
    for _ in 0..5000 {
        if !raw.write(&frame(CONTINUATION, 0, 1, &block(&[("x-a", "b")]))) {
            break;
        }
    }
    assert!(raw.outcome().starts_with("goaway") || raw.outcome() == "closed");

    let mut raw = Raw::connect(gate.port);
    for number in 0..5000_u32 {
        let stream = 2 * number + 1;
        let open = frame(HEADERS, END_HEADERS, stream, &with(&[]));
        let reset = frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        if !raw.write(&[open, reset].concat()) {
            break;
        }
    }
    let mut last = None;
    while let Some(seen) = raw.next() {
        last = Some(seen.0);
    }
    assert_eq!(last, Some(GOAWAY), "rapid resets");
}

#[test]
fn a_body_that_trickles_over_http2_is_408() {
    let origin = StrictOrigin::start();
    let entry = format!("{{path: /v1, target: 'http://127.0.0.1:{}/base', include_subpath: true}}", origin.port);
    let gate = Gate::start(&routes(&[entry], "tollgate: {timeouts: {body: 0.3}, limits: {body_rate: 1000}}"));
    let mut raw = Raw::connect(gate.port);
    raw.write(&headers(0, &[]));
    let mut writer = Raw(raw.0.try_clone().expect("clone"));
    let trickling = std::thread::spawn(move || {
        // The pace of a slow client is what is tested here.
        while writer.write(&frame(DATA, 0, 1, b"x")) {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(raw.outcome(), "refused");
    wait_until("it is logged", || gate.log().contains("\"reason\":\"body_timeout\""));
    let _ = raw.0.shutdown(std::net::Shutdown::Both);
    trickling.join().expect("the client ends");
    assert!(origin.judge().0.is_empty());
}

#[test]
fn a_quiet_client_keeps_its_connection() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let mut raw = Raw::connect(gate.port);
    for number in 0..300_u32 {
        let stream = 2 * number + 1;
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &with(&[]));
        let ping = frame(PING, 0, 0, &[0; 8]);
        let window = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 2]);
        assert!(raw.write(&[request, ping.repeat(2), window].concat()));
        loop {
            let (kind, flags, of, _) = raw.next().expect("a frame");
            assert_ne!(kind, GOAWAY, "after {number} requests");
            if of == stream && flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert_eq!(origin.judge().0.len(), 300);
}
