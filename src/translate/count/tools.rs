//! What tools cost, by OpenAI's recipe.
//!
//! The law: the numbers of the cookbook's "How to count tokens with tiktoken", section 7, for every function and every
//! property. It stops at the properties of the first level; here those of deeper ones count by the same numbers, since the
//! model is shown them too. It also wants a type and a description everywhere; what is missing has no text.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::text::{Encoding, Meter};

const PROPERTIES: i64 = 3;
const PROPERTY: i64 = 3;
const ENUMERATION: i64 = -3;
const ENUMERATED: i64 = 3;
const END: i64 = 12;

/// Where a schema holds more of them: one, a list, or some by name.
const INNER: [&str; 10] = [
    "items",
    "prefixItems",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "patternProperties",
    "$defs",
    "definitions",
];

/// All tools of a request: `tools`, or `functions` as they were called before.
pub fn tools(meter: &mut Meter, tools: &[Value]) {
    for tool in tools {
        // A tool that is no function has its name and text one level down, too.
        let inner = ["function", "custom"].iter().find_map(|kind| tool.get(kind));
        function(meter, inner.unwrap_or(tool), "parameters");
    }
    if !tools.is_empty() {
        meter.fixed(END);
    }
}

/// A name, what it is for, and under `schema` what it has.
pub fn function(meter: &mut Meter, function: &Value, schema: &str) {
    meter.fixed(match meter.encoding() {
        Encoding::Cl100k => 10,
        Encoding::O200k => 7,
    });
    meter.text(&format!("{}:{}", word(function, "name"), description(function)));
    if let Some(Value::Object(schema)) = function.get(schema) {
        schemas(meter, schema);
    }
}

/// A schema and all that it holds, in whatever order: the sum is the same.
fn schemas<'a>(meter: &mut Meter, schema: &'a Map<String, Value>) {
    let mut open: Vec<&'a Map<String, Value>> = vec![schema];
    while let Some(schema) = open.pop() {
        if let Some(Value::Object(properties)) =
            schema.get("properties").filter(|some| **some != Value::Object(Map::new()))
        {
            meter.fixed(PROPERTIES);
            for (name, property) in properties {
                meter.fixed(PROPERTY);
                meter.text(&format!("{name}:{}:{}", kind(property), description(property)));
                open.extend(property.as_object());
            }
        }
        if let Some(Value::Array(items)) = schema.get("enum") {
            meter.fixed(ENUMERATION);
            for item in items {
                meter.fixed(ENUMERATED);
                meter.text(&written(item));
            }
        }
        for inner in INNER.iter().filter_map(|name| schema.get(*name)) {
            match inner {
                Value::Array(list) => open.extend(list.iter().filter_map(Value::as_object)),
                // Of some by name every value is a schema; in one, no value of its own words is taken for one.
                Value::Object(one) if is_schema(one) => open.push(one),
                Value::Object(some) => open.extend(some.values().filter_map(Value::as_object)),
                _ => {}
            }
        }
    }
}

/// Whether it is a schema, and not some by name.
fn is_schema(object: &Map<String, Value>) -> bool {
    object.values().any(|value| !value.is_object()) || object.contains_key("properties")
}

fn word<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Without the full stop.
fn description(object: &Value) -> &str {
    let text = word(object, "description");
    text.strip_suffix('.').unwrap_or(text)
}

/// A type, or several.
fn kind(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        _ => String::new(),
    }
}

fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}
