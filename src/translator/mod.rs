//! The translation service: a request for a model is answered here, inside the process.
//!
//! `asking` reads a request and finds its model, `serve` goes from deployment to deployment until one answers, `exchange` is
//! one of them asked once, `upload` the request on its way there, `relay` passes a stream on and `whole` an answer of one piece;
//! `reply` writes what the client sees, and `witness` hears how it went. `hosted` is all of it without a proxy, `alone` without a
//! server.
//! The law: nothing of a request is sent to a model before it is admitted; a request is tried again only while its client has
//! not been sent a byte; a client that leaves ends the call to the model; nothing grows with a stream's length.
//!
//! It does not decide who may ask, nor count what it serves: `admit` does, and whoever calls [`Translator::serve`].

mod alone;
mod asking;
mod exchange;
mod hosted;
mod list;
mod relay;
mod reply;
mod serve;
mod upload;
mod whole;
mod witness;

use std::sync::Arc;

use arc_swap::ArcSwap;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::server::configuration::ServerConf;

pub use asking::{Asking, Unread, heard};
pub use list::{listed, one};
pub use serve::{Ended, Wish};
pub use witness::Witness;

use crate::resolve::Resolver;

/// The service. It has its own connections to upstreams.
pub struct Translator {
    connector: Connector,
    resolver: Arc<ArcSwap<Resolver>>,
}

impl Translator {
    /// A service with connections as `conf` has them.
    pub fn new(conf: &ServerConf, resolver: Arc<ArcSwap<Resolver>>) -> Self {
        Self { connector: Connector::new(Some(ConnectorOptions::from_server_conf(conf))), resolver }
    }
}
