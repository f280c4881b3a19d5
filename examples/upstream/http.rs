//! The wire: a small HTTP/1.1 server. Keep-alive and pipelining, bodies by length or in chunks,
//! `Expect: 100-continue`, HEAD, whole and streamed answers. `request.rs` reads, `response.rs` writes.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    request::{Failure, Request},
    response::Response,
};

/// A connection that has sent no whole request for this long is closed.
const IDLE: Duration = Duration::from_secs(90);
/// So long the last answer of a connection may be read before the socket goes.
const LINGER: Duration = Duration::from_secs(2);

/// Answers the requests of one connection until either side ends it.
pub(crate) async fn serve(mut stream: TcpStream, answer: impl Fn(&Request) -> Response) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    loop {
        match timeout(IDLE, Request::read(&mut read, &mut write)).await {
            Err(_) | Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(request))) => {
                answer(&request).write(&mut write, Some(&request)).await?;
                if request.keeps_alive() {
                    continue;
                }
            }
            Ok(Err(Failure::Refused(status, message))) => {
                Response::error(status, message).write(&mut write, None).await?;
            }
            Ok(Err(Failure::Broken(error))) => return Err(error),
        }
        return linger(read, write).await;
    }
}

/// Closes so that the client still reads the answer: a socket dropped with unread bytes would reset the connection.
async fn linger(mut read: impl AsyncBufRead + Unpin, mut write: impl AsyncWrite + Unpin) -> io::Result<()> {
    write.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let drained = timeout(LINGER, tokio::io::copy(&mut read, &mut nowhere)).await;
    drained.map_or(Ok(()), |copied| copied.map(drop))
}
