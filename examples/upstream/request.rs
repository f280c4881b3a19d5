//! A request, read strictly: framing that two readers could read differently is 400, so a proxy in
//! front that lets such a request through is found out.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: usize = 16 << 20;
const TOO_LARGE: Failure = Failure::Refused(413, "a body may have 16 MiB");

/// A request, with its whole body.
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, byte for byte as they came.
    pub(crate) target: String,
    /// In order of arrival, names as written.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// No chunks, no keep-alive.
    pub(crate) http_1_0: bool,
}

impl Request {
    /// The next request, or None when the client closed between two.
    pub(crate) async fn read(
        read: &mut (impl AsyncBufRead + Unpin),
        write: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Option<Self>, Failure> {
        let mut room = MAX_HEAD;
        let Some(line) = read_line(read, &mut room).await? else {
            return Ok(None);
        };
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(bad("a request line is METHOD TARGET VERSION"));
        };
        let http_1_0 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return Err(Failure::Refused(505, "HTTP/1.1 only")),
        };
        if !is_token(method) || !target.starts_with('/') {
            return Err(bad("the target must be a path"));
        }
        let headers = read_fields(read, &mut room).await?;
        let mut request =
            Self { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new(), http_1_0 };
        if !http_1_0 && request.values("host").count() != 1 {
            return Err(bad("exactly one Host is needed"));
        }
        let framing = Framing::of(&request)?;
        match request.values("expect").next() {
            Some(word) if !word.eq_ignore_ascii_case("100-continue") => {
                return Err(Failure::Refused(417, "only 100-continue can be expected"));
            }
            Some(_) if !http_1_0 => write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?,
            _ => {}
        }
        match framing {
            Framing::Length(length) => {
                request.body.resize(length, 0);
                read.read_exact(&mut request.body).await?;
            }
            Framing::Chunked => read_chunks(read, &mut request.body).await?,
        }
        Ok(Some(request))
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The values of every line of that name, any case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated header holds that word, any case.
    fn lists(&self, name: &str, word: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        !self.http_1_0 && !self.lists("connection", "close")
    }
}

/// Why no request came out of the bytes.
pub(crate) enum Failure {
    /// The client is told, and the connection ends: where the next request begins is no longer known.
    Refused(u16, &'static str),
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

fn bad(message: &'static str) -> Failure {
    Failure::Refused(400, message)
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Framing {
    fn of(request: &Request) -> Result<Self, Failure> {
        let mut codings = request.values("transfer-encoding");
        let mut lengths = request.values("content-length");
        match (codings.next(), codings.next(), lengths.next(), lengths.next()) {
            (None, _, None, _) => Ok(Self::Length(0)),
            (None, _, Some(length), None) => {
                if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(bad("Content-Length is a number"));
                }
                match length.parse() {
                    Ok(length) if length <= MAX_BODY => Ok(Self::Length(length)),
                    _ => Err(TOO_LARGE),
                }
            }
            (None, _, Some(_), Some(_)) => Err(bad("more than one Content-Length")),
            (Some(_), _, Some(_), _) => Err(bad("both Content-Length and Transfer-Encoding")),
            (Some(coding), None, None, _) if coding.eq_ignore_ascii_case("chunked") => match request.http_1_0 {
                true => Err(bad("HTTP/1.0 knows no Transfer-Encoding")),
                false => Ok(Self::Chunked),
            },
            (Some(_), ..) => Err(Failure::Refused(501, "the only transfer coding here is chunked")),
        }
    }
}

async fn read_chunks(read: &mut (impl AsyncBufRead + Unpin), body: &mut Vec<u8>) -> Result<(), Failure> {
    loop {
        let line = read_line(read, &mut 4096).await?.ok_or(io::ErrorKind::UnexpectedEof).map_err(io::Error::from)?;
        let size = line.split(';').next().unwrap_or_default().trim_end();
        if size.is_empty() || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad("a chunk begins with its size in hex"));
        }
        let size = usize::from_str_radix(size, 16).map_err(|_| TOO_LARGE)?;
        if size > MAX_BODY - body.len() {
            return Err(TOO_LARGE);
        }
        if size == 0 {
            // Trailers are read, and dropped.
            let mut room = MAX_HEAD;
            return read_fields(read, &mut room).await.map(drop);
        }
        let start = body.len();
        body.resize(start + size, 0);
        read.read_exact(&mut body[start..]).await?;
        let mut end = [0; 2];
        read.read_exact(&mut end).await?;
        if &end != b"\r\n" {
            return Err(bad("a chunk is longer than its size"));
        }
    }
}

/// Header or trailer lines, up to the empty one.
async fn read_fields(
    read: &mut (impl AsyncBufRead + Unpin),
    room: &mut usize,
) -> Result<Vec<(String, String)>, Failure> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(read, room).await?.ok_or(io::ErrorKind::UnexpectedEof).map_err(io::Error::from)?;
        if line.is_empty() {
            return Ok(fields);
        }
        match line.split_once(':') {
            Some((name, value)) if is_token(name) => {
                fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
            }
            _ => {
                return Err(bad("a header line is NAME: VALUE, without a space before the colon"));
            }
        }
    }
}

/// One line without its CRLF, taken out of `room`; None at the end of the connection.
async fn read_line(read: &mut (impl AsyncBufRead + Unpin), room: &mut usize) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let taken = read.take(*room as u64).read_until(b'\n', &mut line).await?;
    *room -= taken;
    match line.strip_suffix(b"\r\n") {
        Some(text) if text.iter().any(|byte| matches!(byte, 0 | b'\r')) => Err(bad("a line holds CR or NUL")),
        Some(text) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
        None if taken == 0 && *room > 0 => Ok(None),
        None if *room == 0 => Err(Failure::Refused(431, "the head is too large")),
        None if line.ends_with(b"\n") => Err(bad("a line ends with CRLF")),
        None => Err(Failure::Broken(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
