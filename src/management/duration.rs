//! LiteLLM's spans of time: `30s`, `5m`, `2h`, `7d`, `2w`, `1mo`.

use crate::auth::Time;

/// Milliseconds of `text`; none: it is no such span, or one of nothing. A month has 30 days.
pub fn span(text: &str) -> Option<Time> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        "mo" => 2_592_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(1000).filter(|span| *span > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("5m", Some(300)),
            ("2h", Some(7200)),
            ("7d", Some(604_800)),
            ("2w", Some(1_209_600)),
            ("1mo", Some(2_592_000)),
            ("0s", None),
            ("s", None),
            ("5", None),
            ("-5s", None),
            ("5 s", None),
            ("1y", None),
            ("99999999999999999999s", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(span(text), seconds.map(|seconds: u64| seconds * 1000), "{text}");
        }
    }
}
