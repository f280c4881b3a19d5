//! Wiring, and nothing else: bind, build, serve, stop.
//!
//! The law: a port that is taken ends the start at once and by name; SIGTERM and SIGINT stop accepting, let what is being
//! served end, and exit 0; a second one ends at once; SIGHUP never kills.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora::listeners::ListenerConfig;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::proxy::http_proxy;
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::listen::Listen;
use crate::config::{Config, Network};
use crate::edge::Edge;
use crate::proxy::{EdgeProxy, Format, InFlight};
use crate::resolve::Resolver;
use crate::snapshot::Snapshot;
use crate::trust::Trust;

/// How long requests may take to end once a stop was asked for.
const DRAIN: Duration = Duration::from_secs(30);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(10);
/// How many ports are tried where the system picks.
const TRIES: u32 = 50;
/// Idle upstream connections kept for each worker.
const POOL: usize = 128;

/// What the command line decides.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How access lines are written.
    pub format: Format,
    /// Whether upstream requests are described in the log.
    pub detailed: bool,
}

/// A listening socket and its address.
pub type Bound = (SocketAddr, TcpListener);

/// Binds every address, or says which one is taken. Port 0 is one port that the system picks for all of them: what it
/// picks for the first may be taken for the second, and then another is tried.
pub fn bind(listen: &[Listen]) -> Result<Vec<Bound>, String> {
    let picked = listen.iter().any(|listen| listen.address.port() == 0);
    let mut tries = if picked { TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_all(listen) {
            Err((io::ErrorKind::AddrInUse, _)) if tries > 0 => {}
            other => return other.map_err(|(_, text)| text),
        }
    }
}

fn bind_all(listen: &[Listen]) -> Result<Vec<Bound>, (io::ErrorKind, String)> {
    let mut bound: Vec<Bound> = Vec::new();
    for wanted in listen {
        let mut address = wanted.address;
        if address.port() == 0 {
            address.set_port(bound.first().map_or(0, |(first, _)| first.port()));
        }
        match TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        }) {
            Ok(listener) => bound.push(listener),
            Err(error) if wanted.optional && error.kind() != io::ErrorKind::AddrInUse => {
                log::info!("not listening on {address}: {error}");
            }
            Err(error) => return Err((error.kind(), format!("cannot listen on {address}: {error}"))),
        }
    }
    Ok(bound)
}

/// The worker threads, and the signals that end them.
#[derive(Debug)]
pub struct Workers {
    runtime: Runtime,
    signals: Signals,
    count: usize,
}

impl Workers {
    /// Starts `count` threads. From here on no signal kills the process unheard.
    pub fn start(count: usize) -> Result<Self, String> {
        // One worker has nobody to share its tasks with, and is spared the cost of being able to.
        let runtime = if count == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() }
            .worker_threads(count)
            .thread_name("worker")
            .enable_all()
            .build()
            .map_err(|error| format!("the worker threads cannot be started: {error}"))?;
        let inside = runtime.enter();
        let signals = Signals::listen().map_err(|error| format!("signals cannot be waited for: {error}"))?;
        drop(inside);
        Ok(Self { runtime, signals, count })
    }

    /// Serves until a signal ends it.
    pub fn serve(
        mut self,
        bound: Vec<Bound>,
        network: &Network,
        snapshot: Snapshot,
        options: Options,
    ) -> Result<(), String> {
        let served = run(bound, network, snapshot, options, self.count, &mut self.signals);
        let result = self.runtime.block_on(served);
        // What is still being served after the drain is cut.
        self.runtime.shutdown_background();
        result
    }
}

/// The signals that a service knows.
#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => log::warn!("SIGHUP: the config is read at start only, restart to change it"),
            }
        }
    }
}

async fn run(
    bound: Vec<Bound>,
    network: &Network,
    snapshot: Snapshot,
    options: Options,
    workers: usize,
    signals: &mut Signals,
) -> Result<(), String> {
    let trust = Trust::gather(network.ca_pem.as_ref().map(|(pem, _)| pem.as_slice()))
        .map_err(|error| format!("the trusted certificates cannot be handed over: {error}"))?;
    let conf = ServerConf {
        threads: workers,
        ca_file: Some(trust.path()),
        upstream_keepalive_pool_size: POOL,
        ..ServerConf::default()
    };
    let in_flight = InFlight::default();
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let resolver = Arc::new(Resolver::new(network));
    let proxy = EdgeProxy::new(snapshot, resolver, in_flight.clone(), options.format, options.detailed);
    let mut service = Service::new("edge".into(), Edge::new(http_proxy(&Arc::new(conf), proxy)));
    let mut descriptors = Fds::new();
    for (address, listener) in bound {
        // Heads and bodies are read into buffers of their own: one more of 64 KiB for each idle connection serves nobody.
        let unread = L4BufferSettings::default().read(0);
        service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(unread));
        descriptors.add(address.to_string(), listener.into_raw_fd());
    }
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(async move {
        service.start_service(Some(Arc::new(Mutex::new(descriptors))), stopped, 1).await;
    });
    signals.stop().await;
    log::info!("stopping: {} requests are being served", in_flight.count());
    let _ = stop.send(true);
    tokio::select! {
        () = drained(accepting, &in_flight) => {}
        () = tokio::time::sleep(DRAIN) => log::warn!("{} requests are cut", in_flight.count()),
        () = signals.stop() => {}
    }
    Ok(())
}

/// Waits until nobody accepts and nothing is being served.
async fn drained(accepting: tokio::task::JoinHandle<()>, in_flight: &InFlight) {
    let _ = accepting.await;
    while in_flight.count() > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// What a start prints: where it listens, and what it serves.
pub fn announce(bound: &[Bound], config: &Config) -> String {
    let mut out = String::new();
    for endpoint in &config.endpoints {
        let mark = if endpoint.auth == Some(true) { "key " } else { "open" };
        let below = if endpoint.include_subpath { "/*" } else { "" };
        out += &format!("  {mark}  {}{below}\n", endpoint.name());
    }
    for (address, _) in bound {
        out += &format!("listening on http://{address}\n");
    }
    out
}
