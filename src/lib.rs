//! Tollgate, an edge proxy for AI APIs.
//!
//! A file becomes a [`config::Config`], a config becomes a [`snapshot::Snapshot`], a request meets a snapshot and becomes an
//! [`admit::Admission`] or a [`rejection::Rejection`], and only then does Pingora touch the network. `ARCHITECTURE.md` shows
//! the house; `tests/floors.rs` holds its law that a file imports only lower floors.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// Floor 0
pub mod clock;
pub mod provider;
pub mod secret;
// Floor 1
pub mod config;
// Floor 2
pub mod auth;
pub mod client;
pub mod framing;
pub mod header;
pub mod limit;
pub mod route;
pub mod translate;
pub mod uplink;
pub mod upstream;
// Floor 3
pub mod admit;
pub mod health;
pub mod management;
pub mod rejection;
pub mod snapshot;
// Floor 4a
pub mod dial;
pub mod downstream;
pub mod history;
pub mod logger;
pub mod memory;
pub mod metrics;
pub mod reload;
pub mod resolve;
pub mod store;
pub mod systemd;
pub mod trust;
// Floor 4b
pub mod admin;
pub mod edge;
pub mod proxy;
pub mod translator;
// Floor 5
pub mod cli;
pub mod completion;
pub mod server;
