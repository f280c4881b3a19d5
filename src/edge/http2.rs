//! The requests that share one HTTP/2 connection.
//!
//! The law: each ends by itself. Where the process cuts one, its stream is reset (RFC 9113 section 5.4.2), and the others go on.
//!
//! Pingora accepts the streams and runs each as a task of its own; here such a task is given what the edge and the request know
//! together, and races with the cut. A request that is dropped in the middle resets its stream.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use tokio::sync::Notify;

use crate::downstream::Fate;
use crate::proxy::{EdgeProxy, Load};

/// One connection, as Pingora serves it.
pub(super) struct Streams {
    proxy: Arc<HttpProxy<EdgeProxy>>,
    load: Arc<Load>,
    /// Tells every request to look whether it is cut.
    looked: Notify,
}

impl Streams {
    pub(super) fn new(proxy: Arc<HttpProxy<EdgeProxy>>, load: Arc<Load>) -> Self {
        Self { proxy, load, looked: Notify::new() }
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
            () = self.cuts(&fate) => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.proxy.server_options()
    }
}
