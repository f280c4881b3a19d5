//! Whether OpenAI can hold a model to a JSON schema.
//!
//! The law is the one of OpenAI's guide on Structured Outputs, section "Supported schemas": the root is an object and no
//! `anyOf`; every object lists all its properties as required and allows no others; only the keywords named there; at most
//! 5000 properties, 10 levels of objects, 1000 values of enumerations, 120,000 characters of names and values. A schema that
//! the guide does not plainly allow does not qualify: to be wrong that way costs a guarantee, the other way an answer.

use std::collections::HashSet;

use serde_json::{Map, Value};

const MOST_PROPERTIES: usize = 5000;
const MOST_LEVELS: usize = 10;
const MOST_VALUES: usize = 1000;
const MOST_CHARACTERS: usize = 120_000;
/// An enumeration of more texts than this ...
const LONG_ENUM: usize = 250;
/// ... has at most so many characters.
const MOST_OF_LONG_ENUM: usize = 15_000;

/// Keywords that hold nothing to look into.
const PLAIN: &[&str] = &[
    "type",
    "title",
    "description",
    "pattern",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "minItems",
    "maxItems",
];

/// The formats of a text that the guide lists.
const FORMATS: &[&str] = &["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

const TYPES: &[&str] = &["string", "number", "boolean", "integer", "object", "array", "null"];

/// Whether it does.
pub fn qualifies(schema: &Value) -> bool {
    let Some(root) = schema.as_object() else { return false };
    let mut look = Look { root, properties: 0, values: 0, characters: 0 };
    root.get("type").is_some_and(|kind| kind == "object")
        && !root.contains_key("anyOf")
        && look.schema(schema, 0)
        && look.properties <= MOST_PROPERTIES
        && look.values <= MOST_VALUES
        && look.characters <= MOST_CHARACTERS
}

struct Look<'v> {
    root: &'v Map<String, Value>,
    properties: usize,
    values: usize,
    characters: usize,
}

impl Look<'_> {
    fn schema(&mut self, schema: &Value, level: usize) -> bool {
        let Some(map) = schema.as_object() else { return false };
        if let Some(target) = map.get("$ref") {
            return map.len() == 1 && target.as_str().is_some_and(|target| self.resolves(target));
        }
        let kinds = kinds(map);
        if kinds.is_none() && !map.contains_key("anyOf") {
            return false;
        }
        let kinds = kinds.unwrap_or_default();
        let object = kinds.contains(&"object");
        let level = level + usize::from(object);
        level <= MOST_LEVELS
            && (!object || closed(map))
            && (!kinds.contains(&"array") || map.contains_key("items"))
            && map.iter().all(|(keyword, value)| match keyword.as_str() {
                "$schema" => std::ptr::eq(map, self.root),
                keyword => self.keyword(keyword, value, level),
            })
    }

    fn keyword(&mut self, keyword: &str, value: &Value, level: usize) -> bool {
        match keyword {
            "properties" => self.named(value, level, true),
            "$defs" | "definitions" => self.named(value, level, false),
            "items" => self.schema(value, level),
            "anyOf" => value
                .as_array()
                .is_some_and(|list| !list.is_empty() && list.iter().all(|schema| self.schema(schema, level))),
            "enum" => value.as_array().is_some_and(|list| self.listed(list)),
            "const" => {
                self.characters += value.as_str().map_or(0, str::len);
                true
            }
            "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
            // `closed` has looked at them.
            "required" | "additionalProperties" => true,
            _ => PLAIN.contains(&keyword),
        }
    }

    fn named(&mut self, value: &Value, level: usize, properties: bool) -> bool {
        let Some(map) = value.as_object() else { return false };
        self.properties += if properties { map.len() } else { 0 };
        self.characters += map.keys().map(String::len).sum::<usize>();
        map.values().all(|schema| self.schema(schema, level))
    }

    fn listed(&mut self, list: &[Value]) -> bool {
        let characters = list.iter().filter_map(Value::as_str).map(str::len).sum::<usize>();
        self.values += list.len();
        self.characters += characters;
        !list.is_empty() && (list.len() <= LONG_ENUM || characters <= MOST_OF_LONG_ENUM)
    }

    /// `#`, or a definition of the root.
    fn resolves(&self, target: &str) -> bool {
        if target == "#" {
            return true;
        }
        let Some((list, name)) = target.strip_prefix("#/").and_then(|path| path.split_once('/')) else { return false };
        matches!(list, "$defs" | "definitions")
            && self.root.get(list).is_some_and(|defined| defined.get(name).is_some())
    }
}

/// The types of a schema; None where it has none or an unknown one.
fn kinds(map: &Map<String, Value>) -> Option<Vec<&str>> {
    let kinds = match map.get("type")? {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    (!kinds.is_empty() && kinds.iter().all(|kind| TYPES.contains(kind))).then_some(kinds)
}

/// Whether an object has all its properties and no others.
fn closed(map: &Map<String, Value>) -> bool {
    let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
    let required: HashSet<_> = required.map(Value::as_str).collect();
    let Some(properties) = map.get("properties").and_then(Value::as_object) else { return false };
    map.get("additionalProperties") == Some(&Value::Bool(false))
        && required.len() == properties.len()
        && properties.keys().all(|name| required.contains(&Some(name.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An object of one property.
    fn around(schema: Value) -> Value {
        json!({"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": false})
    }

    #[test]
    fn what_the_guide_allows_qualifies() {
        for schema in [
            json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            around(json!({"type": ["string", "null"], "pattern": "^a", "format": "date", "description": "d"})),
            around(json!({"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2})),
            around(json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3})),
            around(json!({"anyOf": [{"type": "string", "enum": ["a", "b"]}, around(json!({"type": "null"}))]})),
            around(json!({"type": "string", "const": "a"})),
            around(json!({"$ref": "#"})),
            {
                let mut schema = around(json!({"$ref": "#/$defs/step"}));
                schema["$defs"] = json!({"step": {"type": "string"}});
                schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
                schema
            },
        ] {
            assert!(qualifies(&schema), "{schema}");
        }
    }

    #[test]
    fn anything_else_does_not() {
        let open = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let optional = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": [],
            "additionalProperties": false});
        let unknown = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"],
            "additionalProperties": false});
        let twice = json!({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
            "required": ["a", "a"],
            "additionalProperties": false});
        let union = json!({"type": "object", "anyOf": [around(json!({"type": "string"}))]});
        for schema in [json!(null), json!({}), json!({"type": "string"}), json!({"type": ["object"]}), open.clone()] {
            assert!(!qualifies(&schema), "{schema}");
        }
        for schema in [open.clone(), optional, unknown, twice, union] {
            assert!(!qualifies(&schema), "{schema}");
        }
        for schema in [
            open,
            json!({}),
            json!(true),
            json!({"type": "text"}),
            json!({"type": []}),
            json!({"type": "array"}),
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
            json!({"type": "string", "minLength": 1}),
            json!({"type": "string", "format": "uri"}),
            json!({"type": "string", "default": "a"}),
            json!({"type": "string", "enum": []}),
            json!({"type": "object"}),
            json!({"enum": ["a"]}),
            json!({"anyOf": []}),
            json!({"oneOf": [{"type": "string"}]}),
            json!({"allOf": [{"type": "string"}]}),
            json!({"type": "string", "not": {"type": "null"}}),
            json!({"$ref": "#/$defs/none"}),
            json!({"$ref": "https://example.com/schema"}),
            json!({"$ref": "#", "description": "d"}),
            json!({"type": "string", "$schema": "https://json-schema.org/draft/2020-12/schema"}),
            json!({"type": "object", "properties": {}, "required": [], "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false,
                "patternProperties": {}}),
        ] {
            assert!(!qualifies(&around(schema.clone())), "{schema}");
        }
    }

    #[test]
    fn the_limits_are_limits() {
        let nested = |levels: usize| (1..levels).fold(around(json!({"type": "string"})), |inner, _| around(inner));
        assert!(qualifies(&nested(MOST_LEVELS)) && !qualifies(&nested(MOST_LEVELS + 1)));
        let listed = |count: usize, length: usize| {
            let list: Vec<_> = (0..count).map(|index| format!("{index:0>length$}")).collect();
            around(json!({"type": "string", "enum": list}))
        };
        assert!(qualifies(&listed(MOST_VALUES, 4)) && !qualifies(&listed(MOST_VALUES + 1, 4)));
        assert!(qualifies(&listed(250, 100)) && !qualifies(&listed(251, 100)));
        let wide = |count: usize, length: usize| {
            let names: Vec<_> = (0..count).map(|index| format!("{index:0>length$}")).collect();
            let properties: Map<_, _> = names.iter().map(|name| (name.clone(), json!({"type": "null"}))).collect();
            json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
        };
        assert!(qualifies(&wide(MOST_PROPERTIES, 4)) && !qualifies(&wide(MOST_PROPERTIES + 1, 4)));
        assert!(qualifies(&wide(1000, 120)) && !qualifies(&wide(1000, 121)));
    }
}
