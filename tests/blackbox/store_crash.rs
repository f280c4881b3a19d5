//! A process that is killed while it takes changes, at any moment: what was acknowledged holds, what was not is whole or not there.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::keys::{call, config};
use crate::store::{State, kill};
use crate::support::gate::{KEY, command, folder};
use crate::support::{Client, Gate, Origin, wait_until};

/// How often a process is killed; `make soak` asks for more.
fn rounds() -> usize {
    std::env::var("TOLLGATE_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

/// A number below `most` that nobody chose.
fn any(most: u64) -> u64 {
    RandomState::new().build_hasher().finish() % most
}

/// The life of two keys, `a` and `b`, step by step; the last step is taken by every other one alone.
fn steps(name: &str, deleted: bool) -> Vec<(&'static str, Value)> {
    let key = |letter: &str| format!("sk-{name}-{letter}-0123456789");
    let mut steps = vec![
        ("/key/generate", json!({"key": key("a"), "key_alias": format!("{name} a")})),
        ("/key/generate", json!({"key": key("b"), "key_alias": format!("{name} b")})),
        ("/key/update", json!({"key": key("a"), "user_id": "changed"})),
        // Two rows of one change: the new key comes and the old one goes.
        ("/key/regenerate", json!({"key": key("b"), "new_key": key("c")})),
    ];
    if deleted {
        steps.push(("/key/delete", json!({ "keys": [key("a"), key("c")] })));
    }
    steps
}

/// What is there after so many steps: `a` and its user, `b`, `c`.
const AFTER: [(Option<bool>, bool, bool); 6] = [
    (None, false, false),
    (Some(false), false, false),
    (Some(false), true, false),
    (Some(true), true, false),
    (Some(true), false, true),
    (None, false, false),
];

/// A life as its client knows it.
struct Life {
    name: String,
    acknowledged: usize,
    /// Whether one step more was asked for, and nothing said.
    open: bool,
}

/// Lives until the process is gone.
fn live(mut client: Client, thread: usize, count: &AtomicUsize) -> Vec<Life> {
    let mut lives = Vec::new();
    for number in 0.. {
        let name = format!("{thread}-{number}");
        lives.push(Life { name: name.clone(), acknowledged: 0, open: false });
        let life = lives.last_mut().expect("one");
        for (path, body) in steps(&name, number % 2 == 0) {
            let body = body.to_string();
            life.open = true;
            let asked = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let Ok(answer) = client.ask(asked) else { return lives };
            assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
            life.open = false;
            life.acknowledged += 1;
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
    lives
}

/// Whether what is there is what may be.
fn judge(gate: &Gate, life: &Life) {
    let info = |letter: &str| {
        let answer = call(gate, KEY, &format!("/key/info?key=sk-{}-{letter}-0123456789", life.name), None);
        assert!([200, 404].contains(&answer.status()), "{}", answer.text());
        (answer.status() == 200).then(|| serde_json::from_slice::<Value>(&answer.body).expect("JSON"))
    };
    let a = info("a").map(|info| info["info"]["user_id"] == "changed");
    let found = (a, info("b").is_some(), info("c").is_some());
    let may = &AFTER[life.acknowledged..=life.acknowledged + usize::from(life.open)];
    assert!(may.contains(&found), "{}: {found:?} is none of {may:?}", life.name);
}

/// A start that is killed on its way, on a folder that is not there yet.
fn killed_start(state: &State, origin: &Origin) {
    let folder = folder();
    std::fs::write(folder.join("config.yaml"), config(origin, "")).expect("config");
    let mut start = command()
        .args(["--port", "0", "--config"])
        .arg(folder.join("config.yaml"))
        .env("STATE_DIRECTORY", state.folder())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    // Any moment: this waits for none.
    thread::sleep(Duration::from_micros(any(60_000)));
    start.kill().expect("kill");
    start.wait().expect("wait");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn what_is_acknowledged_outlives_a_kill_at_any_moment() {
    let origin = Origin::plain();
    for _ in 0..rounds() {
        let state = State::new();
        killed_start(&state, &origin);
        let gate = state.gate(&origin);
        let (count, enough) = (AtomicUsize::new(0), 1 + any(150) as usize);
        let lives: Vec<Life> = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let (client, count) = (Client::connect(gate.port), &count);
                    scope.spawn(move || live(client, thread, count))
                })
                .collect();
            wait_until("changes are made", || count.load(Ordering::SeqCst) >= enough);
            thread::sleep(Duration::from_micros(any(3000)));
            kill(gate);
            threads.into_iter().flat_map(|thread| thread.join().expect("thread")).collect()
        });
        let gate = state.gate(&origin);
        let sound: String = state.open().query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("check");
        assert_eq!(sound, "ok");
        lives.iter().for_each(|life| judge(&gate, life));
    }
}
