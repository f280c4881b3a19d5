//! A store that fails: a full disk, a file that may not be written, that is damaged, or whose salt is another.
//!
//! The law: keys that are known are served, a change that cannot be written is 503 and leaves nothing behind, and it passes by
//! itself. A store that cannot be read stops the start by name.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;

use crate::keys::{call, config, done, make, sha256, status};
use crate::store::{State, kill, refused, total};
use crate::support::gate::{KEY, command, folder, routes};
use crate::support::{Gate, Origin, wait_until};

/// Whether a program may have mounts of its own here; in most containers it may not.
fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/tmp"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("no mounts of its own on this machine: only the limit and the mode stand for the disk");
    }
    may
}

/// A process in a mount namespace of its own, where `mount` has been run.
fn mounted(state: &State, origin: &Origin, mount: &str) -> Gate {
    fs::create_dir_all(state.folder()).expect("folder");
    let script = format!("S='{}'; {mount} && exec \"$@\"", state.folder().display());
    state.gate_through(origin, &["unshare", "-rm", "sh", "-c", &script, "sh"])
}

/// The state folder as that process sees it.
fn inside(gate: &Gate, state: &State) -> PathBuf {
    format!("/proc/{}/root{}", gate.child.id(), state.folder().display()).into()
}

/// Lets a process write files of any size again.
fn unlimited(gate: &Gate) {
    let pid = gate.child.id().to_string();
    let raised = Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &pid]).status();
    assert!(raised.expect("prlimit").success());
}

/// Makes keys until no more can be made; how many could.
fn fill(gate: &Gate, why: &str) -> usize {
    let large = json!({"metadata": {"x": "y".repeat(20_000)}});
    for made in 0..200 {
        let answer = call(gate, KEY, "/key/generate", Some(large.clone()));
        if answer.status() != 200 {
            assert_eq!(answer.status(), 503, "{}", answer.text());
            assert!(answer.text().contains(&format!("The key store cannot do this: {why}")), "{}", answer.text());
            return made;
        }
    }
    panic!("the disk is never full");
}

/// A gate whose disk fills up, and `more` disk later.
fn filled(gate: &Gate, why: &str, more: impl FnOnce(&Gate)) {
    let (key, _) = make(gate, json!({"key_alias": "first"}));
    let made = fill(gate, why);
    assert!(made > 0);
    assert_eq!(status(gate, "/a", &key), 200);
    // A change that is smaller may still find room; what is refused is not there.
    let before = total(gate);
    assert_eq!(before, 1 + made);
    fill(gate, why);
    let full = total(gate);
    more(gate);
    let (after, _) = make(gate, json!({}));
    assert_eq!((status(gate, "/a", &after), status(gate, "/a", &key)), (200, 200));
    assert_eq!(total(gate).as_u64(), full.as_u64().map(|full| full + 1));
}

#[test]
fn a_file_that_may_not_grow_is_said_and_passes() {
    let (origin, state) = (Origin::plain(), State::new());
    // In blocks of 512 bytes; the soft limit alone, so that it can be taken away.
    let gate = state.gate_through(&origin, &["sh", "-c", "trap '' XFSZ; ulimit -S -f 1024; exec \"$@\"", "sh"]);
    filled(&gate, "the disk does not do what it should", unlimited);
    let full = total(&gate);
    kill(gate);
    assert_eq!(total(&state.gate(&origin)), full);
}

#[test]
fn a_full_disk_is_said_and_passes() {
    if !may_mount() {
        return;
    }
    let (origin, state) = (Origin::plain(), State::new());
    let gate = mounted(&state, &origin, "mount -t tmpfs -o size=640k none \"$S\"");
    let ballast = inside(&gate, &state).join("ballast");
    fs::write(&ballast, vec![0; 200 << 10]).expect("ballast");
    filled(&gate, "the disk is full", |_| fs::remove_file(&ballast).expect("room"));
}

#[test]
fn a_start_on_a_full_disk_serves_what_is_there() {
    // A limit on files is no stand-in here: so small a one also stops the file in memory that root certificates are in.
    if !may_mount() {
        return;
    }
    let origin = Origin::plain();
    let (state, key) = left(&origin, true);
    let mount = "cp -r \"$S\" \"$S\".copy && mount -t tmpfs -o size=1m none \"$S\" && cp \"$S\".copy/tollgate.* \"$S\" \
                 && { cat /dev/zero >\"$S\"/ballast 2>/dev/null; true; }";
    let gate = mounted(&state, &origin, mount);
    assert_eq!((status(&gate, "/a", &key), total(&gate)), (200, json!(1)));
    refused(&gate, "x", "The key store cannot do this: ");
    fs::remove_file(inside(&gate, &state).join("ballast")).expect("room");
    let (new, _) = make(&gate, json!({}));
    assert_eq!((status(&gate, "/a", &new), total(&gate)), (200, json!(2)));
}

/// A store with a key in it, after an orderly end or a kill.
fn left(origin: &Origin, orderly: bool) -> (State, String) {
    let state = State::new();
    let mut gate = state.gate(origin);
    let (key, _) = make(&gate, json!({"key_alias": "left"}));
    let (gone, _) = make(&gate, json!({"key_alias": "gone"}));
    done(&gate, "/key/delete", Some(json!({ "keys": [gone] })));
    if orderly {
        gate.signal("TERM");
        assert!(gate.ended().success());
        // Whoever closes the file last tidies up, and leaves the one file alone.
        state.open().query_row("SELECT count(*) FROM keys", [], |_| Ok(())).expect("read");
    } else {
        kill(gate);
    }
    assert_eq!(state.folder().join("tollgate.db-wal").exists(), !orderly);
    (state, key)
}

fn only_reads(gate: &Gate, key: &str) {
    assert_eq!(status(gate, "/a", key), 200);
    assert_eq!(total(gate), 1, "what was deleted is gone");
    refused(gate, "x", "it may not be written");
    assert_eq!(total(gate), 1);
}

#[test]
fn a_store_on_a_disk_that_may_not_be_written_serves_its_keys() {
    if !may_mount() {
        return;
    }
    let origin = Origin::plain();
    for orderly in [true, false] {
        let (state, key) = left(&origin, orderly);
        let gate = mounted(&state, &origin, "mount --bind \"$S\" \"$S\" && mount -o remount,bind,ro \"$S\"");
        only_reads(&gate, &key);
        // Who may write on the same folder is heard of.
        let writer = state.gate(&origin);
        let (new, _) = make(&writer, json!({}));
        wait_until("the other process knows", || status(&gate, "/a", &new) == 200);
        done(&writer, "/key/delete", Some(json!({ "keys": [key] })));
        wait_until("the other process knows", || status(&gate, "/a", &key) == 401);
    }
}

#[test]
fn a_file_that_may_not_be_written_serves_its_keys() {
    let origin = Origin::plain();
    for orderly in [true, false] {
        let (state, key) = left(&origin, orderly);
        let mode = |folder: u32, file: u32| {
            for entry in fs::read_dir(state.folder()).expect("folder") {
                fs::set_permissions(entry.expect("entry").path(), Permissions::from_mode(file)).expect("mode");
            }
            fs::set_permissions(state.folder(), Permissions::from_mode(folder)).expect("mode");
        };
        mode(0o500, 0o400);
        // Modes mean nothing to root, unless it gives up its capabilities.
        let root = fs::metadata("/proc/self").expect("metadata").uid() == 0;
        let wrapper: &[&str] = if root { &["setpriv", "--bounding-set=-all", "--inh-caps=-all"] } else { &[] };
        let gate = state.gate_through(&origin, wrapper);
        only_reads(&gate, &key);
        // Once it may be written, it is.
        mode(0o700, 0o600);
        let (new, _) = make(&gate, json!({}));
        assert_eq!(status(&gate, "/a", &new), 200);
    }
}

/// A start that must fail, and what it says.
fn fails(state: &State, origin: &Origin, variables: &[(&str, &str)]) -> String {
    let folder = folder();
    fs::write(folder.join("config.yaml"), config(origin, "")).expect("config");
    let output: Output = command()
        .args(["--port", "0", "--config"])
        .arg(folder.join("config.yaml"))
        .env("STATE_DIRECTORY", state.folder())
        .envs(variables.iter().copied())
        .output()
        .expect("the binary starts");
    fs::remove_dir_all(folder).expect("remove");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&state.file().display().to_string()), "{said}");
    said
}

/// Overwrites the file from `start` on.
fn damage(path: &Path, start: u64) {
    let mut file = OpenOptions::new().write(true).open(path).expect("open");
    let length = file.metadata().expect("metadata").len();
    file.seek(SeekFrom::Start(start)).expect("seek");
    let garbage = (start..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 7) as u8).collect::<Vec<u8>>();
    file.write_all(&garbage).expect("write");
}

#[test]
fn a_damaged_store_serves_what_is_known_and_starts_nothing() {
    let origin = Origin::plain();
    for start in [0, 4096] {
        let state = State::new();
        let gate = state.gate(&origin);
        let (key, _) = make(&gate, json!({}));
        for _ in 0..20 {
            make(&gate, json!({"metadata": {"x": "y".repeat(3000)}}));
        }
        // Until then the file itself holds little, and is not looked into.
        state.open().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoint");
        damage(&state.file(), start);
        wait_until("it is seen", || gate.log().contains("the key store cannot be read"));
        refused(&gate, "x", "it is damaged");
        assert_eq!((status(&gate, "/a", &key), total(&gate)), (200, json!(21)));
        done(&gate, &format!("/key/info?key={key}"), None);
        kill(gate);
        let said = fails(&state, &origin, &[]);
        assert!(said.contains("it is damaged"), "{said}");
    }
}

#[test]
fn a_record_that_is_none_stops_the_start() {
    let (origin, state) = (Origin::plain(), State::new());
    let gate = state.gate(&origin);
    make(&gate, json!({}));
    kill(gate);
    state.open().execute("UPDATE keys SET record = 'none'", []).expect("update");
    let said = fails(&state, &origin, &[]);
    assert!(said.contains("it is damaged"), "{said}");
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let (origin, state) = (Origin::plain(), State::new());
    fs::create_dir_all(state.folder()).expect("folder");
    let text = "dear diary, ".repeat(1000);
    fs::write(state.file(), &text).expect("write");
    let said = fails(&state, &origin, &[]);
    assert!(said.contains("no SQLite database"), "{said}");
    assert_eq!(fs::read_to_string(state.file()).expect("read"), text);
}

#[test]
fn another_salt_stops_the_start() {
    let (origin, state) = (Origin::plain(), State::new());
    const SALT: &str = "a-salt-of-somebody-elses-0123";
    let gate = state.gate(&origin);
    let (key, _) = make(&gate, json!({}));
    kill(gate);
    let said = fails(&state, &origin, &[("LITELLM_SALT_KEY", SALT)]);
    assert!(said.contains("LITELLM_SALT_KEY") && !said.contains(SALT), "{said}");
    let salt = state.folder().join("tollgate.salt");
    let bytes = fs::read(&salt).expect("salt");
    fs::write(&salt, [7; 32]).expect("write");
    fails(&state, &origin, &[]);
    fs::write(&salt, [7; 3]).expect("write");
    fails(&state, &origin, &[]);
    fs::remove_file(&salt).expect("remove");
    let said = fails(&state, &origin, &[]);
    assert!(said.contains("tollgate.salt"), "{said}");
    assert!(!salt.exists(), "none is made for keys that have one");
    fs::write(&salt, bytes).expect("write");
    assert_eq!(status(&state.gate(&origin), "/a", &key), 200);
}

#[test]
fn a_store_that_is_taken_away_or_replaced_is_said() {
    let (origin, state) = (Origin::plain(), State::new());
    let gate = state.gate(&origin);
    let (key, _) = make(&gate, json!({}));
    let away = state.folder().with_extension("away");
    fs::rename(state.folder(), &away).expect("rename");
    let answer = call(&gate, KEY, "/key/generate", Some(json!({})));
    assert_eq!(answer.status(), 503, "what is written to a file without a name is lost: {}", answer.text());
    assert_eq!((status(&gate, "/a", &key), total(&gate)), (200, json!(1)));
    assert!(!state.file().exists(), "none is made in its place");
    let other = state.gate(&origin);
    refused(&gate, "x", "another file has taken its place");
    assert_eq!((status(&gate, "/a", &key), total(&gate), total(&other)), (200, json!(1), json!(0)));
    drop(other);
    fs::remove_dir_all(state.folder()).expect("remove");
    fs::rename(&away, state.folder()).expect("rename");
    make(&gate, json!({}));
    assert_eq!(total(&gate), 2);
}

#[test]
fn a_new_store_is_its_owners_alone() {
    let (origin, state) = (Origin::plain(), State::new());
    let script = "umask 0; exec \"$@\"";
    let gate = state.gate_through(&origin, &["sh", "-c", script, "sh"]);
    make(&gate, json!({}));
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o7777;
    assert_eq!(mode(&state.folder()), 0o700);
    let files: Vec<_> =
        fs::read_dir(state.folder()).expect("folder").map(|entry| entry.expect("entry").path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for path in files {
        let expected = if path.ends_with("history") { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

#[test]
fn without_a_folder_for_state_keys_of_the_config_are_served() {
    let origin = Origin::plain();
    let key = "sk-config-key-0123456789";
    let entry = format!("{{path: /a, target: '{}', auth: true}}", origin.url("/a"));
    let config = routes(&[entry], &format!("tollgate: {{keys: [{{hash: '{}'}}]}}", sha256(key)));
    let start = |wrapper: &[&str]| {
        let mut command = crate::support::gate::command_through(wrapper);
        command.args(["--port", "0"]);
        let gate = Gate::launch(&config, command, folder());
        assert_eq!((status(&gate, "/a", key), status(&gate, "/a", KEY)), (200, 200));
        assert_eq!(status(&gate, "/a", "sk-nobody-knows-this-0123"), 401);
        assert_eq!(total(&gate), 1);
        refused(&gate, "x", "set --state-dir or tollgate.store");
    };
    start(&[]);
    if may_mount() {
        // The root's own mount; what is mounted below is nothing that a process without a folder would write to.
        start(&["unshare", "-rm", "sh", "-c", "mount -o remount,bind,ro / && test ! -w / && exec \"$@\"", "sh"]);
    }
}
