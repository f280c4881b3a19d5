//! Bodies that need no translation: OpenAI's own requests, and Anthropic's for Anthropic.
//!
//! The law: every byte but the model's name stays as the client wrote it; a field that stands twice at the top, which two
//! readers could read differently, is refused.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::memmem;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::json::{self, Limits};
use super::{Refusal, failure, sse};

/// An error is no longer than this; what is longer is an answer, whatever it holds.
const LONGEST_ERROR: usize = 64 << 10;
/// The most fields at the top. No API has a tenth of them, and each is held against every other.
const MOST_FIELDS: usize = 1000;

/// A request body whose model is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The model, as the client calls it.
    pub model: String,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Where the model's name stands, quotes included.
    span: Range<usize>,
    /// Behind the first brace.
    inside: usize,
    fields: Vec<String>,
}

/// Whether `body` is an answer of the API, as far as that can be said without looking into it: an object, and no error.
///
/// # Errors
/// It is none.
pub fn check_answer(body: &[u8]) -> Result<(), Refusal> {
    let text = body.trim_ascii();
    let wrong = || Refusal::upstream("The upstream's answer is not one of its API.");
    if text.first() != Some(&b'{') || serde_json::from_slice::<&RawValue>(body).is_err() {
        return Err(wrong());
    }
    // An error stands alone, or nearly.
    if text.len() <= LONGEST_ERROR && memmem::find(text, b"\"error\"").is_some() {
        let value: Value = serde_json::from_slice(text).map_err(|_| wrong())?;
        return failure::within(&value).map_or(Ok(()), Err);
    }
    Ok(())
}

/// A whole answer as the stream that was asked for, of a server that knows none: one chunk, and the end.
///
/// # Errors
/// It is none.
pub fn as_stream(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut answer: Value = json::read(body, Limits::ANSWER)
        .map_err(|_| Refusal::upstream("The upstream's answer is not one of its API."))?;
    if answer.get("object") == Some(&Value::from("chat.completion"))
        && let Some(object) = answer.get_mut("object")
    {
        *object = Value::from("chat.completion.chunk");
    }
    for choice in answer.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(choice) = choice.as_object_mut() else { continue };
        if let Some(mut message) = choice.shift_remove("message") {
            let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
            for (number, call) in calls.into_iter().flatten().enumerate() {
                if let Some(call) = call.as_object_mut() {
                    call.entry("index").or_insert(Value::from(number));
                }
            }
            choice.insert("delta".to_owned(), message);
        }
    }
    let mut out = Vec::new();
    sse::data(&mut out, &answer);
    out.extend_from_slice(b"data: [DONE]\n\n");
    Ok(out)
}

/// The fields of an object, none of them looked into.
struct Fields<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some(name) = map.next_key::<Name<'de>>()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(serde::de::Error::custom(format_args!("more than {MOST_FIELDS} fields")));
                    }
                    if fields.iter().any(|(known, _)| *known == name.0) {
                        return Err(serde::de::Error::custom(format_args!("the field `{}` stands twice", name.0)));
                    }
                    fields.push((name.0, map.next_value()?));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

/// A name, borrowed where it has no escapes.
struct Name<'b>(Cow<'b, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Reading)
    }
}

impl Named {
    /// Finds the model in `body`.
    ///
    /// # Errors
    /// It is no JSON object, or names no model.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let fields: Fields<'_> = serde_json::from_slice(body)
            .map_err(|error| Refusal::at("", format!("the body is not a JSON object that can be read: {error}")))?;
        let find = |name: &str| fields.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let raw = find("model").ok_or_else(|| Refusal::at("model", "Field required"))?;
        let model = serde_json::from_str::<String>(raw.get())
            .map_err(|_| Refusal::at("model", "must be the name of a model, as a string"))?;
        if model.is_empty() {
            return Err(Refusal::at("model", "must not be empty"));
        }
        let stream = match find("stream").map(RawValue::get) {
            None | Some("null" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(Refusal::at("stream", "must be true or false")),
        };
        // A borrowed value lies within the body it was read from.
        let start = (raw.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
        let inside = memchr::memchr(b'{', body).map_or(0, |at| at + 1);
        Ok(Self {
            model,
            stream,
            span: start..start + raw.get().len(),
            inside,
            fields: fields.0.into_iter().map(|(name, _)| name.into_owned()).collect(),
        })
    }

    /// `body`, which this was read from, for a `model` of another name, with those of `defaults` that it does not have.
    pub fn renamed(&self, body: &[u8], model: &str, defaults: &[(String, Value)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + model.len() + 16);
        out.extend_from_slice(body.get(..self.inside).unwrap_or_default());
        for (name, value) in defaults.iter().filter(|(name, _)| !self.fields.contains(name)) {
            out.extend_from_slice(format!("{}:{value},", Value::from(name.as_str())).as_bytes());
        }
        out.extend_from_slice(body.get(self.inside..self.span.start).unwrap_or_default());
        out.extend_from_slice(Value::from(model).to_string().as_bytes());
        out.extend_from_slice(body.get(self.span.end..).unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_name_changes() {
        for (body, model, stream, expected) in [
            (r#"{"model":"a","x":1.0}"#, "a", false, r#"{"model":"b\"c","x":1.0}"#),
            (
                "{ \"messages\" : [ {\"model\":\"no\"} ],\n\"stream\":true, \"model\" :\t\"a\\u0062\" }",
                "ab",
                true,
                "{ \"messages\" : [ {\"model\":\"no\"} ],\n\"stream\":true, \"model\" :\t\"b\\\"c\" }",
            ),
            (
                r#"{"mo\u0064el":"a","stream":null,"n":1e400}"#,
                "a",
                false,
                r#"{"mo\u0064el":"b\"c","stream":null,"n":1e400}"#,
            ),
        ] {
            let named = Named::read(body.as_bytes()).expect(body);
            assert_eq!((named.model.as_str(), named.stream), (model, stream), "{body}");
            assert_eq!(String::from_utf8(named.renamed(body.as_bytes(), "b\"c", &[])).expect("text"), expected);
        }
    }

    #[test]
    fn what_is_an_answer() {
        for (body, fine) in [
            ("{\"choices\":[]}", true),
            (" {\"error\":null,\"x\":1}\n", true),
            ("{\"text\":\"an \\\"error\\\"\"}", true),
            ("{\"error\":{\"message\":\"no\"}}", false),
            ("{\"choices\":[", false),
            ("[]", false),
            ("<html>", false),
            ("", false),
        ] {
            assert_eq!(check_answer(body.as_bytes()).is_ok(), fine, "{body}");
        }
    }

    #[test]
    fn a_whole_answer_is_a_stream_of_one_chunk() {
        let answer = json!({"object": "chat.completion", "choices": [
            {"message": {"content": "hi", "tool_calls": [{"id": "a"}, {"id": "b"}]}, "finish_reason": "stop"}]});
        let events = as_stream(answer.to_string().as_bytes()).expect("a stream");
        assert_eq!(
            String::from_utf8(events).expect("text"),
            concat!(
                r#"data: {"object":"chat.completion.chunk","choices":[{"finish_reason":"stop","delta":{"content":"hi","tool_calls":[{"id":"a","index":0},{"id":"b","index":1}]}}]}"#,
                "\n\ndata: [DONE]\n\n"
            )
        );
        assert!(as_stream(b"<html>").is_err());
    }

    #[test]
    fn fields_have_a_limit() {
        let body = |count: usize| {
            let fields: String = (1..count).map(|number| format!(",\"{number}\":0")).collect();
            format!("{{\"model\":\"a\"{fields}}}")
        };
        assert!(Named::read(body(MOST_FIELDS).as_bytes()).is_ok());
        let refusal = Named::read(body(MOST_FIELDS + 1).as_bytes()).expect_err("too many");
        assert!(refusal.message.contains("more than 1000 fields"), "{refusal:?}");
    }

    #[test]
    fn defaults_fill_what_is_missing() {
        let body = br#" {"temperature":0,"model":"a"}"#;
        let named = Named::read(body).expect("named");
        let defaults = [("temperature".to_owned(), json!(1)), ("seed".to_owned(), json!(7))];
        let written = named.renamed(body, "m", &defaults);
        assert_eq!(written, br#" {"seed":7,"temperature":0,"model":"m"}"#);
    }

    #[test]
    fn what_is_refused() {
        for (body, place) in [
            ("", ""),
            ("[]", ""),
            ("\"a\"", ""),
            ("{\"model\":\"a\"} x", ""),
            ("{\"model\":\"a\",\"model\":\"b\"}", ""),
            ("{\"model\":\"a\",\"m\\u006fdel\":\"b\"}", ""),
            ("{}", "model"),
            ("{\"model\":null}", "model"),
            ("{\"model\":\"\"}", "model"),
            ("{\"model\":\"\\ud800\"}", "model"),
            ("{\"model\":\"a\",\"stream\":1}", "stream"),
        ] {
            assert_eq!(
                Named::read(body.as_bytes()).map_err(|refusal| (refusal.status, refusal.place)),
                Err((400, place.to_owned())),
                "{body}"
            );
        }
        assert!(Named::read(b"{\"model\":\"\xff\"}").is_err());
    }
}
