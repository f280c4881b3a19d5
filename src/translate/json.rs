//! Reads JSON within bounds: a request, a model's answer, an event of its stream.
//!
//! The law: every number keeps its digits (only an exponent is written anew, `1E4` as `1e+4`) and every object its order; text
//! that is not Unicode and more than 127 levels are refused. So is half of a UTF-16 pair (`"\ud83d"`), which no UTF-8 can hold:
//! a server that cuts an emoji in two between chunks writes two texts that are none, and its stream fails as not JSON.
//!
//! What is read becomes a tree, and a value of one octet takes a hundred there. So nodes are counted as they are read (a
//! value is one, and so is the name of a field), and nothing is built beyond [`Limits::nodes`]. A long text is one node and
//! costs its length.
//!
//! serde_json hands a number to a visitor as a map of one entry with a key of its own. An object of the sender that has this
//! key is told apart by how its value reads, and refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use smallvec::SmallVec;

/// The key under which serde_json hands over a number.
const NUMBER: &str = "$serde_json::private::Number";
/// So many fields are compared one by one; of an object with more, they are hashed.
const FEW: usize = 8;
/// The most that is shown of a field's name.
const SHOWN: usize = 64;

/// What may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most nodes.
    pub nodes: usize,
    /// Whether a field may stand twice in an object. The last one counts then.
    pub doubles: bool,
}

impl Limits {
    /// A request. 524,288 nodes are at most some 100 MiB in memory, whatever they are. A model is shown a node as two tokens or more,
    /// the sign that ends it being one, and none takes a million; 100,000 messages, the most that Anthropic takes, are
    /// five nodes each. What two readers could take differently is refused.
    pub const REQUEST: Self = Self { nodes: 1 << 19, doubles: false };
    /// A model's answer of one piece: as large as a request, for it comes back in one. Servers write fields twice.
    pub const ANSWER: Self = Self { nodes: 1 << 19, doubles: true };
    /// An event of a model's stream. The largest known carry a whole answer, whose text and arguments are a node each;
    /// 65,536 are some 10 MiB, about as much as the event itself may have.
    pub const EVENT: Self = Self { nodes: 1 << 16, doubles: true };
}

/// Why something cannot be read.
#[derive(Debug)]
pub enum Fault {
    /// It is no Unicode, from this octet on; the first is 1.
    Octet(usize),
    /// It is not JSON, or what is refused of it.
    Syntax(serde_json::Error),
    /// It has more nodes than these.
    Nodes(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octet(at) => write!(f, "octet {at} is not UTF-8"),
            Self::Syntax(error) => error.fmt(f),
            Self::Nodes(most) => write!(f, "more than {most} values and names of fields"),
        }
    }
}

/// Reads `text`.
///
/// # Errors
/// What is no JSON, or more than `limits` allow.
pub fn read(text: &[u8], limits: Limits) -> Result<Value, Fault> {
    // Looked at first: otherwise only strings would be, and the message would blame something else.
    let text = std::str::from_utf8(text).map_err(|error| Fault::Octet(error.valid_up_to() + 1))?;
    let left = Cell::new(Some(limits.nodes));
    let mut reader = serde_json::Deserializer::from_str(text);
    let any = Any { left: &left, doubles: limits.doubles };
    let value = any.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| match left.get() {
        None => Fault::Nodes(limits.nodes),
        Some(_) => Fault::Syntax(error),
    })
}

/// Any JSON value.
#[derive(Clone, Copy)]
struct Any<'l> {
    /// How many nodes may still come; none when there were too many.
    left: &'l Cell<Option<usize>>,
    doubles: bool,
}

impl Any<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        self.left.set(self.left.get().and_then(|left| left.checked_sub(1)));
        self.left.get().map(|_| ()).ok_or_else(|| E::custom("too many nodes"))
    }
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.count()?;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
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
        while let Some(value) = list.next_element_seed(self)? {
            out.push(value);
        }
        // A list of one would hold the room of four.
        out.shrink_to_fit();
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut out = Entries::default();
        while let Some(key) = entries.next_key()? {
            let Key::Name(name) = key else {
                let Digits(text) = entries.next_value()?;
                return text.parse::<Number>().map(Value::Number).map_err(Error::custom);
            };
            self.count()?;
            let value = entries.next_value_seed(self)?;
            if !self.doubles && out.has(&name) {
                let shown: String = name.chars().flat_map(char::escape_default).take(SHOWN).collect();
                return Err(Error::custom(format_args!("the field `{shown}` stands twice")));
            }
            out.insert(name, value);
        }
        Ok(Value::Object(out.into_map()))
    }
}

/// The entries of an object as they come. Most objects have few, and a map that grows takes four times the room for one.
#[derive(Default)]
struct Entries {
    few: SmallVec<[(String, Value); FEW]>,
    /// All of them, once they are more.
    many: Map<String, Value>,
}

impl Entries {
    fn has(&self, name: &str) -> bool {
        self.few.iter().any(|(known, _)| known == name) || (!self.many.is_empty() && self.many.contains_key(name))
    }

    fn insert(&mut self, name: String, value: Value) {
        if !self.many.is_empty() {
            self.many.insert(name, value);
        } else if self.few.len() < FEW {
            self.few.push((name, value));
        } else {
            self.many = Map::with_capacity(2 * FEW);
            self.many.extend(self.few.drain(..));
            self.many.insert(name, value);
        }
    }

    fn into_map(self) -> Map<String, Value> {
        if !self.many.is_empty() {
            return self.many;
        }
        let mut map = Map::with_capacity(self.few.len());
        map.extend(self.few);
        map
    }
}

/// The name of a field, or what stands in the place of a number's.
enum Key {
    Name(String),
    Number,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
                Ok(if name == NUMBER { Key::Number } else { Key::Name(name.to_owned()) })
            }
        }
        reader.deserialize_str(Text)
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

    fn within(text: &str, nodes: usize, doubles: bool) -> Result<Value, Fault> {
        read(text.as_bytes(), Limits { nodes, doubles })
    }

    #[test]
    fn every_value_and_every_name_is_a_node() {
        let text = "x".repeat(1 << 20);
        for (text, nodes) in [
            ("0".to_owned(), 1),
            (" null ".into(), 1),
            (format!("\"{text}\""), 1),
            (format!("-1{}", "0".repeat(100)), 1),
            ("[]".into(), 1),
            ("{}".into(), 1),
            ("[0,1.5,-2e9]".into(), 4),
            ("[[[[]]]]".into(), 4),
            (r#"{"a":0}"#.into(), 3),
            (r#"{"a":{"a":[true,false,null]},"b":""}"#.into(), 10),
            (format!("[{}0]", "0,".repeat(999)), 1001),
            (format!("[{}{{}}]", "{},".repeat(999)), 1001),
        ] {
            let shown = &text[..text.len().min(60)];
            assert!(within(&text, nodes, false).is_ok(), "{shown}");
            for fewer in [nodes - 1, nodes / 2, 0] {
                assert!(matches!(within(&text, fewer, true), Err(Fault::Nodes(most)) if most == fewer), "{shown}");
            }
        }
    }

    #[test]
    fn nothing_is_read_behind_the_last_node() {
        // What follows is no JSON, and nobody gets there.
        assert!(matches!(within("[0,0,0,0,{\"a\":tru", 4, false), Err(Fault::Nodes(4))));
        assert!(matches!(within("{\"a\":0,\"a\":0", 3, false), Err(Fault::Nodes(3))));
        assert!(matches!(within("[0,0,0,]", 4, false), Err(Fault::Syntax(_))));
    }

    /// Each field compared with each before it would be twenty thousand million comparisons, and never come to an end.
    #[test]
    fn many_fields_are_read_as_fast_as_few() {
        let fields: Vec<_> = (0..200_000).map(|index| format!("\"field {index:060}\":{index}")).collect();
        let text = format!("{{{}}}", fields.join(","));
        for doubles in [false, true] {
            let value = within(&text, 1 << 19, doubles).expect("no field stands twice");
            assert_eq!(value.as_object().map(Map::len), Some(200_000));
            assert_eq!(value.to_string(), text);
        }
        let twice = format!("{{{},\"field {:060}\":0}}", fields.join(","), 7);
        assert!(matches!(within(&twice, 1 << 19, false), Err(Fault::Syntax(_))));
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_or_its_last_counts() {
        for count in 1..=2 * FEW + 1 {
            for again in 0..count {
                let fields: Vec<_> = (0..count).map(|index| format!("\"f{index}\":{index}")).collect();
                let text = format!("{{{},\"f{again}\":\"last\"}}", fields.join(","));
                let fault = within(&text, 100, false).expect_err(&text);
                assert!(
                    fault.to_string().starts_with(&format!("the field `f{again}` stands twice at line 1")),
                    "{fault}"
                );
                let value = within(&text, 100, true).expect(&text);
                assert_eq!(value, serde_json::from_str::<Value>(&text).expect("JSON"));
                assert_eq!(
                    value.to_string(),
                    text.replace(&format!(",\"f{again}\":\"last\""), "")
                        .replace(&format!("\"f{again}\":{again}"), &format!("\"f{again}\":\"last\""))
                );
            }
        }
    }

    #[test]
    fn half_a_pair_is_no_text() {
        for text in [r#""\ud83d""#, r#""\ude00""#, r#"["\ud83d","\ude00"]"#, r#"{"\ud83d":0}"#] {
            assert!(matches!(within(text, 10, true), Err(Fault::Syntax(_))), "{text}");
        }
        assert_eq!(within(r#""\ud83d\ude00""#, 1, true).expect("a pair"), "😀");
    }
}
