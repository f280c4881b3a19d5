//! What the end of a call for a model leaves behind: who rests, whose place is free, which connection stays, and what is said of it.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::json;

use crate::models::{answers, completes, completion, config, entry};
use crate::support::gate::KEY;
use crate::support::origin::Exchange;
use crate::support::{Client, Gate, Origin, send, wait_until};

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const WHOLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const ONCE: &str = "router_settings: {num_retries: 0}\n";
/// Whoever fails rests at once, and for longer than a test.
const STRICT: &str = "router_settings: {num_retries: 1, allowed_fails: 0, cooldown_time: 60}\n";

fn request(stream: bool, fields: &str) -> String {
    let body = json!({"model": "m", "stream": stream, "messages": []}).to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn ask(gate: &Gate, stream: bool, fields: &str) -> crate::support::Message {
    Client::connect(gate.port).ask(request(stream, fields)).expect("an answer")
}

fn chunk(exchange: &mut Exchange, text: &str) -> std::io::Result<()> {
    exchange.write(format!("{:x}\r\n{text}\r\n", text.len()))
}

/// `first` and one that completes, which stands behind it.
fn before_a_spare(first: &Origin, more: &str) -> (Origin, Gate) {
    let spare = Origin::start(completes);
    let entries = [entry("m", "openai/m", first, ", order: 1"), entry("m", "openai/m", &spare, ", order: 2")];
    let gate = Gate::start(&config(&entries, more));
    (spare, gate)
}

/// What is held until somebody says so.
fn gates() -> (mpsc::Sender<()>, impl Fn() + Send + Sync + 'static) {
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let wait = move || {
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
    };
    (go_on, wait)
}

#[test]
fn a_client_in_a_hurry_benches_nobody_that_has_begun_to_answer() {
    let slow = Origin::start(|exchange| {
        let body = completion("late").to_string();
        exchange.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ))?;
        std::thread::sleep(Duration::from_millis(300));
        exchange.write(body)
    });
    let (spare, gate) = before_a_spare(&slow, STRICT);
    assert_eq!(ask(&gate, false, "x-litellm-timeout: 0.05\r\n").status(), 200);
    assert_eq!(spare.seen().len(), 1, "the other one was quicker");
    assert_eq!(ask(&gate, false, "").status(), 200);
    assert_eq!(spare.seen().len(), 1, "the first is asked again");
}

#[test]
fn an_error_within_an_answer_counts_as_its_status_would() {
    for (code, status, first_asked, spare_asked) in [(400, 400, 2, 0), (429, 200, 1, 2), (500, 200, 1, 2)] {
        for stream in [false, true] {
            let first = Origin::start(move |exchange| {
                let error = json!({"error": {"message": "no", "code": code}}).to_string();
                if !exchange.request.text().contains("\"stream\":true") {
                    return answers(exchange, "200 OK", "", &error);
                }
                exchange.write(STREAM)?;
                chunk(exchange, &format!("data: {error}\n\n"))?;
                exchange.write("0\r\n\r\n")
            });
            let (spare, gate) = before_a_spare(&first, STRICT);
            for _ in 0..2 {
                assert_eq!(ask(&gate, stream, "").status(), status, "{code} {stream}");
            }
            assert_eq!((first.seen().len(), spare.seen().len()), (first_asked, spare_asked), "{code} {stream}");
        }
    }
}

#[test]
fn a_refusal_without_end_holds_nobody_up() {
    let first = Origin::start(|exchange| {
        exchange.write("HTTP/1.1 503 Busy\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nbusy")?;
        exchange.wait_gone();
        Ok(())
    });
    let (spare, gate) = before_a_spare(&first, STRICT);
    assert_eq!(ask(&gate, false, "").status(), 200);
    assert_eq!((first.seen().len(), spare.seen().len()), (1, 1));
}

#[test]
fn whose_streams_break_off_rests() {
    let first = Origin::start(|exchange| {
        exchange.write(STREAM)?;
        chunk(exchange, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let (spare, gate) = before_a_spare(&first, STRICT);
    assert!(ask(&gate, true, "").text().contains("\"error\""));
    // It is noted when the client has been told, which may be quicker to ask again.
    wait_until("it rests", || ask(&gate, true, "").text().ends_with("data: [DONE]\n\n"));
    let asked = first.seen().len();
    assert!(ask(&gate, true, "").text().ends_with("data: [DONE]\n\n"));
    assert_eq!((first.seen().len(), spare.seen().len()), (asked, 2));
}

#[test]
fn a_deployment_s_place_is_free_when_the_client_has_seen_the_end() {
    let origin = Origin::start(|exchange| {
        if !exchange.request.text().contains("\"stream\":true") {
            return completes(exchange);
        }
        exchange.write(STREAM)?;
        chunk(exchange, WHOLE)?;
        // The end of what is over already is still to come.
        exchange.wait_gone();
        Ok(())
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, ", max_parallel_requests: 1")], ONCE));
    for _ in 0..3 {
        assert_eq!(ask(&gate, true, "").status(), 200);
        assert_eq!(ask(&gate, false, "").status(), 200);
    }
}

#[test]
fn an_answer_that_a_stop_has_overtaken_is_its_connection_s_last() {
    let (go_on, wait) = gates();
    let origin = Origin::start(move |exchange| {
        wait();
        completes(exchange)
    });
    let mut gate =
        Gate::start(&config(&[entry("m", "openai/m", &origin, "")], "tollgate: {timeouts: {drain_notice: 5}}\n"));
    let mut client = Client::connect(gate.port);
    client.write(request(false, "")).expect("request");
    wait_until("it is asked", || origin.seen().len() == 1);
    gate.signal("TERM");
    wait_until("the stop has begun", || {
        let ready = Client::connect(gate.port).ask("GET /health/readiness HTTP/1.1\r\nHost: x\r\n\r\n");
        ready.is_ok_and(|answer| answer.status() == 503)
    });
    go_on.send(()).expect("the origin waits");
    let answer = client.answer("POST").expect("an answer");
    assert_eq!((answer.status(), answer.one("connection")), (200, Some("close")));
    assert_eq!(gate.ended().code(), Some(0));
}

#[test]
fn who_is_cut_while_its_body_is_read_has_its_line() {
    let origin = Origin::start(completes);
    let more = "tollgate: {log_format: json, timeouts: {drain_notice: 0.2, drain: 0.2}}\n";
    let mut gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], more));
    let mut client = Client::connect(gate.port);
    let text = request(false, "Expect: 100-continue\r\n");
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    client.write(format!("{head}\r\n\r\n{{")).expect("half a request");
    assert_eq!(client.head().expect("interim").status(), 100);
    gate.signal("TERM");
    assert_eq!(gate.ended().code(), Some(0));
    let lines = || gate.log().lines().filter(|line| line.contains("\"path\":\"/v1/chat/completions\"")).count();
    wait_until("the line is there", || lines() == 1);
    assert!(gate.log().contains("cut by the stop of the process"), "{}", gate.log());
}

#[test]
fn who_answers_before_it_has_read_all_is_heard() {
    let origin = Origin::streaming(|exchange| {
        answers(
            exchange,
            "413 Payload Too Large",
            "Connection: close\r\n",
            r#"{"error":{"message":"no more than a page"}}"#,
        )?;
        // What is left unread makes a reset of the end.
        let _ = exchange.stream.shutdown(Shutdown::Both);
        Err(std::io::ErrorKind::Other.into())
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ONCE));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(20 << 20)}]}).to_string();
    let lines = format!("POST /v1/chat/completions HTTP/1.1\nAuthorization: Bearer {KEY}");
    for _ in 0..5 {
        let answer = send(gate.port, &lines, body.as_bytes());
        assert_eq!(answer.status(), 413, "{}", answer.everything());
        assert!(answer.text().contains("no more than a page"), "{}", answer.text());
    }
}

#[test]
fn who_has_begun_to_answer_is_not_asked_once_more() {
    let origin = Origin::start(|exchange| {
        if exchange.number == 0 {
            return completes(exchange);
        }
        exchange.write("HTTP/1.1 200 OK\r\nContent-")?;
        Err(std::io::ErrorKind::Other.into())
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ONCE));
    // A connection that has just come back is not always taken.
    wait_until("one meets a pooled connection", || {
        let before = origin.seen().len();
        let status = ask(&gate, false, "").status();
        assert_eq!(origin.seen().len(), before + 1);
        status == 502
    });
}

#[test]
fn a_connection_in_the_place_of_a_stale_one_is_not_kept_for_nobody() {
    let (stale, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (was_stale, told) = (Arc::clone(&stale), Arc::clone(&gone));
    let origin = Origin::start(move |exchange| {
        if exchange.number > 0 {
            was_stale.store(true, Ordering::SeqCst);
            exchange.reset();
            return Err(std::io::ErrorKind::Other.into());
        }
        let replaces = was_stale.load(Ordering::SeqCst);
        completes(exchange)?;
        if replaces {
            exchange.wait_gone();
            told.store(true, Ordering::SeqCst);
        }
        Ok(())
    });
    let more = format!("{ONCE}tollgate: {{timeouts: {{idle: 600}}}}\n");
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], &more));
    wait_until("a pooled connection was stale", || {
        let answer = ask(&gate, false, "");
        assert_eq!(answer.status(), 200, "{}", gate.log());
        stale.load(Ordering::SeqCst)
    });
    wait_until("it is closed", || gone.load(Ordering::SeqCst));
}

#[test]
fn who_is_in_a_hurry_does_not_wait_for_a_connection_either() {
    use socket2::{Domain, Socket, Type};
    // Nobody accepts, and the queue of those who wait for it is full.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bind");
    listener.listen(0).expect("listen");
    let address = listener.local_addr().expect("address").as_socket().expect("an address of IP");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    let more = format!("{ONCE}tollgate: {{timeouts: {{connect: 600}}}}\n");
    let entry = format!(
        "  - {{model_name: m, litellm_params: {{model: openai/m, api_base: 'http://{address}/v1', api_key: os.environ/PROVIDER_KEY}}}}\n"
    );
    let gate = Gate::start(&config(&[entry], &more));
    assert_eq!(ask(&gate, false, "x-litellm-timeout: 0.1\r\n").status(), 504);
}

#[test]
fn a_stream_to_a_client_of_http_1_0_ends_its_connection_and_says_so() {
    let origin = Origin::start(|exchange| {
        exchange.write(STREAM)?;
        chunk(exchange, WHOLE)?;
        exchange.write("0\r\n\r\n")
    });
    let gate = Gate::start(&config(&[entry("m", "openai/m", &origin, "")], ONCE));
    let mut client = Client::connect(gate.port);
    let answer =
        client.ask(request(true, "Connection: keep-alive\r\n").replace("HTTP/1.1", "HTTP/1.0")).expect("an answer");
    assert_eq!(
        (answer.status(), answer.one("connection"), answer.one("transfer-encoding")),
        (200, Some("close"), None)
    );
    assert_eq!(answer.text(), WHOLE);
}
