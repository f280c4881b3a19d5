//! The end of a process, in order.
//!
//! The law: readiness is 503 at once. For the time of the notice connections are still accepted, and every answer is its connection's
//! last, so that who keeps connections alive meets no closed one. Then nobody is accepted, HTTP/2 clients get GOAWAY, and what is
//! being served may end, requests and streams each by a time of their own; what does not is cut, and is seen to be. The process is
//! gone as soon as nothing is left: no wait is longer than it has to be. A second signal ends it at once.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::tuned::Tuned;
use crate::proxy::Load;
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
pub(super) async fn drain(tuned: &Tuned, stop: &watch::Sender<bool>, accepting: JoinSet<()>) {
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
    wait(load, patience, accepting).await;
    let cut = load.cuts_any();
    load.cut_requests();
    load.cut_streams();
    // Each is seen to end, so that none looks whole; over HTTP/2 a client hears of it before its connection ends.
    let _ = timeout(CUT, until(|| load.in_flight() == 0 && !(cut && connections.count() > 0))).await;
}

/// Waits for what is being served. Requests and streams have each a time of their own; what has had its time is cut.
async fn wait(load: &Load, patience: Patience, mut accepting: JoinSet<()>) {
    let begun = Instant::now();
    loop {
        while accepting.try_join_next().is_some() {}
        let streams = load.streams();
        let requests = load.in_flight().saturating_sub(streams);
        let taken = begun.elapsed();
        if taken >= patience.end && !load.cuts(false) {
            said("requests", requests);
            load.cut_requests();
        }
        if taken >= patience.streams && !load.cuts(true) {
            said("streams", streams);
            load.cut_streams();
        }
        // What is cut is waited for by who waits for all.
        let for_requests = !load.cuts(false) && (requests > 0 || !accepting.is_empty());
        if !for_requests && (load.cuts(true) || streams == 0) {
            return;
        }
        sleep(LOOK).await;
    }
}

fn said(kind: &str, count: usize) {
    if count > 0 {
        log::warn!("{count} {kind} are cut");
    }
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(LOOK).await;
    }
}
