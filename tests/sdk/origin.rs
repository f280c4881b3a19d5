//! A fake of a provider: TLS on a port that the system picks, HTTP/1.1 or HTTP/2 as ALPN decides. It writes down
//! everything it gets and answers with a pure function of the request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;

use crate::http1::{self, Message};

/// Any failure of a connection.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// What a client said before anything was encrypted.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The server it wants.
    pub sni: Option<String>,
    /// The protocols it offers.
    pub alpn: Vec<String>,
}

/// The connection that a request came over.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Its number, from 0.
    pub number: usize,
    /// The certificate that the client showed.
    pub client: Option<Vec<u8>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The connection it came over.
    pub link: Link,
    /// The server that the connection was made for.
    pub sni: Option<String>,
    /// The protocol agreed on.
    pub alpn: Option<String>,
    /// The method.
    pub method: String,
    /// The path and the query.
    pub path: String,
    /// Every `Host` line, or the one `:authority` and every `host` beside it.
    pub hosts: Vec<String>,
    /// The other headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The values of `name`.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
    }

    /// Everything but the body: path, hosts and headers, a line each.
    pub fn head(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
        format!("{} {}\n{}\n{headers}", self.method, self.path, self.hosts.join("\n"))
    }
}

/// An answer; more than one piece is sent piece by piece.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub pieces: Vec<Bytes>,
}

/// How a provider answers.
pub type Respond = fn(&Seen) -> Answer;

/// The fake. It ends when it is dropped.
pub struct Origin {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Log {
    hellos: Vec<Hello>,
    requests: Vec<Seen>,
    /// What came over HTTP/1.1, framing and all.
    bytes: Vec<u8>,
}

impl Origin {
    /// Starts one.
    pub fn start(config: Arc<ServerConfig>, respond: Respond) -> Self {
        Self::listen(Some(config), respond)
    }

    /// Starts one that speaks HTTP/1.1 without TLS.
    pub fn plain(respond: Respond) -> Self {
        Self::listen(None, respond)
    }

    fn listen(config: Option<Arc<ServerConfig>>, respond: Respond) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let log = Arc::<Mutex<Log>>::default();
        let shared = log.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, log) = (config.clone(), shared.clone());
                // A connection that breaks shows in what is missing from the log.
                tokio::spawn(async move {
                    match config {
                        Some(config) => serve(stream, config, &log, respond).await,
                        None => serve_http1(stream, Link::default(), None, None, &log, respond).await,
                    }
                });
            }
        });
        Self { address, log, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connections that were begun.
    pub fn hellos(&self) -> Vec<Hello> {
        lock(&self.log).hellos.clone()
    }

    /// The requests that arrived.
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.log).requests.clone()
    }

    /// The one request that arrived.
    pub fn only_request(&self) -> Seen {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// Whether `needle` is anywhere in what arrived.
    pub fn has_seen(&self, needle: &str) -> bool {
        let log = lock(&self.log);
        let decoded =
            |seen: &Seen| seen.head().contains(needle) || http1::find(&seen.body, needle.as_bytes()).is_some();
        http1::find(&log.bytes, needle.as_bytes()).is_some() || log.requests.iter().any(decoded)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

async fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    log: &Arc<Mutex<Log>>,
    respond: Respond,
) -> Result<(), Broken> {
    stream.set_nodelay(true)?;
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let hello = begun.client_hello();
    let offered = hello.alpn().into_iter().flatten().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let sni = hello.server_name().map(str::to_owned);
    let number = {
        let mut log = lock(log);
        log.hellos.push(Hello { sni: sni.clone(), alpn: offered });
        log.hellos.len() - 1
    };
    let stream = begun.into_stream(config).await?;
    let tls = stream.get_ref().1;
    let alpn = tls.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let client = tls.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec());
    let link = Link { number, client };
    match alpn.as_deref() {
        Some("h2") => serve_http2(stream, link, sni, log, respond).await,
        _ => serve_http1(stream, link, sni, alpn, log, respond).await,
    }
}

async fn serve_http1(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    link: Link,
    sni: Option<String>,
    alpn: Option<String>,
    log: &Mutex<Log>,
    respond: Respond,
) -> Result<(), Broken> {
    let mut pending = Vec::with_capacity(64 << 10);
    loop {
        let Some((message, length)) = Message::parse(&pending) else {
            let before = pending.len();
            if stream.read_buf(&mut pending).await? == 0 {
                return Ok(());
            }
            lock(log).bytes.extend(&pending[before..]);
            continue;
        };
        pending.drain(..length);
        let mut words = message.start.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (hosts, headers): (Vec<_>, Vec<_>) =
            message.headers.into_iter().partition(|(name, _)| name.eq_ignore_ascii_case("host"));
        let hosts = hosts.into_iter().map(|(_, value)| value).collect();
        let (link, sni, alpn) = (link.clone(), sni.clone(), alpn.clone());
        let seen = Seen { link, sni, alpn, method, path, hosts, headers, body: message.body };
        let answer = respond(&seen);
        lock(log).requests.push(seen);
        write_http1(&mut stream, answer).await?;
    }
}

async fn write_http1(stream: &mut (impl AsyncWrite + Unpin), answer: Answer) -> Result<(), Broken> {
    let Answer { status, content_type, pieces } = answer;
    let reason = StatusCode::from_u16(status)?.canonical_reason().unwrap_or_default();
    let framing = match &pieces[..] {
        [whole] => format!("content-length: {}", whole.len()),
        _ => "transfer-encoding: chunked".to_owned(),
    };
    let head = format!("HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    if let [whole] = &pieces[..] {
        stream.write_all(whole).await?;
    } else {
        for piece in pieces {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
            stream.write_all(&chunk).await?;
            stream.flush().await?;
        }
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(stream.flush().await?)
}

async fn serve_http2(
    stream: TlsStream<TcpStream>,
    link: Link,
    sni: Option<String>,
    log: &Arc<Mutex<Log>>,
    respond: Respond,
) -> Result<(), Broken> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, reply) = accepted?;
        let (link, sni, log) = (link.clone(), sni.clone(), log.clone());
        tokio::spawn(async move { answer_http2(request, reply, (link, sni), &log, respond).await });
    }
    Ok(())
}

async fn answer_http2(
    request: http::Request<h2::RecvStream>,
    mut reply: h2::server::SendResponse<Bytes>,
    (link, sni): (Link, Option<String>),
    log: &Mutex<Log>,
    respond: Respond,
) -> Result<(), Broken> {
    let (parts, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend(piece);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let (hosts, headers): (Vec<_>, Vec<_>) = parts
        .headers
        .iter()
        .chain(&trailers)
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .partition(|(name, _)| name == "host");
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    let seen = Seen {
        link,
        sni,
        alpn: Some("h2".to_owned()),
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(|path| path.to_string()).unwrap_or_default(),
        hosts: authority.into_iter().chain(hosts.into_iter().map(|(_, value)| value)).collect(),
        headers,
        body,
    };
    let Answer { status, content_type, pieces } = respond(&seen);
    lock(log).requests.push(seen);
    let head = Response::builder().status(status).header("content-type", content_type).body(())?;
    let mut stream = reply.send_response(head, false)?;
    for piece in pieces {
        stream.send_data(piece, false)?;
    }
    stream.send_data(Bytes::new(), true)?;
    Ok(())
}
