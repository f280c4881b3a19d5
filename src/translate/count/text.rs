//! Text in tokens, by the encodings that OpenAI publishes.
//!
//! The law: what Python's `tiktoken` counts, to the token, up to [`EXACT`] bytes of a request; what comes after counts as
//! the text before it, byte for byte. No text makes it fail, and none makes it slow: text is encoded in pieces of at most
//! [`PIECE`] bytes, which are cut where a token ends anyway. Only where a text has no space for that long a piece is cut
//! anywhere, and may count a few tokens more.
//!
//! An encoding takes time and memory to build, once for the process, and stays: [`Encoding::warm`].

use std::collections::HashSet;
use std::sync::OnceLock;

use tiktoken_rs::CoreBPE;

/// So much text of one request is encoded.
pub const EXACT: usize = 4 << 20;
/// What a text costs besides its bytes, as so many of them: a million texts of one letter are work, too.
const A_TEXT: usize = 16;
/// So much is encoded at once. The encoder's memory grows with it, and its patterns' work by more than that.
const PIECE: usize = 8 << 10;
/// Where nothing was encoded that would say it: English prose has about as many bytes a token.
const BYTES_PER_TOKEN: u64 = 4;

/// A vocabulary and the rules to split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `cl100k_base`: GPT-4 and GPT-3.5.
    Cl100k,
    /// `o200k_base`: GPT-4o and everything since; also for models of which nothing is known.
    O200k,
}

/// Models of `cl100k_base`, by how their names begin.
const CL100K: [&str; 6] = ["gpt-4-", "gpt-3.5", "gpt-35", "text-embedding-", "davinci-002", "babbage-002"];

impl Encoding {
    /// The one of a model, by OpenAI's word for it.
    pub fn of(model: &str) -> Self {
        match model == "gpt-4" || CL100K.iter().any(|start| model.starts_with(start)) {
            true => Self::Cl100k,
            false => Self::O200k,
        }
    }

    /// Builds it, unless it is built.
    pub fn warm(self) {
        self.built();
    }

    fn built(self) -> Option<&'static CoreBPE> {
        static BUILT: [OnceLock<Option<CoreBPE>>; 2] = [const { OnceLock::new() }; 2];
        let [cl100k, o200k] = &BUILT;
        match self {
            Self::Cl100k => cl100k.get_or_init(|| tiktoken_rs::cl100k_base().ok()),
            Self::O200k => o200k.get_or_init(|| tiktoken_rs::o200k_base().ok()),
        }
        .as_ref()
    }
}

/// The sum of one request.
#[derive(Debug)]
pub struct Meter {
    encoding: Encoding,
    /// Tokens that no text stands for.
    fixed: i64,
    /// Tokens of the text that was encoded, and its bytes.
    tokens: u64,
    encoded: usize,
    /// What of [`EXACT`] is used up.
    spent: usize,
    /// Bytes of the text that was not.
    skipped: usize,
}

impl Meter {
    /// Nothing yet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, fixed: 0, tokens: 0, encoded: 0, spent: 0, skipped: 0 }
    }

    /// Which encoding it counts by.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Tokens that no text stands for; the recipe for enumerations begins below zero.
    pub fn fixed(&mut self, tokens: i64) {
        self.fixed = self.fixed.saturating_add(tokens);
    }

    /// One text: its tokens never join those of the text before.
    pub fn text(&mut self, text: &str) {
        self.spent = self.spent.saturating_add(A_TEXT);
        let mut rest = text;
        while !rest.is_empty() {
            if self.spent >= EXACT {
                self.skipped = self.skipped.saturating_add(rest.len());
                return;
            }
            let (piece, after) = rest.split_at_checked(piece_end(rest)).unwrap_or((rest, ""));
            self.tokens += self.encode(piece);
            self.encoded += piece.len();
            self.spent = self.spent.saturating_add(piece.len());
            rest = after;
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let skipped = self.skipped as u64;
        let estimate = match self.encoded as u64 {
            0 => skipped / BYTES_PER_TOKEN,
            encoded => {
                u64::try_from(u128::from(skipped) * u128::from(self.tokens) / u128::from(encoded)).unwrap_or(u64::MAX)
            }
        };
        self.tokens.saturating_add(estimate).saturating_add_signed(self.fixed)
    }

    fn encode(&self, piece: &str) -> u64 {
        // Not `encode_ordinary`: it panics where a pattern gives up.
        let tokens = self.encoding.built().and_then(|bpe| bpe.encode(piece, &HashSet::new()).ok());
        tokens.map_or(piece.len() as u64 / BYTES_PER_TOKEN, |(tokens, _)| tokens.len() as u64)
    }
}

/// Where the first piece of a text ends.
///
/// No token of either encoding has a space behind anything but white space, so that one before a space ends there,
/// whatever follows.
fn piece_end(text: &str) -> usize {
    let Some(window) = text.as_bytes().get(..PIECE).filter(|_| text.len() > PIECE) else {
        return text.len();
    };
    let is_cut = |pair: &[u8]| matches!(pair, [before, b' '] if before.is_ascii_graphic());
    let space = window.windows(2).rposition(is_cut).map(|before| before + 1);
    let anywhere = || (1..=PIECE).rev().find(|at| text.is_char_boundary(*at));
    space.or_else(anywhere).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the encoder says of the whole text at once.
    fn whole(encoding: Encoding, text: &str) -> u64 {
        encoding.built().unwrap().encode(text, &HashSet::new()).unwrap().0.len() as u64
    }

    fn counted(encoding: Encoding, text: &str) -> Meter {
        let mut meter = Meter::new(encoding);
        meter.text(text);
        meter
    }

    #[test]
    fn models_and_their_encodings() {
        for (model, encoding) in [
            ("gpt-4", Encoding::Cl100k),
            ("gpt-4-turbo-2024-04-09", Encoding::Cl100k),
            ("gpt-4-32k", Encoding::Cl100k),
            ("gpt-3.5-turbo-0125", Encoding::Cl100k),
            ("gpt-35-turbo", Encoding::Cl100k),
            ("text-embedding-3-small", Encoding::Cl100k),
            ("gpt-4o", Encoding::O200k),
            ("gpt-4o-mini-2024-07-18", Encoding::O200k),
            ("gpt-4.1", Encoding::O200k),
            ("gpt-4.5-preview", Encoding::O200k),
            ("gpt-5-mini", Encoding::O200k),
            ("o3", Encoding::O200k),
            ("chatgpt-4o-latest", Encoding::O200k),
            ("llama-3.3-70b", Encoding::O200k),
            ("", Encoding::O200k),
        ] {
            assert_eq!(Encoding::of(model), encoding, "{model}");
        }
    }

    #[test]
    fn a_cut_text_counts_as_a_whole_one() {
        let words = "The quick brown fox, jumps over 1234567 lazy dogs!\n\n    return x;\t// it's (not) \u{4e16}\u{754c} \u{1f980}  \r\n";
        let code = "fn main() {\n        let a = [1, 22, 333];   \n\n\n    println!(\"{a:?}\");  }\u{3000} \u{a0} x \u{301} y\n";
        let shout = "DON'T PANIC. I'LL'VE GONE ;;; --- ///\n / \u{e9}l\u{e8}ve's  'S ";
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            for unit in [words, code, shout] {
                // Every offset of a cut within the text is tried.
                for shift in 0..unit.chars().count() {
                    let start: String = unit.chars().skip(shift).collect();
                    let text = start + &unit.repeat(2 * PIECE / unit.len() + 1);
                    let meter = counted(encoding, &text);
                    assert_eq!(meter.total(), whole(encoding, &text), "{encoding:?} {unit:?} from {shift}");
                    assert_eq!((meter.encoded, meter.skipped), (text.len(), 0));
                }
            }
        }
    }

    #[test]
    fn a_text_without_spaces_counts_nearly_as_a_whole_one() {
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            for unit in
                ["a", "ab1,", "\u{4e16}\u{754c}\u{3002}", "\u{1f980}", "\n", " ", "\t ", "=", "A", "\u{301}", "0"]
            {
                let text = unit.repeat(40 * PIECE / 10 / unit.len());
                let (cut, whole) = (counted(encoding, &text).total(), whole(encoding, &text));
                assert!(cut.abs_diff(whole) <= 12, "{encoding:?} {unit:?}: {cut} for {whole}");
            }
        }
    }

    #[test]
    fn no_more_than_the_limit_is_encoded() {
        for unit in ["a", " ", "\n", "\u{4e16}", "a ", "!\u{301}", "\u{1f469}\u{200d}"] {
            let text = unit.repeat((EXACT + EXACT / 2) / unit.len());
            let meter = counted(Encoding::O200k, &text);
            assert!((EXACT..EXACT + PIECE).contains(&meter.spent), "{unit:?}: {}", meter.encoded);
            assert_eq!(meter.encoded + meter.skipped, text.len(), "{unit:?}");
            let half = counted(Encoding::O200k, &unit.repeat(EXACT / 2 / unit.len()));
            assert!(meter.total().abs_diff(3 * half.total()) <= meter.total() / 100, "{unit:?}: {meter:?}, {half:?}");
        }
    }

    #[test]
    fn no_more_texts_than_the_limit_are_encoded() {
        let mut meter = Meter::new(Encoding::O200k);
        let texts = EXACT / (A_TEXT + 1);
        for _ in 0..2 * texts {
            meter.text("a");
        }
        assert_eq!((meter.encoded, meter.skipped), (texts, texts));
        assert_eq!(meter.total(), 2 * texts as u64);
    }

    #[test]
    fn words_that_look_like_the_encoders_own_marks_are_text() {
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            assert!(counted(encoding, "<|endoftext|>").total() > 3);
            assert_eq!(counted(encoding, "").total(), 0);
        }
    }

    #[test]
    fn fixed_tokens_never_make_less_than_nothing() {
        let mut meter = Meter::new(Encoding::O200k);
        meter.fixed(-3);
        assert_eq!(meter.total(), 0);
        meter.fixed(i64::MAX);
        meter.fixed(i64::MAX);
        assert_eq!(meter.total(), i64::MAX as u64);
    }
}
