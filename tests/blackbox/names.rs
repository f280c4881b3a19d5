//! Names: asked for once, kept for their TTL and beyond when asking fails, never a reason not to start.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::gate::routes;
use crate::support::{Gate, Origin, send, wait_until};

/// A name server that answers as a test tells it to.
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Questions for IPv4 addresses it has heard.
    pub asked: Arc<AtomicUsize>,
}

impl NameServer {
    /// `answer` gives the addresses and their TTL for the n-th question; none means that the name does not exist.
    pub fn start(answer: impl Fn(usize) -> Vec<(&'static str, u32)> + Send + 'static) -> Self {
        Self::with(false, answer)
    }

    /// The same, but questions for IPv6 addresses are never answered.
    pub fn deaf_to_ipv6(answer: impl Fn(usize) -> Vec<(&'static str, u32)> + Send + 'static) -> Self {
        Self::with(true, answer)
    }

    fn with(deaf: bool, answer: impl Fn(usize) -> Vec<(&'static str, u32)> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let address = socket.local_addr().expect("address");
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                if deaf && question_kind(&buffer[..length]).1 != 1 {
                    continue;
                }
                let _ = socket.send_to(&reply(&buffer[..length], &counter, &answer), client);
            }
        });
        Self { address, asked }
    }
}

/// Where the name of a question ends, and its type.
fn question_kind(question: &[u8]) -> (usize, u16) {
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    (name_end, u16::from_be_bytes([question[name_end], question[name_end + 1]]))
}

/// RFC 1035 section 4: the question back, and A records for it.
fn reply(question: &[u8], counter: &AtomicUsize, answer: &impl Fn(usize) -> Vec<(&'static str, u32)>) -> Vec<u8> {
    let (name_end, kind) = question_kind(question);
    let records = if kind == 1 { answer(counter.fetch_add(1, Ordering::SeqCst)) } else { Vec::new() };
    let missing = kind == 1 && records.is_empty();
    let mut out = question[..2].to_vec();
    out.extend([0x81, if missing { 0x83 } else { 0x80 }, 0, 1]);
    out.extend(u16::try_from(records.len()).expect("few").to_be_bytes());
    out.extend([0, 0, 0, 0]);
    out.extend(&question[12..name_end + 4]);
    for (address, ttl) in records {
        let Ok(IpAddr::V4(ip)) = address.parse() else { panic!("{address}") };
        out.extend([0xc0, 12, 0, 1, 0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend([0, 4]);
        out.extend(ip.octets());
    }
    out
}

fn gate(server: &NameServer, port: u16) -> Gate {
    Gate::start(&routes(
        &[format!("{{path: /a, target: 'http://up.test:{port}/'}}")],
        &format!("tollgate: {{dns: {{servers: ['{}']}}}}", server.address),
    ))
}

#[test]
fn a_warm_name_is_not_asked_for_again() {
    let origin = Origin::plain();
    let server = NameServer::start(|_| vec![("127.0.0.1", 300)]);
    let gate = gate(&server, origin.port);
    for _ in 0..20 {
        assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    assert_eq!(origin.last().one("host"), Some(format!("up.test:{}", origin.port).as_str()));
}

#[test]
fn a_name_that_does_not_exist_is_502_until_it_does() {
    let origin = Origin::plain();
    let exists = Arc::new(Mutex::new(false));
    let told = Arc::clone(&exists);
    let server =
        NameServer::start(move |_| if *told.lock().expect("lock") { vec![("127.0.0.1", 300)] } else { vec![] });
    let gate = gate(&server, origin.port);
    for _ in 0..5 {
        assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 502);
    }
    assert!(server.asked.load(Ordering::SeqCst) < 5, "a failure is remembered for a moment");
    *exists.lock().expect("lock") = true;
    wait_until("the name is asked for again", || send(gate.port, "GET /a HTTP/1.1", b"").status() == 200);
}

#[test]
fn the_last_good_answer_is_kept() {
    let origin = Origin::plain();
    // One good answer that counts for a second, then failures.
    let server = NameServer::start(|number| if number == 0 { vec![("127.0.0.1", 0)] } else { vec![] });
    let gate = gate(&server, origin.port);
    wait_until("the answer has run out and was asked for again", || {
        assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
        server.asked.load(Ordering::SeqCst) >= 3
    });
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
}

#[test]
fn a_name_may_not_lead_to_a_metadata_address() {
    let server = NameServer::start(|_| vec![("169.254.169.254", 300)]);
    let gate = gate(&server, 80);
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 502);
    wait_until("the log says why", || gate.log().contains("metadata"));
}

#[test]
fn a_family_that_is_not_answered_costs_nothing() {
    let origin = Origin::plain();
    let server = NameServer::deaf_to_ipv6(|_| vec![("127.0.0.1", 300)]);
    let gate = gate(&server, origin.port);
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
}

#[test]
fn addresses_can_be_given_by_hand() {
    let (origin, other) = (Origin::plain(), Origin::plain());
    let gate = Gate::start(&routes(
        &["{path: /a, target: 'http://api.test/x'}".into(), "{path: /b, target: 'http://api.test:81/x'}".into()],
        &format!(
            "tollgate: {{resolve: {{'api.test:81': '127.0.0.1:{}', API.test: '127.0.0.1:{}'}}}}",
            other.port, origin.port
        ),
    ));
    assert_eq!(send(gate.port, "GET /a HTTP/1.1", b"").status(), 200);
    assert_eq!(origin.only().one("host"), Some("api.test"));
    assert_eq!(send(gate.port, "GET /b HTTP/1.1", b"").status(), 200);
    assert_eq!(other.only().one("host"), Some("api.test:81"));
}
