//! An upstream that keeps every byte that arrives, and judges it without mercy.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::PATIENCE;

/// What arrived on one connection.
type Bytes = Arc<Mutex<Vec<u8>>>;

/// The upstream.
pub struct StrictOrigin {
    /// Its port.
    pub port: u16,
    connections: Arc<Mutex<Vec<Bytes>>>,
}

/// One request, as a strict reader finds it.
#[derive(Debug)]
pub struct Request {
    /// Method and target.
    pub start: String,
    /// The fields.
    pub fields: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Request {
    /// The values of `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

impl StrictOrigin {
    /// An upstream on a port of its own; it answers 200 to every whole request.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let bytes = Bytes::default();
                all.lock().expect("lock").push(Arc::clone(&bytes));
                thread::spawn(move || serve(stream, &bytes));
            }
        });
        Self { port, connections }
    }

    /// Every whole request that has arrived, and whether something else has.
    pub fn judge(&self) -> (Vec<Request>, Vec<String>) {
        let (mut requests, mut faults) = (Vec::new(), Vec::new());
        for bytes in self.connections.lock().expect("lock").iter() {
            let bytes = bytes.lock().expect("lock").clone();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                match read(rest) {
                    Ok((request, length)) => {
                        requests.push(request);
                        rest = &rest[length..];
                    }
                    Err(why) => {
                        faults.push(format!("{why}: {}", rest.escape_ascii()));
                        break;
                    }
                }
            }
        }
        (requests, faults)
    }
}

fn serve(mut stream: TcpStream, bytes: &Mutex<Vec<u8>>) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let (mut answered, mut buffer) = (0, vec![0; 64 << 10]);
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            return;
        }
        let mut bytes = bytes.lock().expect("lock");
        bytes.extend_from_slice(&buffer[..count]);
        while let Ok((_, length)) = read(&bytes[answered..]) {
            answered += length;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }
}

/// Reads one request: what it is, and how long; or why it is none.
fn read(bytes: &[u8]) -> Result<(Request, usize), &'static str> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no whole head")?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no UTF-8")?;
    let mut lines = head.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let words: Vec<&str> = start.split(' ').collect();
    let [_, target, "HTTP/1.1"] = words.as_slice() else { return Err("a first line of other than three words") };
    if !target.starts_with('/') || target.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
        return Err("a target that is no path");
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or("a field without a colon and a blank")?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("a field's name that is no token");
        }
        if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) || value != value.trim() {
            return Err("a field's value with controls or blanks around it");
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
    let mut request = Request { start: format!("{} {target}", words[0]), fields, body: Vec::new() };
    for name in ["content_length", "transfer_encoding", "trailer", "te", "upgrade", "http2-settings"] {
        if !request.all(name).is_empty() {
            return Err("a field that frames a message for somebody else");
        }
    }
    if request.all("host").len() != 1 {
        return Err("other than one Host");
    }
    let (lengths, codings) = (request.all("content-length"), request.all("transfer-encoding"));
    let rest = &bytes[end + 4..];
    let length = match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => 0,
        ([length], []) => {
            let canonical = length.parse::<usize>().ok().filter(|number| number.to_string() == **length);
            let length = canonical.ok_or("a length that is no number")?;
            request.body = rest.get(..length).ok_or("no whole body")?.to_vec();
            length
        }
        ([], ["chunked"]) => {
            let (body, length) = chunks(rest)?;
            request.body = body;
            length
        }
        _ => return Err("more than one length"),
    };
    Ok((request, end + 4 + length))
}

fn chunks(bytes: &[u8]) -> Result<(Vec<u8>, usize), &'static str> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n").ok_or("no whole chunk")?;
        let digits = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| "a chunk size that is no number")?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("a chunk size that is no number, or an extension");
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| "a chunk size that is no number")?;
        at += line + 2;
        let chunk = bytes.get(at..at + size + 2).ok_or("no whole chunk")?;
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk that does not end, or a trailer");
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok((body, at));
        }
    }
}
