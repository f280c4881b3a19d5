//! Values of a body.
//!
//! The law: a value of another kind is refused and never guessed at; null reads as nothing.

use serde_json::{Map, Value};

use super::fault::BadField;

/// The fields of a request.
pub type Body = Map<String, Value>;

/// The object in `body`; no body is an empty one. Deeper than 128 levels is refused by the parser.
pub fn read(body: &[u8]) -> Result<Body, BadField> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| BadField::Body)
}

/// Text; an empty one says nothing.
pub fn word(name: &'static str, value: &Value) -> Result<Option<String>, BadField> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok((!text.is_empty()).then(|| text.clone())),
        _ => Err(BadField::Value(name, "text")),
    }
}

/// The longest name, in bytes: they are labels of metrics and stand in every log line.
const LONGEST: usize = 255;

/// What somebody calls something; an empty name says nothing.
pub fn label(field: &'static str, value: &Value) -> Result<Option<String>, BadField> {
    match word(field, value)? {
        Some(text) if text.len() > LONGEST => Err(BadField::Value(field, "text of at most 255 bytes")),
        other => Ok(other),
    }
}

/// A list of text.
pub fn words(name: &'static str, value: &Value) -> Result<Vec<String>, BadField> {
    let wanted = || BadField::Value(name, "a list of text");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list.iter().map(|word| word.as_str().map(str::to_owned).ok_or_else(wanted)).collect(),
        _ => Err(wanted()),
    }
}

/// How much; none: unlimited.
pub(super) fn number(name: &'static str, value: &Value) -> Result<Option<u32>, BadField> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or(BadField::Value(name, "a whole number, not negative"))
}

/// How much of each.
pub(super) fn numbers(name: &'static str, value: &Value) -> Result<Vec<(String, u32)>, BadField> {
    let wanted = || BadField::Value(name, "a mapping of models to whole numbers");
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => {
            let entries = map.iter().filter(|(_, most)| !most.is_null());
            entries.map(|(model, most)| Ok((model.clone(), number(name, most)?.ok_or_else(wanted)?))).collect()
        }
        _ => Err(wanted()),
    }
}

/// A mapping.
pub(super) fn mapping(name: &'static str, value: &Value) -> Result<Body, BadField> {
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map.clone()),
        _ => Err(BadField::Value(name, "a mapping")),
    }
}

/// Yes or no.
pub(super) fn flag(name: &'static str, value: &Value) -> Result<bool, BadField> {
    value.as_bool().ok_or(BadField::Value(name, "true or false"))
}

/// Whether `value` asks for nothing.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_empty),
        Value::Object(map) => map.values().all(is_empty),
        // 0 is a limit.
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The name of `list` that `name` is.
pub(super) fn known(list: &'static [&'static str], name: &str) -> Option<&'static str> {
    list.iter().find(|known| **known == name).copied()
}

/// The fields of `list` that `bodies` give a value to must be none.
pub(super) fn refuse_unenforced(
    list: &[&'static str],
    bodies: [Option<&Body>; 2],
    says_nothing: impl Fn(&str, &Value) -> bool,
) -> Result<(), BadField> {
    let asks = |name: &str| {
        let mut values = bodies.iter().flatten().filter_map(|body| body.get(name));
        values.any(|value| !is_empty(value) && !says_nothing(name, value))
    };
    let asked: Vec<&'static str> = list.iter().filter(|name| asks(name)).copied().collect();
    if asked.is_empty() { Ok(()) } else { Err(BadField::NotEnforced(asked)) }
}

/// The name of `known` that `name` was likely meant to be.
pub(super) fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // Longer than any field: it need not be compared.
    if name.len() > 64 {
        return None;
    }
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min()?;
    (near.0 <= 3).then_some(near.1)
}
