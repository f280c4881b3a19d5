//! A request for a model without a server: the same service, at the other end of a pipe.
//!
//! The law: nothing is done here that a server would do otherwise; there is no caller whose rights could be judged, since who
//! has the config has its keys.

use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, Result};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v1::client::HttpSession;
use tokio::io::{DuplexStream, duplex};

use super::{Ended, Translator};
use crate::admit::Heard;
use crate::rejection::Rejection;
use crate::snapshot::{Service, Snapshot};
use crate::translate::Problem;

/// What is on its way at once.
const PIPE: usize = 64 << 10;

impl Translator {
    /// Asks the model that `body` names, by way of `service`, and hands what comes back to `take`, piece by piece.
    ///
    /// # Errors
    /// Nobody has answered, or the answer has ended with an error.
    pub async fn complete(
        &self,
        snapshot: &Snapshot,
        service: &Service,
        body: Bytes,
        take: impl FnMut(&[u8]),
    ) -> Result<(), Problem> {
        let (near, far) = duplex(PIPE);
        let internal = |_: Box<Error>| Rejection::Internal.problem();
        let (served, read) = tokio::join!(self.piped(far, snapshot, service, body), read(near, take));
        match served.map_err(internal)? {
            Ok(Ended::Whole) => read.map_err(internal),
            Ok(Ended::Told(rejection)) | Err(rejection) => Err(rejection.problem()),
            Ok(Ended::Gone) => Err(Rejection::Internal.problem()),
        }
    }

    async fn piped(
        &self,
        pipe: DuplexStream,
        snapshot: &Snapshot,
        service: &Service,
        body: Bytes,
    ) -> Result<Result<Ended, Rejection>> {
        let mut http = ServerSession::new_http1(Box::new(pipe));
        http.read_request().await?;
        let heard = Heard::alone(&uuid::Uuid::new_v4().to_string());
        let served = self.unasked(&mut http, snapshot, service, body, heard).await;
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
