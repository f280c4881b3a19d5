//! The end of a process: no request is lost that somebody could still send, and nobody waits longer than there is something to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::gate::routes;
use crate::support::{Client, Gate, Origin, send, wait_until};

fn gate(origin: &Origin, times: &str) -> Gate {
    let entry = format!("{{path: /a, target: '{}', include_subpath: true}}", origin.url("/a"));
    Gate::start(&routes(&[entry], &format!("tollgate: {{timeouts: {{{times}}}}}")))
}

#[test]
fn who_asks_more_often_than_the_notice_lasts_loses_nothing() {
    let origin = Origin::plain();
    let mut gate = gate(&origin, "drain_notice: 3");
    let (served, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
    let port = gate.port;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..20)
            .map(|number| {
                let (served, stopping) = (&served, &stopping);
                scope.spawn(move || {
                    let mut client = Client::connect(port);
                    loop {
                        let asked = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
                        let answer = client.ask(asked).expect("no request is lost");
                        assert_eq!(answer.status(), 200);
                        served.fetch_add(1, Ordering::Relaxed);
                        if answer.one("connection") == Some("close") {
                            assert!(stopping.load(Ordering::Relaxed), "closed before its time");
                            return;
                        }
                        // The gap between the requests of a client, which is what is tested here.
                        thread::sleep(Duration::from_millis(20 + number * 40));
                    }
                })
            })
            .collect();
        wait_until("all have been served", || served.load(Ordering::Relaxed) > 60);
        stopping.store(true, Ordering::Relaxed);
        gate.signal("TERM");
        clients.into_iter().for_each(|client| client.join().expect("client"));
    });
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn streams_that_live_at_the_signal_are_ended_by_the_origin() {
    let streams = 100;
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::streaming(move |exchange| {
        exchange.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        )?;
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.write("5\r\nended\r\n0\r\n\r\n")
    });
    let mut gate = gate(&origin, "drain_notice: 0.2");
    let clients: Vec<Client> = (0..streams)
        .map(|_| {
            let mut client = Client::connect(gate.port);
            client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").expect("write");
            client
        })
        .collect();
    wait_until("all are live", || origin.seen().len() == streams);
    gate.signal("TERM");
    wait_until("no new connection is accepted", || std::net::TcpStream::connect(("127.0.0.1", gate.port)).is_err());
    (0..streams).for_each(|_| let_go.send(()).expect("an origin waits"));
    for mut client in clients {
        let answer = client.answer("POST").expect("a whole answer");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "begunended"));
    }
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn readiness_ends_first_and_what_is_left_is_told() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |exchange| {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.ok("fine")
    });
    let mut gate = gate(&origin, "drain_notice: 60");
    let mut held = Client::connect(gate.port);
    held.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    origin.only();
    let left = |gate: &Gate| send(gate.port, "GET /health/drain HTTP/1.1", b"").text();
    wait_until("both are told", || left(&gate) == r#"{"draining":false,"requests":2,"streams":0,"connections":2}"#);
    gate.signal("TERM");
    wait_until("readiness ends", || send(gate.port, "GET /health/readiness HTTP/1.1", b"").status() == 503);
    assert_eq!(send(gate.port, "GET /livez HTTP/1.1", b"").status(), 200, "new connections are still served");
    wait_until("both are told", || left(&gate) == r#"{"draining":true,"requests":2,"streams":0,"connections":2}"#);
    let_go.send(()).expect("the origin waits");
    assert_eq!(held.answer("GET").expect("answer").one("connection"), Some("close"));
    assert_eq!(gate.ended().code(), Some(0), "as soon as nothing is left, not after the notice");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let origin = Origin::streaming(|exchange| {
        exchange.wait_gone();
        Ok(())
    });
    let mut gate = gate(&origin, "drain_notice: 60, drain: 60");
    let mut held = Client::connect(gate.port);
    held.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    wait_until("it is served", || !origin.seen().is_empty());
    gate.signal("TERM");
    wait_until("it stops", || gate.log().contains("stopping: 1 requests are being served"));
    gate.signal("TERM");
    assert_eq!(gate.ended().code(), Some(0));
    assert!(held.answer("GET").is_err(), "a cut request has no answer");
}

#[test]
fn what_does_not_end_is_cut_after_the_drain() {
    let origin = Origin::streaming(|exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")?;
        exchange.wait_gone();
        Ok(())
    });
    let mut gate = gate(&origin, "drain_notice: 0, drain: 0.5");
    let mut held = Client::connect(gate.port);
    held.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    wait_until("it is served", || !origin.seen().is_empty());
    let begun = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.ended().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(500), "it had its time");
    assert!(held.answer("GET").is_err(), "a cut stream ends as broken, not clean");
}

#[test]
fn streams_have_a_time_of_their_own_and_what_is_cut_looks_cut() {
    let origin = Origin::streaming(|exchange| {
        let kind = if exchange.request.target().ends_with("stream") {
            "text/event-stream; charset=utf-8"
        } else {
            "text/plain"
        };
        exchange.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"
        ))?;
        exchange.wait_gone();
        Ok(())
    });
    let mut gate = gate(&origin, "drain_notice: 0, drain: 0.3, drain_streams: 4");
    let begin = |path: &str, version: &str| {
        let mut client = Client::connect(gate.port);
        client.write(format!("GET {path} HTTP/{version}\r\nHost: x\r\n\r\n")).expect("write");
        client
    };
    // Over HTTP/1.0 the end of the connection is the end of the answer, unless it is a reset.
    let mut held: Vec<_> = [("/a/one", "1.1"), ("/a/old", "1.0"), ("/a/stream", "1.1"), ("/a/old/stream", "1.0")]
        .map(|(path, version)| begin(path, version))
        .into();
    wait_until("all are served", || origin.seen().len() == 4);
    let left = send(gate.port, "GET /health/drain HTTP/1.1", b"").text();
    wait_until("both streams are known", || {
        send(gate.port, "GET /health/drain HTTP/1.1", b"").text().contains("\"streams\":2")
    });
    assert!(left.contains("\"draining\":false"), "{left}");
    let begun = Instant::now();
    gate.signal("TERM");
    let times: Vec<Duration> = held
        .iter_mut()
        .map(|client| {
            assert!(client.answer("GET").is_err(), "a cut answer ends as broken, not clean");
            begun.elapsed()
        })
        .collect();
    assert_eq!(gate.ended().code(), Some(0));
    let streams = Duration::from_secs(4);
    assert!(times[0] < streams && times[1] < streams, "requests do not have the time of streams: {times:?}");
    assert!(times[2] >= streams && times[3] >= streams, "streams have theirs: {times:?}");
    assert!(gate.log().contains("2 requests are cut") && gate.log().contains("2 streams are cut"), "{}", gate.log());
    assert_eq!(gate.log().matches("cut by the stop of the process").count(), 4, "{}", gate.log());
}

/// An origin whose answers begin, and end when `over` says so: `/a/stream` with a stream of events, `/a/one` with a text, and of
/// `/a/silent` not even the head comes before.
fn ending(over: &Arc<AtomicBool>) -> Origin {
    let over = Arc::clone(over);
    Origin::streaming(move |exchange| {
        let target = exchange.request.target().to_owned();
        let kind = if target.ends_with("stream") { "text/event-stream" } else { "text/plain" };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
        if target.ends_with("silent") {
            wait_until("it may end", || over.load(Ordering::Relaxed));
            exchange.write(&head)?;
        } else {
            exchange.write(&head)?;
            wait_until("it may end", || over.load(Ordering::Relaxed));
        }
        exchange.write("5\r\nended\r\n0\r\n\r\n")
    })
}

type Multiplexed = h2::client::SendRequest<bytes::Bytes>;

/// An HTTP/2 connection by prior knowledge.
async fn multiplexed(port: u16) -> Multiplexed {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
    let (client, connection) = h2::client::handshake(stream).await.expect("handshake");
    tokio::spawn(connection);
    client.ready().await.expect("ready")
}

/// Asks for `path`: what comes of it is the body, or the reason of a reset.
fn asking(client: &mut Multiplexed, path: &str) -> tokio::task::JoinHandle<Result<String, h2::Error>> {
    let request = http::Request::get(format!("http://t.local{path}")).body(()).expect("request");
    let (response, _) = client.send_request(request, true).expect("send");
    tokio::spawn(async move {
        let (mut body, mut text) = (response.await?.into_body(), Vec::new());
        while let Some(piece) = body.data().await {
            text.extend_from_slice(&piece?);
        }
        Ok(String::from_utf8(text).expect("text"))
    })
}

async fn waited_until(what: &'static str, done: impl Fn() -> bool) {
    tokio::task::block_in_place(|| wait_until(what, done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http2_each_stream_has_the_time_of_its_kind() {
    for (times, cut, whole) in [
        ("drain_notice: 0, drain: 0.3, drain_streams: 60", &["/a/one", "/a/silent"][..], &["/a/stream"][..]),
        ("drain_notice: 0, drain: 60, drain_streams: 0.3", &["/a/stream"], &["/a/one", "/a/silent"]),
    ] {
        let over = Arc::default();
        let origin = ending(&over);
        let mut gate = gate(&origin, times);
        let mut client = multiplexed(gate.port).await;
        let cut: Vec<_> = cut.iter().map(|path| asking(&mut client, path)).collect();
        let whole: Vec<_> = whole.iter().map(|path| asking(&mut client, path)).collect();
        waited_until("all are served", || origin.seen().len() == 3).await;
        waited_until("the stream is known", || {
            send(gate.port, "GET /health/drain HTTP/1.1", b"").text().contains("\"streams\":1")
        })
        .await;
        let count = cut.len();
        gate.signal("TERM");
        for ended in cut {
            let error = ended.await.expect("task").expect_err("a cut answer ends as broken, not clean");
            assert!(error.is_reset() && error.is_remote(), "{times}: {error:?}");
        }
        over.store(true, Ordering::Relaxed);
        for ended in whole {
            assert_eq!(ended.await.expect("task").expect("what has time left goes on"), "begunended", "{times}");
        }
        assert_eq!(gate.ended().code(), Some(0));
        let log = gate.log();
        assert_eq!(log.matches("cut by the stop of the process").count(), count, "{times}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http2_client_hears_of_the_last_cut_too() {
    let over = Arc::default();
    let origin = ending(&over);
    let mut gate = gate(&origin, "drain_notice: 0, drain: 0.3, drain_streams: 0.6");
    let mut client = multiplexed(gate.port).await;
    let asked = ["/a/one", "/a/stream", "/a/silent"].map(|path| asking(&mut client, path));
    waited_until("all are served", || origin.seen().len() == 3).await;
    gate.signal("TERM");
    for ended in asked {
        let error = ended.await.expect("task").expect_err("a cut answer ends as broken");
        assert!(error.is_reset() && error.is_remote(), "not the end of the connection alone: {error:?}");
    }
    assert_eq!(gate.ended().code(), Some(0));
    over.store(true, Ordering::Relaxed);
}

#[test]
fn streams_may_have_less_time_than_requests() {
    let over = Arc::default();
    let origin = ending(&over);
    let mut gate = gate(&origin, "drain_notice: 0, drain: 60, drain_streams: 0.3");
    let [mut stream, mut one] = ["/a/stream", "/a/one"].map(|path| {
        let mut client = Client::connect(gate.port);
        client.write(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).expect("write");
        client
    });
    wait_until("both are served", || origin.seen().len() == 2);
    wait_until("the stream is known", || {
        send(gate.port, "GET /health/drain HTTP/1.1", b"").text().contains("\"streams\":1")
    });
    gate.signal("TERM");
    assert!(stream.answer("GET").is_err(), "a cut stream ends as broken");
    over.store(true, Ordering::Relaxed);
    assert_eq!(one.answer("GET").expect("it has time").text(), "begunended");
    assert_eq!(gate.ended().code(), Some(0));
    assert!(gate.log().contains("1 streams are cut") && !gate.log().contains("requests are cut"), "{}", gate.log());
}
