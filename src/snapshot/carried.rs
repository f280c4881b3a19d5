//! What goes on being counted when a snapshot follows another.
//!
//! The law: who keeps its name keeps what is counted for it, also where the count begins to be limited only now. What the name is
//! made of is for whoever asks: of a route what it serves, of an upstream where it leads and with which credentials, and never how
//! much it is allowed.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::health::Health;
use crate::limit::Counter;

/// What is counted, by what it is counted for.
#[derive(Debug, Default)]
pub(super) struct Carried {
    counters: FxHashMap<String, Arc<Counter>>,
    healths: FxHashMap<String, Arc<Health>>,
}

/// What a snapshot takes over, and what it will hand on.
#[derive(Debug)]
pub(super) struct Handover<'b> {
    before: Option<&'b Carried>,
    next: Carried,
}

impl<'b> Handover<'b> {
    /// From the snapshot before.
    pub(super) fn from(before: Option<&'b Carried>) -> Self {
        Self { before, next: Carried::default() }
    }

    /// The counter of who is called `name`.
    pub(super) fn counter(&mut self, name: &str) -> Arc<Counter> {
        let known = self.before.and_then(|before| before.counters.get(name)).cloned().unwrap_or_default();
        self.next.counters.insert(name.to_owned(), Arc::clone(&known));
        known
    }

    /// How the upstream called `name` has been.
    pub(super) fn health(&mut self, name: &str) -> Arc<Health> {
        let known = self.before.and_then(|before| before.healths.get(name)).cloned().unwrap_or_default();
        self.next.healths.insert(name.to_owned(), Arc::clone(&known));
        known
    }

    /// What the next snapshot is handed.
    pub(super) fn done(self) -> Carried {
        self.next
    }
}
