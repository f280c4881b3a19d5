//! `tollgate key` on the store of a running server: what it changes counts there within a second.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::keys::{done, gate, make, sha256, status};
use crate::support::gate::command;
use crate::support::{Gate, Origin};

/// Runs the command in the gate's state folder.
fn tollgate(gate: &Gate, arguments: &[&str]) -> Output {
    let state = gate.folder().join("state");
    command().arg("key").args(arguments).env("STATE_DIRECTORY", state).output().expect("the binary runs")
}

/// What it prints, when it does what it is told.
fn told(gate: &Gate, arguments: &[&str]) -> String {
    let output = tollgate(gate, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Waits until `what` is so, and no longer than the second within which a change must count, with time for a busy machine.
fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(3), "{what}: not within a second");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_running_server_sees_what_the_command_line_does() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    let printed = told(
        &gate,
        &["generate", "--key-alias", "ci", "--rpm_limit=100000", "--models", "a,b", "--metadata", r#"{"x":1}"#],
    );
    let key = printed.trim_end();
    assert!(key.starts_with("sk-") && printed == format!("{key}\n"), "the key alone: {printed}");
    soon("it opens the route", || status(&gate, "/m/a/run", key) == 200);
    assert_eq!(status(&gate, "/m/c/run", key), 403);
    assert_eq!(done(&gate, "/key/list?key_alias=ci", None)["total_count"], 1);
    told(&gate, &["update", "ci", "--models", "", "--duration", "1h"]);
    soon("it opens more", || status(&gate, "/m/c/run", key) == 200);
    for (verb, expected) in [("block", 401), ("unblock", 200)] {
        told(&gate, &[verb, &sha256(key)]);
        soon(verb, || status(&gate, "/a", key) == expected);
    }
    let next = told(&gate, &["regenerate", "ci"]);
    soon("the next opens it", || status(&gate, "/a", next.trim_end()) == 200);
    assert_eq!(status(&gate, "/a", key), 401);
    let (made, _) = make(&gate, json!({"key_alias": "by the server"}));
    let listed = told(&gate, &["list"]);
    assert!(listed.contains("by the server") && listed.lines().count() == 3, "{listed}");
    assert!(!listed.contains(&made));
    let listed: serde_json::Value = serde_json::from_str(&told(&gate, &["list", "--json"])).expect("JSON");
    assert_eq!(listed.as_array().expect("keys").len(), 2);
    let shown: serde_json::Value = serde_json::from_str(&told(&gate, &["info", "ci"])).expect("JSON");
    assert_eq!((&shown["rpm_limit"], &shown["created_by"]), (&json!(100_000), &json!("command line")));
    told(&gate, &["delete", "ci", &made]);
    soon("they are gone", || [next.trim_end(), &made].iter().all(|key| status(&gate, "/a", key) == 401));
}

#[test]
fn what_cannot_be_done_is_said() {
    let origin = Origin::plain();
    let gate = gate(&origin, "");
    for (arguments, code, expected) in [
        (&["info", "nobody"][..], 1, "there is no such key"),
        (&["block", "nobody"], 1, "there is no such key"),
        (&["generate", "--key", "short"], 1, "A key begins with sk-"),
        (&["generate", "--team_id", "none"], 1, "no such team"),
        (&["generate", "--metadata", "{"], 1, "--metadata: write JSON"),
        (&["generate", "--duration", "soon"], 1, "`duration` must be"),
        (&["generate", "--key_type", "owner"], 1, "`key_type` must be"),
        (&["generate", "--rpm_limit", "many"], 2, "invalid value"),
        (&["delete"], 2, "<KEY>"),
    ] {
        let output = tollgate(&gate, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
    let nowhere = command().args(["key", "list"]).output().expect("the binary runs");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("set --state-dir or tollgate.store"));
    let absent = tollgate(&gate, &["list", "--state-dir", "/nonexistent/tollgate"]);
    assert!(String::from_utf8_lossy(&absent.stderr).contains("there is no /nonexistent/tollgate/tollgate.db yet"));
}
