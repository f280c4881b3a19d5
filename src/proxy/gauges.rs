//! What `/metrics` looks up for each answer: how the process stands at this moment.
//!
//! The law: nothing here grows with traffic; of keys the limits are told that are nearest to their end, a bounded number of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::EdgeProxy;
use crate::auth::Key;
use crate::clock::Moment;
use crate::metrics::Gauge;
use crate::{logger, memory};

/// Keys whose limits are told.
const MOST_KEYS: usize = 200;

const PINNED: &str = "tollgate_config_pinned";
const LOST: &str = "tollgate_log_lines_lost_total";
const LEFT: &str = "litellm_remaining_api_key_requests";
const LEFT_HELP: &str =
    "Requests that a key may still make within the minute, for those that are nearest to their limit.";

impl EdgeProxy {
    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let snapshot = self.shared.snapshot.load();
        let mut out = vec![
            Gauge::new(
                "tollgate_requests_in_flight",
                "Requests that are being served.",
                self.shared.load.in_flight() as f64,
            ),
            Gauge::new(
                "tollgate_connections",
                "Connections of clients that are held.",
                self.shared.connections.count() as f64,
            ),
            Gauge::new(
                "tollgate_config_generation",
                "How many configs have been in force.",
                self.shared.admin.generation() as f64,
            ),
        ];
        let pinned = self.shared.admin.pinned().unwrap_or(0);
        out.push(Gauge::new(
            PINNED,
            "The kept config that is in force instead of the file; 0: the file is.",
            pinned as f64,
        ));
        out.push(Gauge::new(
            "tollgate_draining",
            "1 after a stop has been asked for.",
            f64::from(u8::from(self.shared.load.is_draining())),
        ));
        out.push(
            Gauge::new("tollgate_build_info", "1, with the version.", 1.0).with("version", env!("CARGO_PKG_VERSION")),
        );
        out.push(Gauge::new(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
            self.shared.load.started(),
        ));
        for (log, lost) in logger::lost() {
            out.push(Gauge::counter(LOST, "Lines that a log has lost.", lost).with("log", log));
        }
        if let Some(held) = memory::held() {
            out.push(Gauge::new("process_resident_memory_bytes", "Memory that the process holds.", held as f64));
        }
        let Some(book) = snapshot.keyring.book() else { return out };
        let keys = book.keys();
        out.push(Gauge::new("tollgate_keys", "Virtual keys that are known.", keys.len() as f64));
        out.extend(left(&keys, Moment::now().steady));
        out
    }
}

/// What is left of the limits that are nearest to their end.
fn left(keys: &[Arc<Key>], now: u64) -> Vec<Gauge> {
    let mut used: Vec<(u32, &Arc<Key>)> = keys
        .iter()
        .filter_map(|key| {
            let most = key.record.quota.requests?;
            let remaining = key.counter().remaining(most, now);
            (remaining < most).then_some((remaining, key))
        })
        .collect();
    used.sort_by_key(|(remaining, key)| (*remaining, key.record.id));
    // Keys that are shown alike are one series, which the nearest to its limit stands for.
    let mut shown = HashSet::new();
    used.retain(|(_, key)| shown.insert((key.record.shown(), &key.record.team_id)));
    used.truncate(MOST_KEYS);
    used.into_iter()
        .map(|(remaining, key)| {
            Gauge::new(LEFT, LEFT_HELP, f64::from(remaining))
                .with("api_key_alias", key.record.shown())
                .with("team", key.record.team_id.clone().unwrap_or_default())
        })
        .collect()
}
