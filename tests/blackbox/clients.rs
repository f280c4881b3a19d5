//! Clients that are slow, many, or speak for others: clocks, caps and addresses.

use std::io::Read;

use crate::support::gate::{KEY, routes};
use crate::support::{Client, Gate, Origin, send, wait_until};

fn gate(origin: &Origin, more: &str) -> Gate {
    let entries = [
        format!("{{path: /a, target: '{}'}}", origin.url("/")),
        format!("{{path: /keyed, target: '{}', auth: true}}", origin.url("/")),
    ];
    Gate::start(&routes(&entries, &format!("tollgate: {more}")))
}

#[test]
fn a_body_that_trickles_is_408() {
    let origin = Origin::plain();
    let gate = gate(&origin, "{timeouts: {body: 0.5}, limits: {body_rate: 1000}}");
    for fields in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(gate.port);
        client.write(format!("POST /a HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n5\r\nabcde")).expect("head");
        let answer = client.answer("POST").expect("an answer");
        assert_eq!(answer.status(), 408, "{fields}");
        assert!(client.is_ended());
    }
    wait_until("it is logged", || gate.log().matches("\"reason\":\"body_timeout\"").count() == 2);
}

#[test]
fn an_answer_that_nobody_takes_ends() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::streaming(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        let block = vec![b'x'; 1 << 20];
        while exchange.write(&block).is_ok() {}
        let _ = tell.send(());
        Ok(())
    });
    let gate = gate(&origin, "{timeouts: {write: 0.5}}");
    let mut client = Client::connect(gate.port);
    client.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    assert_eq!(client.head().expect("head").status(), 200);
    told.recv_timeout(crate::support::PATIENCE).expect("the upstream is let go");
    wait_until("it is logged", || gate.log().contains("\"broken\":true"));
}

#[test]
fn an_idle_connection_ends() {
    let origin = Origin::plain();
    let gate = gate(&origin, "{timeouts: {keepalive: 0.3}}");
    let mut client = Client::connect(gate.port);
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("answer").status(), 200);
    assert!(client.is_ended());
    let mut silent = Client::connect(gate.port);
    assert!(silent.is_ended(), "one that never spoke, too");
}

#[test]
fn connections_have_a_limit_in_all_and_from_one_address() {
    let origin = Origin::plain();
    for (limits, reason) in
        [("{connections: 2}", "too_many_connections"), ("{connections_per_address: 2}", "too_many_from_address")]
    {
        let gate = gate(&origin, &format!("{{limits: {limits}}}"));
        let mut held: Vec<Client> = (0..2).map(|_| Client::connect(gate.port)).collect();
        for client in &mut held {
            assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("answer").status(), 200);
        }
        assert!(Client::connect(gate.port).is_ended(), "{limits}");
        wait_until("it is logged", || gate.log().contains(&format!("\"reason\":\"{reason}\"")));
        held.pop();
        wait_until("the seat is free again", || {
            Client::connect(gate.port)
                .ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                .is_ok_and(|answer| answer.status() == 200)
        });
    }
}

#[test]
fn a_full_process_says_so_before_it_looks_at_keys() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.ok("fine")
    });
    let gate = gate(&origin, "{limits: {in_flight: 1}}");
    let mut first = Client::connect(gate.port);
    first.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    wait_until("it is in flight", || !origin.seen().is_empty());
    let answer = send(gate.port, "POST /keyed HTTP/1.1", b"{}");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.one("retry-after"), Some("1"));
    assert_eq!(send(gate.port, "GET /livez HTTP/1.1", b"").status(), 200);
    let_go.send(()).expect("send");
    assert_eq!(first.answer("GET").expect("answer").status(), 200);
    let_go.send(()).expect("send");
    wait_until("there is room again", || send(gate.port, "POST /keyed HTTP/1.1", b"{}").status() == 401);
}

#[test]
fn a_process_that_is_short_of_memory_refuses() {
    let origin = Origin::plain();
    let gate = gate(&origin, "{limits: {memory_mb: 1}}");
    wait_until("memory has been measured", || send(gate.port, "GET /a HTTP/1.1", b"").status() == 503);
    wait_until("it is said once", || gate.log().contains("memory is short"));
}

fn client_in_log(gate: &Gate, number: usize) -> String {
    let lines = || -> Vec<String> {
        gate.log().lines().filter(|line| line.contains("\"client\":")).map(str::to_owned).collect()
    };
    wait_until("the line is there", || lines().len() >= number);
    let line: serde_json::Value = serde_json::from_str(&lines()[number - 1]).expect("JSON");
    line["client"].as_str().expect("client").to_owned()
}

#[test]
fn only_a_trusted_proxy_speaks_for_a_client() {
    let origin = Origin::plain();
    let fields = "GET /a HTTP/1.1\nX-Forwarded-For: 6.6.6.6, 1.2.3.4";
    for (more, expected) in [("{}", "127.0.0.1:"), ("{trusted_proxies: [127.0.0.0/8]}", "1.2.3.4:")] {
        let gate = gate(&origin, more);
        assert_eq!(send(gate.port, fields, b"").status(), 200);
        assert!(client_in_log(&gate, 1).starts_with(expected), "{more}");
        assert!(origin.last().all("x-forwarded-for").is_empty(), "upstreams are told only when that is wanted");
    }
}

#[test]
fn upstreams_are_told_of_the_client_where_that_is_wanted() {
    let origin = Origin::plain();
    let entry = format!("{{path: /a, target: '{}', forward_headers: true}}", origin.url("/"));
    let request = "GET /a HTTP/1.1\nX-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\nForwarded: for=1.2.3.4\nX-Real-IP: 1.2.3.4";
    for (more, chain, proto) in [
        ("forwarded_headers: true", Some("127.0.0.1"), Some("http")),
        ("forwarded_headers: true, trusted_proxies: [127.0.0.1]", Some("1.2.3.4, 127.0.0.1"), Some("https")),
        ("forwarded_headers: false", None, None),
    ] {
        let gate = Gate::start(&routes(std::slice::from_ref(&entry), &format!("tollgate: {{{more}}}")));
        // `Forwarded` stands for both where it is there, and says the same here.
        assert_eq!(send(gate.port, request, b"").status(), 200);
        let seen = origin.last();
        assert_eq!((seen.one("x-forwarded-for"), seen.one("x-forwarded-proto")), (chain, proto), "{more}");
        assert_eq!(seen.one("x-forwarded-host"), chain.map(|_| "gate.test"), "{more}");
        assert_eq!((seen.one("forwarded"), seen.one("x-real-ip")), (None, None), "{more}");
    }
}

#[test]
fn the_proxy_protocol_tells_the_client() {
    let origin = Origin::plain();
    let listen = "{listen: [{address: '127.0.0.1:0', proxy_protocol: true}], trusted_proxies: [127.0.0.1]}";
    let entry = format!("{{path: /a, target: '{}'}}", origin.url("/"));
    let gate = Gate::bare(&routes(&[entry], &format!("tollgate: {listen}")));
    let request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n".as_slice();
    let second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x05\x06\x07\x08\x7f\0\0\x01\x12\x67\0\x50".as_slice();
    let announcements = [b"PROXY TCP4 1.2.3.4 127.0.0.1 4711 80\r\n".as_slice(), second, b"PROXY UNKNOWN\r\n"];
    for (number, (announced, expected)) in
        announcements.into_iter().zip(["1.2.3.4:4711", "5.6.7.8:4711", "127.0.0.1:"]).enumerate()
    {
        let mut client = Client::connect(gate.port);
        client.write(&announced[..7]).expect("write");
        client.write([&announced[7..], request].concat()).expect("write");
        assert_eq!(client.answer("GET").expect("answer").status(), 200);
        assert!(client_in_log(&gate, 2 * number + 1).starts_with(expected));
        assert_eq!(client.ask(request).expect("another on the same connection").status(), 200, "{expected}");
        client.close();
        wait_until("both lines are there", || gate.log().matches("\"status\":200").count() == 2 * (number + 1));
    }
}

#[test]
fn without_an_announcement_nobody_is_served() {
    let origin = Origin::plain();
    let entry = format!("{{path: /a, target: '{}'}}", origin.url("/"));
    for trusted in ["127.0.0.1", "10.0.0.0/8"] {
        let listen =
            format!("{{listen: [{{address: '127.0.0.1:0', proxy_protocol: true}}], trusted_proxies: [{trusted}]}}");
        let gate = Gate::bare(&routes(std::slice::from_ref(&entry), &format!("tollgate: {listen}")));
        let mut client = Client::connect(gate.port);
        let announced = if trusted == "127.0.0.1" { "" } else { "PROXY TCP4 1.2.3.4 127.0.0.1 4711 80\r\n" };
        let _ = client.write(format!("{announced}GET /a HTTP/1.1\r\nHost: x\r\n\r\n"));
        let mut rest = Vec::new();
        let _ = client.reader.read_to_end(&mut rest);
        assert!(rest.is_empty());
        wait_until("it is logged", || gate.log().contains("\"reason\":\"not_announced\""));
    }
    assert!(origin.seen().is_empty());
}

#[test]
fn a_small_refused_body_keeps_the_connection_and_a_large_one_is_told_why() {
    let origin = Origin::plain();
    let gate = gate(&origin, "{}");
    let mut client = Client::connect(gate.port);
    for _ in 0..3 {
        let body = "x".repeat(60_000);
        let request = format!("POST /keyed HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!(client.ask(request).expect("answer").status(), 401);
    }
    let with_key = format!("POST /keyed HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.ask(with_key).expect("the same connection").status(), 200);
    client.write("POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n").expect("head");
    let block = vec![b'x'; 1 << 20];
    for _ in 0..10 {
        if client.write(&block).is_err() {
            break;
        }
    }
    let answer = client.answer("POST").expect("answer");
    assert_eq!((answer.status(), answer.one("connection")), (404, Some("close")));
}
