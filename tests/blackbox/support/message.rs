//! An HTTP/1 message as it stood on the wire.

use std::io::{self, BufRead, Read};

/// A head, and the body as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first line.
    pub start: String,
    /// The fields, in order, as written.
    pub fields: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads a head. None: the connection ended before the first byte.
    pub fn head(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut start = String::new();
        if stream.read_line(&mut start)? == 0 {
            return Ok(None);
        }
        let mut message = Self { start: start.trim_end().to_owned(), ..Self::default() };
        loop {
            let mut line = Vec::new();
            if stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                return Ok(Some(message));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            message.fields.push((name.to_owned(), value.trim_start().to_owned()));
        }
    }

    /// The values of the field `name`, in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The one value of the field `name`; panics when it stands twice.
    pub fn one(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands {} times: {self:?}", values.len());
        values.first().copied()
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The target of a request.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Everything, as text, for searching.
    pub fn everything(&self) -> String {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        format!("{}\n{fields}\n{}", self.start, self.text())
    }

    /// Reads the body that the head declares, handing each piece to `take`. `until_end`: no length means until the end.
    pub fn read_body(&self, stream: &mut impl BufRead, until_end: bool, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        if self.one("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let mut line = String::new();
                stream.read_line(&mut line)?;
                let size = line.trim_end().split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
                copy(stream, size, &mut take)?;
                let mut end = [0; 2];
                if size == 0 {
                    loop {
                        let mut trailer = String::new();
                        if stream.read_line(&mut trailer)? <= 2 {
                            return Ok(());
                        }
                    }
                }
                stream.read_exact(&mut end)?;
            }
        }
        match self.one("content-length").map(str::parse::<u64>) {
            Some(Ok(length)) => copy(stream, length, &mut take),
            Some(Err(_)) => Err(io::ErrorKind::InvalidData.into()),
            None if until_end => {
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match stream.read(&mut buffer)? {
                        0 => return Ok(()),
                        count => take(&buffer[..count]),
                    }
                }
            }
            None => Ok(()),
        }
    }
}

fn copy(stream: &mut impl Read, mut left: u64, take: &mut impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = stream.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        take(&buffer[..count]);
        left -= count as u64;
    }
    Ok(())
}
