//! About how many tokens a chat has, for the first event of a stream, which comes before the model has counted.
//!
//! The law: it looks at lengths alone and costs about a microsecond for each hundred values. A token is taken for four octets
//! of text; an image is [`IMAGE`] and a file [`FILE`] whatever their size, since their octets say little; a message is
//! [`MESSAGE`] more and a tool [`TOOL`]. The exact count is another's.

use serde_json::Value;

use super::super::Chat;

/// About a square megapixel.
const IMAGE: u64 = 1_000;
/// About two pages.
const FILE: u64 = 3_000;
/// What stands around a message.
const MESSAGE: u64 = 4;
/// What stands around a tool.
const TOOL: u64 = 8;
/// Octets of text for each token.
const OCTETS: u64 = 4;

/// The estimate; at least 1.
pub fn estimate(chat: &Chat) -> u64 {
    let mut count = Count::default();
    for message in list(chat.get("messages")) {
        count.tokens += MESSAGE;
        match message.get("content") {
            Some(Value::Array(parts)) => parts.iter().for_each(|part| count.part(part)),
            Some(text) => count.text(text),
            None => {}
        }
        for call in list(message.get("tool_calls")) {
            count.tokens += TOOL;
            call.get("function").into_iter().for_each(|function| count.text(function));
        }
    }
    for tool in list(chat.get("tools")) {
        count.tokens += TOOL;
        count.text(tool);
    }
    chat.get("response_format").into_iter().for_each(|format| count.text(format));
    (count.tokens + count.octets / OCTETS).max(1)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[derive(Default)]
struct Count {
    tokens: u64,
    octets: u64,
}

impl Count {
    fn part(&mut self, part: &Value) {
        match part.get("type").and_then(Value::as_str) {
            Some("image_url") => self.tokens += IMAGE,
            Some("file") => self.tokens += FILE,
            _ => part.get("text").into_iter().for_each(|text| self.text(text)),
        }
    }

    /// Everything written in `value`; a number, a literal and the signs around a field are taken for one token.
    fn text(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.octets += text.len() as u64,
            Value::Array(list) => list.iter().for_each(|value| self.text(value)),
            Value::Object(map) => {
                for (name, value) in map {
                    self.octets += OCTETS + name.len() as u64;
                    self.text(value);
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => self.octets += OCTETS,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(chat: Value) -> u64 {
        estimate(chat.as_object().expect("an object"))
    }

    #[test]
    fn it_grows_with_what_is_said() {
        assert_eq!(of(json!({})), 1);
        let said = |text: &str| of(json!({"messages": [{"role": "user", "content": text}]}));
        assert_eq!((said(""), said("four"), said(&"x".repeat(4000))), (4, 5, 1004));
        let parts = json!([{"type": "text", "text": "x".repeat(400)}, {"type": "text", "text": ""}]);
        assert_eq!(of(json!({"messages": [{"role": "user", "content": parts}]})), 104);
        let call = json!({"id": "a", "type": "function", "function": {"name": "ab", "arguments": "{}"}});
        let called = of(json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [call]}]}));
        assert!((12..30).contains(&called), "{called}");
        let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
        assert!(of(json!({"tools": [tool.clone(), tool.clone()]})) > of(json!({"tools": [tool]})));
    }

    #[test]
    fn an_image_is_worth_the_same_whatever_its_size() {
        let image = |octets: usize| {
            let url = format!("data:image/png;base64,{}", "A".repeat(octets));
            let part = json!({"type": "image_url", "image_url": {"url": url}});
            of(json!({"messages": [{"role": "user", "content": [part]}]}))
        };
        assert_eq!((image(4), image(1_000_000)), (1_004, 1_004));
        let file = json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}});
        assert_eq!(of(json!({"messages": [{"role": "user", "content": [file]}]})), 3_004);
    }
}
