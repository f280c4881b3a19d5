//! What is sent again, and what never is.

use std::net::TcpListener;

use crate::support::gate::routes;
use crate::support::{Client, Gate, Origin, send};

/// An origin whose every connection serves one request in order and dies under the second.
fn fickle() -> Origin {
    Origin::start(|exchange| {
        if exchange.number == 0 {
            return exchange.ok("fine");
        }
        exchange.reset();
        Err(std::io::ErrorKind::Other.into())
    })
}

#[test]
fn an_idempotent_request_survives_a_stale_connection() {
    for (method, option, survives) in [
        ("GET", "", true),
        ("PUT", "", true),
        ("DELETE", "", true),
        ("POST", "", false),
        ("PATCH", "", false),
        ("POST", ", retry_non_idempotent: true", true),
    ] {
        let origin = fickle();
        let gate = Gate::routes(&[format!("{{path: /a, target: '{}'{option}}}", origin.url("/"))]);
        let mut client = Client::connect(gate.port);
        let request = format!("{method} /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.ask(&request).expect("first").status(), 200);
        let second = client.ask(&request).expect("second");
        let seen = origin.seen();
        if survives {
            assert_eq!(second.status(), 200, "{method}{option}");
            assert_eq!(seen.len(), 3, "{method}{option}: sent again once");
            assert_eq!(seen[2].body, b"body", "{method}: the body was sent again");
        } else {
            assert_eq!(second.status(), 502, "{method}{option}");
            assert_eq!(seen.len(), 2, "{method}{option}: it may have been processed");
        }
    }
}

#[test]
fn a_fresh_connection_that_dies_is_not_tried_again() {
    let origin = Origin::start(|exchange| {
        exchange.reset();
        Err(std::io::ErrorKind::Other.into())
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 502);
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_large_body_is_never_sent_twice() {
    let origin = fickle();
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    assert_eq!(client.ask("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").expect("first").status(), 200);
    let mut request = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n".to_vec();
    request.resize(request.len() + 200_000, b'x');
    assert_eq!(client.ask(&request).expect("second").status(), 502);
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn an_answer_that_has_begun_is_not_asked_for_again() {
    let origin = Origin::start(|exchange| {
        if exchange.number == 0 {
            return exchange.ok("fine");
        }
        exchange.write("HTTP/1.1 20")?;
        exchange.stream.shutdown(std::net::Shutdown::Both)
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))]);
    let mut client = Client::connect(gate.port);
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("first").status(), 200);
    assert_eq!(client.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("second").status(), 502);
    assert_eq!(origin.seen().len(), 2);
}

#[test]
fn several_stale_connections_cost_one_retry() {
    let gathered = std::sync::Arc::new(std::sync::Barrier::new(5));
    let waiting = std::sync::Arc::clone(&gathered);
    let origin = Origin::start(move |exchange| match (exchange.number, exchange.request.target()) {
        (0, "/together") => {
            // All five are open at once, so that five connections are pooled afterwards.
            waiting.wait();
            exchange.ok("fine")
        }
        (0, _) => exchange.ok("fine"),
        _ => {
            exchange.reset();
            Err(std::io::ErrorKind::Other.into())
        }
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', include_subpath: true}}", origin.url("/"))]);
    let port = gate.port;
    let five: Vec<_> =
        (0..5).map(|_| std::thread::spawn(move || send(port, "GET /a/together HTTP/1.1", b"").status())).collect();
    for one in five {
        assert_eq!(one.join().expect("thread"), 200);
    }
    for turn in 0..5 {
        assert_eq!(send(gate.port, &format!("GET /a/{turn} HTTP/1.1"), b"").status(), 200, "turn {turn}");
    }
}

#[test]
fn every_address_is_tried_for_any_method() {
    let origin = Origin::plain();
    // Nothing listens on 127.0.0.2 at the origin's port; a name server gives both addresses.
    let free = TcpListener::bind(("127.0.0.2", origin.port));
    assert!(free.is_ok(), "the port is free on the other address");
    drop(free);
    let server = crate::names::NameServer::start(|_| vec![("127.0.0.2", 60), ("127.0.0.1", 60)]);
    let text = routes(
        &[format!("{{path: /a, target: 'http://two.test:{}/'}}", origin.port)],
        &format!("tollgate: {{dns: {{servers: ['{}']}}}}", server.address),
    );
    let gate = Gate::start(&text);
    for method in ["GET", "POST", "PATCH"] {
        assert_eq!(send(gate.port, &format!("{method} /a HTTP/1.1"), b"body").status(), 200, "{method}");
    }
    assert_eq!(origin.seen().len(), 3);
}

#[test]
fn a_stale_connection_to_the_second_address_is_replaced_there() {
    let origin = fickle();
    let server = crate::names::NameServer::start(|_| vec![("127.0.0.2", 60), ("127.0.0.1", 60)]);
    let text = routes(
        &[format!("{{path: /a, target: 'http://two.test:{}/'}}", origin.port)],
        &format!("tollgate: {{dns: {{servers: ['{}']}}}}", server.address),
    );
    let gate = Gate::start(&text);
    for turn in 0..4 {
        assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200, "turn {turn}");
    }
}
