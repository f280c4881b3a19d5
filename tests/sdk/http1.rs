//! HTTP/1.1 messages, requests and answers alike: enough to read what Tollgate sends, byte for byte as it came.

/// A message whose end has arrived.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// Names and values in order, as they were written.
    pub headers: Vec<(String, String)>,
    /// The body, without its chunk framing.
    pub body: Vec<u8>,
}

impl Message {
    /// The message at the start of `bytes` and how long it is; None while more must be read.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = find(bytes, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]);
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| line.split_once(':').unwrap_or_else(|| panic!("no header line: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut message = Self { start, headers, body: Vec::new() };
        let length = if message.values("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked")) {
            let (body, length) = unchunk(&bytes[end..])?;
            message.body = body;
            length
        } else {
            let length = message.values("content-length").first().map_or(0, |value| value.parse().expect("a length"));
            message.body = bytes.get(end..end + length)?.to_vec();
            length
        };
        Some((message, end + length))
    }

    /// The values of `name`.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
    }
}

/// A chunked body and the length of its framing and all; None while more must be read.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = String::from_utf8_lossy(&bytes[at..at + line]);
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        at += line + 2;
        if size == 0 {
            // Trailer lines, and the empty one.
            loop {
                let line = find(&bytes[at..], b"\r\n")?;
                at += line + 2;
                if line == 0 {
                    return Some((body, at));
                }
            }
        }
        body.extend(bytes.get(at..at + size)?);
        bytes.get(at + size..at + size + 2)?;
        at += size + 2;
    }
}

/// Where `needle` begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, needle)
}
