//! What every request needs, and how it is treated.
//!
//! The law: whatever can change while requests are served is behind a swap; nothing here is one request's.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Format, Load};
use crate::admin::Admin;
use crate::downstream::Rate;
use crate::limit::Connections;
use crate::metrics::Metrics;
use crate::resolve::Resolver;
use crate::snapshot::Snapshot;
use crate::translator::Translator;

/// How the proxy behaves for every request.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How access lines are written.
    pub format: Format,
    /// The share of requests without any fault that have one.
    pub sample: f64,
    /// Whether upstream requests are described in the log.
    pub detailed: bool,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
    /// The least that a body must bring.
    pub body: Rate,
}

/// What every request needs, shared with those who change it.
#[derive(Clone)]
pub struct Shared {
    /// The config in force.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Names.
    pub resolver: Arc<ArcSwap<Resolver>>,
    /// The key API.
    pub admin: Arc<Admin>,
    /// Who asks models.
    pub translator: Arc<Translator>,
    /// What the process carries.
    pub load: Arc<Load>,
    /// How requests are treated.
    pub manner: Arc<ArcSwap<Manner>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether a listener of their own serves them.
    pub metrics_inside: bool,
    /// The connections that are held.
    pub connections: Arc<Connections>,
}
