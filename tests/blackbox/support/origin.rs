//! An upstream that records what arrives and answers as a test tells it to.

use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::{Message, PATIENCE, wait_until};

/// An upstream on a port of its own.
pub struct Origin {
    /// Its port.
    pub port: u16,
    seen: Arc<Mutex<Vec<Message>>>,
}

/// One request at the origin, and the way to answer it.
pub struct Exchange {
    /// The request's number on this connection, from 0.
    pub number: usize,
    /// The head; the body too, unless the handler reads it.
    pub request: Message,
    /// The reading half.
    pub reader: BufReader<TcpStream>,
    /// The writing half.
    pub stream: TcpStream,
}

impl Exchange {
    /// Writes `bytes`.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Answers 200 with `body`.
    pub fn ok(&mut self, body: &str) -> io::Result<()> {
        self.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// Ends the connection with a reset.
    pub fn reset(&self) {
        let linger = socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
        linger.expect("linger");
    }

    /// Waits until the other side has gone.
    pub fn wait_gone(&mut self) {
        use std::io::Read;
        let mut buffer = [0; 1024];
        while matches!(self.reader.read(&mut buffer), Ok(count) if count > 0) {}
    }
}

impl Origin {
    /// An origin that reads whole requests and answers each with `answer`.
    pub fn start(answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::with(true, answer)
    }

    /// An origin whose handler reads the body itself.
    pub fn streaming(answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::with(false, answer)
    }

    /// An origin that says 200 to everything.
    pub fn plain() -> Self {
        Self::start(|exchange| exchange.ok("fine"))
    }

    fn with(whole: bool, answer: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
                thread::spawn(move || {
                    let _ = serve(stream, whole, &record, &*answer);
                });
            }
        });
        Self { port, seen }
    }

    /// Its URL with `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything that has arrived.
    pub fn seen(&self) -> Vec<Message> {
        self.seen.lock().expect("lock").clone()
    }

    /// The only request that has arrived.
    pub fn only(&self) -> Message {
        wait_until("a request arrives", || !self.seen().is_empty());
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.into_iter().next().expect("one")
    }

    /// The newest request that has arrived.
    pub fn last(&self) -> Message {
        self.seen().pop().expect("a request has arrived")
    }
}

fn serve(
    stream: TcpStream,
    whole: bool,
    record: &Mutex<Vec<Message>>,
    answer: &(dyn Fn(&mut Exchange) -> io::Result<()> + Send + Sync),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for number in 0.. {
        let Some(mut request) = Message::head(&mut reader)? else { return Ok(()) };
        if whole {
            let mut body = Vec::new();
            let read = request.read_body(&mut reader, false, |piece| body.extend_from_slice(piece));
            request.body = body;
            if let Err(error) = read {
                request.start += " (broken)";
                record.lock().expect("lock").push(request);
                return Err(error);
            }
        }
        record.lock().expect("lock").push(request.clone());
        let mut exchange = Exchange { number, request, reader, stream: stream.try_clone()? };
        answer(&mut exchange)?;
        reader = exchange.reader;
    }
    Ok(())
}
