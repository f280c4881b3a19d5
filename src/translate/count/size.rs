//! The width and height that an image says of itself.
//!
//! The law: only headers are read, a few hundred bytes at most, straight out of the base64 text; no picture is decoded. It
//! does not judge whether the rest is an image. PNG, JPEG, GIF and WebP, as chat APIs take.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// In pixels, neither of them zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// So many segments of a JPEG are walked through: a photograph has about ten before its size.
const MAX_SEGMENTS: usize = 256;

impl Size {
    /// Of an image in base64, without line ends.
    pub fn of(base64: &str) -> Option<Self> {
        let image = Encoded(base64.trim_end_matches('=').as_bytes());
        let start: [u8; 4] = image.bytes(0)?;
        match start {
            [0x89, b'P', b'N', b'G'] => png(&image),
            [0xff, 0xd8, 0xff, _] => jpeg(&image),
            [b'G', b'I', b'F', b'8'] => {
                let [w0, w1, h0, h1] = image.bytes(6)?;
                Self::new(u16::from_le_bytes([w0, w1]).into(), u16::from_le_bytes([h0, h1]).into())
            }
            [b'R', b'I', b'F', b'F'] if image.bytes(8)? == *b"WEBP" => webp(&image),
            _ => None,
        }
    }

    fn new(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Self { width, height })
    }
}

fn png(image: &Encoded<'_>) -> Option<Size> {
    if image.bytes(12)? != *b"IHDR" {
        return None;
    }
    Size::new(u32::from_be_bytes(image.bytes(16)?), u32::from_be_bytes(image.bytes(20)?))
}

/// A JPEG is a row of segments, each with its length; the size stands in the one that starts a frame.
fn jpeg(image: &Encoded<'_>) -> Option<Size> {
    let mut at = 2;
    for _ in 0..MAX_SEGMENTS {
        let [0xff, marker, high, low] = image.bytes(at)? else {
            return None;
        };
        match marker {
            // Filling, and marks that stand alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [h0, h1, w0, w1] = image.bytes(at + 5)?;
                return Size::new(u16::from_be_bytes([w0, w1]).into(), u16::from_be_bytes([h0, h1]).into());
            }
            // The picture itself, or the end, before any size.
            0xd9 | 0xda => return None,
            _ => at = at.checked_add(2 + usize::from(u16::from_be_bytes([high, low])))?,
        }
    }
    None
}

fn webp(image: &Encoded<'_>) -> Option<Size> {
    let kind: [u8; 4] = image.bytes(12)?;
    match &kind {
        b"VP8X" => {
            let [w0, w1, w2, h0, h1, h2] = image.bytes(24)?;
            Size::new(u32::from_le_bytes([w0, w1, w2, 0]) + 1, u32::from_le_bytes([h0, h1, h2, 0]) + 1)
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(image.bytes(21)?);
            Size::new((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
        }
        b"VP8 " => {
            let [w0, w1, h0, h1] = image.bytes(26)?;
            // The upper two bits say how to scale it for show.
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Size::new(side(w0, w1), side(h0, h1))
        }
        _ => None,
    }
}

/// Bytes in base64, of which any few can be read alone.
struct Encoded<'a>(&'a [u8]);

impl Encoded<'_> {
    /// `N` bytes, at most six, from `at`.
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        // Four characters are three bytes.
        let (skip, start) = (at % 3, at / 3 * 4);
        let end = (at + N).div_ceil(3).checked_mul(4)?.min(self.0.len());
        let mut room = [0; 12];
        let length = STANDARD_NO_PAD.decode_slice(self.0.get(start..end)?, &mut room).ok()?;
        room.get(..length)?.get(skip..skip + N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn segment(marker: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![0xff, marker];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![0xee; usize::from(length) - 2]);
        bytes
    }

    fn frame(marker: u8, width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xff, marker, 0, 17, 8];
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes
    }

    fn webp(kind: &[u8; 4], rest: &[u8]) -> Vec<u8> {
        [b"RIFF\x00\x01\x00\x00WEBP", &kind[..], b"\x10\x00\x00\x00", rest].concat()
    }

    #[test]
    fn sizes() {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &1024_u32.to_be_bytes()[..], &77_u32.to_be_bytes()[..]].concat();
        let mut no_header = png.clone();
        no_header[12] = b'J';
        let jpeg = |parts: &[Vec<u8>]| [&[vec![0xff, 0xd8]], parts].concat().concat();
        let long = segment(0xe1, 65_535);
        for (what, bytes, size) in [
            ("a PNG", png.clone(), Some((1024, 77))),
            ("a PNG cut short", png[..22].to_vec(), None),
            ("a PNG without a header", no_header, None),
            ("a GIF", b"GIF89a\x2c\x01\xc8\x00\xf7\0\0".to_vec(), Some((300, 200))),
            ("an old GIF of no width", b"GIF87a\x00\x00\xc8\x00\xf7\0\0".to_vec(), None),
            ("a JPEG", jpeg(&[segment(0xe0, 16), segment(0xdb, 67), frame(0xc0, 640, 480)]), Some((640, 480))),
            ("a JPEG in steps", jpeg(&[segment(0xe0, 16), frame(0xc2, 5000, 4000)]), Some((5000, 4000))),
            ("a photograph", jpeg(&[long.clone(), long.clone(), long, frame(0xc0, 9, 8)]), Some((9, 8))),
            ("tables are no frame", jpeg(&[segment(0xc4, 30), frame(0xc1, 3, 4)]), Some((3, 4))),
            ("filling", jpeg(&[segment(0xe0, 4), vec![0xff; 3], frame(0xc0, 3, 4)]), Some((3, 4))),
            ("a picture without a size", jpeg(&[segment(0xda, 12), frame(0xc0, 3, 4)]), None),
            ("segments without end", jpeg(&vec![segment(0xe0, 2); 100_000]), None),
            ("no segment", jpeg(&[vec![0xff, 0xe0, 0, 2, 1, 2, 3, 4]]), None),
            ("filling without end", [vec![0xff, 0xd8], vec![0xff; 100_000]].concat(), None),
            ("a WebP", webp(b"VP8 ", b"\x30\x01\x00\x9d\x01\x2a\x40\x01\xf0\x40"), Some((320, 240))),
            ("a WebP without loss", webp(b"VP8L", b"\x2f\x3f\xc1\x3b\x00"), Some((320, 240))),
            ("a WebP of many", webp(b"VP8X", b"\x10\0\0\0\x3f\x01\x00\xef\x00\x00"), Some((320, 240))),
            ("a WebP of another kind", webp(b"VP9 ", b"\x10\0\0\0\x3f\x01\x00\xef\x00\x00"), None),
            ("a sound", b"RIFF\x24\x00\x00\x00WAVEfmt ".to_vec(), None),
            ("a document", b"%PDF-1.7".to_vec(), None),
            ("nothing", Vec::new(), None),
        ] {
            let size = size.map(|(width, height)| Size { width, height });
            assert_eq!(Size::of(&STANDARD.encode(&bytes)), size, "{what}");
            assert_eq!(Size::of(&STANDARD_NO_PAD.encode(&bytes)), size, "{what}, unpadded");
        }
    }

    #[test]
    fn what_is_no_base64_has_no_size() {
        for text in ["", "=", "iVBO", "iVBORw0KGgo\u{e9}", "iVBORw0K\nGgoAAAANSUhEUgAAAAEAAAAB", "not base64 at all!"] {
            assert_eq!(Size::of(text), None, "{text:?}");
        }
    }
}
