//! The models there are, as a client may see them.
//!
//! The law: a key sees what it may ask for; the shape is Anthropic's for who speaks its language, else OpenAI's.

use serde_json::{Value, json};

use crate::rejection::Dialect;

/// The list of `names` as `dialect` has it (<https://platform.openai.com/docs/api-reference/models/list>,
/// <https://docs.anthropic.com/en/api/models-list>).
pub fn listed(names: &[&str], dialect: Dialect) -> Value {
    let data: Vec<Value> = names.iter().map(|name| one(name, dialect)).collect();
    match dialect {
        Dialect::OpenAi => json!({"data": data, "object": "list"}),
        Dialect::Anthropic => {
            json!({"data": data, "has_more": false, "first_id": names.first(), "last_id": names.last()})
        }
    }
}

/// One model of the list.
pub fn one(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenAi => json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"}),
        Dialect::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"})
        }
    }
}
