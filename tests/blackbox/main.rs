//! Black-box tests: the real binary, driven over sockets, judged at the origin by the bytes that arrived there.
//!
//! The law: every server binds a port that the system picks; nothing sleeps for luck; what is asserted of a request is read
//! from the origin's own record, not from what the proxy says.

mod adapters;
mod bodies;
mod canary;
mod clients;
mod command;
mod credentials;
mod dashboard;
mod drain;
mod endpoints;
mod faults;
mod frames;
mod guessing;
mod headers;
mod health;
mod hosted;
mod hostile;
mod http2;
mod keys;
mod limits;
mod listeners;
mod litellm;
mod log;
mod messages;
mod metrics;
mod model_calls;
mod model_ends;
mod model_faults;
mod model_rights;
mod models;
mod names;
mod natives;
mod probe;
mod reload;
mod retries;
mod rights;
mod routes;
mod running;
mod segments;
mod service;
mod slow;
mod store;
mod store_crash;
mod store_faults;
mod support;
