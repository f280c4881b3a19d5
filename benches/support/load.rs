//! The client side: one request by hand to see that a server is right, and what all load generators share.
//!
//! Law: only a load in which every request was answered as it should counts; one error voids it. Requests
//! are counted by the generator, not estimated from rate and time.
//!
//! Not here, on purpose: latencies. With client, proxy and upstream on the same few cores they tell about
//! the scheduler; CPU per request survives that.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What every server is asked for.
pub(crate) const PATH: &str = "/v1/rerank";

/// The request's body, the size of a short prompt.
pub(crate) const QUESTION: &str = r#"{"model":"rerank-v3.5","query":"What is the capital of the United States?","top_n":2,"documents":["Carson City, in Nevada.","Washington, D.C. is the capital."]}"#;
const _: () = assert!(QUESTION.len() == 160);

/// The upstream's answer, byte for byte, through whatever stands between.
pub(crate) const ANSWER: &str = r#"{"id":"07734bd2-2473-4f07-94e1-0d9f0e6843cf","results":[{"index":1,"relevance_score":0.9990564},{"index":0,"relevance_score":0.0578681}],"meta":{"api_version":{"version":"2","is_experimental":false},"billed_units":{"search_units":1}},"note":"fixed."}"#;
const _: () = assert!(ANSWER.len() == 250);

/// The request, whole. `more`: further lines of its head.
pub(crate) fn question(address: SocketAddr, more: &str) -> String {
    let length = QUESTION.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{more}\r\n{QUESTION}"
    )
}

/// One request on a connection of its own: the answer's head when status and body are the upstream's.
pub(crate) fn ask(port: u16) -> Result<String, String> {
    let answer = exchange(port).map_err(|e| format!("no answer: {e}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1);
    if status == Some("200") && body == ANSWER {
        return Ok(head.to_owned());
    }
    let first = head.lines().next().unwrap_or_default();
    Err(format!("answers `{first}` with {} bytes", body.len()))
}

fn exchange(port: u16) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let patience = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(question(address, "Connection: close\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The value of a header, whose name servers write as they like.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.trim()))
}

/// What one load came to.
pub(crate) struct Done {
    pub(crate) requests: u32,
    pub(crate) seconds: f64,
}

/// Runs a load generator to its end: what it said, when it is content.
pub(crate) fn generate(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended ({}): {} {}", output.status, said.trim(), why.trim()))
}

/// Where a program lies on PATH.
pub(crate) fn on_path(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| is_program(candidate))
        .ok_or_else(|| format!("{name} is not on PATH: `make bench` installs it first (scripts/setup.sh bench)"))
}

/// A file is enough: one that cannot be executed says so when it is started.
fn is_program(path: &Path) -> bool {
    path.is_file()
}
