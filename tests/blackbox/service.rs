//! A service of systemd, with stand-ins for what systemd gives: a socket for notices, a watchdog, a listening socket.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::keys::call;
use crate::support::gate::{KEY, folder, routes};
use crate::support::{Client, Gate, PATIENCE};

/// Waits for a notice that holds all of `parts`.
fn told(socket: &UnixDatagram, parts: &[&str]) -> String {
    let end = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    let mut notice = [0; 4096];
    while Instant::now() < end {
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("timeout");
        let Ok(length) = socket.recv(&mut notice) else { continue };
        let text = String::from_utf8_lossy(&notice[..length]).into_owned();
        if parts.iter().all(|part| text.contains(part)) {
            return text;
        }
        seen.push(text);
    }
    panic!("{parts:?} was not told: {seen:?}");
}

#[test]
fn systemd_is_told_of_start_reload_life_and_end() {
    let folder = folder();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).expect("bind");
    let variables = [("NOTIFY_SOCKET", path.to_str().expect("path")), ("WATCHDOG_USEC", "100000")];
    let mut gate = Gate::spawn(&routes(&[], ""), &["--port", "0"], &variables, folder);
    told(&socket, &["READY=1", "STATUS=serving, generation 1"]);
    for _ in 0..3 {
        told(&socket, &["WATCHDOG=1"]);
    }
    assert_eq!(call(&gate, KEY, "/config/reload", Some(json!({}))).status(), 200);
    told(&socket, &["RELOADING=1", "MONOTONIC_USEC="]);
    told(&socket, &["READY=1", "STATUS=reloaded: generation 2; nothing changed"]);
    std::fs::write(gate.folder().join("config.yaml"), "general_settings: [").expect("write");
    gate.signal("HUP");
    told(&socket, &["READY=1", "STATUS=not reloaded, generation 2 stays: "]);
    gate.signal("TERM");
    told(&socket, &["STOPPING=1", "STATUS=stopping: 0 requests"]);
    assert_eq!(gate.ended().code(), Some(0));
}

/// Starts on a socket that is bound and listening already, as the file descriptor 3.
fn started_on(listener: TcpListener, config: &str) -> std::process::Child {
    let folder = folder();
    let file = folder.join("config.yaml");
    std::fs::write(&file, config).expect("config");
    Command::new("sh")
        .args(["-c", r#"exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" </dev/null"#])
        .arg(env!("CARGO_BIN_EXE_tollgate"))
        .arg("--config")
        .arg(&file)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("STATE_DIRECTORY", folder.join("state"))
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sh starts")
}

#[test]
fn a_socket_that_was_handed_over_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    // Connected before there is anybody to answer.
    let mut early = Client::connect(port);
    early.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").expect("write");
    let config = routes(&[], &format!("tollgate: {{listen: ['127.0.0.1:{port}'], admin_listen: false}}"));
    let mut child = started_on(listener, &config);
    assert_eq!(early.answer("GET").expect("answer").status(), 200);
    child.kill().expect("kill");
    let _ = child.wait();
}

#[test]
fn a_socket_that_nobody_named_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    let config = routes(&[], "tollgate: {listen: ['127.0.0.1:0'], admin_listen: false}");
    let output = started_on(listener, &config).wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!("a socket was handed over for {address}, which tollgate.listen does not name")),
        "{said}"
    );
}
