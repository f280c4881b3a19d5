//! Wiring, and nothing else: bind, build, serve, reload, stop.
//!
//! The law: a port that is taken ends the start at once and by name; SIGTERM and SIGINT end in order with exit 0, a second one at
//! once; SIGHUP asks for the config to be read again, SIGUSR1 for the access log to be opened anew.
//!
//! `tuned` is what a config decides beside its snapshot, `told` hears of reloads, `drain` is the end.

mod drain;
mod told;
mod tuned;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use log::LevelFilter;
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
use tokio::task::JoinSet;
use told::Told;
use tuned::Tuned;

use crate::admin::Admin;
use crate::config::listen::Listen;
use crate::config::log::LogFormat;
use crate::config::noted::{Stamp, Texts};
use crate::config::{self, Config};
use crate::edge::{self, Certificate, Edge};
use crate::history::History;
use crate::logger;
use crate::metrics::Metrics;
use crate::proxy::{EdgeProxy, Format, Shared};
use crate::reload::{self, Reloader, Reloads, Wish};
use crate::snapshot::Snapshot;
use crate::systemd;
use crate::translator::Translator;
use crate::trust::Trust;

/// How many ports are tried where the system picks.
const TRIES: u32 = 50;
/// How often it is looked whether certificates have changed.
const CERTIFICATES: Duration = Duration::from_secs(1);
/// How often memory is measured.
const MEMORY: Duration = Duration::from_millis(250);
/// Idle upstream connections kept for each worker.
const POOL: usize = 128;

/// What the command line decides.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How access lines are written where the config does not say.
    pub usual_format: Format,
    /// Whether upstream requests are described in the log.
    pub detailed: bool,
    /// How much is said, whatever the config says.
    pub level: Option<LevelFilter>,
}

impl Options {
    fn format(self, wanted: LogFormat) -> Format {
        match wanted {
            LogFormat::Json => Format::Json,
            LogFormat::Text => Format::Text,
            LogFormat::Auto => self.usual_format,
        }
    }
}

/// What is served, and how it may be changed.
pub struct Setup {
    /// The config.
    pub config: Config,
    /// It, compiled.
    pub snapshot: Snapshot,
    /// The key API.
    pub admin: Arc<Admin>,
    /// What the command line decides.
    pub options: Options,
    /// Who asks for reloads.
    pub asked: reload::Asked,
    /// The files that the config was read from.
    pub files: Vec<(PathBuf, Stamp)>,
    /// The texts of its own.
    pub texts: Texts,
    /// Where good configs are kept.
    pub history: Option<History>,
    /// Where another config comes from.
    pub source: reload::Source,
}

/// A listening socket, and what is served on it. Its address is the one that was bound.
#[derive(Debug)]
pub struct Bound {
    listen: Listen,
    listener: TcpListener,
    /// Whether it is the admin listener.
    inside: bool,
}

impl Bound {
    /// What is served, and where.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// Whether it is the admin listener.
    pub fn is_inside(&self) -> bool {
        self.inside
    }
}

/// Binds every address, or says which one is taken. Port 0 is one port that the system picks for all of them: what it
/// picks for the first may be taken for the second, and then another is tried.
pub fn bind(config: &Config) -> Result<Vec<Bound>, String> {
    let mut handed = systemd::handed_over()?;
    let mut bound = bind_outside(&config.listen, &mut handed)?;
    match &config.admin {
        Some(given) => bound.extend(bind_all(given, true, &mut handed).map_err(|(_, text)| text)?),
        // Nobody asked for it: where it cannot be had, requests are served all the same.
        None => match bind_all(&beside(&config.listen), true, &mut handed) {
            Ok(beside) => bound.extend(beside),
            Err((_, text)) => {
                log::warn!("{text}: /metrics is not served; name another address with tollgate.admin_listen")
            }
        },
    }
    match handed.first().map(TcpListener::local_addr) {
        Some(address) => {
            let address = address.map_or_else(|_| "an unknown address".into(), |address| address.to_string());
            Err(format!("a socket was handed over for {address}, which tollgate.listen does not name"))
        }
        None => Ok(bound),
    }
}

/// The next port after the first, on loopback; where the system picks that, it picks this too.
fn beside(listen: &[Listen]) -> Vec<Listen> {
    let first = listen.first().map_or(0, |listen| listen.address.port());
    let port = if first == 0 { Some(0) } else { first.checked_add(1) };
    port.map(|port| config::listen::loopback(port).into_iter().take(1).collect()).unwrap_or_default()
}

fn bind_outside(listen: &[Listen], handed: &mut Vec<TcpListener>) -> Result<Vec<Bound>, String> {
    let picked = listen.iter().any(|listen| listen.address.port() == 0);
    let mut tries = if picked { TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_all(listen, false, handed) {
            Err((io::ErrorKind::AddrInUse, _)) if tries > 0 => {}
            other => return other.map_err(|(_, text)| text),
        }
    }
}

fn bind_all(
    listen: &[Listen],
    inside: bool,
    handed: &mut Vec<TcpListener>,
) -> Result<Vec<Bound>, (io::ErrorKind, String)> {
    let mut bound: Vec<Bound> = Vec::new();
    for wanted in listen {
        let mut address = wanted.address;
        if address.port() == 0 {
            address.set_port(bound.first().map_or(0, |first| first.listen.address.port()));
        }
        match taken(address, handed).map_or_else(|| TcpListener::bind(address), Ok).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let listen = Listen { address: listener.local_addr()?, ..wanted.clone() };
            Ok(Bound { listen, listener, inside })
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

/// The socket that was handed over for `address`.
fn taken(address: SocketAddr, handed: &mut Vec<TcpListener>) -> Option<TcpListener> {
    let at = handed.iter().position(|listener| listener.local_addr().is_ok_and(|bound| bound == address))?;
    Some(handed.swap_remove(at))
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
    pub fn serve(mut self, bound: Vec<Bound>, setup: Setup) -> Result<(), String> {
        let served = run(bound, setup, self.count, &mut self.signals);
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
    rotated: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            rotated: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for SIGTERM or SIGINT. SIGHUP asks for a reload, SIGUSR1 says that the access log was moved away.
    async fn stop(&mut self, reloads: &Reloads) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.rotated.recv() => logger::reopen(),
                _ = self.hangup.recv() => {
                    // What comes of it is logged; signals are listened to meanwhile.
                    let reloads = reloads.clone();
                    tokio::spawn(async move { reloads.ask(Wish::File).await });
                }
            }
        }
    }
}

async fn run(bound: Vec<Bound>, setup: Setup, workers: usize, signals: &mut Signals) -> Result<(), String> {
    let Setup { config, snapshot, admin, options, asked, files, texts, history, source } = setup;
    let trust = Trust::gather(config.network.ca_pem.as_ref().map(|(pem, _)| pem.as_slice()))
        .map_err(|error| format!("the trusted certificates cannot be handed over: {error}"))?;
    let conf = ServerConf {
        threads: workers,
        ca_file: Some(trust.path()),
        upstream_keepalive_pool_size: POOL,
        ..ServerConf::default()
    };
    let tuned = Tuned::new(&config, options);
    let load = Arc::clone(&tuned.load);
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let metrics = Arc::new(Metrics::new()?);
    let proxy = EdgeProxy::new(Shared {
        snapshot: Arc::clone(&snapshot),
        resolver: Arc::clone(&tuned.resolver),
        admin: Arc::clone(&admin),
        translator: Arc::new(Translator::new(&conf, Arc::clone(&tuned.resolver))),
        load: Arc::clone(&load),
        manner: Arc::clone(&tuned.manner),
        metrics: Arc::clone(&metrics),
        metrics_inside: bound.iter().any(Bound::is_inside),
        connections: tuned.connections(),
    });
    let conf = Arc::new(conf);
    let hosted = |proxy: &EdgeProxy| edge::hosted(http_proxy(&conf, proxy.clone()));
    let (outside, within) = (hosted(&proxy), proxy.inside());
    let inside = bound.iter().any(Bound::is_inside).then(|| hosted(&within));
    let (stop, stopped) = watch::channel(false);
    let mut accepting = JoinSet::new();
    let mut certificates = Vec::new();
    for Bound { listen, listener, inside: is_inside } in bound {
        let certificate = certificate(&listen)?;
        certificates.extend(certificate.clone());
        let (app, desk) = match &inside {
            Some(inside) if is_inside => (inside, &within),
            _ => (&outside, &proxy),
        };
        let edge = Edge::new(Arc::clone(app), desk.clone(), Arc::clone(&tuned.rules))
            .with_certificate(certificate)
            .announced_by(listen.announced.then(|| Arc::clone(&snapshot)));
        accepting.spawn(accept(edge, listen.address, listener, stopped.clone()));
    }
    tokio::spawn(keep_certificates(certificates));
    tokio::spawn(keep_memory(tuned.clone()));
    let reloads = asked.reloads();
    let followed = tuned.clone();
    let tune = Box::new(move |config: &Config, taken: bool| {
        tuned.follow(config);
        admin.follow(config, taken);
    });
    let told = Box::new(Told::new(metrics, history, &texts));
    tokio::spawn(Reloader::new(asked, config, snapshot, source, tune, told).watching(files).run());
    tokio::spawn(systemd::keep_alive());
    systemd::ready("serving, generation 1");
    signals.stop(&reloads).await;
    tokio::select! {
        () = drain::drain(&followed, &stop, accepting) => {}
        () = signals.stop(&reloads) => {}
    }
    let refused = proxy.tally().summary();
    if !refused.is_empty() {
        log::info!("refused since the start: {refused}");
    }
    Ok(())
}

fn certificate(listen: &Listen) -> Result<Option<Arc<Certificate>>, String> {
    let loaded = listen.tls.clone().map(Certificate::load).transpose();
    loaded.map(|loaded| loaded.map(Arc::new)).map_err(|fault| fault.to_string())
}

/// Serves one listener until `stopped` says so.
async fn accept(edge: Edge, address: SocketAddr, listener: TcpListener, stopped: watch::Receiver<bool>) {
    let mut service = Service::new("edge".into(), edge);
    // Heads and bodies are read into buffers of their own: one more of 64 KiB for each idle connection serves nobody.
    let unread = L4BufferSettings::default().read(0);
    service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(unread));
    let mut descriptors = Fds::new();
    descriptors.add(address.to_string(), listener.into_raw_fd());
    service.start_service(Some(Arc::new(Mutex::new(descriptors))), stopped, 1).await;
}

/// Reads certificates again when their files have changed.
async fn keep_certificates(certificates: Vec<Arc<Certificate>>) {
    let certificates = Arc::new(certificates);
    while !certificates.is_empty() {
        tokio::time::sleep(CERTIFICATES).await;
        let all = Arc::clone(&certificates);
        let _ = tokio::task::spawn_blocking(move || all.iter().for_each(|certificate| certificate.refresh())).await;
    }
}

/// Says when the process holds more memory than it may.
async fn keep_memory(tuned: Tuned) {
    loop {
        tuned.load.note_memory(tuned.is_short_of_memory());
        tokio::time::sleep(MEMORY).await;
    }
}

/// What a start prints: where it listens, and what it serves.
pub fn announce(bound: &[Bound], config: &Config) -> String {
    let mut out = String::new();
    for endpoint in config.endpoints.iter() {
        let mark = if endpoint.auth == Some(true) { "key " } else { "open" };
        let below = if endpoint.include_subpath { "/*" } else { "" };
        out += &format!("  {mark}  {}{below}\n", endpoint.name());
    }
    for Bound { listen, inside, .. } in bound {
        let scheme = if listen.tls.is_some() { "https" } else { "http" };
        match inside {
            false => out += &format!("listening on {scheme}://{}\n", listen.address),
            true => out += &format!("metrics on {scheme}://{}/metrics\n", listen.address),
        }
    }
    out
}
