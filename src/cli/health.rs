//! `tollgate health`: asks the Tollgate on this machine whether it is alive, for containers that have no other program to ask.
//!
//! The law: exit 0 after a 200, 1 after anything else, within a few seconds. It reads no config file.

use std::time::Duration;

use super::ask::{address, ask};
use super::output::complain;
use crate::config::Overrides;

/// How long each step may take; a container's health check gives the whole no more than a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks where `overrides` say that it listens, and returns the exit code. What is printed says why the answer is no.
pub(super) fn run(overrides: &Overrides) -> u8 {
    let address = match address(overrides) {
        Ok(address) => address,
        Err(text) => {
            complain(&format!("{text}\n"));
            return super::BAD_USAGE;
        }
    };
    let why = match ask(address, "GET /health/liveliness HTTP/1.1\r\n", "", PATIENCE) {
        Ok((200, _)) => return super::OK,
        Ok((other, _)) => format!("answers {other}"),
        Err(error) => error.to_string(),
    };
    complain(&format!("not healthy: {address}: {why}\n"));
    super::BAD_CONFIG
}
