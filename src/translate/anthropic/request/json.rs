//! Reads the body: JSON, and nothing that only looks like it.
//!
//! The law: every number keeps its digits (only an exponent is written anew, `1E4` as `1e+4`) and every object its order; what another reader could take differently
//! is refused: text that is not Unicode, a field that stands twice, more than 127 levels. A refusal says where.
//!
//! serde_json hands a number to a visitor as a map of one entry with a key of its own. An object of the client that has this
//! key is told apart by how its value reads, and refused.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::super::Refusal;
use super::place::short;

/// The key under which serde_json hands over a number.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads an object.
pub fn read(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let wrong = |what: &dyn fmt::Display| Refusal::at("", format!("the body is not valid JSON: {what}"));
    // Looked at first: otherwise only strings would be, and the message would blame something else.
    if let Err(error) = std::str::from_utf8(body) {
        return Err(wrong(&format_args!("octet {} is not UTF-8", error.valid_up_to() + 1)));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = Any.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Refusal::at("", "the body is not a JSON object")),
        Err(error) => Err(wrong(&error)),
    }
}

/// Any JSON value.
struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element_seed(Any)? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER {
                let Digits(text) = entries.next_value()?;
                return text.parse::<Number>().map(Value::Number).map_err(Error::custom);
            }
            let value = entries.next_value_seed(Any)?;
            if out.contains_key(&key) {
                return Err(Error::custom(format_args!("the field `{}` stands twice", short(&key))));
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

/// The text of a number. Asked for bytes, a JSON text answers with bytes and serde_json's number with text.
struct Digits(String);

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "no field called `{NUMBER}`")
            }

            fn visit_string<E: Error>(self, text: String) -> Result<String, E> {
                Ok(text)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }
        }
        reader.deserialize_bytes(Text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_stays_as_it_is() {
        for text in [
            "{}",
            r#"{"b":1,"a":2}"#,
            r#"{"n":[0,-0,1.0,1.50,1e+400,-2.5e-999999,12345678901234567890123]}"#,
            r#"{"s":["","é","😀","\n\u0000\""],"t":true,"f":false,"n":null}"#,
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
        ] {
            let map = read(text.as_bytes()).unwrap_or_else(|refusal| panic!("{text}: {refusal:?}"));
            assert_eq!(Value::Object(map).to_string(), text);
        }
        for (written, kept) in [("1e400", "1e+400"), ("1E5", "1e+5"), ("-1.0E+05", "-1.0e+05"), ("1E-7", "1e-7")] {
            let map = read(format!(r#"{{"n":{written}}}"#).as_bytes()).expect(written);
            assert_eq!(map.get("n").map(Value::to_string).as_deref(), Some(kept), "{written}");
        }
        let escaped = read(br#"{"s":"\ud83d\ude00"}"#).expect("a pair");
        assert_eq!(escaped.get("s"), Some(&Value::from("😀")));
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        let deep =
            |levels: usize| [r#"{"a":"#.to_owned(), "[".repeat(levels), "]".repeat(levels), "}".to_owned()].concat();
        read(deep(126).as_bytes()).expect("127 levels in all");
        let (deep, deeper, deepest) = (deep(127), deep(128), "[".repeat(100_000));
        for (body, says) in [
            (&b""[..], "line 1 column 0"),
            (b"  ", "line 1 column 2"),
            (b"{", "line 1 column 1"),
            (b"{\n\"a\": }", "line 2 column 6"),
            (b"{} x", "line 1 column 4"),
            (b"{}{}", "line 1 column 3"),
            (b"{\"a\":\"\xff\"}", "octet 7 is not UTF-8"),
            (b"{\"a\":\"\xed\xa0\x80\"}", "octet 7 is not UTF-8"),
            (b"\xff\xfe{\0}\0", "octet 1 is not UTF-8"),
            (b"\xef\xbb\xbf{}", "line 1 column 1"),
            (b"{\0}\0", "line 1 column 2"),
            (br#"{"a":"\ud800"}"#, "line 1 column"),
            (br#"{"a":"\udc00"}"#, "line 1 column"),
            (br#"{"a":"\ud800\ud800"}"#, "line 1 column"),
            (br#"{"\ud800":1}"#, "line 1 column"),
            (b"{\"a\":\"\n\"}", "line 2 column 0"),
            (b"{\"a\":NaN}", "line 1 column 6"),
            (b"{\"a\":Infinity}", "line 1 column 6"),
            (b"{\"a\":01}", "line 1 column"),
            (b"{\"a\":+1}", "line 1 column 6"),
            (b"{\"a\":1.}", "line 1 column"),
            (b"{'a':1}", "line 1 column 2"),
            (b"{\"a\":1,}", "line 1 column 8"),
            (b"{\"a\":1,\"a\":1}", "`a` stands twice"),
            (b"{\"b\":[{\"a\":1,\"\\u0061\":2}]}", "`a` stands twice"),
            (br#"{"a":{"$serde_json::private::Number":"5"}}"#, "no field called"),
            (br#"{"a":{"$serde_json::private::Number":5}}"#, "no field called"),
            (br#"{"a":{"$serde_json::private::Number":["5"]}}"#, "no field called"),
            (br#"{"a":{"\u0024serde_json::private::Number":"5"}}"#, "no field called"),
            (br#"{"a":{"b":1,"$serde_json::private::Number":"5"}}"#, "no field called"),
            (deep.as_bytes(), "recursion limit"),
            (deeper.as_bytes(), "recursion limit"),
            (deepest.as_bytes(), "recursion limit"),
        ] {
            let shown = String::from_utf8_lossy(body.get(..60).unwrap_or(body)).into_owned();
            let refusal = read(body).expect_err(&shown);
            assert_eq!((refusal.status, &*refusal.place), (400, ""), "{shown}");
            assert!(refusal.message.contains(says), "{shown}: {}", refusal.message);
        }
        for body in ["[]", "null", "1", "\"{}\""] {
            assert_eq!(read(body.as_bytes()).expect_err(body).message, "the body is not a JSON object");
        }
    }
}
