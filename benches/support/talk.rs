//! Clients of a model, each a thread with a connection of its own.
//!
//! Law: an answer counts when it is a whole 200 in the language that its path promises, and every event of a stream is in it;
//! anything else ends the load in words. Events are counted as they come, and the model is told of each.
//!
//! Not here, on purpose: answers of one piece under load, which are wrk's.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::load::Done;
use super::model::{CLIENT, MARK, Model};
use super::servers::KEY;

/// How long one may wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const STACK: usize = 128 << 10;

/// A way to the model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the adapter.
    Adapter,
    /// As it is.
    Through,
}

impl Way {
    pub(crate) const BOTH: [Way; 2] = [Way::Through, Way::Adapter];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Way::Adapter => "/v1/messages",
            Way::Through => "/through",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Adapter => "adapter",
            Way::Through => "pass-through",
        }
    }

    /// What an answer ends with, streamed or not.
    fn ends(self, streams: bool) -> &'static str {
        match (self, streams) {
            (Way::Adapter, false) => r#""output_tokens":37,"output_tokens_details":{"thinking_tokens":0}}}"#,
            (Way::Through, false) => r#""system_fingerprint":"fp_4fce0778af"}"#,
            (Way::Adapter, true) => "data: {\"type\":\"message_stop\"}\n\n\r\n0\r\n\r\n",
            (Way::Through, true) => "data: [DONE]\n\n\r\n0\r\n\r\n",
        }
    }
}

/// A request of Anthropic's Messages whose body has `length` bytes, of the client `number`.
pub(crate) fn question(length: usize, number: usize, stream: bool) -> String {
    let system = "You are a helpful assistant who answers in one sentence, without lists and without headings.";
    let begin = format!(
        r#"{{"model":"claude","max_tokens":1024,"temperature":0.7,"stream":{stream},"system":"{system}","messages":[{{"role":"user","content":"Hello."}},{{"role":"assistant","content":"Hello! What can I do for you?"}},{{"role":"user","content":[{{"type":"text","text":"{CLIENT}{number} "#
    );
    let end = r#"What is the capital of the United States?"}]}]}"#;
    let words = "The quick brown fox jumps over the lazy dog, and the dog \\\"sleeps\\\".\\n";
    let room = length.saturating_sub(begin.len() + end.len());
    let filler = words.repeat(room / words.len()) + &" ".repeat(room % words.len());
    begin + &filler + end
}

/// One client with its connection.
pub(crate) struct Client {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Result<Client, String> {
        let connect = || -> io::Result<TcpStream> {
            let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = connect().map_err(|e| format!("no connection: {e}"))?;
        Ok(Client { stream, seen: Vec::new() })
    }

    /// Sends `body` and reads the whole answer. `saw` hears how many events have come; back comes when the first bytes of the
    /// answer's body did.
    pub(crate) fn ask(
        &mut self,
        way: Way,
        body: &str,
        streams: bool,
        mut saw: impl FnMut(usize),
    ) -> Result<Duration, String> {
        let (path, length) = (way.path(), body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nx-api-key: {KEY}\r\n\
             anthropic-version: 2023-06-01\r\nContent-Length: {length}\r\n\r\n"
        );
        self.seen.clear();
        let begun = Instant::now();
        let sent = self.stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
        sent.map_err(|e| format!("not sent: {e}"))?;
        let (mut first, mut events) = (None, 0);
        let mut piece = [0; 16 << 10];
        loop {
            let count = match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|e| format!("no whole answer: {e}; {}", self.begins()))?,
            };
            if count == 0 {
                return Err(format!("the connection ended within an answer: {}", self.begins()));
            }
            self.seen.extend_from_slice(&piece[..count]);
            if first.is_none() && !self.begins().ends_with("\r\n\r\n") {
                first = Some(begun.elapsed());
            }
            let more = piece[..count].iter().filter(|byte| **byte == MARK).count();
            if more > 0 {
                events += more;
                saw(events);
            }
            if self.seen.ends_with(way.ends(streams).as_bytes()) {
                break;
            }
            if !self.seen.starts_with(b"HTTP/1.1 200 ") {
                return Err(format!("another answer: {}", self.begins()));
            }
        }
        Ok(first.unwrap_or_default())
    }

    /// The beginning of an answer, its head at least.
    fn begins(&self) -> String {
        String::from_utf8_lossy(&self.seen[..self.seen.len().min(2048)]).into_owned()
    }
}

/// Streams of `events` each, by `clients` at once, for some seconds: how many events came.
pub(crate) fn streams(
    port: u16,
    model: &Model,
    way: Way,
    clients: usize,
    events: usize,
    time: Duration,
) -> Result<Done, String> {
    let begun = Instant::now();
    let client = |number: usize| -> Result<usize, String> {
        let body = question(1024, number, true);
        let mut client = Client::connect(port)?;
        let mut all = 0;
        while begun.elapsed() < time {
            model.saw(number, 0);
            let mut last = 0;
            client.ask(way, &body, true, |seen| {
                last = seen;
                model.saw(number, seen);
            })?;
            if last != events {
                return Err(format!("{last} events of {events} came"));
            }
            all += last;
        }
        Ok(all)
    };
    let sum: Result<usize, String> = thread::scope(|scope| {
        let client = &client;
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(move || client(number))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a client panicked".to_owned())?).sum()
    });
    let requests = u32::try_from(sum?).map_err(|e| e.to_string())?;
    Ok(Done { requests, seconds: begun.elapsed().as_secs_f64() })
}

/// `clients` that have sent `body` each and wait, of which `while_held` hears when the model has them all.
pub(crate) fn at_once<T>(
    port: u16,
    model: &Model,
    way: Way,
    clients: usize,
    body: &str,
    while_held: impl FnOnce() -> T,
) -> Result<T, String> {
    let waiting: Result<Vec<Client>, String> = (0..clients).map(|_| Client::connect(port)).collect();
    let threads: Vec<_> = waiting?
        .into_iter()
        .map(|mut client| {
            let body = body.to_owned();
            let ask = move || client.ask(way, &body, false, |_| {}).map(drop);
            thread::Builder::new().stack_size(STACK).spawn(ask).map_err(|e| format!("no thread: {e}"))
        })
        .collect::<Result<_, _>>()?;
    let begun = Instant::now();
    while model.held() < clients && begun.elapsed() < PATIENCE && !threads.iter().any(|thread| thread.is_finished()) {
        thread::sleep(Duration::from_millis(20));
    }
    let all = model.held() == clients;
    let found = while_held();
    model.release();
    for thread in threads {
        thread.join().map_err(|_| "a client panicked")??;
    }
    if all { Ok(found) } else { Err(format!("not all of {clients} requests were there at once")) }
}
