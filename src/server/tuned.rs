//! What a config decides beside its snapshot, and how another changes it while requests run.
//!
//! The law: a connection ends with the rules it began with, a request with the manner it began with; what is counted goes on
//! being counted under the new limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use log::LevelFilter;

use super::Options;
use super::drain::Patience;
use crate::config::{Config, Edge};
use crate::downstream::Rate;
use crate::edge::{Rules, Times};
use crate::framing::Limits;
use crate::limit::Connections;
use crate::proxy::{Load, Manner};
use crate::resolve::Resolver;
use crate::{logger, memory};

/// All of it, shared with those who work by it.
#[derive(Clone)]
pub(super) struct Tuned {
    pub(super) load: Arc<Load>,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) manner: Arc<ArcSwap<Manner>>,
    pub(super) resolver: Arc<ArcSwap<Resolver>>,
    pub(super) patience: Arc<ArcSwap<Patience>>,
    memory: Arc<AtomicU64>,
    options: Options,
}

impl Tuned {
    pub(super) fn new(config: &Config, options: Options) -> Self {
        let edge = &config.edge;
        logger::set_level(level(config, options));
        let connections = Connections::new(most_connections(edge), edge.connections_per_address);
        Self {
            load: Arc::new(Load::new(edge.in_flight)),
            rules: Arc::new(ArcSwap::from_pointee(rules(edge, Arc::new(connections)))),
            manner: Arc::new(ArcSwap::from_pointee(manner(config, options))),
            resolver: Arc::new(ArcSwap::from_pointee(Resolver::new(&config.network))),
            patience: Arc::new(ArcSwap::from_pointee(patience(edge))),
            memory: Arc::new(AtomicU64::new(most_memory(edge))),
            options,
        }
    }

    /// From now on all of it is as `config` says.
    pub(super) fn follow(&self, config: &Config) {
        let edge = &config.edge;
        self.load.set_most(edge.in_flight);
        logger::set_level(level(config, self.options));
        if let Err(error) = logger::access_to(&config.log.to) {
            log::error!("tollgate.log_to: {error}; the access log goes where it went before");
        }
        let connections = self.connections();
        connections.set(most_connections(edge), edge.connections_per_address);
        self.rules.store(Arc::new(rules(edge, connections)));
        self.manner.store(Arc::new(manner(config, self.options)));
        let next = self.resolver.load().following(&config.network);
        self.resolver.store(Arc::new(next));
        self.patience.store(Arc::new(patience(edge)));
        self.memory.store(most_memory(edge), Ordering::Relaxed);
    }

    /// The connections that are held.
    pub(super) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.rules.load().connections)
    }

    /// Whether the process holds more memory than it may.
    pub(super) fn is_short_of_memory(&self) -> bool {
        let most = self.memory.load(Ordering::Relaxed);
        most < u64::MAX && memory::held().is_some_and(|held| held > most)
    }
}

fn most_connections(edge: &Edge) -> usize {
    edge.connections.unwrap_or_else(memory::connections)
}

/// Without any limit it is never reached.
fn most_memory(edge: &Edge) -> u64 {
    edge.memory.or_else(memory::allowed).unwrap_or(u64::MAX)
}

/// What flags and variables say wins.
fn level(config: &Config, options: Options) -> LevelFilter {
    options.level.or(config.log.level).unwrap_or(LevelFilter::Info)
}

fn rules(edge: &Edge, connections: Arc<Connections>) -> Rules {
    let seconds = Duration::from_secs_f64;
    Rules {
        head: Limits { bytes: edge.header_bytes, fields: edge.header_fields, target: edge.target_bytes },
        times: Times {
            head: seconds(edge.header_seconds),
            idle: seconds(edge.keepalive_seconds),
            write: seconds(edge.write_seconds),
            body: body_rate(edge),
        },
        connections,
    }
}

fn patience(edge: &Edge) -> Patience {
    let seconds = Duration::from_secs_f64;
    Patience {
        notice: seconds(edge.notice_seconds),
        end: seconds(edge.drain_seconds),
        streams: seconds(edge.stream_seconds),
    }
}

fn manner(config: &Config, options: Options) -> Manner {
    Manner {
        format: options.format(config.log.format),
        sample: config.log.sample,
        detailed: options.detailed,
        write_timeout: Duration::from_secs_f64(config.edge.write_seconds),
        body: body_rate(&config.edge),
    }
}

fn body_rate(edge: &Edge) -> Rate {
    Rate { bytes: edge.body_rate, window: Duration::from_secs_f64(edge.body_seconds) }
}
