//! Where a request goes: the URL of the file, joined with what the client asked for below the route.
//!
//! `target` parses the URL and writes the upstream's path, `query` merges parameters, `shown` prints a URL without
//! its secrets, `address` tells metadata addresses, `tls` holds what an
//! upstream is shown and must show.
//! The law: scheme, host and port are always the configured ones, whatever a client sends. Nothing is dialled here.

pub mod address;
mod query;
mod shown;
mod target;
mod tls;

pub use query::{QueryError, QueryPlan, encode};
pub use target::{Host, Target, TargetError};
pub use tls::{Identity, Roots, ServerName, TlsError, TlsProfile};
