//! A chunked body (RFC 9112 section 7.1), watched as it passes.
//!
//! The law: a size is 1 to 16 hexadecimal digits and nothing else; an extension is text with its quotes closed; a chunk ends in
//! CR LF exactly where its size says; trailers are header lines. It changes nothing: extensions and trailers are dropped by
//! who forwards the body. How much of them a client may send grows with the data, as in Go's net/http (CVE-2023-39326).

use super::{Fault, is_text, is_token};

/// The most digits of a size.
const MOST_DIGITS: u8 = 16;
/// The longest size line, extension included.
const MOST_LINE: u32 = 4096;
/// Bytes around the data that any body may have, beside those that each chunk may.
const FREE: u64 = 16 << 10;
/// Bytes around the data that each chunk may have without explanation: size, its CR LF, the chunk's.
const FREE_PER_CHUNK: u64 = 16;
/// The largest trailer section.
const MOST_TRAILERS: u32 = 8 << 10;

/// How far a chunked body has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    size: u64,
    digits: u8,
    /// Bytes of the line or the section under way.
    line: u32,
    /// Bytes around the data, less what the data explains.
    excess: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension { quoted: bool, escaped: bool },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { state: State::Size, size: 0, digits: 0, line: 0, excess: 0 }
    }
}

impl Chunks {
    /// Whether the last chunk and its trailers have been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many of `bytes` belong to the body.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Done => break,
                State::Data => {
                    let passed = usize::try_from(self.size).unwrap_or(usize::MAX).min(bytes.len() - at);
                    self.size -= passed as u64;
                    at += passed;
                    if self.size == 0 {
                        self.state = State::DataCr;
                    }
                    continue;
                }
                State::Size | State::Extension { .. } | State::SizeLf => self.size_line(byte)?,
                State::DataCr => self.expect(byte, b'\r', State::DataLf)?,
                State::DataLf => self.expect(byte, b'\n', State::Size)?,
                _ => self.trailer(byte)?,
            }
            at += 1;
        }
        Ok(at)
    }

    fn size_line(&mut self, byte: u8) -> Result<(), Fault> {
        self.line += 1;
        if self.line > MOST_LINE {
            return Err(Fault::ChunkExtension);
        }
        self.state = match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() && self.digits < MOST_DIGITS => {
                self.digits += 1;
                self.size = (self.size << 4) | u64::from(hexadecimal(byte));
                State::Size
            }
            (State::Size, b';') if self.digits > 0 => State::Extension { quoted: false, escaped: false },
            (State::Size, b'\r') if self.digits > 0 => State::SizeLf,
            (State::Extension { quoted: false, .. }, b'\r') => State::SizeLf,
            (State::Extension { quoted, escaped }, _) if is_text(byte) => State::Extension {
                quoted: quoted ^ (byte == b'"' && !escaped),
                escaped: quoted && byte == b'\\' && !escaped,
            },
            (State::SizeLf, b'\n') => return self.begin_chunk(),
            _ => return Err(Fault::ChunkSize),
        };
        Ok(())
    }

    fn begin_chunk(&mut self) -> Result<(), Fault> {
        let around = u64::from(self.line) + 2;
        let explained = self.size.saturating_mul(2).saturating_add(FREE_PER_CHUNK);
        self.excess = (self.excess + around).saturating_sub(explained);
        if self.excess > FREE {
            return Err(Fault::ChunkExtension);
        }
        // A chunk of more than 2^63 bytes is nobody's; readers that count in signed numbers would see a negative size.
        if self.size > i64::MAX as u64 {
            return Err(Fault::ChunkSize);
        }
        self.state = if self.size == 0 { State::TrailerStart } else { State::Data };
        self.line = 0;
        self.digits = 0;
        Ok(())
    }

    fn trailer(&mut self, byte: u8) -> Result<(), Fault> {
        self.line += 1;
        if self.line > MOST_TRAILERS {
            return Err(Fault::Trailer);
        }
        self.state = match (self.state, byte) {
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Fault::Trailer),
        };
        Ok(())
    }

    fn expect(&mut self, byte: u8, wanted: u8, next: State) -> Result<(), Fault> {
        if byte != wanted {
            return Err(Fault::ChunkEnd);
        }
        self.state = next;
        Ok(())
    }
}

/// The value of a hexadecimal digit.
fn hexadecimal(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
