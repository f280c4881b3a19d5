//! How another reader sees what is sent on: plain code that shares nothing with the code under test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The one key that is known.
pub const KEY: &str = "sk-fuzz-0123456789abcdef";

/// `{key}`, `{pct}`, `{b64}` become the key: plain, escaped, as the password of Basic credentials.
pub fn with_key(text: &str) -> String {
    let escaped: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    text.replace("{key}", KEY).replace("{pct}", &escaped).replace("{b64}", &STANDARD.encode(format!("x:{KEY}")))
}

/// Whether the key can be read out of `text`: plain, after one decoding, or out of Basic credentials.
pub fn shows_key(text: &[u8]) -> bool {
    let holds = |text: &[u8]| text.windows(KEY.len()).any(|window| window == KEY.as_bytes());
    let pair = || {
        let text = std::str::from_utf8(text).ok()?.trim();
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(token.trim()).ok())?
    };
    holds(text) || holds(&unescaped(text)) || pair().is_some_and(|pair| holds(&pair))
}

/// `%XX` decoded once; a broken escape stands for itself.
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let octet = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| {
            pair.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u8::from_str_radix(pair, 16).ok())?
        });
        match (first, octet) {
            (b'%', Some(octet)) => {
                out.push(octet);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// Whether a server that decodes once would walk up or stand still somewhere in `path`.
pub fn has_dot_segment(path: &[u8]) -> bool {
    unescaped(path).split(|byte| matches!(byte, b'/' | b'\\' | b';')).any(|piece| matches!(piece, b"." | b".."))
}
