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

use std::env;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use support::load::{ANSWER, QUESTION, Wrk, on_path};
use support::process::{Cpu, Scratch};
use support::servers::{Programs, Server, proxies, upstream};
use support::stats::{asked_to_measure, median};

mod support {
    pub(crate) mod load;
    pub(crate) mod process;
    pub(crate) mod servers;
    pub(crate) mod stats;
}

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
    let wrk = on_path("wrk")?;
    let scratch = Scratch::new("bench").map_err(|e| format!("no temporary directory: {e}"))?;
    let wrk = Wrk::new(wrk, &scratch)?;
    let origin = upstream(&programs, &scratch)?;
    let mut servers = proxies(&programs, &scratch, origin.port)?;
    let mut lines = AccessLines::default();
    let access = scratch.join("tollgate.out");
    // The warm-up: connections, allocators and caches; its figures are not kept.
    let warm = round(&mut servers, &wrk, 1, 0)?;
    lines.collect(&access, warm[2].requests)?;
    let mut rounds = Vec::with_capacity(pairs);
    for number in 0..pairs {
        let round = round(&mut servers, &wrk, seconds, number)?;
        lines.collect(&access, round[2].requests)?;
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

/// A variable of the environment, refused when it does not parse: a typo must not become a default.
fn setting<T: FromStr>(name: &str, default: T) -> Result<T, String>
where
    T::Err: Display,
{
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(default),
        Err(error) => Err(format!("{name}: {error}")),
        Ok(text) => text.parse().map_err(|e| format!("{name}={text}: {e}")),
    }
}

/// One load of one proxy.
#[derive(Clone, Copy, Default)]
struct Sample {
    /// Per request, in µs.
    cpu: Cpu,
    requests: u64,
    rate: f64,
}

/// Loads all three once. The order rotates, so that none is always the one after another.
fn round(servers: &mut [Server; 3], wrk: &Wrk, seconds: u32, number: usize) -> Result<[Sample; 3], String> {
    let mut round = [Sample::default(); 3];
    for turn in 0..servers.len() {
        let index = (turn + number) % servers.len();
        round[index] = measure(&mut servers[index], wrk, seconds)?;
    }
    Ok(round)
}

fn measure(server: &mut Server, wrk: &Wrk, seconds: u32) -> Result<Sample, String> {
    let before = server.process.cpu()?;
    let done = wrk.load(server.port, seconds).map_err(|why| format!("{}: {why}", server.name))?;
    let spent = server.process.cpu()?.since(before);
    let requests = f64::from(done.requests);
    Ok(Sample {
        cpu: Cpu { user: spent.user / requests, system: spent.system / requests },
        requests: u64::from(done.requests),
        rate: requests / done.seconds,
    })
}

/// Proof that Tollgate ran with its access log on: a line for every request that wrk saw answered.
#[derive(Default)]
struct AccessLines {
    written: u64,
    requests: u64,
}

impl AccessLines {
    /// Counts and empties the file between loads, so that it stays small. Lines may come late: they are
    /// waited for, a little.
    fn collect(&mut self, file: &Path, requests: u64) -> Result<(), String> {
        self.requests += requests;
        let deadline = Instant::now() + Duration::from_secs(2);
        let written = loop {
            let written = lines(file).map_err(|e| format!("{}: {e}", file.display()))?;
            if self.written + written >= self.requests || Instant::now() > deadline {
                break written;
            }
            thread::sleep(Duration::from_millis(50));
        };
        self.written += written;
        let emptied = File::options().write(true).open(file).and_then(|file| file.set_len(0));
        emptied.map_err(|e| format!("{}: {e}", file.display()))
    }

    fn verdict(&self) -> Result<(), String> {
        let AccessLines { written, requests } = self;
        if written < requests {
            return Err(format!("tollgate wrote {written} access lines for {requests} requests"));
        }
        println!("access lines     {written} for {requests} requests");
        Ok(())
    }
}

fn lines(file: &Path) -> io::Result<u64> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count),
            n => {
                count += buffer[..n].iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>();
            }
        }
    }
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

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// What the figures were taken on: without it they are worth nothing later.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{cores} cores, {model}, Linux {}, load {load}", kernel.trim())
}
