//! `make bench`: what the translation of Anthropic's Messages costs, beside the same model passed through.
//!
//! Law: user + system CPU of one Tollgate process, for each request or each event, on two ways to the same upstream under the
//! same virtual key, metrics and access log on; interleaved rounds, the median of the paired ratios. Exit 1 above
//! `ADAPTER_LIMIT` x pass-through for a request of 1 KiB that is answered in one piece, or `ADAPTER_EVENT_LIMIT` x for an event
//! of a stream; 2: no verdict.
//!
//! The limit on events is on those that come one by one, as models write them: an event is sent when the client has seen the
//! one before. Several in one segment are what a model that runs ahead of its reader makes of them; the pass-through does not
//! look at them and pays for the segment alone, so that the ratio says how many there were. It is printed, with the price.
//! So are the time to a stream's first event, and the memory of many large requests at once, while the model has them all.
//!
//! Variables: `BENCH_PAIRS` (9), `BENCH_SECONDS` per load (3), `ADAPTER_LIMIT` (2.5), `ADAPTER_EVENT_LIMIT` (2.0),
//! `ADAPTER_PARALLEL` (1000) requests at once.

use std::process::ExitCode;
use std::time::Duration;

use support::access::AccessLines;
use support::load::Done;
use support::machine::{machine, open_files, setting};
use support::model::{Manner, Model};
use support::process::Scratch;
use support::sample::measure;
use support::servers::{KEY, Kind, Needs, Programs, Server};
use support::stats::{asked_to_measure, median, range};
use support::talk::{Client, Way, at_once, question, streams};
use support::wrk::Wrk;

mod support;

/// Streams at once, and the events of each.
const CLIENTS: usize = 8;
const EVENTS: usize = 2_000;
/// Events of a segment that has several.
const SEVERAL: usize = 16;
/// Streams whose first event is timed, on each way.
const FIRSTS: usize = 200;
/// The size of a large request.
const LARGE: usize = 1_000_000;
/// Files that a process has open beside its connections.
const BESIDE: usize = 1024;

fn main() -> ExitCode {
    if !asked_to_measure("adapter") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("adapter: no verdict: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether both figures are within their limits.
fn run() -> Result<bool, String> {
    let limit: f64 = setting("ADAPTER_LIMIT", 2.5)?;
    let event_limit: f64 = setting("ADAPTER_EVENT_LIMIT", 2.0)?;
    let parallel: usize = setting("ADAPTER_PARALLEL", 1_000)?;
    let seconds: u32 = setting("BENCH_SECONDS", 3)?;
    open_files(2 * parallel + BESIDE)?;
    let programs = Programs::find()?;
    println!("{}", machine());
    let model = Model::start(CLIENTS)?;
    let scratch = Scratch::new("bench-adapter").map_err(|e| format!("no temporary directory: {e}"))?;
    let needs = Needs { keys: Some(1), model: true, ..Needs::default() };
    let mut server = Server::start(Kind::Tollgate, &needs, &programs, &scratch, model.port)?;
    let mut lines = AccessLines::new(&scratch);
    // The one that asked whether it is ready.
    lines.collect(1)?;

    let body = question(1024, 0, false);
    let wrk = |way: Way| Wrk::posting(&scratch, Some(KEY), way.path(), &body);
    let [through, adapter] = [wrk(Way::Through)?, wrk(Way::Adapter)?];
    for way in Way::BOTH {
        Client::connect(server.port)?.ask(way, &body, false, |_| {}).map_err(|why| format!("{}: {why}", way.name()))?;
    }
    let whole = compare("a request of 1 KiB", &mut server, |server, way| {
        let wrk = if way == Way::Through { &through } else { &adapter };
        let done = wrk.load(&server.plain(), seconds)?;
        lines.collect(u64::from(done.requests))?;
        Ok(done)
    })?;
    let mut stream = |name: &str, at_once: usize| {
        model.answer(Manner::Stream { events: EVENTS, at_once });
        compare(name, &mut server, |server, way| {
            let done = streams(server.port, &model, way, CLIENTS, EVENTS, Duration::from_secs(u64::from(seconds)))?;
            lines.collect(u64::from(done.requests) / EVENTS as u64)?;
            Ok(done)
        })
    };
    let event = stream("an event, one by one", 1)?;
    stream(&format!("an event of {SEVERAL} in a segment"), SEVERAL)?;
    first_event(&server, &model)?;
    drop(server);
    for way in Way::BOTH {
        memory(way, parallel, &programs, &model)?;
    }
    println!("\na request {whole:.2} x pass-through, limit {limit:.2}; an event {event:.2} x, limit {event_limit:.2}");
    let within = whole <= limit && event <= event_limit;
    println!("{}", if within { "within the limits" } else { "OVER A LIMIT" });
    Ok(within)
}

/// The median of the ratios of the adapter's CPU to the pass-through's, each for one of what `load` counts.
fn compare(
    what: &str,
    server: &mut Server,
    mut load: impl FnMut(&Server, Way) -> Result<Done, String>,
) -> Result<f64, String> {
    let pairs: usize = setting("BENCH_PAIRS", 9)?;
    let mut costs = Vec::with_capacity(pairs);
    for number in 0..=pairs {
        let mut cost = [0.0; 2];
        for turn in 0..2 {
            let index = (turn + number) % 2;
            let way = Way::BOTH[index];
            let sample = measure(server, |server| load(server, way));
            cost[index] = sample.map_err(|why| format!("{what}, {}: {why}", way.name()))?.cpu.total();
        }
        // The first is the warm-up.
        if number > 0 {
            costs.push(cost);
        }
    }
    let of = |index: usize| median(costs.iter().map(|cost| cost[index]));
    let ratios = || costs.iter().map(|[through, adapter]| adapter / through);
    let (low, high) = range(ratios());
    let ratio = median(ratios());
    if !ratio.is_finite() {
        return Err(format!("{what}: a load too short for one tick"));
    }
    println!(
        "{what:<28} adapter {:>6.2} µs CPU, pass-through {:>6.2}; ratio {ratio:.3} ({low:.3}-{high:.3})",
        of(1),
        of(0)
    );
    Ok(ratio)
}

/// Says how long a stream's first event takes where nobody else asks.
fn first_event(server: &Server, model: &Model) -> Result<(), String> {
    model.answer(Manner::Stream { events: 1, at_once: 1 });
    let body = question(1024, 0, true);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..FIRSTS {
        for (way, times) in Way::BOTH.into_iter().zip(&mut times) {
            model.saw(0, 0);
            let time = Client::connect(server.port)?.ask(way, &body, true, |seen| model.saw(0, seen))?;
            times.push(time.as_secs_f64() * 1e6);
        }
    }
    let [through, adapter] = times.map(median);
    println!(
        "the first event of a stream  adapter {adapter:>6.0} µs, pass-through {through:>6.0}; medians of {FIRSTS}"
    );
    Ok(())
}

/// Says what a process needs that has done nothing but large requests, all at once.
fn memory(way: Way, parallel: usize, programs: &Programs, model: &Model) -> Result<(), String> {
    let scratch = Scratch::new("bench-adapter-memory").map_err(|e| format!("no temporary directory: {e}"))?;
    let needs = Needs { keys: Some(1), model: true, connections: Some(parallel), ..Needs::default() };
    model.answer(Manner::Whole);
    let mut server = Server::start(Kind::Tollgate, &needs, programs, &scratch, model.port)?;
    let before = server.process.memory()?;
    model.answer(Manner::Held(parallel));
    let body = question(LARGE, 0, false);
    let held = at_once(server.port, model, way, parallel, &body, || server.process.memory())
        .map_err(|why| format!("{}, {parallel} large requests: {why}", way.name()))??;
    let peak = server.process.peak()?;
    let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
    println!(
        "{parallel} requests of 1 MB at once  {:<12} {:>6.0} MB while the model has them, {:>6.0} at most, {:.0} before",
        way.name(),
        megabytes(held),
        megabytes(peak),
        megabytes(before)
    );
    Ok(())
}
