//! h2load: HTTP/2 over TLS, many streams on few connections.
//!
//! Law: h2load's own counts, of answers with a 2xx; a failed, broken or late one voids the load, and so do bodies that
//! are together shorter than the answers they should be, or a protocol other than HTTP/2.
//!
//! Not here, on purpose: HTTP/2 without TLS, pushes, priorities, windows other than h2load's wide ones.

use std::path::PathBuf;
use std::process::Command;

use super::load::{ANSWER, Done, PATH, QUESTION, generate, on_path};
use super::process::Scratch;

/// Connections and streams on each: together as many requests at once as wrk makes.
const SHAPE: [&str; 3] = ["-t1", "-c4", "-m8"];

/// h2load and the body it sends.
pub(crate) struct H2load {
    program: PathBuf,
    question: PathBuf,
}

impl H2load {
    pub(crate) fn new(scratch: &Scratch) -> Result<H2load, String> {
        Ok(H2load { program: on_path("h2load")?, question: scratch.write("question.json", QUESTION)? })
    }

    /// Loads `https://127.0.0.1:PORT`.
    pub(crate) fn load(&self, base: &str, seconds: u32) -> Result<Done, String> {
        let mut command = Command::new(&self.program);
        command.args(SHAPE).arg(format!("-D{seconds}s")).arg("-d").arg(&self.question);
        command.args(["-H", "content-type: application/json"]).arg(format!("{base}{PATH}"));
        let text = generate(&mut command)?;
        parse(&text, seconds).map_err(|why| format!("h2load on {base}: {why}"))
    }
}

fn parse(text: &str, seconds: u32) -> Result<Done, String> {
    if !text.contains("Application protocol: h2\n") {
        return Err(format!("no HTTP/2: {text}"));
    }
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.ok_or_else(|| format!("no {name} in: {text}"))
    };
    let requests = line("requests")?;
    let number = |kind: &str| count(requests, kind).ok_or_else(|| format!("no {kind} in: {requests}"));
    let done = number("done")?;
    let statuses = line("status codes")?;
    let wrong = number("failed")? + number("errored")? + number("timeout")?;
    if done == 0 || wrong != 0 || count(statuses, "2xx") != Some(done) {
        return Err(format!("errors in the load, which voids it: {requests}; {statuses}"));
    }
    // `14.46MB (15157871) total, 7.78MB (8161832) headers (..), 1.75MB (1832248) data`
    let traffic = line("traffic")?;
    let data = traffic.strip_suffix(") data").and_then(|head| head.rsplit_once('(')?.1.parse::<u64>().ok());
    let data = data.ok_or_else(|| format!("no data in: {traffic}"))?;
    if data < done * ANSWER.len() as u64 {
        return Err(format!("{done} answers in {data} bytes: they were cut"));
    }
    let requests = u32::try_from(done).map_err(|e| format!("{done} requests: {e}"))?;
    Ok(Done { requests, seconds: f64::from(seconds) })
}

/// The number before `kind` in `1 total, 2 started, 3 done`.
fn count(line: &str, kind: &str) -> Option<u64> {
    line.split(", ").find_map(|part| part.strip_suffix(kind)?.strip_suffix(' ')?.parse().ok())
}
