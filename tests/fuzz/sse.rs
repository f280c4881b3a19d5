//! Event streams: whatever the bytes and wherever they are cut, the same events come as another reader of lines sees; what is
//! written is read back as it was.

use tollgate::translate::sse::{self, Decoder};

type Events = Vec<(Vec<u8>, Vec<u8>)>;

/// The first octet is the size of the pieces, the rest the stream.
pub fn check(input: &[u8]) {
    let (size, stream) = input.split_first().map_or((1, input), |(first, rest)| (usize::from(*first % 32) + 1, rest));
    let expected = plainly(stream);
    assert_eq!(events(stream.chunks(stream.len().max(1))), expected, "at once");
    assert_eq!(events(stream.chunks(size)), expected, "by {size}");
    assert_eq!(events(stream.chunks(1)), expected, "byte by byte");

    let text = String::from_utf8_lossy(stream);
    let mut out = Vec::new();
    sse::event(&mut out, "name", &text);
    sse::data(&mut out, &text);
    let data = serde_json::to_vec(&text).expect("JSON");
    assert_eq!(plainly(&out), [(b"name".to_vec(), data.clone()), (Vec::new(), data)], "what is written");
}

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Events {
    let mut decoder = Decoder::default();
    let mut out = Vec::new();
    for mut piece in pieces {
        while let Some(frame) = decoder.take(&mut piece).expect("a short line") {
            out.push((frame.name.to_vec(), frame.data.to_vec()));
        }
        assert!(piece.is_empty(), "bytes are left");
    }
    out.extend(decoder.end().expect("a short line").map(|frame| (frame.name.to_vec(), frame.data.to_vec())));
    out
}

/// The same, line by line over the whole.
fn plainly(stream: &[u8]) -> Events {
    let mut text: Vec<u8> = Vec::new();
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'\r' => text.push(b'\n'),
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            byte => text.push(*byte),
        }
    }
    let mut out = Vec::new();
    let (mut name, mut data): (Vec<u8>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    // The end of the stream ends its last event too.
    for line in text.split(|byte| *byte == b'\n').chain([b"".as_slice()]) {
        if line.is_empty() {
            if !data.is_empty() {
                out.push((name.clone(), data.join(&b'\n')));
            }
            (name, data) = (Vec::new(), Vec::new());
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = colon.map_or((line, b"".as_slice()), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        match field {
            b"event" => name = value,
            b"data" => data.push(value),
            _ => {}
        }
    }
    out
}
