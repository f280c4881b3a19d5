//! The access log: where it goes, what it leaves out, and that no request waits for it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::{Value, json};

use crate::keys::call;
use crate::metrics::{inside, scrape, value};
use crate::support::gate::{KEY, folder, routes};
use crate::support::{Client, Gate, Origin, PATIENCE, send, wait_until};

/// A config with an open route `/a`, a closed one `/b`, and `own` under `tollgate`.
fn config(origin: &Origin, own: &str) -> String {
    let entries = ["{path: /a, target: 'TARGET', include_subpath: true}", "{path: /b, target: 'TARGET', auth: true}"];
    routes(&entries.map(|entry| entry.replace("TARGET", &origin.url("/"))), &format!("tollgate: {{{own}}}"))
}

/// Asks for `path`, and expects `status`.
fn ask(gate: &Gate, path: &str, status: u16) {
    assert_eq!(send(gate.port, &format!("GET {path} HTTP/1.1"), b"").status(), status);
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn a_file_is_appended_to_and_opened_anew_when_it_was_moved() {
    let (origin, folder) = (Origin::plain(), folder());
    fs::write(folder.join("access.log"), "{\"before\":true}\n").expect("write");
    let gate = Gate::spawn(&config(&origin, "log_to: ./access.log"), &["--port", "0"], &[], folder);
    let read = |name: &str| lines(&fs::read_to_string(gate.folder().join(name)).unwrap_or_default());
    ask(&gate, "/a/one", 200);
    wait_until("the first line is there", || read("access.log").len() == 2);
    fs::rename(gate.folder().join("access.log"), gate.folder().join("access.log.1")).expect("rename");
    ask(&gate, "/a/two", 200);
    wait_until("the moved file is written on", || read("access.log.1").len() == 3);
    gate.signal("USR1");
    wait_until("there is a new file", || gate.folder().join("access.log").exists());
    ask(&gate, "/a/three", 200);
    wait_until("the new file is written", || read("access.log").len() == 1);
    assert_eq!(read("access.log")[0]["path"], "/a/three");
    let paths: Vec<Value> = read("access.log.1").iter().map(|line| line["path"].clone()).collect();
    assert_eq!(json!(paths), json!([null, "/a/one", "/a/two"]));
    assert!(!gate.log().contains("/a/one"));
    // Another place, by a reload.
    fs::write(gate.folder().join("config.yaml"), config(&origin, "log_to: ./other.log")).expect("write");
    let answer = call(&gate, KEY, "/config/reload", Some(json!({})));
    assert_eq!(answer.one("x-tollgate-generation"), Some("2"));
    ask(&gate, "/a/four", 200);
    wait_until("the other file is written", || read("other.log").iter().any(|line| line["path"] == "/a/four"));
}

#[test]
fn a_place_that_is_none_refuses_the_config() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, ""));
    for (place, why) in [("./none/access.log", "No such file"), ("journald:/nowhere/socket", "No such file")] {
        fs::write(gate.folder().join("config.yaml"), config(&origin, &format!("log_to: {place}"))).expect("write");
        let answer = call(&gate, KEY, "/config/reload", Some(json!({})));
        assert_eq!(answer.status(), 400, "{place}");
        assert!(answer.text().contains("tollgate.log_to") && answer.text().contains(why), "{}", answer.text());
    }
}

#[test]
fn the_journal_gets_a_datagram_a_line() {
    let (origin, folder) = (Origin::plain(), folder());
    let socket = UnixDatagram::bind(folder.join("journal")).expect("bind");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let own = format!("log_to: 'journald:{}'", folder.join("journal").display());
    let gate = Gate::spawn(&config(&origin, &own), &["--port", "0"], &[], folder);
    for path in ["/a/one", "/a/two"] {
        ask(&gate, path, 200);
        let mut entry = [0; 4096];
        let length = socket.recv(&mut entry).expect("a datagram");
        let entry = String::from_utf8_lossy(&entry[..length]).into_owned();
        let (head, message) = entry.split_once("MESSAGE=").expect("a message");
        assert_eq!(head, "PRIORITY=6\nSYSLOG_IDENTIFIER=tollgate\n");
        assert_eq!(lines(message)[0]["path"], path);
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_no_request() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, "log_to: /dev/full, admin_listen: '127.0.0.1:0'"));
    (0..20).for_each(|_| ask(&gate, "/a", 200));
    let lost = || value(&scrape(inside(&gate)), "tollgate_log_lines_lost_total{log=\"access\"}");
    // Questions for metrics have lines too.
    wait_until("every line is counted", || lost() >= Some(20.0));
    let said = || gate.log().matches("the access log cannot be written").count();
    wait_until("it is said", || said() > 0);
    assert_eq!(said(), 1, "once: {}", gate.log());
}

#[test]
fn a_pipe_that_nobody_reads_costs_no_request() {
    let (origin, folder) = (Origin::plain(), folder());
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    // Both ends, so that the pipe is there and stays full.
    let held = fs::OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe);
    let held = held.expect("open");
    let own = "log_to: ./pipe, admin_listen: '127.0.0.1:0'";
    let gate = Gate::spawn(&config(&origin, own), &["--port", "0"], &[], folder);
    // More than the pipe and the buffer hold.
    let path = format!("/a/{}", "x".repeat(14_000));
    (0..400).for_each(|_| ask(&gate, &path, 200));
    let lost = || value(&scrape(inside(&gate)), "tollgate_log_lines_lost_total{log=\"access\"}");
    wait_until("lines are lost, and counted", || lost() > Some(0.0));
    drop(held);
}

#[test]
fn a_share_of_what_went_well_is_written_and_all_that_did_not() {
    let origin = Origin::plain();
    let own = "log_sample: 0.25, log_format: json";
    let gate = Gate::with(&config(&origin, own), &["--num_workers", "1"], &[]);
    for _ in 0..40 {
        ask(&gate, "/a", 200);
        ask(&gate, "/b", 401);
    }
    let count = |status: u16| {
        let log = gate.log();
        log.lines().filter(|line| line.contains(&format!("\"status\":{status},"))).count()
    };
    wait_until("all refusals are there", || count(401) == 40);
    assert_eq!(count(200), 10);
    assert_eq!(gate.log().matches("\"sample\":0.25").count(), 10);
}

#[test]
fn what_is_said_changes_by_a_reload_and_flags_win() {
    let origin = Origin::plain();
    for (flags, says) in [(&[][..], true), (&["--debug"], false)] {
        let gate = Gate::with(&config(&origin, "log_level: warning"), flags, &[]);
        let reloaded = |level: &str| {
            fs::write(gate.folder().join("config.yaml"), config(&origin, &format!("log_level: {level}")))
                .expect("write");
            assert_eq!(call(&gate, KEY, "/config/reload", Some(json!({}))).status(), 200);
        };
        reloaded("info");
        wait_until("a reload is told", || gate.log().contains("reloaded: generation 2"));
        reloaded("error");
        reloaded("info");
        wait_until("the next is told", || gate.log().contains("reloaded: generation 4"));
        assert_eq!(!gate.log().contains("reloaded: generation 3"), says, "{}", gate.log());
    }
}

#[test]
fn an_answer_says_what_tollgate_took_of_its_time() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, "log_format: json"));
    let answer = send(gate.port, "GET /a HTTP/1.1", b"");
    let took: f64 = answer.one("x-litellm-overhead-duration-ms").expect("the field").parse().expect("a number");
    assert!((0.0..60_000.0).contains(&took), "{took}");
    wait_until("the line is there", || gate.log().contains("\"own_ms\":"));
    // Where no upstream was asked, all of it was ours, and nothing is said of it.
    assert_eq!(send(gate.port, "GET /b HTTP/1.1", b"").one("x-litellm-overhead-duration-ms"), None);
}

/// The access line of the request for `path`.
fn line(gate: &Gate, path: &str) -> Value {
    let find = || gate.log().lines().find(|line| line.contains(&format!("\"path\":\"{path}\""))).map(str::to_owned);
    wait_until("the line is there", || find().is_some());
    serde_json::from_str(&find().expect("a line")).expect("JSON")
}

#[test]
fn a_line_says_how_long_a_request_waited_to_be_admitted() {
    let origin = Origin::streaming(|exchange| {
        exchange.request.clone().read_body(&mut exchange.reader, false, |_| {})?;
        exchange.ok("fine")
    });
    let gate = Gate::start(&config(&origin, "log_format: json"));
    ask(&gate, "/a/at/once", 200);
    ask(&gate, "/b", 401);
    // Its body is waited for, for a moment, before anybody is asked to take it.
    let mut client = Client::connect(gate.port);
    client.write("POST /a/late HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").expect("write");
    wait_until("the origin is asked", || origin.seen().len() == 2);
    client.write("{}").expect("write");
    assert_eq!(client.answer("POST").expect("answer").status(), 200);
    // The next one on the connection has not waited.
    assert_eq!(client.ask("GET /a/next HTTP/1.1\r\nHost: x\r\n\r\n").expect("answer").status(), 200);
    let time = |path: &str, name: &str| line(&gate, path)[name].as_f64();
    for path in ["/a/at/once", "/a/late", "/a/next"] {
        assert!(time(path, "queue_ms") <= time(path, "duration_ms"), "{path}: {}", line(&gate, path));
    }
    for path in ["/a/at/once", "/a/next"] {
        let (queue, own) = (time(path, "queue_ms").expect("a time"), time(path, "own_ms").expect("a time"));
        assert!((0.0..=own).contains(&queue), "{path}: {}", line(&gate, path));
    }
    let late = line(&gate, "/a/late");
    assert!(time("/a/late", "queue_ms") >= Some(100.0), "{late}");
    let own = time("/a/late", "own_ms").expect("a time");
    assert!(Some(own + 100.0) <= time("/a/late", "first_byte_ms"), "it was the client who took that time: {late}");
    assert_eq!(time("/b", "queue_ms"), None, "it was never admitted");
}
