//! What systemd is told of the service, and what it hands over (sd_notify(3), sd_listen_fds(3)).
//!
//! The law: without systemd nothing is said and nothing is taken; what cannot be said is logged and changes nothing. A socket that was
//! handed over serves the address that it is bound to; one that nobody asked for is an error, since whoever connected to it would wait
//! for ever.

use std::net::TcpListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// Requests are served.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The config is being read again.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("systemd cannot be told the time: {error}"),
    }
}

/// The service is about to end.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tells systemd twice in each of its intervals that the service lives. It ends when there is no such interval.
pub async fn keep_alive() {
    let Some(interval) = sd_notify::watchdog_enabled().map(|interval| interval / 2) else { return };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval.max(Duration::from_millis(10))).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd cannot be told: {error}");
    }
}

/// The listening sockets that this process was handed.
pub fn handed_over() -> Result<Vec<TcpListener>, String> {
    let mut all = ListenFd::from_env();
    let mut out = Vec::new();
    for index in 0..all.len() {
        let taken = all.take_tcp_listener(index).map_err(|error| format!("socket {index} of LISTEN_FDS: {error}"))?;
        out.extend(taken);
    }
    Ok(out)
}
