//! The JSON Schema of the config file, from the one table of its keys.
//!
//! The law: what the table lists, the schema describes; a closed mapping refuses other keys in both. It describes shapes,
//! not meaning: whether a target can be dialled is for `tollgate check`.

use serde_json::{Map, Value, json};

use crate::config::fields::{
    CREDENTIAL, CREDENTIAL_VALUES, DNS, ENTRY, ENTRY_OWN, ENTRY_TLS, Field, GENERAL, KEY, Kind, LIMITS, LISTEN,
    LISTEN_TLS, LITELLM, MEMBER, MODEL, MODEL_INFO, MODEL_OWN, MODEL_PARAMS, ROUTER, Shape, Standing, TIMEOUTS,
    TOLLGATE, TOP,
};

/// Where the schema says it lives.
const ID: &str = "https://tollgate.invalid/config.schema.json";

/// The schema, as a JSON value.
pub fn json_schema() -> Value {
    let mut root = mapping(&TOP);
    if let Value::Object(fields) = &mut root {
        fields.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("$id".into(), json!(ID));
        fields.insert("title".into(), json!("Tollgate config"));
    }
    root
}

fn mapping(shape: &Shape) -> Value {
    let properties: Map<String, Value> =
        shape.fields.iter().map(|field| (field.name.to_owned(), property(shape, field))).collect();
    let mut schema = json!({ "type": ["object", "null"], "properties": properties });
    if let (true, Value::Object(fields)) = (shape.closed, &mut schema) {
        fields.insert("additionalProperties".into(), json!(false));
        if shape.path == ENTRY.path {
            fields.insert("required".into(), json!(["path"]));
            fields.insert(
                "anyOf".into(),
                json!([
                    { "required": ["target"] },
                    { "required": ["targets"] },
                    { "required": ["tollgate"], "properties": { "tollgate": { "required": ["targets"] } } },
                ]),
            );
        }
    }
    schema
}

fn property(shape: &Shape, field: &Field) -> Value {
    let doc = match field.standing {
        Standing::Honoured => field.doc.to_owned(),
        Standing::Harmless => format!("no effect: {}", field.doc),
        Standing::Protective => format!("refused unless listed in tollgate.accept_unsupported: {}", field.doc),
    };
    let mut schema = match nested(shape, field.name) {
        Some(Value::Object(schema)) => schema,
        _ => Map::from_iter([("type".to_owned(), types(field.kind))]),
    };
    if field.kind == Kind::Number {
        schema.insert("minimum".into(), json!(0));
        // A deployment's numbers may come out of variables, as LiteLLM's do.
        if shape.path == MODEL_PARAMS.path {
            schema.insert("type".into(), json!(["number", "string", "null"]));
            schema.insert("pattern".into(), json!("os\\.environ/"));
        }
    }
    schema.insert("description".into(), json!(doc));
    Value::Object(schema)
}

fn types(kind: Kind) -> Value {
    match kind {
        Kind::Any => json!(["null", "boolean", "number", "string", "array", "object"]),
        Kind::Bool => json!(["boolean", "null"]),
        Kind::List => json!(["array", "null"]),
        Kind::Map => json!(["object", "null"]),
        Kind::Number => json!(["number", "null"]),
        Kind::Text => json!(["string", "number", "boolean", "null"]),
    }
}

/// The shape below a key, where it has one.
fn nested(shape: &Shape, name: &str) -> Option<Value> {
    let of = |shape: &Shape| Some(mapping(shape));
    let list = |shape: &Shape| Some(json!({ "type": ["array", "null"], "items": mapping(shape) }));
    match (shape.path, name) {
        ("", "general_settings") => of(&GENERAL),
        ("", "litellm_settings") => of(&LITELLM),
        ("", "router_settings") => of(&ROUTER),
        ("", "tollgate") => of(&TOLLGATE),
        ("", "model_list") => list(&MODEL),
        ("general_settings", "pass_through_endpoints") => list(&ENTRY),
        ("general_settings.pass_through_endpoints[]", "tollgate") => of(&ENTRY_OWN),
        (path, "targets") if path == ENTRY.path || path == ENTRY_OWN.path => Some(json!({
            "type": ["array", "null"],
            "items": { "anyOf": [{ "type": "string" }, mapping(&MEMBER)] },
        })),
        (path, "tls") if path == ENTRY.path || path == ENTRY_OWN.path => of(&ENTRY_TLS),
        ("tollgate", "dns") => of(&DNS),
        ("tollgate", "timeouts") => of(&TIMEOUTS),
        ("tollgate", "limits") => of(&LIMITS),
        ("tollgate", "keys") => list(&KEY),
        ("tollgate", "listen") => Some(json!({
            "type": ["array", "null"],
            "items": { "anyOf": [{ "type": ["string", "number"] }, mapping(&LISTEN)] },
        })),
        ("tollgate.listen[]", "tls") => of(&LISTEN_TLS),
        ("model_list[]", "litellm_params") => of(&MODEL_PARAMS),
        ("model_list[]", "model_info") => of(&MODEL_INFO),
        ("model_list[]", "tollgate") => of(&MODEL_OWN),
        ("", "credential_list") => list(&CREDENTIAL),
        ("credential_list[]", "credential_values") => of(&CREDENTIAL_VALUES),
        _ => None,
    }
}
