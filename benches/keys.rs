//! `make bench`: what a virtual key with limits costs, beside bare Pingora that knows neither.
//!
//! Law: as in `pass_through`, CPU per completed request of the whole process tree, interleaved rounds, the median of the paired
//! ratios. Every request bears a key with a limit on requests a minute and one on requests at once, both far away. Once with one
//! key in the store, once among many, and again with metrics and the access log as JSON. Exit 1 above `KEYS_LIMIT` x bare,
//! or `KEYS_TOLD_LIMIT` with both, when an idle key takes more memory than `KEYS_BYTES`, or when a start with all of them takes
//! longer than `KEYS_START` seconds; 2: no verdict.
//!
//! Variables: `BENCH_PAIRS` (9), `BENCH_SECONDS` per load (3), `KEYS_LIMIT` (1.15), `KEYS_TOLD_LIMIT` (1.20), `KEYS_BYTES` (1024),
//! `KEYS_START` (2), `KEYS_MANY` (100000).

use std::process::ExitCode;
use std::time::Duration;

use support::access::AccessLines;
use support::machine::{machine, setting};
use support::process::Scratch;
use support::sample::measure;
use support::servers::{KEY, Kind, Needs, Programs, Server, upstream};
use support::stats::{asked_to_measure, median, range};
use support::wrk::Wrk;

mod support;

fn main() -> ExitCode {
    if !asked_to_measure("keys") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("keys: no verdict: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether every figure is within its limit.
fn run() -> Result<bool, String> {
    let limit: f64 = setting("KEYS_LIMIT", 1.15)?;
    let told_limit: f64 = setting("KEYS_TOLD_LIMIT", 1.20)?;
    let most_bytes: f64 = setting("KEYS_BYTES", 1024.0)?;
    let longest: f64 = setting("KEYS_START", 2.0)?;
    let many: usize = setting("KEYS_MANY", 100_000)?;
    let programs = Programs::find()?;
    println!("{}", machine());
    let one = round(&programs, 1, false)?;
    let all = round(&programs, many, false)?;
    let told = round(&programs, many, true)?;
    let bytes = (all.resident as f64 - one.resident as f64) / (many - 1) as f64;
    println!("{bytes:.0} bytes of memory for each idle key of {many}, limit {most_bytes:.0}");
    println!(
        "{:.2} s from the start to the first answer with {many} keys, limit {longest:.1}",
        all.started.as_secs_f64()
    );
    let quick = all.started.as_secs_f64() <= longest;
    let cheap = one.ratio <= limit && all.ratio <= limit && told.ratio <= told_limit;
    let within = cheap && bytes <= most_bytes && quick;
    println!("{}", if within { "within the limits" } else { "OVER A LIMIT" });
    Ok(within)
}

/// What was found with so many keys.
struct Found {
    ratio: f64,
    /// Bytes held before the load.
    resident: u64,
    /// From the start to the first answer.
    started: Duration,
}

fn round(programs: &Programs, keys: usize, told: bool) -> Result<Found, String> {
    let pairs: usize = setting("BENCH_PAIRS", 9)?;
    let seconds: u32 = setting("BENCH_SECONDS", 3)?;
    let scratch = Scratch::new("bench-keys").map_err(|e| format!("no temporary directory: {e}"))?;
    let wrk = Wrk::new(&scratch, Some(KEY))?;
    let origin = upstream(programs, &scratch)?;
    let needs = Needs { keys: Some(keys), plain: !told, ..Needs::default() };
    let mut bare = Server::start(Kind::Bare, &needs, programs, &scratch, origin.port)?;
    let mut tollgate = Server::start(Kind::Tollgate, &needs, programs, &scratch, origin.port)?;
    let started = tollgate.process.age();
    let resident = tollgate.process.memory()? * 1024;
    let mut lines = AccessLines::new(&scratch);
    let mut ratios = Vec::new();
    let mut ours = Vec::new();
    for number in 0..=pairs {
        let mut cost = [0.0; 2];
        for turn in 0..2 {
            let index = (turn + number) % 2;
            let server = if index == 0 { &mut bare } else { &mut tollgate };
            let sample = measure(server, |server| wrk.load(&server.plain(), seconds))?;
            cost[index] = sample.cpu.total();
            if index == 1 && told {
                lines.collect(sample.requests)?;
            }
        }
        // The first is the warm-up.
        if number > 0 {
            ratios.push(cost[1] / cost[0]);
            ours.push(cost[1]);
        }
    }
    let (low, high) = range(ratios.iter().copied());
    let ratio = median(ratios.iter().copied());
    println!(
        "{keys} keys{}: {:.1} µs CPU/request; tollgate / bare {ratio:.3} ({low:.3}-{high:.3})",
        if told { ", with metrics and the log" } else { "" },
        median(ours.iter().copied())
    );
    Ok(Found { ratio, resident, started })
}
