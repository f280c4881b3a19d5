//! Ids of messages and tool calls.
//!
//! The law: the same answer has the same ids every time; an id that the upstream gave a tool call stays, for it is what a
//! result is matched by; within a message no two calls share one.

use sha2::{Digest as _, Sha256};

/// What of an id is kept as it is.
const PLAIN: usize = 64;

/// A message's id, from the upstream's, or from the call's where it has none.
pub(super) fn message(upstream: Option<&str>, call: &str) -> String {
    let id = upstream.filter(|id| !id.is_empty()).unwrap_or(call);
    let rest = id.strip_prefix("chatcmpl-").or_else(|| id.strip_prefix("msg_")).unwrap_or(id);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match (1..=PLAIN).contains(&rest.len()) && rest.bytes().all(is_plain) {
        true => format!("msg_{rest}"),
        false => {
            let digest = Sha256::digest(id.as_bytes());
            let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            format!("msg_{hex}")
        }
    }
}

/// The id of the tool call at `place` of `message`, where the upstream gave none, or one that another call has.
pub(super) fn tool(message: &str, place: usize) -> String {
    format!("toolu_{}_{place}", message.strip_prefix("msg_").unwrap_or(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_stay() {
        let long = "x".repeat(65);
        for (upstream, expected) in [
            (Some("chatcmpl-AbC_1"), "msg_AbC_1"),
            (Some("msg_01"), "msg_01"),
            (Some("019a-77"), "msg_019a-77"),
            (Some(""), "msg_the-call"),
            (None, "msg_the-call"),
            (Some("a b"), "msg_c8687a08aa5d6ed2044328fa"),
            (Some("chatcmpl-"), "msg_"),
            (Some(&long), "msg_"),
        ] {
            let id = message(upstream, "the-call");
            assert!(id.starts_with(expected) && id.len() > 4 && id.len() <= 68, "{upstream:?}: {id}");
            assert_eq!(id, message(upstream, "the-call"));
        }
        assert_ne!(message(Some("a b"), ""), message(Some("a c"), ""));
        assert_eq!(tool("msg_1", 2), "toolu_1_2");
    }
}
