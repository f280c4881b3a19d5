//! A model's server of the bench's own: OpenAI's Chat Completions over HTTP/1.1, each connection a thread.
//!
//! Law: what it answers is fixed beforehand, byte for byte, and the same whoever stands between. A stream goes on when its
//! client has seen what was sent, so that what is sent at once stays one piece on the whole way: one event, or as many as the
//! bench wants. Requests that are held are answered when all of them are there.
//!
//! Not here, on purpose: TLS, HTTP/2, anything that a request says beyond its length and its client's number.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::load::{ANSWER, PATH};

/// What stands before a client's number in its request's text.
pub(crate) const CLIENT: &str = "client-";
/// Stands once in each event, and nowhere else.
pub(crate) const MARK: u8 = b'~';

/// How long a thread waits for what others do.
const PATIENCE: Duration = Duration::from_secs(60);
const STACK: usize = 128 << 10;

/// An answer of one piece.
const COMPLETION: &str = r#"{"id":"chatcmpl-CGm2wK4mS1dZ8Qm3tYb7Rk","object":"chat.completion","created":1767225600,"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"The capital of the United States is Washington, D.C. It lies on the Potomac, between Maryland and Virginia, and is a district of its own: none of the states has it.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":238,"completion_tokens":37,"total_tokens":275,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_4fce0778af"}"#;

/// How it answers.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// In one piece.
    Whole,
    /// By so many events, of which so many come at once.
    Stream { events: usize, at_once: usize },
    /// In one piece, once so many ask.
    Held(usize),
}

/// The server. Its threads end with the bench, or with their connections.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) port: u16,
    shared: Arc<(Mutex<Shared>, Condvar)>,
}

struct Shared {
    manner: Manner,
    /// The events that each client has seen of its stream.
    seen: Vec<usize>,
    held: usize,
}

impl Model {
    /// A server for `clients` that are known by their number.
    pub(crate) fn start(clients: usize) -> Result<Model, String> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| format!("no port for the model: {e}"))?;
        let port = listener.local_addr().map_err(|e| format!("no port for the model: {e}"))?.port();
        let shared = Shared { manner: Manner::Whole, seen: vec![0; clients], held: 0 };
        let model = Model { port, shared: Arc::new((Mutex::new(shared), Condvar::new())) };
        let serving = model.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let model = serving.clone();
                // An error is a connection that has ended: whoever asked there says so.
                let serve = move || drop(model.serve(&stream));
                thread::Builder::new().stack_size(STACK).spawn(serve).map(drop).unwrap_or_default();
            }
        });
        Ok(model)
    }

    /// Answers like this from now on.
    pub(crate) fn answer(&self, manner: Manner) {
        let mut shared = self.lock();
        shared.manner = manner;
        shared.held = 0;
    }

    /// A client has seen so many events of its stream; none before it asks.
    pub(crate) fn saw(&self, client: usize, events: usize) {
        self.lock().seen[client] = events;
        self.shared.1.notify_all();
    }

    /// How many requests are held.
    pub(crate) fn held(&self) -> usize {
        self.lock().held
    }

    /// Lets the held ones go.
    pub(crate) fn release(&self) {
        self.answer(Manner::Whole);
        self.shared.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&Shared) -> bool) -> io::Result<()> {
        let (held, waited) = self
            .shared
            .1
            .wait_timeout_while(self.lock(), PATIENCE, |shared| !until(shared))
            .unwrap_or_else(PoisonError::into_inner);
        drop(held);
        if waited.timed_out() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut body = Vec::new();
        let whole = |body: &str| {
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        loop {
            let path = read(&mut reader, &mut body)?;
            let manner = self.lock().manner;
            let mut stream = stream;
            match manner {
                _ if path == PATH => stream.write_all(whole(ANSWER).as_bytes())?,
                Manner::Whole => stream.write_all(whole(COMPLETION).as_bytes())?,
                Manner::Stream { events, at_once } => self.stream(stream, number(&body), events, at_once)?,
                Manner::Held(count) => {
                    self.lock().held += 1;
                    body = Vec::new();
                    self.wait(|shared| !matches!(shared.manner, Manner::Held(wanted) if wanted == count))?;
                    stream.write_all(whole(COMPLETION).as_bytes())?;
                }
            }
        }
    }

    fn stream(&self, mut stream: &TcpStream, client: usize, events: usize, at_once: usize) -> io::Result<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let first = chunk(&event(r#"{"role":"assistant","content":"","refusal":null}"#, "null"));
        stream.write_all(&[head.as_bytes(), &first].concat())?;
        let word = event(&format!(r#"{{"content":" {}word"}}"#, MARK as char), "null");
        let (mut sent, piece) = (0, chunk(&word.repeat(at_once)));
        while sent < events {
            stream.write_all(&piece)?;
            sent += at_once;
            self.wait(|shared| shared.seen.get(client).is_none_or(|seen| *seen >= sent))?;
        }
        let end = [event("{}", "\"stop\""), "data: [DONE]\n\n".to_owned()].concat();
        stream.write_all(&[chunk(&end), b"0\r\n\r\n".to_vec()].concat())
    }
}

/// A `chat.completion.chunk`.
fn event(delta: &str, finish: &str) -> String {
    format!(
        r#"data: {{"id":"chatcmpl-CGm2wK4mS1dZ8Qm3tYb7Rk","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_4fce0778af","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
    ) + "\n\n"
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Reads a request: its path, and its body into `body`.
fn read(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<String> {
    let (mut path, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or("-").to_owned();
        } else if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
            }
        } else {
            body.resize(length, 0);
            reader.read_exact(body)?;
            return Ok(path);
        }
    }
}

/// The client's number in its request.
fn number(body: &[u8]) -> usize {
    let text = String::from_utf8_lossy(body);
    let digits = text.split_once(CLIENT).map_or("", |(_, rest)| rest);
    digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse().unwrap_or(usize::MAX)
}
