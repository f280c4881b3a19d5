//! What one load of one server cost.
//!
//! Law: CPU is user + system of the server's whole process tree, divided by the requests that the client saw
//! answered as they should be.
//!
//! Not here, on purpose: the client. Whatever says how many requests it made can be measured with.

use super::load::Done;
use super::process::Cpu;
use super::servers::Server;

/// One load of one server.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Per request, in µs.
    pub(crate) cpu: Cpu,
    pub(crate) requests: u64,
    pub(crate) rate: f64,
}

/// Lets `load` go at a server.
pub(crate) fn measure(
    server: &mut Server,
    load: impl FnOnce(&Server) -> Result<Done, String>,
) -> Result<Sample, String> {
    let before = server.process.cpu()?;
    let done = load(server).map_err(|why| format!("{}: {why}", server.name))?;
    let spent = server.process.cpu()?.since(before);
    let requests = f64::from(done.requests);
    Ok(Sample {
        cpu: Cpu { user: spent.user / requests, system: spent.system / requests },
        requests: u64::from(done.requests),
        rate: requests / done.seconds,
    })
}
