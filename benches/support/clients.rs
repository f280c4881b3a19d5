//! Clients that keep their connections and never retry, each a thread.
//!
//! Law: a request is done when a whole 200 with the upstream's body came, and lost in every other case: no connection, a
//! reset, an end before the answer's, silence, another answer. After a lost one the client connects anew and asks the
//! next. A `Connection: close` is obeyed; what was announced loses nothing.
//!
//! Not here, on purpose: a look before each request whether the server has closed meanwhile, as careful clients take. It
//! narrows the gap and cannot close it: the end may be on its way. Answers in chunks, which this upstream never sends,
//! count as other ones.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::load::{ANSWER, header, question};

/// How long one may wait for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the requests.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) lost: u64,
    /// Why the first one was lost.
    pub(crate) first: Option<String>,
}

/// Clients that go on until this value is dropped.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Clients {
    /// Lets `count` of them go at `port`.
    pub(crate) fn start(port: u16, count: usize) -> Clients {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || client(port, &stop, &done))
        };
        let threads = (0..count).map(client).collect();
        Clients { stop, done, threads }
    }

    /// The requests done so far, by all.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Lets each end the request that it is at, and adds up.
    pub(crate) fn finish(mut self) -> Result<Tally, String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for thread in self.threads.drain(..) {
            let tally = thread.join().map_err(|_| "a client panicked")?;
            sum.done += tally.done;
            sum.lost += tally.lost;
            sum.first = sum.first.or(tally.first);
        }
        Ok(sum)
    }
}

impl Drop for Clients {
    /// For a bench that failed: nobody waits for them, but they end.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn client(port: u16, stop: &AtomicBool, done: &AtomicU64) -> Tally {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = question(address, "");
    let mut tally = Tally::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        kept = match ask(kept, address, &request) {
            Ok(stream) => {
                tally.done += 1;
                done.fetch_add(1, Ordering::Relaxed);
                stream
            }
            Err(why) => {
                tally.lost += 1;
                tally.first.get_or_insert(why);
                None
            }
        };
    }
    tally
}

/// One request on the connection that was kept, or a new one: the connection, when it may be kept again.
fn ask(kept: Option<TcpStream>, address: SocketAddr, request: &str) -> Result<Option<TcpStream>, String> {
    let mut stream = match kept {
        Some(stream) => stream,
        None => connect(address).map_err(|e| format!("no connection: {e}"))?,
    };
    stream.write_all(request.as_bytes()).map_err(|e| format!("not sent: {e}"))?;
    let mut seen = Vec::with_capacity(1024);
    let mut piece = [0; 1024];
    loop {
        let count = match stream.read(&mut piece) {
            // A read with a deadline is interrupted when the process is stopped for a moment (signal(7)), as machines
            // that are shared do. No server is to blame.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(|e| format!("no whole answer: {e}"))?,
        };
        if count == 0 {
            return Err(format!("the connection ended after {} bytes of the answer", seen.len()));
        }
        seen.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length: Option<usize> = header(head, "content-length").and_then(|length| length.parse().ok());
        if !head.starts_with("HTTP/1.1 200 ") || length != Some(ANSWER.len()) {
            return Err(format!("another answer: {}", head.lines().next().unwrap_or_default()));
        }
        if body.len() >= ANSWER.len() {
            let close = header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            return if body == ANSWER { Ok((!close).then_some(stream)) } else { Err("another body".to_owned()) };
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
