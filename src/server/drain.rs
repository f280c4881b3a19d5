//! The end of a process, in order.
//!
//! The law: readiness is 503 at once. For the time of the notice connections are still accepted, and every answer is its connection's
//! last, so that who keeps connections alive meets no closed one. Then nobody is accepted, HTTP/2 clients get GOAWAY, and what is
//! being served may end, streams by a time of their own; what does not is cut, and is seen to be. The process is gone as soon as nothing is left: no wait is longer than it has to be. A second signal ends it
//! at once.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::tuned::Tuned;
use crate::systemd;

/// How often it is looked whether anything is left.
const LOOK: Duration = Duration::from_millis(10);

/// How long what is cut may take to notice.
const CUT: Duration = Duration::from_secs(1);

/// How long the steps may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For idle connections to hear of it.
    pub(super) notice: Duration,
    /// For requests to end.
    pub(super) end: Duration,
    /// For streams to end.
    pub(super) streams: Duration,
}

/// Ends it; `stop` closes the listeners, whose tasks are `accepting`.
pub(super) async fn drain(tuned: &Tuned, stop: &watch::Sender<bool>, mut accepting: JoinSet<()>) {
    let (load, connections) = (&tuned.load, tuned.connections());
    let patience = **tuned.patience.load();
    let left = format!(
        "stopping: {} requests are being served, {} connections are held",
        load.in_flight(),
        connections.count()
    );
    log::info!("{left}");
    systemd::stopping(&left);
    load.begin_drain();
    let _ = timeout(patience.notice, until(|| connections.count() == 0)).await;
    let _ = stop.send(true);
    let begun = Instant::now();
    let ended = async {
        while accepting.join_next().await.is_some() {}
        until(|| load.in_flight() == load.streams()).await;
    };
    if timeout(patience.end, ended).await.is_err() {
        log::warn!("{} requests are cut", load.in_flight() - load.streams().min(load.in_flight()));
        load.cut_requests();
    }
    let rest = patience.streams.saturating_sub(begun.elapsed());
    let only_cut = || load.cuts(false) && load.streams() == 0;
    if timeout(rest, until(|| load.in_flight() == 0 || only_cut())).await.is_err() {
        log::warn!("{} streams are cut", load.streams());
    }
    load.cut_all();
    // Each is seen to end, so that none looks whole.
    let _ = timeout(CUT, until(|| load.in_flight() == 0)).await;
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(LOOK).await;
    }
}
