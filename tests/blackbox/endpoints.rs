//! Entries of the config that the API makes: LiteLLM's `/config/pass_through_endpoint`.

use std::fs;
use std::thread;

use serde_json::{Value, json};

use crate::keys::{by, call, done, status};
use crate::support::gate::{KEY, SECRET, command, folder, routes};
use crate::support::{Gate, Message, Origin, send, wait_until};

const PATH: &str = "/config/pass_through_endpoint";
/// What lets entries lead to the origins of the tests, and name the provider's key.
const OWN: &str = "tollgate: {api_private_targets: true, api_secrets: [PROVIDER_KEY]}";

fn delete(gate: &Gate, id: &str) -> Message {
    by(gate, KEY, "DELETE", &format!("{PATH}?endpoint_id={id}"), None)
}

/// A new entry's id.
fn made(gate: &Gate, entry: &Value) -> String {
    done(gate, PATH, Some(entry.clone()))["endpoints"][0]["id"].as_str().expect("an id").to_owned()
}

fn listed(gate: &Gate) -> Vec<Value> {
    done(gate, PATH, None)["endpoints"].as_array().expect("a list").clone()
}

fn refused(gate: &Gate, path: &str, body: Value, code: u16, words: &str) {
    let answer = call(gate, KEY, path, Some(body.clone()));
    assert_eq!(answer.status(), code, "{body}: {}", answer.text());
    assert!(answer.text().contains(words), "{body}: {}", answer.text());
}

#[test]
fn an_entry_lives_from_post_to_delete() {
    let origin = Origin::plain();
    let gate = Gate::start(&routes(&[], OWN));
    let headers = json!({"Authorization": "Bearer os.environ/PROVIDER_KEY", "X-Literal": "literal-secret-1"});
    let entry = json!({
        "path": "/made", "target": origin.url("/up?api_key=literal-secret-2"), "headers": headers, "include_subpath": true,
        "auth": null, "cost_per_request": 0.0, "guardrails": null, "methods": [],
    });
    let answer = call(&gate, KEY, PATH, Some(entry));
    assert_eq!((answer.status(), answer.one("x-tollgate-generation")), (200, Some("2")), "{}", answer.text());
    assert!(!answer.text().contains("literal-secret"), "{}", answer.text());
    let shown = serde_json::from_slice::<Value>(&answer.body).expect("JSON")["endpoints"][0].clone();
    let id = shown["id"].as_str().expect("an id").to_owned();
    assert_eq!(shown["headers"], json!({"Authorization": "***** os.environ/PROVIDER_KEY", "X-Literal": "*****"}));
    assert_eq!(listed(&gate), std::slice::from_ref(&shown));
    // LiteLLM's model says auth: true.
    assert_eq!(send(gate.port, "GET /made/x HTTP/1.1", b"").status(), 401);
    assert_eq!(status(&gate, "/made/x", KEY), 200);
    let arrived = origin.last();
    assert_eq!(arrived.one("authorization"), Some(format!("Bearer {SECRET}").as_str()));
    assert_eq!(
        (arrived.one("x-literal"), arrived.target()),
        (Some("literal-secret-1"), "/up/x?api_key=literal-secret-2")
    );
    // What was shown, sent back with a change, keeps what is masked.
    let mut sent = shown;
    sent["path"] = json!("/moved");
    assert_eq!(done(&gate, &format!("{PATH}/{id}"), Some(sent))["endpoints"][0]["path"], "/moved");
    assert_eq!((status(&gate, "/made", KEY), status(&gate, "/moved", KEY)), (404, 200));
    assert_eq!(origin.last().one("x-literal"), Some("literal-secret-1"));
    // At rest nobody reads it.
    let state = gate.folder().join("state");
    for file in fs::read_dir(&state).expect("folder").flatten().filter(|file| file.path().is_file()) {
        let bytes = fs::read(file.path()).expect("read");
        assert!(!String::from_utf8_lossy(&bytes).contains("literal-secret"), "{:?}", file.path());
    }
    assert_eq!(delete(&gate, &id).status(), 200);
    assert_eq!((delete(&gate, &id).status(), status(&gate, "/moved", KEY)), (404, 404));
    assert_eq!(by(&gate, KEY, "DELETE", PATH, None).status(), 400);
}

#[test]
fn what_could_not_be_served_is_not_kept() {
    let origin = Origin::plain();
    let fixed = format!("{{path: /fixed, id: from-file, target: '{}', methods: [POST]}}", origin.url("/"));
    let gate = Gate::start(&routes(&[fixed], OWN));
    let base = |more: Value| {
        let mut entry = json!({"path": "/new", "target": origin.url("/")});
        entry.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        entry
    };
    for (more, words) in [
        (json!({"path": null}), "`path` is missing"),
        (json!({"target": "ftp://x"}), "target"),
        (json!({"path": "/fixed"}), "served by"),
        (json!({"path": "/key/mine"}), "belongs to Tollgate itself"),
        (json!({"headers": {"X-A": "os.environ/HOME"}}), "tollgate.api_secrets"),
        (json!({"headers": {"X-A": "file:/etc/passwd"}}), "reads no files"),
        (json!({"headers": {"X-A": "credential:a"}}), "credential"),
        (json!({"tls": {"ca": "/etc/ssl/certs/ca-certificates.crt"}}), "reads no files"),
        (json!({"headers": {"X-A": "*****"}}), "write the value"),
        (json!({"headers": {"X-A": "a\r\nb"}}), "X-A"),
        (json!({"auth": "yes"}), "not a boolean"),
        (json!({"guardrails": ["one"]}), "guardrails"),
        (json!({"tarket": "x"}), "target"),
        (json!({"target": "http://169.254.169.254/latest"}), "metadata"),
        (json!({"allow_metadata": true, "target": "http://169.254.169.254/latest"}), "metadata"),
        (json!({"id": "from-file"}), "another entry's"),
    ] {
        refused(&gate, PATH, base(more), 400, words);
    }
    assert_eq!(listed(&gate).len(), 1);
    refused(&gate, &format!("{PATH}/from-file"), json!({"timeout": 1}), 400, "stands in the config file");
    assert_eq!(delete(&gate, "from-file").status(), 400);
    refused(&gate, &format!("{PATH}/nobody"), json!({"timeout": 1}), 404, "no such entry");
    assert_eq!(call(&gate, KEY, &format!("{PATH}?endpoint_id=from-file"), None).status(), 200);
    assert_eq!(call(&gate, KEY, &format!("{PATH}?endpoint_id=nobody"), None).status(), 404);
}

#[test]
fn without_leave_no_entry_leads_to_a_private_address() {
    let origin = Origin::plain();
    let gate = Gate::start(&routes(&[], ""));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "10.0.0.1", "[64:ff9b::7f00:1]"] {
        let entry = json!({"path": "/new", "target": format!("http://{host}:{}/", origin.url("/").rsplit(':').next().expect("port"))});
        let answer = call(&gate, KEY, PATH, Some(entry));
        assert_eq!(answer.status(), 400, "{host}: {}", answer.text());
    }
    // A name is judged by where it leads, each time.
    let named = origin.url("/").replace("127.0.0.1", "localhost");
    made(&gate, &json!({"path": "/named", "target": named, "auth": false}));
    assert_eq!(send(gate.port, "GET /named HTTP/1.1", b"").status(), 502);
    assert!(origin.seen().is_empty());
    wait_until("the log says why", || gate.log().contains("leads to a private address"));
}

/// Two gates on one store.
fn two(origin: &Origin) -> [Gate; 2] {
    let state = folder();
    let start = || {
        let mut command = command();
        command.args(["--port", "0"]).env("STATE_DIRECTORY", &state);
        let fixed = format!("{{path: /fixed, target: '{}'}}", origin.url("/"));
        Gate::launch(&routes(&[fixed], OWN), command, folder())
    };
    [start(), start()]
}

#[test]
fn two_processes_see_each_others_entries_and_lose_none() {
    let origin = Origin::plain();
    let gates = two(&origin);
    let shared = made(&gates[0], &json!({"path": "/shared", "target": origin.url("/"), "auth": false}));
    wait_until("the other serves it", || send(gates[1].port, "GET /shared HTTP/1.1", b"").status() == 200);
    // Each adds its own, and both want the same one, and each changes a header of the shared one.
    thread::scope(|scope| {
        for (number, gate) in gates.iter().enumerate() {
            let (shared, origin) = (&shared, &origin);
            scope.spawn(move || {
                for round in 0..8 {
                    made(
                        gate,
                        &json!({"path": format!("/own/{number}/{round}"), "target": origin.url("/"), "auth": false}),
                    );
                    call(gate, KEY, PATH, Some(json!({"path": format!("/both/{round}"), "target": origin.url("/")})));
                    let field =
                        if number == 0 { json!({"timeout": 10 + round}) } else { json!({"cost_per_request": round}) };
                    done(gate, &format!("{PATH}/{shared}"), Some(field));
                }
            });
        }
    });
    for gate in &gates {
        // The file's, the shared one, eight of each, and eight that only one of the two could make.
        wait_until("all are there", || listed(gate).len() == 2 + 16 + 8);
        let all = listed(gate);
        assert!(all.iter().all(|entry| entry.get("problem").is_none()), "{all:?}");
        wait_until("the last changes of both are there", || {
            let all = listed(gate);
            let entry = all.iter().find(|entry| entry["id"] == json!(shared)).expect("the shared one");
            (&entry["timeout"], &entry["cost_per_request"]) == (&json!(17), &json!(7))
        });
        wait_until("and served", || send(gate.port, "GET /own/0/7 HTTP/1.1", b"").status() == 200);
        assert_eq!(send(gate.port, "GET /own/1/7 HTTP/1.1", b"").status(), 200);
    }
    delete(&gates[1], &shared);
    wait_until("it is gone", || send(gates[0].port, "GET /shared HTTP/1.1", b"").status() == 404);
}

#[test]
fn an_entry_that_the_file_has_come_to_serve_is_left_out_and_told() {
    let origin = Origin::plain();
    let state = folder();
    let start = |config: &str| {
        let mut command = command();
        command.args(["--port", "0"]).env("STATE_DIRECTORY", &state);
        Gate::launch(config, command, folder())
    };
    let entry = |path: &str| format!("{{path: {path}, target: '{}'}}", origin.url("/of-the-file"));
    let gate = start(&routes(&[], OWN));
    for path in ["/a", "/b"] {
        made(&gate, &json!({"path": path, "target": origin.url("/made"), "auth": false}));
    }
    drop(gate);
    // A start and a reload are alike.
    let gate = start(&routes(&[entry("/a")], OWN));
    let served = |path: &str| {
        assert_eq!(send(gate.port, &format!("GET {path} HTTP/1.1"), b"").status(), 200);
        origin.last().target().to_owned()
    };
    assert_eq!((served("/a").as_str(), served("/b").as_str()), ("/of-the-file", "/made"));
    wait_until("it is said", || gate.log().contains("it is not served"));
    let problems = || listed(&gate).iter().filter(|entry| entry["problem"].is_string()).count();
    assert_eq!(problems(), 1);
    fs::write(gate.folder().join("config.yaml"), routes(&[entry("/b")], OWN)).expect("write");
    let said = done(&gate, "/config/reload", Some(json!({})));
    assert!(said["warnings"].to_string().contains("it is not served"), "{said}");
    assert_eq!((served("/a").as_str(), served("/b").as_str()), ("/made", "/of-the-file"));
    // Routes of the API do not make a file that says nothing one that says something: the master key would be gone.
    made(&gate, &json!({"path": "/public", "target": "https://1.1.1.1/", "auth": false}));
    fs::write(gate.folder().join("config.yaml"), "").expect("write");
    refused(&gate, "/config/reload", json!({}), 400, "the file says nothing");
    // A change by the API puts no text in force that nobody has reloaded.
    fs::write(gate.folder().join("config.yaml"), "general_settings: [").expect("write");
    made(&gate, &json!({"path": "/c", "target": origin.url("/made"), "auth": false}));
    assert_eq!(served("/c"), "/made");
}

#[test]
fn a_file_that_is_called_like_an_entry_is_none() {
    let origin = Origin::plain();
    let folder = folder();
    let start = |config: &str| {
        fs::write(folder.join("entry one"), config).expect("write");
        let mut command = command();
        command.current_dir(&folder).args(["--port", "0"]).env("CONFIG_FILE_PATH", "entry one");
        command.env("STATE_DIRECTORY", folder.join("state"));
        command
    };
    let config = routes(&[format!("{{path: /a, target: '{}'}}", origin.url("/"))], OWN);
    let gate = Gate::launch_as(start(&config), folder.clone());
    made(&gate, &json!({"path": "/b", "target": origin.url("/"), "auth": false}));
    fs::write(folder.join("entry one"), config.replace("path: /a", "path: /key")).expect("write");
    refused(&gate, "/config/reload", json!({}), 400, "belongs to Tollgate itself");
    assert_eq!(send(gate.port, "GET /b HTTP/1.1", b"").status(), 200);
}
