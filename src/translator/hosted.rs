//! The service by itself, on whatever Pingora listens on: one end of a pipe, a Unix socket.
//!
//! The law: served as behind the proxy, but for admission: whoever can open the connection may ask, and nobody's limits count it.
//! A connection has one request.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Version, header};
use pingora::prelude::Result;
use pingora::protocols::http::ServerSession;
use tokio::time::timeout;

use super::asking::{heard, read_body};
use super::{Asking, Ended, Translator, Unread, Wish, Witness, reply};
use crate::admit::{Heard, MODEL_BODY};
use crate::rejection::Rejection;
use crate::snapshot::{Service, Snapshot};

/// Nobody has to hear how it goes.
struct Nobody;

impl Witness for Nobody {
    fn asked(&mut self, _: &str, _: Instant) {}
    fn connected(&mut self, _: bool) {}
    fn answered(&mut self, _: u16) {}
    fn streams(&mut self) {}
    fn body(&mut self, _: usize) {}
    fn release(&mut self) {}
    fn ends_connection(&self) -> bool {
        true
    }
    fn own(&self) -> Option<Duration> {
        None
    }
    fn note(&mut self, text: &str) {
        log::debug!("{text}");
    }
}

/// How long what still comes of a refused body is thrown away, so that its client reads why.
const LINGER: Duration = Duration::from_secs(2);

impl Translator {
    /// Reads the request at `http`, serves it by `service`, whatever its path, and ends the connection.
    ///
    /// # Errors
    /// The client has left, or has not spoken HTTP.
    pub async fn host(&self, http: &mut ServerSession, snapshot: &Snapshot, service: &Service) -> Result<()> {
        if !http.read_request().await? {
            return Ok(());
        }
        http.set_keepalive(None);
        let id = uuid::Uuid::new_v4().to_string();
        if let Err(rejection) = self.answer(http, snapshot, service, &id).await? {
            let call = heard(http.req_header(), snapshot, service, &id);
            reply::refuse(http, service, &rejection, &call.call()).await?;
            discard(http).await;
        }
        http.finish_body().await
    }

    async fn answer(
        &self,
        http: &mut ServerSession,
        snapshot: &Snapshot,
        service: &Service,
        id: &str,
    ) -> Result<Result<Ended, Rejection>> {
        let head = http.req_header();
        if head.method != Method::POST {
            return Ok(Err(Rejection::MethodNotAllowed(vec![Method::POST.to_string()])));
        }
        let heard = heard(head, snapshot, service, id);
        if head.version != Version::HTTP_10 && head.headers.contains_key(header::EXPECT) {
            http.write_continue_response().await?;
        }
        match read_body(http, snapshot.request_bytes.unwrap_or(MODEL_BODY), &|_| false).await {
            Ok(body) => Ok(self.unasked(http, snapshot, service, body, heard).await),
            Err(Unread::Refused(rejection)) => Ok(Err(rejection)),
            Err(Unread::Failed(error)) => Err(error),
        }
    }

    /// Serves `body`, the request that `heard` is the head of, to the client at `http`.
    ///
    /// # Errors
    /// It cannot be served, and the client has not been sent anything.
    pub(super) async fn unasked(
        &self,
        http: &mut ServerSession,
        snapshot: &Snapshot,
        service: &Service,
        body: Bytes,
        heard: Heard,
    ) -> Result<Ended, Rejection> {
        let asking = Asking::of(service, heard, body)?;
        let model = asking.model();
        let asked = snapshot.models.find(model).ok_or_else(|| Rejection::NoModel(model.to_owned()))?;
        let fields = http.req_header().headers.clone();
        let id = asking.call().id;
        let wish =
            Wish { snapshot, model, asked: &asked, service, asking: &asking, fields: &fields, standing: &[], id };
        self.serve(http, wish, &mut Nobody).await
    }
}

/// Reads and forgets what is left of the body.
async fn discard(http: &mut ServerSession) {
    let rest = async { while let Ok(Some(_)) = http.read_request_body().await {} };
    let _ = timeout(LINGER, rest).await;
}
