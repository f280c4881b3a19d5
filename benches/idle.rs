//! `make bench`: what an idle client costs in memory. 5,000 connections, each has made one request and waits.
//!
//! Law: resident memory (`VmRSS`) of the proxy's process tree after it has settled, less what it was before the first
//! of them, divided by their number; everything that grew meanwhile counts, upstream connections too. One worker.
//! Exit 0: Tollgate needs at most `IDLE_LIMIT` KiB for each. Exit 1: more. Exit 2: no verdict, because something
//! failed, a connection was lost, or so many files cannot be open here.
//!
//! Not here, on purpose: TLS and HTTP/2 clients, what the kernel holds for a socket, a verdict over nginx and bare
//! Pingora, which are printed for information.
//!
//! Variables: `IDLE_CONNECTIONS` (5000), `IDLE_LIMIT` in KiB (20).

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use support::idle::{Idle, held};
use support::machine::{machine, open_files, setting};
use support::process::Scratch;
use support::servers::{Kind, Needs, Programs, Server, upstream};
use support::stats::asked_to_measure;

mod support;

/// Files that a process has open beside its clients.
const BESIDE: usize = 1024;

/// Memory has settled when it changes by less than this between two looks.
const STILL_KIB: u64 = 64;
const LOOK: Duration = Duration::from_secs(1);
/// The looks that are taken at most: still within the time that an idle connection is kept.
const LOOKS: usize = 15;

/// What one proxy needed.
struct Figure {
    name: &'static str,
    before: u64,
    after: u64,
    upstream: usize,
    /// KiB for each connection.
    each: f64,
}

fn main() -> ExitCode {
    if !asked_to_measure("idle") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("idle: no verdict: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether Tollgate is within its limit.
fn run() -> Result<bool, String> {
    let clients: usize = setting("IDLE_CONNECTIONS", 5_000)?;
    let limit: f64 = setting("IDLE_LIMIT", 20.0)?;
    if clients == 0 || limit <= 0.0 {
        return Err("IDLE_CONNECTIONS and IDLE_LIMIT must be above zero".to_owned());
    }
    open_files(clients + BESIDE)?;
    let programs = Programs::find()?;
    let machine = machine();
    let scratch = Scratch::new("idle").map_err(|e| format!("no temporary directory: {e}"))?;
    let origin = upstream(&programs, &scratch)?;
    let figure = |kind| figure(kind, clients, &programs, &scratch, origin.port);
    let figures = [figure(Kind::Nginx)?, figure(Kind::Bare)?, figure(Kind::Tollgate)?];
    println!("{machine}");
    println!("{clients} connections, one POST each, then silence\n");
    println!("proxy      KiB/connection  VmRSS before    after  upstream connections held");
    for Figure { name, before, after, upstream, each } in &figures {
        println!("{name:<10} {each:>14.2} {before:>13} {after:>8} {upstream:>26}");
    }
    let [_, _, ours] = figures;
    let within = ours.each <= limit;
    let verdict = if within { "within the limit" } else { "OVER THE LIMIT" };
    println!("\ntollgate {:.2} KiB for each idle connection, limit {limit:.2}: {verdict}", ours.each);
    Ok(within)
}

fn figure(kind: Kind, clients: usize, programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Figure, String> {
    let needs = Needs { connections: Some(clients), ..Needs::default() };
    let mut server = Server::start(kind, &needs, programs, scratch, upstream)?;
    let named = |name: &str, why: String| format!("{name}: {why}");
    let before = settled(&mut server)?;
    let idle = Idle::open(server.port, clients).map_err(|why| named(server.name, why))?;
    let after = settled(&mut server)?;
    let upstream = held(upstream)?;
    idle.all_open().map_err(|why| named(server.name, why))?;
    let grown = u32::try_from(after.saturating_sub(before)).map_err(|e| format!("{after} KiB: {e}"))?;
    let clients = u32::try_from(clients).map_err(|e| format!("{clients} connections: {e}"))?;
    Ok(Figure { name: server.name, before, after, upstream, each: f64::from(grown) / f64::from(clients) })
}

/// The memory of a server, in KiB, once it stays what it is.
fn settled(server: &mut Server) -> Result<u64, String> {
    let mut last = server.process.memory()?;
    for _ in 0..LOOKS {
        thread::sleep(LOOK);
        let now = server.process.memory()?;
        if now.abs_diff(last) < STILL_KIB {
            return Ok(now);
        }
        last = now;
    }
    Err(format!("{}: its memory does not settle, and is {last} KiB now", server.name))
}
