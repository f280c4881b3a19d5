//! TLS listeners: versions, ALPN, client certificates, files that change.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Request;

use crate::support::gate::{folder, routes};
use crate::support::tls::{Authority, ask, connect};
use crate::support::{Client, Gate, Origin, wait_until};

const REQUEST: &str = "GET /a HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n";

fn gate(origin: &Origin, folder: PathBuf, more: &str, arguments: &[&str]) -> Gate {
    let entry = format!("{{path: /a, target: '{}'}}", origin.url("/"));
    Gate::spawn(&routes(&[entry], more), arguments, &[], folder)
}

fn listen(more: &str) -> String {
    format!("tollgate: {{listen: [{{address: '127.0.0.1:0', tls: {{cert: cert.pem, key: key.pem{more}}}}}]}}")
}

/// A folder with a certificate that `authority` has signed.
fn with_certificate(authority: &Authority) -> PathBuf {
    let folder = folder();
    authority.sign("gate.test").write(&folder);
    folder
}

#[test]
fn tls_by_config_and_by_flags() {
    let origin = Origin::plain();
    let authority = Authority::new();
    for by_flags in [false, true] {
        let folder = with_certificate(&authority);
        let file = |name: &str| folder.join(name).display().to_string();
        let (cert, key) = (file("cert.pem"), file("key.pem"));
        let flags = ["--port", "0", "--ssl_certfile_path", &cert, "--ssl_keyfile_path", &key];
        let gate = if by_flags { gate(&origin, folder, "", &flags) } else { gate(&origin, folder, &listen(""), &[]) };
        assert!(gate.log().contains("listening on https://127.0.0.1:"));
        let answer = ask(gate.port, authority.client(None, &["http/1.1"]), REQUEST).expect("answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("fine"), "{answer}");
        let without_alpn = ask(gate.port, authority.client(None, &[]), REQUEST).expect("answer");
        assert!(without_alpn.starts_with("HTTP/1.1 200 "));
        let mut plain = Client::connect(gate.port);
        let _ = plain.write(REQUEST);
        let mut rest = Vec::new();
        let _ = plain.reader.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/"), "plain HTTP is no TLS");
        wait_until("it is logged", || gate.log().contains("\"reason\":\"no_tls\""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_by_alpn() {
    let origin = Origin::plain();
    let authority = Authority::new();
    let gate = gate(&origin, with_certificate(&authority), &listen(""), &[]);
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", gate.port)).await.expect("connect");
    let connector = tokio_rustls::TlsConnector::from(authority.client(None, &["h2", "http/1.1"]));
    let stream = connector.connect("gate.test".try_into().expect("name"), stream).await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (client, connection) = h2::client::handshake(stream).await.expect("h2");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("ready");
    let request = Request::post("https://gate.test/a").header("x-pass-y", "z").body(()).expect("request");
    let (response, mut body) = client.send_request(request, false).expect("send");
    body.send_data(Bytes::from_static(b"hello"), true).expect("body");
    assert_eq!(response.await.expect("response").status(), 200);
    assert_eq!(origin.only().body, b"hello");
    assert_eq!(origin.only().one("via").map(|via| via.starts_with("2 ")), Some(true));
}

#[test]
fn an_address_of_the_command_line_keeps_the_files_certificate() {
    let origin = Origin::plain();
    let authority = Authority::new();
    let gate = gate(&origin, with_certificate(&authority), &listen(""), &["--host", "127.0.0.1", "--port", "0"]);
    assert!(gate.log().contains("listening on https://127.0.0.1:"));
    assert!(ask(gate.port, authority.client(None, &[]), REQUEST).expect("answer").starts_with("HTTP/1.1 200 "));
}

#[test]
fn client_certificates_where_they_are_asked_for() {
    let origin = Origin::plain();
    let (authority, clients) = (Authority::new(), Authority::new());
    let folder = with_certificate(&authority);
    std::fs::write(folder.join("clients.pem"), &clients.pem).expect("write");
    let gate = gate(&origin, folder, &listen(", client_ca: clients.pem"), &[]);
    let good = clients.sign("a-client");
    let answer = ask(gate.port, authority.client(Some(&good), &[]), REQUEST).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let stranger = Authority::new().sign("a-client");
    for identity in [None, Some(&stranger)] {
        assert!(ask(gate.port, authority.client(identity, &[]), REQUEST).is_err());
    }
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn a_certificate_that_changes_is_used_and_a_broken_one_is_not() {
    let origin = Origin::plain();
    let authority = Authority::new();
    let folder = with_certificate(&authority);
    let gate = gate(&origin, folder.clone(), &listen(""), &[]);
    let shown = || {
        let stream = connect(gate.port, authority.client(None, &[])).expect("TLS");
        stream.conn.peer_certificates().expect("certificates")[0].to_vec()
    };
    // A connection that was open before lives on.
    let mut open = connect(gate.port, authority.client(None, &[])).expect("TLS");
    let next = authority.sign("gate.test");
    next.write(&folder);
    wait_until("the new one is shown", || shown() == next.der());
    open.write_all(REQUEST.as_bytes()).expect("write");
    let mut answer = String::new();
    open.read_to_string(&mut answer).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200 "));
    std::fs::write(folder.join("cert.pem"), "nothing of use").expect("write");
    wait_until("the fault is said", || gate.log().contains("the last good certificate stays in use"));
    assert_eq!(shown(), next.der());
}

#[test]
fn half_a_handshake_ends_in_time_and_gives_its_seat_back() {
    let origin = Origin::plain();
    let authority = Authority::new();
    let tls = "tls: {cert: cert.pem, key: key.pem}";
    let more = format!(
        "tollgate: {{listen: [{{address: '127.0.0.1:0', {tls}}}], timeouts: {{header: 0.3}}, limits: {{connections: 1}}}}"
    );
    let gate = gate(&origin, with_certificate(&authority), &more, &[]);
    for begin in [b"".as_slice(), b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = Client::connect(gate.port);
        client.write(begin).expect("write");
        assert!(client.is_ended());
    }
    wait_until("both are logged", || gate.log().matches("\"reason\":\"head_timeout\"").count() == 2);
    wait_until("there is a seat", || ask(gate.port, authority.client(None, &[]), REQUEST).is_ok());
}

#[test]
fn old_tls_is_refused() {
    let origin = Origin::plain();
    let authority = Authority::new();
    let gate = gate(&origin, with_certificate(&authority), &listen(""), &[]);
    // A ClientHello of TLS 1.0 with one cipher suite, which RFC 8996 forbids.
    let body = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let length = u8::try_from(body.len()).expect("length");
    let hello = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let mut client = Client::connect(gate.port);
    client.write(hello).expect("write");
    let mut rest = Vec::new();
    let _ = client.reader.read_to_end(&mut rest);
    // An alert (21), fatal (2).
    assert_eq!((rest.first(), rest.get(5)), (Some(&21), Some(&2)), "{rest:?}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let folder = with_certificate(&authority);
    let other = authority.sign("gate.test");
    let other_folder = self::folder();
    other.write(&other_folder);
    std::fs::copy(other_folder.join("key.pem"), folder.join("other.pem")).expect("copy");
    std::fs::write(folder.join("empty.pem"), "").expect("write");
    for (tls, expected) in [
        ("{cert: cert.pem, key: missing.pem}", "missing.pem` has no key"),
        ("{cert: missing.pem, key: key.pem}", "missing.pem` cannot be read"),
        ("{cert: empty.pem, key: key.pem}", "empty.pem` holds no certificate"),
        ("{cert: cert.pem, key: cert.pem}", "cert.pem` has no key"),
        ("{cert: cert.pem, key: other.pem}", "cert.pem` cannot be used with its key"),
        ("{cert: cert.pem, key: key.pem, client_ca: empty.pem}", "empty.pem` holds no certificate"),
        ("{cert: cert.pem}", "`key` is missing"),
    ] {
        let text = check(&folder, tls);
        assert!(text.contains(expected) && text.contains("config.yaml:2: tollgate.listen[0].tls"), "{tls}: {text}");
    }
}

fn check(folder: &Path, tls: &str) -> String {
    let file = folder.join("config.yaml");
    let text = format!("tollgate:\n  listen: [{{address: '127.0.0.1:0', tls: {tls}}}]\n");
    std::fs::write(&file, text).expect("write");
    let output = crate::support::gate::command().args(["check", "--config"]).arg(&file).output().expect("check");
    assert_eq!(output.status.code(), Some(1), "{tls}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
