//! Another config for a running proxy.
//!
//! Law: every proxy is told in the same way, a changed file and then the signal that its manual names; and a reload is
//! done when a new connection is served by the new file, which the upstream says: the value of an injected header
//! changed. A proxy's own word for it is not asked for.
//!
//! Not here, on purpose: the connections that were open before. What becomes of them is what the bench counts.

use std::fs;

use super::load::{ask, header};
use super::process::Scratch;
use super::servers::{Kind, Server, wait};

/// The header that changes.
pub(crate) const MARK: &str = "X-Reload";

/// Its value after so many reloads.
pub(crate) fn mark(reloads: usize) -> String {
    format!("config-{reloads}")
}

/// The reload with this number, counted from one, of a server that was started with `Needs::marked`.
pub(crate) fn reload(kind: Kind, server: &mut Server, scratch: &Scratch, number: usize) -> Result<(), String> {
    let (file, signal) = match kind {
        Kind::Nginx => ("nginx.conf", "HUP"),
        Kind::Haproxy => ("haproxy.cfg", "USR2"),
        Kind::Tollgate => ("tollgate.yaml", "HUP"),
        Kind::Bare => return Err("bare Pingora has no config to reload".to_owned()),
    };
    let path = scratch.join(file);
    let old = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let new = old.replace(&mark(number - 1), &mark(number));
    if new == old {
        return Err(format!("{}: {} does not stand in it", path.display(), mark(number - 1)));
    }
    scratch.write(file, &new)?;
    server.process.signal(signal)?;
    let port = server.port;
    wait(server, || in_force(port, number)).map_err(|why| format!("reload {number}: {why}"))
}

/// An error unless a new connection is served by the config of that reload.
pub(crate) fn in_force(port: u16, number: usize) -> Result<(), String> {
    let head = ask(port)?;
    let (found, wanted) = (header(&head, MARK), mark(number));
    if found == Some(&wanted) { Ok(()) } else { Err(format!("{wanted} is not in force, but {found:?}")) }
}
