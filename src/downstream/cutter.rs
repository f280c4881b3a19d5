//! HTTP/2's octets cut into frames, in whatever pieces they come (RFC 9113 section 4.1).
//!
//! The law: nothing is kept but the head of the frame under way; of payloads only an error code is read. It judges nothing.

pub(super) const RST_STREAM: u8 = 3;
pub(super) const GOAWAY: u8 = 7;

/// One direction of a connection, cut into frames.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    head: [u8; 9],
    have: usize,
    /// Octets of the payload that are still to come.
    left: u32,
    /// A frame whose error code stands in its payload.
    coded: Option<Coded>,
}

/// A frame that is not told of before its error code is there.
#[derive(Debug)]
struct Coded {
    frame: FrameHead,
    /// The last four octets of its payload so far.
    code: u32,
    /// Octets until the code is whole.
    left: u32,
}

/// The first nine octets of a frame, and the error code of one that has any.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// 0 where there is none.
    pub(super) code: u32,
}

impl FrameHead {
    fn read(head: [u8; 9]) -> Self {
        let [a, b, c, kind, flags, e, f, g, h] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        Self { length, kind, flags, stream: u32::from_be_bytes([e & 0x7f, f, g, h]), code: 0 }
    }

    /// How many octets of the payload the error code ends after (RFC 9113 sections 6.4 and 6.8); 0: it has none.
    fn code_ends(&self) -> u32 {
        match self.kind {
            RST_STREAM if self.length >= 4 => 4,
            GOAWAY if self.length >= 8 => 8,
            _ => 0,
        }
    }
}

impl Cutter {
    /// A direction that begins with `octets` which are no frame.
    pub(super) fn after(octets: u32) -> Self {
        Self { left: octets, ..Self::default() }
    }

    /// Cuts on; `seen` hears of each frame.
    pub(super) fn cut(&mut self, mut bytes: &[u8], mut seen: impl FnMut(&FrameHead)) {
        while let Some((first, rest)) = bytes.split_first() {
            if let Some(mut coded) = self.coded.take() {
                coded.code = coded.code << 8 | u32::from(*first);
                coded.left -= 1;
                self.left -= 1;
                bytes = rest;
                match coded.left {
                    0 => seen(&FrameHead { code: coded.code, ..coded.frame }),
                    _ => self.coded = Some(coded),
                }
                continue;
            }
            if self.left > 0 {
                let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= passed as u32;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *first;
            }
            self.have += 1;
            bytes = rest;
            if self.have == self.head.len() {
                let frame = FrameHead::read(self.head);
                self.have = 0;
                self.left = frame.length;
                match frame.code_ends() {
                    0 => seen(&frame),
                    left => self.coded = Some(Coded { frame, code: 0, left }),
                }
            }
        }
    }

    pub(super) fn is_between_frames(&self) -> bool {
        self.have == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn frames_are_cut_however_they_come() {
        let bytes: Vec<u8> =
            [frame(4, 0, 0, b""), frame(1, 4, 3, b"abc"), frame(0, 1, 3, &[7; 200]), frame(6, 0, 0, &[0; 8])].concat();
        let bytes = [bytes, frame(3, 0, 3, &[0, 0, 0, 5]), frame(7, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 11, 7, 7])].concat();
        for step in [1, 2, 5, 9, 10, 64, bytes.len()] {
            let mut cutter = Cutter::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(step) {
                cutter.cut(piece, |frame| seen.push((frame.kind, frame.length, frame.stream, frame.code)));
            }
            let wanted = [(4, 0, 0, 0), (1, 3, 3, 0), (0, 200, 3, 0), (6, 8, 0, 0), (3, 4, 3, 5), (7, 10, 0, 11)];
            assert_eq!(seen, wanted, "{step}");
            assert!(cutter.is_between_frames());
        }
    }
}
