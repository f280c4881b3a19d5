//! The requests that share one HTTP/2 connection.
//!
//! The law: each ends by itself. Where the process cuts one, its stream is reset (RFC 9113 section 5.4.2), and the others go on.
//! The connection ends with the rules it began with: its client has been told of them.
//!
//! Pingora accepts the streams and runs each as a task of its own; here such a task is given what the edge and the request know
//! together, and races with the cut. A request that is dropped in the middle resets its stream.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;

use super::Rules;
use crate::downstream::Fate;
use crate::proxy::{EdgeProxy, Load};

/// The most requests that run on a connection at once.
const MOST_STREAMS: u32 = 100;

/// One connection, as Pingora serves it.
pub(super) struct Streams {
    proxy: Arc<HttpProxy<EdgeProxy>>,
    load: Arc<Load>,
    settings: H2Options,
    options: HttpServerOptions,
    /// Tells every request to look whether it is cut.
    looked: Notify,
}

impl Streams {
    /// One that begins under `rules`.
    pub(super) fn new(proxy: Arc<HttpProxy<EdgeProxy>>, load: Arc<Load>, rules: &Rules) -> Self {
        let mut settings = default_h2_options();
        settings.max_header_list_size(u32::try_from(rules.head.bytes).unwrap_or(u32::MAX));
        settings.max_concurrent_streams(MOST_STREAMS);
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(rules.times.idle);
        Self { proxy, load, settings, options, looked: Notify::new() }
    }

    /// Something has had its time: every request looks whether that is its own.
    pub(super) fn look(&self) {
        self.looked.notify_waiters();
    }

    /// Ready when a request of this fate is cut.
    async fn cuts(&self, fate: &Fate) {
        loop {
            let mut looked = pin!(self.looked.notified());
            // From here on nothing that is told is missed.
            looked.as_mut().enable();
            if self.load.cuts(fate.is_stream()) {
                // The request reads it when it is dropped, which is next.
                return fate.cut();
            }
            looked.await;
        }
    }
}

#[async_trait]
impl HttpServerApp for Streams {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let fate = Arc::new(Fate::default());
        session.req_header_mut().extensions_mut().insert(Arc::clone(&fate));
        tokio::select! {
            biased;
            served = self.proxy.process_new_http(session, shutdown) => served,
            () = poll_fn(|_| {
                // The request waits: what it has written so far is to go.
                fate.uplink.push();
                Poll::Pending
            }) => None,
            () = self.cuts(&fate) => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.settings.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
