//! wrk: HTTP/1.1 over TCP or TLS, on connections that are kept alive.
//!
//! Law: wrk's own counts (`done`), and one error of any kind voids the load. The answers' bodies are not looked at.
//!
//! Not here, on purpose: more than one thread, which was never the bottleneck, and pipelining.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::load::{Done, PATH, QUESTION, generate, on_path};
use super::process::Scratch;

/// Connections, all kept alive.
const CONNECTIONS: &str = "-c32";

/// wrk and its script.
pub(crate) struct Wrk {
    program: PathBuf,
    path: &'static str,
    script: PathBuf,
}

impl Wrk {
    /// `key`: what every request bears in `x-api-key`.
    pub(crate) fn new(scratch: &Scratch, key: Option<&str>) -> Result<Wrk, String> {
        Wrk::posting(scratch, key, PATH, QUESTION)
    }

    /// One that sends `body` to `path`.
    pub(crate) fn posting(scratch: &Scratch, key: Option<&str>, path: &'static str, body: &str) -> Result<Wrk, String> {
        let program = on_path("wrk")?;
        let key = key.map_or_else(String::new, |key| format!("wrk.headers[\"x-api-key\"] = \"{key}\""));
        // The summary goes out as one line of JSON after wrk's own report.
        let script = format!(
            r#"
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{key}
wrk.body = [==[{body}]==]
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{{"requests":%d,"microseconds":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout))
end
"#
        );
        let script = scratch.write(&format!("post{}.lua", path.replace('/', "-")), &script)?;
        Ok(Wrk { program, path, script })
    }

    /// Loads `http://127.0.0.1:PORT`, or `https:`, and refuses a result with errors.
    pub(crate) fn load(&self, base: &str, seconds: u32) -> Result<Done, String> {
        let mut command = Command::new(&self.program);
        command.args(["-t1", CONNECTIONS, &format!("-d{seconds}s"), "-s"]);
        command.arg(&self.script).arg(format!("{base}{}", self.path));
        parse(&generate(&mut command)?).map_err(|why| format!("wrk on {base}: {why}"))
    }
}

fn parse(text: &str) -> Result<Done, String> {
    let line = text.lines().rfind(|line| line.starts_with('{'));
    let line = line.ok_or("no summary")?;
    let summary: Value = serde_json::from_str(line).map_err(|e| format!("{line}: {e}"))?;
    let number = |key: &str| summary[key].as_u64().ok_or(format!("no {key} in {line}"));
    for key in ["connect", "read", "write", "status", "timeout"] {
        if number(key)? != 0 {
            return Err(format!("errors in the load, which voids it: {line}"));
        }
    }
    let requests = u32::try_from(number("requests")?).map_err(|e| format!("{line}: {e}"))?;
    if requests == 0 {
        return Err("not one request was answered".to_owned());
    }
    let seconds = Duration::from_micros(number("microseconds")?).as_secs_f64();
    Ok(Done { requests, seconds })
}
