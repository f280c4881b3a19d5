//! What the benches share: servers to measure, clients to load them, and how a figure is taken.
//!
//! Law: a figure that is taken in two benches is taken by the same code.
//!
//! Not here, on purpose: limits and verdicts. Each bench has its own, where its reader finds them.
#![allow(dead_code, reason = "each bench is a program of its own and uses its part")]

pub(crate) mod access;
pub(crate) mod certificate;
pub(crate) mod clients;
pub(crate) mod h2load;
pub(crate) mod idle;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod model;
pub(crate) mod openssl;
pub(crate) mod process;
pub(crate) mod reload;
pub(crate) mod sample;
pub(crate) mod servers;
pub(crate) mod stats;
pub(crate) mod talk;
pub(crate) mod wrk;
