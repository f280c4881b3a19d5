//! One store and several who use it: two processes that share a state folder, another that locks it; and what stands in it.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::keys::{call, config, done, make, sha256, status};
use crate::support::gate::{KEY, SECRET, command_through, folder};
use crate::support::{Gate, Origin, wait_until};

/// What is said to hold within a second. A request and a reading of the clock on a busy machine come on top of it.
const SOON: Duration = Duration::from_millis(1500);

/// A state folder that outlives the processes that use it.
pub struct State {
    whole: PathBuf,
}

impl State {
    /// One that is not there yet.
    pub fn new() -> Self {
        Self { whole: folder() }
    }

    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.whole.join("state")
    }

    /// The file of the keys.
    pub fn file(&self) -> PathBuf {
        self.folder().join("tollgate.db")
    }

    /// A process that uses it.
    pub fn gate(&self, origin: &Origin) -> Gate {
        self.gate_through(origin, &[])
    }

    /// One that is started by `wrapper`.
    pub fn gate_through(&self, origin: &Origin, wrapper: &[&str]) -> Gate {
        let mut command = command_through(wrapper);
        command.args(["--port", "0"]).env("STATE_DIRECTORY", self.folder());
        Gate::launch(&config(origin, ""), command, folder())
    }

    /// The file, as any other program opens it.
    pub fn open(&self) -> Connection {
        let open = Connection::open(self.file()).expect("open");
        open.busy_timeout(Duration::from_secs(10)).expect("timeout");
        open
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.whole);
    }
}

/// Kills the process without a word.
pub fn kill(mut gate: Gate) {
    gate.child.kill().expect("kill");
    gate.child.wait().expect("wait");
}

/// Two processes that are started at once on one folder, which is empty.
fn pair(state: &State, origin: &Origin) -> [Gate; 2] {
    thread::scope(|scope| {
        let starting = [(); 2].map(|()| scope.spawn(|| state.gate(origin)));
        starting.map(|gate| gate.join().expect("it starts"))
    })
}

#[test]
fn processes_that_start_at_once_share_one_new_store() {
    let origin = Origin::plain();
    for _ in 0..5 {
        let state = State::new();
        let gates = thread::scope(|scope| {
            let starting = [(); 4].map(|()| scope.spawn(|| state.gate(&origin)));
            starting.map(|gate| gate.join().expect("it starts"))
        });
        let keys = gates.each_ref().map(|gate| make(gate, json!({})).0);
        for gate in &gates {
            wait_until("every key is known", || keys.iter().all(|key| status(gate, "/a", key) == 200));
        }
    }
}

#[test]
fn what_one_process_changes_counts_in_the_other() {
    let (origin, state) = (Origin::plain(), State::new());
    let gates = pair(&state, &origin);
    for (one, other) in [(&gates[0], &gates[1]), (&gates[1], &gates[0])] {
        let key = format!("sk-shared-{:016}", one.port);
        assert_eq!(status(other, "/a", &key), 401, "it is tried before it exists");
        for (path, body, expected) in [
            ("/key/generate", json!({ "key": key }), 200),
            ("/key/update", json!({"key": key, "rpm_limit": 0}), 429),
            ("/key/update", json!({"key": key, "rpm_limit": null}), 200),
            ("/key/block", json!({ "key": key }), 401),
            ("/key/unblock", json!({ "key": key }), 200),
            ("/key/delete", json!({ "keys": [key] }), 401),
        ] {
            done(one, path, Some(body.clone()));
            let since = Instant::now();
            assert_eq!(status(one, "/a", &key), expected, "{path} {body}: at once where it was asked");
            // The time of a request that was begun too early is not the other process's.
            let mut begun = Instant::now();
            wait_until("the other process knows", || {
                begun = Instant::now();
                assert!(begun - since < SOON, "{path} {body}: not yet\n{}\n{}", one.log(), other.log());
                status(other, "/a", &key) == expected
            });
        }
    }
}

#[test]
fn nothing_is_lost_where_two_processes_write_at_once() {
    const ROUNDS: usize = 12;
    const FIELDS: [&str; 4] = ["user_id", "tags", "models", "rpm_limit"];
    let values = || [json!("u"), json!(["t"]), json!(["m"]), json!(1000)];
    let (origin, state) = (Origin::plain(), State::new());
    let gates = pair(&state, &origin);
    let (shared, _) = make(&gates[0], json!({"key_alias": "shared"}));
    wait_until("both know it", || status(&gates[1], "/a", &shared) == 200);
    let said: Vec<Vec<u16>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (gate, shared) = (&gates[worker % 2], &shared);
                scope.spawn(move || {
                    let raced = |round: usize| {
                        make(gate, json!({"key_alias": format!("own {worker} {round}")}));
                        let mut update = json!({ "key": shared });
                        update[FIELDS[worker]] = values()[worker].clone();
                        done(gate, "/key/update", Some(update));
                        let alias = json!({"key_alias": format!("raced {round}")});
                        call(gate, KEY, "/key/generate", Some(alias)).status()
                    };
                    (0..ROUNDS).map(raced).collect::<Vec<u16>>()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("worker")).collect()
    });
    for round in 0..ROUNDS {
        let mut statuses: Vec<u16> = said.iter().map(|statuses| statuses[round]).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400, 400, 400], "an alias is given once");
    }
    let all = 1 + 4 * ROUNDS + ROUNDS;
    for gate in &gates {
        wait_until("every key is known", || done(gate, "/key/list", None)["total_count"] == all);
        let info = done(gate, "/key/list?return_full_object=true&key_alias=shared", None)["keys"][0].clone();
        assert_eq!(FIELDS.map(|field| info[field].clone()), values(), "no change undoes another");
    }
}

/// Makes a key that must be refused for the store's sake; how long that took.
pub fn refused(gate: &Gate, alias: &str, expected: &str) -> Duration {
    let begun = Instant::now();
    let answer = call(gate, KEY, "/key/generate", Some(json!({ "key_alias": alias })));
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert!(answer.text().contains(expected), "{}", answer.text());
    begun.elapsed()
}

/// How many keys there are, as the API says.
pub fn total(gate: &Gate) -> Value {
    done(gate, "/key/list", None)["total_count"].clone()
}

#[test]
fn behind_a_lock_keys_are_served_and_no_change_waits_for_ever() {
    let (origin, state) = (Origin::plain(), State::new());
    let gate = state.gate(&origin);
    let (key, _) = make(&gate, json!({"key_alias": "before"}));
    let holder = state.open();
    holder.execute_batch("BEGIN EXCLUSIVE").expect("lock");
    refused(&gate, "exclusive", "another process holds it");
    holder.execute_batch("ROLLBACK; BEGIN IMMEDIATE").expect("lock");
    thread::scope(|scope| {
        let burst: Vec<_> = (0..20)
            .map(|number| {
                scope.spawn({
                    let gate = &gate;
                    move || refused(gate, &format!("burst {number}"), "another process holds it")
                })
            })
            .collect();
        let late = scope.spawn(|| state.gate(&origin));
        assert_eq!(status(&gate, "/a", &key), 200);
        assert_eq!(total(&gate), 1);
        assert_eq!(done(&gate, &format!("/key/info?key={key}"), None)["info"]["key_alias"], "before");
        let late = late.join().expect("a process starts behind a lock");
        assert_eq!(status(&late, "/a", &key), 200);
        for one in burst {
            // Five seconds in the queue, and two at the lock; the rest is the machine's.
            let took = one.join().expect("a 503");
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    });
    holder.execute_batch("ROLLBACK").expect("unlock");
    let (after, _) = make(&gate, json!({"key_alias": "after"}));
    assert_eq!((status(&gate, "/a", &after), total(&gate)), (200, json!(2)));
    // Changes are made one after another, so one that was still on its way would stand before that.
    let written: i64 = holder.query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("count");
    assert_eq!(written, 2, "nothing is written of which it was said that it is not");
}

/// Every way in which something happens to a key; the keys that came up.
fn lives(gate: &Gate) -> Vec<String> {
    let mut keys = vec!["sk-brought-by-its-user-0123".to_owned(), "sk-nobody-knows-this-0123".to_owned()];
    let (brought, stranger) = (keys[0].clone(), keys[1].clone());
    make(gate, json!({"key": brought, "key_alias": "brought", "metadata": {"a": 1}}));
    let (old, _) = make(gate, json!({"rpm_limit": 9}));
    done(gate, "/key/update", Some(json!({"key": old, "key_alias": "old"})));
    let new = done(gate, &format!("/key/{old}/regenerate"), Some(json!({"grace_period": "1h"})))["key"].clone();
    let new = new.as_str().expect("key").to_owned();
    done(gate, "/key/block", Some(json!({ "key": sha256(&new) })));
    done(gate, "/key/unblock", Some(json!({ "key": new })));
    done(gate, "/key/delete", Some(json!({ "keys": [brought] })));
    let (manager, _) = make(gate, json!({"key_type": "management", "key_alias": "manager"}));
    let made = call(gate, &manager, "/key/generate", Some(json!({"key_type": "llm_api"})));
    assert_eq!(made.status(), 200, "{}", made.text());
    let made: Value = serde_json::from_slice(&made.body).expect("JSON");
    for (path, body) in [
        ("/key/update".to_owned(), json!({ "key": stranger })),
        (format!("/key/{stranger}/regenerate"), json!({})),
        (format!("/key/{}/regenerate", sha256(&stranger)), json!({})),
        ("/key/delete".into(), json!({ "keys": [stranger, sha256(&new)], stranger.as_str(): 1 })),
        ("/key/generate".into(), json!({ "key": KEY })),
        ("/key/generate".into(), json!({ "key": new })),
        ("/key/generate".into(), json!({"key": stranger, "tpm_limit": 1})),
    ] {
        assert!((400..500).contains(&call(gate, KEY, &path, Some(body)).status()), "{path}");
    }
    for path in [format!("/key/info?key={stranger}"), format!("/key/info?key={}", sha256(&new))] {
        call(gate, &new, &path, None);
    }
    for key in [&old, &new, &stranger] {
        status(gate, "/secret", key);
        status(gate, &format!("/a?api_key={key}"), key);
    }
    keys.extend([old, new, manager, made["key"].as_str().expect("key").to_owned()]);
    keys
}

#[test]
fn no_secret_stands_in_the_state_folder_or_the_log() {
    let (origin, state) = (Origin::plain(), State::new());
    let entry = format!(
        "    - {{path: /secret, target: '{}', auth: true, headers: {{X-Key: os.environ/PROVIDER_KEY}}}}\n",
        origin.url("/s")
    );
    let mut command = command_through(&[]);
    command.args(["--port", "0", "--debug"]).env("STATE_DIRECTORY", state.folder());
    let gate = Gate::launch(&(config(&origin, &entry)), command, folder());
    let keys = lives(&gate);
    assert!(origin.seen().iter().any(|request| request.one("x-key") == Some(SECRET)), "the provider's secret was used");
    wait_until("the calls are logged", || gate.log().contains("tpm_limit") || gate.log().matches("/key/").count() > 15);
    let log = gate.log();
    kill(gate);
    let mut needles: Vec<Vec<u8>> = vec![SECRET.into(), KEY.into(), sha256(KEY).into(), sha256(SECRET).into()];
    for key in &keys {
        use sha2::Digest;
        needles.extend([key.as_bytes().to_vec(), sha256(key).into(), sha2::Sha256::digest(key).to_vec()]);
    }
    let mut places = vec![("log".to_owned(), log.into_bytes())];
    let folders = [state.folder(), state.folder().join("history")];
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).expect("folder")) {
        let path = entry.expect("entry").path();
        if path.is_file() {
            places.push((path.display().to_string(), fs::read(&path).expect("bytes")));
        }
    }
    assert!(
        ["tollgate.db", "-wal", "-shm", ".salt", ".json"]
            .iter()
            .all(|end| places.iter().any(|(name, _)| name.ends_with(end)))
    );
    for (name, bytes) in &places {
        // The history is the text of the config, in which the master key stands.
        let is_text = |needle: &[u8]| name.contains("/history/") && needle == KEY.as_bytes();
        for needle in needles.iter().filter(|needle| !is_text(needle)) {
            let found = memchr::memmem::find(bytes, needle);
            assert!(found.is_none(), "{name} holds {}", String::from_utf8_lossy(needle));
        }
    }
    audited(&state.open());
}

/// Every change has its row: who, what, when, and of which key.
fn audited(store: &Connection) {
    let mut query = store.prepare("SELECT who, what, whom, at FROM audit ORDER BY version, rowid").expect("query");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).expect("rows");
    let rows: Vec<(String, String, String, i64)> = rows.map(|row| row.expect("row")).collect();
    let what: Vec<&str> = rows.iter().map(|(_, what, ..)| what.as_str()).collect();
    let expected = [
        "generate",
        "generate",
        "update",
        "regenerate",
        "regenerate",
        "block",
        "unblock",
        "delete",
        "generate",
        "generate",
    ];
    assert_eq!(what, expected.map(|call| format!("/key/{call}")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("time").as_millis() as i64;
    for (number, (who, _, whom, at)) in rows.iter().enumerate() {
        assert_eq!(who == "master", number < 9, "{who}");
        assert!(whom.len() == 64 && *at <= now && *at > now - 60_000, "{rows:?}");
    }
    assert_eq!(rows[0].2, rows[7].2, "the same key is called the same");
}
