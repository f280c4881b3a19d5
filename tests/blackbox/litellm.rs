//! What LiteLLM's own clients send to the key API: each request of `fixtures/litellm`, and what comes of it.
//!
//! The requests were recorded from LiteLLM's packages (`source` says how each); what must come of them is written by hand:
//! a status, and words that the message holds. The law: nothing that a client sends is passed over in silence. Before each request
//! the store is brought to the same state.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::keys::{done, gate, make, sha256};
use crate::support::gate::KEY;
use crate::support::{Gate, Origin, send};

/// Teams and keys that the requests name.
const TEAMS: &[&str] = &["t-1", "team123", "team-1234", "your_team_id_here", "8d916b1c-510d-4894-a334-1c16a93344f5"];
const KEYS: &[&str] = &[
    "sk-BBBBBBBBBBBBBBBBBBBBBB",
    "sk-CCCCCCCCCCCCCCCCCCCCCC",
    "sk-Fn8Ej39NxjAXrvpUGKghGw",
    "sk-QWrxEynunsNpV1zT48HIrw",
];
/// The digest by which the dashboard was made to name a key: it stands for the first's.
const DIGEST: &str = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b";
const ALIASES: &[&str] = &["alpha", "beta", "alias1", "alias2"];

/// The state that every request meets.
fn set_up(gate: &Gate) {
    loop {
        let keys = done(gate, "/key/list?size=100", None)["keys"].clone();
        if keys == json!([]) {
            break;
        }
        done(gate, "/key/delete", Some(json!({ "keys": keys })));
    }
    let teams = done(gate, "/team/list", None);
    let ids: Vec<&Value> = teams.as_array().expect("teams").iter().map(|team| &team["team_id"]).collect();
    if !ids.is_empty() {
        done(gate, "/team/delete", Some(json!({ "team_ids": ids })));
    }
    TEAMS.iter().for_each(|id| drop(done(gate, "/team/new", Some(json!({ "team_id": id })))));
    KEYS.iter().for_each(|key| drop(make(gate, json!({ "key": key }))));
    ALIASES.iter().for_each(|alias| drop(make(gate, json!({ "key_alias": alias }))));
}

#[test]
fn what_litellms_clients_send_is_done_or_refused_by_name() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let mut wrong = Vec::new();
    let mut count = 0;
    for name in ["python_client", "command_line", "request_models", "documented", "dashboard"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/litellm/{name}.json"));
        let requests: Vec<Value> = serde_json::from_slice(&fs::read(path).expect("file")).expect("JSON");
        for request in requests {
            set_up(&gate);
            count += 1;
            let text = |field: &str| request[field].as_str().expect("text");
            let named = |text: String| text.replace(DIGEST, &sha256(KEYS[0]));
            let target = match text("query") {
                "" => named(text("path").to_owned()),
                query => named(format!("{}?{query}", text("path"))),
            };
            let body = if request["body"].is_null() { String::new() } else { named(request["body"].to_string()) };
            let head = format!("{} {target} HTTP/1.1\nAuthorization: Bearer {KEY}", text("method"));
            let answer = send(gate.port, &head, body.as_bytes());
            let (status, says) = (answer.status(), answer.text());
            if request["status"] != status || !says.contains(text("says")) {
                wrong.push(format!("{}: {status} {}", text("name"), says.get(..200).unwrap_or(&says)));
            }
        }
    }
    assert!(count > 90, "{count} requests were found");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
