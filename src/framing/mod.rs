//! The frame of an HTTP/1 request: where its head ends, what the head declares, where its body ends (RFC 9112).
//!
//! The law: what two readers could understand in two ways is a [`Fault`], never a guess; whatever passes here has exactly one
//! length for every reader behind us. Pure: bytes in, a verdict out, nothing is copied.
//!
//! `head` judges a head line by line, `chunk` the lines between chunks. Neither knows routes, keys or the meaning of a path.

mod chunk;
mod head;

pub use chunk::Chunks;
pub use head::{Head, Limits, Scan, is_length, looks_alike};

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A line ends in a bare LF, or holds a bare CR.
    LineEnd,
    /// The first line is not `METHOD TARGET HTTP/1.1`.
    RequestLine,
    /// The target is none that RFC 9112 section 3.2 knows, or holds a byte that a URL cannot.
    Target,
    /// The target is longer than the limit.
    TargetTooLong,
    /// HTTP of another version.
    Version,
    /// A line of the head is not `name: value`.
    Field,
    /// The head is larger than the limit, or has more fields.
    TooLarge,
    /// `Host` is missing, stands twice, or is no host; or the target names another.
    Host,
    /// A field's name can be taken for one that frames the message.
    LookAlike,
    /// `Content-Length` is no number, or stands twice.
    Length,
    /// `Transfer-Encoding` is not `chunked` alone.
    Coding,
    /// A coding besides `chunked`, which is legal and not served.
    CodingNotServed,
    /// Both `Content-Length` and `Transfer-Encoding`.
    TwoLengths,
    /// `Connection` names a field that a message cannot do without.
    Connection,
    /// A frame or a field breaks HTTP/2.
    Frame,
    /// A chunk's size line is broken.
    ChunkSize,
    /// A chunk does not end where its size says.
    ChunkEnd,
    /// Chunk extensions out of all proportion to the data.
    ChunkExtension,
    /// A line of the trailer section is broken, or it is too large.
    Trailer,
}

impl Fault {
    /// What is wrong, as the end of "The request was refused: …".
    pub fn text(self) -> &'static str {
        match self {
            Self::LineEnd => "a line does not end in CR LF",
            Self::RequestLine => "the first line is not `METHOD TARGET HTTP/1.1`",
            Self::Target => "the target is no path or URL, or holds a character that must be escaped",
            Self::TargetTooLong => "the target is too long",
            Self::Version => "only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken",
            Self::Field => "a header line is not `name: value`",
            Self::TooLarge => "the header is too large, or has too many fields",
            Self::Host => "`Host` is missing, stands twice, is no host, or is not the target's",
            Self::LookAlike => "a header's name could be taken for one that frames the message",
            Self::Length => "`Content-Length` is not one number",
            Self::Coding => "`Transfer-Encoding` is not `chunked`",
            Self::CodingNotServed => "no transfer coding but `chunked` is served",
            Self::TwoLengths => "`Content-Length` and `Transfer-Encoding` exclude each other",
            Self::Connection => "`Connection` names a header that cannot be dropped",
            Self::Frame => "it breaks HTTP/2",
            Self::ChunkSize => "the size of a chunk is broken",
            Self::ChunkEnd => "a chunk does not end where its size says",
            Self::ChunkExtension => "there are more chunk extensions than data",
            Self::Trailer => "the trailer section is broken or too large",
        }
    }

    /// The status of the answer (RFC 9110 section 15).
    pub fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::TooLarge => 431,
            Self::CodingNotServed => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// Where the body of a request ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// It has ended, or there was none.
    Done,
    /// After so many bytes more.
    Length(u64),
    /// After its last chunk.
    Chunked(Chunks),
}

impl Body {
    /// How many of `bytes` belong to the body. Fewer than all: the rest is the next request's.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match self {
            Self::Done => Ok(0),
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(taken)
            }
            Self::Chunked(chunks) => {
                let taken = chunks.take(bytes)?;
                if chunks.is_done() {
                    *self = Self::Done;
                }
                Ok(taken)
            }
        }
    }

    /// Whether nothing more belongs to it.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What a field's value may hold (RFC 9110 section 5.5): no control but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests;
