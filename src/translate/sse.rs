//! Event streams (the HTML standard, "Server-sent events"): read as they come, and written.
//!
//! The law: however the bytes are cut, the same events come out; a line ends in LF, CR or both; nothing is held beyond
//! [`LONGEST`]. What is written is one line of JSON under a name of ours, so that no text within can end an event or begin one.
//! It differs from the standard in one thing: an event that the end of the stream cuts short of its blank line still comes, for
//! many servers leave that line out after the last one. Whether its data is whole is for its reader to see.

use memchr::memchr2;
use serde::Serialize;

/// What one event may hold, and one line: 8 MiB. The largest chunks known carry a whole answer of some 100 KiB; a server that
/// never ends a line must not fill the memory.
pub const LONGEST: usize = 8 << 20;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its name; empty where it has none.
    pub name: &'a [u8],
    /// Its data; several lines are joined by LF.
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// Whether it is the `[DONE]` after which an OpenAI-style stream has nothing more to say.
    pub fn is_done(&self) -> bool {
        self.data.trim_ascii() == b"[DONE]"
    }
}

/// A line or an event is longer than [`LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Reads an event stream piece by piece.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The event has been handed out; what it held is cleared before the next.
    is_spent: bool,
    /// The last byte was a CR that has ended a line: a LF now belongs to it.
    after_cr: bool,
    /// The first line, which a byte order mark may begin, is over.
    has_begun: bool,
}

impl Decoder {
    /// The next event, and `bytes` without what it took; none when they are used up.
    ///
    /// # Errors
    /// More than is held. The stream is over then.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame<'_>>, TooLong> {
        self.clear_spent();
        loop {
            if self.after_cr {
                if bytes.is_empty() {
                    return Ok(None);
                }
                self.after_cr = false;
                *bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let Some((line, end, rest)) = memchr2(b'\r', b'\n', bytes).and_then(|at| {
                let (line, rest) = bytes.split_at_checked(at)?;
                let (end, rest) = rest.split_first()?;
                Some((line, *end, rest))
            }) else {
                self.hold(bytes)?;
                *bytes = &[];
                return Ok(None);
            };
            *bytes = rest;
            self.after_cr = end == b'\r';
            if self.line.is_empty() {
                self.read(line)?;
            } else {
                self.hold(line)?;
                let mut held = std::mem::take(&mut self.line);
                let read = self.read(&held);
                held.clear();
                self.line = held;
                read?;
            }
            if self.is_spent {
                return Ok(Some(self.frame()));
            }
        }
    }

    /// The event that the end of the stream has cut short of its blank line.
    ///
    /// # Errors
    /// More than is held.
    pub fn end(&mut self) -> Result<Option<Frame<'_>>, TooLong> {
        self.clear_spent();
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.read(&line)?;
        }
        self.is_spent = true;
        Ok(self.has_data.then(|| self.frame()))
    }

    fn frame(&self) -> Frame<'_> {
        Frame { name: &self.name, data: &self.data }
    }

    fn clear_spent(&mut self) {
        if std::mem::take(&mut self.is_spent) {
            self.name.clear();
            self.data.clear();
            self.has_data = false;
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > LONGEST {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// One line, without its end. After an empty one that ends an event, it is spent.
    fn read(&mut self, line: &[u8]) -> Result<(), TooLong> {
        let line = match std::mem::replace(&mut self.has_begun, true) {
            true => line,
            false => line.strip_prefix(MARK).unwrap_or(line),
        };
        if line.is_empty() {
            // An event without data is none; its name does not stay for the next.
            self.is_spent = self.has_data;
            if !self.has_data {
                self.name.clear();
            }
            return Ok(());
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let field = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() >= LONGEST {
                    return Err(TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // Comments, which have no field before the colon; `id` and `retry`, which are for clients that connect again.
            _ => {}
        }
        Ok(())
    }
}

/// Appends the event `name` with `data` as JSON. A value that cannot be JSON writes nothing; none of ours is one.
pub fn event<T: Serialize>(out: &mut Vec<u8>, name: &'static str, data: &T) {
    let before = out.len();
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    match write(out, data) {
        true => out.extend_from_slice(b"\n\n"),
        false => out.truncate(before),
    }
}

/// Appends an event without a name, as OpenAI's are.
pub fn data<T: Serialize>(out: &mut Vec<u8>, data: &T) {
    let before = out.len();
    match write(out, data) {
        true => out.extend_from_slice(b"\n\n"),
        false => out.truncate(before),
    }
}

fn write<T: Serialize>(out: &mut Vec<u8>, data: &T) -> bool {
    out.extend_from_slice(b"data: ");
    let begin = out.len();
    let written = serde_json::to_writer(&mut *out, data).is_ok();
    // JSON text that was taken over as it is may have line ends between its tokens, and only there.
    for byte in out.iter_mut().skip(begin).filter(|byte| matches!(byte, b'\r' | b'\n')) {
        *byte = b' ';
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The events of pieces, name and data, and what the end adds.
    fn events(pieces: &[&[u8]]) -> Result<Vec<(String, String)>, TooLong> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while let Some(frame) = decoder.take(&mut rest)? {
                out.push((text(frame.name), text(frame.data)));
            }
            assert!(rest.is_empty());
        }
        out.extend(decoder.end()?.map(|frame| (text(frame.name), text(frame.data))));
        Ok(out)
    }

    #[test]
    fn events_are_read_however_they_are_written_and_cut() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("data: a\n\n", &[("", "a")]),
            ("data:a\n\ndata:  b\n\n", &[("", "a"), ("", " b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
            ("data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
            ("data: a\r\ndata: b\rdata: c\n\r\n", &[("", "a\nb\nc")]),
            ("\u{feff}data: a\n\n", &[("", "a")]),
            ("\u{feff}\u{feff}data: a\n\n", &[]),
            ("data: a\n\n\u{feff}data: b\n\n", &[("", "a")]),
            (": a comment\n\n:\n\ndata: a\n: within\ndata: b\n\n", &[("", "a\nb")]),
            ("event: x\nid: 7\nretry: 10\ndata: a\n\ndata: b\n\n", &[("x", "a"), ("", "b")]),
            ("event: x\n\ndata: a\n\n", &[("", "a")]),
            ("event: x\nevent: y\ndata: a\n\n", &[("y", "a")]),
            ("data\n\n", &[("", "")]),
            ("data\ndata\n\n", &[("", "\n")]),
            ("dat: a\n data: b\nDATA: c\n\n", &[]),
            ("data: a\n\ndata: [DONE]", &[("", "a"), ("", "[DONE]")]),
            ("data: a\n\ndata: [DONE]\n", &[("", "a"), ("", "[DONE]")]),
            ("data: a\n\nevent: x", &[("", "a")]),
            ("data: 🦀 grüße 世界\n\n", &[("", "🦀 grüße 世界")]),
            ("\n\n\n\n", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            let expected: Vec<(String, String)> =
                expected.iter().map(|(name, data)| (name.to_string(), data.to_string())).collect();
            let whole = text.as_bytes();
            assert_eq!(events(&[whole]).as_ref(), Ok(&expected), "{text:?}");
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            assert_eq!(events(&bytes).as_ref(), Ok(&expected), "{text:?} byte by byte");
            for at in 0..=whole.len() {
                let (left, right) = whole.split_at(at);
                assert_eq!(events(&[left, b"", right]).as_ref(), Ok(&expected), "{text:?} cut at {at}");
            }
        }
    }

    #[test]
    fn an_event_comes_with_its_blank_line_and_waits_for_nothing() {
        for end in ["\n\n", "\r\r", "\r\n\r"] {
            let text = format!("data: a{end}");
            let mut decoder = Decoder::default();
            let mut rest = text.as_bytes();
            assert!(matches!(decoder.take(&mut rest), Ok(Some(Frame { data: b"a", .. }))), "{end:?}");
        }
    }

    #[test]
    fn what_never_ends_is_too_long() {
        let line = vec![b'x'; LONGEST + 1];
        assert_eq!(events(&[&line]), Err(TooLong));
        assert_eq!(events(&[b": ", &line]), Err(TooLong));
        let half = [b"data: ".as_slice(), &vec![b'x'; LONGEST / 2 + 1], b"\n"].concat();
        assert_eq!(events(&[&half, &half]), Err(TooLong));
        assert!(events(&[&half, b"\n", &half]).is_ok());
        // Lines of no data have line ends between them, and those are held too.
        let mut decoder = Decoder::default();
        let lines = b"data\n".repeat(LONGEST + 2);
        assert_eq!(decoder.take(&mut lines.as_slice()), Err(TooLong));
    }

    #[test]
    fn done_is_done_with_spaces_too() {
        let done = |data| Frame { name: b"", data }.is_done();
        assert!(done(b"[DONE]") && done(b" [DONE] ") && !done(b"\"[DONE]\"") && !done(b"[done]") && !done(b""));
    }

    #[test]
    fn no_text_ends_an_event() {
        let mut out = Vec::new();
        event(&mut out, "x", &"a\n\nevent: message_stop\r\rdata: {}\u{2028}");
        let raw = serde_json::value::RawValue::from_string("{\n\"a\":\r\n\n[1,\r2]}".to_owned()).expect("JSON");
        event(&mut out, "y", &raw);
        data(&mut out, &7);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "event: x\ndata: \"a\\n\\nevent: message_stop\\r\\rdata: {}\u{2028}\"\n\nevent: y\ndata: { \"a\":   [1, 2]}\n\ndata: 7\n\n"
        );
    }

    proptest! {
        #[test]
        fn any_cut_of_any_bytes_reads_the_same(
            pieces in proptest::collection::vec("(data|event|id|x|: |:|a|é|\u{feff}|\r|\n|\r\n|\n\n){0,6}", 0..12),
        ) {
            let whole = pieces.concat();
            let cut: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
            let expected = events(&[whole.as_bytes()]);
            prop_assert_eq!(&events(&cut), &expected);
            prop_assert_eq!(&events(&bytes), &expected);
        }

        #[test]
        fn line_ends_make_no_difference(pieces in proptest::collection::vec("(data|event|x|: |:|a|\n|\n\n){0,6}", 0..12)) {
            let text = pieces.concat();
            let expected = events(&[text.as_bytes()]);
            prop_assert_eq!(&events(&[text.replace('\n', "\r\n").as_bytes()]), &expected);
            prop_assert_eq!(&events(&[text.replace('\n', "\r").as_bytes()]), &expected);
        }
    }
}
