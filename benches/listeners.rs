//! `make bench`: what a request costs on a listener with TLS, over HTTP/1.1 and over HTTP/2, beside nginx.
//!
//! Law: user + system CPU of the proxy's whole process tree per completed request, one worker each, the same
//! certificate and upstream, in interleaved rounds; medians of the paired ratios. There is no limit: exit 0 unless
//! something failed, then 2.
//!
//! Not here, on purpose: latency, verified or client certificates, resumed sessions, bare Pingora, whose listeners
//! are not what Tollgate serves from. `plain` is HTTP/1.1 without TLS, to subtract; `new connection` is a whole
//! handshake and one request, for each.
//!
//! Variables: `LISTENERS_PAIRS` (5), `LISTENERS_SECONDS` per load (2).

use std::process::ExitCode;

use support::access::AccessLines;
use support::certificate::Certificate;
use support::h2load::H2load;
use support::load::Done;
use support::machine::{machine, setting};
use support::openssl::Openssl;
use support::process::Scratch;
use support::sample::{Sample, measure};
use support::servers::{Kind, Needs, Programs, Server, upstream};
use support::stats::{asked_to_measure, median, range};
use support::wrk::Wrk;

mod support;

/// What is asked for, in the order of the report.
const LOADS: [&str; 4] = ["plain", "TLS", "HTTP/2", "new connection"];

/// The load generators.
struct Clients {
    wrk: Wrk,
    h2load: H2load,
    openssl: Openssl,
}

impl Clients {
    fn load(&self, index: usize, server: &Server, seconds: u32) -> Result<Done, String> {
        match index {
            0 => self.wrk.load(&server.plain(), seconds),
            1 => self.wrk.load(&server.tls()?, seconds),
            2 => self.h2load.load(&server.tls()?, seconds),
            _ => self.openssl.load(&server.tls()?, seconds),
        }
    }
}

/// Every load of both servers: nginx, then Tollgate.
type Round = [[Sample; 2]; LOADS.len()];

fn main() -> ExitCode {
    if !asked_to_measure("listeners") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("listeners: no figures: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let pairs: usize = setting("LISTENERS_PAIRS", 5)?;
    let seconds: u32 = setting("LISTENERS_SECONDS", 2)?;
    if pairs == 0 || seconds == 0 {
        return Err("LISTENERS_PAIRS and LISTENERS_SECONDS must be above zero".to_owned());
    }
    let programs = Programs::find()?;
    let machine = machine();
    let scratch = Scratch::new("listeners").map_err(|e| format!("no temporary directory: {e}"))?;
    let clients = Clients { wrk: Wrk::new(&scratch, None)?, h2load: H2load::new(&scratch)?, openssl: Openssl::new()? };
    let origin = upstream(&programs, &scratch)?;
    let needs = Needs { certificate: Some(Certificate::new(&scratch)?), ..Needs::default() };
    let start = |kind| Server::start(kind, &needs, &programs, &scratch, origin.port);
    let mut servers = [start(Kind::Nginx)?, start(Kind::Tollgate)?];
    let mut lines = AccessLines::new(&scratch);
    // The warm-up, whose figures are not kept.
    round(&mut servers, &clients, 1, 0, &mut lines)?;
    let mut rounds = Vec::with_capacity(pairs);
    for number in 0..pairs {
        rounds.push(round(&mut servers, &clients, seconds, number, &mut lines)?);
        eprintln!("{}/{pairs}", number + 1);
    }
    println!("{machine}");
    println!("32 requests at once, but one on a new connection; {pairs} interleaved rounds of {seconds} s a load\n");
    report(&servers, &rounds);
    lines.verdict()
}

/// Every load once, of both servers; who is first changes.
fn round(
    servers: &mut [Server; 2],
    clients: &Clients,
    seconds: u32,
    number: usize,
    lines: &mut AccessLines,
) -> Result<Round, String> {
    let mut round = Round::default();
    for (load, samples) in round.iter_mut().enumerate() {
        for turn in 0..servers.len() {
            let index = (turn + number) % servers.len();
            let sample = measure(&mut servers[index], |server| clients.load(load, server, seconds));
            samples[index] = sample.map_err(|why| format!("{}: {why}", LOADS[load]))?;
        }
        lines.collect(samples[1].requests)?;
    }
    Ok(round)
}

fn report(servers: &[Server; 2], rounds: &[Round]) {
    println!("load            proxy      µs CPU/request  min-max          user  system  requests/s");
    for (load, name) in LOADS.iter().enumerate() {
        for (index, server) in servers.iter().enumerate() {
            let of = |value: fn(&Sample) -> f64| rounds.iter().map(move |round| value(&round[load][index]));
            let (low, high) = range(of(|sample| sample.cpu.total()));
            println!(
                "{name:<15} {:<10} {:>14.1}  {:<15} {:>5.1} {:>7.1} {:>11.0}",
                server.name,
                median(of(|sample| sample.cpu.total())),
                format!("{low:.1}-{high:.1}"),
                median(of(|sample| sample.cpu.user)),
                median(of(|sample| sample.cpu.system)),
                median(of(|sample| sample.rate)),
            );
        }
    }
    println!("\ntollgate / nginx");
    for (load, name) in LOADS.iter().enumerate() {
        let ratios = || rounds.iter().map(|round| round[load][1].cpu.total() / round[load][0].cpu.total());
        let (low, high) = range(ratios());
        println!("{name:<15}  {:.3}  ({low:.3}-{high:.3})", median(ratios()));
    }
}
