//! Another config for a running process: no request is lost, each is wholly of one config, and a bad file changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::keys::{call, done, make, status};
use crate::support::gate::{KEY, command, routes};
use crate::support::{Client, Gate, Message, Origin, send, wait_until};

/// A config whose route sends two headers that change together.
fn config(origin: &Origin, number: usize, more: &str) -> String {
    let entry = format!(
        "{{path: /a, target: '{}', headers: {{X-One: v{number}, X-Two: v{number}}}, methods: [POST]}}",
        origin.url("/a")
    );
    routes(&[entry], more)
}

fn write(gate: &Gate, text: &str) {
    fs::write(gate.folder().join("config.yaml"), text).expect("write");
}

/// What the call for a reload answers.
fn reload(gate: &Gate) -> Message {
    call(gate, KEY, "/config/reload", Some(json!({})))
}

/// The same, when the file is good.
fn reloaded(gate: &Gate) -> Value {
    let answer = reload(gate);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn fifty_reloads_lose_no_request_and_split_none() {
    let origin = Origin::start(|exchange| {
        let request = &exchange.request;
        let (one, two) = (request.one("x-one").map(str::to_owned), request.one("x-two").map(str::to_owned));
        let whole = one.is_some() && one == two;
        exchange.ok(if whole { "whole" } else { "split" })
    });
    let gate = Gate::start(&config(&origin, 0, ""));
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut client = Client::connect(gate.port);
                while !stop.load(Ordering::Relaxed) {
                    let request = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
                    let answer = client.ask(request).expect("no request is lost");
                    assert_eq!((answer.status(), answer.text().as_str()), (200, "whole"));
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for number in 1..=50 {
            let before = served.load(Ordering::Relaxed);
            if number % 10 == 0 {
                write(&gate, "general_settings: {pass_through_endpoints: [{path: /a, target: nowhere}]}\n");
                assert_eq!(reload(&gate).status(), 400);
            } else {
                write(&gate, &config(&origin, number, ""));
                assert_eq!(reloaded(&gate)["applied"], json!(["route /a POST changed"]));
            }
            wait_until("requests go on", || served.load(Ordering::Relaxed) > before + 20);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let last = send(gate.port, "POST /a HTTP/1.1", b"{}");
    assert_eq!(last.status(), 200);
    assert_eq!(origin.last().one("x-one"), Some("v49"), "the last good one");
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_as_by_check() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, 1, ""));
    let bad = "general_settings:\n  master_key: sk-other-0123456789\n  pass_through_endpoints:\n    - {path: /a, target: nowhere}\n    - {path: /b, target: 'http://x/', auth: \"yes\"}\n";
    write(&gate, bad);
    let refused = reload(&gate);
    assert_eq!(refused.status(), 400);
    let answer: Value = serde_json::from_slice(&refused.body).expect("JSON");
    let message = answer["error"]["message"].as_str().expect("message");
    for expected in ["config.yaml:4: ", "config.yaml:5: ", "is not a boolean"] {
        assert!(message.contains(expected), "{message}");
    }
    wait_until("it is logged", || gate.log().contains("not reloaded, generation 1 stays: "));
    assert_eq!(call(&gate, "sk-other-0123456789", "/key/list", None).status(), 401, "the old key holds");
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 200);
    for gone in ["removed", "folder", "half", "50 MB"] {
        let path = gate.folder().join("config.yaml");
        fs::remove_file(&path).expect("remove");
        match gone {
            "folder" => fs::create_dir(&path).expect("folder"),
            "50 MB" => fs::write(&path, "# a comment\n".repeat(50_000_000 / 12)).expect("write"),
            "half" => fs::write(&path, &config(&origin, 2, "")[..120]).expect("write"),
            _ => {}
        }
        assert_eq!(reload(&gate).status(), 400, "{gone}");
        assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 200, "{gone}");
        match gone {
            "folder" => {
                fs::remove_dir(&path).expect("remove");
                fs::write(&path, "").expect("write");
            }
            "removed" => fs::write(&path, "").expect("write"),
            _ => {}
        }
    }
    write(&gate, &config(&origin, 3, ""));
    assert_eq!(reloaded(&gate)["generation"], 2);
}

#[test]
fn a_hangup_reloads_too_and_an_answer_says_what_changed() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, 1, ""));
    write(&gate, &config(&origin, 2, ""));
    gate.signal("HUP");
    wait_until("it is logged", || gate.log().contains("reloaded: generation 2; route /a POST changed"));
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 200);
    assert_eq!(origin.last().one("x-two"), Some("v2"));
    let same = reloaded(&gate);
    assert_eq!((&same["status"], &same["generation"]), (&json!("unchanged"), &json!(3)));
    write(&gate, &config(&origin, 2, "tollgate: {listen: ['127.0.0.1:1'], log_format: text}"));
    let partly = reloaded(&gate);
    assert_eq!(partly["needs_restart"], json!(["tollgate.listen changed"]));
    assert_eq!(partly["applied"], json!(["tollgate.log_format changed"]));
    assert_eq!(reloaded(&gate)["needs_restart"], json!(["tollgate.listen changed"]), "it is said until it is done");
    send(gate.port, "POST /a HTTP/1.1", b"{}");
    wait_until("lines are text now", || gate.log().contains("\"POST /a HTTP/1.1\" 200 OK"));
}

#[test]
fn a_reload_is_judged_by_the_sockets_that_stay_open() {
    let origin = Origin::plain();
    let file = |listen: &str, admin: &str, auth: &str, master: &str| {
        let entry = format!(
            "{{path: /a, target: '{}', headers: {{X-Secret: os.environ/PROVIDER_KEY}}{auth}}}",
            origin.url("/a")
        );
        routes(&[entry], &format!("tollgate: {{listen: ['{listen}:1'], admin_listen: '{admin}:0'}}"))
            .replace(KEY, master)
    };
    let refused = |gate: &Gate, text: &str, expected: &str| {
        write(gate, text);
        let answer = reload(gate);
        assert_eq!(answer.status(), 400, "{text}");
        assert!(answer.text().contains(expected), "{}", answer.text());
    };
    let gate = Gate::start(&file("0.0.0.0", "127.0.0.1", ", auth: true", KEY));
    refused(&gate, &file("127.0.0.1", "127.0.0.1", "", KEY), "nobody said who may use it");
    refused(&gate, &file("127.0.0.1", "127.0.0.1", ", auth: true", "sk-1234"), "is one that everybody knows");
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 401, "the route is as closed as it was");
    let itself = file("127.0.0.1", "127.0.0.1", ", auth: true", KEY)
        .replace(&origin.url("/a"), &format!("http://127.0.0.1:{}/a", gate.port));
    refused(&gate, &itself, "the target is this proxy itself");
    // The admin listener serves no route, but the key API.
    let inside = Gate::start(&file("127.0.0.1", "0.0.0.0", "", KEY));
    refused(&inside, &file("127.0.0.1", "127.0.0.1", "", "sk-1234"), "is one that everybody knows");
}

#[test]
fn a_file_that_says_nothing_or_is_no_file_is_not_reloaded() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, 1, ""));
    for text in ["", "# being written\n", "general_settings:\n"] {
        write(&gate, text);
        let refused = reload(&gate);
        assert_eq!(refused.status(), 400, "{text:?}");
        assert!(refused.text().contains("the file says nothing"), "{}", refused.text());
    }
    let pipe = gate.folder().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    write(&gate, &format!("include: [pipe.yaml]\n{}", config(&origin, 2, "")));
    let refused = reload(&gate);
    assert_eq!(refused.status(), 400);
    assert!(refused.text().contains("it is no regular file"), "{}", refused.text());
    write(&gate, &config(&origin, 3, ""));
    assert_eq!(reloaded(&gate)["generation"], 2);
}

#[test]
fn the_command_line_reloads_and_says_what_it_would_do() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, 1, ""));
    let (path, port) = (gate.folder().join("config.yaml"), gate.port.to_string());
    let path = path.to_str().expect("path");
    let tollgate = |arguments: &[&str]| {
        let output = crate::support::gate::command().args(arguments).output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let before = gate.folder().join("before.yaml");
    fs::copy(path, &before).expect("copy");
    write(&gate, &config(&origin, 2, "tollgate: {listen: ['127.0.0.1:1']}"));
    let (code, said, _) = tollgate(&["check", "--diff", before.to_str().expect("path"), path]);
    assert_eq!(said, "applied: route /a POST changed\nneeds a restart: tollgate.listen changed\n");
    assert_eq!(code, Some(0));
    let (code, said, _) = tollgate(&["reload", "--config", path, "--port", &port]);
    assert_eq!(said, "applied, generation 2\n  route /a POST changed\n  needs a restart: tollgate.listen changed\n");
    assert_eq!(code, Some(0));
    write(&gate, &config(&origin, 3, "tollgate: {nonsense: 1}"));
    let (code, said, why) = tollgate(&["reload", "--config", path, "--port", &port]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(why.contains("error: The config was not reloaded: ") && why.contains("`nonsense` is not a key"), "{why}");
    let (code, _, why) = tollgate(&["reload", "--port", &port]);
    assert_eq!(code, Some(1));
    assert!(why.contains("there is no master key"), "{why}");
}

#[test]
fn a_changed_file_is_seen_also_behind_a_link_and_a_bad_one_is_told_once() {
    let origin = Origin::plain();
    let folder = crate::support::gate::folder();
    let watched = |number: usize| config(&origin, number, "tollgate: {watch: true}");
    let gate = Gate::spawn(&watched(1), &["--port", "0"], &[], folder);
    let serves = |number: usize| {
        wait_until(&format!("version {number} is seen"), || {
            send(gate.port, "POST /a HTTP/1.1", b"{}");
            origin.last().one("x-one") == Some(&format!("v{number}"))
        });
    };
    write(&gate, &watched(2));
    serves(2);
    write(&gate, "general_settings: [");
    wait_until("it is told", || gate.log().contains("not reloaded, generation 2 stays: "));
    serves(2);
    // As Kubernetes does: a folder behind a link, and the link swapped.
    let path = gate.folder().join("config.yaml");
    for number in [3, 4] {
        let there = gate.folder().join(format!("version-{number}.yaml"));
        fs::write(&there, watched(number)).expect("write");
        let link = gate.folder().join("next");
        std::os::unix::fs::symlink(&there, &link).expect("link");
        fs::rename(&link, &path).expect("rename");
        serves(number);
    }
    assert_eq!(gate.log().matches("not reloaded").count(), 1);
}

#[test]
fn ten_at_once_come_one_after_another() {
    let origin = Origin::plain();
    let gate = Gate::start(&config(&origin, 1, ""));
    let mut generations: Vec<u64> = thread::scope(|scope| {
        let asking: Vec<_> =
            (0..10).map(|_| scope.spawn(|| reloaded(&gate)["generation"].as_u64().expect("number"))).collect();
        asking.into_iter().map(|thread| thread.join().expect("thread")).collect()
    });
    generations.sort_unstable();
    assert_eq!(generations, (2..=11).collect::<Vec<u64>>());
}

#[test]
fn what_is_counted_goes_on_being_counted() {
    let origin = Origin::plain();
    let limited = |key: u32, proxy: u32| {
        let entry = format!("{{path: /a, target: '{}', rpm_limit: 100}}", origin.url("/a"));
        let open = format!("{{path: /b, target: '{}'}}", origin.url("/b"));
        let keys = format!("keys: [{{key: sk-config-key-0123456789, rpm_limit: {key}}}]");
        routes(&[entry, open], &format!("tollgate: {{{keys}, limits: {{rpm_limit: {proxy}}}}}"))
    };
    let gate = Gate::start(&limited(2, 1000));
    let key = "sk-config-key-0123456789";
    assert_eq!([(); 3].map(|()| status(&gate, "/a", key)), [200, 200, 429]);
    write(&gate, &limited(3, 1000));
    reloaded(&gate);
    assert_eq!([(); 2].map(|()| status(&gate, "/a", key)), [200, 429], "one more, not three");
    write(&gate, &limited(1000, 4));
    reloaded(&gate);
    assert_eq!([(); 2].map(|()| status(&gate, "/b", key)), [200, 429], "the whole proxy has let three through");
    let routed = limited(1000, 1000).replace("rpm_limit: 100}", "rpm_limit: 4}");
    write(&gate, &routed);
    reloaded(&gate);
    assert_eq!([(); 2].map(|()| status(&gate, "/a", key)), [200, 429], "the route has let three through");
}

#[test]
fn keys_of_the_config_come_and_go() {
    let origin = Origin::plain();
    let with = |keys: &str| {
        let entry = format!("{{path: /a, target: '{}', auth: true}}", origin.url("/a"));
        routes(&[entry], &format!("tollgate: {{keys: [{keys}]}}"))
    };
    let gate = Gate::start(&with("{key: sk-config-key-0123456789}"));
    let (kept, _) = make(&gate, json!({"rpm_limit": 100}));
    assert_eq!(status(&gate, "/a", "sk-config-key-0123456789"), 200);
    write(&gate, &with(&format!("{{key: {kept}, rpm_limit: 0}}")));
    assert_eq!(reloaded(&gate)["applied"], json!(["tollgate.keys: 1 added", "tollgate.keys: 1 removed"]));
    assert_eq!(status(&gate, "/a", "sk-config-key-0123456789"), 401);
    assert_eq!(status(&gate, "/a", &kept), 429, "the config's word on it counts");
    write(&gate, &with(""));
    reloaded(&gate);
    wait_until("the store's word counts again", || status(&gate, "/a", &kept) == 200);
    assert_eq!(done(&gate, "/key/list", None)["total_count"], 1);
}

#[test]
fn the_master_key_changes_and_secrets_are_read_anew() {
    let origin = Origin::plain();
    let with = |key: &str| {
        let entry = format!(
            "{{path: /a, target: '{}', auth: true, headers: {{X-Secret: 'file:secret.txt'}}}}",
            origin.url("/a")
        );
        routes(&[entry], "").replace(KEY, key)
    };
    let folder = crate::support::gate::folder();
    fs::write(folder.join("secret.txt"), "first").expect("write");
    let gate = Gate::spawn(&with(KEY), &["--port", "0"], &[], folder);
    assert_eq!(status(&gate, "/a", KEY), 200);
    assert_eq!(origin.last().one("x-secret"), Some("first"));
    fs::write(gate.folder().join("secret.txt"), "second").expect("write");
    let other = "sk-another-master-0123456789";
    write(&gate, &with(other));
    let applied = reloaded(&gate);
    assert_eq!(applied["applied"], json!(["route /a changed", "general_settings.master_key changed"]));
    assert!(!applied.to_string().contains("second"));
    assert_eq!((status(&gate, "/a", KEY), status(&gate, "/a", other)), (401, 200));
    assert_eq!(origin.last().one("x-secret"), Some("second"));
}

#[test]
fn a_request_ends_with_the_config_it_began_with() {
    let (let_go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::streaming(move |exchange| {
        exchange.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nold")?;
        let _ = wait.lock().expect("lock").recv_timeout(crate::support::PATIENCE);
        exchange.write("end")
    });
    let origin = Arc::new(origin);
    let gate = Gate::start(&config(&origin, 1, ""));
    let mut client = Client::connect(gate.port);
    client.write("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").expect("write");
    wait_until("it is served", || !origin.seen().is_empty());
    write(&gate, &routes(&[], ""));
    assert_eq!(reloaded(&gate)["applied"], json!(["route /a POST removed"]));
    assert_eq!(send(gate.port, "POST /a HTTP/1.1", b"{}").status(), 404);
    let_go.send(()).expect("send");
    let answer = client.answer("POST").expect("answer");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "oldend"));
}

#[test]
fn a_config_of_the_history_is_pinned_until_the_next_reload() {
    let origin = Origin::start(|exchange| {
        let one = exchange.request.one("x-one").unwrap_or("none").to_owned();
        exchange.ok(&one)
    });
    let gate = Gate::start(&config(&origin, 1, "tollgate: {watch: true}"));
    let serves = || send(gate.port, "POST /a HTTP/1.1", b"{}").text();
    write(&gate, &config(&origin, 2, "tollgate: {watch: true}"));
    wait_until("the second is in force", || serves() == "v2");
    write(&gate, "general_settings: [");
    let command = |words: &[&str]| {
        let done = command()
            .args(words)
            .args(["--host", "127.0.0.1", "--port", &gate.port.to_string()])
            .env("STATE_DIRECTORY", gate.folder().join("state"))
            .env("LITELLM_MASTER_KEY", KEY)
            .output()
            .expect("run");
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8(text).expect("UTF-8"))
    };
    let (_, list) = command(&["history"]);
    let numbers: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(numbers, ["2", "1"], "{list}");
    let (code, said) = command(&["rollback", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("config 1 is pinned until the next reload"), "{said}");
    assert_eq!(serves(), "v1");
    assert!(
        command(&["history"]).1.lines().any(|line| line.trim_start().starts_with("1 ") && line.ends_with("pinned"))
    );
    wait_until("the log says so", || gate.log().contains("config 1 of the history is pinned"));
    // The watch leaves it alone, and a bad file too.
    write(&gate, &config(&origin, 3, "tollgate: {watch: true}"));
    assert_eq!(command(&["rollback", "9"]).0, Some(1));
    assert_eq!(serves(), "v1");
    assert_eq!(reloaded(&gate)["pinned"], Value::Null);
    assert_eq!(serves(), "v3");
    assert!(!command(&["history"]).1.contains("pinned"));
    let bad = call(&gate, KEY, "/config/rollback", Some(json!({"number": "1"})));
    assert_eq!(bad.status(), 400, "{}", bad.text());
    // Only the config's own files are kept, for their owner alone.
    let folder = gate.folder().join("state/history");
    for entry in fs::read_dir(&folder).expect("folder") {
        let mode = entry.expect("entry").metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
