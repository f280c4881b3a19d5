//! A request for a model without a server: the same service, at the other end of a pipe.
//!
//! The law: nothing is done here that a server would do otherwise; there is no caller whose rights could be judged, since who
//! has the config has its keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, Result};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::client::HttpSession;
use tokio::io::{DuplexStream, duplex};

use super::{Asking, Ended, Translator, Wish, Witness};
use crate::rejection::Rejection;
use crate::snapshot::{Service, Snapshot};
use crate::translate::Problem;

/// What is on its way at once.
const PIPE: usize = 64 << 10;

/// Nobody has to hear how it goes.
struct Nobody;

impl Witness for Nobody {
    fn asked(&mut self, _: &str, _: Instant) {}
    fn connected(&mut self, _: bool) {}
    fn answered(&mut self, _: u16) {}
    fn streams(&mut self) {}
    fn body(&mut self, _: usize) {}
    fn release(&mut self) {}
    fn own(&self) -> Option<Duration> {
        None
    }
    fn note(&mut self, text: &str) {
        log::debug!("{text}");
    }
}

impl Translator {
    /// Asks the model that `body` names, by way of `service`, and hands what comes back to `take`, piece by piece.
    ///
    /// # Errors
    /// Nobody has answered, or the answer has ended with an error.
    pub async fn complete(
        &self,
        snapshot: &Arc<Snapshot>,
        service: &Service,
        body: Bytes,
        take: impl FnMut(&[u8]),
    ) -> Result<(), Problem> {
        let told = |rejection: Rejection| Problem { status: rejection.status(), message: rejection.message() };
        let id = uuid::Uuid::new_v4().to_string();
        let asking = Asking::of(service, body, &id).map_err(|refusal| refusal.told())?;
        let model = asking.model().to_owned();
        let asked = snapshot.models.find(&model).ok_or_else(|| told(Rejection::NoModel(model.clone())))?;
        let fields = HeaderMap::new();
        let wish = Wish {
            snapshot,
            model: &model,
            asked: &asked,
            service,
            asking: &asking,
            fields: &fields,
            standing: &[],
            id: &id,
        };
        let (near, far) = duplex(PIPE);
        let internal = |_: Box<Error>| told(Rejection::Internal);
        let (served, read) = tokio::join!(self.serve_piped(far, wish), read(near, take));
        match served.map_err(internal)? {
            Ok(Ended::Whole) => read.map_err(internal),
            Ok(Ended::Told(rejection)) | Err(rejection) => Err(told(rejection)),
            Ok(Ended::Gone) => Err(told(Rejection::Internal)),
        }
    }

    async fn serve_piped(&self, pipe: DuplexStream, wish: Wish<'_>) -> Result<Result<Ended, Rejection>> {
        let mut http = ServerSession::new_http1(Box::new(pipe));
        http.read_request().await?;
        http.set_keepalive(None);
        let served = self.serve(&mut http, wish, &mut Nobody).await;
        http.finish().await?;
        Ok(served)
    }
}

/// Stands where a client would: asks for nothing in particular, and reads.
async fn read(pipe: DuplexStream, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut session = HttpSession::new(Box::new(pipe));
    let mut request = RequestHeader::build("POST", b"/", None)?;
    request.insert_header("Host", "-")?;
    request.insert_header("Content-Length", 0)?;
    session.write_request_header(Box::new(request)).await?;
    session.read_response().await?;
    while let Some(piece) = session.read_body_bytes().await? {
        take(&piece);
    }
    Ok(())
}
