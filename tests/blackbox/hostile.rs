//! Hostile HTTP/1: what reaches the origin is one canonical request, or none.
//!
//! Judged by a strict reader of every byte that arrived there: no request hidden in another, nothing that a second reader could
//! understand otherwise. Each class has several members; `M` stands for a request that must never get there.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::support::gate::{KEY, routes};
use crate::support::strict::StrictOrigin;
use crate::support::{Client, Gate, PATIENCE, wait_until};

/// What must become of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Refused with this status, or with any of 4xx and 5xx where it is 0; nothing whole at the origin.
    Refused(u16),
    /// One canonical request at the origin.
    Served,
}
use Wanted::{Refused, Served};

const HOST: &str = "Host: t.local\r\n";
const MARK: &str = "GET /admin/SMUG HTTP/1.1\r\nHost: t.local\r\n\r\n";

fn gate(origin: &StrictOrigin) -> Gate {
    let entries = [
        format!(
            "{{path: /v1, target: 'http://127.0.0.1:{}/base', include_subpath: true, forward_headers: true, headers: {{X-Injected: os.environ/PROVIDER_KEY}}}}",
            origin.port
        ),
        format!(
            "{{path: /keyed, target: 'http://127.0.0.1:{}/keyed', include_subpath: true, auth: true}}",
            origin.port
        ),
    ];
    Gate::start(&routes(&entries, "tollgate: {timeouts: {header: 1}}"))
}

/// Sends `bytes` on a connection of their own, in pieces, and reads until the end or until nothing more comes.
fn exchange(port: u16, pieces: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    // A complete answer without a close: what would come later is what a hidden request is answered with.
    stream.set_read_timeout(Some(Duration::from_millis(150))).expect("timeout");
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && answer.is_empty() => {
                assert!(std::time::Instant::now() < end, "no answer: {}", pieces[0].escape_ascii());
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| rest[..3].parse().expect("status")).filter(|status| *status >= 200).collect()
}

/// Runs every case, whole and in two pieces, against one gate each.
fn run(cases: &[(&str, String, Wanted)]) {
    let mut faults = Vec::new();
    for (name, bytes, wanted) in cases {
        let bytes = bytes.as_bytes();
        let half = bytes.len() / 2;
        for pieces in [vec![bytes], vec![&bytes[..half], &bytes[half..]]] {
            let origin = StrictOrigin::start();
            let gate = gate(&origin);
            let answer = exchange(gate.port, &pieces);
            let (requests, unclean) = origin.judge();
            let statuses = statuses(&answer);
            let first = statuses.first().copied().unwrap_or(0);
            let fine = match wanted {
                Refused(0) => requests.is_empty() && (400..600).contains(&first),
                Refused(status) => requests.is_empty() && first == *status,
                Served => requests.len() == 1 && first == 200,
            };
            let hidden = requests.iter().any(|request| request.start.contains("SMUG"));
            let injected = requests.iter().all(|request| request.all("x-injected").len() == 1);
            if !fine || hidden || !injected || !unclean.is_empty() {
                faults.push(format!("{name}: {statuses:?} wanted {wanted:?}; at the origin {requests:?}, {unclean:?}"));
            }
            if *wanted != Served {
                wait_until("the refusal is in the log", || gate.log().contains("\"reason\":"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn post(fields: &str, body: &str) -> String {
    format!("POST /v1/x HTTP/1.1\r\n{HOST}{fields}\r\n{body}")
}

fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn lengths_and_codings() {
    let last = "0\r\n\r\n";
    run(&[
        ("F01", post("Content-Length: 48\r\nTransfer-Encoding: chunked\r\n", &format!("{last}{MARK}")), Refused(400)),
        (
            "F02",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("2c\r\n{MARK}\r\n{last}")),
            Refused(400),
        ),
        ("F04", post("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", last), Refused(0)),
        ("F05", post("Transfer-Encoding: chunked, identity\r\n", last), Refused(0)),
        ("F07", post("Transfer-Encoding: chunked, chunked\r\n", last), Refused(0)),
        ("F07b", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", last), Refused(0)),
        ("F08", post("Transfer-Encoding: CHUNKED\r\n", last), Served),
        ("F09", post("Transfer-Encoding: gzip, chunked\r\n", last), Refused(501)),
        ("F10", post("Transfer-Encoding: chunked;p=1\r\nContent-Length: 5\r\n", last), Refused(0)),
        ("F11", post("Transfer-Encoding:\u{b}chunked\r\n", last), Refused(400)),
        ("F13", post("Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", last), Refused(400)),
        ("F14", post("\u{0}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", last), Refused(400)),
        ("F15", post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", last), Refused(400)),
        ("F16", format!("POST /v1/x HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{last}{MARK}"), Refused(400)),
        ("F17", post("Content-Length: 2\r\nContent-Length: 46\r\n", &format!("hi{MARK}")), Refused(400)),
        ("F19", post("Content-Length: 2, 2\r\n", "hi"), Refused(400)),
        ("F19b", post("Content-Length: 44, 44\r\n", MARK), Refused(400)),
        ("F19c", post("Content-Length: 44\r\nContent-Length: 44\r\n", MARK), Refused(400)),
        ("F20", post("Content-Length: 2, 44\r\n", "hi"), Refused(400)),
        ("F26", post("Content-Length: 0002\r\n", "hi"), Refused(400)),
        ("F27", post("Content-Length: 2_0\r\n", "hi"), Refused(400)),
        ("F28", post("Content-Length: 1 0\r\n", "hi"), Refused(400)),
        ("F29", post("Content-Length: 0x2\r\n", "hi"), Refused(400)),
        ("F30", post("Content-Length: 18446744073709551616\r\n", "hi"), Refused(400)),
        ("C03", post("Connection: close, Content-Length\r\nContent-Length: 44\r\n", MARK), Refused(400)),
    ]);
}

#[test]
fn chunks() {
    let fine = "0\r\n\r\n";
    let zeros = "0".repeat(20);
    run(&[
        ("K01", chunked(&format!("0x2\r\nhi\r\n{fine}")), Refused(400)),
        ("K02", chunked(&format!("+2\r\nhi\r\n{fine}")), Refused(400)),
        ("K03", chunked(&format!("0_2\r\nhi\r\n{fine}")), Refused(400)),
        ("K04", chunked(&format!("10000000000000002\r\nhi\r\n{fine}")), Refused(400)),
        ("K05", chunked(&format!("\r\nhi\r\n{fine}")), Refused(400)),
        ("K07", chunked(&format!(" 2\r\nhi\r\n{fine}")), Refused(400)),
        ("K08", chunked(&format!("{zeros}2\r\nhi\r\n{fine}")), Refused(400)),
        ("K10", chunked(&format!("2\rXhi\r\n{fine}")), Refused(400)),
        ("K11", chunked(&format!("2;\nxx\r\nhi\r\n{fine}")), Refused(400)),
        ("K13", chunked(&format!("2;a=b\r\nhi\r\n{fine}")), Served),
        ("K14", chunked(&format!("2;a=\"\r\nb\"\r\nhi\r\n{fine}")), Refused(400)),
        ("K15", chunked(&format!("2\r\nhi{fine}")), Refused(400)),
        ("K16", chunked(&format!("2\r\nhi\n{fine}")), Refused(400)),
        ("K17", chunked(&format!("2\r\nhi\r\n0\r\n{MARK}")), Refused(400)),
        ("K18", chunked(&format!("0\n\n{MARK}")), Refused(400)),
        ("K19", chunked("2\r\nhi\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), Served),
        ("K20", chunked("2\r\nhi\r\n0\r\nAuthorization: Bearer evil\r\nHost: evil\r\n\r\n"), Served),
        ("K22", chunked(&format!("2;a={}\r\nhi\r\n{fine}", "b".repeat(64 << 10))), Refused(400)),
        ("K23", chunked(&format!("{}{fine}", format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(5000))), Refused(400)),
    ]);
}

#[test]
fn lines() {
    let get = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n");
    run(&[
        ("L01", format!("GET /v1/x HTTP/1.1\nHost: t.local\n\n{MARK}"), Refused(400)),
        ("L02", format!("GET /v1/x HTTP/1.1\r\n{HOST}X: y\nZ: 1\r\n\r\n"), Refused(400)),
        ("L06", get("GET /v1/x HTTP/1.1", &format!("{HOST}X: y\r\n z\r\n")), Refused(400)),
        ("L07", get("GET /v1/x HTTP/1.1", &format!("{HOST}X-A : 1\r\n")), Refused(400)),
        ("L08", get("GET /v1/x HTTP/1.1", &format!("{HOST}: 1\r\n")), Refused(400)),
        ("L09", "garbage\r\n\r\n".into(), Refused(400)),
        ("L10", get("GET /v1/x HTTP/1.1", &format!(" X: 1\r\n{HOST}")), Refused(400)),
        ("L11", get("GET /v1/x HTTP/1.1", &format!("{HOST}X(A): 1\r\n")), Refused(400)),
        ("L12", get("GET /v1/x HTTP/1.1", &format!("{HOST}X\u{ff}A: 1\r\n")), Refused(400)),
        ("L14", get("GET  /v1/x HTTP/1.1", HOST), Refused(400)),
        ("L15", get("GET\t/v1/x\tHTTP/1.1", HOST), Refused(400)),
        ("L16", get("GET /v1/x y HTTP/1.1", HOST), Refused(400)),
        ("L17", "GET /v1/x\r\n".into(), Refused(400)),
        ("L18", get("GET /v1/x HTTP/1.9", HOST), Refused(505)),
        ("L19", get("GET /v1/x HTTP/2.0", HOST), Refused(505)),
        ("L20", get("GET /v1/x http/1.1", HOST), Refused(400)),
        ("L22", format!("\r\n\r\n{}", get("GET /v1/x HTTP/1.1", HOST)), Served),
        ("L23", get("GET /v1/x HTTP/1.1", "Host: t\r\r\n"), Refused(400)),
        ("L25", get("GET /v1/x\u{0} HTTP/1.1", HOST), Refused(400)),
        ("L26", get("GET /v1/x HTTP/1.1", &format!("{HOST}X: a\u{0}b\r\n")), Refused(400)),
        ("C09", "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n".into(), Refused(505)),
        ("T01", get("GET /v1/x HTTP/1.1", "X: y\r\n"), Refused(400)),
        ("T02", get("GET /v1/x HTTP/1.1", "Host: a\r\nHost: b\r\n"), Refused(400)),
        ("T03", get("GET /v1/x HTTP/1.1", "Host: a\r\nHost: a\r\n"), Refused(400)),
        ("T04", get("GET /admin HTTP/1.1", "Host: localhost:4000/#@evil\r\n"), Refused(400)),
        ("T06", get("GET /v1/x HTTP/1.1", "Host: \r\n"), Refused(400)),
        ("T07", get("GET /v1/x HTTP/1.1", "Host: t.local:99999\r\n"), Refused(400)),
        ("T08", get("GET http://evil.test/v1/x HTTP/1.1", HOST), Refused(400)),
        ("T09", get("GET http://t.local/admin/SMUG HTTP/1.1", HOST), Refused(404)),
        ("T10", get("GET http://T.local:80/v1/x HTTP/1.1", HOST), Served),
        ("T15", get("GET /v1/x#/../admin HTTP/1.1", HOST), Refused(400)),
        ("T16", get("GET /v1/../admin/SMUG HTTP/1.1", HOST), Refused(400)),
        ("big target", get(&format!("GET /v1/{} HTTP/1.1", "a".repeat(17 << 10)), HOST), Refused(414)),
        ("big head", get("GET /v1/x HTTP/1.1", &format!("{HOST}X: {}\r\n", "a".repeat(65 << 10))), Refused(431)),
        ("many fields", get("GET /v1/x HTTP/1.1", &format!("{HOST}{}", "X: y\r\n".repeat(100))), Refused(431)),
        ("C01", get("GET /v1/x HTTP/1.1", &format!("{HOST}Connection: close, X-Injected, Authorization\r\n")), Served),
        ("C02", get("GET /v1/x HTTP/1.1", &format!("{HOST}Connection: Host\r\n")), Refused(400)),
        ("C06", get("GET /v1/x HTTP/1.1", &format!("{HOST}Connection: Upgrade\r\nUpgrade: foo\r\n")), Served),
        (
            "C07",
            get("GET /v1/x HTTP/1.1", &format!("{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n")),
            Refused(400),
        ),
        (
            "C08",
            get(
                "GET /v1/x HTTP/1.1",
                &format!(
                    "{HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
                ),
            ),
            Served,
        ),
    ]);
}

#[test]
fn a_websocket_is_told_that_it_is_not_enabled() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n";
    let answer = exchange(gate.port, &[format!("GET /v1/x HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes()]);
    assert_eq!(statuses(&answer), [400]);
    assert!(answer.contains("WebSocket is not enabled on this route"), "{answer}");
    assert!(origin.judge().0.is_empty());
}

#[test]
fn requests_that_come_at_once_are_each_judged() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let both =
        format!("POST /v1/a HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\nhiGET /v1/b HTTP/1.1\r\n{HOST}\r\n{MARK}");
    let answer = exchange(gate.port, &[both.as_bytes()]);
    assert_eq!(statuses(&answer), [200, 200, 404]);
    let starts: Vec<String> = origin.judge().0.into_iter().map(|request| request.start).collect();
    assert_eq!(starts, ["POST /base/a", "GET /base/b"]);

    let chunked = format!(
        "POST /v1/a HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /keyed/x HTTP/1.1\r\n{HOST}\r\n"
    );
    assert_eq!(statuses(&exchange(gate.port, &[chunked.as_bytes()])), [200, 401]);
    let (requests, unclean) = origin.judge();
    assert_eq!((requests.len(), unclean.len()), (3, 0));
    assert_eq!(requests[0].body, b"hi");
}

#[test]
fn bytes_after_a_request_do_not_disturb_it() {
    let origin = crate::support::Origin::start(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")?;
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi\r\n").expect("write");
    assert_eq!(client.answer("POST").expect("answer").text(), "abc");
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert_eq!(client.answer("GET").expect("answer").text(), "abc");
}

#[test]
fn what_goes_wrong_later_in_a_body_never_ends_it() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    for (name, first, second) in [
        ("a broken chunk", "Transfer-Encoding: chunked\r\n", "zz\r\n"),
        ("the end", "Content-Length: 200000\r\n", ""),
        ("the end of a chunked one", "Transfer-Encoding: chunked\r\n", ""),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).expect("connect");
        let piece = "x".repeat(100_000);
        let body = if first.starts_with('T') { format!("{:x}\r\n{piece}\r\n", piece.len()) } else { piece };
        stream.write_all(post(first, &body).as_bytes()).expect("write");
        let before = origin.judge().1.len();
        wait_until("the origin has heard of it", || origin.judge().1.len() >= before.max(1));
        stream.write_all(second.as_bytes()).expect("write");
        if second.is_empty() {
            stream.shutdown(Shutdown::Write).expect("shutdown");
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        if !second.is_empty() {
            assert_eq!(statuses(&answer), [400], "{name}");
        }
        assert!(origin.judge().0.is_empty(), "{name}: a whole request at the origin");
    }
}

#[test]
fn half_a_small_body_never_reaches_an_origin() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    for fields in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", gate.port)).expect("connect");
        stream.write_all(post(fields, "3\r\nabc\r\n").as_bytes()).expect("write");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
    let (requests, unclean) = origin.judge();
    assert!(requests.is_empty() && unclean.is_empty(), "{requests:?} {unclean:?}");
}

#[test]
fn an_unfinished_head_is_408_in_time() {
    let origin = StrictOrigin::start();
    let gate = gate(&origin);
    let mut client = Client::connect(gate.port);
    client.write("GET /v1/x HTTP/1.1\r\nHost: t").expect("write");
    let answer = client.answer("GET").expect("answer");
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.one("connection"), Some("close"));
    assert!(answer.one("x-litellm-call-id").is_some() && answer.text().contains("in time"));
    assert!(client.is_ended());
    wait_until("it is logged", || gate.log().contains("\"reason\":\"head_timeout\""));
}

#[test]
fn refusals_are_counted_when_the_service_stops() {
    let origin = StrictOrigin::start();
    let mut gate = gate(&origin);
    for _ in 0..3 {
        assert_eq!(statuses(&exchange(gate.port, &[b"garbage\r\n\r\n"])), [400]);
    }
    let keyed = format!("GET /keyed/x HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n");
    assert_eq!(statuses(&exchange(gate.port, &[keyed.as_bytes()])), [401]);
    assert_eq!(
        statuses(&exchange(
            gate.port,
            &[keyed.replace("\r\n\r\n", &format!("\r\nx-api-key: {KEY}\r\n\r\n")).as_bytes()]
        )),
        [200]
    );
    gate.signal("TERM");
    assert!(gate.ended().success());
    wait_until("the counts are printed", || gate.log().contains("refused since the start: bad_frame: 3, no_key: 1"));
}
