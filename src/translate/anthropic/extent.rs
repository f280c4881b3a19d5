//! Where the JSON of a tool call's arguments ends, as it comes in pieces.

/// How far a JSON text has come. Only whether it is whole is judged, not whether it is JSON.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    is_whole: bool,
}

impl Extent {
    /// The next piece.
    pub(super) fn take(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    /// Whether an object has ended: what follows can only be blank, or broken.
    pub(super) fn is_whole(self) -> bool {
        self.is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_whole_at_its_last_brace() {
        for text in [
            r#"{}"#,
            r#" {"a":1}"#,
            r#"{"a":{"b":[1,{"c":"}"}]}}"#,
            r#"{"a":"\"}\\"}"#,
            r#"{"a":"\\\"}","b":"{[\\"}"#,
            r#"{"ü":"🦀}"}"#,
            "[1,[2]]",
        ] {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut extent = Extent::default();
                extent.take(&text[..at]);
                assert_eq!(extent.is_whole(), at == text.len(), "{text} at {at}");
                extent.take(&text[at..]);
                assert!(extent.is_whole(), "{text} at {at}");
            }
        }
        for text in ["", "  ", "7", "null", "\"{}\"", "{\"a\":\"}\"", "{{}"] {
            let mut extent = Extent::default();
            extent.take(text);
            assert!(!extent.is_whole(), "{text}");
        }
    }
}
