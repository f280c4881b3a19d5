//! Guessed keys: a great many of them cost no memory, and slow down who guesses and nobody else.

use std::net::Ipv4Addr;
use std::thread;

use serde_json::json;

use crate::keys::{gate, make, status};
use crate::support::{Client, Origin};

/// How many keys are guessed; `make soak` asks for more.
fn guesses() -> u32 {
    std::env::var("TOLLGATE_TEST_GUESSES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

/// How many of them come from one address, on one connection.
const EACH: u32 = 1000;

/// How much the process may grow by them, in KiB.
const GROWTH: u64 = 32 << 10;

fn guess(key: &str) -> String {
    format!("POST /a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 2\r\n\r\n{{}}")
}

#[test]
fn guessed_keys_cost_no_memory() {
    let origin = Origin::plain();
    // Failures are counted as ever, but none is too many: a thousand addresses that all fail are told apart only roughly.
    let gate = gate(&origin, "tollgate: {limits: {failed_keys_per_address: 1000000000}}");
    let (key, _) = make(&gate, json!({}));
    let wave = |addresses: std::ops::Range<u32>| {
        thread::scope(|scope| {
            for lane in 0..4 {
                let (gate, key, addresses) = (&gate, &key, addresses.clone());
                scope.spawn(move || {
                    for number in addresses.filter(|number| number % 4 == lane) {
                        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number);
                        let mut client = Client::connect_from(address, gate.port);
                        for guessed in 0..EACH {
                            let answer = client.ask(guess(&format!("sk-guess-{number:08}-{guessed:08}")));
                            assert_eq!(answer.expect("an answer").status(), 401);
                        }
                        assert_eq!(client.ask(guess(key)).expect("an answer").status(), 200, "on the same connection");
                    }
                });
            }
        });
    };
    // What is allocated once, for the first of its kind, is not what grows.
    wave(0..4);
    let before = gate.rss();
    wave(4..(guesses() / EACH).max(5));
    let after = gate.rss();
    assert!(after < before + GROWTH, "from {before} KiB to {after} KiB");
}

#[test]
fn who_guesses_too_often_is_slowed_down_and_nobody_else() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let (key, _) = make(&gate, json!({}));
    let mut client = Client::connect(gate.port);
    for number in 0..1000 {
        let answer = client.ask(guess(&format!("sk-guess-{number:016}"))).expect("an answer");
        assert_eq!(answer.status(), 401, "{number}");
    }
    let slowed = |mut client: Client| {
        let answer = client.ask(guess("sk-guess-once-too-often")).expect("an answer");
        assert_eq!((answer.status(), answer.one("retry-after")), (429, Some("60")), "{}", answer.text());
        assert!(client.is_ended(), "the connection ends with it");
    };
    slowed(client);
    slowed(Client::connect(gate.port));
    assert_eq!(status(&gate, "/a", &key), 200, "a valid key passes from the same address");
    let mut other = Client::connect_from(Ipv4Addr::new(127, 0, 0, 2), gate.port);
    assert_eq!(other.ask(guess("sk-guess-from-elsewhere")).expect("an answer").status(), 401);
    assert_eq!(other.ask(guess(&key)).expect("an answer").status(), 200);
    slowed(Client::connect(gate.port));
}
