//! `make bench`: what a reload costs the clients that are connected, beside nginx and HAProxy.
//!
//! Law: the figure is the requests that were lost, for each reload, of POST clients that keep their connections and never
//! retry. They go on asking between the reloads and during them; a reload counts when a new connection is served by the
//! new file, and the last file must be in force at the end. One worker each, one proxy after the other in the same run.
//! Exit 0: Tollgate lost at most `BENCH_RELOAD_LOST` requests in all. Exit 1: more. Exit 2: no verdict, because something
//! failed, a proxy did not reload, or its clients stood still between two reloads.
//!
//! Not here, on purpose: bare Pingora, which has no config; other ways to replace a proxy, as a second process; a verdict
//! over nginx and HAProxy, which are printed for information; TLS and HTTP/2.
//!
//! Variables: `BENCH_RELOADS` (20), `BENCH_CLIENTS` (20), `BENCH_RELOAD_PAUSE` between two, in ms (250),
//! `BENCH_RELOAD_LOST` (0).

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use support::clients::{Clients, Tally};
use support::machine::{machine, setting};
use support::process::Scratch;
use support::reload::{in_force, reload};
use support::servers::{Kind, Needs, Programs, Server, upstream};
use support::stats::asked_to_measure;

mod support;

/// How it is done, for all proxies alike.
struct Plan {
    reloads: usize,
    clients: usize,
    pause: Duration,
}

/// What came of it.
struct Figure {
    name: &'static str,
    tally: Tally,
}

fn main() -> ExitCode {
    if !asked_to_measure("reload") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("reload: no verdict: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether Tollgate is within its limit.
fn run() -> Result<bool, String> {
    let plan = Plan {
        reloads: setting("BENCH_RELOADS", 20)?,
        clients: setting("BENCH_CLIENTS", 20)?,
        pause: Duration::from_millis(setting("BENCH_RELOAD_PAUSE", 250)?),
    };
    let limit: u64 = setting("BENCH_RELOAD_LOST", 0)?;
    if plan.reloads == 0 || plan.clients == 0 || plan.pause.is_zero() {
        return Err("BENCH_RELOADS, BENCH_CLIENTS and BENCH_RELOAD_PAUSE must be above zero".to_owned());
    }
    let programs = Programs::find()?;
    let machine = machine();
    let scratch = Scratch::new("reload").map_err(|e| format!("no temporary directory: {e}"))?;
    let origin = upstream(&programs, &scratch)?;
    let figure = |kind| figure(kind, &plan, &programs, &scratch, origin.port);
    let figures = [figure(Kind::Nginx)?, figure(Kind::Haproxy)?, figure(Kind::Tollgate)?];
    println!("{machine}");
    let Plan { reloads, clients, pause } = plan;
    println!("{clients} clients that keep their connections and never retry, {reloads} reloads {pause:?} apart\n");
    println!("proxy      requests done  reloads  requests lost  lost per reload  the first because");
    for Figure { name, tally: Tally { done, lost, first } } in &figures {
        let first = first.as_deref().unwrap_or_default();
        let each = *lost as f64 / reloads as f64;
        println!("{name:<10} {done:>13} {reloads:>8} {lost:>14} {each:>16.2}  {first}");
    }
    let [_, _, ours] = figures;
    let within = ours.tally.lost <= limit;
    let verdict = if within { "within the limit" } else { "OVER THE LIMIT" };
    println!("\ntollgate lost {} requests in {reloads} reloads, limit {limit}: {verdict}", ours.tally.lost);
    Ok(within)
}

fn figure(kind: Kind, plan: &Plan, programs: &Programs, scratch: &Scratch, upstream: u16) -> Result<Figure, String> {
    let needs = Needs { marked: true, ..Needs::default() };
    let mut server = Server::start(kind, &needs, programs, scratch, upstream)?;
    let (name, port) = (server.name, server.port);
    let clients = Clients::start(port, plan.clients);
    load(&clients, plan.pause).map_err(|why| format!("{name}: {why}"))?;
    for number in 1..=plan.reloads {
        let reloaded = reload(kind, &mut server, scratch, number).and_then(|()| load(&clients, plan.pause));
        reloaded.map_err(|why| format!("{name}: {why}"))?;
    }
    let tally = clients.finish()?;
    in_force(port, plan.reloads).map_err(|why| format!("{name}, at the end: {why}"))?;
    Ok(Figure { name, tally })
}

/// The time between two reloads, in which clients must have been served: else the next would meet no load.
fn load(clients: &Clients, pause: Duration) -> Result<(), String> {
    let before = clients.done();
    thread::sleep(pause);
    if clients.done() == before {
        return Err(format!("no client was served for {pause:?} between two reloads"));
    }
    Ok(())
}
