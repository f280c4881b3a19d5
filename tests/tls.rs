//! `tls` of a route on the real executable, against upstreams that speak TLS: who is trusted, what is shown, under which
//! name, and that no connection made for one route serves another that asks for something else.
//!
//! The law: what is asserted is read from the upstream's own record of handshakes and requests.

#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/call.rs"]
mod call;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/http1.rs"]
mod http1;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/origin.rs"]
mod origin;
#[allow(dead_code, reason = "shared with tests/sdk.rs")]
#[path = "sdk/process.rs"]
mod process;

use std::fs;

use authority::{Authority, Badge, Protocol, Validity};
use call::post;
use origin::{Answer, Origin, Seen};
use process::{Folder, Serving};

const NAME: &str = "up.internal";
/// How often routes take turns: enough for every connection that could be shared to be.
const TURNS: usize = 5;

fn echo(seen: &Seen) -> Answer {
    Answer { status: 200, content_type: "text/plain", pieces: vec![seen.body.clone().into()] }
}

/// Tollgate over routes to one address, each with `tls` of its own.
struct Stage {
    tollgate: Serving,
    origin: Origin,
    _folder: Folder,
}

impl Stage {
    /// `routes`: a path and its `tls`, in flow style; `files` are written beside the config. Targets are `NAME`, which
    /// leads to the origin.
    fn new(origin: Origin, routes: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        for (name, text) in files {
            fs::write(folder.0.join(name), text).expect("a file");
        }
        let port = origin.address().port();
        let mut config = String::from("general_settings:\n  pass_through_endpoints:\n");
        for (path, tls) in routes {
            config += &format!("    - {{path: {path}, target: 'https://{NAME}:{port}{path}', {tls}}}\n");
        }
        config += &format!("tollgate: {{resolve: {{{NAME}: 127.0.0.1}}}}\n");
        let file = folder.0.join("config.yaml");
        fs::write(&file, config).expect("the config");
        Self { tollgate: Serving::tollgate_on(&file, &[]), origin, _folder: folder }
    }

    fn ask(&self, path: &str) -> u16 {
        post(self.tollgate.host(), path, &["content-type: text/plain"], "hello").status
    }

    /// The requests for `path`.
    fn seen(&self, path: &str) -> Vec<Seen> {
        self.origin.requests().into_iter().filter(|seen| seen.path == path).collect()
    }

    /// Routes take turns; then no connection has carried requests of two of them.
    fn take_turns(&self, answers: &[(&str, u16)]) {
        for _ in 0..TURNS {
            for (path, status) in answers {
                assert_eq!(self.ask(path), *status, "{path}");
            }
        }
        let requests = self.origin.requests();
        for one in &requests {
            for other in &requests {
                let shared = one.link.number == other.link.number;
                assert!(!shared || one.path == other.path, "{} and {} shared a connection", one.path, other.path);
            }
        }
        for (path, status) in answers {
            assert_eq!(self.seen(path).len(), if *status == 200 { TURNS } else { 0 }, "{path}");
        }
    }
}

fn origin(authority: &Authority, clients: Option<&Authority>, protocol: Protocol) -> Origin {
    Origin::start(authority.server_for(clients, NAME, Validity::Now, protocol), echo)
}

#[test]
fn each_route_shows_its_own_certificate() {
    for protocol in Protocol::ALL {
        let (authority, clients) = (Authority::new(), Authority::new());
        let (one, two): (Badge, Badge) = (clients.client("one"), clients.client("two"));
        let stranger = Authority::new().client("stranger");
        let routes = [
            ("/one", "tls: {ca: ca.pem, cert: one.pem, key: one.key}"),
            ("/two", "tollgate: {tls: {ca: ca.pem, cert: two.pem, key: two.key}}"),
            ("/none", "tls: {ca: ca.pem}"),
            ("/stranger", "tls: {ca: ca.pem, cert: stranger.pem, key: stranger.key}"),
        ];
        let files = [
            ("ca.pem", authority.pem()),
            ("one.pem", &one.pem),
            ("one.key", &one.key),
            ("two.pem", &two.pem),
            ("two.key", &two.key),
            ("stranger.pem", &stranger.pem),
            ("stranger.key", &stranger.key),
        ];
        let stage = Stage::new(origin(&authority, Some(&clients), protocol), &routes, &files);
        stage.take_turns(&[("/one", 200), ("/two", 200), ("/none", 502), ("/stranger", 502)]);
        for (path, badge) in [("/one", &one), ("/two", &two)] {
            for seen in stage.seen(path) {
                assert_eq!(seen.link.client.as_deref(), Some(&*badge.certificate), "{path}");
                assert_eq!(seen.alpn.as_deref(), Some(protocol.alpn()));
                assert_eq!(seen.sni.as_deref(), Some(NAME));
            }
        }
        let secret = one.key.lines().nth(1).expect("a line of the key");
        assert!(!stage.tollgate.printed().contains(secret), "the key was logged");
    }
}

#[test]
fn an_authority_of_the_routes_own_replaces_all_others() {
    for protocol in Protocol::ALL {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let routes = [
            ("/right", "tls: {ca: ca.pem}"),
            ("/both", "tls: {ca: both.pem}"),
            ("/wrong", "tls: {ca: stranger.pem}"),
            ("/system", "timeout: 60"),
        ];
        let both = format!("{}{}", stranger.pem(), authority.pem());
        let files = [("ca.pem", authority.pem()), ("stranger.pem", stranger.pem()), ("both.pem", &both)];
        let stage = Stage::new(origin(&authority, None, protocol), &routes, &files);
        stage.take_turns(&[("/right", 200), ("/both", 200), ("/wrong", 502), ("/system", 502)]);
        stage.tollgate.await_line(&["/wrong", "502", "upstream_tls"]);
    }
}

#[test]
fn another_name_is_asked_for_and_verified() {
    for protocol in Protocol::ALL {
        let authority = Authority::new();
        let server = authority.server("other.internal", Validity::Now, protocol);
        let routes = [
            ("/named", "tls: {ca: ca.pem, sni: Other.Internal}"),
            ("/usual", "tls: {ca: ca.pem}"),
            ("/wrong", "tls: {ca: ca.pem, sni: third.internal}"),
        ];
        let stage = Stage::new(Origin::start(server, echo), &routes, &[("ca.pem", authority.pem())]);
        stage.take_turns(&[("/named", 200), ("/usual", 502), ("/wrong", 502)]);
        for seen in stage.seen("/named") {
            assert_eq!(seen.sni.as_deref(), Some("other.internal"));
            let host = format!("{NAME}:{}", stage.origin.address().port());
            assert_eq!(seen.hosts, [host], "the Host field stays the target's");
        }
    }
}

#[test]
fn without_verification_nothing_is_proved_and_nobody_else_gets_the_connection() {
    for protocol in Protocol::ALL {
        let (authority, stranger) = (Authority::new(), Authority::new());
        for (what, server) in [
            ("another name", authority.server("other.internal", Validity::Now, protocol)),
            ("expired", authority.server(NAME, Validity::Past, protocol)),
            ("an unknown authority", stranger.server(NAME, Validity::Now, protocol)),
        ] {
            let routes = [("/blind", "tls: {verify: false}"), ("/seeing", "tls: {ca: ca.pem}")];
            let stage = Stage::new(Origin::start(server, echo), &routes, &[("ca.pem", authority.pem())]);
            stage.take_turns(&[("/blind", 200), ("/seeing", 502)]);
            assert!(stage.seen("/blind").iter().all(|seen| seen.sni.as_deref() == Some(NAME)), "{what}");
            stage.tollgate.await_line(&["warning:", "pass_through_endpoints[0].tls.verify", "VERIFICATION IS OFF"]);
        }
    }
}
