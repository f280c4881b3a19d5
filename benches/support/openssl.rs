//! `openssl s_time`: a new TLS connection for every request, one after the other.
//!
//! Law: each handshake is a whole one, no session is resumed, and each connection brought at least the answer. openssl
//! looks at no status, but nothing else that a server here says is as long.
//!
//! Not here, on purpose: resumption, and connections at once. CPU per connection does not need them.

use std::path::PathBuf;
use std::process::Command;

use super::load::{ANSWER, Done, PATH, generate, on_path};

/// openssl.
pub(crate) struct Openssl(PathBuf);

impl Openssl {
    pub(crate) fn new() -> Result<Openssl, String> {
        Ok(Openssl(on_path("openssl")?))
    }

    /// Asks on `https://127.0.0.1:PORT`: what is counted are connections.
    pub(crate) fn load(&self, base: &str, seconds: u32) -> Result<Done, String> {
        let address = base.trim_start_matches("https://");
        let mut command = Command::new(&self.0);
        command.args(["s_time", "-new", "-connect", address, "-www", PATH, "-time", &seconds.to_string()]);
        parse(&generate(&mut command)?)
            .ok_or_else(|| format!("openssl on {base}: connections without an answer, or none"))
    }
}

/// `2910 connections in 3 real seconds, 404 bytes read per connection`
fn parse(text: &str) -> Option<Done> {
    let line = text.lines().find(|line| line.contains(" real seconds, "))?;
    let (connections, rest) = line.split_once(" connections in ")?;
    let (seconds, rest) = rest.split_once(" real seconds, ")?;
    let bytes: usize = rest.strip_suffix(" bytes read per connection")?.parse().ok()?;
    let done = Done { requests: connections.parse().ok()?, seconds: seconds.parse().ok()? };
    (bytes > ANSWER.len() && done.requests > 0).then_some(done)
}
