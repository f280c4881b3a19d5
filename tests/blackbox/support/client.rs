//! A client that writes exactly the bytes it is given.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};

use super::{Message, PATIENCE};

/// One connection to the gate.
pub struct Client {
    /// The reading half, buffered.
    pub reader: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Client {
    /// Connects to `port` on loopback.
    pub fn connect(port: u16) -> Self {
        Self::over(TcpStream::connect(("127.0.0.1", port)).expect("the gate accepts"))
    }

    /// The same, from an address of loopback's.
    pub fn connect_from(address: Ipv4Addr, port: u16) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::from((address, 0)).into()).expect("bind");
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the gate accepts");
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { reader: BufReader::new(stream.try_clone().expect("clone")), stream }
    }

    /// Writes `bytes`.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Writes until nothing more is taken.
    pub fn stall(&mut self) {
        self.stream.set_nonblocking(true).expect("nonblocking");
        let block = vec![b'x'; 1 << 20];
        let mut refused = 0;
        // The buffers on the way still drain for a moment after the first refusal.
        while refused < 50 {
            match self.stream.write(&block) {
                Ok(taken) if taken > 0 => refused = 0,
                _ => {
                    refused += 1;
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
        }
        self.stream.set_nonblocking(false).expect("blocking");
    }

    /// Reads the next final answer whole. `method`: what was asked, since HEAD has no body.
    pub fn answer(&mut self, method: &str) -> io::Result<Message> {
        let mut message = self.head()?;
        while (100..200).contains(&message.status()) {
            message = self.head()?;
        }
        if method != "HEAD" && !matches!(message.status(), 204 | 304) {
            let mut body = Vec::new();
            let read = message.read_body(&mut self.reader, true, |piece| body.extend_from_slice(piece));
            message.body = body;
            read?;
        }
        Ok(message)
    }

    /// Reads the next head.
    pub fn head(&mut self) -> io::Result<Message> {
        Message::head(&mut self.reader)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends and reads.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Message> {
        let bytes = bytes.as_ref();
        let method = String::from_utf8_lossy(bytes).split(' ').next().unwrap_or_default().to_owned();
        self.write(bytes)?;
        self.answer(&method)
    }

    /// Whether the other side has ended the connection in order.
    pub fn is_ended(&mut self) -> bool {
        matches!(self.reader.read(&mut [0; 1]), Ok(0))
    }

    /// Whether no byte comes for `time`.
    pub fn hears_nothing_for(&mut self, time: std::time::Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("timeout");
        let silent = matches!(self.reader.fill_buf(), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        silent
    }

    /// Ends the connection with a reset, which overtakes what has not been sent.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).expect("linger");
    }

    /// Ends the connection.
    pub fn close(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// One request on a connection of its own. `lines`: start line and fields, without `Host` and the framing of `body`.
pub fn send(port: u16, lines: &str, body: &[u8]) -> Message {
    let mut text: String = lines.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    text += "Host: gate.test\r\n";
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    Client::connect(port).ask(&bytes).unwrap_or_else(|error| panic!("{lines}: {error}"))
}
