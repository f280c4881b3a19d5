//! The head of a request, judged line by line (RFC 9112 sections 2 to 6, RFC 9110 sections 5 and 7.2).
//!
//! The law: CR LF ends every line and nothing else does; one blank between the words of the first line; a field's name is a
//! token with its colon right behind; `Host`, `Content-Length` and `Transfer-Encoding` stand at most once and mean one thing.
//! Lines may come in pieces: [`Scan`] remembers how far it has looked, and refuses a wrong line before the head is whole.

use super::{Body, Chunks, Fault, is_text, is_token};

/// How much of a head is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the first of the request line to the end of the empty line.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the target.
    pub target: usize,
}

/// What a head declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where the body ends.
    pub body: Body,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub waits: bool,
    /// What of an absolute-form target stands before its path: the bytes to take out of the head to make it origin-form.
    pub origin: Option<(usize, usize)>,
}

/// A search for the end of a head that may come in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Everything before it has been looked at.
    line: usize,
}

/// How many bytes of CR LF stand before a request (RFC 9112 section 2.2).
fn leading(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n").count() * 2
}

impl Scan {
    /// Skips empty lines before the request: how many bytes to drop.
    pub fn skip(self, bytes: &[u8]) -> usize {
        if self.line == 0 { leading(bytes) } else { 0 }
    }

    /// Looks on in `bytes`, which begin with the request line: where the head ends, if it does. Of a head that is not whole
    /// yet the first line is judged, so that another protocol is refused without waiting for an end that may never come.
    pub fn find(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Fault> {
        let begun = self.line;
        while let Some(length) = bytes.get(self.line..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = self.line + length + 1;
            let line = bytes.get(self.line..end).unwrap_or_default();
            let text = line.strip_suffix(b"\r\n").ok_or(Fault::LineEnd)?;
            if end > limits.bytes {
                return Err(Fault::TooLarge);
            }
            if text.is_empty() {
                return Ok(Some(end));
            }
            self.line = end;
        }
        if self.line > 0 {
            if begun == 0 {
                let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
                request_line(first, limits)?;
            }
            return if bytes.len() > limits.bytes { Err(Fault::TooLarge) } else { Ok(None) };
        }
        match memchr::memchr(b' ', bytes) {
            Some(blank) if bytes.len() > blank + limits.target + LONGEST_VERSION => Err(Fault::TargetTooLong),
            None if bytes.len() > LONGEST_METHOD => Err(Fault::RequestLine),
            _ if bytes.first().is_some_and(|byte| !is_token(*byte) && *byte != b'\r') => Err(Fault::RequestLine),
            _ => Ok(None),
        }
    }
}

/// The longest method.
const LONGEST_METHOD: usize = 64;
/// ` HTTP/1.1` and its line end.
const LONGEST_VERSION: usize = 11;

/// A request line in its three parts.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    old: bool,
}

fn request_line<'a>(line: &'a [u8], limits: &Limits) -> Result<RequestLine<'a>, Fault> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version), None) => (method, target, version),
        _ => return Err(Fault::RequestLine),
    };
    if method.is_empty() || method.len() > LONGEST_METHOD || !method.iter().copied().all(is_token) {
        return Err(Fault::RequestLine);
    }
    if target.len() > limits.target {
        return Err(Fault::TargetTooLong);
    }
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Fault::Version);
        }
        _ => return Err(Fault::RequestLine),
    };
    if target.is_empty() || !target.iter().copied().all(is_target) {
        return Err(Fault::Target);
    }
    Ok(RequestLine { method, target, old })
}

/// What stands in a target. A fragment is none of a server's business (RFC 9112 section 3.2); quotes and angle brackets end
/// URLs for some readers, and octets of UTF-8 are taken as they are by most.
fn is_target(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !matches!(byte, b'#' | b'"' | b'<' | b'>')
}

/// Name and value of a field's line, the value without the blanks around it.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::Field)?;
    let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Fault::Field);
    }
    // Looked at to its end, which the compiler does for many bytes at once.
    if !value.iter().fold(true, |fits, byte| fits & is_text(*byte)) {
        return Err(if value.contains(&b'\r') { Fault::LineEnd } else { Fault::Field });
    }
    Ok((name, value.trim_ascii()))
}

/// What stands between line feeds.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = memchr::memchr(b'\n', text) else { return Some(text) };
        rest = text.get(end + 1..);
        text.get(..end)
    })
}

impl Head {
    /// Judges a whole head, which [`Scan::find`] has found the end of.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, Fault> {
        let mut lines = lines(bytes).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let request = request_line(lines.next().unwrap_or_default(), limits)?;
        let mut framing = Framing::default();
        for (count, line) in lines.take_while(|line| !line.is_empty()).enumerate() {
            if count >= limits.fields {
                return Err(Fault::TooLarge);
            }
            let (name, value) = field(line)?;
            framing.read(name, value)?;
        }
        let origin = framing.check_host(&request)?;
        Ok(Self { body: framing.body(request.old)?, waits: framing.waits && !request.old, origin })
    }
}

/// The fields of a head that decide how it is read.
#[derive(Default)]
struct Framing<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    coding: Option<&'a [u8]>,
    waits: bool,
}

impl<'a> Framing<'a> {
    fn read(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Fault> {
        // The first look is at the length of the name: most fields are not among those that matter here.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => match self.host.replace(value) {
                None => Ok(()),
                Some(_) => Err(Fault::Host),
            },
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.waits |= value.eq_ignore_ascii_case(b"100-continue");
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => match self.length.replace(number(value)?) {
                None => Ok(()),
                Some(_) => Err(Fault::Length),
            },
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => match self.coding.replace(value) {
                None => Ok(()),
                Some(_) => Err(Fault::Coding),
            },
            _ if looks_alike(name) => Err(Fault::LookAlike),
            _ => Ok(()),
        }
    }

    fn body(&self, old: bool) -> Result<Body, Fault> {
        match (self.coding, self.length) {
            (None, None | Some(0)) => Ok(Body::Done),
            (None, Some(length)) => Ok(Body::Length(length)),
            (Some(_), Some(_)) => Err(Fault::TwoLengths),
            // RFC 9112 section 6.1: HTTP/1.0 knows no codings, and one there is faulty framing.
            (Some(_), None) if old => Err(Fault::Coding),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Body::Chunked(Chunks::default())),
            (Some(coding), None) if is_known_coding(coding) => Err(Fault::CodingNotServed),
            (Some(_), None) => Err(Fault::Coding),
        }
    }

    /// One host, and the same in an absolute-form target (RFC 9112 section 3.2).
    fn check_host(&self, request: &RequestLine<'_>) -> Result<Option<(usize, usize)>, Fault> {
        match self.host {
            None if !request.old => return Err(Fault::Host),
            Some(host) if !is_authority(host) => return Err(Fault::Host),
            _ => {}
        }
        match request.target {
            [b'/', ..] => return Ok(None),
            b"*" if request.method == b"OPTIONS" => return Ok(None),
            target if request.method == b"CONNECT" && is_authority(target) => return Ok(None),
            _ => {}
        }
        let (scheme, rest) = split_scheme(request.target).ok_or(Fault::Target)?;
        let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if !is_authority(authority) || self.host.is_some_and(|host| !is_same(host, authority, scheme)) {
            return Err(Fault::Host);
        }
        let begin = request.method.len() + 1;
        Ok(Some((begin, begin + request.target.len() - (rest.len() - end))))
    }
}

/// A number without sign, blank or leading zero: there `0002` is 2, elsewhere it may be octal.
fn number(value: &[u8]) -> Result<u64, Fault> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits || (value.len() > 1 && value.first() == Some(&b'0')) {
        return Err(Fault::Length);
    }
    let value = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
    // Readers that count in signed numbers would see a negative length.
    value.filter(|value| *value <= i64::MAX as u64).ok_or(Fault::Length)
}

/// Whether a length is written as it is taken here.
pub fn is_length(value: &[u8]) -> bool {
    number(value).is_ok()
}

/// Codings of RFC 9112 section 7, with `chunked` at the end and once.
fn is_known_coding(value: &[u8]) -> bool {
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).rev();
    codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"))
        && codings.all(|coding| {
            [b"gzip".as_slice(), b"deflate", b"compress", b"x-gzip", b"x-compress"]
                .iter()
                .any(|known| coding.eq_ignore_ascii_case(known))
        })
}

/// Fields that `Connection` must not nominate: the message would be another without them, or lie about where it came from.
const KEPT: [&[u8]; 6] =
    [b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"];

/// The most options that `Connection` may list.
const MOST_OPTIONS: usize = 9;

fn connection(value: &[u8]) -> Result<(), Fault> {
    let mut options = 0;
    for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|option| !option.is_empty()) {
        options += 1;
        let kept = KEPT.iter().any(|kept| option.eq_ignore_ascii_case(kept));
        if kept || options > MOST_OPTIONS || !option.iter().copied().all(is_token) {
            return Err(Fault::Connection);
        }
    }
    Ok(())
}

/// Whether a name is, for a reader that takes `_` for `-` as CGI does, one that frames or routes the message.
pub fn looks_alike(name: &[u8]) -> bool {
    const FRAMING: [&str; 10] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "keep-alive",
        "proxy-connection",
    ];
    name.contains(&b'_')
        && FRAMING.iter().any(|known| {
            known.len() == name.len()
                && known.bytes().zip(name).all(|(known, byte)| match byte {
                    b'_' => known == b'-',
                    byte => byte.eq_ignore_ascii_case(&known),
                })
        })
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`: RFC 3986 section 3.2 without user information.
fn is_authority(value: &[u8]) -> bool {
    let (host, port) = split_port(value);
    let host_fits = match host {
        [b'[', inner @ .., b']'] => {
            std::str::from_utf8(inner).is_ok_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
        }
        name => !name.is_empty() && name.iter().copied().all(is_host),
    };
    host_fits
        && port.is_none_or(|port| {
            port.is_empty()
                || (port.iter().all(u8::is_ascii_digit)
                    && std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok()))
        })
}

/// A byte of a registered name.
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

fn split_port(value: &[u8]) -> (&[u8], Option<&[u8]>) {
    let bracket = memchr::memrchr(b']', value).map_or(0, |at| at + 1);
    match value.get(bracket..).and_then(|rest| memchr::memrchr(b':', rest)) {
        Some(at) => {
            (value.get(..bracket + at).unwrap_or_default(), Some(value.get(bracket + at + 1..).unwrap_or_default()))
        }
        None => (value, None),
    }
}

fn split_scheme(target: &[u8]) -> Option<(&'static [u8], &[u8])> {
    [(b"80".as_slice(), b"http://".as_slice()), (b"443", b"https://")].into_iter().find_map(|(port, scheme)| {
        let (begin, rest) = target.split_at_checked(scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then_some((port, rest))
    })
}

/// Whether two authorities are one, but for case and the scheme's own port.
fn is_same(one: &[u8], other: &[u8], default_port: &[u8]) -> bool {
    let parts = |value| {
        let (host, port) = split_port(value);
        (host, port.filter(|port| !port.is_empty()).unwrap_or(default_port))
    };
    let ((host, port), (other_host, other_port)) = (parts(one), parts(other));
    host.eq_ignore_ascii_case(other_host) && port == other_port
}
