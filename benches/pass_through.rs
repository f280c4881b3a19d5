//! `make bench`: what a pass-through request with an injected header costs, beside bare Pingora and nginx.
//!
//! Law: the figure is user + system CPU of the proxy's whole process tree per completed request, one worker
//! each, in interleaved rounds, so that a busy neighbour hits all three alike; the verdict is the median of
//! the *paired* ratios. Exit 0: Tollgate costs at most `BENCH_LIMIT` x bare. Exit 1: more. Exit 2: no verdict,
//! because something failed or because bare itself is worse than 2 x nginx and thus no yardstick.
//!
//! Not here, on purpose: latency, throughput as a goal, pinning, other peers. Requests per second are printed
//! for information; on shared cores they belong to the machine.
//!
//! Variables: `BENCH_PAIRS` (9), `BENCH_SECONDS` per load (3), `BENCH_LIMIT` (1.10).

use std::process::ExitCode;

use support::access::AccessLines;
use support::load::{ANSWER, QUESTION};
use support::machine::{machine, setting};
use support::process::Scratch;
use support::sample::{Sample, measure};
use support::servers::{Kind, Needs, Programs, Server, upstream};
use support::stats::{asked_to_measure, median, range};
use support::wrk::Wrk;

mod support;

/// Above this multiple of nginx bare Pingora was built or run wrongly, and being near it proves nothing.
const YARDSTICK_LIMIT: f64 = 2.0;

fn main() -> ExitCode {
    if !asked_to_measure("pass_through") {
        return ExitCode::SUCCESS;
    }
    // Servers and directory are gone when `run` returns: they live inside.
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("pass_through: no verdict: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether Tollgate is within its limit.
fn run() -> Result<bool, String> {
    let pairs: usize = setting("BENCH_PAIRS", 9)?;
    let seconds: u32 = setting("BENCH_SECONDS", 3)?;
    let limit: f64 = setting("BENCH_LIMIT", 1.10)?;
    if pairs == 0 || seconds == 0 || limit <= 0.0 {
        return Err("BENCH_PAIRS, BENCH_SECONDS and BENCH_LIMIT must be above zero".to_owned());
    }
    let programs = Programs::find()?;
    // Before the load is ours.
    let machine = machine();
    let scratch = Scratch::new("bench").map_err(|e| format!("no temporary directory: {e}"))?;
    let wrk = Wrk::new(&scratch, None)?;
    let origin = upstream(&programs, &scratch)?;
    let start = |kind| Server::start(kind, &Needs::default(), &programs, &scratch, origin.port);
    let mut servers = [start(Kind::Nginx)?, start(Kind::Bare)?, start(Kind::Tollgate)?];
    let mut lines = AccessLines::new(&scratch);
    // The warm-up: connections, allocators and caches; its figures are not kept.
    let warm = round(&mut servers, &wrk, 1, 0)?;
    lines.collect(warm[2].requests)?;
    let mut rounds = Vec::with_capacity(pairs);
    for number in 0..pairs {
        let round = round(&mut servers, &wrk, seconds, number)?;
        lines.collect(round[2].requests)?;
        let [nginx, bare, tollgate] = round.map(|sample| sample.cpu.total());
        eprintln!("{}/{pairs}: nginx {nginx:.1}, bare {bare:.1}, tollgate {tollgate:.1}", number + 1);
        rounds.push(round);
    }
    println!("{machine}");
    println!(
        "wrk -t1 -c32, POST {} B, answer {} B, {pairs} interleaved rounds of {seconds} s\n",
        QUESTION.len(),
        ANSWER.len()
    );
    report(&servers, &rounds);
    lines.verdict()?;
    verdict(&rounds, limit)
}

/// Loads all three once. The order rotates, so that none is always the one after another.
fn round(servers: &mut [Server; 3], wrk: &Wrk, seconds: u32, number: usize) -> Result<[Sample; 3], String> {
    let mut round = [Sample::default(); 3];
    for turn in 0..servers.len() {
        let index = (turn + number) % servers.len();
        round[index] = measure(&mut servers[index], |server| wrk.load(&server.plain(), seconds))?;
    }
    Ok(round)
}

fn report(servers: &[Server; 3], rounds: &[[Sample; 3]]) {
    println!("proxy      µs CPU/request  min-max          user  system  requests/s");
    for (index, server) in servers.iter().enumerate() {
        let of = |value: fn(&Sample) -> f64| rounds.iter().map(move |round| value(&round[index]));
        let (low, high) = range(of(|sample| sample.cpu.total()));
        println!(
            "{:<10} {:>14.1}  {:<15} {:>5.1} {:>7.1} {:>11.0}",
            server.name,
            median(of(|sample| sample.cpu.total())),
            format!("{low:.1}-{high:.1}"),
            median(of(|sample| sample.cpu.user)),
            median(of(|sample| sample.cpu.system)),
            median(of(|sample| sample.rate)),
        );
    }
    println!();
}

fn verdict(rounds: &[[Sample; 3]], limit: f64) -> Result<bool, String> {
    let ratios =
        |over: usize, under: usize| rounds.iter().map(move |round| round[over].cpu.total() / round[under].cpu.total());
    let print = |name: &str, over, under, limit: f64| {
        let (low, high) = range(ratios(over, under));
        let middle = median(ratios(over, under));
        println!("{name:<16} {middle:.3}  ({low:.3}-{high:.3}), limit {limit:.2}");
        middle
    };
    let yardstick = print("bare / nginx", 1, 0, YARDSTICK_LIMIT);
    let ours = print("tollgate / bare", 2, 1, limit);
    // Written so that a NaN, of a load too short for one tick, is refused as well.
    if !(yardstick <= YARDSTICK_LIMIT && ours.is_finite()) {
        return Err(format!("bare is {yardstick:.2} x nginx: no yardstick above {YARDSTICK_LIMIT}"));
    }
    let within = ours <= limit;
    println!("{}", if within { "within the limit" } else { "OVER THE LIMIT" });
    Ok(within)
}
