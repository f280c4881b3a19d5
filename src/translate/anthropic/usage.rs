//! What a model's answer cost, in Anthropic's words.
//!
//! The law: never negative, and the fields of the cache are always there. OpenAI counts what came from a cache among the
//! prompt's tokens, Anthropic beside them. What the upstream has not said is estimated: the input by the request, the output by
//! four bytes of text a token.

use serde::Serialize;
use serde_json::Value;

/// What the upstream has said, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    prompt: Option<u64>,
    completion: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    thinking: Option<u64>,
}

/// Anthropic's `usage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<Details>,
}

/// A part of the output, where the upstream tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Details {
    thinking_tokens: u64,
}

impl Usage {
    /// Takes over what `usage` says: totals, so that a later one replaces an earlier. What it does not say stays.
    pub(super) fn take(&mut self, usage: &Value) {
        let details = usage.get("prompt_tokens_details");
        let detail = |field| details.and_then(|details| tokens(details.get(field)));
        let own = |field| tokens(usage.get(field));
        self.prompt = own("prompt_tokens").or(self.prompt);
        self.completion = own("completion_tokens").or(self.completion);
        // OpenAI's field; then DeepSeek's, Moonshot's, and Anthropic's own, which gateways keep.
        let read = detail("cached_tokens")
            .or_else(|| own("prompt_cache_hit_tokens"))
            .or_else(|| own("cached_tokens"))
            .or_else(|| own("cache_read_input_tokens"));
        self.read = read.or(self.read);
        let written = detail("cache_creation_tokens")
            .or_else(|| detail("cache_write_tokens"))
            .or_else(|| own("cache_creation_input_tokens"));
        self.written = written.or(self.written);
        let details = usage.get("completion_tokens_details");
        self.thinking = details.and_then(|details| tokens(details.get("reasoning_tokens"))).or(self.thinking);
    }

    /// As it is told, where the request has about `estimated` tokens and the answer `bytes` of text.
    pub(super) fn told(self, estimated: u64, bytes: u64) -> Told {
        let prompt = self.prompt.unwrap_or(estimated);
        let read = self.read.unwrap_or(0).min(prompt);
        let written = self.written.unwrap_or(0).min(prompt - read);
        let output = self.completion.unwrap_or_else(|| bytes.div_ceil(4));
        Told {
            input_tokens: prompt - read - written,
            cache_creation_input_tokens: written,
            cache_read_input_tokens: read,
            output_tokens: output,
            // Some servers count it beside the output.
            output_tokens_details: self.thinking.map(|tokens| Details { thinking_tokens: tokens.min(output) }),
        }
    }
}

impl Told {
    /// As a message begins: nothing has been said.
    pub(super) fn at_first(self) -> Self {
        Self { output_tokens: 0, output_tokens_details: None, ..self }
    }
}

/// A number of tokens, however it is written; less than none is none.
fn tokens(value: Option<&Value>) -> Option<u64> {
    let number = match value? {
        Value::Number(number) => match number.as_u64() {
            Some(number) => return Some(number.min(MOST)),
            None => number.as_f64()?,
        },
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // The cast saturates: what is below zero is zero.
    number.is_finite().then_some((number as u64).min(MOST))
}

/// The largest number that every reader of JSON reads exactly.
const MOST: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_whatever_is_said() {
        for (said, [input, written, read, output]) in [
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, [10, 0, 0, 5]),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#, [6, 0, 4, 5]),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}"#,
                [0, 0, 10, 5],
            ),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null}"#, [10, 0, 0, 5]),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}"#,
                [3, 3, 4, 5],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cache_read_input_tokens":4,"cache_creation_input_tokens":9}"#,
                [0, 6, 4, 5],
            ),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8}"#, [2, 0, 8, 5]),
            (r#"{"prompt_tokens":-10,"completion_tokens":-5}"#, [0, 0, 0, 0]),
            (r#"{"prompt_tokens":"10","completion_tokens":"5"}"#, [10, 0, 0, 5]),
            (r#"{"prompt_tokens":10.0,"completion_tokens":5.9}"#, [10, 0, 0, 5]),
            (r#"{"prompt_tokens":"NaN","completion_tokens":1e999999}"#, [77, 0, 0, 3]),
            (r#"{"prompt_tokens":1e300,"completion_tokens":-1e300}"#, [MOST, 0, 0, 0]),
            (r#"{"prompt_tokens":99999999999999999999,"completion_tokens":18446744073709551615}"#, [MOST, 0, 0, MOST]),
            (r#"{"prompt_tokens":null,"completion_tokens":[]}"#, [77, 0, 0, 3]),
            (r#"{"completion_tokens":5}"#, [77, 0, 0, 5]),
            ("{}", [77, 0, 0, 3]),
            ("null", [77, 0, 0, 3]),
            ("[7]", [77, 0, 0, 3]),
            ("\"many\"", [77, 0, 0, 3]),
        ] {
            let Ok(value) = serde_json::from_str(said) else { panic!("{said}") };
            let mut usage = Usage::default();
            usage.take(&value);
            let expected = Told {
                input_tokens: input,
                cache_creation_input_tokens: written,
                cache_read_input_tokens: read,
                output_tokens: output,
                output_tokens_details: None,
            };
            assert_eq!(usage.told(77, 9), expected, "{said}");
        }
    }

    #[test]
    fn thinking_is_a_part_of_the_output() {
        for (said, expected) in [
            (r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}"#, Some(3)),
            (r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":0}}"#, Some(0)),
            (r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":30}}"#, Some(5)),
            (r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":-3}}"#, Some(0)),
            (r#"{"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":null}}"#, None),
            (r#"{"completion_tokens":5,"completion_tokens_details":null}"#, None),
            (r#"{"completion_tokens":5}"#, None),
        ] {
            let mut usage = Usage::default();
            usage.take(&serde_json::from_str(said).expect("JSON"));
            let told = usage.told(0, 0);
            assert_eq!(told.output_tokens_details.map(|details| details.thinking_tokens), expected, "{said}");
            assert_eq!(told.at_first().output_tokens_details, None, "{said}");
        }
    }

    #[test]
    fn a_later_total_replaces_an_earlier() {
        let mut usage = Usage::default();
        for said in [r#"{"prompt_tokens":10,"completion_tokens":1}"#, r#"{"completion_tokens":7}"#, "null"] {
            usage.take(&serde_json::from_str(said).expect("JSON"));
        }
        assert_eq!((usage.told(0, 0).input_tokens, usage.told(0, 0).output_tokens), (10, 7));
    }
}
