//! HTTP/2: from clients by prior knowledge, to upstreams over TLS, with trailers all the way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::keys::call;
use crate::support::gate::{KEY, folder, routes};
use crate::support::{Gate, Origin, send};

/// What the upstream saw of its requests: method, URI, headers, body.
type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;

/// A TLS upstream that speaks HTTP/2 alone, and the PEM of the authority that vouches for it.
async fn upstream(name: &str) -> (SocketAddr, String, Seen) {
    let (config, authority) = identity(name);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let seen: Seen = Arc::default();
    let record = Arc::clone(&seen);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, record) = (acceptor.clone(), Arc::clone(&record));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond, Arc::clone(&record)));
                }
            });
        }
    });
    (address, authority, seen)
}

/// Echoes the body, with a trailer; the first request to `/refused` is refused unprocessed.
async fn answer(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>, record: Seen) {
    let (head, mut body) = request.into_parts();
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    let start = format!("{} {}", head.method, head.uri);
    let first = {
        let mut seen = record.lock().expect("lock");
        let first = !seen.iter().any(|(known, ..)| *known == start);
        seen.push((start, head.headers, bytes.clone()));
        first
    };
    if head.uri.path() == "/refused" && first {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
        return;
    }
    let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
    let _ = stream.send_data(Bytes::from(bytes), false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "42".parse().expect("value"));
    trailers.insert("x-litellm-response-cost", "99".parse().expect("value"));
    let _ = stream.send_trailers(trailers);
}

fn identity(name: &str) -> (ServerConfig, String) {
    let authority_key = KeyPair::generate().expect("key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("params");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).expect("certificate");
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("key");
    let leaf = CertificateParams::new(vec![name.to_owned()]).expect("params").signed_by(&key, &issuer).expect("leaf");
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .expect("config");
    config.alpn_protocols = vec![b"h2".to_vec()];
    (config, authority_certificate.pem())
}

fn gate(address: SocketAddr, authority: &str) -> Gate {
    let file = folder().join("ca.pem");
    std::fs::write(&file, authority).expect("pem");
    Gate::start(&routes(
        &[
            "{path: /a, target: 'https://two.test/base', include_subpath: true, headers: {X-Set: v}}".into(),
            "{path: /refused, target: 'https://two.test/refused'}".into(),
        ],
        &format!("tollgate: {{ca_file: '{}', resolve: {{two.test: '{address}'}}}}", file.display()),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_reach_an_http2_client() {
    let (address, authority, seen) = upstream("two.test").await;
    let gate = gate(address, &authority);
    let stream = TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("h2c by prior knowledge");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    let request = Request::post("http://gate.test/a/x?q=1")
        .header("cookie", "a=1")
        .header("x-pass-y", "z")
        .body(())
        .expect("request");
    let (response, mut body) = client.send_request(request, false).expect("send");
    body.send_data(Bytes::from_static(b"hello"), true).expect("body");
    let response = response.await.expect("response");
    assert_eq!(response.status(), 200);
    let mut stream = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = stream.data().await {
        text.extend_from_slice(&piece.expect("data"));
    }
    assert_eq!(text, b"hello");
    let trailers = stream.trailers().await.expect("trailers").expect("some");
    assert_eq!(trailers["x-checksum"], "42");
    assert!(!trailers.contains_key("x-litellm-response-cost"));
    let seen = seen.lock().expect("lock");
    let (start, headers, bytes) = &seen[0];
    assert_eq!(start, "POST https://two.test/base/x?q=1");
    assert_eq!(bytes, b"hello");
    assert_eq!((&headers["x-set"], &headers["y"]), (&"v".parse().expect("v"), &"z".parse().expect("z")));
    assert!(!headers.contains_key("cookie") && !headers.contains_key("host"), "{headers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_clients_reach_http2_upstreams_and_what_was_refused_is_sent_again() {
    let (address, authority, seen) = upstream("two.test").await;
    let gate = gate(address, &authority);
    let port = gate.port;
    let answers = tokio::task::spawn_blocking(move || {
        (
            send(port, "POST /a/y HTTP/1.1", b"body"),
            send(port, "POST /refused HTTP/1.1", b"again"),
            send(port, "GET /a/z HTTP/1.1", b""),
        )
    });
    let (plain, refused, empty) = answers.await.expect("answers");
    assert_eq!((plain.status(), plain.body.as_slice()), (200, &b"body"[..]));
    assert_eq!((refused.status(), refused.body.as_slice()), (200, &b"again"[..]), "{}", gate.log());
    assert_eq!((empty.status(), empty.body.as_slice()), (200, &b""[..]));
    let refusals = seen.lock().expect("lock").iter().filter(|(start, ..)| start.contains("/refused")).count();
    assert_eq!(refusals, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_502() {
    let (address, authority, seen) = upstream("other.test").await;
    let gate = gate(address, &authority);
    let port = gate.port;
    let answer = tokio::task::spawn_blocking(move || send(port, "POST /a HTTP/1.1", b"x")).await.expect("answer");
    assert_eq!(answer.status(), 502);
    assert!(seen.lock().expect("lock").is_empty());
}

#[test]
fn short_requests_are_not_taken_for_the_preface() {
    let origin = Origin::plain();
    let gate = Gate::routes(&[format!("{{path: /, target: '{}'}}", origin.url("/"))]);
    let mut client = crate::support::Client::connect(gate.port);
    // Eighteen bytes: fewer than HTTP/2's preface has.
    let answer = client.ask("GET / HTTP/1.0\r\n\r\n").expect("answer");
    assert_eq!(answer.status(), 200);
    let mut post = crate::support::Client::connect(gate.port);
    post.write("P").expect("one byte that both share");
    let answer = post.ask("UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").expect("answer");
    assert_eq!(answer.status(), 200);
}

/// Sends `pieces` as the body of one request over h2c, each in a DATA frame of its own; the last ends the stream.
async fn post_frames(port: u16, path: &str, pieces: &[&'static [u8]]) -> (u16, Vec<u8>) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("handshake");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    let request = Request::post(format!("http://gate.test{path}")).body(()).expect("request");
    let (response, mut body) = client.send_request(request, false).expect("send");
    for (index, piece) in pieces.iter().enumerate() {
        body.send_data(Bytes::from_static(piece), index + 1 == pieces.len()).expect("data");
    }
    let response = response.await.expect("response");
    let status = response.status().as_u16();
    let mut stream = response.into_body();
    let mut out = Vec::new();
    while let Some(Ok(piece)) = stream.data().await {
        out.extend_from_slice(&piece);
    }
    (status, out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_last_frame_leaves_nothing_on_the_pooled_connection() {
    let origin = Origin::start(|exchange| {
        let body = exchange.request.text();
        exchange.ok(&body)
    });
    let gate = Gate::routes(&[format!("{{path: /a, target: '{}', include_subpath: true}}", origin.url("/a"))]);
    for (turn, pieces) in
        [&[&b""[..]][..], &[&b"abc"[..], &b""[..]], &[&b"abc"[..], &b""[..], &b"d"[..]], &[&b"abc"[..]]]
            .iter()
            .enumerate()
    {
        let (status, body) = post_frames(gate.port, &format!("/a/{turn}"), pieces).await;
        let sent: String = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
        assert_eq!((status, String::from_utf8_lossy(&body)), (200, sent.into()));
    }
    // A stray last chunk would stand among them as a request of its own.
    let starts: Vec<String> = origin.seen().into_iter().map(|message| message.start).collect();
    assert_eq!(starts, (0..4).map(|turn| format!("POST /a/{turn} HTTP/1.1")).collect::<Vec<_>>());
}

/// A TLS upstream over HTTP/2 that reads whole requests and never answers `/silent`.
async fn quiet(name: &str) -> (SocketAddr, String) {
    let (config, authority) = identity(name);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                let mut held = Vec::new();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    if request.uri().path() == "/silent" {
                        held.push((request, respond));
                    } else {
                        tokio::spawn(answer(request, respond, Arc::default()));
                    }
                }
            });
        }
    });
    (address, authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_counted_from_the_end_of_the_upload() {
    let (address, authority) = quiet("two.test").await;
    let file = folder().join("ca.pem");
    std::fs::write(&file, authority).expect("pem");
    let gate = Gate::start(&routes(
        &[
            "{path: /silent, target: 'https://two.test/silent', timeout: 0.3}".into(),
            "{path: /echo, target: 'https://two.test/echo', timeout: 0.3}".into(),
        ],
        &format!("tollgate: {{ca_file: '{}', resolve: {{two.test: '{address}'}}}}", file.display()),
    ));
    let port = gate.port;
    tokio::task::spawn_blocking(move || {
        for lines in ["GET /silent HTTP/1.1", "DELETE /silent HTTP/1.1", "POST /silent HTTP/1.1\nContent-Length: 0"] {
            assert_eq!(send(port, lines, b"").status(), 504, "{lines}");
        }
        assert_eq!(send(port, "POST /silent HTTP/1.1", b"body").status(), 504);
        let mut client = crate::support::Client::connect(port);
        client.write("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na").expect("first half");
        // A pause longer than the silence that is allowed: it is the client's, not the upstream's.
        std::thread::sleep(std::time::Duration::from_millis(700));
        client.write("b").expect("second half");
        let answer = client.answer("POST").expect("answer");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ab"));
    })
    .await
    .expect("requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_the_end_of_a_body_of_no_bytes_stands_in_the_line() {
    let origin = Origin::plain();
    let entry = format!("{{path: /a, target: '{}'}}", origin.url("/a"));
    let gate = Gate::start(&routes(&[entry], "tollgate: {log_format: json}"));
    let stream = TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("h2c by prior knowledge");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    let request = Request::post("http://gate.test/a").header("content-length", "0").body(()).expect("request");
    let (response, mut body) = client.send_request(request, false).expect("send");
    // The wait that is measured.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(origin.seen().is_empty(), "nobody is asked before it has ended");
    body.send_data(Bytes::new(), true).expect("body");
    assert_eq!(response.await.expect("response").status(), 200);
    let line = || gate.log().lines().find(|line| line.contains("\"path\":\"/a\"")).map(str::to_owned);
    crate::support::wait_until("the line is there", || line().is_some());
    let line: serde_json::Value = serde_json::from_str(&line().expect("a line")).expect("JSON");
    let time = |name: &str| line[name].as_f64().expect("a time");
    // Less than the pause, by what the head took to arrive.
    assert!(time("queue_ms") >= 100.0 && time("queue_ms") <= time("duration_ms"), "{line}");
    assert!(time("own_ms") <= time("duration_ms") - 100.0, "it was the client who took that time: {line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http2_connection_has_the_limits_in_force_when_it_begins() {
    let origin = Origin::plain();
    let config =
        |own: &str| routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/a"))], &format!("tollgate: {{{own}}}"));
    let gate = Gate::start(&config("timeouts: {keepalive: 60}"));
    let reload = |own: &str| {
        std::fs::write(gate.folder().join("config.yaml"), config(own)).expect("write");
        let answer = tokio::task::block_in_place(|| call(&gate, KEY, "/config/reload", Some(json!({}))));
        assert_eq!(answer.status(), 200, "{}", answer.text());
        let told: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        (told["applied"].clone(), told["needs_restart"].clone())
    };
    let connect = async || {
        let stream = TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
        let (client, connection) = h2::client::handshake(stream).await.expect("handshake");
        (client.ready().await.expect("ready"), tokio::spawn(connection))
    };
    let ask = async |client: &mut h2::client::SendRequest<Bytes>, bytes: usize| {
        let request = Request::post("http://t.local/a").header("x-filling", "f".repeat(bytes));
        let (response, _) = client.send_request(request.body(()).expect("request"), true).expect("send");
        response.await.map(|response| response.status().as_u16())
    };
    let (mut old, old_ended) = connect().await;
    assert_eq!(ask(&mut old, 10_000).await.expect("answer"), 200);
    let told = reload("limits: {header_bytes: 4096}, timeouts: {keepalive: 0.3}");
    assert_eq!(told, (json!(["tollgate.limits changed", "tollgate.timeouts changed"]), json!([])));
    let (mut new, new_ended) = connect().await;
    assert_eq!(ask(&mut new, 1000).await.expect("answer"), 200);
    assert_eq!(ask(&mut new, 10_000).await.expect("answer"), 431, "the head limit in force");
    let ended = tokio::time::timeout(crate::support::PATIENCE, new_ended).await;
    assert!(ended.is_ok(), "the keep-alive time in force");
    // What a connection was told when it began holds until its end.
    assert_eq!(ask(&mut old, 10_000).await.expect("answer"), 200);
    assert!(!old_ended.is_finished());
    // A limit that is raised is raised too.
    reload("limits: {header_bytes: 100000}");
    let (mut newest, _) = connect().await;
    assert_eq!(ask(&mut newest, 80_000).await.expect("answer"), 200);
}
